//! The action journal: everything decided about and done to people, in the order it happened.
//!
//! It lies in frames of the spool's format (`crate::spool`: lengths, CRC-32, JSON header), only ever appended. Every entry carries the hash
//! of the one before, so an entry that was taken out or changed breaks the chain at that place. An [`Record::Intent`] is on disk
//! before its call is made, its [`Record::Outcome`] follows the answer: an intent without an outcome is a call of which nobody
//! knows yet what it did.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::plan::{Operator, PlanNight, Stage};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1, 2, 3, … without a gap.
    pub sequence: u64,
    /// When it was written, by the data clock.
    pub at: DateTime<Utc>,
    /// SHA-256 of the entry before as it lies on disk, in hexadecimal; of the first one, 64 noughts.
    pub prev_hash: String,
    /// What happened.
    pub record: Record,
    /// Chance, so that the hash of an entry whose user was erased does not tell who that was. `None` in entries of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Set where `boxseat forget` took a user out of the entry: it is not what was written, and the chain goes on from the hash of
    /// what was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

impl Entry {
    /// An entry without salt.
    pub fn new(sequence: u64, at: DateTime<Utc>, prev_hash: String, record: Record) -> Self {
        Self { sequence, at, prev_hash, record, salt: None, erased: None }
    }
}

/// Ties an entry without its user to the entry that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erased {
    /// SHA-256 of the entry as it was written, in hexadecimal.
    pub original_hash: String,
    /// HMAC-SHA-256, by the store's erasure key, of the entry as it is now without this field's own text, in hexadecimal.
    pub mac: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// A plan was made: from here on its file must have this digest.
    PlanCreated {
        /// [`super::Plan::plan_id`].
        plan_id: String,
        /// SHA-256 of the file, in hexadecimal.
        digest: String,
        /// What it does.
        stage: Stage,
        /// Digest of the policy; `None` for an offboarding.
        policy_digest: Option<String>,
        /// The night it was made from.
        night: PlanNight,
        /// Who made it.
        by: Operator,
        /// Who is in it.
        user_ids: Vec<String>,
        /// Who receives content by it: while it is open, none of them may be a source.
        receiver_user_ids: Vec<String>,
        /// The day an offboarding is for; `None`: the day of the entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<NaiveDate>,
    },
    /// Somebody approved a plan.
    Approved {
        /// Which.
        plan_id: String,
        /// The digest that was approved.
        digest: String,
        /// Who did.
        by: Operator,
        /// The principal whose signature was verified; `None`: the operating system's user vouches.
        signed_by: Option<String>,
        /// That signature as PEM text: `apply` verifies it again. `None` in entries of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// `apply` began or went on.
    ApplyStarted {
        /// Which plan.
        plan_id: String,
        /// Who.
        by: Operator,
        /// The Box account that acts.
        actor_user_id: String,
        /// The night the policy was evaluated on again.
        night: PlanNight,
    },
    /// The admin log was read up to here (R11).
    FeedRead {
        /// Where the live stream goes on, as Box sent it.
        stream_position: String,
        /// The oldest moment of this walk.
        from_at: DateTime<Utc>,
        /// The newest moment it covers.
        to_at: DateTime<Utc>,
    },
    /// A person of a plan was left alone.
    Skipped {
        /// Which plan.
        plan_id: String,
        /// Who.
        user_id: String,
        /// The rule's word, such as `changed`, `logged_in`, `done_by_others`.
        reason: String,
        /// The same as a sentence.
        detail: String,
        /// Whether the plan is done with the person; else a later `apply` looks again.
        is_final: bool,
        /// Use that the admin log told of while applying. It may have come so late that no night reads it any more (R11).
        #[serde(default)]
        used_at: Option<DateTime<Utc>>,
    },
    /// What a person owns was looked at (R6, R15).
    ContentRead {
        /// Which plan.
        plan_id: String,
        /// Whose.
        user_id: String,
        /// Items of the root folder the person owns; `None`: the folder could not be read.
        owned_items: Option<u64>,
        /// Those of them that others were invited to.
        shared_items: Option<u64>,
        /// Bytes, as the user object says.
        space_used_bytes: Option<i64>,
    },
    /// The folder that a transfer made was looked at in the receiver's account (R15).
    DestinationRead {
        /// Which plan.
        plan_id: String,
        /// Whose content went there.
        user_id: String,
        /// In whose account it lies.
        receiver_user_id: String,
        /// The folder.
        folder_id: String,
        /// Items in it; `None`: it could not be read.
        items: Option<u64>,
    },
    /// What this Box does with inactive accounts was learned: it is documented by nobody, and Boxes may differ.
    BoxAllows {
        /// What was tried.
        ability: Ability,
        /// Whether Box did it.
        is_allowed: bool,
        /// The account it was tried on.
        user_id: String,
        /// Box's refusal; `None` where it did it.
        detail: Option<String>,
    },
    /// A call is about to be made.
    Intent(Attempt),
    /// What came of it.
    Outcome {
        /// Which attempt.
        action_id: String,
        /// What came of it; [`Outcome::Unknown`] is followed by a final one.
        outcome: Outcome,
        /// Box's answer; `None` without one.
        http_status: Option<u16>,
        /// Box's id of the request.
        request_id: Option<String>,
        /// What the person looked like afterwards, where that was read.
        after: Option<Standing>,
        /// Where the content went; of transfers.
        destination_folder_id: Option<String>,
        /// Why, as a sentence.
        reason: Option<String>,
    },
    /// The journal was begun by a version without seals. The entries before this one have no seal, and every later one has.
    SealBegun {
        /// How many entries have no seal.
        unsealed_entries: u64,
        /// Hash of the last of them.
        unsealed_head: String,
    },
    /// A user was erased from the store, this journal included: [`Entry::erased`].
    UserErased {
        /// What takes the place of the user's id.
        pseudonym: String,
        /// Who did it.
        by: Operator,
        /// Digests that the files of closed plans have now.
        plan_digests: BTreeMap<String, String>,
    },
    /// An operator has checked in Box what readings cannot prove: all content of a user has arrived (R15).
    ContentConfirmed {
        /// Whose.
        user_id: String,
        /// The transfer that was checked.
        action_id: String,
        /// What the operator checked.
        statement: String,
        /// Who.
        by: Operator,
        /// How many different operators must confirm, by the policy of that time.
        operators_needed: u32,
        /// Root items at the source at that time; `None`: Box does not show them. A later reading must not show more.
        owned_items: Option<u64>,
        /// Bytes at the source at that time. A later reading must not show more.
        space_used_bytes: i64,
    },
    /// The journal is kept at this place. A command at another place is refused until `reclaim adopt`.
    Bound {
        /// Where.
        place: Place,
        /// Who ran the command.
        by: Operator,
        /// Set by `reclaim adopt`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adoption: Option<Adoption>,
    },
    /// An action that `seat_actions` of the lake has and the journal had lost; taken in by `reclaim adopt`.
    ActionTakenIn {
        /// Id of the row.
        row_id: String,
        /// `prev_hash` of the row.
        prev_hash: String,
        /// What was tried. Of the pre-image the row has id, login and status.
        attempt: Attempt,
        /// The Box account that acted.
        actor_user_id: Option<String>,
        /// When Box was asked.
        asked_at: DateTime<Utc>,
        /// When the outcome was known.
        finished_at: Option<DateTime<Utc>>,
        /// What came of it.
        outcome: Outcome,
        /// Box's answer.
        http_status: Option<u16>,
        /// Status of the account afterwards.
        status_after: Option<String>,
        /// Where the content went.
        destination_folder_id: Option<String>,
        /// Why, as a sentence.
        reason: Option<String>,
    },
    /// Nothing more will be done by a plan.
    PlanClosed {
        /// Which.
        plan_id: String,
        /// `applied`, `expired`, `undone` or `withdrawn`.
        because: String,
        /// Who, where a person closed it.
        by: Option<Operator>,
    },
}

/// Where a journal is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// `name:` and `[reclaim] host`, or `machine:` and a hash of the machine's id; `None`: the machine has no id.
    pub host: Option<String>,
    /// Inode of the journal's directory.
    pub inode: u64,
    /// When that directory was created; `None`: the file system does not say.
    pub created_at: Option<DateTime<Utc>>,
}

impl Place {
    /// Whether both are the same directory. A copy was created at another time; the inode decides where that is not known.
    pub fn is_same_directory(&self, other: &Self) -> bool {
        match (self.created_at, other.created_at) {
            (Some(one), Some(other)) => one == other,
            _ => self.inode == other.inode,
        }
    }
}

/// What `reclaim adopt` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// How many entries the journal had.
    pub kept_entries: u64,
    /// Up to which entry the lake had taken in the journal. Later entries count from there in the lake.
    pub lake_entries: u64,
    /// How many [`Record::ActionTakenIn`] follow.
    pub actions: u64,
}

/// One call that changes something at Box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Its name: the plan's, the person's and a count.
    pub action_id: String,
    /// By which plan.
    pub plan_id: String,
    /// What the plan does.
    pub stage: Stage,
    /// On whom.
    pub user_id: String,
    /// The login at that moment.
    pub login: String,
    /// What.
    pub action: Action,
    /// The pre-image: what the person looked like when read for this action (R12).
    pub before: Standing,
    /// Who gets the content; of transfers.
    pub receiver_user_id: Option<String>,
    /// The newest use that was known then: what is heard of later, and lies between it and the action, was late (R11).
    #[serde(default)]
    pub last_activity_at: Option<DateTime<Utc>>,
}

/// What is done to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `PUT /users/{id}` with status `inactive`.
    Suspend,
    /// `POST /users/terminate_sessions`.
    TerminateSessions,
    /// `PUT /users/{id}/folders/0`.
    Transfer,
    /// `DELETE /users/{id}?force=false`.
    Delete,
    /// `PUT /users/{id}` with the status from before; by `undo` alone.
    Restore,
    /// `PUT /users/{id}` with status `active`, so that Box moves the content (R14).
    Reactivate,
    /// `PUT /users/{id}` with status `inactive` after [`Action::Reactivate`].
    SuspendAgain,
}

impl Action {
    /// As tables and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::TerminateSessions => "terminate_sessions",
            Self::Transfer => "transfer",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Reactivate => "reactivate",
            Self::SuspendAgain => "suspend_again",
        }
    }
}

/// What Box may do with an account whose status is `inactive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Shows its folders As-User.
    ReadInactive,
    /// Moves its content.
    TransferFromInactive,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and read back where it can be.
    Done,
    /// Box refused; nothing happened.
    Refused,
    /// Nobody knows: no answer, a gateway's error, or an answer that does not mean done. Reads will tell.
    Unknown,
    /// Reads have shown that it did not happen.
    NotDone,
    /// It was never sent: the run stopped between intent and call.
    NotAttempted,
    /// It was done, and somebody else has undone it since (R20).
    RevertedByOther,
    /// The account was deleted, and its login has a new one since (R20).
    ReProvisioned,
}

impl Outcome {
    /// Whether nothing more will be learnt.
    pub fn is_final(self) -> bool {
        self != Self::Unknown
    }

    /// As tables and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::NotDone => "not_done",
            Self::NotAttempted => "not_attempted",
            Self::RevertedByOther => "reverted_by_other",
            Self::ReProvisioned => "re_provisioned",
        }
    }
}

/// What a person looks like, as far as a change of it stops an action (R12). `modified_at` is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Box's id.
    pub user_id: String,
    /// The login, as it is written.
    pub login: Option<String>,
    /// Box's status.
    pub status: Option<String>,
    /// Box's role.
    pub role: Option<String>,
    /// The enterprise the person belongs to.
    pub enterprise_id: Option<String>,
    /// Whether it is an app user.
    pub is_platform_access_only: Option<bool>,
    /// Id given by an app.
    pub external_app_user_id: Option<String>,
    /// Tracking codes that the policy looks at, as `NAME=VALUE`, sorted.
    pub tracking_codes: Vec<String>,
    /// Ids of the groups, sorted.
    pub group_ids: Vec<String>,
    /// Addresses of the aliases, in lower case, sorted; a change of them stops nothing, but a protected one does.
    pub aliases: Vec<String>,
}
