//! Reads the console's *User Details* and *User Engagement* reports by the names of their columns, because Box adds, removes and
//! renames columns, and the admin selects them. `rules` has every word with its source.

use std::path::Path;

use boxseat_schemas::text::{excerpt, visible_line};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::moment::{Order, Stamp};
use super::rules::{self, Column, Headings, Reads};
use super::sheet::{Accepts, Row, Sheet, Unreadable, identifier};
use crate::error::CommandError;

/// The kind of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Has each user's last sign-in.
    UserDetails,
    /// Has each user's last activity of any kind, in UTC.
    UserEngagement,
}

impl Source {
    /// The value of `imported_evidence.source`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UserDetails => "user_details",
            Self::UserEngagement => "user_engagement",
        }
    }
}

/// The content of a report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) source: Source,
    pub(crate) rows: Vec<Seen>,
    /// Lines that could not be read, with the reason.
    pub(crate) rejected: Vec<(u64, String)>,
    /// Rows of users without a seat here: unmanaged and external users.
    pub(crate) outsiders: u64,
    /// Whether a time had no zone and none was given.
    pub(crate) is_zone_unknown: bool,
    /// Rows with a date whose order of day and month is unknown.
    pub(crate) ambiguous_dates: u64,
}

/// The use of one user in a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) line: u64,
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    /// The newest use, as the latest time that the cells can mean; `None` if the row has no use.
    pub(crate) at: Option<DateTime<Utc>>,
}

/// The positions of the columns.
struct Columns {
    source: Source,
    user_id: Option<usize>,
    email: Option<usize>,
    user_type: Option<usize>,
    seen: Vec<(usize, Option<Tz>)>,
}

/// A row before the file's order of day and month is known.
struct Read {
    line: u64,
    user_id: Option<String>,
    email: Option<String>,
    /// Each with the zone for a time without a zone.
    stamps: Vec<(Stamp, Option<Tz>)>,
}

impl Report {
    /// Reads a report. `zone` is the zone of the admin who ran it, for times without a zone.
    ///
    /// # Errors
    /// Exit 2 for a file that is not one of these reports, or whose dates contradict each other.
    pub(crate) fn read(
        path: &Path,
        bytes: &[u8],
        headings: &Headings,
        zone: Option<Tz>,
        now: DateTime<Utc>,
    ) -> Result<Self, CommandError> {
        let is_heading = |row: &[String]| Columns::find(row, headings, zone).is_some();
        let sheet =
            Sheet::read(bytes, Accepts::Report, is_heading).map_err(|e| unreadable(path, e, headings))?;
        let columns = Columns::find(&sheet.heading, headings, zone).expect("the sheet has found the heading");
        let (mut order, mut read, mut rejected, mut outsiders) =
            (Order::default(), Vec::new(), Vec::new(), 0);
        for row in &sheet.rows {
            if columns.user_type.is_some_and(|column| is_outsider(row.cell(column))) {
                outsiders += 1;
                continue;
            }
            match columns.read(row) {
                Ok(row) => {
                    row.stamps.iter().for_each(|(stamp, _)| stamp.add_to(&mut order));
                    read.push(row);
                }
                Err(reason) => rejected.push((row.line, reason)),
            }
        }
        if order.is_mixed() {
            return Err(CommandError::usage(format!(
                "{} has dates with the day first and dates with the month first",
                shown(path)
            ))
            .hint("run the report again, or write the dates as 2026-03-31"));
        }
        let stamps = || read.iter().flat_map(|row| &row.stamps);
        let is_zone_unknown = stamps().any(|(stamp, zone)| zone.is_none() && !stamp.has_zone());
        let is_ambiguous = |row: &&Read| row.stamps.iter().any(|(stamp, _)| stamp.is_ambiguous(order));
        let ambiguous_dates = read.iter().filter(is_ambiguous).count() as u64;
        let mut rows = Vec::new();
        for Read { line, user_id, email, stamps } in read {
            let latest = stamps.iter().map(|(stamp, zone)| stamp.latest(order, *zone, now));
            match latest.collect::<Result<Vec<_>, _>>().map(|moments| moments.into_iter().max()) {
                // Later than a wrong zone can explain: not such a report, or a wrong clock.
                Ok(Some(at)) if at > now + LARGEST_ZONE_ERROR => {
                    rejected.push((line, format!("{} is in the future", at.format("%F"))));
                }
                // Programs write 1970-01-01 and 1899-12-30 for a missing time.
                Ok(Some(at)) if at < FOUNDED => {
                    rejected.push((line, format!("{} is before Box existed", at.format("%F"))));
                }
                Ok(at) => rows.push(Seen { line, user_id, email, at: at.map(|at| at.min(now)) }),
                Err(reason) => rejected.push((line, reason.to_string())),
            }
        }
        rejected.sort();
        Ok(Self { source: columns.source, rows, rejected, outsiders, is_zone_unknown, ambiguous_dates })
    }
}

impl Columns {
    /// Finds the columns; `None` for a row that is not the heading of a report.
    fn find(heading: &[String], headings: &Headings, zone: Option<Tz>) -> Option<Self> {
        let places = |column| headings.places(column, heading);
        let first = |column| places(column).first().copied();
        let in_zone = |column, zone: Option<Tz>| {
            let is_utc = |place: &usize| rules::is_utc(&heading[*place]);
            places(column)
                .into_iter()
                .map(move |place| (place, if is_utc(&place) { Some(Tz::UTC) } else { zone }))
        };
        let activity: Vec<_> = in_zone(Column::LastActivity, Some(Tz::UTC)).collect();
        let source = if activity.is_empty() { Source::UserDetails } else { Source::UserEngagement };
        let seen: Vec<_> = activity.into_iter().chain(in_zone(Column::LastLogin, zone)).collect();
        let (user_id, email) = (first(Column::UserId), first(Column::Login));
        let is_heading = !seen.is_empty() && (user_id.is_some() || email.is_some());
        is_heading.then(|| Self { source, user_id, email, user_type: first(Column::UserType), seen })
    }

    fn read(&self, row: &Row) -> Result<Read, String> {
        if row.has_surplus {
            return Err("it has more cells than the heading".to_owned());
        }
        let text = |column: Option<usize>| column.map(|c| row.cell(c)).filter(|cell| !cell.is_empty());
        let user_id = text(self.user_id).map(identifier);
        let email = text(self.email).map(|cell| {
            let address = identifier(cell).to_lowercase();
            address.strip_prefix("mailto:").unwrap_or(&address).to_owned()
        });
        if user_id.is_none() && email.is_none() {
            return Err("it names no user".to_owned());
        }
        let mut stamps = Vec::new();
        for (column, zone) in &self.seen {
            let stamp = Stamp::read(row.cell(*column)).map_err(|reason| reason.to_string())?;
            stamps.extend(stamp.map(|stamp| (stamp, *zone)));
        }
        Ok(Read { line: row.line, user_id, email, stamps })
    }
}

fn is_outsider(user_type: &str) -> bool {
    let user_type = rules::plain(user_type);
    rules::words(Reads::Outsider).any(|outsider| outsider == user_type)
}

/// A path in one line. Line breaks in it are escaped, so that it cannot imitate another line of the log.
pub(crate) fn shown(path: &Path) -> String {
    visible_line(&path.display().to_string())
}

fn unreadable(path: &Path, reason: Unreadable, headings: &Headings) -> CommandError {
    match reason {
        Unreadable::NoHeading(found) => {
            // The first line of a file without any of these columns is not shown: the file may be any file, such as one with a secret.
            let has = if headings.knows_any(&found) {
                format!("; it has: {}", excerpt(&found.join(", ")))
            } else {
                String::new()
            };
            CommandError::usage(format!("{} is neither a User Details nor a User Engagement report", shown(path)))
                .hint(format!(
                    "it needs a column for the user (User ID or Email) and one for the use (Last Login or Last Activity){has}; [imports.columns] maps translated headings"
                ))
        }
        reason => CommandError::usage(format!("{} cannot be read as CSV: {reason}", shown(path))).hint(
            "import the unpacked CSV file of the console; from a spreadsheet, save it as \"CSV UTF-8\"",
        ),
    }
}

/// The largest error of a time that was read in a wrong zone, and one day.
const LARGEST_ZONE_ERROR: TimeDelta = TimeDelta::hours(50);

/// <https://en.wikipedia.org/wiki/Box,_Inc.>
const FOUNDED: DateTime<Utc> = DateTime::from_timestamp(1_104_537_600, 0).expect("2005-01-01");

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: Option<Tz>) -> Result<Report, CommandError> {
        Report::read(
            Path::new("r.csv"),
            text.as_bytes(),
            &Headings::default(),
            zone,
            "2026-03-10T00:00:00Z".parse().expect("a time"),
        )
    }

    fn seen(report: &Report) -> Vec<String> {
        let who = |row: &Seen| row.user_id.clone().or(row.email.clone()).unwrap_or_default();
        let at = |row: &Seen| row.at.map_or("-".to_owned(), |at| at.format("%FT%TZ").to_string());
        report.rows.iter().map(|row| format!("{} {}", who(row), at(row))).collect()
    }

    /// Why: Box renames, adds and reorders columns, and spreadsheets save files in different ways.
    #[test]
    fn columns_are_found_by_name_at_any_position() {
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
    fn impossible_times_are_rejected_by_line_and_no_use_is_after_now() {
        let text = "Email,Last Login\na@x,soon\n,2026-03-01\nb@x,2026-08-01\nc@x,2026-03-09 23:00:00\n\
            d@x,1970-01-01\ne@x,f,2026-03-01\ng@x,30/2/2026\n";
        let report = read(text, None).expect("a report");
        assert_eq!(report.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4, 6, 7, 8]);
        assert_eq!(seen(&report), ["c@x 2026-03-10T00:00:00Z"]);
        assert!(report.is_zone_unknown);
    }

    #[test]
    fn hint_for_another_file_names_the_missing_columns() {
        for text in ["", "Email,Name\na,b\n", "Last Login\n2026-01-01\n", "seat;cost\n1;2\n"] {
            let error = read(text, None).expect_err(text);
            assert!(error.hints()[0].contains("Last Login or Last Activity"), "{text}");
        }
        assert!(
            Report::read(
                Path::new("r.xlsx"),
                b"PK\x03\x04\xff\xfe",
                &Headings::default(),
                None,
                DateTime::UNIX_EPOCH
            )
            .is_err()
        );
    }

    /// Why: `import` showed the first line of any file that boxseat could read.
    #[test]
    fn heading_is_shown_only_if_it_has_a_known_column() {
        let hint = |text: &str| read(text, None).expect_err(text).hints()[0].clone();
        for text in
            ["Zx9Secret\n", "Zx9,Zx9\n1,2\n", "-----BEGIN PRIVATE KEY-----\nZx9\n", "{\"Zx9\": \"Zx9\"}\n"]
        {
            assert!(!hint(text).contains("Zx9") && !hint(text).contains("it has"), "{}", hint(text));
        }
        assert!(hint("Email,Dernière connexion\na@x,1\n").contains("; it has: Email, Dernière connexion; "));
    }

    #[test]
    fn ambiguous_day_and_month_are_counted() {
        let report =
            read("Email,Last Login\na@x,2/3/2026\nb@x,2026-03-01\n", Some(Tz::UTC)).expect("a report");
        assert_eq!((report.ambiguous_dates, seen(&report)[0].as_str()), (1, "a@x 2026-03-02T23:59:59Z"));
        let report =
            read("Email,Last Login\na@x,2/3/2026\nb@x,13/1/2026\n", Some(Tz::UTC)).expect("a report");
        assert_eq!((report.ambiguous_dates, seen(&report)[0].as_str()), (0, "a@x 2026-03-02T23:59:59Z"));
        assert!(read("Email,Last Login\na@x,1/13/2026\nb@x,13/1/2026\n", None).is_err());
    }

    /// Why: a report with both columns has activity in UTC and sign-ins in the zone of the admin who ran it.
    #[test]
    fn each_column_has_its_own_zone() {
        let zone = Some(Tz::America__Los_Angeles);
        let text = "Email,Last Activity,Last Login\na@x,2026-03-01 10:00:00,2026-03-01 09:00:00\n";
        assert_eq!(seen(&read(text, zone).expect("a report")), ["a@x 2026-03-01T17:00:00Z"]);
        let text = "Email,Last Login (UTC)\na@x,2026-03-01 09:00:00\n";
        let report = read(text, None).expect("a report");
        assert_eq!((report.is_zone_unknown, seen(&report)[0].as_str()), (false, "a@x 2026-03-01T09:00:00Z"));
    }

    #[test]
    fn fuzz_report() {
        let now: DateTime<Utc> = "2026-03-10T00:00:00Z".parse().expect("a time");
        boxseat_fuzz::run("report", |input| {
            match Report::read(Path::new("r.csv"), input.mutated, &Headings::default(), None, now) {
                Ok(report) if report.rows.iter().any(|row| row.at.is_some_and(|at| at > now)) => {
                    Err("a use in the future was accepted".to_owned())
                }
                _ => Ok(()),
            }
        });
    }
}
