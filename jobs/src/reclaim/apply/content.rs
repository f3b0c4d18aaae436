//! R6, R15: what a person owns, as seen from inside (`As-User`), and written down each time it is looked at.

use boxseat_pipeline::client::{BoxActor, Found, Item};
use boxseat_schemas::reclaim::Record;

use super::Run;
use super::reread::is_about_one;
use crate::error::CommandError;

/// What lies in somebody's root folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    /// Items the person owns; `None`: the folder could not be read.
    pub(crate) owned_items: Option<u64>,
    /// Of them, those that others were invited to.
    pub(crate) shared_items: Option<u64>,
    /// Bytes, as the user object says.
    pub(crate) space_used_bytes: Option<i64>,
}

impl Content {
    /// Looks.
    ///
    /// # Errors
    /// What ends the run; a folder that cannot be read is no error.
    pub(crate) async fn of(
        actor: &BoxActor,
        user_id: &str,
        space_used_bytes: Option<i64>,
    ) -> Result<Self, CommandError> {
        let items = items(actor, user_id, "0").await?;
        // Whatever Box does not say counts against acting: an item of an unknown owner is the person's, and maybe shared.
        let is_own = |item: &&Item| item.owner_id.as_deref().is_none_or(|owner| owner == user_id);
        let is_shared = |item: &&Item| is_own(item) && item.has_collaborations != Some(false);
        let count = |is: &dyn Fn(&&Item) -> bool| {
            items.as_ref().map(|items| items.iter().filter(|item| is(item)).count() as u64)
        };
        Ok(Self { owned_items: count(&is_own), shared_items: count(&is_shared), space_used_bytes })
    }

    /// Whether nothing is there by either method (R15).
    pub(super) fn is_empty(&self) -> bool {
        (self.owned_items, self.space_used_bytes) == (Some(0), Some(0))
    }

    /// The entry for the journal.
    pub(super) fn record(&self, plan_id: &str, user_id: &str) -> Record {
        Record::ContentRead {
            plan_id: plan_id.to_owned(),
            user_id: user_id.to_owned(),
            owned_items: self.owned_items,
            shared_items: self.shared_items,
            space_used_bytes: self.space_used_bytes,
        }
    }
}

/// A folder's items; `None` when they cannot be read: one vendor says that suspended people cannot be looked into.
pub(super) async fn items(
    actor: &BoxActor,
    as_user: &str,
    folder_id: &str,
) -> Result<Option<Vec<Item>>, CommandError> {
    match actor.items(as_user, folder_id).await {
        Ok(Found::Is(items)) => Ok(Some(items)),
        Ok(Found::Gone | Found::Closed(_)) => Ok(None),
        Err(e) if is_about_one(&e) => {
            tracing::warn!("{e}");
            Ok(None)
        }
        Err(e) => Err(e.into()),
    }
}

impl Run<'_> {
    /// Counts, and writes the count down.
    pub(super) async fn count_content(
        &self,
        user_id: &str,
        space_used_bytes: Option<i64>,
    ) -> Result<Content, CommandError> {
        let content = Content::of(self.hands.actor, user_id, space_used_bytes).await?;
        self.write(content.record(&self.task.plan.plan_id, user_id))?;
        Ok(content)
    }
}
