//! Draws cases that no simulated snapshot has: widths, unusual values, unusual names.

use boxseat_schemas::{Money, RunNumber};
use chrono::{Days, NaiveDate};
use unicode_width::UnicodeWidthStr;

use super::*;

fn eur(amount: i64) -> Value {
    Value::Money(Money::from_ten_thousandths(amount), "EUR".to_owned())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn report(name: &'static str, sections: Vec<Section>) -> Report {
    Report {
        name,
        title: "A title".to_owned(),
        question: "A question?".to_owned(),
        snapshot: ReportSnapshot {
            enterprise_id: "900".to_owned(),
            snapshot_date: "2026-03-02".parse().unwrap(),
            run_number: RunNumber(7),
            now_at: "2026-03-02T02:00:00Z".parse().unwrap(),
            is_as_of: false,
        },
        notices: vec![warning("Something is odd.")],
        filters: vec![("group".to_owned(), "Sales".to_owned())],
        sections,
    }
}

fn people(rows: Vec<Vec<Value>>) -> Section {
    let columns = vec![
        column("login", "Login", ValueKind::Text),
        column("name", "Name", ValueKind::Text),
        column("proven_idle_days", "Idle days", ValueKind::Days),
        column("monthly_cost", "Monthly cost", ValueKind::Money),
        column("meaning", "Meaning", ValueKind::Text),
        column("user_id", "User id", ValueKind::Text),
    ];
    let table = Table { columns, rows, chart: None, names_people: true };
    section("people", "People", Some("A note.".to_owned()), Body::Table(table))
}

fn user_row(name: &str) -> Vec<Value> {
    let login = text("username.with.a.long.login@a-long-domain.example");
    let meaning = text("Last seen in use on 2025-10-01; nothing seen since 2025-10-01.");
    vec![login, text(name), Value::Days(123_456), eur(123_456_789_012_345), meaning, text("33290876054")]
}

#[track_caller]
fn assert_fits(drawn: &str, width: usize) {
    for line in drawn.lines() {
        assert!(line.width() <= width, "{} > {width}: {line}", line.width());
    }
}

/// Why: a name in wide characters took two columns each and broke every line after it. A cut number is a wrong number.
#[test]
fn lines_fit_and_numbers_are_complete_at_any_width() {
    let names = [
        "Ada",
        "王小明王小明王小明王小明王小明王小明",
        "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
        "e\u{301}e\u{301}",
        "a\u{202e}b\nc\u{1b}[2J",
    ];
    let report = report("idle", vec![people(names.map(user_row).to_vec())]);
    for width in [40, 60, 80, 120, 200] {
        let drawn = format::terminal(&report, width);
        assert_fits(&drawn, width);
        assert_eq!(
            drawn.matches("123456").count(),
            names.len() * if drawn.contains("12345678901.2345 EUR") { 2 } else { 1 },
            "{drawn}"
        );
        assert!(!drawn.contains(['\u{202e}', '\u{1b}']), "{drawn}");
        // A table names the columns that do not fit. A list has all columns.
        let has_all = drawn.contains("33290876054");
        assert_eq!(drawn.contains("Columns omitted for width"), !has_all, "{width}: {drawn}");
    }
    assert!(format::terminal(&report, 80).contains("username.with"), "{}", format::terminal(&report, 80));
}

/// Why: on a narrow terminal, a table of one and a half columns has no information.
#[test]
fn table_that_does_not_fit_is_drawn_as_a_list() {
    let columns = vec![
        column("one", "One", ValueKind::Money),
        column("two", "Two", ValueKind::Money),
        column("three", "Three", ValueKind::Money),
    ];
    let money = || eur(100_000_000_000_000);
    let table = Table {
        columns,
        rows: vec![vec![money(), money(), Value::Unknown]; 2],
        chart: None,
        names_people: false,
    };
    let drawn = format::terminal(&report("idle", vec![section("s", "S", None, Body::Table(table))]), 40);
    assert_fits(&drawn, 40);
    assert_eq!(drawn.matches("One    10000000000.00 EUR").count(), 2, "{drawn}");
    assert_eq!(drawn.matches("Three  -").count(), 2, "{drawn}");
}

/// Why: the snapshots of a year would fill the screen.
#[test]
fn long_series_shows_the_last_snapshots_and_counts_the_omitted_rows() {
    let first: NaiveDate = "2025-01-01".parse().unwrap();
    let columns = vec![
        column("snapshot_date", "Snapshot", ValueKind::Date),
        column("seats", "Seats", ValueKind::Count),
    ];
    let rows = (0..100).map(|n| vec![Value::Date(first + Days::new(n)), Value::Count(1)]).collect();
    let chart = Some(Chart::Lines { x: "snapshot_date", series: vec!["seats"] });
    let table = Table { columns, rows, chart, names_people: false };
    let report = report("runs", vec![section("nights", "Snapshots", None, Body::Table(table))]);
    let drawn = format::terminal(&report, 80);
    assert!(drawn.contains("2025-04-10") && !drawn.contains("2025-03-10"), "{drawn}");
    assert!(drawn.contains("69 earlier rows are omitted here"), "{drawn}");
    assert_eq!(format::csv(&report).text.lines().count(), 101, "other formats have them all");
}

/// Why: money has a currency in every format, and an unknown value is empty and never 0.
#[test]
fn money_has_a_currency_and_unknown_is_empty_in_csv_and_json() {
    let report = report(
        "idle",
        vec![people(vec![user_row("=1+1"), {
            let mut unknown = user_row("Ada");
            unknown[2] = Value::Unknown;
            unknown[3] = Value::Unknown;
            unknown
        }])],
    );
    let csv = format::csv(&report).text;
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(lines[0], "login,name,proven_idle_days,monthly_cost,meaning,user_id,currency");
    assert!(
        lines[1].contains(",'=1+1,123456,12345678901.2345,") && lines[1].ends_with(",'33290876054,EUR"),
        "{csv}"
    );
    assert!(lines[2].contains(",Ada,,,") && lines[2].ends_with(",'33290876054,"), "{csv}");
    let json = format::json(&report);
    assert!(json.starts_with("{\n  \"schema_version\": 1,"), "the version is first");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema_version"], format::JSON_SCHEMA_VERSION);
    let rows = &json["sections"][0]["table"]["rows"];
    assert_eq!(
        rows[0]["monthly_cost"],
        serde_json::json!({ "amount": "12345678901.2345", "currency": "EUR" })
    );
    assert_eq!(rows[1]["monthly_cost"], serde_json::Value::Null);
    assert_eq!(rows[0]["name"], "=1+1", "JSON is for programs");
}
