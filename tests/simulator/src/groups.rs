//! Groups and memberships, and the generation of the initial ones.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::chance::{self, About};
use crate::config::Config;
use crate::names;
use crate::people::{DAY_SECS, Person, Words, pick};

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: u64,
    pub(crate) name: Box<str>,
    pub(crate) kind: GroupKind,
    pub(crate) description: Box<str>,
    pub(crate) provenance: Words,
    pub(crate) external_sync_identifier: Box<str>,
    pub(crate) invitability: Words,
    pub(crate) viewability: Words,
    pub(crate) created_at: i64,
    pub(crate) modified_at: i64,
    pub(crate) is_deleted: bool,
    /// Indexes into the memberships, including removed ones. Empty for the all-users group, which is not stored.
    pub(crate) memberships: Vec<u32>,
}

/// Box has ordinary groups and one group that contains all users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupKind {
    Managed,
    AllUsers,
}

impl GroupKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            GroupKind::Managed => "managed_group",
            GroupKind::AllUsers => "all_users_group",
        }
    }
}

/// One user in one group. Kept small: a large enterprise has six memberships for every user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) person: u32,
    pub(crate) group: u32,
    pub(crate) created_at: u32,
    pub(crate) modified_at: u32,
    pub(crate) is_admin: bool,
    pub(crate) is_removed: bool,
    /// Lists omit both timestamps on many rows.
    pub(crate) shows_times: bool,
}

/// The role of a member within a group.
pub(crate) fn rank(is_admin: bool) -> &'static str {
    if is_admin { "admin" } else { "member" }
}

const FIRST_GROUP_ID: u64 = 77_000_001;
const GROUP_ID_STEP: u64 = 11;
const FIRST_MEMBERSHIP_ID: u64 = 500_000_000_003;
const MEMBERSHIP_ID_STEP: u64 = 7;

pub(crate) fn group_id_of(index: usize) -> u64 {
    FIRST_GROUP_ID + index as u64 * GROUP_ID_STEP
}

pub(crate) fn group_index_of(id: u64) -> Option<usize> {
    let distance = id.checked_sub(FIRST_GROUP_ID)?;
    (distance % GROUP_ID_STEP == 0).then(|| usize::try_from(distance / GROUP_ID_STEP).ok())?
}

/// The id of the membership at `index`.
pub(crate) fn membership_id_of(index: usize) -> u64 {
    FIRST_MEMBERSHIP_ID + index as u64 * MEMBERSHIP_ID_STEP
}

/// The id of a user's membership in the all-users group. It follows from the user id.
pub(crate) fn all_users_membership_id(person: &Person) -> u64 {
    800_000_000_000 + person.id
}

impl Group {
    /// A group without description and other optional fields.
    pub(crate) fn bare(index: usize, name: &str, created_at: i64) -> Self {
        Group {
            id: group_id_of(index),
            name: name.into(),
            kind: GroupKind::Managed,
            description: "".into(),
            provenance: "".into(),
            external_sync_identifier: "".into(),
            invitability: "admins_only".into(),
            viewability: "admins_only".into(),
            created_at,
            modified_at: created_at,
            is_deleted: false,
            memberships: Vec::new(),
        }
    }

    pub(crate) fn is_walkable(&self) -> bool {
        !self.is_deleted && self.kind == GroupKind::Managed
    }
}

/// Index of the all-users group.
pub(crate) const ALL_USERS_INDEX: usize = 0;
/// Index of the group with two fifths of all users.
pub(crate) const BIG_INDEX: usize = 1;

/// The group at `index`. `number` is its place among the listed groups; `None` for a group that was deleted long ago.
pub(crate) fn make(config: &Config, index: usize, number: Option<u64>) -> Group {
    let rng = &mut ChaCha8Rng::seed_from_u64(chance::mix(config.seed, About::Group, index as u64));
    let now = config.now_secs();
    let created_at = now - rng.random_range(20 * DAY_SECS..2000 * DAY_SECS);
    let name = new_name(rng, index);
    let mut group = Group::bare(index, &name, created_at);
    group.modified_at = created_at + rng.random_range(0..now - created_at);
    group.is_deleted = number.is_none();
    match number {
        Some(n) if n == ALL_USERS_INDEX as u64 => {
            group.kind = GroupKind::AllUsers;
            group.name = format!("All Users @ {}", config.enterprise_name).into();
        }
        Some(n) if n == BIG_INDEX as u64 => group.name = "Headquarters".into(),
        Some(n) if config.awkward && n % 23 == 9 => group.name = pick(rng, names::AWKWARD).into(),
        _ => {}
    }
    if rng.random_bool(0.4) {
        group.description = format!("{name}, as imported").into();
    }
    if rng.random_bool(0.3) {
        group.provenance = if rng.random_bool(0.7) { "Active Directory".into() } else { "Okta".into() };
        group.external_sync_identifier = format!("AD:{:06}", rng.random_range(0..1_000_000)).into();
    }
    const LEVELS: [&str; 3] = ["admins_only", "admins_and_members", "all_managed_users"];
    group.invitability = pick(rng, &LEVELS).into();
    group.viewability = pick(rng, &LEVELS).into();
    group
}

/// A name for the group at `index`. The number makes the names unique.
pub(crate) fn new_name(rng: &mut ChaCha8Rng, index: usize) -> String {
    format!("{} {} {index}", pick(rng, names::DEPARTMENTS), pick(rng, names::PLACES))
}

/// Whether the group at `index` stays without members.
fn stays_empty(index: usize) -> bool {
    index % 17 == 11
}

/// The initial memberships of the user in `slot`: five on average, and the big group for two fifths of the users.
pub(crate) fn first_memberships(
    config: &Config,
    groups: &[Group],
    person: &Person,
    slot: usize,
) -> Vec<Membership> {
    let rng = &mut ChaCha8Rng::seed_from_u64(chance::mix(config.seed, About::Membership, slot as u64));
    let mut found: Vec<Membership> = Vec::new();
    let mut join = |rng: &mut ChaCha8Rng, index: usize| {
        let group = &groups[index];
        if !group.is_walkable() || stays_empty(index) || found.iter().any(|old| old.group as usize == index) {
            return;
        }
        let from = person.created_at.max(group.created_at);
        let created_at = from + rng.random_range(0..=(config.now_secs() - from).max(1));
        let modified_at = created_at + rng.random_range(0..=(config.now_secs() - created_at).max(1));
        found.push(Membership {
            person: slot as u32,
            group: index as u32,
            created_at: created_at.min(config.now_secs()) as u32,
            modified_at: modified_at.min(config.now_secs()) as u32,
            is_admin: rng.random_bool(0.04),
            is_removed: false,
            shows_times: !config.awkward || rng.random_bool(0.4),
        });
    };
    if groups.len() > BIG_INDEX && rng.random_bool(0.4) {
        join(rng, BIG_INDEX);
    }
    if groups.len() > BIG_INDEX + 1 {
        for _ in 0..rng.random_range(0..=10) {
            // The square of the draw makes some groups large and many small.
            let spread: f64 = rng.random_range(0.0f64..1.0).powi(2);
            let others = groups.len() - BIG_INDEX - 1;
            let index = BIG_INDEX + 1 + (spread * others as f64) as usize;
            join(rng, index);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_ids_lead_back() {
        assert_eq!(group_index_of(group_id_of(12)), Some(12));
        assert_eq!(group_index_of(group_id_of(12) + 1), None);
        assert_eq!(group_index_of(5), None);
    }
}
