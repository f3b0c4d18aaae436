//! What lies beside the policy: lists of people on leave, under legal hold, and of who receives whose content, as they are today.
//!
//! A list's age is that of its file, by the clock of the machine it lies on: `--now` moves the data's clock, and no file with it.

use std::path::Path;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::policy::{Holds, Policy, Receiver};
use crate::error::CommandError;
use crate::evidence::{Leave, LeaveList};

/// Everything that is read besides the policy and the night.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Beside {
    /// People on leave; `None`: nobody keeps a list.
    pub(crate) leave: Option<List<Leave>>,
    /// People under legal hold; `None`: the policy moves nothing and says nothing of them.
    pub(crate) holds: Option<List<Hold>>,
    /// Who receives whose content, where a file says so: source and receiver, each an id or a login.
    pub(crate) receivers: Vec<(String, String)>,
    /// Event types read as evidence of use.
    pub(crate) activity_events: Vec<String>,
}

/// A list, and how old it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct List<T> {
    /// Its rows.
    pub(crate) rows: Vec<T>,
    /// Since it was last written.
    pub(crate) age: TimeDelta,
}

/// A person whose account must be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Id or login, in lower case.
    pub(crate) who: String,
    /// Why, as the list says.
    pub(crate) reason: String,
}

impl Beside {
    /// Reads what the policy and the configuration (`[idle] leave_file`, `[sync] activity_events`) name.
    ///
    /// # Errors
    /// Exit 2 with file and line: a row that was skipped could cost somebody the account.
    pub(crate) fn read(
        policy: &Policy,
        leave_file: Option<&Path>,
        activity_events: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self, CommandError> {
        let leave_file = policy.leave_file.as_deref().or(leave_file);
        let leave = leave_file.map(|path| {
            let rows = LeaveList::read(path)?.leaves().to_vec();
            Ok::<_, CommandError>(List { rows, age: age_of(path)? })
        });
        let holds = policy.holds.as_ref().map(|holds| match holds {
            Holds::File(path) => Ok(List { rows: holds_in(path)?, age: age_of(path)? }),
            // A word has an age, too: from the day it was said.
            Holds::NoneStated { on, .. } => {
                Ok(List { rows: Vec::new(), age: now - on.and_time(NaiveTime::MIN).and_utc() })
            }
        });
        let receivers = match &policy.receiver {
            Some(Receiver::File(path)) => receivers_in(path)?,
            _ => Vec::new(),
        };
        Ok(Self {
            leave: leave.transpose()?,
            holds: holds.transpose().map_err(|e: CommandError| e)?,
            receivers,
            activity_events: activity_events.to_vec(),
        })
    }
}

fn holds_in(path: &Path) -> Result<Vec<Hold>, CommandError> {
    let list =
        Csv { path, what: "list of holds", key: "[holds] file", form: "user_id,reason (or login,reason)" };
    let rows = list.rows(&[&["user_id", "login"], &["reason"]])?;
    Ok(rows.into_iter().map(|[who, reason]| Hold { who: who.to_lowercase(), reason }).collect())
}

fn receivers_in(path: &Path) -> Result<Vec<(String, String)>, CommandError> {
    let list = Csv {
        path,
        what: "list of receivers",
        key: "[receiver] file",
        form: "user,receiver, each an id or a login",
    };
    let rows = list.rows(&[&["user", "user_id", "login"], &["receiver", "receiver_id", "receiver_login"]])?;
    for (index, [user, receiver]) in rows.iter().enumerate() {
        if receiver.is_empty() || rows[..index].iter().any(|[other, _]| other.eq_ignore_ascii_case(user)) {
            return Err(list.wrong(format!("row {}: {user} has no receiver, or two", index + 1)));
        }
    }
    Ok(rows.into_iter().map(|[user, receiver]| (user.to_lowercase(), receiver.to_lowercase())).collect())
}

/// A CSV file of two columns.
struct Csv<'a> {
    path: &'a Path,
    what: &'static str,
    key: &'static str,
    form: &'static str,
}

impl Csv<'_> {
    /// Its rows; each column is known by one of several names, and the first must not be empty.
    fn rows(&self, columns: &[&[&str]; 2]) -> Result<Vec<[String; 2]>, CommandError> {
        let bytes = std::fs::read(self.path).map_err(|e| {
            CommandError::usage(format!("cannot read the {} {}", self.what, self.path.display()))
                .because(e)
                .hint(format!("{} names it", self.key))
        })?;
        self.parse(&bytes, columns).map_err(|reason| self.wrong(reason))
    }

    fn wrong(&self, reason: String) -> CommandError {
        CommandError::usage(format!("the {} {}: {reason}", self.what, self.path.display()))
            .hint(format!("its first line is {}", self.form))
    }

    #[expect(clippy::unused_self, reason = "a verb of the list, told apart from its file for tests")]
    fn parse(&self, bytes: &[u8], columns: &[&[&str]; 2]) -> Result<Vec<[String; 2]>, String> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let header = lines.headers().map_err(|e| e.to_string())?.clone();
        let place = |names: &[&str]| {
            let found =
                header.iter().position(|found| names.iter().any(|name| found.eq_ignore_ascii_case(name)));
            found.ok_or_else(|| format!("it has no column {}", names[0]))
        };
        let (first, second) = (place(columns[0])?, place(columns[1])?);
        let mut rows = Vec::new();
        for record in lines.records() {
            let record = record.map_err(|e| e.to_string())?;
            let cell = |column: usize| record.get(column).unwrap_or_default().to_owned();
            if cell(first).is_empty() {
                let line = record.position().map_or(0, csv::Position::line);
                return Err(format!("line {line} names nobody"));
            }
            rows.push([cell(first), cell(second)]);
        }
        Ok(rows)
    }
}

/// How long ago a file was written.
fn age_of(path: &Path) -> Result<TimeDelta, CommandError> {
    let failed = |e| CommandError::usage(format!("cannot tell how old {} is", path.display())).because(e);
    let written = std::fs::metadata(path).and_then(|file| file.modified()).map_err(failed)?;
    match written.elapsed() {
        Ok(age) => Ok(TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX)),
        // Clocks of two machines differ by less than that.
        Err(ahead) if ahead.duration().as_secs() < 300 => Ok(TimeDelta::zero()),
        Err(_) => Err(CommandError::usage(format!("{} was written in the future", path.display()))
            .hint("its date says how old the list is; touch it when it is up to date")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let list = Csv { path: Path::new("holds.csv"), what: "list of holds", key: "", form: "" };
        let parse = |text: &str| list.parse(text.as_bytes(), &[&["user_id", "login"], &["reason"]]);
        let row = |who: &str, why: &str| [who.to_owned(), why.to_owned()];
        assert_eq!(
            parse("\u{feff}Login,Reason\nJo@acme.test ,\"suit, 7\"\n12,\n").unwrap(),
            [row("Jo@acme.test", "suit, 7"), row("12", "")]
        );
        assert_eq!(parse("user_id,reason\n").unwrap(), [[""; 2]; 0]);
        assert_eq!(parse("who,reason\n1,x\n").unwrap_err(), "it has no column user_id");
        assert_eq!(parse("user_id,reason\n1,x\n,y\n").unwrap_err(), "line 3 names nobody");
        assert!(parse("user_id,reason\n1,x,y\n").is_err());
    }

    #[test]
    fn nobody_receives_by_two_rows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("receivers.csv");
        std::fs::write(&path, "user,receiver\nA@b.test,1\na@b.test,2\n").unwrap();
        assert_eq!(receivers_in(&path).unwrap_err().exit_code(), 2);
        std::fs::write(&path, "user,receiver\nA@b.test,C@b.test\n").unwrap();
        assert_eq!(receivers_in(&path).unwrap(), [("a@b.test".to_owned(), "c@b.test".to_owned())]);
        let written = std::fs::File::options().write(true).open(&path).unwrap();
        let days_ago = std::time::Duration::from_secs(9 * 86_400);
        written.set_modified(written.metadata().unwrap().modified().unwrap() - days_ago).unwrap();
        assert_eq!(age_of(&path).unwrap().num_days(), 9);
    }
}
