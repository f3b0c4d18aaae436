//! Compares the claims of a run with the truth.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::crawl::{Store, Tables};
use super::world::{World, alias_id};

/// The outcome of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was published.
    Refused,
    /// Published, with records that could not be read or that were carried with a warning.
    Named,
    /// Published, and nothing was reported.
    Equal,
}

/// Coverage that ended longer ago than this proves nothing (DESIGN 6).
const STALE: TimeDelta = TimeDelta::hours(48);

/// Compares the claims of a run with the truth. `hides_members`: a page may have fewer members than the group. Box allows that, and no
/// client can notice it.
///
/// # Errors
/// The first false claim.
pub(super) fn check(
    world: &World,
    store: &Store,
    outcome: &Result<Tables, String>,
    hides_members: bool,
) -> Result<Verdict, String> {
    let Ok(tables) = outcome else { return Ok(Verdict::Refused) };
    let truth = Truth::of(world);
    users(&truth, &store.first, tables)?;
    groups(&truth, &store.first, tables)?;
    pairs(
        "membership",
        &truth.memberships,
        &store.first.memberships,
        &tables.memberships,
        |(group, user)| !hides_members && tables.groups.contains(group) && tables.users.contains_key(user),
    )?;
    pairs("alias", &truth.aliases, &store.first.aliases, &tables.aliases, |(user, _)| {
        tables.users.contains_key(user)
    })?;
    idleness(world, store, tables)?;
    Ok(if tables.named > 0 { Verdict::Named } else { Verdict::Equal })
}

/// Checks that the tables equal the truth.
///
/// # Errors
/// The difference.
pub(super) fn check_whole(world: &World, tables: &Tables) -> Result<(), String> {
    let truth = Truth::of(world);
    let users: BTreeSet<_> = tables.users.keys().cloned().collect();
    let sets = [("users", &users, &truth.users), ("groups", &tables.groups, &truth.groups)];
    if let Some((name, found, _)) = sets.iter().find(|(_, found, wanted)| found != wanted) {
        return Err(format!("{name}: {found:?}"));
    }
    let pairs = [
        ("memberships", &tables.memberships, &truth.memberships),
        ("aliases", &tables.aliases, &truth.aliases),
    ];
    match pairs.iter().find(|(_, found, wanted)| found != wanted) {
        Some((name, found, wanted)) => {
            let differing: Vec<_> = found.symmetric_difference(wanted).collect();
            Err(format!("{name}: {differing:?}"))
        }
        None => Ok(()),
    }
}

struct Truth {
    users: BTreeSet<String>,
    inactive: BTreeSet<String>,
    groups: BTreeSet<String>,
    memberships: BTreeSet<(String, String)>,
    aliases: BTreeSet<(String, String)>,
}

impl Truth {
    fn of(world: &World) -> Self {
        let inactive = world.users.iter().filter(|(_, status)| *status == "inactive");
        Self {
            users: world.users.iter().map(|(id, _)| id.to_string()).collect(),
            inactive: inactive.map(|(id, _)| id.to_string()).collect(),
            groups: world.groups.iter().map(u32::to_string).collect(),
            memberships: world
                .members
                .iter()
                .map(|(group, user)| (group.to_string(), user.to_string()))
                .collect(),
            aliases: world.aliases.iter().map(|(user, n)| (user.to_string(), alias_id(*user, *n))).collect(),
        }
    }
}

fn users(truth: &Truth, first: &Tables, tables: &Tables) -> Result<(), String> {
    for id in first.users.keys().filter(|id| truth.users.contains(*id)) {
        if tables.departures.contains(id) || !tables.users.contains_key(id) {
            return Err(format!("user {id} is reported as a leaver"));
        }
    }
    for (id, (listing, status)) in &tables.users {
        if !truth.users.contains(id) && !first.users.contains_key(id) {
            return Err(format!("there is no user {id}"));
        }
        if !truth.users.contains(id) && listing == "listed" {
            return Err(format!("user {id} is reported as listed"));
        }
        let Some(status) = status.as_deref().filter(|status| !status.contains('\u{fffd}')) else { continue };
        let is_inactive = status == "inactive";
        if listing == "listed" && is_inactive != truth.inactive.contains(id) {
            return Err(format!("user {id} is reported as {status}"));
        }
    }
    Ok(())
}

fn groups(truth: &Truth, first: &Tables, tables: &Tables) -> Result<(), String> {
    for id in first.groups.iter().filter(|id| truth.groups.contains(*id)) {
        if !tables.groups.contains(id) {
            return Err(format!("group {id} is reported as gone"));
        }
    }
    match tables.groups.iter().find(|id| !truth.groups.contains(*id) && !first.groups.contains(*id)) {
        Some(id) => Err(format!("there is no group {id}")),
        None => Ok(()),
    }
}

/// An object that is reported as removed must be gone. An object that is reported as added must exist.
fn pairs(
    what: &str,
    truth: &BTreeSet<(String, String)>,
    first: &BTreeSet<(String, String)>,
    now: &BTreeSet<(String, String)>,
    is_comparable: impl Fn(&(String, String)) -> bool,
) -> Result<(), String> {
    for pair in first.difference(now).filter(|pair| is_comparable(pair)) {
        if truth.contains(pair) {
            return Err(format!("{what} {pair:?} is reported as removed"));
        }
    }
    for pair in now.difference(first) {
        if !truth.contains(pair) {
            return Err(format!("{what} {pair:?} is reported as added"));
        }
    }
    Ok(())
}

/// A user is proved idle since the later of the last known sign-in and the start of the newest proved span. There must be no later
/// sign-in in that span.
fn idleness(world: &World, store: &Store, tables: &Tables) -> Result<(), String> {
    let Some((from, to)) = newest_span(store, tables) else { return Ok(()) };
    if world.now - to > STALE {
        return Ok(());
    }
    for (id, _) in world.users.iter() {
        let id = id.to_string();
        let Some(last) = world.last_login(&id, to) else { continue };
        let known = store.first.logins.iter().chain(&tables.logins);
        let known = known.filter(|(user, _)| *user == id).map(|(_, at)| *at).max();
        let proved_from = known.max(Some(from));
        if proved_from < Some(last) {
            return Err(format!("user {id} signed in at {last} and is proved idle since {proved_from:?}"));
        }
    }
    Ok(())
}

/// Of the times that both runs read, the second run decides.
pub(super) fn newest_span(store: &Store, tables: &Tables) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let earlier = store.first.coverage.iter().map(|(from, to)| (*from, (*to).min(store.read_again_from)));
    let mut spans: Vec<_> =
        earlier.chain(tables.coverage.iter().copied()).filter(|(from, to)| from < to).collect();
    spans.sort_unstable();
    spans.into_iter().fold(None, |newest: Option<(DateTime<Utc>, DateTime<Utc>)>, (from, to)| match newest {
        Some((start, end)) if from <= end => Some((start, end.max(to))),
        _ => Some((from, to)),
    })
}
