//! Users, groups, memberships and aliases: the tables kept whole every night.

use boxseat_schemas::Departure;
use boxseat_schemas::box_api::{ALL_USERS_GROUP, EmailAlias, Group, Membership, User};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::Request;
use boxseat_schemas::table::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, Rows, Table, USERS};

use std::collections::HashSet;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::carry::{Base, carried, with_column};
use super::index::Index;
use super::readings::{Members, Readings};
use super::stage::{PageOf, Stage, Tally, extra_json};
use super::vanished::{Verdict, Verdicts};
use crate::ids::{IdSet, fingerprint};
use crate::plan::{FROM_GROUP, FROM_USER, LISTED, text};

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

/// Users as Box listed them, and those of the base night who are not known to be gone.
pub struct Users<'a> {
    /// Whom this night knows, and who of them was not listed; filled on the way.
    known: &'a mut IdSet,
    unlisted: &'a mut IdSet,
    readings: Readings<'a>,
    verdicts: Verdicts,
    /// Whether those who are listed answered when the others were asked about; known after the last page.
    is_trusted: bool,
    stamp: Stamp<'a>,
    /// People of the base night who are gone, and why.
    pub departures: Vec<Departure>,
    /// How many Box did not list although they are its.
    pub ours: u64,
    /// How many nobody could ask about.
    pub unconfirmed: u64,
}

impl<'a> Users<'a> {
    pub(super) fn new(
        known: &'a mut IdSet,
        unlisted: &'a mut IdSet,
        readings: Readings<'a>,
        verdicts: Verdicts,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self {
            known,
            unlisted,
            readings,
            verdicts,
            is_trusted: false,
            stamp: Stamp { reservation, enterprise_id },
            departures: Vec::new(),
            ours: 0,
            unconfirmed: 0,
        }
    }
}

impl Stage for Users<'_> {
    fn rows(&self) -> Rows {
        rows_of(&USERS)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        for user in page.records::<User>(tally) {
            if !self.known.insert(&user.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields += user.extra.len() as u64;
            let unlimited = user.has_unlimited_space();
            let notification = user.notification_email.as_ref().filter(|n| n.email.is_some());
            let enterprise = user.enterprise.as_ref();
            rows.text(Some(&user.id))
                .text(Some(LISTED))
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
                .time(self.readings.aliases_read_at(&user.id))
                .time(self.readings.memberships_read_at(&user.id));
            self.stamp.end(rows);
        }
    }

    fn carries(&mut self) -> bool {
        self.is_trusted = self.verdicts.can_be_trusted();
        let base = self.readings.base.map(Base::night);
        base.is_some_and(|base| base.users.iter().any(|(id, _)| !self.known.contains(&id)))
    }

    fn carry(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let ids = text(batch, "user_id");
        let mut listing = Vec::new();
        let rows = carried(batch, self.stamp.reservation, |row| {
            let id = ids.value(row);
            if self.known.contains(id) {
                return false;
            }
            match self.verdicts.of(id) {
                Verdict::Gone(reason) if self.is_trusted => {
                    self.departures.push(Departure { user_id: id.to_owned(), reason });
                    return false;
                }
                Verdict::Ours => {
                    self.ours += 1;
                    listing.push("carried");
                }
                Verdict::Gone(_) | Verdict::Unconfirmed => {
                    self.unconfirmed += 1;
                    listing.push("missing_unconfirmed");
                }
            }
            self.unlisted.insert(id);
            self.known.insert(id)
        })?;
        let listing: ArrayRef = std::sync::Arc::new(StringArray::from(listing));
        Some(with_column(rows, "listing", listing))
    }
}

/// Groups as Box listed them.
pub struct Groups<'a> {
    listed: &'a mut IdSet,
    readings: Readings<'a>,
    stamp: Stamp<'a>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        listed: &'a mut IdSet,
        readings: Readings<'a>,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self { listed, readings, stamp: Stamp { reservation, enterprise_id } }
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
                .time(self.readings.members_read_at(&group.id));
            self.stamp.end(rows);
        }
    }
}

/// Memberships, from both sides, each once; then those whose group and user were not asked.
pub struct Memberships<'a> {
    users: &'a IdSet,
    unlisted: &'a IdSet,
    groups: &'a IdSet,
    read: Members<'a>,
    seen: IdSet,
    /// Who was seen in which group that does not show all its members.
    seen_in_part: HashSet<u128>,
    stamp: Stamp<'a>,
}

impl<'a> Memberships<'a> {
    pub(super) fn new(
        users: &'a IdSet,
        unlisted: &'a IdSet,
        groups: &'a IdSet,
        read: Members<'a>,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self {
            users,
            unlisted,
            groups,
            read,
            seen: IdSet::default(),
            seen_in_part: HashSet::new(),
            stamp: Stamp { reservation, enterprise_id },
        }
    }
}

impl Stage for Memberships<'_> {
    fn rows(&self) -> Rows {
        rows_of(&MEMBERSHIPS)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        let read_from = match page.request {
            Request::GroupMemberships { .. } => FROM_GROUP,
            Request::UserMemberships { .. } => FROM_USER,
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
            if self.read.is_partial(group_id) {
                self.seen_in_part.insert(pair(user_id, group_id));
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

    fn carries(&mut self) -> bool {
        true
    }

    fn carry(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let (ids, users, groups) =
            (text(batch, "membership_id"), text(batch, "user_id"), text(batch, "group_id"));
        let sides = text(batch, "read_from");
        let mut read_from = Vec::new();
        let rows = carried(batch, self.stamp.reservation, |row| {
            let (user_id, group_id) = (users.value(row), groups.value(row));
            // Whoever Box did not list it may hide from groups, too.
            let is_partial = self.read.is_partial(group_id);
            let stands = self.users.contains(user_id)
                && self.groups.contains(group_id)
                && (!self.read.would_show(user_id, group_id) || self.unlisted.contains(user_id))
                && !(is_partial && self.seen_in_part.contains(&pair(user_id, group_id)))
                && self.seen.insert(ids.value(row));
            if stands {
                // Whom a group has ceased to show is one of those it hides, and is asked himself when his turn comes.
                read_from.push(if is_partial { FROM_USER } else { sides.value(row) });
            }
            stands
        })?;
        Some(with_column(rows, "read_from", std::sync::Arc::new(StringArray::from(read_from))))
    }
}

/// Stands for a user in a group.
fn pair(user_id: &str, group_id: &str) -> u128 {
    fingerprint(&format!("{group_id} {user_id}"))
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

/// Aliases of the night's users; then those of users who were not asked.
pub struct EmailAliases<'a> {
    users: &'a IdSet,
    index: &'a Index,
    seen: IdSet,
    stamp: Stamp<'a>,
}

impl<'a> EmailAliases<'a> {
    pub(super) fn new(
        users: &'a IdSet,
        index: &'a Index,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self { users, index, seen: IdSet::default(), stamp: Stamp { reservation, enterprise_id } }
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

    fn carries(&mut self) -> bool {
        true
    }

    fn carry(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let (ids, users) = (text(batch, "alias_id"), text(batch, "user_id"));
        carried(batch, self.stamp.reservation, |row| {
            let user_id = users.value(row);
            self.users.contains(user_id)
                && self.index.aliases_read_at(user_id).is_none()
                && self.seen.insert(ids.value(row))
        })
    }
}
