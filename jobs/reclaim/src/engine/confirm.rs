//! R16: a 404 means that a user is gone only while Box shows other users.

use boxseat_pipeline::client::{BoxActor, Found};
use boxseat_schemas::reclaim::Plan;

use super::Run;
use super::content::items;
use super::recheck::fails_for_one;
use crate::error::Error;
use crate::rules::snapshot::Snapshot;

impl Run<'_> {
    /// R16: our application may no longer see all users, so no further user is changed.
    pub(super) fn lost_reach(&self, why: impl Into<String>) {
        self.halt(Error::refused(why).hint(
            "the acting application sees only a part of the enterprise: check its \
            access and its authorisation in the Box console; then the same command continues",
        ));
    }

    /// Whether a 404 about a user is reliable. When Box does not show an ordinary account either, our application has lost its
    /// reach, and a user who is not shown may be unchanged. Then the run stops, and nothing is concluded about any user.
    pub(super) async fn believes_that_gone(&self) -> Result<bool, Error> {
        let believes = self.canaries.one_answers(self.env.actor).await?;
        if !believes {
            let why = "Box answers 404 for a user, and does not show an ordinary account either";
            self.lost_reach(why);
        }
        Ok(believes)
    }
}

/// R16: this many ordinary users must answer 200 while one user answers 404.
const CANARIES: usize = 3;

/// Listed users that are in no such plan. As long as Box shows them, our rights are intact and Box works.
#[derive(Debug, Clone)]
pub struct Canaries(Vec<String>);

/// What Box says about a user that we deleted.
pub(super) enum Presence {
    /// 404, while the canaries answer.
    Gone,
    /// 200.
    There,
    /// Unknown.
    Unclear(String),
}

impl Canaries {
    /// Three listed, active managed users that are in no such plan, the same ones every time. App users do not count: an
    /// application that lost "App + Enterprise" access still sees its own, and gets 404 for every other account.
    pub fn of(snapshot: &Snapshot, plans: &[&Plan]) -> Self {
        let is_planned =
            |id: &str| plans.iter().flat_map(|plan| &plan.people).any(|planned| planned.user_id == id);
        let canaries = snapshot.people.values().filter(|person| {
            person.listing.as_deref() == Some("listed")
                && person.seat_kind == "managed_user"
                && person.is_platform_access_only != Some(true)
                && person.box_status.as_deref() == Some("active")
                && !is_planned(&person.user_id)
        });
        // As-User is for ordinary users, so these come first.
        let (users, others): (Vec<_>, Vec<_>) =
            canaries.partition(|person| person.role.as_deref() == Some("user"));
        let canaries = users.into_iter().chain(others);
        Self(canaries.take(CANARIES).map(|person| person.user_id.clone()).collect())
    }

    /// Whether Box shows the first of them now.
    pub(super) async fn one_answers(&self, actor: &BoxActor) -> Result<bool, Error> {
        self.answer(actor, 1).await
    }

    /// Whether the root folder of the first of them can be read As-User now.
    pub(super) async fn one_is_readable(&self, actor: &BoxActor) -> Result<bool, Error> {
        match self.0.first() {
            Some(canary) => Ok(items(actor, canary, "0").await?.is_some()),
            None => Ok(false),
        }
    }

    /// Whether a deletion could be confirmed: an enterprise may have fewer active accounts.
    pub(super) fn are_enough(&self) -> bool {
        self.0.len() >= CANARIES
    }

    async fn answer(&self, actor: &BoxActor, count: usize) -> Result<bool, Error> {
        if self.0.len() < count {
            return Ok(false);
        }
        for canary in self.0.iter().take(count) {
            match actor.user(canary).await? {
                Found::Is(_) => {}
                Found::Gone | Found::Closed(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether a user still exists.
    pub(super) async fn presence(&self, actor: &BoxActor, user_id: &str) -> Result<Presence, Error> {
        let found = match actor.user(user_id).await {
            Err(e) if fails_for_one(&e, actor, self).await? => {
                return Ok(Presence::Unclear(format!("the account cannot be read: {e}")));
            }
            found => found?,
        };
        Ok(match found {
            Found::Is(_) => Presence::There,
            Found::Closed(refusal) => Presence::Unclear(format!("the account cannot be read: {refusal}")),
            Found::Gone if self.answer(actor, CANARIES).await? => Presence::Gone,
            Found::Gone => Presence::Unclear(
                "Box answers 404, but it does not show three existing accounts either".to_owned(),
            ),
        })
    }
}
