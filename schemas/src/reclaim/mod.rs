//! Formats of reclamation: the plan a person approves, and the journal of what was done.
//!
//! Both outlive the program that wrote them: a plan is applied days later, and the journal is the evidence years later.

pub mod journal;
pub mod plan;

pub use journal::{Ability, Action, Adoption, Attempt, Entry, Erased, Outcome, Place, Record, Standing};
pub use plan::{ApprovalTerms, LeftOut, Plan, PlannedPerson, Stage};
