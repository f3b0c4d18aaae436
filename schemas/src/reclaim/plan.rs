//! A plan: who goes which stage, on what evidence, and who does not and why.
//!
//! It is one JSON file, written once. Its digest (SHA-256 of the file's bytes) is in the journal from the moment it is made, and
//! approval names the digest: an edited file is another plan, and nobody approved it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::journal::{Action, Standing};
use crate::RunNumber;

/// Version of the file. Format 1 has no [`Plan::approval`]; a newer format is refused.
pub const PLAN_FORMAT: u32 = 2;

/// A reviewed plan of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Its name: date, stage and a few digits, such as `2026-11-22-suspend-7f3a9c`.
    pub plan_id: String,
    /// The store it was made from; another store refuses it.
    pub store_id: Uuid,
    /// The enterprise; another one refuses it.
    pub enterprise_id: String,
    /// The night it was made from.
    pub night: PlanNight,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From then on only reconciling reads and ending sessions of people already suspended go on.
    pub expires_at: DateTime<Utc>,
    /// Who made it.
    pub planned_by: Operator,
    /// What it rests on.
    pub origin: Origin,
    /// What it does.
    pub stage: Stage,
    /// What the approval must be, by the policy the plan was made with; `None` in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalTerms>,
    /// A ticket of the service desk, if one was named.
    pub ticket: Option<String>,
    /// What counted as evidence of use, such as `login`, `activity`, `User Details`.
    pub evidence_sources: Vec<String>,
    /// What whoever approves must know of the plan as a whole.
    pub warnings: Vec<String>,
    /// Whom it is about, in the order they are acted on.
    pub people: Vec<PlannedPerson>,
    /// Everybody else whom the policy looked at, and why not.
    pub left_out: Vec<LeftOut>,
}

/// The night a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNight {
    /// Its run.
    pub run_number: RunNumber,
    /// Its UTC date.
    pub snapshot_date: NaiveDate,
    /// The moment days count back from.
    pub now_at: DateTime<Utc>,
}

/// A person at a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Name of the operating system's user.
    pub os_user: String,
    /// The machine.
    pub host: String,
}

/// What a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// The policy, by the SHA-256 of what it says.
    Policy {
        /// `sha256:` and 64 hexadecimal digits.
        policy_digest: String,
        /// Format 1: whether the policy wants a signed approval.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_signed: bool,
        /// Format 1: whether the policy wants an approver other than the planner.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_two_person: bool,
    },
    /// `boxseat offboard`: somebody named this one person.
    Offboard {
        /// The day it is to be done; `None`: at once.
        on: Option<NaiveDate>,
    },
}

/// What an approval must be (R9). A plan pins these terms, so that a policy of a later day can demand more and never less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalTerms {
    /// Lines of the list of allowed signers, as in `ssh-keygen(1)`. Empty: no signature is needed; the user of the operating
    /// system approves.
    pub signers: Vec<String>,
    /// How many different approvers are needed, at least 1.
    pub approvers: u32,
    /// Whether the user who planned may not approve.
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

    /// `signed` or `os_user`, as `[approval] kind` has it.
    pub fn kind(&self) -> &'static str {
        if self.is_signed() { "signed" } else { "os_user" }
    }
}

/// What a plan does to the people in it. Each stage has its own plan, approval and baseline (R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Status `inactive`, sessions ended.
    Suspend,
    /// Everything owned moves to the receiver.
    Transfer,
    /// The account goes, and with it the seat comes back.
    Delete,
}

impl Stage {
    /// As files, tables and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Transfer => "transfer",
            Self::Delete => "delete",
        }
    }
}

/// One person in a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPerson {
    /// Box's id: the only thing that is acted on.
    pub user_id: String,
    /// The login, for people, and because a change of it stops the action.
    pub login: String,
    /// The name, for people.
    pub name: Option<String>,
    /// What is done, in order.
    pub actions: Vec<Action>,
    /// What the person must still look like: of the first stage what the night says, of later ones what was read back after
    /// our own last action.
    pub baseline: Standing,
    /// Why, as one sentence a manager understands.
    pub sentence: String,
    /// Newest evidence of use.
    pub last_activity_at: Option<DateTime<Utc>>,
    /// Where that evidence comes from.
    pub last_activity_source: Option<String>,
    /// Whole days without evidence, all of them proved.
    pub proven_idle_days: Option<i64>,
    /// When boxseat suspended the person; of later stages.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Names of the groups, for people.
    pub groups: Vec<String>,
    /// Bytes owned, as Box counts them.
    pub space_used_bytes: Option<i64>,
    /// Items of the root folder the person owns; `None`: not counted.
    pub owned_items: Option<u64>,
    /// Those of them that others were invited to; shares deeper down are not visible.
    pub shared_items: Option<u64>,
    /// Who gets the content; of stages that move it.
    pub receiver_user_id: Option<String>,
    /// That person's login, for people.
    pub receiver_login: Option<String>,
    /// What the seat costs a month, a decimal, such as `35.0000`.
    pub monthly_cost: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
    /// What whoever approves must know of this person.
    pub warnings: Vec<String>,
}

/// Somebody whom the policy looked at and the plan leaves alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Box's id.
    pub user_id: String,
    /// The login, for people.
    pub login: Option<String>,
    /// The name, for people.
    pub name: Option<String>,
    /// The rule's word, such as `protected`, `on_leave`, `owns_shared_content`.
    pub reason: String,
    /// The same as a sentence, with the figure or name that decided.
    pub detail: String,
}
