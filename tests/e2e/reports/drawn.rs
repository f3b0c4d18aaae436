//! The layout of a report, and that every format has the same content.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use boxseat_schemas::row_key::{self, Subject};
use boxseat_simulator::{Act, Config};
use chrono::TimeDelta;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{Told, run_later};
use crate::support::{World, finish};

/// Every figure and every row, in the terminal, CSV, JSON and Parquet.
#[track_caller]
pub(super) fn assert_same_in_every_format(world: &World) {
    let directory = world.directory().join("all reports");
    let done = run_later(world, &["report", "all", "-o", directory.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for name in ["licences", "idle", "suspended", "reclaimable", "access", "movers", "runs"] {
        let told = Told::of(world, &[name]);
        let file = |ending: &str| directory.join(format!("{name}.{ending}"));
        let json: Value = serde_json::from_slice(&std::fs::read(file("json")).unwrap()).unwrap();
        assert_eq!(json, told.json, "{name}: a report and the same among all");
        let mode = file("json").metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640, "{name}: readable as [publish] mode says");
        let parquet = file("parquet");
        let done = run_later(world, &["report", name, "-o", parquet.to_str().unwrap()]);
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);

        let csv = read_csv(&std::fs::read_to_string(file("csv")).unwrap());
        let parquet = read_parquet(&parquet);
        let json = rows_of_json(&told, name);
        assert_eq!(csv.len(), json.len(), "{name}: rows of CSV and JSON");
        assert_eq!(parquet.len(), json.len(), "{name}: rows of Parquet and JSON");
        for (at, wanted) in json.iter().enumerate() {
            for (column, wanted) in wanted {
                assert_eq!(&csv[at][column], wanted, "{name}, row {at}: {column} in CSV");
                assert_eq!(&parquet[at][column], wanted, "{name}, row {at}: {column} in Parquet");
            }
        }
        assert_terminal_says_the_same(world, &told, name);
    }
}

/// Single figures in prominent places.
#[track_caller]
fn assert_terminal_says_the_same(world: &World, told: &Told, name: &str) {
    let drawn = run_later(world, &["report", name]).stdout;
    assert_narrow(&drawn);
    for section in told.json["sections"].as_array().unwrap() {
        for figure in section["figures"].as_array().into_iter().flatten() {
            let label = figure["label"].as_str().unwrap();
            let value = match &figure["value"] {
                Value::Null => "-".to_owned(),
                Value::Object(money) => {
                    let amount = money["amount"].as_str().unwrap();
                    let amount = amount.strip_suffix("00").unwrap_or(amount);
                    format!("{amount} {}", money["currency"].as_str().unwrap())
                }
                Value::String(text) if figure["kind"] == "time" => text.replace('T', " ")[..16].to_owned(),
                Value::String(text) => text.clone(),
                other if figure["kind"] == "percent" => format!("{:.1} %", other.as_f64().unwrap()),
                other => other.to_string(),
            };
            let first_words = label.split(' ').next().unwrap();
            let shown = drawn
                .lines()
                .any(|line| line.starts_with(first_words) && line.contains(&format!("  {value}  ")));
            assert!(shown, "{name}: {label} is {value}\n{drawn}");
        }
        let rows = section["table"]["rows"].as_array().map_or(0, Vec::len);
        assert!(
            rows > 0 || section["table"].is_null() || drawn.contains("(none)"),
            "{name}: {}",
            section["id"]
        );
    }
}

/// The rows of CSV and Parquet, as text: the report's first table, or all of `licences`.
fn rows_of_json(told: &Told, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(money) => money["amount"].as_str().unwrap().to_owned(),
        // As Rust formats a share: without a point where it is whole.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap().to_string(),
        other => other.to_string(),
    };
    let sections = told.json["sections"].as_array().unwrap();
    if name != "licences" {
        let table = sections.iter().find(|section| section["table"].is_object()).unwrap()["table"].clone();
        let row = |row: &Value| {
            row.as_object().unwrap().iter().map(|(column, value)| (column.clone(), text(value))).collect()
        };
        return table["rows"].as_array().unwrap().iter().map(row).collect();
    }
    let mut rows = Vec::new();
    for section in sections {
        let id = section["id"].as_str().unwrap();
        let mut say = |row: String, name: &str, value: &Value| {
            let cells =
                [("section", id.to_owned()), ("row", row), ("name", name.to_owned()), ("value", text(value))];
            rows.push(cells.map(|(column, cell)| (column.to_owned(), cell)).into());
        };
        for figure in section["figures"].as_array().into_iter().flatten() {
            say(String::new(), figure["id"].as_str().unwrap(), &figure["value"]);
        }
        for (number, row) in (1..).zip(section["table"]["rows"].as_array().into_iter().flatten()) {
            for column in section["table"]["columns"].as_array().unwrap() {
                let column = column["id"].as_str().unwrap();
                say(i32::to_string(&number), column, &row[column]);
            }
        }
    }
    rows
}

/// As a spreadsheet shows it, without our apostrophe at the start of a text.
fn read_csv(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        let cell = |cell: &str| {
            assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "a formula: {cell:?}");
            cell.strip_prefix('\'').unwrap_or(cell).to_owned()
        };
        heading.iter().map(str::to_owned).zip(row.iter().map(cell)).collect()
    });
    rows.collect()
}

fn read_parquet(file: &std::path::Path) -> Vec<BTreeMap<String, String>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(|batch| batch.unwrap()).collect();
    let mut rows = Vec::new();
    for batch in &batches {
        let options =
            FormatOptions::default().with_null("").with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
        let schema = batch.schema();
        for at in 0..batch.num_rows() {
            let cell = |place: usize| {
                let column = batch.column(place);
                let text = match column.data_type() {
                    _ if column.is_null(at) => String::new(),
                    DataType::Utf8 => column.as_string::<i32>().value(at).to_owned(),
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(at).to_string(),
                    DataType::Float64 => {
                        column.as_primitive::<arrow::datatypes::Float64Type>().value(at).to_string()
                    }
                    _ => ArrayFormatter::try_new(column, &options).unwrap().value(at).to_string(),
                };
                (schema.field(place).name().clone(), text)
            };
            rows.push((0..batch.num_columns()).map(cell).collect());
        }
    }
    rows
}

/// No line is wider than a terminal of 80 columns, by its display width.
#[track_caller]
fn assert_narrow(drawn: &str) {
    use unicode_width::UnicodeWidthStr;
    for line in drawn.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
}

/// Why: anyone who may edit an account can set its name, and these reports are opened in Excel and in terminals.
#[test]
fn hostile_names_do_nothing_anywhere() {
    let world =
        World::new(Config { users: 90, groups: 5, logins: Some(1_500), seed: 6, ..Config::default() });
    let hostile = [
        "=cmd|' /C calc'!A0".to_owned(),
        "@SUM(A1:A9)".to_owned(),
        "+1+1".to_owned(),
        "-2+3".to_owned(),
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "evil\u{202e}gpj.exe".to_owned(),
        "two\nlines\r\nand \u{1b}[31mred\u{7}".to_owned(),
        "33290876054".to_owned(),
        "'; DROP TABLE accounts; --".to_owned(),
        "王".repeat(450),
        "👩‍👩‍👧‍👦".repeat(40),
    ];
    let truth = world.simulator.truth();
    let ordinary: Vec<_> =
        truth.users.iter().filter(|user| !user.is_platform_access_only && user.role == "user").collect();
    for (user, name) in ordinary.iter().zip(&hostile) {
        let body = json!({ "name": name });
        world.simulator.act(&Act::EditUser { user_id: user.user_id.clone(), body, announced: true });
    }
    world.ok(&["sync"]);
    let named = |user_id: &str| {
        world.rows(&format!("SELECT name FROM users WHERE user_id = '{user_id}'"))[0]["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let kept: Vec<String> = ordinary.iter().take(hostile.len()).map(|user| named(&user.user_id)).collect();
    assert!(
        kept.iter().filter(|name| hostile.contains(name)).count() >= 10,
        "Box took too few of the names: {kept:?}"
    );
    for report in ["access", "idle", "suspended", "movers"] {
        let drawn = run_later(&world, &["report", report, "--now", "2026-03-02T07:00:00Z"]).stdout;
        assert_narrow(&drawn);
        assert!(
            !drawn.contains(['\u{202e}', '\u{1b}', '\u{7}', '\r']),
            "{report}: a character that acts\n{drawn}"
        );
    }
    let csv = run_later(&world, &["report", "access", "--format", "csv"]).stdout;
    let rows = read_csv(&csv);
    for (user, name) in ordinary.iter().zip(&kept) {
        let row = rows.iter().find(|row| row["user_id"] == user.user_id).unwrap();
        assert_eq!(&row["name"], name, "the name comes back as it was");
        assert_eq!(row_key::read(&row["row_key"]), Ok((Subject::User, user.user_id.as_str())));
    }
    // A bare file name is in the working directory: its parent is empty, and was once refused as a directory that cannot be
    // written.
    for bare in
        [&["report", "access", "-o", "access.csv"][..], &["query", "SELECT 1", "--save", "one.parquet"]]
    {
        let done = run_later(&world, bare);
        assert_eq!(done.code, 0, "{bare:?}: {}", done.stderr);
    }
    assert_eq!(std::fs::read_to_string(world.directory().join("access.csv")).unwrap(), csv);
    assert!(world.directory().join("one.parquet").exists());
    // What a spreadsheet sees, before the apostrophe is removed.
    let mut raw = csv::Reader::from_reader(csv.as_bytes());
    let formula = |cell: &str| cell.trim_start().starts_with(['=', '+', '-', '@']);
    assert!(!raw.records().any(|row| row.unwrap().iter().any(formula)), "a cell that calculates");
    let heading = csv.lines().next().unwrap();
    assert!(heading.starts_with("login,name,role,") && heading.ends_with(",user_id,row_key"), "{heading}");
}

/// Why: a manager must not act on data of last week, or mistake a gap in the record for idleness.
#[test]
fn an_old_snapshot_and_one_with_many_unknown_seats_warn_first() {
    let world = World::new(Config { users: 60, groups: 4, logins: Some(800), seed: 3, ..Config::default() });
    std::fs::write(world.directory().join("boxseat.toml"), "[sync]\nlogin_window_days = 20\n").unwrap();
    world.ok(&["sync"]);
    let told = Told::of(&world, &["licences"]);
    assert!(told.notices().contains("seats is unknown"), "{}", told.notices());
    assert!(!told.notices().contains("hours old"), "{}", told.notices());
    let later = world.simulator.now() + TimeDelta::minutes(37 * 60 + 5);
    let done =
        finish(world.command(&["report", "idle"]).env("BOXSEAT_NOW", later.to_rfc3339()).output().unwrap());
    let warnings: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("Warning: ")).collect();
    assert_eq!(warnings.len(), 2, "{}", done.stdout);
    assert!(warnings[0].contains("This snapshot is 37 hours old"), "{warnings:?}");
}

/// Why: the complete output. The numbers are the stand-in's; a changed line is a changed contract.
#[test]
fn two_reports_as_they_are_printed() {
    let world = World::new(Config {
        users: 24,
        groups: 3,
        logins: Some(500),
        seed: 12,
        awkward: false,
        ..Config::default()
    });
    let terms = "[[licence]]\nplan_id = \"enterprise\"\nseats_purchased = 30\ncost_per_seat_monthly = \"35.00\"\ncurrency = \"EUR\"\nrenewal_date = 2026-12-31\nnotice_by = 2026-09-30\n";
    std::fs::write(world.directory().join("boxseat.toml"), terms).unwrap();
    world.ok(&["sync"]);
    let idle = run_later(&world, &["report", "idle"]).stdout;
    let licences = run_later(&world, &["report", "licences"]).stdout;
    if std::env::var_os("BOXSEAT_SHOW").is_some() {
        println!("{idle}\n=====\n{licences}");
    }
    assert_eq!(idle, IDLE);
    assert_eq!(licences, LICENCES);
}

const IDLE: &str = "\
Idle seats: Which users have a seat and provably do not use it?
Snapshot of 2026-03-02 (run 1, 2026-03-02 06:00 UTC), enterprise 900000001. Days
and weeks are UTC.

In short
────────
Idle seats            2  Seats with proven_idle_days of 90 or more, without
                         suspended seats. There is no other condition.
Monthly cost  70.00 EUR  Their cost per month.
Idle seats in `licences` that are not included here, because they are proved
idle for fewer than 90 days: 1. A smaller --days shows them.

Idle seats
──────────
Login                Name           Idle days  Monthly cost  State          Role
thora.dangelo@acme…  Þóra D’Angelo        183     35.00 EUR  no_login_seen  user
ada.fischer@acme.t…  Ada Fischer          134     35.00 EUR  idle           user
Columns omitted for width: last_activity_at, last_login_at, created_at,
licence_plan, group_count, space_used_bytes, meaning, user_id, row_key.
Longest first. Idle days are whole days of 24 hours since the latest fact that
explains missing use, such as the last use, the creation or the end of a leave.
";
const LICENCES: &str = "\
Licences: How are our seats used, what do they cost, and how many do we need?
Snapshot of 2026-03-02 (run 1, 2026-03-02 06:00 UTC), enterprise 900000001. Days
and weeks are UTC.

Seats
─────
Bought                        30  Seats bought by the terms in force, over all
                                  plans.
Assigned                      24  Managed users that Box lists, including
                                  suspended users.
Free                           6  Bought minus assigned; negative if more seats
                                  are assigned than bought.
Used                          18  Seats in the state used: see below.
Used in 30 days               16  Assigned seats with evidence of use in the
                                  last 30 x 24 hours; unknown if sign-ins are
                                  known for a shorter time.
Used in 60 days               17  Assigned seats with evidence of use in the
                                  last 60 x 24 hours; unknown if sign-ins are
                                  known for a shorter time.
Used in 90 days               20  Assigned seats with evidence of use in the
                                  last 90 x 24 hours; unknown if sign-ins are
                                  known for a shorter time.
Monthly waste         210.00 EUR  Cost per month of seats that are suspended,
                                  idle, never_since_created or no_login_seen.
Monthly cost, other     0.00 EUR  Cost per month of seats that are too_new,
                                  paused or unknown.
Monthly cost, all     840.00 EUR  Cost per month of all assigned seats: used,
                                  waste and other.
Cost of a used seat  58.3333 EUR  Cost per month of the seats bought (seats x
                                  price, for each plan) / seats used.
Reclaimable                    -  No policy configured.

Contract
────────
Notice by                  2026-09-30  Last day to give notice: the next notice
                                       date of the plans in force that is not
                                       past.
Days to notice                    212  UTC days from the snapshot to that day.
Renews on                  2026-12-31  The next renewal of the plans in force.
Most assigned in the term          24  Most seats assigned in any snapshot of
                                       the term, including this one. The start
                                       of the term is not configured
                                       (term_start); there are snapshots from
                                       2026-03-02 on.
On                         2026-03-02  The first snapshot with this number.
Assigned over bought                0  Most assigned in the term minus seats
                                       bought now; 0 if negative.
Months left                        10  From the snapshot to the renewal; a
                                       started month counts as one.
True-up exposure             0.00 EUR  Assigned over bought x price of a seat
                                       (of the most expensive plan) x months
                                       left.
Snapshots of the trend              1  Snapshots of the last 90 days. Trend and
                                       forecast use them.
Growth in 30 days                   -  Unknown: a trend requires 14 snapshots in
                                       the last 90 days; available: 1.
Seats run out on                    -  Unknown: a forecast requires 14
                                       snapshots; available: 1.
To buy at the renewal              18  used 18 + too new 0 + paused 0 + unknown
                                       0 + growth, which is not known yet
                                       (snapshots available: 1). Idle and
                                       suspended seats are assumed to be freed
                                       before.
Fewer than now                     12  Bought now minus to buy at the renewal;
                                       negative if more are needed.
Freed by leavers                    0  Seats of users who left in the available
                                       snapshots of the term.
Reused by joiners                   0  Of these, taken by users who joined or
                                       returned in the same snapshot or later.
Seats are bought for the term. Freeing a seat saves nothing before the renewal,
unless more seats are assigned than bought.

Seats by state
──────────────
State                Seats   Share  Monthly cost  Is waste
used                    18  75.0 %    630.00 EUR        no
too_new                  0   0.0 %      0.00 EUR        no
idle                     1   4.2 %     35.00 EUR       yes
never_since_created      1   4.2 %     35.00 EUR       yes
no_login_seen            1   4.2 %     35.00 EUR       yes
suspended                3  12.5 %    105.00 EUR       yes
paused                   0   0.0 %      0.00 EUR        no
unknown                  0   0.0 %      0.00 EUR        no
Columns omitted for width: meaning.
Every assigned seat has one state, the first that applies; 24 in total.

Plans in force
──────────────
Plan        Bought  Assigned  Free      Price  Monthly waste  Monthly cost
enterprise      30        24     6  35.00 EUR     210.00 EUR    840.00 EUR
Columns omitted for width: renewal_date, notice_by_date, box_plan, match_rule,
external_seats, console_seats_used.
A seat belongs to the first plan whose rule matches. (none) has the seats that
match no plan in force.

Assigned against bought
───────────────────────
  Snapshot  Bought  Assigned  Free  Used  Idle  Suspended  Monthly waste
2026-03-02      30        24     6    18     3          3     210.00 EUR
Columns omitted for width: monthly_cost, active_30d.
Each row shows the data, thresholds and terms of its time. A missed snapshot has
no row.

Seats by time since last use
────────────────────────────
Days since last use  Seats   Share
0-30                    16  66.7 %
31-60                    1   4.2 %
61-90                    3  12.5 %
91-180                   2   8.3 %
over_180                 0   0.0 %
too_new                  0   0.0 %
never_since_created      1   4.2 %
no_login_seen            1   4.2 %
unknown                  0   0.0 %
By the newest evidence of use, including suspended seats and users on leave.
unknown: the record does not determine the band.

Seats by last sign-in
─────────────────────
Days since last sign-in  From  Seats
0-6                         0      8
7-13                        7      3
14-20                      14      3
21-27                      21      2
28-34                      28      0
35-41                      35      0
42-48                      42      0
49-55                      49      1
56-62                      56      0
63-69                      63      0
70-76                      70      0
77-83                      77      3
84-90                      84      0
91-97                      91      0
98-104                     98      0
105-111                   105      0
112-118                   112      0
119-125                   119      0
126-132                   126      0
133-139                   133      1
140-146                   140      0
147-153                   147      1
154-160                   154      0
161-167                   161      0
168-174                   168      0
175-181                   175      0
182 and more              182      0
none on record              -      2
Whole days of 24 hours since the newest LOGIN on record, by week. A user without
a LOGIN on record may have signed in before.

Joiners and leavers
───────────────────
   Week of  Joined  Left  Net
2026-03-02       0     0    0
Users with a seat who joined or returned, and users who left, by the week of the
snapshot that showed it. Weeks begin on Monday. The store's first snapshot has
no joiners.

Groups with the most idle seats
───────────────────────────────
Group              Idle  Seats  Share idle  Monthly idle cost  Group id
Ops;Night Tunis 2     3     20      15.0 %         105.00 EUR  77000023
Headquarters          2      8      25.0 %          70.00 EUR  77000012
The 20 groups with the most seats that are idle, never_since_created or
no_login_seen. A user in several groups counts in each. Groups under 5 members
are one row, in which each user counts once.
";
