//! Users, groups, memberships and aliases. Every snapshot has a whole copy of these tables.

use boxseat_schemas::box_api::{ALL_USERS_GROUP, EmailAlias, Group, Membership, Mini, Read, User};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::Request;
use boxseat_schemas::table::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, Rows, Table, USERS};
use boxseat_schemas::{Departure, DepartureReason};

use std::collections::HashSet;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::carry::{Base, carried, with_column};
use super::index::Index;
use super::readings::{Members, Readings};
use super::stage::{PageOf, Stage, Tally};
use super::vanished::{Verdict, Verdicts};
use crate::ids::{IdSet, fingerprint};
use crate::plan::{FROM_GROUP, FROM_USER, LISTED, text};

/// The last columns of every row of a snapshot: the store's own columns.
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

/// The ids of users: listed, not listed, or contradictory.
pub(super) struct KnownUsers<'a> {
    /// Users with a row; filled during the pass.
    pub(super) listed: &'a mut IdSet,
    /// Those of them that were not listed; filled during the pass.
    pub(super) unlisted: &'a mut IdSet,
    /// Users that were listed with different values.
    pub(super) contradictory: &'a IdSet,
}

/// Users as Box listed them, and users of the base run who are not known to be gone.
pub struct Users<'a> {
    known: KnownUsers<'a>,
    readings: Readings<'a>,
    verdicts: Verdicts,
    /// Whether Box returned the listed users that were requested together with the missing users; known after the last page.
    is_trusted: bool,
    stamp: Stamp<'a>,
    /// Records of the listing that cannot be read: each may be a user who seems to be missing.
    lost: u64,
    /// Users of the base run who are gone, and the reason.
    pub departures: Vec<Departure>,
    /// Number of users that Box did not list although they belong to the enterprise.
    pub ours: u64,
    /// Number of users that could not be requested.
    pub unconfirmed: u64,
}

impl<'a> Users<'a> {
    pub(super) fn new(
        known: KnownUsers<'a>,
        readings: Readings<'a>,
        verdicts: Verdicts,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        Self {
            known,
            readings,
            verdicts,
            is_trusted: false,
            stamp: Stamp { reservation, enterprise_id },
            lost: 0,
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
        for user in page.records::<User>() {
            let Some(Read { record: user, extra }) = tally.take(user) else {
                self.lost += 1;
                continue;
            };
            if self.known.contradictory.contains(&user.id) {
                tally.rejected += 1;
                continue;
            }
            if !self.known.listed.insert(&user.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields += extra.len();
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
                .flag(user.is_collaborated_content_available_when_owner_inactive)
                .flag(user.is_platform_access_only)
                .text(user.external_app_user_id.as_deref())
                .text(user.hostname.as_deref())
                .text(enterprise.and_then(|e| e.id.as_deref()))
                .text(enterprise.and_then(|e| e.name.as_deref()))
                .time(user.created_at)
                .time(user.modified_at)
                .text(extra.to_json().as_deref())
                .time(Some(page.received_at))
                .time(self.readings.aliases_read_at(&user.id))
                .time(self.readings.memberships_read_at(&user.id, self.stamp.reservation.started_at));
            self.stamp.end(rows);
        }
    }

    fn carries(&mut self) -> bool {
        self.is_trusted = self.verdicts.can_be_trusted();
        let base = self.readings.base.map(Base::night);
        base.is_some_and(|base| base.users.iter().any(|(id, _)| !self.known.listed.contains(&id)))
    }

    fn carry(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let ids = text(batch, "user_id");
        let mut listing = Vec::new();
        let rows = carried(batch, self.stamp.reservation, |row| {
            let id = ids.value(row);
            if self.known.listed.contains(id) {
                return false;
            }
            match self.verdicts.of(id) {
                Verdict::Gone(reason)
                    if self.is_trusted && (self.lost == 0 || reason == DepartureReason::Deleted) =>
                {
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
            self.known.unlisted.insert(id);
            self.known.listed.insert(id)
        })?;
        let listing: ArrayRef = std::sync::Arc::new(StringArray::from(listing));
        Some(with_column(rows, "listing", listing))
    }
}

/// Groups as Box listed them, then the groups of the base run that are not listed and not known to be gone.
pub struct Groups<'a> {
    listed: &'a mut IdSet,
    readings: Readings<'a>,
    index: &'a Index,
    /// Groups that an event reports as deleted.
    deleted: &'a IdSet,
    stamp: Stamp<'a>,
    /// Groups of the base run that were carried.
    pub carried: u64,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        listed: &'a mut IdSet,
        readings: Readings<'a>,
        index: &'a Index,
        deleted: &'a IdSet,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        let stamp = Stamp { reservation, enterprise_id };
        Self { listed, readings, index, deleted, stamp, carried: 0 }
    }
}

impl Stage for Groups<'_> {
    fn rows(&self) -> Rows {
        rows_of(&GROUPS)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        for group in page.records::<Group>() {
            let Some(Read { record: group, extra }) = tally.take(group) else { continue };
            // Groups of all users are listed, but no table refers to them.
            if !self.listed.insert(&group.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields += extra.len();
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
                .text(extra.to_json().as_deref())
                .time(Some(page.received_at))
                .time(self.readings.members_read_at(&group.id));
            self.stamp.end(rows);
        }
    }

    fn carries(&mut self) -> bool {
        let base = self.readings.base.map(Base::night);
        base.is_some_and(|base| base.groups.iter().any(|(id, _)| !self.listed.contains(&id)))
    }

    fn carry(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let ids = text(batch, "group_id");
        let rows = carried(batch, self.stamp.reservation, |row| {
            let id = ids.value(row);
            !self.deleted.contains(id) && !self.index.is_group_gone(id) && self.listed.insert(id)
        })?;
        self.carried += rows.num_rows() as u64;
        Some(rows)
    }
}

/// Memberships from both sides, each once, then those whose group and user were not read.
pub struct Memberships<'a> {
    users: &'a IdSet,
    unlisted: &'a IdSet,
    groups: &'a IdSet,
    read: Members<'a>,
    seen: IdSet,
    /// Users seen in groups that do not show all their members.
    seen_in_part: HashSet<u128>,
    /// Memberships without a user or without a group.
    nameless: IdSet,
    /// Groups and users with a record that cannot be read: memberships that are not seen may still exist.
    doubtful_groups: IdSet,
    doubtful_users: IdSet,
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
            nameless: IdSet::default(),
            doubtful_groups: IdSet::default(),
            doubtful_users: IdSet::default(),
            stamp: Stamp { reservation, enterprise_id },
        }
    }

    fn doubt(&mut self, request: &Request) {
        match request {
            Request::GroupMemberships { group_id, .. } => _ = self.doubtful_groups.insert(group_id),
            Request::UserMemberships { user_id, .. } => _ = self.doubtful_users.insert(user_id),
            _ => {}
        }
    }

    /// Whether a membership of the base run would have been seen again if it still existed.
    fn would_show(&self, user_id: &str, group_id: &str) -> bool {
        self.read.group_shows_all(group_id) && !self.doubtful_groups.contains(group_id)
            || self.read.user_shows_all(user_id) && !self.doubtful_users.contains(user_id)
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
            other => unreachable!("the index has only membership pages, not {other:?}"),
        };
        for membership in page.records::<Membership>() {
            let Some(read) = tally.take(membership) else {
                self.doubt(page.request);
                continue;
            };
            let (user_id, group_id) = match Parties::of(&read, page.request) {
                Parties::Both { user_id, group_id } => (user_id, group_id),
                Parties::Incomplete => {
                    self.nameless.insert(&read.record.id);
                    tally.dropped += 1;
                    continue;
                }
                Parties::Unreadable(_) => {
                    self.doubt(page.request);
                    tally.rejected += 1;
                    continue;
                }
            };
            let Read { record: membership, extra } = &read;
            let is_all_users =
                membership.group.as_ref().is_some_and(|g| g.group_type.as_deref() == Some(ALL_USERS_GROUP));
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
            let known = u64::from(extra.get("configurable_permissions").is_some());
            tally.unknown_fields += extra.len() - known;
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

    fn closed(&mut self, request: &Request, _: &str, _: &[u8], _: &mut Rows, tally: &mut Tally) {
        self.doubt(request);
        tally.from_box += 1;
        tally.rejected += 1;
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
            let (id, user_id, group_id) = (ids.value(row), users.value(row), groups.value(row));
            // A user that Box did not list may be hidden from groups, too.
            let is_partial = self.read.is_partial(group_id);
            let is_unproven = !self.would_show(user_id, group_id)
                || self.unlisted.contains(user_id)
                || self.nameless.contains(id);
            let stands = self.users.contains(user_id)
                && self.groups.contains(group_id)
                && is_unproven
                && !(is_partial && self.seen_in_part.contains(&pair(user_id, group_id)))
                && self.seen.insert(id);
            if stands {
                // A user that a group no longer shows may be hidden by it. Each hidden user is read by id in turn.
                read_from.push(if is_partial { FROM_USER } else { sides.value(row) });
            }
            stands
        })?;
        Some(with_column(rows, "read_from", std::sync::Arc::new(StringArray::from(read_from))))
    }
}

/// The fingerprint of a membership.
pub(super) fn pair(user_id: &str, group_id: &str) -> u128 {
    fingerprint(&format!("{group_id} {user_id}"))
}

/// User and group of a membership.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parties<'m> {
    /// Both are known. The id of the side that was read is known even if the record omits it.
    Both {
        /// The user.
        user_id: &'m str,
        /// The group.
        group_id: &'m str,
    },
    /// The record has no user or no group, for example because the user was deleted. It is not a membership of an account.
    Incomplete,
    /// The user or the group of the record cannot be read.
    Unreadable(&'static str),
}

impl<'m> Parties<'m> {
    pub(super) fn of(read: &'m Read<Membership>, request: &'m Request) -> Self {
        let Read { record, extra } = read;
        if let Some(which) =
            ["user", "group"].into_iter().find(|which| extra.get(&format!("{which}_unreadable")).is_some())
        {
            return Self::Unreadable(which);
        }
        let (user_side, group_side) = match request {
            Request::GroupMemberships { group_id, .. } => (None, Some(group_id.as_str())),
            Request::UserMemberships { user_id, .. } => (Some(user_id.as_str()), None),
            _ => (None, None),
        };
        fn named(party: Option<&Mini>) -> Option<&str> {
            party.and_then(|party| party.id.as_deref())
        }
        let user_id = named(record.user.as_ref()).or(user_side);
        let group_id = named(record.group.as_ref()).or(group_side);
        match (user_id, group_id) {
            // A record about another user or group than the requested one.
            (Some(id), _) if user_side.is_some_and(|side| side != id) => Self::Unreadable("user"),
            (_, Some(id)) if group_side.is_some_and(|side| side != id) => Self::Unreadable("group"),
            (Some(user_id), Some(group_id)) => Self::Both { user_id, group_id },
            _ => Self::Incomplete,
        }
    }
}

/// Aliases of the snapshot's users, then those of users whose aliases were not requested.
pub struct EmailAliases<'a> {
    users: &'a IdSet,
    index: &'a Index,
    seen: IdSet,
    /// Users with an alias that cannot be read, or with fewer aliases than their page announces: an alias that is not seen may still
    /// exist.
    doubtful: IdSet,
    stamp: Stamp<'a>,
}

impl<'a> EmailAliases<'a> {
    pub(super) fn new(
        users: &'a IdSet,
        index: &'a Index,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
    ) -> Self {
        let stamp = Stamp { reservation, enterprise_id };
        Self { users, index, seen: IdSet::default(), doubtful: IdSet::default(), stamp }
    }
}

impl Stage for EmailAliases<'_> {
    fn rows(&self) -> Rows {
        rows_of(&EMAIL_ALIASES)
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        let Request::EmailAliases { user_id } = page.request else {
            unreachable!("the index has only alias pages")
        };
        if page.total_count.is_some_and(|announced| announced > page.entries.len() as u64) {
            self.doubtful.insert(user_id);
        }
        for alias in page.records::<EmailAlias>() {
            let Some(Read { record: alias, extra }) = tally.take(alias) else {
                self.doubtful.insert(user_id);
                continue;
            };
            if !self.users.contains(user_id) {
                tally.dropped += 1;
                continue;
            }
            if !self.seen.insert(&alias.id) {
                tally.duplicate += 1;
                continue;
            }
            tally.unknown_fields += extra.len();
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
                && (self.index.aliases_read_at(user_id).is_none() || self.doubtful.contains(user_id))
                && self.seen.insert(ids.value(row))
        })
    }
}
