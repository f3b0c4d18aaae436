//! What every command of reclamation opens first: configuration, store, policy, journal, the published night.

use std::path::Path;

use boxseat_output::query::query;
use chrono::{DateTime, Utc};

use super::beside::Beside;
use super::columns::Unreadable;
use super::ground::Ground;
use super::journal::{Journal, ReclaimLock};
use super::judge::Refusal;
use super::policy::Policy;
use crate::cli::Global;
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::store::Store;

/// A store, and the moment a command began.
pub(crate) struct Desk {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) now: DateTime<Utc>,
}

impl Desk {
    /// Opens the store that the flags name.
    ///
    /// # Errors
    /// Exit 2.
    pub(crate) fn open(global: &Global) -> Result<Self, CommandError> {
        let settings = Settings::load(global)?;
        let store = Store::open(&settings.store, &settings.access)?;
        let now = data_clock(settings.rehearsed_now)();
        Ok(Self { settings, store, now })
    }

    /// The policy: the one asked for, else the configuration's.
    ///
    /// # Errors
    /// Exit 2 when there is none, or when it is wrong.
    pub(crate) fn policy(&self, asked: Option<&Path>) -> Result<Policy, CommandError> {
        let path = asked.or(self.settings.policy_file.as_deref()).ok_or_else(|| {
            CommandError::usage("there is no reclamation policy")
                .hint("[reclaim] policy = \"policy.toml\" in boxseat.toml, or --policy FILE; boxseat.example-policy.toml shows every key")
        })?;
        Policy::load(path)
    }

    /// The lists beside a policy.
    ///
    /// # Errors
    /// Exit 2.
    pub(crate) fn beside(&self, policy: &Policy) -> Result<Beside, CommandError> {
        Beside::read(policy, self.settings.leave_file.as_deref(), &self.settings.activity_events, self.now)
    }

    /// The published night.
    ///
    /// # Errors
    /// Exit 2 when nothing is published; exit 3 when the file is another store's.
    pub(crate) fn ground(&self) -> Result<Ground, CommandError> {
        published_ground(&self.store, &self.settings)
    }

    /// The journal, to look at.
    ///
    /// # Errors
    /// Exit 3 when it is damaged.
    pub(crate) fn journal(&self) -> Result<Journal, CommandError> {
        Journal::read(self.store.root(), self.store.id())
    }

    /// The journal, to go on with.
    ///
    /// # Errors
    /// Exit 75 when somebody else has it; exit 3 when it is damaged.
    pub(crate) fn journal_to_write(&self) -> Result<Journal, CommandError> {
        let lock = ReclaimLock::take(self.store.root())?;
        Journal::open(self.store.root(), self.store.id(), lock)
    }
}

/// The published night of a store.
///
/// # Errors
/// Exit 2 when nothing is published, or by another version; exit 3 when the file is another store's.
pub(crate) fn published_ground(store: &Store, settings: &Settings) -> Result<Ground, CommandError> {
    let ground =
        Ground::load(|sql| Ok::<_, CommandError>(query(store.root(), sql, &settings.resources)?.batches))?;
    if ground.store_id != store.id() {
        return Err(CommandError::refused(format!(
            "the published file is of store {}, and this is {}",
            ground.store_id,
            store.id()
        ))
        .hint("`boxseat publish` makes this store's own"));
    }
    Ok(ground)
}

impl From<Unreadable> for CommandError {
    fn from(unreadable: Unreadable) -> Self {
        Self::usage(unreadable.to_string())
            .hint("the published file is of another version: `boxseat publish` makes it anew")
    }
}

/// Everything for which nobody may be planned, as one failure.
pub(crate) fn refused(refusals: &[Refusal]) -> CommandError {
    let mut error = CommandError::refused("nobody may be planned tonight");
    for refusal in refusals {
        error = error.hint(format!("{}: {}", refusal.rule, refusal.sentence));
    }
    error
}
