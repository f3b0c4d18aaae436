//! How each act is played: which users it changes, and through which method.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Act, Hand};
use crate::apps::App;
use crate::changes;
use crate::content::Manner;
use crate::drift::UNHEARD_STATUS;
use crate::events::{Actor, Event, Form, Kind, NO_GROUP};
use crate::groups::BIG_INDEX;
use crate::history::{admins, an_admin};
use crate::people::{ACTIVE, INACTIVE, Words};
use crate::world::{News, World};

pub(super) struct Stage<'a> {
    /// The actor, if it is not one of the administrators.
    pub(super) hand: Option<Actor>,
    pub(super) rng: ChaCha8Rng,
    pub(super) world: &'a mut World,
}

impl Stage<'_> {
    pub(super) fn play(&mut self, act: &Act) -> Vec<String> {
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
            Act::SetDrift { drift } => {
                self.world.drift = *drift;
                self.drift_statuses(drift.new_status_share)
            }
            Act::DeleteUsers { count, announced } => {
                let news = self.news(*announced);
                self.some_people(*count, |world, slot| world.delete(slot, now, news))
            }
            Act::DeleteUser { user_id, announced } => {
                let news = self.news(*announced);
                self.one_person(user_id, |world, slot| {
                    world.people[slot].is_ordinary().then(|| world.delete(slot, now, news))
                })
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
            Act::DeleteGroup { group_id, announced } => {
                let news = self.news(*announced);
                let index = self.world.group_by_id(group_id);
                let walkable = index.filter(|index| self.world.groups[*index].is_walkable());
                let deleted = walkable.map(|index| self.world.delete_group(index, now, news));
                deleted.map(|()| group_id.clone()).into_iter().collect()
            }
            Act::PushDirectory { share } => {
                let count = (self.world.managed().count() as f64 * share).round() as u32;
                let news = News::By(self.hand.unwrap_or(Actor::App(App::Directory)));
                self.some_people(count, |world, slot| _ = world.edited(slot, now, news))
            }
            Act::Login { user_id } => self.one_person(user_id, |world, slot| {
                let event = login(world, slot);
                world.happened(event);
                (event.kind == Kind::Login).then_some(())
            }),
            Act::LateLogin { user_id, arrives_in_hours } => self.one_person(user_id, |world, slot| {
                let event = login(world, slot);
                world.happened_unseen(event, now + i64::from(*arrives_in_hours) * 3600);
                (event.kind == Kind::Login).then_some(())
            }),
            Act::As { hand, act } => {
                let Some(actor) = self.actor(hand) else { return Vec::new() };
                let before = self.hand.replace(actor);
                let touched = self.play(act);
                self.hand = before;
                touched
            }
            Act::Recreate { user_id, announced } => {
                let news = self.news(*announced);
                let made = self.slot(user_id).and_then(|slot| self.world.recreate(slot, now, news));
                made.map(|slot| self.world.people[slot].id.to_string()).into_iter().collect()
            }
            Act::ReassignLogin { user_id, to_user_id, announced } => {
                let news = self.news(*announced);
                let from = self.slot(user_id);
                self.one_person(to_user_id, |world, slot| world.reassign_login(from?, slot, news))
            }
            Act::AddContent { user_id, items, bytes, shared } => self.one_person(user_id, |world, slot| {
                world.add_content(slot, *items, *bytes, *shared);
                Some(())
            }),
            Act::SetContent { user_id, items, bytes, shared } => self.one_person(user_id, |world, slot| {
                world.clear_content(slot);
                world.add_content(slot, *items, *bytes, *shared);
                Some(())
            }),
            Act::SetTrash { user_id, bytes } => self.one_person(user_id, |world, slot| {
                world.set_trash(slot, *bytes);
                Some(())
            }),
            Act::LockUser { user_id, days, calls } => self.one_person(user_id, |world, slot| {
                world.lock_user(slot, *days, *calls);
                Some(())
            }),
            Act::HoldContent { user_id, hold } => self.one_person(user_id, |world, slot| {
                world.hold_content(slot, *hold);
                Some(())
            }),
            Act::RefuseContent { user_id, refuses } => self.one_person(user_id, |world, slot| {
                world.refuse_content(slot, *refuses);
                Some(())
            }),
            Act::BarUser { user_id, barred } => self.one_person(user_id, |world, _| {
                world.config.barred_user_ids.retain(|id| id != user_id);
                if *barred {
                    world.config.barred_user_ids.push(user_id.clone());
                }
                Some(())
            }),
            Act::SetTransfers { days, share } => {
                self.world.content.manner = Some(Manner { days: *days, share: *share });
                Vec::new()
            }
            Act::SetScopes { app, scopes } => {
                self.world.apps.get_mut(*app).scopes = *scopes;
                Vec::new()
            }
            Act::SetStatus { user_id, status, announced } => {
                let news = self.news(*announced);
                let status: Words = status.clone().into();
                self.one_person(user_id, |world, slot| {
                    world.set_status(slot, status, now, news);
                    Some(())
                })
            }
            Act::EditUser { user_id, body, announced } => {
                let news = self.news(*announced);
                self.one_person(user_id, |world, slot| {
                    let change = changes::read(body.as_object()?).ok()?;
                    world.update(slot, change, news).ok()
                })
            }
            Act::AddMember { user_id, group_id, announced } => {
                let news = self.news(*announced);
                self.one_person(user_id, |world, slot| {
                    let group =
                        world.group_by_id(group_id).filter(|group| world.groups[*group].is_walkable())?;
                    let is_new = world.membership_of(slot, group).is_none();
                    is_new.then(|| _ = world.add_member(slot, group, false, now, news))
                })
            }
            Act::RemoveMember { user_id, group_id, announced } => {
                let news = self.news(*announced);
                self.one_person(user_id, |world, slot| {
                    let index = world.membership_of(slot, world.group_by_id(group_id)?)?;
                    world.remove_member(index, now, news);
                    Some(())
                })
            }
            Act::SetGroupAdmin { user_id, group_id, is_admin, announced } => {
                let news = self.news(*announced);
                self.one_person(user_id, |world, slot| {
                    let index = world.membership_of(slot, world.group_by_id(group_id)?)?;
                    let is_other = world.memberships[index].is_admin != *is_admin;
                    is_other.then(|| world.set_group_admin(index, *is_admin, now, news))
                })
            }
            Act::AddAlias { user_id, email, is_confirmed } => self.one_person(user_id, |world, slot| {
                world.add_alias(slot, email, *is_confirmed, now);
                Some(())
            }),
            Act::ConfirmAlias { user_id, alias_id, announced } => {
                let by_owner = |slot: usize| News::By(Actor::Person(slot as u32));
                self.one_person(user_id, |world, slot| {
                    let (which, is_confirmed) = alias(world, slot, alias_id)?;
                    let news = if *announced { by_owner(slot) } else { News::Silent };
                    (!is_confirmed).then(|| world.confirm_alias(slot, which, now, news))
                })
            }
            Act::RemoveAlias { user_id, alias_id, announced } => {
                let news = self.news(*announced);
                self.one_person(user_id, |world, slot| {
                    let (which, _) = alias(world, slot, alias_id)?;
                    world.remove_alias(slot, which, now, news);
                    Some(())
                })
            }
            Act::MakeAliasPrimary { user_id, alias_id, announced } => {
                let news = self.news(*announced);
                self.one_person(user_id, |world, slot| {
                    let (which, is_confirmed) = alias(world, slot, alias_id)?;
                    is_confirmed.then(|| world.make_alias_primary(slot, which, now, news))
                })
            }
        }
    }

    fn actor(&self, hand: &Hand) -> Option<Actor> {
        match hand {
            Hand::App(app) => Some(Actor::App(*app)),
            Hand::Person(user_id) => self.slot(user_id).map(|slot| Actor::Person(slot as u32)),
            Hand::Support => Some(Actor::Support),
        }
    }

    fn news(&mut self, announced: bool) -> News {
        if let Some(actor) = self.hand.filter(|_| announced) {
            return News::By(actor);
        }
        let admins = admins(&self.world.people);
        if announced { News::By(an_admin(&mut self.rng, &admins)) } else { News::Silent }
    }

    /// Gives a share of the active users the new status, or takes it from all users that have it.
    fn drift_statuses(&mut self, share: f64) -> Vec<String> {
        let now = self.world.now;
        let (from, to) = if share > 0.0 { (ACTIVE, UNHEARD_STATUS) } else { (UNHEARD_STATUS, ACTIVE) };
        let of_status =
            self.world.managed().filter(|(_, person)| person.is_ordinary() && *person.status == *from);
        let candidates: Vec<usize> = of_status.map(|(slot, _)| slot).collect();
        let count = if share > 0.0 { (candidates.len() as f64 * share).round() as u32 } else { u32::MAX };
        let chosen = self.draw(candidates, count);
        chosen.iter().for_each(|slot| self.world.set_status(*slot, to.into(), now, News::Silent));
        chosen.iter().map(|slot| self.world.people[*slot].id.to_string()).collect()
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

    /// Changes a managed user. A user without anything to change is skipped.
    fn one_person(
        &mut self,
        user_id: &str,
        change: impl FnOnce(&mut World, usize) -> Option<()>,
    ) -> Vec<String> {
        let slot = self.slot(user_id).filter(|slot| self.world.people[*slot].is_managed());
        let touched = slot.and_then(|slot| change(self.world, slot));
        touched.map(|()| user_id.to_owned()).into_iter().collect()
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

/// A user signs in, or the sign-in fails.
fn login(world: &World, slot: usize) -> Event {
    let (at, subject) = (world.now as u32, slot as u32);
    let (kind, actor) = match &*world.people[slot].status {
        INACTIVE => (Kind::FailedLogin, Actor::Unknown),
        _ => (Kind::Login, Actor::Person(subject)),
    };
    Event { at, kind, form: Form::Full, subject, actor, group: NO_GROUP }
}

/// The index of an alias among the aliases of a user, and whether it is confirmed.
fn alias(world: &World, slot: usize, alias_id: &str) -> Option<(usize, bool)> {
    let mut aliases = world.people[slot].aliases.iter().enumerate();
    let found = aliases.find(|(_, alias)| alias.id.to_string() == alias_id);
    found.map(|(which, alias)| (which, alias.is_confirmed))
}
