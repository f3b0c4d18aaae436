//! The action journal: all decisions about users and all actions on users, in the order in which they happened.
//!
//! The file consists of frames in the spool's format (`crate::spool`: lengths, CRC-32, JSON header) and is append-only. Every entry has the
//! hash of the previous entry, so removing or changing an entry breaks the chain at that place. A [`Record::Intent`] is on disk before its
//! call is made. Its [`Record::Outcome`] follows the response. An intent without an outcome is a call whose effect is not known yet.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::codes::{Outcome, PlanEnd, ReasonCode, Recorded};
use super::plan::{Operator, SnapshotId, Stage};

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1, 2, 3, … without a gap.
    pub sequence: u64,
    /// When it was written, by the data clock.
    pub at: DateTime<Utc>,
    /// SHA-256 of the previous entry as stored on disk, in hexadecimal; 64 zeros for the first entry.
    pub prev_hash: String,
    /// What happened.
    pub record: Record,
    /// Random value, so that the hash of an entry whose user was erased does not reveal the user. `None` in entries of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Set if `boxseat forget` removed a user from the entry. The entry then differs from the original entry, and the chain continues from
    /// the hash of the original entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

impl Entry {
    /// An entry without salt.
    pub fn new(sequence: u64, at: DateTime<Utc>, prev_hash: String, record: Record) -> Self {
        Self { sequence, at, prev_hash, record, salt: None, erased: None }
    }
}

/// Links an entry whose user was erased to the original entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erased {
    /// SHA-256 of the original entry, in hexadecimal.
    pub original_hash: String,
    /// HMAC-SHA-256 of the current entry without the text of this field, in hexadecimal. The key is the store's erasure key.
    pub mac: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// A plan was made. Its file must have this digest from now on.
    PlanCreated {
        /// [`super::Plan::plan_id`].
        plan_id: String,
        /// SHA-256 of the file, in hexadecimal.
        digest: String,
        /// What the plan does.
        stage: Stage,
        /// Digest of the policy; `None` for an offboarding.
        policy_digest: Option<String>,
        /// The snapshot it was made from.
        night: SnapshotId,
        /// The operator who made it.
        by: Operator,
        /// The users in it.
        user_ids: Vec<String>,
        /// The users who receive content through the plan. While the plan is open, none of them may be the source of a transfer.
        receiver_user_ids: Vec<String>,
        /// The day on which an offboarding is due; `None`: the day of the entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<NaiveDate>,
    },
    /// An operator approved a plan.
    Approved {
        /// The plan.
        plan_id: String,
        /// The digest that was approved.
        digest: String,
        /// The operator who approved it.
        by: Operator,
        /// The principal whose signature was verified; `None`: the approval relies on the operating system's user.
        signed_by: Option<String>,
        /// The signature as PEM text. `apply` verifies it again. `None` in entries of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// `apply` started or resumed.
    ApplyStarted {
        /// The plan.
        plan_id: String,
        /// The operator.
        by: Operator,
        /// The Box account that acts.
        actor_user_id: String,
        /// The snapshot on which the policy was evaluated again.
        night: SnapshotId,
    },
    /// The admin log was read for a time range (R11).
    FeedRead {
        /// The stream position at which the next read continues, as Box sent it.
        stream_position: String,
        /// Start of the time range.
        from_at: DateTime<Utc>,
        /// End of the time range.
        to_at: DateTime<Utc>,
    },
    /// A user of a plan was skipped.
    Skipped {
        /// The plan.
        plan_id: String,
        /// The user.
        user_id: String,
        /// The reason code, such as `changed`, `logged_in`, `done_by_others`.
        reason: Recorded<ReasonCode>,
        /// The reason as a sentence.
        detail: String,
        /// Whether the plan is finished for this user. Otherwise a later `apply` evaluates the user again.
        is_final: bool,
        /// Time of a use that the admin log reported during `apply`. Box may report it so late that no run reads it (R11).
        #[serde(default)]
        used_at: Option<DateTime<Utc>>,
    },
    /// The content that a user owns was read (R6, R15).
    ContentRead {
        /// The plan.
        plan_id: String,
        /// The owner.
        user_id: String,
        /// Items of the root folder that the user owns; `None`: the folder could not be read.
        owned_items: Option<u64>,
        /// Number of these items to which other users were invited.
        shared_items: Option<u64>,
        /// Bytes, from the user object.
        space_used_bytes: Option<i64>,
    },
    /// The folder that a transfer created was read in the receiver's account (R15).
    DestinationRead {
        /// The plan.
        plan_id: String,
        /// The user whose content was moved there.
        user_id: String,
        /// The user whose account contains the folder.
        receiver_user_id: String,
        /// The folder.
        folder_id: String,
        /// Items in it; `None`: the folder could not be read.
        items: Option<u64>,
    },
    /// boxseat observed how Box treats inactive accounts. Box does not document the behaviour, and it may differ between enterprises.
    BoxAllows {
        /// What was tried.
        ability: Ability,
        /// Whether Box allowed it.
        is_allowed: bool,
        /// The account on which it was tried.
        user_id: String,
        /// Box's refusal; `None` if Box allowed it.
        detail: Option<String>,
    },
    /// A call is about to be made.
    Intent(Attempt),
    /// The outcome of an attempt.
    Outcome {
        /// The attempt.
        action_id: String,
        /// The outcome. [`Outcome::Unknown`] is followed by a final one.
        outcome: Outcome,
        /// The status of Box's response; `None` without a response.
        http_status: Option<u16>,
        /// Box's id of the request.
        request_id: Option<String>,
        /// The state of the user afterwards, if it was read.
        after: Option<Standing>,
        /// The folder that received the content; for transfers.
        destination_folder_id: Option<String>,
        /// The reason, as a sentence.
        reason: Option<String>,
    },
    /// A version without seals started the journal. The entries before this one have no seal, and every later one has.
    SealBegun {
        /// How many entries have no seal.
        unsealed_entries: u64,
        /// Hash of the last of them.
        unsealed_head: String,
    },
    /// A user was erased from the store and from this journal; see [`Entry::erased`].
    UserErased {
        /// The pseudonym that replaces the user's id.
        pseudonym: String,
        /// The operator who erased the user.
        by: Operator,
        /// The current digests of the files of closed plans.
        plan_digests: BTreeMap<String, String>,
    },
    /// An operator has checked in Box that all content of a user has arrived. Reads cannot prove this (R15).
    ContentConfirmed {
        /// The user.
        user_id: String,
        /// The transfer that was checked.
        action_id: String,
        /// What the operator checked.
        statement: String,
        /// The operator.
        by: Operator,
        /// How many different operators must confirm, by the policy at that time.
        operators_needed: u32,
        /// Root items at the source at that time; `None`: Box does not show them. A later read must not show more.
        owned_items: Option<u64>,
        /// Bytes at the source at that time. A later read must not show more.
        space_used_bytes: i64,
    },
    /// The journal is kept at this place. A command at another place is refused until `reclaim adopt`.
    Bound {
        /// The place.
        place: Place,
        /// The operator who ran the command.
        by: Operator,
        /// Set by `reclaim adopt`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adoption: Option<Adoption>,
    },
    /// An action that is in `seat_actions` of the lake and was missing from the journal. `reclaim adopt` added it.
    ActionTakenIn {
        /// Id of the row.
        row_id: String,
        /// `prev_hash` of the row.
        prev_hash: String,
        /// The attempted action. Of the pre-image, the row has only the id, login and status.
        attempt: Attempt,
        /// The Box account that acted.
        actor_user_id: Option<String>,
        /// When the request was sent.
        asked_at: DateTime<Utc>,
        /// When the outcome was known.
        finished_at: Option<DateTime<Utc>>,
        /// The outcome.
        outcome: Outcome,
        /// The status of Box's response.
        http_status: Option<u16>,
        /// Status of the account afterwards.
        status_after: Option<String>,
        /// The folder that received the content.
        destination_folder_id: Option<String>,
        /// The reason, as a sentence.
        reason: Option<String>,
    },
    /// A plan is closed. No further action follows from it.
    PlanClosed {
        /// The plan.
        plan_id: String,
        /// Why.
        because: Recorded<PlanEnd>,
        /// The operator, if an operator closed it.
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
    /// When that directory was created; `None`: the file system does not report it.
    pub created_at: Option<DateTime<Utc>>,
}

impl Place {
    /// Whether both are the same directory. A copy has another creation time. The inode decides if the creation time is not known.
    pub fn is_same_directory(&self, other: &Self) -> bool {
        match (self.created_at, other.created_at) {
            (Some(one), Some(other)) => one == other,
            _ => self.inode == other.inode,
        }
    }
}

/// The findings of `reclaim adopt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// How many entries the journal had.
    pub kept_entries: u64,
    /// The last entry that the lake had read from the journal. Later entries count from there in the lake.
    pub lake_entries: u64,
    /// How many [`Record::ActionTakenIn`] follow.
    pub actions: u64,
}

/// One call that changes something at Box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Id of the attempt: the plan's id, the user's id and a counter.
    pub action_id: String,
    /// The plan.
    pub plan_id: String,
    /// What the plan does.
    pub stage: Stage,
    /// The user that the call changes.
    pub user_id: String,
    /// The user's login at that time.
    pub login: String,
    /// The action.
    pub action: Action,
    /// The pre-image: the state of the user that was read for this action (R12).
    pub before: Standing,
    /// The user who receives the content; for transfers.
    pub receiver_user_id: Option<String>,
    /// The newest use that was known at that time. If a use between this time and the action is reported after the action, the report is
    /// late (R11).
    #[serde(default)]
    pub last_activity_at: Option<DateTime<Utc>>,
}

/// An action on an account.
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
    /// `PUT /users/{id}` with the previous status; only by `undo`.
    Restore,
    /// `PUT /users/{id}` with status `active`, so that Box moves the content (R14).
    Reactivate,
    /// `PUT /users/{id}` with status `inactive` after [`Action::Reactivate`].
    SuspendAgain,
}

impl Action {
    /// The form in tables and in texts for users.
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
    /// Show the account's folders As-User.
    ReadInactive,
    /// Move the account's content.
    TransferFromInactive,
}

/// The state of a user, reduced to the fields whose change stops an action (R12). `modified_at` is not among them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Box's id.
    pub user_id: String,
    /// The login, in its original spelling.
    pub login: Option<String>,
    /// Box's status.
    pub status: Option<String>,
    /// Box's role.
    pub role: Option<String>,
    /// The enterprise that the user belongs to.
    pub enterprise_id: Option<String>,
    /// Whether the account is an app user.
    pub is_platform_access_only: Option<bool>,
    /// Id that an app assigned.
    pub external_app_user_id: Option<String>,
    /// Tracking codes that the policy uses, as `NAME=VALUE`, sorted.
    pub tracking_codes: Vec<String>,
    /// Ids of the groups, sorted.
    pub group_ids: Vec<String>,
    /// Addresses of the aliases, in lower case, sorted. A changed alias does not stop an action. A protected address does.
    pub aliases: Vec<String>,
}
