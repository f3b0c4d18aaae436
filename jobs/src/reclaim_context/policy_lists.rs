//! Reads the lists that a policy and the configuration name.
//!
//! The age of a list is the age of its file, by the clock of the machine that stores it: `--now` moves the data's clock, and no
//! file with it.

use std::path::Path;

use boxseat_reclaim::rules::evaluator::{Refusal, Subject};
use boxseat_reclaim::rules::policy::{Holds, Policy, Receiver};
use boxseat_reclaim::rules::policy_inputs::{Hold, InputFile, List, PolicyInputs};
use boxseat_schemas::text::{excerpt, quoted};
use boxseat_storage::durable;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use crate::error::CommandError;
use crate::evidence::{Accepts, LeaveList, Sheet, Unreadable, identifier};

/// Reads the files that the policy and the configuration (`[idle] leave_file`, `[sync] activity_events`) name.
///
/// # Errors
/// Exit 2 with file and line: a skipped row could cost a user the account.
pub(crate) fn read(
    policy: &Policy,
    leave_file: Option<&Path>,
    activity_events: &[String],
    now: DateTime<Utc>,
) -> Result<PolicyInputs, CommandError> {
    let (inputs, mut failures) = gather(policy, leave_file, activity_events, now);
    if failures.is_empty() { Ok(inputs) } else { Err(failures.swap_remove(0).1) }
}

/// The same for commands that continue without a list: a leaver is locked out, and an undo is done, whatever the state of a
/// list (R18, R19).
pub(crate) fn read_readable(
    policy: &Policy,
    leave_file: Option<&Path>,
    activity_events: &[String],
    now: DateTime<Utc>,
) -> PolicyInputs {
    let (inputs, failures) = gather(policy, leave_file, activity_events, now);
    let refusal = |(subject, error): (Subject, CommandError)| {
        let sentence = error.lines().iter().chain(error.hints()).cloned().collect::<Vec<_>>().join("; ");
        Refusal { subject, sentence }
    };
    PolicyInputs { unreadable: failures.into_iter().map(refusal).collect(), ..inputs }
}

/// What can be read, and the failures of the rest, each with what it is about.
fn gather(
    policy: &Policy,
    leave_file: Option<&Path>,
    activity_events: &[String],
    now: DateTime<Utc>,
) -> (PolicyInputs, Vec<(Subject, CommandError)>) {
    let mut failures = Vec::new();
    let leave_file = policy.leave_file.as_deref().or(leave_file);
    let held_file = match &policy.holds {
        Some(Holds::File(path)) => Some(path.as_path()),
        _ => None,
    };
    let receiver_file = match &policy.receiver {
        Some(Receiver::File(path)) => Some(path.as_path()),
        _ => None,
    };
    let files: Vec<InputFile> =
        [leave_file, held_file, receiver_file].into_iter().flatten().map(InputFile::of).collect();
    let leave = leave_file.map(|path| {
        let rows = LeaveList::read(path)?.leaves().to_vec();
        Ok::<_, CommandError>(List { rows, age: age_of(path)? })
    });
    let holds = policy.holds.as_ref().map(|holds| match holds {
        Holds::File(path) => Ok(List { rows: holds_in(path)?, age: age_of(path)? }),
        // A statement has an age, too: from its day on.
        Holds::NoneStated { on, .. } => {
            Ok(List { rows: Vec::new(), age: now - on.and_time(NaiveTime::MIN).and_utc() })
        }
    });
    let receivers = match &policy.receiver {
        Some(Receiver::File(path)) => receivers_in(path),
        _ => Ok(Vec::new()),
    };
    let files = files.into_iter().map(InputFile::after_reading).collect();
    let mut inputs =
        PolicyInputs { activity_events: activity_events.to_vec(), files, ..PolicyInputs::default() };
    match leave.transpose() {
        Ok(leave) => inputs.leave = leave,
        Err(e) => failures.push((Subject::Leave, e)),
    }
    match holds.transpose() {
        Ok(holds) => inputs.holds = holds,
        Err(e) => failures.push((Subject::Holds, e)),
    }
    match receivers {
        Ok(receivers) => inputs.receivers = receivers,
        Err(e) => failures.push((Subject::Receivers, e)),
    }
    if let Some(added) = &policy.added {
        let (added, failed) = gather(added, None, &[], now);
        inputs.leave = List::both(inputs.leave, added.leave);
        inputs.holds = List::both(inputs.holds, added.holds);
        inputs.files.extend(added.files);
        failures.extend(failed);
    }
    (inputs, failures)
}

fn holds_in(path: &Path) -> Result<Vec<Hold>, CommandError> {
    let list =
        Csv { path, what: "list of holds", key: "[holds] file", form: "user_id,reason (or login,reason)" };
    let rows = list.rows(&[&["user_id", "login"], &["reason"]])?;
    // A row with an id and a login holds both: after an account was made again, its id names an account that is gone.
    let holds = rows.into_iter().flat_map(|Row { line, users, value }| {
        users.into_iter().map(move |who| Hold { who: who.to_lowercase(), reason: value.clone(), line })
    });
    Ok(holds.collect())
}

fn receivers_in(path: &Path) -> Result<Vec<(String, String)>, CommandError> {
    let list = Csv {
        path,
        what: "list of receivers",
        key: "[receiver] file",
        form: "user,receiver, each an id or a login",
    };
    let rows = list.rows(&[&["user", "user_id", "login"], &["receiver", "receiver_id", "receiver_login"]])?;
    let mut receivers: Vec<(String, String)> = Vec::new();
    for Row { line, users, value: receiver } in rows {
        let [user] = users.as_slice() else {
            let names = excerpt(&users.join(" and "));
            return Err(
                list.wrong(format!("line {line} names the user twice, as {names}: keep one column of them"))
            );
        };
        let user = user.to_lowercase();
        if receiver.is_empty() || receivers.iter().any(|(other, _)| *other == user) {
            return Err(list.wrong(format!("line {line}: {} has no receiver, or two", excerpt(&user))));
        }
        receivers.push((user, receiver.to_lowercase()));
    }
    Ok(receivers)
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    line: u64,
    /// What names the user: an id, a login, or both.
    users: Vec<String>,
    value: String,
}

/// A CSV file about users, with a value each.
struct Csv<'a> {
    path: &'a Path,
    what: &'static str,
    key: &'static str,
    form: &'static str,
}

impl Csv<'_> {
    /// Its rows. Each column has one of several names. Every column that names the user counts, and one must not be empty.
    fn rows(&self, columns: &[&[&str]; 2]) -> Result<Vec<Row>, CommandError> {
        let bytes = durable::read_regular_file(self.path).map_err(|e| {
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

    #[expect(clippy::unused_self, reason = "a method of the list, so that tests need no file")]
    fn parse(&self, bytes: &[u8], columns: &[&[&str]; 2]) -> Result<Vec<Row>, String> {
        let places = |row: &[String], names: &[&str]| -> Vec<usize> {
            let is_named = |cell: &String| names.iter().any(|name| cell.eq_ignore_ascii_case(name));
            row.iter().enumerate().filter(|(_, cell)| is_named(cell)).map(|(place, _)| place).collect()
        };
        let place = |row: &[String], names: &[&str]| places(row, names).first().copied();
        let is_heading = |row: &[String]| columns.iter().all(|names| place(row, names).is_some());
        let sheet = Sheet::read(bytes, Accepts::List, is_heading).map_err(|e| match e {
            Unreadable::NoHeading(found) => {
                let missing = columns.iter().find(|names| place(&found, names).is_none());
                format!("it has no column {}", missing.expect("else it were the heading")[0])
            }
            other => other.to_string(),
        })?;
        let users = places(&sheet.heading, columns[0]);
        let value = place(&sheet.heading, columns[1]).expect("it is the heading");
        let mut rows = Vec::new();
        for row in &sheet.rows {
            let cells: Vec<&str> =
                users.iter().map(|place| row.cell(*place)).filter(|cell| !cell.is_empty()).collect();
            if cells.is_empty() {
                return Err(format!("line {} names no user", row.line));
            }
            if let Some(cell) = cells.iter().find(|cell| cell.contains(char::is_control)) {
                return Err(format!("line {}: {} is no id and no login", row.line, quoted(cell)));
            }
            let users = cells.into_iter().map(identifier).collect();
            rows.push(Row { line: row.line, users, value: identifier(row.cell(value)) });
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
        // Clocks of two machines differ by less than this.
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
        let row = |line: u64, who: &str, why: &str| {
            let users = who.split(' ').map(str::to_owned).collect();
            Row { line, users, value: why.to_owned() }
        };
        assert_eq!(
            parse("\u{feff}Login,Reason\nJo@acme.test ,\"suit, 7\"\n12,\n").unwrap(),
            [row(2, "Jo@acme.test", "suit, 7"), row(3, "12", "")]
        );
        assert!(parse("user_id,reason\n").unwrap().is_empty());
        assert_eq!(parse("who,reason\n1,x\n").unwrap_err(), "it has no column user_id");
        assert_eq!(parse("user_id,reason\n1,x\n,y\n").unwrap_err(), "line 3 names no user");
        assert!(parse("user_id,reason\n1,x,y\n").is_err());
        assert_eq!(
            parse("user_id;reason\n'700101;\"a; b\"\n=\"12\";\n;\n\n").unwrap(),
            [row(2, "700101", "a; b"), row(3, "12", "")],
            "as spreadsheets and the CSV of boxseat write it"
        );
        assert_eq!(
            parse("user_id,reason\n1,\"x\n2,y\n").unwrap_err(),
            "line 2: a quotation mark is opened and never closed",
            "user 2 must not vanish in the reason of user 1"
        );
        assert_eq!(
            parse("user_id,reason\n\"1\n2\",x\n").unwrap_err(),
            "line 2: \"1\\n2\" is no id and no login"
        );
        // The login of a row with an id was not read: a held user whose account was made again lost the seat.
        assert_eq!(
            parse("user_id,login,reason\n12,jo@acme.test,suit\n,ann@acme.test,\n13,,\n").unwrap(),
            [row(2, "12 jo@acme.test", "suit"), row(3, "ann@acme.test", ""), row(4, "13", "")]
        );
        assert_eq!(parse("login,user_id,reason\n,,x\n").unwrap_err(), "line 2 names no user");
    }

    #[test]
    fn a_user_with_two_receivers_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("receivers.csv");
        std::fs::write(&path, "user,receiver\nA@b.test,1\na@b.test,2\n").unwrap();
        assert_eq!(receivers_in(&path).unwrap_err().exit_code(), 2);
        std::fs::write(&path, "user_id,login,receiver\n7,a@b.test,2\n").unwrap();
        assert_eq!(receivers_in(&path).unwrap_err().exit_code(), 2);
        std::fs::write(&path, "user,receiver\nA@b.test,C@b.test\n").unwrap();
        assert_eq!(receivers_in(&path).unwrap(), [("a@b.test".to_owned(), "c@b.test".to_owned())]);
        let written = std::fs::File::options().write(true).open(&path).unwrap();
        let days_ago = std::time::Duration::from_secs(9 * 86_400);
        written.set_modified(written.metadata().unwrap().modified().unwrap() - days_ago).unwrap();
        assert_eq!(age_of(&path).unwrap().num_days(), 9);
    }

    #[test]
    fn fuzz_hold_list() {
        let list = Csv { path: Path::new("holds.csv"), what: "list of holds", key: "", form: "" };
        boxseat_fuzz::run("hold_list", |input| {
            _ = list.parse(input.mutated, &[&["user_id", "login"], &["reason"]]);
            Ok(())
        });
    }

    #[test]
    fn fuzz_receiver_list() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("receivers.csv");
        boxseat_fuzz::run("receiver_list", |input| {
            std::fs::write(&path, input.mutated).expect("a disk with space");
            match receivers_in(&path) {
                Ok(rows) if rows.iter().any(|(_, receiver)| receiver.is_empty()) => {
                    Err("a user without a receiver was accepted".to_owned())
                }
                _ => Ok(()),
            }
        });
    }
}
