//! The result of a perfect extraction, read directly from the state.
//!
//! Nothing here uses the JSON of the API. Empty text is null, unlimited space is null, times are UTC, and an event has its user
//! even if its JSON does not name one.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::events::{Actor, Kind, NO_GROUP, NO_SUBJECT, event_id};
use crate::groups::{GroupKind, group_id_of, membership_id_of, rank};
use crate::people::Person;
use crate::wire::groups::unknown_field as unknown_group_field;
use crate::wire::users::{avatar_url, hostname, unknown_field};
use crate::world::World;

/// The normalised truth at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The simulated now, RFC 3339 in UTC.
    pub now: String,
    /// Users that a complete listing finds, in order of id.
    pub users: Vec<TrueUser>,
    /// Groups that a complete listing finds, in order of id.
    pub groups: Vec<TrueGroup>,
    /// Memberships of those users in those groups, without the all-users group.
    pub memberships: Vec<TrueMembership>,
    /// Aliases of those users that the API lists.
    pub email_aliases: Vec<TrueAlias>,
    /// Every LOGIN that `admin_logs` has shown so far, in order of time. Box itself deletes events after one year.
    pub logins: Vec<TrueLogin>,
    /// Every other event, in the same way.
    pub other_events: Vec<TrueEvent>,
    /// The newest of `logins` for each user id, including deleted users. Present even if events are omitted.
    pub last_login_at: BTreeMap<String, String>,
}

/// A user with all columns whose values come from Box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the table `users`, and named like them")]
pub struct TrueUser {
    pub user_id: String,
    pub login: Option<String>,
    pub name: Option<String>,
    pub status: String,
    pub role: String,
    pub language: Option<String>,
    pub timezone: Option<String>,
    pub job_title: Option<String>,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub avatar_url: Option<String>,
    /// `None` is unlimited.
    pub space_amount_bytes: Option<i64>,
    pub has_unlimited_space: bool,
    pub space_used_bytes: i64,
    pub max_upload_size_bytes: i64,
    pub notification_email: Option<String>,
    pub notification_email_confirmed: Option<bool>,
    /// Name and value, in Box's order; an empty value stays empty.
    pub tracking_codes: Vec<(String, String)>,
    pub can_see_managed_users: bool,
    pub is_sync_enabled: bool,
    pub is_external_collab_restricted: bool,
    pub is_exempt_from_device_limits: bool,
    pub is_exempt_from_login_verification: bool,
    /// `None`: the simulated Box does not have the field.
    pub is_collaborated_content_available_when_owner_inactive: Option<bool>,
    pub is_platform_access_only: bool,
    pub external_app_user_id: Option<String>,
    pub hostname: Option<String>,
    pub enterprise_id: String,
    pub enterprise_name: String,
    pub created_at: String,
    pub modified_at: String,
    /// Undocumented fields as JSON.
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// A group with all columns whose values come from Box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the table `groups`, and named like them")]
pub struct TrueGroup {
    pub group_id: String,
    pub name: Option<String>,
    pub group_type: String,
    pub description: Option<String>,
    pub provenance: Option<String>,
    pub external_sync_identifier: Option<String>,
    pub invitability_level: String,
    pub member_viewability_level: String,
    pub created_at: String,
    pub modified_at: String,
    /// Undocumented fields as JSON.
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// A membership. The times are null if the lists omit them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the table `memberships`, and named like them")]
pub struct TrueMembership {
    pub membership_id: String,
    pub user_id: String,
    pub group_id: String,
    pub role: String,
    pub created_at: Option<String>,
    pub modified_at: Option<String>,
}

/// An email alias.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the fields are the columns of the table `email_aliases`, and named like them"
)]
pub struct TrueAlias {
    pub alias_id: String,
    pub user_id: String,
    pub email: String,
    pub is_confirmed: bool,
}

/// A LOGIN event and its user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the table `login_events`, and named like them")]
pub struct TrueLogin {
    pub event_id: String,
    pub user_id: String,
    /// The login at the time of the event.
    pub user_login: String,
    pub created_at: String,
}

/// Any other event and its user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the columns of the table `admin_events`, and named like them")]
pub struct TrueEvent {
    pub event_id: String,
    pub event_type: String,
    /// `None` for group-level events and for file events, whose source is not a user.
    pub user_id: Option<String>,
    /// Id of `created_by`; `None` for Box's unknown caller, whose id is `2`.
    pub actor_id: Option<String>,
    pub group_id: Option<String>,
    pub created_at: String,
}

/// The content of a user, which no table contains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrueContent {
    /// Items of the root folder that the account itself owns.
    pub owned_items: usize,
    /// Number of `owned_items` that are shared. While the owner is suspended, other users do not see these.
    pub shared_items: usize,
    /// Size of all items in bytes.
    pub owned_bytes: i64,
    /// Bytes in the trash, which `space_used` counts as well.
    pub trash_bytes: i64,
    /// Whether a transfer out of the account is running. Until it ends, all content is still here.
    pub is_moving: bool,
}

/// The content of the managed user with this id, or of the application's own account.
pub(crate) fn content(world: &World, user_id: &str) -> Option<TrueContent> {
    let id = world.person_by_id(user_id)?.id;
    let owner = match world.apps.by_account(id) {
        Some(app) => Caller::App(app),
        None => Caller::Person(world.slot_by_id(id)? as u32),
    };
    let person = Some(world.person(owner)).filter(|person| person.is_managed())?;
    let ((owned_items, shared_items), is_moving) =
        (world.owned_and_shared_items(owner), world.is_moving(owner));
    let trash_bytes = world.trash_bytes(owner);
    let owned_bytes = person.space_used - trash_bytes;
    Some(TrueContent { owned_items, shared_items, owned_bytes, trash_bytes, is_moving })
}

/// The requested part of the truth. Events are its largest part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Everything,
    WithoutEvents,
}

pub(crate) fn truth(world: &World, extent: Extent) -> Truth {
    let mut truth = Truth {
        now: utc(world.now),
        users: world.managed().map(|(_, person)| user(world, person)).collect(),
        groups: groups(world),
        memberships: memberships(world),
        email_aliases: aliases(world),
        last_login_at: last_logins(world),
        ..Truth::default()
    };
    if extent == Extent::Everything {
        events(world, &mut truth);
    }
    truth
}

fn user(world: &World, person: &Person) -> TrueUser {
    let config = &world.config;
    TrueUser {
        user_id: person.id.to_string(),
        login: some(&person.login),
        name: some(&person.name),
        status: person.status.to_string(),
        role: person.role.as_str().to_owned(),
        language: some(&person.language),
        timezone: some(&person.timezone),
        job_title: some(&person.job_title),
        phone: some(&person.phone),
        address: some(&person.address),
        avatar_url: Some(avatar_url(person)),
        space_amount_bytes: person.space_amount,
        has_unlimited_space: person.space_amount.is_none(),
        space_used_bytes: person.space_used,
        max_upload_size_bytes: person.max_upload_size,
        notification_email: person.notification.as_ref().map(|notification| notification.email.to_string()),
        notification_email_confirmed: person
            .notification
            .as_ref()
            .map(|notification| notification.is_confirmed),
        tracking_codes: person
            .tracking_codes
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        can_see_managed_users: person.can_see_managed_users,
        is_sync_enabled: person.is_sync_enabled,
        is_external_collab_restricted: person.is_external_collab_restricted,
        is_exempt_from_device_limits: person.is_exempt_from_device_limits,
        is_exempt_from_login_verification: person.is_exempt_from_login_verification,
        is_collaborated_content_available_when_owner_inactive: (!config.refuses_content_available)
            .then_some(person.is_content_available_when_inactive),
        is_platform_access_only: person.is_platform_access_only,
        external_app_user_id: person.external_app_user_id.as_deref().map(str::to_owned),
        hostname: Some(hostname(config)),
        enterprise_id: config.enterprise_id.clone(),
        enterprise_name: config.enterprise_name.clone(),
        created_at: utc(person.created_at),
        modified_at: utc(person.modified_at),
        extra: extra(&[unknown_field(config, person), world.drift.field(config, person.id)]),
    }
}

fn groups(world: &World) -> Vec<TrueGroup> {
    let listed = world.groups.iter().filter(|group| !group.is_deleted);
    let group = |group: &crate::groups::Group| TrueGroup {
        group_id: group.id.to_string(),
        name: some(&group.name),
        group_type: group.kind.as_str().to_owned(),
        description: some(&group.description),
        provenance: some(&group.provenance),
        external_sync_identifier: some(&group.external_sync_identifier),
        invitability_level: group.invitability.to_string(),
        member_viewability_level: group.viewability.to_string(),
        created_at: utc(group.created_at),
        modified_at: utc(group.modified_at),
        extra: extra(&[unknown_group_field(world, group), world.drift.field(&world.config, group.id)]),
    };
    listed.map(group).collect()
}

fn memberships(world: &World) -> Vec<TrueMembership> {
    let mut found = Vec::new();
    for (index, membership) in
        world.memberships.iter().enumerate().filter(|(_, membership)| !membership.is_removed)
    {
        debug_assert_ne!(world.groups[membership.group as usize].kind, GroupKind::AllUsers);
        let shown = |at: u32| membership.shows_times.then(|| utc(at.into()));
        found.push(TrueMembership {
            membership_id: membership_id_of(index).to_string(),
            user_id: world.people[membership.person as usize].id.to_string(),
            group_id: group_id_of(membership.group as usize).to_string(),
            role: rank(membership.is_admin).to_owned(),
            created_at: shown(membership.created_at),
            modified_at: shown(membership.modified_at),
        });
    }
    found
}

fn aliases(world: &World) -> Vec<TrueAlias> {
    let mut found = Vec::new();
    for (_, person) in world.managed() {
        for alias in person.aliases.iter().filter(|alias| world.lists_alias(alias)) {
            found.push(TrueAlias {
                alias_id: alias.id.to_string(),
                user_id: person.id.to_string(),
                email: alias.email.to_string(),
                is_confirmed: alias.is_confirmed,
            });
        }
    }
    found
}

fn last_logins(world: &World) -> BTreeMap<String, String> {
    let feed = world.feed();
    let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
    for (index, event) in world.log.all().iter().enumerate() {
        if event.kind == Kind::Login && feed.has_arrived(index) {
            newest.insert(event.subject, event.at);
        }
    }
    let named = |(slot, at): (u32, u32)| (world.people[slot as usize].id.to_string(), utc(at.into()));
    newest.into_iter().map(named).collect()
}

fn events(world: &World, truth: &mut Truth) {
    let feed = world.feed();
    for (index, event) in world.log.all().iter().enumerate().filter(|(index, _)| feed.has_arrived(*index)) {
        let event_id = event_id(world.config.seed, index);
        let created_at = utc(event.at.into());
        let person = (event.subject != NO_SUBJECT).then(|| &world.people[event.subject as usize]);
        if let (Kind::Login, Some(person)) = (event.kind, person) {
            let (login, _) = world.names_at(event.subject as usize, event.at.into());
            let (user_id, user_login) = (person.id.to_string(), login.to_owned());
            truth.logins.push(TrueLogin { event_id, user_id, user_login, created_at });
            continue;
        }
        let is_about_file = matches!(event.kind, Kind::Download | Kind::Upload);
        truth.other_events.push(TrueEvent {
            event_id,
            event_type: event.kind.as_str().to_owned(),
            user_id: person.filter(|_| !is_about_file).map(|person| person.id.to_string()),
            actor_id: match event.actor {
                Actor::Person(slot) => Some(world.people[slot as usize].id.to_string()),
                Actor::App(app) => Some(world.apps.get(app).account.id.to_string()),
                Actor::Unknown => None,
                Actor::Support => Some("box_support".to_owned()),
            },
            group_id: (event.group != NO_GROUP).then(|| group_id_of(event.group as usize).to_string()),
            created_at,
        });
    }
}

/// Undocumented fields as a map.
fn extra(fields: &[Option<(&str, &str)>]) -> BTreeMap<String, serde_json::Value> {
    let read = |(key, json): &(&str, &str)| Some(((*key).to_owned(), serde_json::from_str(json).ok()?));
    fields.iter().flatten().filter_map(read).collect()
}

/// Box writes unset text as an empty string.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) fn utc(at: i64) -> String {
    let time: DateTime<Utc> = Utc.timestamp_opt(at, 0).single().unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
