//! The console's *User Details* and *User Engagement* reports, read by the names of their columns: Box adds, drops and renames
//! columns, and lets whoever runs a report choose them.
//!
//! <https://support.box.com/hc/en-us/articles/4415011447443-User-Details-Report>,
//! <https://support.box.com/hc/en-us/articles/45632231751827-User-Engagement-Report>

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::moment::{Order, Stamp};
use crate::error::CommandError;

/// Which report a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Has each user's last sign-in.
    UserDetails,
    /// Has each user's last activity of any kind, in UTC.
    UserEngagement,
}

impl Source {
    /// As `imported_evidence.source` says it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UserDetails => "user_details",
            Self::UserEngagement => "user_engagement",
        }
    }
}

/// A report, read.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) source: Source,
    pub(crate) rows: Vec<Seen>,
    /// Lines that could not be understood, with the reason.
    pub(crate) rejected: Vec<(u64, String)>,
    /// Rows of people without a seat here: unmanaged and external users.
    pub(crate) outsiders: u64,
    /// Whether the stamps had no zone and none was given.
    pub(crate) is_zone_unknown: bool,
}

/// What a row says of one user.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) line: u64,
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    /// The newest use, as late as the report's words allow; `None` when it tells of none.
    pub(crate) at: Option<DateTime<Utc>>,
}

/// Where the columns stand that matter.
struct Columns {
    source: Source,
    user_id: Option<usize>,
    email: Option<usize>,
    user_type: Option<usize>,
    seen: Vec<usize>,
}

impl Report {
    /// Reads a report. `zone` is that of whoever ran it, where the stamps do not say theirs.
    ///
    /// # Errors
    /// Exit 2 for a file that is no such report, or whose dates contradict each other.
    pub(crate) fn read(
        path: &Path,
        bytes: &[u8],
        zone: Option<Tz>,
        now: DateTime<Utc>,
    ) -> Result<Self, CommandError> {
        let text = text_of(path, bytes)?;
        let mut lines = csv::ReaderBuilder::new()
            .delimiter(delimiter(text.lines().next().unwrap_or_default()))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let header = lines.headers().map_err(|e| no_csv(path, e))?.clone();
        let columns = Columns::find(path, &header)?;
        // A day of the engagement report is one of UTC; of the other, one of whoever ran it.
        let zone = if columns.source == Source::UserEngagement { Some(Tz::UTC) } else { zone };
        let (mut order, mut read, mut rejected, mut outsiders) =
            (Order::default(), Vec::new(), Vec::new(), 0);
        for record in lines.records() {
            let record = record.map_err(|e| no_csv(path, e))?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell =
                |column: Option<usize>| column.and_then(|c| record.get(c)).filter(|cell| !cell.is_empty());
            if cell(columns.user_type).is_some_and(is_outsider) {
                outsiders += 1;
                continue;
            }
            let (user_id, email) = (cell(columns.user_id).map(unquoted), cell(columns.email));
            if user_id.is_none() && email.is_none() {
                rejected.push((line, "it names nobody".to_owned()));
                continue;
            }
            let stamps = columns.seen.iter().map(|column| {
                let cell = record.get(*column).unwrap_or_default();
                Stamp::read(cell).ok_or_else(|| format!("{cell:?} is no date or time"))
            });
            match stamps.collect::<Result<Vec<_>, _>>() {
                Ok(stamps) => {
                    stamps.iter().for_each(|stamp| stamp.tells(&mut order));
                    read.push((line, user_id, email.map(str::to_lowercase), stamps));
                }
                Err(reason) => rejected.push((line, reason)),
            }
        }
        if order.is_mixed() {
            return Err(CommandError::usage(format!(
                "{} has dates with the day first and dates with the month first",
                path.display()
            ))
            .hint("run the report anew, or write the dates as 2026-03-31"));
        }
        let is_zone_unknown = zone.is_none()
            && read
                .iter()
                .flat_map(|(.., stamps)| stamps)
                .any(|stamp| !matches!(stamp, Stamp::Nothing | Stamp::Instant(_)));
        let mut rows = Vec::new();
        for (line, user_id, email, stamps) in read {
            let latest = |stamp: &Stamp| stamp.latest(order, zone, now);
            let at = stamps.iter().filter_map(latest).max();
            match at {
                // Beyond what zones explain: another file, or a clock that is wrong.
                Some(at) if at > now + LATEST_ZONES_EXPLAIN => {
                    rejected.push((line, format!("{} lies in the future", at.format("%F"))));
                }
                at => rows.push(Seen { line, user_id, email, at: at.map(|at| at.min(now)) }),
            }
        }
        Ok(Self { source: columns.source, rows, rejected, outsiders, is_zone_unknown })
    }
}

impl Columns {
    fn find(path: &Path, header: &csv::StringRecord) -> Result<Self, CommandError> {
        let names: Vec<String> = header.iter().map(plain).collect();
        let named = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        let starting = |with: &[&str]| -> Vec<usize> {
            let is = |name: &String| with.iter().any(|start| name.starts_with(start));
            names.iter().enumerate().filter(|(_, name)| is(name)).map(|(column, _)| column).collect()
        };
        let user_id = named(&["userid", "boxuserid", "id"]);
        let email = named(&["useremail", "email", "emailaddress", "userlogin", "login", "primaryemail"]);
        let activity = starting(&["lastactivity", "lastactive"]);
        let logins = starting(&["lastlogin", "lastsignin"]);
        let source = if activity.is_empty() { Source::UserDetails } else { Source::UserEngagement };
        let seen = [activity, logins].concat();
        if seen.is_empty() || (user_id.is_none() && email.is_none()) {
            let found: Vec<&str> = header.iter().collect();
            return Err(CommandError::usage(format!("{} is neither a User Details nor a User Engagement report", path.display())).hint(format!(
                "it needs a column for the person (User ID or Email) and one for the use (Last Login or Last Activity); it has: {}",
                found.join(", ")
            )));
        }
        Ok(Self { source, user_id, email, user_type: named(&["usertype", "type"]), seen })
    }
}

/// A column's name without case, spaces and brackets: `(User) Email` and `User Email` are the same.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// Spreadsheets keep long ids as text with an apostrophe or as ="…".
fn unquoted(cell: &str) -> String {
    cell.trim_start_matches(['=', '\'']).trim_matches('"').to_owned()
}

fn is_outsider(user_type: &str) -> bool {
    ["unmanaged", "external", "unmanageduser", "externaluser"].contains(&plain(user_type).as_str())
}

/// The sign between the cells: reports have commas, and spreadsheets of half the world save semicolons.
fn delimiter(header: &str) -> u8 {
    [b',', b';', b'\t']
        .into_iter()
        .rev()
        .max_by_key(|sign| header.bytes().filter(|byte| byte == sign).count())
        .unwrap_or(b',')
}

/// The text, with one sign at the end of a line: the CSV reader counts the lines of the other kind one short.
fn text_of(path: &Path, bytes: &[u8]) -> Result<String, CommandError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map(|text| text.replace("\r\n", "\n")).map_err(|e| {
        CommandError::usage(format!("{} is not UTF-8 text", path.display())).because(e).hint(
            "import the CSV file as the console made it, unpacked; a spreadsheet saves it as \"CSV UTF-8\"",
        )
    })
}

fn no_csv(path: &Path, error: csv::Error) -> CommandError {
    CommandError::usage(format!("{} cannot be read as CSV", path.display())).because(error)
}

/// The latest that a stamp read in the wrong zone can lie ahead, and a day to spare.
const LATEST_ZONES_EXPLAIN: TimeDelta = TimeDelta::hours(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: Option<Tz>) -> Result<Report, CommandError> {
        Report::read(
            Path::new("r.csv"),
            text.as_bytes(),
            zone,
            "2026-03-10T00:00:00Z".parse().expect("a time"),
        )
    }

    fn seen(report: &Report) -> Vec<String> {
        let who = |row: &Seen| row.user_id.clone().or(row.email.clone()).unwrap_or_default();
        let at = |row: &Seen| row.at.map_or("-".to_owned(), |at| at.format("%FT%TZ").to_string());
        report.rows.iter().map(|row| format!("{} {}", who(row), at(row))).collect()
    }

    /// Why: Box renames, adds and reorders columns, and spreadsheets save them their own way.
    #[test]
    fn columns_are_found_by_name_wherever_they_stand() {
        let details = "\u{feff}(User) Name,(User) Email,Groups,Status,Last Password Change,Last Login,User Type\r\n\
            \"Doe, Jo\",Jo@Acme.test,\"A,B\",Active,2026-01-01,2026-03-01 10:00:00,Managed\r\n\
            Al,al@acme.test,,Active,,Never,Managed\r\nEx,ex@else.test,,,,2026-03-02 10:00:00,External\r\n";
        let report = read(details, Some(Tz::UTC)).expect("a report");
        assert_eq!((report.source, report.outsiders), (Source::UserDetails, 1));
        assert_eq!(seen(&report), ["jo@acme.test 2026-03-01T10:00:00Z", "al@acme.test -"]);
        let engagement = "User ID;User Name;Last Activity;Storage\n=\"900100\";Jo;2026-03-01;5\n";
        let report = read(engagement, None).expect("a report");
        assert_eq!((report.source, report.is_zone_unknown), (Source::UserEngagement, false));
        assert_eq!(seen(&report), ["900100 2026-03-01T23:59:59Z"]);
    }

    #[test]
    fn what_cannot_be_is_rejected_by_line_and_nothing_lies_ahead_of_now() {
        let text = "Email,Last Login\na@x,soon\n,2026-03-01\nb@x,2026-08-01\nc@x,2026-03-09 23:00:00\n";
        let report = read(text, None).expect("a report");
        assert_eq!(report.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(seen(&report), ["c@x 2026-03-10T00:00:00Z"]);
        assert!(report.is_zone_unknown);
    }

    #[test]
    fn another_file_is_named_with_what_was_missed() {
        for text in ["", "Email,Name\na,b\n", "Last Login\n2026-01-01\n", "seat;cost\n1;2\n"] {
            let error = read(text, None).expect_err(text);
            assert!(error.hints()[0].contains("Last Login or Last Activity"), "{text}");
        }
        assert!(
            Report::read(Path::new("r.xlsx"), b"PK\x03\x04\xff\xfe", None, DateTime::UNIX_EPOCH).is_err()
        );
    }
}
