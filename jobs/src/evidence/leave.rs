//! The leave list. It has only ids and dates, because the reason of a leave is not needed.

use std::path::Path;

use boxseat_schemas::table::{LEAVE_PERIODS, Rows};
use boxseat_schemas::text::quoted;
use boxseat_storage::digest::sha256_hex;
use boxseat_storage::durable;
use chrono::{DateTime, Datelike, NaiveDate, Utc};

use arrow::array::RecordBatch;
use boxseat_reclaim::rules::policy_inputs::Leave;

use super::sheet::{Accepts, Sheet, Unreadable, identifier, unescaped};
use crate::error::CommandError;

/// A leave list as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LeaveList {
    /// SHA-256 of the file.
    pub(crate) file_digest: String,
    leaves: Vec<Leave>,
}

impl LeaveList {
    /// Reads the list: CSV with the columns `user_id`, `from` and `to`; an empty `to` is a leave without a known end. A column `login` is
    /// read, too.
    ///
    /// # Errors
    /// Exit 2 with the line. No line is skipped, because the user could lose the seat.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let bytes = durable::read_regular_file(path).map_err(|e| {
            CommandError::usage(format!("cannot read the leave list {}", path.display())).because(e).hint(
                "[idle] leave_file names it; without it users on leave would look idle, so nothing is read from Box",
            )
        })?;
        Self::parse(&bytes).map_err(|reason| {
            CommandError::usage(format!("the leave list {}: {reason}", path.display())).hint(
                "its first line must be user_id,from,to and the others like 12345,2026-03-01,2026-08-31",
            )
        })
    }

    /// The list of a store whose leave list is no longer configured.
    pub(crate) fn empty() -> Self {
        Self { file_digest: sha256_hex(b""), leaves: Vec::new() }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        const COLUMNS: [&str; 3] = ["user_id", "from", "to"];
        let place = |row: &[String], name: &str| row.iter().position(|cell| cell.eq_ignore_ascii_case(name));
        let is_heading = |row: &[String]| COLUMNS.iter().all(|name| place(row, name).is_some());
        let sheet = Sheet::read(bytes, Accepts::List, is_heading).map_err(|e| match e {
            Unreadable::NoHeading(found) => {
                let missing = COLUMNS.iter().find(|name| place(&found, name).is_none());
                format!("it has no column {}", missing.expect("a row with all columns is the heading"))
            }
            other => other.to_string(),
        })?;
        let [id, from, to] = COLUMNS.map(|name| place(&sheet.heading, name).expect("it is the heading"));
        let login = place(&sheet.heading, "login");
        let mut leaves = Vec::new();
        for row in &sheet.rows {
            let line = row.line;
            let day = |column: usize| {
                let text = row.cell(column);
                let wrong = || format!("line {line}: {} is not a date such as 2026-03-31", quoted(text));
                date(text).ok_or_else(wrong)
            };
            let user_id = identifier(row.cell(id));
            if user_id.is_empty() || !user_id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("line {line}: {} is not a Box user id", quoted(&user_id)));
            }
            let login = login.map(|column| row.cell(column)).filter(|cell| !cell.is_empty());
            if let Some(login) = login.filter(|login| login.contains(char::is_control)) {
                return Err(format!("line {line}: {} is no login", quoted(login)));
            }
            let leave = Leave {
                line,
                user_id,
                login: login.map(|login| identifier(login).to_lowercase()),
                from: day(from)?,
                to: if row.cell(to).is_empty() { None } else { Some(day(to)?) },
            };
            if leave.to.is_some_and(|to| to < leave.from) {
                return Err(format!("line {line}: it ends before it begins"));
            }
            leaves.push(leave);
        }
        Ok(Self { file_digest: sha256_hex(bytes), leaves })
    }

    /// Its rows, in their order.
    pub(crate) fn leaves(&self) -> &[Leave] {
        &self.leaves
    }

    /// The rows for the run that read the list. An empty list is one row without a user.
    pub(crate) fn rows(&self, read_at: DateTime<Utc>, run_number: i64, enterprise_id: &str) -> RecordBatch {
        let mut rows = Rows::new(LEAVE_PERIODS.lake_schema());
        let mut row = |leave: Option<&Leave>| {
            rows.text(leave.map(|leave| leave.user_id.as_str()))
                .date(leave.map(|leave| leave.from))
                .date(leave.and_then(|leave| leave.to))
                .time(Some(read_at))
                .text(Some(&self.file_digest))
                .text(Some(enterprise_id))
                .big(Some(run_number))
                .end();
        };
        if self.leaves.is_empty() {
            row(None);
        }
        self.leaves.iter().for_each(|leave| row(Some(leave)));
        rows.take_batch()
    }
}

/// A date with the year first. Spreadsheets may write it with slashes, an apostrophe or a time of midnight. Other orders are refused,
/// because a wrong date could end a leave months too early.
fn date(cell: &str) -> Option<NaiveDate> {
    let cell = unescaped(cell);
    let day = [" 00:00:00", "T00:00:00", " 00:00"]
        .iter()
        .find_map(|midnight| cell.strip_suffix(midnight))
        .unwrap_or(cell);
    let read = |form| NaiveDate::parse_from_str(day, form).ok().filter(|day| day.year() >= 1000);
    ["%Y-%m-%d", "%Y/%m/%d"].into_iter().find_map(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_list_is_read_or_refused() {
        let list = LeaveList::parse(b"user_id,from,to\n12,2026-03-01,2026-08-31\n13, 2026-03-01 ,\n")
            .expect("a list");
        assert_eq!(
            list.leaves().iter().map(|leave| leave.user_id.as_str()).collect::<Vec<_>>(),
            ["12", "13"]
        );
        assert_eq!(list.rows(DateTime::UNIX_EPOCH, 1, "9").num_rows(), 2);
        assert_eq!(LeaveList::empty().rows(DateTime::UNIX_EPOCH, 1, "9").num_rows(), 1);
        for (text, reason) in [
            ("id,from,to\n12,2026-03-01,\n", "it has no column user_id"),
            ("user_id,from,to\njo@acme.test,2026-03-01,\n", "line 2: \"jo@acme.test\" is not a Box user id"),
            ("user_id,from,to\n12,1.3.2026,\n", "line 2: \"1.3.2026\" is not a date such as 2026-03-31"),
            ("user_id,from,to\n12,2026-03-02,2026-03-01\n", "line 2: it ends before it begins"),
            ("12,2026-03-01,\nuser_id,from,to\n", "it has no column user_id"),
            ("user_id,from,to\n12,2026-03-01,,x\n", "line 2: it has more cells than the heading"),
            ("user_id,from,to\n7.00101E+10,2026-03-01,\n", "line 2: \"7.00101E+10\" is not a Box user id"),
        ] {
            assert_eq!(LeaveList::parse(text.as_bytes()).expect_err(text), reason);
        }
    }

    /// Why: the login of a row was not read. A user on leave whose account was made again lost the seat.
    #[test]
    fn login_of_a_row_counts_next_to_its_id() {
        let text = "user_id,login,from,to\n12,Jo@Acme.test,2026-03-01,\n13,,2026-03-01,\n";
        let list = LeaveList::parse(text.as_bytes()).expect("a list");
        let logins: Vec<_> = list.leaves().iter().map(|leave| leave.login.as_deref()).collect();
        assert_eq!(logins, [Some("jo@acme.test"), None]);
        let text = "user_id,login,from,to\n12,\"a\nb\",2026-03-01,\n";
        assert_eq!(LeaveList::parse(text.as_bytes()).expect_err(text), "line 2: \"a\\nb\" is no login");
    }

    /// Why: a list that a spreadsheet had saved stopped the run, and the leave of a user did not count.
    #[test]
    fn list_from_a_spreadsheet_or_from_boxseat_is_read() {
        let leave = |line: u64, user_id: &str, to: Option<&str>| Leave {
            line,
            user_id: user_id.to_owned(),
            login: None,
            from: "2026-03-01".parse().expect("a date"),
            to: to.map(|to| to.parse().expect("a date")),
        };
        let wanted = |first: u64| [leave(first, "700101", None), leave(first + 1, "13", Some("2026-08-31"))];
        for text in [
            "user_id,from,to\n700101,2026-03-01,\n13,2026-03-01,2026-08-31\n",
            "\u{feff}User_ID; From ;To\r\n700101;2026-03-01;\r\n13;2026/03/01;2026-08-31\r\n;;\r\n\r\n",
            "user_id\tfrom\tto\n700101\t2026-03-01\n'13\t2026-3-1\t2026-08-31\n",
            "sep=,\nuser_id,remark,from,to\n'700101,\"parental, paid\",2026-03-01,\n=\"13\",,2026-03-01 00:00:00,2026-08-31\n",
        ] {
            let first = if text.starts_with("sep=") { 3 } else { 2 };
            assert_eq!(LeaveList::parse(text.as_bytes()).expect(text).leaves(), wanted(first), "{text}");
        }
    }

    #[test]
    fn fuzz_leave_list() {
        boxseat_fuzz::run("leave_list", |input| {
            _ = LeaveList::parse(input.mutated);
            Ok(())
        });
    }
}
