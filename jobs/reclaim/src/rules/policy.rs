//! The reclamation policy: a TOML file that says which users may lose a seat.
//!
//! It is read strictly: an unknown key, a figure out of range or a missing required key is an error with its line, because a rule
//! that was skipped silently could cost a user the account. The digest covers the values, and no comment or order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::Stage;
use boxseat_storage::toml_file::explain;
use chrono::{NaiveDate, TimeDelta};

use super::policy_file::{self, File};
use crate::error::Error;
use crate::journal::operator::{OsUserCounts, operators_needed};

/// A policy whose values have been checked against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// `sha256:` and 64 hexadecimal digits over its values.
    pub digest: String,
    /// What counts as use (R2).
    pub(crate) evidence: Evidence,
    /// The furthest stage.
    pub(crate) furthest_stage: Stage,
    /// Proven idle days before a suspension (R8).
    pub(crate) suspend_after_idle_days: i64,
    /// Days between suspension and transfer.
    pub(crate) transfer_after_days: i64,
    /// Days between suspension and deletion.
    pub(crate) delete_after_days: i64,
    /// What happens to owners of shared content (R6).
    pub(crate) shared_content: SharedContent,
    /// The time within which a plan may be applied.
    pub(crate) plan_max_age: TimeDelta,
    /// Whether Box notifies the users concerned (R13).
    pub(crate) notify: bool,
    /// The users to which it applies.
    pub(crate) who: Who,
    /// The users to which it never applies (R4).
    pub(crate) protect: Protect,
    /// What it says about legal holds (R3); present if the policy transfers or deletes.
    pub holds: Option<Holds>,
    /// A leave list in addition to the snapshot's own.
    pub leave_file: Option<PathBuf>,
    /// Who receives the content; present if the policy transfers.
    pub receiver: Option<Receiver>,
    /// What follows when Box refuses to move content from an inactive account (R14).
    pub(crate) when_refused: WhenRefused,
    /// The maximum number of users in any thirty days (R8).
    pub(crate) caps: Caps,
    /// Who must approve (R9).
    pub approval: Approval,
    /// A policy that `--policy` added: its lists of holds and of leave count in addition.
    pub added: Option<Box<Policy>>,
}

/// What counts as use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Sign-ins and activity: a day counts as idle only if both were watched.
    Activity,
    /// Sign-ins alone, though installed applications stay signed in for months without one.
    LoginOnly {
        /// Whether that is enough to transfer and delete.
        may_delete: bool,
    },
}

/// What happens to users whose folders are shared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SharedContent {
    /// They are excluded.
    LeaveOut,
    /// Their content moves first; they are suspended after that.
    TransferFirst,
    /// They are suspended, and their folders close for all collaborators unless Box keeps them open.
    SuspendAnyway,
}

/// The users to which the policy applies; an empty set is no restriction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Who {
    /// `accounts.seat_state` of users that may be suspended.
    pub(crate) seat_states: BTreeSet<String>,
    /// Ids or names of groups; the user must be in one of them.
    pub(crate) groups: BTreeSet<String>,
    /// Tracking codes; the user must have one of them.
    pub(crate) tracking_codes: BTreeSet<Code>,
}

/// Users on which boxseat never acts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Protect {
    /// Box user ids.
    pub(crate) ids: BTreeSet<String>,
    /// Addresses, in lower case.
    pub(crate) logins: BTreeSet<String>,
    /// Ids or names of groups.
    pub(crate) groups: BTreeSet<String>,
    /// Tracking codes.
    pub(crate) tracking_codes: BTreeSet<Code>,
}

/// A tracking code with its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What the policy says about users whose accounts must be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// A list of them.
    File(PathBuf),
    /// A statement that there are none.
    NoneStated {
        /// Who.
        by: String,
        /// When.
        on: NaiveDate,
    },
}

/// Who gets the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// One account for all content: id or login.
    Account(String),
    /// The account that this tracking code names: id or login.
    ManagerTrackingCode(String),
    /// A list: CSV user, receiver.
    File(PathBuf),
}

/// What follows when Box refuses to move content from an inactive account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenRefused {
    /// The content stays, and the seat stays taken.
    Stop,
    /// The account is made active for the transfer and suspended again right after it.
    Reactivate,
}

/// The caps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Caps {
    /// Users.
    pub(crate) people: u64,
    /// Share of the assigned seats, in percent.
    pub(crate) seats_percent: f64,
}

impl Caps {
    /// R8: the maximum number of users, by the lower of both caps.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a number of users, rounded down"
    )]
    pub(crate) fn most(&self, seats_assigned: u64) -> u64 {
        self.people.min((seats_assigned as f64 * self.seats_percent / 100.0).floor() as u64)
    }
}

/// Who must approve a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The list of allowed signers; `None`: the operating system's user is enough.
    pub(crate) allowed_signers: Option<PathBuf>,
    /// Whether the planner may not approve.
    pub(crate) is_two_person: bool,
    /// How many different approvers are needed; at least 1.
    pub(crate) approvers: u32,
}

impl Default for Approval {
    fn default() -> Self {
        Self { allowed_signers: None, is_two_person: false, approvers: 1 }
    }
}

impl Approval {
    /// How approvals depend on the user of the operating system.
    pub fn os_user_counts(&self) -> OsUserCounts {
        let users = operators_needed(self.is_two_person, self.approvers);
        OsUserCounts::of(users, self.allowed_signers.is_some())
    }
}

impl Policy {
    /// Reads the file.
    ///
    /// # Errors
    /// `Usage` with the line and the allowed values.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::usage(format!("cannot read the reclamation policy {}", path.display()))
                .because(e)
                .hint("[reclaim] policy in boxseat.toml or --policy names it; boxseat.example-policy.toml shows every key")
        })?;
        Self::parse(&path.display().to_string(), &text, path.parent().unwrap_or(Path::new("")))
    }

    /// The files that it names, and the purpose of each.
    pub fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let holds = match &self.holds {
            Some(Holds::File(file)) => Some(file),
            _ => None,
        };
        let receivers = match &self.receiver {
            Some(Receiver::File(file)) => Some(file),
            _ => None,
        };
        let named = [
            ("the list of holds", holds),
            ("the leave list", self.leave_file.as_ref()),
            ("the list of receivers", receivers),
            ("the list of signers", self.approval.allowed_signers.as_ref()),
        ];
        named.into_iter().filter_map(|(what, file)| Some((what, file?.clone()))).collect()
    }

    /// The same from text; paths in it are relative to `directory`.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn parse(name: &str, text: &str, directory: &Path) -> Result<Self, Error> {
        let file: File = toml::from_str(text).map_err(|e| explain(name, text, &e))?;
        Self::check(&file, directory).map_err(|wrong| {
            let line = policy_file::line_of(text, wrong.section, wrong.key);
            let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}, line {line}"));
            let key = match wrong.section {
                "" => wrong.key.to_owned(),
                section => format!("[{section}] {}", wrong.key),
            };
            Error::usage(format!("{place}: {key}: {}", wrong.reason))
        })
    }

    fn check(file: &File, directory: &Path) -> Result<Self, Wrong> {
        let days = |key: &'static str, days: u32, range: std::ops::RangeInclusive<u32>| {
            let reason = || format!("{days} is not within {} to {} days", range.start(), range.end());
            if range.contains(&days) { Ok(i64::from(days)) } else { Err(wrong("", key, reason())) }
        };
        let policy = Self {
            digest: file.digest(),
            evidence: file.evidence()?,
            furthest_stage: file.furthest_stage,
            suspend_after_idle_days: days("suspend_after_idle_days", file.suspend_after_idle_days, 1..=3650)?,
            transfer_after_days: days("transfer_after_days", file.transfer_after_days, 0..=3650)?,
            delete_after_days: days(
                "delete_after_days",
                file.delete_after_days,
                LEAST_DELETE_AFTER_DAYS..=3650,
            )?,
            shared_content: file.shared_content.into(),
            plan_max_age: match file.plan_max_age_hours {
                hours @ 1..=720 => TimeDelta::hours(i64::from(hours)),
                hours => {
                    return Err(wrong(
                        "",
                        "plan_max_age_hours",
                        format!("{hours} is not within 1 to 720 hours"),
                    ));
                }
            },
            notify: file.notify,
            who: file.who()?,
            protect: file.protect()?,
            holds: file.holds(directory)?,
            leave_file: file.leave.file.as_ref().map(|path| directory.join(path)),
            receiver: file.receiver(directory)?,
            when_refused: file.transfer.when_refused.into(),
            caps: file.caps()?,
            approval: file.approval(directory)?,
            added: None,
        };
        policy.agrees()?;
        Ok(policy)
    }

    /// What one value requires of another.
    fn agrees(&self) -> Result<(), Wrong> {
        let moves = self.moves_content();
        let login_only = matches!(self.evidence, Evidence::LoginOnly { may_delete: false });
        if login_only && self.shared_content == SharedContent::TransferFirst {
            return Err(wrong(
                "",
                "shared_content",
                "\"transfer_first\" moves content by the evidence of sign-ins alone, and Drive and mobile applications can be \
                    used without a sign-in: it needs evidence = \"activity\", or login_only_delete = true",
            ));
        }
        if login_only && self.furthest_stage > Stage::Suspend {
            return Err(wrong(
                "",
                "furthest_stage",
                "evidence = \"login_only\" allows no stage after \"suspend\", because Drive and mobile applications can be \
                    used without a sign-in: set evidence = \"activity\", or login_only_delete = true",
            ));
        }
        if moves && self.holds.is_none() {
            return Err(wrong(
                "",
                "furthest_stage",
                "a policy that transfers or deletes must say who is under legal hold: [holds] file, or none_stated_by and \
                    none_stated_on (boxseat cannot read holds)",
            ));
        }
        if moves && self.receiver.is_none() {
            return Err(wrong(
                "",
                "furthest_stage",
                "a policy that transfers must name a receiver: [receiver] account, manager_tracking_code or file",
            ));
        }
        if self.furthest_stage == Stage::Delete && self.delete_after_days <= self.transfer_after_days {
            let reason = format!(
                "{} days after the suspension is not later than transfer_after_days = {}: content is moved and the account is \
                    read as empty twice, 20 hours apart, before it is deleted",
                self.delete_after_days, self.transfer_after_days
            );
            return Err(wrong("", "delete_after_days", reason));
        }
        Ok(())
    }

    /// Whether the policy moves content.
    pub(crate) fn moves_content(&self) -> bool {
        self.furthest_stage > Stage::Suspend || self.shared_content == SharedContent::TransferFirst
    }

    /// Names of the tracking codes it uses: a change of one of them is a change of the user (R12).
    pub fn code_names(&self) -> Vec<&str> {
        let codes = self.who.tracking_codes.iter().chain(&self.protect.tracking_codes);
        let manager = match &self.receiver {
            Some(Receiver::ManagerTrackingCode(name)) => Some(name.as_str()),
            _ => None,
        };
        let names: BTreeSet<&str> = codes.map(|code| code.name.as_str()).chain(manager).collect();
        names.into_iter().collect()
    }
}

/// An invalid value.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) reason: String,
}

pub(super) fn wrong(section: &'static str, key: &'static str, reason: impl Into<String>) -> Wrong {
    Wrong { section, key, reason: reason.into() }
}

/// A deletion needs sign-ins watched for 48 hours after the suspension (R11).
const LEAST_DELETE_AFTER_DAYS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn parse(text: &str) -> Result<Policy, Error> {
        Policy::parse("policy.toml", text, Path::new("/etc/boxseat"))
    }

    fn refusal(text: &str) -> String {
        let error = parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.lines().join("\n")
    }

    #[test]
    fn missing_keys_have_the_defaults_of_the_rules() {
        let policy = parse("evidence = \"login_only\"\n").unwrap();
        assert_eq!(policy.furthest_stage, Stage::Suspend);
        assert_eq!((policy.suspend_after_idle_days, policy.delete_after_days), (90, 30));
        assert_eq!((policy.caps.people, policy.caps.seats_percent), (100, 2.0));
        assert_eq!(policy.plan_max_age, TimeDelta::hours(168));
        assert_eq!((policy.shared_content, policy.notify), (SharedContent::LeaveOut, false));
    }

    /// R2: the evidence has no default, and sign-ins alone only allow suspensions unless the policy says otherwise.
    #[test]
    fn evidence_has_no_default() {
        assert!(refusal("furthest_stage = \"suspend\"\n").contains("missing field `evidence`"));
        assert!(refusal("evidence = \"anything\"\n").contains("line 1"));
        let delete = "furthest_stage = \"delete\"\n[holds]\nfile = \"holds.csv\"\n[receiver]\naccount = \"archive@acme.test\"\n";
        let text = refusal(&format!("evidence = \"login_only\"\n{delete}"));
        assert!(
            text.contains("policy.toml, line 2: furthest_stage") && text.contains("login_only_delete = true"),
            "{text}"
        );
        assert!(parse(&format!("evidence = \"login_only\"\nlogin_only_delete = true\n{delete}")).is_ok());
        assert!(parse(&format!("evidence = \"activity\"\n{delete}")).is_ok());
        assert!(refusal("evidence = \"activity\"\nlogin_only_delete = true\n").contains("line 2"));
    }

    /// R3: a policy that transfers or deletes says who is under legal hold.
    #[test]
    fn transfers_and_deletions_need_a_statement_on_holds() {
        let to = "[receiver]\naccount = \"archive@acme.test\"\n";
        let with = |stage: &str, holds: &str| {
            format!("evidence = \"activity\"\nfurthest_stage = \"{stage}\"\n{to}{holds}")
        };
        for stage in ["transfer", "delete"] {
            assert!(refusal(&with(stage, "")).contains("[holds]"));
        }
        assert!(
            refusal(&with("delete", "[holds]\nnone_stated_by = \"Jo\"\n"))
                .contains("line 6: [holds] none_stated_by")
        );
        assert!(
            refusal(&with(
                "delete",
                "[holds]\nfile = \"h.csv\"\nnone_stated_by = \"Jo\"\nnone_stated_on = 2026-03-01\n"
            ))
            .contains("not both")
        );
        let policy =
            parse(&with("delete", "[holds]\nnone_stated_by = \"Jo\"\nnone_stated_on = 2026-03-01\n"))
                .unwrap();
        assert!(matches!(policy.holds, Some(Holds::NoneStated { .. })));
        let policy = parse(&with("delete", "[holds]\nfile = \"h.csv\"\n")).unwrap();
        assert_eq!(policy.holds, Some(Holds::File("/etc/boxseat/h.csv".into())));
    }

    /// R6: a policy that moves content first is a policy that moves content.
    #[test]
    fn transfer_first_needs_what_a_transfer_needs() {
        let with = |head: &str, tail: &str| format!("{head}shared_content = \"transfer_first\"\n{tail}");
        let tail = "[holds]\nfile = \"h.csv\"\n[receiver]\nmanager_tracking_code = \"Manager\"\n";
        assert!(refusal(&with("evidence = \"login_only\"\n", tail)).contains("line 2: shared_content"));
        assert!(refusal(&with("evidence = \"activity\"\n", "")).contains("[holds]"));
        assert!(parse(&with("evidence = \"login_only\"\nlogin_only_delete = true\n", tail)).is_ok());
    }

    #[test]
    fn every_error_names_its_line() {
        for (text, told) in [
            ("evidence = \"activity\"\nsuspend_after_idle_dais = 90\n", "line 2"),
            (
                "evidence = \"activity\"\nsuspend_after_idle_days = 0\n",
                "line 2: suspend_after_idle_days: 0 is not within",
            ),
            ("evidence = \"activity\"\n\nplan_max_age_hours = 9000\n", "line 3: plan_max_age_hours"),
            ("evidence = \"activity\"\n[who]\nroles = [\"coadmin\"]\n", "line 3: [who] roles"),
            ("evidence = \"activity\"\n[who]\nseat_states = [\"idel\"]\n", "line 3: [who] seat_states"),
            ("evidence = \"activity\"\n[protect]\nids = [\"jo@acme.test\"]\n", "line 3: [protect] ids"),
            ("evidence = \"activity\"\n[protect]\nlogins = [\"jo\"]\n", "line 3: [protect] logins"),
            (
                "evidence = \"activity\"\n[protect]\ntracking_codes = [\"VIP\"]\n",
                "line 3: [protect] tracking_codes",
            ),
            ("evidence = \"activity\"\n[caps]\npeople = 0\n", "line 3: [caps] people"),
            ("evidence = \"activity\"\n[caps]\nseats_percent = 200.0\n", "line 3: [caps] seats_percent"),
            ("evidence = \"activity\"\n[approval]\nkind = \"signed\"\n", "line 3: [approval] kind"),
            (
                "evidence = \"activity\"\n[receiver]\naccount = \"a@acme.test\"\nfile = \"r.csv\"\n",
                "line 3: [receiver] account",
            ),
        ] {
            let told_really = refusal(text);
            assert!(told_really.contains(told), "{text}: {told_really}");
        }
        let error = parse("evidence = \"activity\"\n[caps]\npersons = 5\n").unwrap_err();
        assert_eq!(error.hints(), ["there is no key `persons`; the nearest one is `people`"]);
    }

    /// R7: the digest covers the values, not the notation.
    #[test]
    fn comments_and_order_do_not_change_the_digest() {
        let digest = |text: &str| parse(text).unwrap().digest;
        let one = digest(
            "# ours\nevidence = \"activity\"\nnotify = false\n[protect]\nids = [\"2\", \"1\"]\n[caps]\npeople = 100\n",
        );
        assert_eq!(
            one,
            digest("notify = false\nevidence = 'activity'\n\n[caps]\n[protect]\nids = ['1', '2', '1']\n")
        );
        assert!(one.starts_with("sha256:") && one.len() == 71, "{one}");
        assert_ne!(one, digest("evidence = \"activity\"\n[protect]\nids = [\"1\"]\n"));
        assert_ne!(
            one,
            digest(
                "evidence = \"activity\"\nsuspend_after_idle_days = 91\n[protect]\nids = [\"1\", \"2\"]\n"
            )
        );
    }

    /// Why: users do not find a key that the example lacks, and rely on a default that it shows wrongly.
    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let example = include_str!("../../../../boxseat.example-policy.toml");
        let given = parse(example).unwrap();
        assert_eq!(given.evidence, Evidence::Activity);
        let lines: Vec<&str> = example.lines().collect();
        let is_setting =
            |line: &str| line.starts_with('#') && line.contains(" = ") && !line.starts_with("# ");
        let mut shown = BTreeSet::new();
        for (place, line) in lines.iter().enumerate().filter(|(_, line)| is_setting(line)) {
            let taken = |(index, text): (usize, &&str)| {
                if index == place { text[1..].to_owned() } else { (*text).to_owned() }
            };
            let text: Vec<String> = lines.iter().enumerate().map(taken).collect();
            let file: File = toml::from_str(&text.join("\n")).unwrap_or_else(|e| panic!("{line}: {e}"));
            let section = lines[..place].iter().rev().find(|line| line.starts_with('[')).unwrap_or(&"[]");
            let key = line[1..].split(' ').next().unwrap();
            shown.insert(format!("{section}{key}"));
            // A default that is written out changes nothing.
            if ["[]", "[caps]"].contains(section) || ["kind", "two_person"].contains(&key) {
                assert_eq!(file.digest(), given.digest, "{line} is not the default");
            }
        }
        let file: File = toml::from_str(example).unwrap();
        let keys = serde_json::to_value(&file).unwrap();
        for (name, value) in keys.as_object().unwrap() {
            match value.as_object() {
                None => {
                    assert!(name == "evidence" || shown.contains(&format!("[]{name}")), "{name} is not shown")
                }
                Some(section) => {
                    for key in section.keys() {
                        assert!(shown.contains(&format!("[{name}]{key}")), "[{name}] {key} is not shown");
                    }
                }
            }
        }
    }

    #[test]
    fn fuzz_policy() {
        boxseat_fuzz::run("policy", |input| {
            if let Ok(text) = std::str::from_utf8(input.mutated) {
                _ = Policy::parse("policy.toml", text, Path::new("/etc"));
            }
            Ok(())
        });
    }
}
