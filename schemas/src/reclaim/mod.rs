//! Formats of reclamation: the plan that an operator approves, and the journal of the actions.
//!
//! Both outlive the program that wrote them: a plan is applied days later, and the journal is evidence years later.

pub mod codes;
pub mod journal;
pub mod plan;

pub use codes::{Ending, Outcome, PlanEnd, ReasonCode, Recorded};
pub use journal::{Ability, Action, Adoption, Attempt, Entry, Erased, Place, Record, Standing};
pub use plan::{ApprovalTerms, LeftOut, Plan, PlannedPerson, Stage};
