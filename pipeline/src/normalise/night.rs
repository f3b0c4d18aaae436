//! Users, groups, memberships and aliases: the tables kept whole every night.

use boxseat_schemas::box_api::{ALL_USERS_GROUP, EmailAlias, Group, Membership, User};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::Request;
use boxseat_schemas::table::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, Rows, Table, USERS};

use super::index::Index;
use super::stage::{PageOf, Stage, Tally, extra_json};
use crate::ids::IdSet;

/// What every row of a night ends with: the store's own columns.
#[derive(Clone, Copy)]
struct Stamp<'a> {
    reservation: &'a Reservation,
    enterprise_id: &'a str,
}

impl Stamp<'_> {
    fn end(&self, rows: &mut Rows) {
        rows.text(Some(self.enterprise_id))
            .big(Some(self.reservation.run_number.as_i64()))
            .date(Some(self.reservation.snapshot_date))
            .end();
    }
}

fn rows_of(table: &Table) -> Rows {
    Rows::new(table.lake_schema())
}

/// Users as Box listed them.
pub struct Users<'a> {
    listed: &'a mut IdSet,
    index: &'a Index,
    stamp: Stamp<'a>,
}

impl<'a> Users<'a> {
    pub(super) fn new(
        listed: &'a mut IdSet,
        index: &'a Index,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self { listed, index, stamp: Stamp { reservation, enterprise_id } }
    }
}

impl Stage for Users<'_> {
    fn rows(&self) -> Rows {
        rows_of(&USERS)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        for user in page.records::<User>(tally) {
            if !self.listed.insert(&user.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields += user.extra.len() as u64;
            let unlimited = user.has_unlimited_space();
            let notification = user.notification_email.as_ref().filter(|n| n.email.is_some());
            let enterprise = user.enterprise.as_ref();
            rows.text(Some(&user.id))
                .text(Some("listed"))
                .text(user.login.as_deref())
                .text(user.name.as_deref())
                .text(user.status.as_deref())
                .text(user.role.as_deref())
                .text(user.language.as_deref())
                .text(user.timezone.as_deref())
                .text(user.job_title.as_deref())
                .text(user.phone.as_deref())
                .text(user.address.as_deref())
                .text(user.avatar_url.as_deref())
                .big(user.space_amount.filter(|_| unlimited == Some(false)))
                .flag(unlimited)
                .big(user.space_used)
                .big(user.max_upload_size)
                .text(notification.and_then(|n| n.email.as_deref()))
                .flag(notification.and_then(|n| n.is_confirmed))
                .name_values(
                    user.tracking_codes
                        .as_ref()
                        .map(|codes| codes.iter().map(|c| (c.name.as_deref(), c.value.as_deref()))),
                )
                .flag(user.can_see_managed_users)
                .flag(user.is_sync_enabled)
                .flag(user.is_external_collab_restricted)
                .flag(user.is_exempt_from_device_limits)
                .flag(user.is_exempt_from_login_verification)
                .flag(user.is_platform_access_only)
                .text(user.external_app_user_id.as_deref())
                .text(user.hostname.as_deref())
                .text(enterprise.and_then(|e| e.id.as_deref()))
                .text(enterprise.and_then(|e| e.name.as_deref()))
                .time(user.created_at)
                .time(user.modified_at)
                .text(extra_json(&user.extra).as_deref())
                .time(Some(page.received_at))
                .time(self.index.aliases_read_at(&user.id))
                .time(self.index.memberships_read_at(&user.id));
            self.stamp.end(rows);
        }
    }
}

/// Groups as Box listed them.
pub struct Groups<'a> {
    listed: &'a mut IdSet,
    index: &'a Index,
    stamp: Stamp<'a>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        listed: &'a mut IdSet,
        index: &'a Index,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self { listed, index, stamp: Stamp { reservation, enterprise_id } }
    }
}

impl Stage for Groups<'_> {
    fn rows(&self) -> Rows {
        rows_of(&GROUPS)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        for group in page.records::<Group>(tally) {
            // Known so far: groups of everybody are listed, but nothing refers to them.
            if !self.listed.insert(&group.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields += group.extra.len() as u64;
            rows.text(Some(&group.id))
                .text(group.name.as_deref())
                .text(group.group_type.as_deref())
                .text(group.description.as_deref())
                .text(group.provenance.as_deref())
                .text(group.external_sync_identifier.as_deref())
                .text(group.invitability_level.as_deref())
                .text(group.member_viewability_level.as_deref())
                .time(group.created_at)
                .time(group.modified_at)
                .text(extra_json(&group.extra).as_deref())
                .time(Some(page.received_at))
                .time(self.index.members_read_at(&group.id));
            self.stamp.end(rows);
        }
    }
}

/// Memberships, from both sides, each once.
pub struct Memberships<'a> {
    users: &'a IdSet,
    groups: &'a IdSet,
    seen: IdSet,
    stamp: Stamp<'a>,
}

impl<'a> Memberships<'a> {
    pub(super) fn new(
        users: &'a IdSet,
        groups: &'a IdSet,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self { users, groups, seen: IdSet::default(), stamp: Stamp { reservation, enterprise_id } }
    }
}

impl Stage for Memberships<'_> {
    fn rows(&self) -> Rows {
        rows_of(&MEMBERSHIPS)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        let read_from = match page.request {
            Request::GroupMemberships { .. } => "group",
            Request::UserMemberships { .. } => "user",
            other => unreachable!("the index holds membership pages alone, not {other:?}"),
        };
        for membership in page.records::<Membership>(tally) {
            let is_all_users =
                membership.group.as_ref().is_some_and(|g| g.group_type.as_deref() == Some(ALL_USERS_GROUP));
            let (user_id, group_id) = parties(&membership, page.request);
            let (Some(user_id), Some(group_id)) = (user_id, group_id) else {
                tally.rejected += 1;
                continue;
            };
            if is_all_users || !self.users.contains(user_id) || !self.groups.contains(group_id) {
                tally.dropped += 1;
                continue;
            }
            if !self.seen.insert(&membership.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields +=
                membership.extra.keys().filter(|key| *key != "configurable_permissions").count() as u64;
            rows.text(Some(&membership.id))
                .text(Some(user_id))
                .text(Some(group_id))
                .text(membership.role.as_deref())
                .time(membership.created_at)
                .time(membership.modified_at)
                .text(Some(read_from))
                .time(Some(page.received_at));
            self.stamp.end(rows);
        }
    }
}

/// User and group of a membership; the side that was asked about is known even when the record leaves it out.
pub(super) fn parties<'m>(
    membership: &'m Membership,
    request: &'m Request,
) -> (Option<&'m str>, Option<&'m str>) {
    let (asked_user, asked_group) = match request {
        Request::GroupMemberships { group_id, .. } => (None, Some(group_id.as_str())),
        Request::UserMemberships { user_id, .. } => (Some(user_id.as_str()), None),
        _ => (None, None),
    };
    (
        membership.user.as_ref().map(|user| user.id.as_str()).or(asked_user),
        membership.group.as_ref().map(|group| group.id.as_str()).or(asked_group),
    )
}

/// Aliases of listed users.
pub struct EmailAliases<'a> {
    users: &'a IdSet,
    seen: IdSet,
    stamp: Stamp<'a>,
}

impl<'a> EmailAliases<'a> {
    pub(super) fn new(users: &'a IdSet, reservation: &'a Reservation, enterprise_id: &'a str) -> Self {
        Self { users, seen: IdSet::default(), stamp: Stamp { reservation, enterprise_id } }
    }
}

impl Stage for EmailAliases<'_> {
    fn rows(&self) -> Rows {
        rows_of(&EMAIL_ALIASES)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        let Request::EmailAliases { user_id } = page.request else {
            unreachable!("the index holds alias pages alone")
        };
        for alias in page.records::<EmailAlias>(tally) {
            if !self.users.contains(user_id) {
                tally.dropped += 1;
                continue;
            }
            if !self.seen.insert(&alias.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields += alias.extra.len() as u64;
            rows.text(Some(&alias.id))
                .text(Some(user_id))
                .text(alias.email.as_deref())
                .flag(alias.is_confirmed)
                .time(Some(page.received_at));
            self.stamp.end(rows);
        }
    }
}
