//! Evidence of use that Box's API does not provide: reports of the admin console, and the list of users on leave.
//!
//! ```text
//! boxseat import FILE ─▶ state/imports/<digest>.json ─┐
//! [idle] leave_file ──────────────────────────────────┴─ the next run ─▶ imported_evidence, leave_periods
//! ```

mod leave;
mod moment;
mod report;
mod rules;
mod sheet;

pub(crate) use leave::LeaveList;
pub(crate) use report::{Report, shown};
pub(crate) use rules::Headings;
pub(crate) use sheet::{Accepts, Sheet, Unreadable, identifier};
