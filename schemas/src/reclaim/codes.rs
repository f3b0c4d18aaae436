//! Closed lists of the codes in plans, in the journal and in tables. Each code has its rule, its meaning, and whether it is final.
//!
//! The text of a code is a contract. `make doc` writes the tables of `docs/reclamation.md` from these lists.

use std::fmt;

use serde::{Deserialize, Serialize};

use Ending::{Intended, LaterPlan, NextRead, OperatorLaterPlan, OperatorSamePlan, Passes};

/// Defines an enum whose variants are codes. A row has the code, its rule, what the method named in the head returns, and the meaning.
macro_rules! codes {
    (
        $(#[$attribute:meta])* $name:ident,
        $(#[$fate_attribute:meta])* $fate:ident: $type:ty
        { $($variant:ident = $code:tt, $rule:ident, $value:expr, $meaning:tt;)+ }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $meaning] #[serde(rename = $code)] $variant,)+
        }

        impl $name {
            /// All codes, in the order of the tables in `docs/reclamation.md`.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            fn row(self) -> (&'static str, &'static str, $type, &'static str) {
                match self {
                    $(Self::$variant => ($code, stringify!($rule), $value, $meaning),)+
                }
            }

            /// The form in files, in tables and in texts for users.
            pub fn as_str(self) -> &'static str {
                self.row().0
            }

            /// The rule, such as `R4`.
            pub fn rule(self) -> &'static str {
                self.row().1
            }

            $(#[$fate_attribute])*
            pub fn $fate(self) -> $type {
                self.row().2
            }

            /// The meaning, for users.
            pub fn meaning(self) -> &'static str {
                self.row().3
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl From<$name> for &'static str {
            fn from(code: $name) -> Self {
                code.as_str()
            }
        }
    };
}

codes! {
    /// Why a user is excluded from a plan, skipped by it, or stuck.
    ReasonCode,
    /// What ends the reason.
    ending: Ending
    {
        Admin = "admin", R1, OperatorLaterPlan, "admins and co-admins are never acted on";
        UnknownRole = "unknown_role", R1, OperatorLaterPlan, "the role is not known";
        NoPerson = "no_person", R1, OperatorLaterPlan, "the account looks like a machine";
        NotListed = "not_listed", R1, OperatorLaterPlan, "the account is missing in the latest listing";
        Restricted = "restricted", R1, OperatorLaterPlan, "the status is restricted";
        UnknownStatus = "unknown_status", R1, OperatorLaterPlan, "the status is not known";
        OtherEnterprise = "other_enterprise", R1, OperatorLaterPlan, "of another enterprise, or the enterprise is not known";
        NoLogin = "no_login", R1, OperatorLaterPlan, "the account has no login";
        Unproven = "unproven", R2, LaterPlan, "sign-ins are not covered, so no idle day is proved";
        NotLongEnough = "not_long_enough", R2, LaterPlan, "fewer proven idle days than the policy requires";
        ActivityNotWatched = "activity_not_watched", R2, LaterPlan, "activity events do not cover enough days";
        ActiveSince = "active_since", R2, OperatorLaterPlan, "used after the suspension";
        SuspendedByOther = "suspended_by_other", R3, OperatorLaterPlan, "another actor suspended the account";
        OnHold = "on_hold", R3, Intended, "on the list of holds";
        HoldsUnknown = "holds_unknown", R3, OperatorSamePlan, "no policy says who is under legal hold";
        ListsUnsure = "lists_unsure", R3, OperatorSamePlan, "a list of holds or protected users is wrong or too old";
        Changed = "changed", R3, OperatorLaterPlan, "not as boxseat left it after the suspension";
        EditedByOther = "edited_by_other", R3, OperatorLaterPlan, "another actor edited the account since the suspension";
        EditsNotWatched = "edits_not_watched", R3, OperatorLaterPlan, "edits since the suspension are not covered without a gap";
        Protected = "protected", R4, Intended, "protected by the policy";
        AliasesUnknown = "aliases_unknown", R4, NextRead, "aliases were never read, and one may be protected";
        GroupsUnknown = "groups_unknown", R4, NextRead, "groups were never read, and one may decide";
        Receiver = "receiver", R4, Intended, "receives content of other users, or did within 365 days";
        NoReceiver = "no_receiver", R4, OperatorSamePlan, "no receiver can take the content";
        ReceiverUnfit = "receiver_unfit", R4, OperatorSamePlan, "the receiver of the plan cannot take the content now";
        ReceiverChanged = "receiver_changed", R4, LaterPlan, "the policy names another receiver than the plan";
        Young = "young", R5, LaterPlan, "new, or the creation or first-seen date is not known";
        Returned = "returned", R5, LaterPlan, "returned too recently";
        Undone = "undone", R5, LaterPlan, "given back by undo too recently";
        OnLeave = "on_leave", R5, Intended, "on leave";
        OwnsSharedContent = "owns_shared_content", R6, OperatorLaterPlan, "owns shared folders";
        InOpenPlan = "in_open_plan", R8, LaterPlan, "in another open plan";
        SuspendedSince = "suspended_since", R8, LaterPlan, "suspended by boxseat after the snapshot was read";
        Waiting = "waiting", R8, Passes, "the previous stage is too recent";
        OverCap = "over_cap", R8, Passes, "the cap for any 30 days is reached";
        Expired = "expired", R9, Passes, "the plan has expired";
        NightTooOld = "night_too_old", R10, Passes, "the snapshot became too old during the run";
        NotAsked = "not_asked", R10, LaterPlan, "the policy no longer applies to the user";
        OtherStage = "other_stage", R10, LaterPlan, "the rules lead to another stage than the plan's";
        LateLogin = "late_login", R11, OperatorLaterPlan, "used before the suspension; this became known later";
        LateLoginsNotWatched = "late_logins_not_watched", R11, Passes, "sign-ins not covered until 48 hours after the suspension";
        AdminLogUnread = "admin_log_unread", R11, Passes, "the admin log cannot be read";
        LoggedIn = "logged_in", R11, LaterPlan, "used after the last use in the plan";
        ReadingOutdated = "reading_outdated", R12, Passes, "the reading of the account was too old for the call";
        NotSuspended = "not_suspended", R12, OperatorLaterPlan, "the account is not suspended by boxseat";
        DoneByOthers = "done_by_others", R12, OperatorLaterPlan, "another actor has suspended the account";
        Closed = "closed", R12, OperatorSamePlan, "the account cannot be read";
        Gone = "gone", R12, OperatorLaterPlan, "Box no longer has the account";
        LoginOfOther = "login_of_other", R13, OperatorSamePlan, "another account has the login now";
        Unfinished = "unfinished", R13, NextRead, "the outcome of the last action is not known yet";
        TransferRefused = "transfer_refused", R14, OperatorLaterPlan, "Box moves no content of inactive accounts";
        Reactivated = "reactivated", R14, Passes, "active for its transfer when the snapshot was read";
        Locked = "locked", R14, Passes, "Box has locked the account";
        MaybeTransferred = "maybe_transferred", R14, OperatorLaterPlan, "another store may have moved the content";
        ContentUnreadable = "content_unreadable", R15, OperatorLaterPlan, "content not counted before the suspension";
        NotVerified = "not_verified", R15, Passes, "not yet read as empty twice";
        NotEmpty = "not_empty", R15, OperatorLaterPlan, "content is still there";
        Unverifiable = "unverifiable", R15, OperatorLaterPlan, "it cannot be proved that the account is empty";
        RefusedByBox = "refused_by_box", R16, OperatorLaterPlan, "Box refused within the last 30 days";
        NotPermitted = "not_permitted", R16, OperatorSamePlan, "the acting application lacks a right";
        RecentlyActive = "recently_active", R16, Passes, "Box says that the user was active or joined recently";
        TooFewAccounts = "too_few_accounts", R16, OperatorSamePlan, "fewer than three other active accounts are left";
        NoRoom = "no_room", R16, OperatorSamePlan, "Box says that the receiver has no room";
        Stays = "stays", R18, OperatorLaterPlan, "undo does not change the account";
        LoginChanged = "login_changed", R18, OperatorLaterPlan, "the login is not the one that boxseat suspended";
        NothingToUndo = "nothing_to_undo", R18, OperatorLaterPlan, "the plan changed nothing in the account";
        Offboarded = "offboarded", R19, LaterPlan, "offboarded by a plan of its own";
        NotDue = "not_due", R19, Passes, "the next step of the leaver is due on a later day";
        EndedEarly = "ended_early", R19, OperatorLaterPlan, "the offboarding ended before its purpose";
        RevertedByOther = "reverted_by_other", R20, OperatorLaterPlan, "another actor undid the suspension by boxseat";
    }
}

impl ReasonCode {
    /// Whether a plan of the policy that meets the reason does nothing more for the user. An open offboarding waits for most of them
    /// (R19), so the entry of a skip has its own `is_final`.
    pub fn is_final(self) -> bool {
        self.ending().is_final_for_plan()
    }

    /// Whether an operator has set the reason on purpose.
    pub fn is_intended(self) -> bool {
        self.ending() == Ending::Intended
    }
}

/// What ends a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Ends by itself. The plan tries the user again.
    Passes,
    /// Ends by itself once the next run has read what is missing. The plan tries the user again. A plan that meets it for days reports it.
    NextRead,
    /// Ends by itself, and a later plan takes the user.
    LaterPlan,
    /// Ends when an operator changes something. The plan tries the user again.
    OperatorSamePlan,
    /// Ends when an operator changes something, and a later plan takes the user.
    OperatorLaterPlan,
    /// An operator has excluded the user by a list or the policy. Ends when that is withdrawn, and a later plan takes the user.
    Intended,
}

impl Ending {
    /// Whether the user waits and is not stuck.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Passes | Self::NextRead | Self::LaterPlan)
    }

    /// Whether the plan that met the reason does nothing more for the user.
    pub fn is_final_for_plan(self) -> bool {
        matches!(self, Self::LaterPlan | Self::OperatorLaterPlan | Self::Intended)
    }
}

codes! {
    /// The outcome of an attempt.
    Outcome,
    /// Whether the outcome cannot change any more.
    is_final: bool
    {
        Done = "done", R13, true, "Done, and confirmed by a read where possible.";
        Refused = "refused", R16, true, "Box refused; nothing happened.";
        Unknown = "unknown", R13, false, "Not known: no response, a gateway's error, or a response that does not mean done. Reads determine the result.";
        NotDone = "not_done", R13, true, "Reads showed that it did not happen.";
        NotAttempted = "not_attempted", R13, true, "The call was never sent: the run stopped between intent and call.";
        RevertedByOther = "reverted_by_other", R20, true, "It was done, and another actor has reversed it since.";
        ReProvisioned = "re_provisioned", R20, true, "The account was deleted, and a new account has its login since.";
    }
}

codes! {
    /// Why a plan is closed.
    PlanEnd,
    /// Whether no command continues the plan.
    is_final: bool
    {
        Applied = "applied", R8, true, "Nothing is left to do for any user of the plan.";
        Expired = "expired", R9, true, "The plan's time is over.";
        Undone = "undone", R18, false, "`undo` of the plan has begun. The same command continues it.";
        Withdrawn = "withdrawn", R8, true, "Another plan replaces it.";
    }
}

/// A code as a file has it. The code of another version is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recorded<T> {
    /// A code of this version.
    Known(T),
    /// Any other text.
    Other(String),
}

impl<T: Copy + Into<&'static str>> Recorded<T> {
    /// The code; `None`: the code of another version.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(code) => Some(*code),
            Self::Other(_) => None,
        }
    }

    /// The text of the file.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(code) => (*code).into(),
            Self::Other(text) => text,
        }
    }
}

impl Recorded<ReasonCode> {
    /// What ends the reason. A reason of another version ends only by an operator.
    pub fn ending(&self) -> Ending {
        self.known().map_or(Ending::OperatorLaterPlan, ReasonCode::ending)
    }

    /// The meaning; for the code of another version, the code.
    pub fn meaning(&self) -> &str {
        match self {
            Self::Known(code) => code.meaning(),
            Self::Other(text) => text,
        }
    }
}

impl<T> From<T> for Recorded<T> {
    fn from(code: T) -> Self {
        Self::Known(code)
    }
}

impl<T: PartialEq> PartialEq<T> for Recorded<T> {
    fn eq(&self, code: &T) -> bool {
        matches!(self, Self::Known(known) if known == code)
    }
}

impl<T: Copy + Into<&'static str>> fmt::Display for Recorded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reclamation.md");
    const PAGE: &str = include_str!("../../../docs/reclamation.md");
    const BEGIN: &str = "<!-- `make doc` writes these tables -->\n";
    const END: &str = "<!-- end of the tables -->\n";

    fn tables() -> String {
        let yes = |is_final| if is_final { "yes" } else { "no" };
        let mut text = String::from(
            "\n| reason code | rule | ends | final | meaning |\n| --- | --- | --- | --- | --- |\n",
        );
        for code in ReasonCode::ALL {
            let ends = match code.ending() {
                Ending::Passes | Ending::LaterPlan => "by itself",
                Ending::NextRead => "by the next run",
                Ending::OperatorSamePlan | Ending::OperatorLaterPlan => "by an operator",
                Ending::Intended => "by the operator who set it",
            };
            let (rule, is_final) = (code.rule(), yes(code.is_final()));
            writeln!(text, "| `{code}` | {rule} | {ends} | {is_final} | {} |", code.meaning()).unwrap();
        }
        text += "\n| outcome | rule | final | meaning |\n| --- | --- | --- | --- |\n";
        for code in Outcome::ALL {
            let (rule, is_final) = (code.rule(), yes(code.is_final()));
            writeln!(text, "| `{code}` | {rule} | {is_final} | {} |", code.meaning()).unwrap();
        }
        text += "\n| plan closed as | rule | final | meaning |\n| --- | --- | --- | --- |\n";
        for code in PlanEnd::ALL {
            let (rule, is_final) = (code.rule(), yes(code.is_final()));
            writeln!(text, "| `{code}` | {rule} | {is_final} | {} |", code.meaning()).unwrap();
        }
        text + "\n"
    }

    /// Why: licence managers look up codes on that page, and a table written by hand gets old.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "`make doc` selects the mode of this test with a variable")]
    fn page_has_the_tables_of_this_version() {
        let (before, rest) = PAGE.split_once(BEGIN).unwrap();
        let (written, after) = rest.split_once(END).unwrap();
        let tables = tables();
        if std::env::var_os("BOXSEAT_CODES").is_some_and(|word| word == "record") {
            std::fs::write(FILE, [before, BEGIN, &tables, END, after].concat()).unwrap();
            return;
        }
        assert!(written == tables, "docs/reclamation.md has other tables: `make doc` writes them");
    }

    /// Why: the rule of a code is a reference into that page, and a row of a table has one line.
    #[test]
    fn every_code_refers_to_a_rule_of_the_page_and_fits_into_a_table() {
        for code in ReasonCode::ALL {
            assert!(PAGE.contains(&format!("**{}**", code.rule())), "no rule {} for {code}", code.rule());
            assert!(
                code.meaning().len() <= 58 && !code.meaning().contains('|'),
                "{code}: {}",
                code.meaning()
            );
        }
        let texts: BTreeSet<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ReasonCode::ALL.len(), "two codes have the same text");
    }

    /// Why: a journal outlives the program that wrote it.
    #[test]
    fn codes_are_read_as_they_were_written_and_codes_of_another_version_are_kept() {
        for code in ReasonCode::ALL {
            let text = format!("\"{code}\"");
            assert_eq!(serde_json::to_string(code).unwrap(), text);
            let read: Recorded<ReasonCode> = serde_json::from_str(&text).unwrap();
            assert_eq!(read, *code);
        }
        let text = "\"a code of another version\"";
        let read: Recorded<ReasonCode> = serde_json::from_str(text).unwrap();
        assert_eq!((read.known(), read.meaning()), (None, "a code of another version"));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(!read.ending().is_waiting() && read.ending().is_final_for_plan());
        assert!(serde_json::from_str::<Recorded<PlanEnd>>("7").is_err());
    }

    /// Why: `reactivated` was not final for the plan and still reported as stuck, because two lists had to agree.
    #[test]
    fn r14_an_account_that_is_active_for_its_transfer_waits() {
        let of = |code: ReasonCode| (code.ending().is_waiting(), code.is_final());
        assert_eq!(of(ReasonCode::Reactivated), (true, false));
        assert_eq!(of(ReasonCode::NoReceiver), (false, false));
        assert_eq!(of(ReasonCode::Young), (true, true));
        assert_eq!(of(ReasonCode::Protected), (false, true));
    }
}
