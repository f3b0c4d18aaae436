//! The list of people on leave: ids and dates only, because nobody needs to know why.

use std::path::Path;

use boxseat_schemas::table::{LEAVE_PERIODS, Rows};
use chrono::{DateTime, NaiveDate, Utc};

use arrow::array::RecordBatch;

use crate::error::CommandError;

/// A leave list as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LeaveList {
    /// SHA-256 of the file.
    pub(crate) file_digest: String,
    leaves: Vec<Leave>,
}

/// One leave: the first day and the last, both included, in UTC.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leave {
    /// Box's id.
    pub(crate) user_id: String,
    /// The first day.
    pub(crate) from: NaiveDate,
    /// The last day; `None`: no end is known.
    pub(crate) to: Option<NaiveDate>,
}

impl LeaveList {
    /// Reads the list: CSV with the columns `user_id`, `from` and `to`; an empty `to` is a leave without a known end.
    ///
    /// # Errors
    /// Exit 2 with the line: a leave that was skipped could cost the person the seat.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let bytes = std::fs::read(path).map_err(|e| {
            CommandError::usage(format!("cannot read the leave list {}", path.display())).because(e).hint(
                "[idle] leave_file names it; without it people on leave would look idle, so nothing is read",
            )
        })?;
        Self::parse(&bytes).map_err(|reason| {
            CommandError::usage(format!("the leave list {}: {reason}", path.display())).hint(
                "its first line is user_id,from,to and the others look like 12345,2026-03-01,2026-08-31",
            )
        })
    }

    /// The list of a store that has none configured any more: nobody is on leave.
    pub(crate) fn of_nobody() -> Self {
        Self { file_digest: super::digest(b""), leaves: Vec::new() }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let header = lines.headers().map_err(|e| e.to_string())?;
        let column = |name: &str| {
            let place = header.iter().position(|found| found.eq_ignore_ascii_case(name));
            place.ok_or_else(|| format!("it has no column {name}"))
        };
        let (id, from, to) = (column("user_id")?, column("from")?, column("to")?);
        let mut leaves = Vec::new();
        for record in lines.records() {
            let record = record.map_err(|e| e.to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |column: usize| record.get(column).unwrap_or_default();
            let date = |column: usize| {
                let text = cell(column);
                text.parse::<NaiveDate>()
                    .map_err(|_| format!("line {line}: {text:?} is not a date such as 2026-03-31"))
            };
            let user_id = cell(id).to_owned();
            if user_id.is_empty() || !user_id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("line {line}: {user_id:?} is not a Box user id"));
            }
            let leave = Leave {
                user_id,
                from: date(from)?,
                to: if cell(to).is_empty() { None } else { Some(date(to)?) },
            };
            if leave.to.is_some_and(|to| to < leave.from) {
                return Err(format!("line {line}: it ends before it begins"));
            }
            leaves.push(leave);
        }
        Ok(Self { file_digest: super::digest(bytes), leaves })
    }

    /// Its rows, in their order.
    pub(crate) fn leaves(&self) -> &[Leave] {
        &self.leaves
    }

    /// The rows of the run that read it; an empty list is one row that names nobody.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_who_and_when_and_nothing_is_skipped() {
        let list = LeaveList::parse(b"user_id,from,to\n12,2026-03-01,2026-08-31\n13, 2026-03-01 ,\n")
            .expect("a list");
        assert_eq!(
            list.leaves().iter().map(|leave| leave.user_id.as_str()).collect::<Vec<_>>(),
            ["12", "13"]
        );
        assert_eq!(list.rows(DateTime::UNIX_EPOCH, 1, "9").num_rows(), 2);
        assert_eq!(LeaveList::of_nobody().rows(DateTime::UNIX_EPOCH, 1, "9").num_rows(), 1);
        for (text, reason) in [
            ("id,from,to\n12,2026-03-01,\n", "it has no column user_id"),
            ("user_id,from,to\njo@acme.test,2026-03-01,\n", "line 2: \"jo@acme.test\" is not a Box user id"),
            ("user_id,from,to\n12,1.3.2026,\n", "line 2: \"1.3.2026\" is not a date such as 2026-03-31"),
            ("user_id,from,to\n12,2026-03-02,2026-03-01\n", "line 2: it ends before it begins"),
        ] {
            assert_eq!(LeaveList::parse(text.as_bytes()).expect_err(text), reason);
        }
    }
}
