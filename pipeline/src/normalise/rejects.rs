//! Records that could not be parsed or contradict each other, with the reason and their raw text; and users or groups that could not be
//! read.

use boxseat_schemas::box_api::{EmailAlias, Event, Group, Membership, Record, User, read};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::Request;
use boxseat_schemas::table::{REJECTS, Rows};

use super::contradictions;
use super::snapshot::Parties;
use super::stage::{PageOf, Stage, Tally};
use crate::Privacy;
use crate::ids::IdSet;

/// The rejects of all streams.
pub struct Rejects<'a> {
    privacy: Privacy,
    reservation: &'a Reservation,
    enterprise_id: &'a str,
    /// Users that were listed with different values.
    contradictory: &'a IdSet,
}

impl<'a> Rejects<'a> {
    pub(super) fn new(
        privacy: Privacy,
        reservation: &'a Reservation,
        enterprise_id: &'a str,
        contradictory: &'a IdSet,
    ) -> Self {
        Self { privacy, reservation, enterprise_id, contradictory }
    }

    fn write(&self, request: &Request, reason: &str, raw: &str, rows: &mut Rows, tally: &mut Tally) {
        tally.from_box += 1;
        rows.big(Some(self.reservation.run_number.as_i64()))
            .text(Some(stream(request)))
            .text(Some(reason))
            .text(Some(&self.privacy.scrub_record(request, raw)))
            .text(Some(self.enterprise_id))
            .end();
    }
}

impl Stage for Rejects<'_> {
    fn rows(&self) -> Rows {
        Rows::new(REJECTS.lake_schema())
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        for raw in &page.entries {
            if let Some(reason) = refusal(page.request, raw.get(), self.contradictory) {
                self.write(page.request, &reason, raw.get(), rows, tally);
            }
        }
    }

    fn closed(&mut self, request: &Request, reason: &str, body: &[u8], rows: &mut Rows, tally: &mut Tally) {
        self.write(request, reason, &String::from_utf8_lossy(body), rows, tally);
    }
}

fn stream(request: &Request) -> &'static str {
    match request {
        Request::Me | Request::User { .. } | Request::Users { .. } => "users",
        Request::Groups { .. } => "groups",
        Request::GroupMemberships { .. } | Request::UserMemberships { .. } => "memberships",
        Request::EmailAliases { .. } => "email_aliases",
        Request::Events { .. } => "events",
    }
}

/// Why a record is rejected: it cannot be parsed, or another record contradicts it; `None` if it is not rejected.
fn refusal(request: &Request, raw: &str, contradictory: &IdSet) -> Option<String> {
    fn unreadable<'de, T: Record<'de>>(raw: &'de str) -> Option<String> {
        read::<T>(raw).err().map(|reason| reason.to_string())
    }
    match request {
        Request::Me | Request::User { .. } => None,
        Request::Users { .. } => match read::<User>(raw) {
            Err(reason) => Some(reason.to_string()),
            Ok(user) => contradictory.contains(&user.record.id).then(|| contradictions::REASON.to_owned()),
        },
        Request::Groups { .. } => unreadable::<Group>(raw),
        Request::EmailAliases { .. } => unreadable::<EmailAlias>(raw),
        Request::Events { .. } => unreadable::<Event<'_>>(raw),
        Request::GroupMemberships { .. } | Request::UserMemberships { .. } => match read::<Membership>(raw) {
            Err(reason) => Some(reason.to_string()),
            Ok(membership) => match Parties::of(&membership, request) {
                Parties::Unreadable(which) => Some(format!("its {which} cannot be read")),
                Parties::Both { .. } | Parties::Incomplete => None,
            },
        },
    }
}
