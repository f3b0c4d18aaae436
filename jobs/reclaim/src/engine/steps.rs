//! The steps of an apply in the journal: each intent before its call, each outcome after it.

use std::sync::Mutex;

use boxseat_schemas::reclaim::{Action, Attempt, Record};

use super::{ApplyEnv, CallResult};
use crate::error::Error;
use crate::journal::Journal;
use crate::journal::state::JournalState;

/// The journal as one apply writes to it.
#[derive(Clone, Copy)]
pub(super) struct Steps<'a, 'j> {
    pub(super) env: ApplyEnv<'a>,
    pub(super) journal: &'a Mutex<&'j mut Journal>,
}

impl Steps<'_, '_> {
    /// Reads the present journal state.
    pub(super) fn with_past<T>(self, read: impl FnOnce(&JournalState) -> T) -> T {
        read(self.journal.lock().expect("no holder panics").past())
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// The journal's.
    pub(super) fn append(self, record: Record) -> Result<(), Error> {
        let now = (self.env.clock)();
        self.journal.lock().expect("no holder panics").append(now, record).map(drop)
    }

    /// Writes the intent, and returns its action id; the call may follow. Action and id of `attempt` are set here.
    ///
    /// # Errors
    /// The journal's.
    pub(super) fn intend(
        self,
        action: Action,
        attempt: impl FnOnce(&JournalState) -> Attempt,
    ) -> Result<String, Error> {
        (self.env.crash)(&format!("before {}", action.as_str()))?;
        let action_id = {
            let now = (self.env.clock)();
            let mut journal = self.journal.lock().expect("no holder panics");
            let attempt = attempt(journal.past());
            let action_id = journal.past().next_action_id(&attempt.plan_id, &attempt.user_id);
            let intent = Record::Intent(Attempt { action, action_id: action_id.clone(), ..attempt });
            journal.append(now, intent)?;
            action_id
        };
        (self.env.crash)(&format!("intended {}", action.as_str()))?;
        Ok(action_id)
    }

    /// Writes the outcome.
    ///
    /// # Errors
    /// The journal's.
    pub(super) fn conclude(self, action_id: &str, came: CallResult) -> Result<(), Error> {
        (self.env.crash)("answered")?;
        self.append(came.record(action_id))?;
        (self.env.crash)("concluded")
    }
}
