//! Pages of a made-up enterprise.

use std::time::Instant;

use boxseat_schemas::RunNumber;
use chrono::{Days, NaiveDate};

use super::*;
use crate::report::{Chart, Column, Section, Table, Value, ValueKind};

const EVIL: &str = "</td><script>alert(1)</script>\"' onerror=alert(2) \u{202e}gnp.exe";

fn column(id: &'static str, label: &str, kind: ValueKind) -> Column {
    Column { id, label: label.to_owned(), kind }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn usd(amount: &str) -> Value {
    Value::Money(amount.parse().unwrap(), "USD".to_owned())
}

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()
}

fn section(id: &'static str, title: &str, body: Body) -> Section {
    Section { id, title: title.to_owned(), note: None, body }
}

fn report(sections: Vec<Section>) -> Report {
    Report {
        name: "licences",
        title: "Licences".to_owned(),
        question: "How many seats have we bought, and how are they used?".to_owned(),
        snapshot: ReportSnapshot {
            enterprise_id: "900".to_owned(),
            snapshot_date: date(),
            run_number: RunNumber(30),
            now_at: date().and_hms_opt(2, 17, 0).unwrap().and_utc(),
            is_as_of: false,
        },
        notices: Vec::new(),
        filters: Vec::new(),
        sections,
    }
}

fn figure(id: &'static str, label: &str, value: Value, meaning: &str, is_headline: bool) -> Figure {
    Figure { id, label: label.to_owned(), value, meaning: meaning.to_owned(), is_headline }
}

/// Every kind of section, with difficult names.
fn licences() -> Report {
    let snapshots: Vec<Vec<Value>> = (0..30_i64)
        .map(|snapshot| {
            let day = date() - Days::new(29 - snapshot.unsigned_abs());
            let assigned =
                if snapshot == 12 { Value::Unknown } else { Value::Count(478 + snapshot + snapshot % 4 * 3) };
            let used = if snapshot < 3 { Value::Unknown } else { Value::Count(352 + snapshot * 2 % 9) };
            vec![Value::Date(day), assigned, Value::Count(525), used]
        })
        .collect();
    let lines = Table {
        columns: vec![
            column("snapshot_date", "Snapshot", ValueKind::Date),
            column("seats_assigned", "Assigned", ValueKind::Count),
            column("seats_purchased", "Bought", ValueKind::Count),
            column("active_90d", "Used in 90 days", ValueKind::Count),
        ],
        rows: snapshots,
        chart: Some(Chart::Lines {
            x: "snapshot_date",
            series: vec!["seats_assigned", "seats_purchased", "active_90d"],
        }),
        names_people: false,
    };
    let bands = ["0-30", "31-60", "61-90", "91-180", "over 180", "never since created", "unknown"];
    let bands = Table {
        columns: vec![column("band", "Band", ValueKind::Text), column("seats", "Seats", ValueKind::Count)],
        rows: bands
            .iter()
            .zip([310, 61, 22, 17, 38, 12, 5])
            .map(|(band, n)| vec![text(*band), Value::Count(n)])
            .collect(),
        chart: Some(Chart::Bars { label: "band", series: vec!["seats"] }),
        names_people: false,
    };
    let weeks = Table {
        columns: vec![
            column("week", "Week from", ValueKind::Date),
            column("joined", "Joined", ValueKind::Count),
            column("left", "Left", ValueKind::Count),
        ],
        rows: (0..12_i64)
            .map(|week| {
                let day = date() - Days::new(7 * (11 - week.unsigned_abs()));
                vec![Value::Date(day), Value::Count(3 + week * 5 % 7), Value::Count(week * 3 % 5)]
            })
            .collect(),
        chart: Some(Chart::Bars { label: "week", series: vec!["joined", "left"] }),
        names_people: false,
    };
    let groups = [
        "Sales EMEA",
        "工程部 Platform",
        EVIL,
        "Quality and Regulatory Affairs, Clinical Operations North",
        "groups under 5",
    ];
    let groups = Table {
        columns: vec![
            column("group", "Group", ValueKind::Text),
            column("idle", "Idle seats", ValueKind::Count),
            column("cost", "Cost a month", ValueKind::Money),
        ],
        rows: groups
            .iter()
            .zip([23, 17, 9, 6, 4])
            .map(|(group, n)| vec![text(*group), Value::Count(n), usd(&format!("{}", n * 35))])
            .collect(),
        chart: Some(Chart::Ranking { label: "group", series: "idle" }),
        names_people: false,
    };
    let logins = Table {
        columns: vec![column("week", "Week", ValueKind::Date), column("people", "People", ValueKind::Count)],
        rows: (0..26_i64)
            .map(|week| {
                vec![
                    Value::Date(date() - Days::new(7 * (25 - week.unsigned_abs()))),
                    Value::Count(2 + week * week / 3),
                ]
            })
            .collect(),
        chart: Some(Chart::Bars { label: "week", series: vec!["people"] }),
        names_people: false,
    };
    let mut report = report(vec![
        section(
            "headline",
            "Seats and money",
            Body::Figures(vec![
                figure(
                    "seats_purchased",
                    "Seats bought",
                    Value::Count(12_525),
                    "By the licence terms in force.",
                    true,
                ),
                figure(
                    "seats_assigned",
                    "Seats assigned",
                    Value::Count(11_507),
                    "Managed users that Box lists, including suspended users.",
                    true,
                ),
                figure(
                    "waste",
                    "Idle cost per month",
                    usd("4270"),
                    "Seats that are suspended, idle or were never used, at their price.",
                    true,
                ),
                figure("reclaimable", "Reclaimable", Value::Unknown, "No policy is configured.", true),
                figure(
                    "used_90",
                    "Used in 90 days",
                    Value::Percent(82.46),
                    "Seats with evidence of use in 90 days.",
                    false,
                ),
                figure(
                    "notice",
                    "Give notice by",
                    Value::Date(date()),
                    "Last day to give notice by the terms.",
                    false,
                ),
            ]),
        ),
        section("trend", "Assigned against bought", Body::Table(lines)),
        section("bands", "Seats by time since last use", Body::Table(bands)),
        section("groups", "Groups with the most idle seats", Body::Table(groups)),
        section("weeks", "Joiners and leavers a week", Body::Table(weeks)),
        section("logins", "Seats by last sign-in", Body::Table(logins)),
        section("people", "Users who can lose a seat", Body::Table(people(60))),
    ]);
    report.notices = vec![
        Notice { level: Level::Note, text: "A note with <b>markup</b>.".to_owned() },
        Notice { level: Level::Warning, text: "This snapshot is 61 hours old.".to_owned() },
    ];
    report.sections[1].note =
        Some("Seats as each snapshot recorded them. A missed snapshot has no row.".to_owned());
    report
}

fn people(count: i64) -> Table {
    let columns = vec![
        column("login", "Login", ValueKind::Text),
        column("name", "Name", ValueKind::Text),
        column("role", "Role", ValueKind::Text),
        column("created_at", "Created", ValueKind::Time),
        column("last_login_at", "Last login", ValueKind::Time),
        column("proven_idle_days", "Idle days", ValueKind::Days),
        column("space", "Space", ValueKind::Bytes),
        column("monthly_cost", "Cost a month", ValueKind::Money),
        column("seat_state", "Seat", ValueKind::Text),
    ];
    let rows = (0..count).map(|n| {
        let name = match n % 20 {
            3 => EVIL.to_owned(),
            5 => "x".repeat(450),
            7 => "=cmd|' /C calc'!A0".to_owned(),
            _ => format!("Someone Number{n}"),
        };
        let time = date().and_hms_opt(9, 1, 0).unwrap().and_utc();
        vec![
            text(format!("someone.number{n}@example.com")),
            text(name),
            text("user"),
            Value::Time(time),
            if n % 3 == 0 { Value::Unknown } else { Value::Time(time - Days::new(n.unsigned_abs() % 400)) },
            if n % 4 == 0 { Value::Unknown } else { Value::Days(n * 37 % 400) },
            Value::Bytes(n * 7_654_321),
            usd("35"),
            text("never_since_created"),
        ]
    });
    Table { columns, rows: rows.collect(), chart: None, names_people: true }
}

/// A name with markup must not become markup: Box lets users choose any name.
#[test]
fn values_from_box_never_become_markup() {
    let page = page(&[licences()], People::Named).unwrap();
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("<b>markup"));
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains('\u{202e}'), "a direction override is escaped");
    assert!(page.contains("\\u{202e}gnp.exe"));
}

/// A browser that follows the policy runs and fetches nothing else, whatever the page contains.
#[test]
fn content_security_policy_has_the_hashes_of_the_page() {
    let page = page(&[licences()], People::Named).unwrap();
    let between = |from: &str, to: &str| {
        let (_, rest) = page.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    let policy = between("Content-Security-Policy\" content=\"", "\"");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(policy.contains(&hash(&between("<style>", "</style>"))));
    assert!(policy.contains(&hash(&between("<script>", "</script>"))));
    assert!(!page.contains(" style="), "the policy forbids styles of single elements");
    for outside in ["http://", "https://", "url(", "@import", "src="] {
        let without_namespace = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!without_namespace.contains(outside), "{outside}");
    }
}

/// A page without `--people` is forwarded: it must name no user, not even in a chart or its description.
#[test]
fn page_names_no_user_unless_requested() {
    let mut report = licences();
    let Body::Table(people) = &mut report.sections[6].body else { panic!() };
    people.chart = Some(Chart::Ranking { label: "login", series: "proven_idle_days" });
    let page = page(std::slice::from_ref(&report), People::LeftOut).unwrap();
    assert!(!page.contains("someone.number"));
    assert!(!page.contains("Someone"));
    assert!(page.contains("names users and is omitted"));
    assert!(super::page(&[report], People::Named).unwrap().contains("someone.number"));
}

#[test]
fn warnings_come_first_and_each_notice_occurs_once() {
    let page = page(&[licences(), licences()], People::LeftOut).unwrap();
    assert_eq!(page.matches("This snapshot is 61 hours old").count(), 1);
    assert!(page.find("Warning: ").unwrap() < page.find("Note: ").unwrap());
    assert_eq!(page.matches("<h1").count(), 1);
}

/// The size limit of the page: under 2 MiB with 10,000 listed users, in the columns of `idle`.
#[test]
fn page_with_ten_thousand_users_is_under_two_mebibytes() {
    let columns = [
        ("login", ValueKind::Text),
        ("name", ValueKind::Text),
        ("proven_idle_days", ValueKind::Days),
        ("monthly_cost", ValueKind::Money),
        ("seat_state", ValueKind::Text),
        ("role", ValueKind::Text),
        ("last_activity_at", ValueKind::Time),
        ("last_login_at", ValueKind::Time),
        ("created_at", ValueKind::Time),
        ("licence_plan", ValueKind::Text),
        ("group_count", ValueKind::Count),
        ("space_used_bytes", ValueKind::Bytes),
        ("meaning", ValueKind::Text),
        ("user_id", ValueKind::Text),
        ("row_key", ValueKind::Text),
    ];
    let now = date().and_hms_opt(9, 1, 0).unwrap().and_utc();
    let rows = (0..10_000_i64).map(|n| {
        let last =
            if n % 3 == 0 { Value::Time(now - Days::new(n.unsigned_abs() % 400)) } else { Value::Unknown };
        vec![
            text(format!("given.family{n}@acme.test")),
            text(format!("Given Family{n}")),
            Value::Days(100 + n % 300),
            usd("35"),
            text("no_login_seen"),
            text("user"),
            last.clone(),
            last,
            Value::Time(now - Days::new(500 + n.unsigned_abs() % 900)),
            text("enterprise"),
            Value::Count(n % 12),
            Value::Bytes(n * 7_654_321),
            text("No use seen since 2026-04-24; of the time before nothing is known."),
            text((9_001_000_000 + n).to_string()),
            text(format!("U{}X", 9_001_000_000 + n)),
        ]
    });
    let table = Table {
        columns: columns.map(|(id, kind)| column(id, id, kind)).into(),
        rows: rows.collect(),
        chart: None,
        names_people: true,
    };
    let mut report = licences();
    report.sections[6].body = Body::Table(table);
    let start = Instant::now();
    let page = page(&[report], People::Named).unwrap();
    println!("{} bytes in {:?}", page.len(), start.elapsed());
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
}

/// Charts with too few values: one snapshot, only unknown values, no rows.
#[test]
fn charts_accept_one_row_unknown_values_and_no_rows() {
    let mut report = licences();
    for section in &mut report.sections {
        if let Body::Table(table) = &mut section.body {
            table.rows.truncate(1);
        }
    }
    page(std::slice::from_ref(&report), People::Named).unwrap();
    for section in &mut report.sections {
        if let Body::Table(table) = &mut section.body {
            for row in &mut table.rows {
                row[1..].fill(Value::Unknown);
            }
        }
    }
    assert!(!page(std::slice::from_ref(&report), People::Named).unwrap().contains("<svg"));
    for section in &mut report.sections {
        if let Body::Table(table) = &mut section.body {
            table.rows.clear();
        }
    }
    assert!(page(&[report], People::Named).unwrap().contains("Nothing to list."));
}

/// Writes the page for a manual check: `BOXSEAT_PAGE=/tmp/page.html cargo test html::`.
#[test]
#[ignore = "writes a file for manual inspection"]
#[expect(clippy::disallowed_methods, reason = "an option of the user, in a test")]
fn write_page_for_a_manual_check() {
    if let Some(path) = std::env::var_os("BOXSEAT_PAGE") {
        std::fs::write(path, page(&[licences()], People::Named).unwrap()).unwrap();
    }
}
