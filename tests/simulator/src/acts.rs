//! Single acts on the enterprise, for tests that need one thing to be so: half the list missing, a silent feed, somebody
//! who signs in at this very moment.
//!
//! They happen at the simulated now, through the same verbs as the stepped days.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::chance::{self, About};
use crate::events::{Actor, Event, Form, Kind, NO_GROUP};
use crate::groups::BIG_INDEX;
use crate::history::{admins, an_admin};
use crate::people::Words;
use crate::world::{News, World};

/// One act. [`crate::Running::act`] and `POST /_simulator/act` answer with the ids it touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// User lists leave out this share of people (0.0 to 1.0) from now on, as a listing gone wrong; their ids still answer.
    /// The truth still holds them. 0.0 brings them back.
    HideUsers {
        /// Share of users left out.
        share: f64,
    },
    /// Both admin streams answer without events and without error, until spoken to again.
    SilenceFeed {
        /// `false` lets the feed speak again; nothing is lost.
        silent: bool,
    },
    /// From now on this much changes on a stepped day; see [`crate::Config::change_scale`].
    SetChangeScale {
        /// 1.0 is usual, 0.0 lets the enterprise come to rest.
        scale: f64,
    },
    /// Deletes people.
    DeleteUsers {
        /// How many.
        count: u32,
        /// Whether DELETE_USER events follow.
        announced: bool,
    },
    /// Turns people into free accounts outside the enterprise, of which no event tells.
    RollOutUsers {
        /// How many.
        count: u32,
    },
    /// Accounts that were deleted or rolled out are managed users again, under their old ids and with their old aliases,
    /// but in no group. Whose address somebody else has meanwhile stays away.
    ReturnUsers {
        /// Who.
        user_ids: Vec<String>,
        /// Whether NEW_USER events follow.
        announced: bool,
    },
    /// Deletes groups with all their memberships.
    DeleteGroups {
        /// How many.
        count: u32,
        /// Whether GROUP_DELETION events follow.
        announced: bool,
    },
    /// Gives a share of people an EDIT_USER and a new `modified_at`, as an identity provider does.
    PushDirectory {
        /// Share of users touched (0.0 to 1.0).
        share: f64,
    },
    /// Somebody signs in.
    Login {
        /// Who.
        user_id: String,
    },
    /// An admin sets somebody's status.
    SetStatus {
        /// Whose.
        user_id: String,
        /// Any text; Box knows four.
        status: String,
        /// Whether an EDIT_USER event follows.
        announced: bool,
    },
    /// Somebody gets another alias, of which no event tells.
    AddAlias {
        /// Who.
        user_id: String,
        /// The address.
        email: String,
        /// Whether it works already.
        is_confirmed: bool,
    },
}

/// Does it, and answers with the ids of the users or groups touched.
pub(crate) fn act(world: &mut World, act: &Act) -> Vec<String> {
    world.acts += 1;
    let rng = ChaCha8Rng::seed_from_u64(chance::mix(world.config.seed, About::Act, world.acts));
    let mut stage = Stage { rng, world };
    let touched = stage.play(act);
    world.publish();
    touched
}

struct Stage<'a> {
    rng: ChaCha8Rng,
    world: &'a mut World,
}

impl Stage<'_> {
    fn play(&mut self, act: &Act) -> Vec<String> {
        let now = self.world.now;
        match act {
            Act::HideUsers { share } => {
                self.world.hidden_share = *share;
                Vec::new()
            }
            Act::SilenceFeed { silent } => {
                self.world.feed_is_silent = *silent;
                Vec::new()
            }
            Act::SetChangeScale { scale } => {
                self.world.change_scale = *scale;
                Vec::new()
            }
            Act::DeleteUsers { count, announced } => {
                let news = self.news(*announced);
                self.some_people(*count, |world, slot| world.delete(slot, now, news))
            }
            Act::RollOutUsers { count } => self.some_people(*count, |world, slot| world.roll_out(slot, now)),
            Act::ReturnUsers { user_ids, announced } => {
                let news = self.news(*announced);
                let is_back = |user_id: &&String| self.brings_back(user_id, now, news);
                user_ids.iter().filter(is_back).cloned().collect()
            }
            Act::DeleteGroups { count, announced } => {
                let news = self.news(*announced);
                let walkable =
                    |world: &World, index: usize| index > BIG_INDEX && world.groups[index].is_walkable();
                let candidates = (0..self.world.groups.len()).filter(|index| walkable(self.world, *index));
                let chosen = self.draw(candidates.collect(), *count);
                chosen.iter().for_each(|index| self.world.delete_group(*index, now, news));
                chosen.iter().map(|index| self.world.groups[*index].id.to_string()).collect()
            }
            Act::PushDirectory { share } => {
                let count = (self.world.managed().count() as f64 * share).round() as u32;
                let news = News::By(Actor::Service);
                self.some_people(count, |world, slot| _ = world.edited(slot, now, news))
            }
            Act::Login { user_id } => self.one_person(user_id, |world, slot| {
                let (subject, actor) = (slot as u32, Actor::Person(slot as u32));
                let at = now as u32;
                world.happened(Event {
                    at,
                    kind: Kind::Login,
                    form: Form::Full,
                    subject,
                    actor,
                    group: NO_GROUP,
                });
            }),
            Act::SetStatus { user_id, status, announced } => {
                let news = self.news(*announced);
                let status: Words = status.clone().into();
                self.one_person(user_id, |world, slot| world.set_status(slot, status, now, news))
            }
            Act::AddAlias { user_id, email, is_confirmed } => self.one_person(user_id, |world, slot| {
                world.add_alias(slot, email, *is_confirmed, now);
            }),
        }
    }

    fn news(&mut self, announced: bool) -> News {
        let admins = admins(&self.world.people);
        if announced { News::By(an_admin(&mut self.rng, &admins)) } else { News::Silent }
    }

    fn brings_back(&mut self, user_id: &str, at: i64, news: News) -> bool {
        let Some(slot) = self.slot(user_id) else { return false };
        let person = &self.world.people[slot];
        let has_left = !person.is_managed();
        let mut addresses =
            std::iter::once(&person.login).chain(person.aliases.iter().map(|alias| &alias.email));
        let is_free = !addresses.any(|email| self.world.is_taken_by_another(slot, email));
        if has_left && is_free {
            self.world.bring_back(slot, at, news);
        }
        has_left && is_free
    }

    fn slot(&self, user_id: &str) -> Option<usize> {
        self.world.slot_by_id(user_id.parse().ok()?)
    }

    fn some_people(&mut self, count: u32, mut change: impl FnMut(&mut World, usize)) -> Vec<String> {
        let ordinary = self.world.managed().filter(|(_, person)| person.is_ordinary()).map(|(slot, _)| slot);
        let chosen = self.draw(ordinary.collect(), count);
        chosen.iter().for_each(|slot| change(self.world, *slot));
        chosen.iter().map(|slot| self.world.people[*slot].id.to_string()).collect()
    }

    fn one_person(&mut self, user_id: &str, change: impl FnOnce(&mut World, usize)) -> Vec<String> {
        let Some(slot) = self.slot(user_id).filter(|slot| self.world.people[*slot].is_managed()) else {
            return Vec::new();
        };
        change(self.world, slot);
        vec![user_id.to_owned()]
    }

    /// `count` of the candidates, in their order.
    fn draw(&mut self, mut candidates: Vec<usize>, count: u32) -> Vec<usize> {
        while candidates.len() > count as usize {
            candidates.swap_remove(self.rng.random_range(0..candidates.len()));
        }
        candidates.sort_unstable();
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::truth::{Extent, truth};

    fn world() -> World {
        World::new(Config { users: 200, ..Config::default() })
    }

    #[test]
    fn people_leave_with_and_without_news() {
        let mut world = world();
        let before = world.log.all().len();
        assert_eq!(act(&mut world, &Act::DeleteUsers { count: 7, announced: false }).len(), 7);
        assert_eq!(act(&mut world, &Act::RollOutUsers { count: 3 }).len(), 3);
        assert_eq!(world.log.all().len(), before);
        act(&mut world, &Act::DeleteUsers { count: 4, announced: true });
        assert_eq!(world.log.all().len(), before + 4);
        assert_eq!(truth(&world, Extent::WithoutEvents).users.len(), 186);
    }

    #[test]
    fn somebody_signs_in_now() {
        let mut world = world();
        let user_id = world.people[20].id.to_string();
        assert_eq!(act(&mut world, &Act::Login { user_id: user_id.clone() }).len(), 1);
        let truth = truth(&world, Extent::WithoutEvents);
        assert_eq!(truth.last_login_at[&user_id], truth.now);
        assert!(act(&mut world, &Act::Login { user_id: "1".to_owned() }).is_empty());
    }

    #[test]
    fn acts_read_from_json() {
        let text = r#"{"delete_users":{"count":3,"announced":true}}"#;
        assert_eq!(
            serde_json::from_str::<Act>(text).unwrap(),
            Act::DeleteUsers { count: 3, announced: true }
        );
    }
}
