//! Records that could not be understood, with the reason and their raw text.

use boxseat_schemas::box_api::{EmailAlias, Event, Group, Membership, User};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::Request;
use boxseat_schemas::table::{REJECTS, Rows};

use super::Privacy;
use super::stage::{PageOf, Stage, Tally};

/// The rejects of all streams.
pub struct Rejects<'a> {
    privacy: Privacy,
    reservation: &'a Reservation,
    enterprise_id: &'a str,
}

impl<'a> Rejects<'a> {
    pub(super) fn new(privacy: Privacy, reservation: &'a Reservation, enterprise_id: &'a str) -> Self {
        Self { privacy, reservation, enterprise_id }
    }
}

impl Stage for Rejects<'_> {
    fn rows(&self) -> Rows {
        Rows::new(REJECTS.lake_schema())
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        for raw in &page.entries {
            let raw = raw.get();
            let (stream, reason) = match page.request {
                Request::Users { .. } => ("users", serde_json::from_str::<User>(raw).err()),
                Request::Groups { .. } => ("groups", serde_json::from_str::<Group>(raw).err()),
                Request::GroupMemberships { .. } | Request::UserMemberships { .. } => {
                    ("memberships", serde_json::from_str::<Membership>(raw).err())
                }
                Request::EmailAliases { .. } => {
                    ("email_aliases", serde_json::from_str::<EmailAlias>(raw).err())
                }
                Request::Events { .. } => ("events", serde_json::from_str::<Event<'_>>(raw).err()),
                Request::Me | Request::User { .. } => continue,
            };
            let Some(reason) = reason else { continue };
            tally.from_box += 1;
            rows.big(Some(self.reservation.run_number.as_i64()))
                .text(Some(stream))
                .text(Some(&reason.to_string()))
                .text(Some(&self.privacy.scrub(raw)))
                .text(Some(self.enterprise_id))
                .end();
        }
    }
}
