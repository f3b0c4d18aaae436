//! What happened to one plan, by the journal: approvals and its end.

use boxseat_schemas::reclaim::plan::{Operator, SnapshotId};
use boxseat_schemas::reclaim::{PlanEnd, Recorded, Stage};
use chrono::{DateTime, NaiveDate, Utc};

/// What happened to a plan.
#[derive(Debug, Clone)]
pub struct PlanState {
    /// The digest that its file must have.
    pub digest: String,
    /// Its stage.
    pub stage: Stage,
    /// `None`: an offboarding.
    pub policy_digest: Option<String>,
    /// The snapshot it was made from.
    pub night: SnapshotId,
    /// The journal entry that made it: plans are ordered by it, because clocks can be set back.
    pub sequence: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub by: Operator,
    /// The users in it.
    pub user_ids: Vec<String>,
    /// The receivers of content in it.
    pub(crate) receiver_user_ids: Vec<String>,
    /// The day of the plan.
    pub due_on: NaiveDate,
    /// Approvals, oldest first. An adoption removes those of open plans (R9).
    pub approvals: Vec<Approval>,
    /// How often `apply` began.
    pub applies: usize,
    /// Set when the plan does nothing more.
    pub closed: Option<Closed>,
}

/// An approval of a plan.
#[derive(Debug, Clone)]
pub struct Approval {
    /// When.
    pub at: DateTime<Utc>,
    /// The digest that was approved.
    pub digest: String,
    /// Who.
    pub by: Operator,
    /// Whose signature was verified.
    pub signed_by: Option<String>,
    /// That signature, to be verified again.
    pub signature: Option<String>,
}

/// A plan's end.
#[derive(Debug, Clone)]
pub struct Closed {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub because: Recorded<PlanEnd>,
}

impl PlanState {
    /// Whether the plan may still act.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether it was undone, or its undo has begun.
    pub fn is_undone(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.because == PlanEnd::Undone)
    }

    /// Approvals of the digest the plan was made with, oldest first.
    pub fn approvals(&self) -> impl DoubleEndedIterator<Item = &Approval> {
        self.approvals.iter().filter(|approval| approval.digest == self.digest)
    }

    /// The last of [`PlanState::approvals`].
    pub fn approval(&self) -> Option<&Approval> {
        self.approvals().next_back()
    }
}
