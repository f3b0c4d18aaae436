//! R6, R15: what an account owns, as Box shows it As-User, written to the journal each time it is read.
//!
//! Box staff say that an inactive account is closed to As-User (box/box-java-sdk#483). Whether this Box does so is learned from the
//! first refusal and written to the journal; the call is not made again for 30 days.

use boxseat_pipeline::client::{BoxActor, Found, Item};
use boxseat_schemas::box_api::User;
use boxseat_schemas::reclaim::{Ability, Record};

use super::Run;
use super::confirm::Canaries;
use super::recheck::{fails_for_one, is_about_one};
use crate::error::Error;
use crate::journal::state::JournalState;

/// The items in an account's root folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Items the account owns; `None`: the folder could not be read.
    pub owned_items: Option<u64>,
    /// Of these, the items that others were invited to.
    pub shared_items: Option<u64>,
    /// Bytes, by the user object.
    pub space_used_bytes: Option<i64>,
}

/// A reading, and what it showed about this Box.
pub struct ContentReading {
    /// What the account holds.
    pub content: Content,
    /// For the journal.
    pub(crate) learned: Option<Record>,
}

impl Content {
    /// Reads. An inactive account is not read As-User where this Box is known to refuse that.
    ///
    /// # Errors
    /// What ends the run; a folder that cannot be read is no error.
    pub async fn of(
        actor: &BoxActor,
        user: &User,
        allows_inactive: Option<bool>,
        canaries: &Canaries,
    ) -> Result<ContentReading, Error> {
        let is_inactive = user.status.as_deref() == Some("inactive");
        let mut content = Self { owned_items: None, shared_items: None, space_used_bytes: user.space_used };
        if is_inactive && allows_inactive == Some(false) {
            return Ok(ContentReading { content, learned: None });
        }
        let learned = |is_allowed, detail| {
            Some(Record::BoxAllows {
                ability: Ability::ReadInactive,
                is_allowed,
                user_id: user.id.clone(),
                detail,
            })
        };
        match actor.items(&user.id, "0").await {
            Ok(Found::Is(items)) => {
                content.count(&items, &user.id);
                let is_news = is_inactive && allows_inactive != Some(true);
                Ok(ContentReading { content, learned: if is_news { learned(true, None) } else { None } })
            }
            // The refusal is about inactive accounts only if an active account is open to As-User.
            Ok(Found::Closed(refusal))
                if is_inactive && refusal.status == 403 && canaries.one_is_readable(actor).await? =>
            {
                Ok(ContentReading { content, learned: learned(false, Some(refusal.to_string())) })
            }
            Ok(Found::Gone | Found::Closed(_)) => Ok(ContentReading { content, learned: None }),
            Err(e) if fails_for_one(&e, actor, canaries).await? => {
                tracing::warn!("{e}");
                Ok(ContentReading { content, learned: None })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// A missing value counts against acting: an item of an unknown owner counts as the account's own, and as possibly shared.
    fn count(&mut self, items: &[Item], user_id: &str) {
        let own = items.iter().filter(|item| item.owner_id.as_deref().is_none_or(|owner| owner == user_id));
        let shared = own.clone().filter(|item| item.has_collaborations != Some(false));
        self.owned_items = Some(own.count() as u64);
        self.shared_items = Some(shared.count() as u64);
    }

    /// Whether there are no bytes and, where the items can be read, no items (R15).
    pub(super) fn shows_nothing(&self) -> bool {
        matches!((self.owned_items, self.space_used_bytes), (None | Some(0), Some(0)))
    }

    /// The journal entry.
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

/// A folder's items; `None` if they cannot be read.
pub(super) async fn items(
    actor: &BoxActor,
    as_user: &str,
    folder_id: &str,
) -> Result<Option<Vec<Item>>, Error> {
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
    /// Reads, and records the reading.
    pub(super) async fn count_content(&self, user: &User) -> Result<Content, Error> {
        let allows = self.with_past(|past: &JournalState| past.allows(Ability::ReadInactive, self.now()));
        let reading = Content::of(self.env.actor, user, allows, &self.canaries).await?;
        if let Some(learned) = reading.learned {
            self.write(learned)?;
        }
        self.write(reading.content.record(&self.task.plan.plan_id, &user.id))?;
        Ok(reading.content)
    }
}
