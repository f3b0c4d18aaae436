//! A plan: which users enter which stage, with the evidence, and which users are excluded, with the reason.
//!
//! It is one JSON file, written once. Its digest (SHA-256 of the file's bytes) is in the journal from the moment the plan is made. The
//! approval names the digest, so an edited file is another plan and has no approval.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::codes::{ReasonCode, Recorded};
use super::journal::{Action, Standing};
pub use crate::run::SnapshotId;

/// Version of the file format. Format 1 has no [`Plan::approval`]; a newer format is refused.
pub const PLAN_FORMAT: u32 = 2;

/// A reviewed plan of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Name of the plan: date, stage and a few digits, such as `2026-11-22-suspend-7f3a9c`.
    pub plan_id: String,
    /// The store that the plan was made from. Another store refuses the plan.
    pub store_id: Uuid,
    /// The enterprise. Another enterprise refuses the plan.
    pub enterprise_id: String,
    /// The snapshot that the plan was made from.
    pub night: SnapshotId,
    /// When the plan was made.
    pub created_at: DateTime<Utc>,
    /// After this time, the plan allows only two things: reconciling reads, and ending the sessions of users who are already suspended.
    pub expires_at: DateTime<Utc>,
    /// The operator who made the plan.
    pub planned_by: Operator,
    /// What the plan is based on.
    pub origin: Origin,
    /// What the plan does to its users.
    pub stage: Stage,
    /// The requirements for the approval, by the policy that was used for the plan; `None` in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalTerms>,
    /// A ticket of the service desk, if the operator named one.
    pub ticket: Option<String>,
    /// What counted as evidence of use, such as `login`, `activity`, `User Details`.
    pub evidence_sources: Vec<String>,
    /// What an approver must know about the plan as a whole.
    pub warnings: Vec<String>,
    /// The users of the plan, in the order of the actions.
    pub people: Vec<PlannedPerson>,
    /// All other users that the policy evaluated, with the reason for the exclusion.
    pub left_out: Vec<LeftOut>,
}

/// An operator at a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Name of the operating system's user.
    pub os_user: String,
    /// The machine.
    pub host: String,
}

/// What a plan is based on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// The policy, identified by the SHA-256 of its content.
    Policy {
        /// `sha256:` and 64 hexadecimal digits.
        policy_digest: String,
        /// Format 1: whether the policy requires a signed approval.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_signed: bool,
        /// Format 1: whether the policy requires an approver other than the planner.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_two_person: bool,
    },
    /// `boxseat offboard`: an operator named this one user.
    Offboard {
        /// The day on which the offboarding is due; `None`: immediately.
        on: Option<NaiveDate>,
    },
}

/// The requirements for an approval (R9). A plan stores these terms, so that a later policy can require more and never less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalTerms {
    /// Entries of the list of allowed signers, as in `ssh-keygen(1)`, without comments. If the list is empty, no signature is needed: the
    /// user of the operating system approves. Plans of earlier versions have the lines as they were written.
    pub signers: Vec<String>,
    /// How many different approvers are needed, at least 1.
    pub approvers: u32,
    /// Whether the approver must be another user than the planner.
    pub is_two_person: bool,
}

impl ApprovalTerms {
    /// One approval by the user of the operating system.
    pub fn os_user() -> Self {
        Self { signers: Vec::new(), approvers: 1, is_two_person: false }
    }

    /// Whether an approval must be signed.
    pub fn is_signed(&self) -> bool {
        !self.signers.is_empty()
    }

    /// `signed` or `os_user`, as in `[approval] kind`.
    pub fn kind(&self) -> &'static str {
        if self.is_signed() { "signed" } else { "os_user" }
    }
}

/// What a plan does to its users. Each stage has its own plan, approval and baseline (R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Status becomes `inactive`, and sessions are ended.
    Suspend,
    /// All owned content moves to the receiver.
    Transfer,
    /// The account is deleted, which frees the seat.
    Delete,
}

impl Stage {
    /// The form in files, in tables and in texts for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Transfer => "transfer",
            Self::Delete => "delete",
        }
    }
}

/// One user in a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPerson {
    /// Box's id. Actions use only this id.
    pub user_id: String,
    /// The login. It is displayed, and a changed login stops the action.
    pub login: String,
    /// The name, for display.
    pub name: Option<String>,
    /// The actions, in order.
    pub actions: Vec<Action>,
    /// The state that the user must still have. For the first stage it comes from the snapshot. For later stages it is the state that was
    /// read after boxseat's last action.
    pub baseline: Standing,
    /// The reason, as one sentence that a manager understands.
    pub sentence: String,
    /// Newest evidence of use.
    pub last_activity_at: Option<DateTime<Utc>>,
    /// The source of that evidence.
    pub last_activity_source: Option<String>,
    /// Whole days for which it is proved that there was no use.
    pub proven_idle_days: Option<i64>,
    /// When boxseat suspended the user; for later stages.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Names of the groups, for display.
    pub groups: Vec<String>,
    /// Bytes owned, as Box counts them.
    pub space_used_bytes: Option<i64>,
    /// Items of the root folder that the user owns; `None`: not counted.
    pub owned_items: Option<u64>,
    /// Number of these items to which other users were invited. Shares in subfolders are not visible.
    pub shared_items: Option<u64>,
    /// The user who receives the content; for stages that move it.
    pub receiver_user_id: Option<String>,
    /// The login of the receiver, for display.
    pub receiver_login: Option<String>,
    /// The monthly cost of the seat, a decimal, such as `35.0000`.
    pub monthly_cost: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
    /// What an approver must know about this user.
    pub warnings: Vec<String>,
}

/// A user that the policy evaluated and the plan excludes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Box's id.
    pub user_id: String,
    /// The login, for display.
    pub login: Option<String>,
    /// The name, for display.
    pub name: Option<String>,
    /// The reason code, such as `protected`, `on_leave`, `owns_shared_content`.
    pub reason: Recorded<ReasonCode>,
    /// The reason as a sentence, with the decisive number or name.
    pub detail: String,
}
