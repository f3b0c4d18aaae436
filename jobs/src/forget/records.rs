//! Erases one user from entries of the journal and from plans: the rule of every field.
//!
//! Every record is taken apart without `..`, so a new field does not compile before it has a rule here. Fields that are bound to `_` stay:
//! codes, times, hashes, plan ids, ids of groups and folders, operators and hosts.

use boxseat_schemas::reclaim::{Attempt, Entry, LeftOut, Plan, PlannedPerson, Record, Standing};

use super::eraser::{About, Eraser};

impl Eraser<'_> {
    /// The entry without the user; `None` if it does not name the user.
    pub(super) fn entry(&self, entry: &Entry) -> Option<Entry> {
        let mut new = entry.clone();
        let Entry { sequence: _, at: _, prev_hash: _, record, salt: _, erased: _ } = &mut new;
        self.record(record);
        (new != *entry).then_some(new)
    }

    /// The plan without the user; `None` if it does not name the user.
    pub(super) fn plan(&self, plan: &Plan) -> Option<Plan> {
        let mut new = plan.clone();
        let is_of_the_user = plan.people.iter().all(|person| person.user_id == self.identity.user_id);
        let about = if is_of_the_user && !plan.people.is_empty() { About::User } else { About::Others };
        let Plan {
            format: _,
            plan_id: _,
            store_id: _,
            enterprise_id: _,
            night: _,
            created_at: _,
            expires_at: _,
            planned_by: _,
            origin: _,
            stage: _,
            approval: _,
            ticket,
            evidence_sources: _,
            warnings,
            people,
            left_out,
        } = &mut new;
        self.sentences(ticket, about);
        self.sentences(warnings, about);
        people.iter_mut().for_each(|person| self.planned(person));
        left_out.iter_mut().for_each(|left_out| self.left_out(left_out));
        (new != *plan).then_some(new)
    }

    fn record(&self, record: &mut Record) {
        match record {
            Record::PlanCreated {
                plan_id: _,
                digest: _,
                stage: _,
                policy_digest: _,
                night: _,
                by: _,
                user_ids,
                receiver_user_ids,
                due_on: _,
            } => user_ids.iter_mut().chain(receiver_user_ids).for_each(|id| self.id(id)),
            Record::Approved { plan_id: _, digest: _, by: _, signed_by: _, signature: _ } => {}
            Record::ApplyStarted { plan_id: _, by: _, actor_user_id, night: _ } => self.id(actor_user_id),
            Record::FeedRead { stream_position: _, from_at: _, to_at: _ } => {}
            Record::Skipped { plan_id: _, user_id, reason: _, detail, is_final: _, used_at: _ } => {
                let about = self.about(user_id);
                self.id(user_id);
                self.sentence(detail, about);
            }
            Record::ContentRead {
                plan_id: _,
                user_id,
                owned_items: _,
                shared_items: _,
                space_used_bytes: _,
            } => self.id(user_id),
            Record::DestinationRead { plan_id: _, user_id, receiver_user_id, folder_id: _, items: _ } => {
                self.id(user_id);
                self.id(receiver_user_id);
            }
            Record::BoxAllows { ability: _, is_allowed: _, user_id, detail } => {
                let about = self.about(user_id);
                self.id(user_id);
                self.sentences(detail, about);
            }
            Record::Intent(attempt) => _ = self.attempt(attempt),
            Record::Outcome {
                action_id,
                outcome: _,
                http_status: _,
                request_id: _,
                after,
                destination_folder_id: _,
                reason,
            } => {
                let is_own = action_id.split('/').any(|part| part == self.identity.user_id);
                self.action_id(action_id);
                after.iter_mut().for_each(|after| self.standing(after));
                self.sentences(reason, if is_own { About::User } else { About::Others });
            }
            Record::SealBegun { unsealed_entries: _, unsealed_head: _ } => {}
            Record::UserErased { pseudonym: _, by: _, plan_digests: _ } => {}
            Record::ContentConfirmed {
                user_id,
                action_id,
                statement,
                by: _,
                operators_needed: _,
                owned_items: _,
                space_used_bytes: _,
            } => {
                let about = self.about(user_id);
                self.id(user_id);
                self.action_id(action_id);
                self.sentence(statement, about);
            }
            Record::Bound { place: _, by: _, adoption: _ } => {}
            Record::ActionTakenIn {
                row_id,
                prev_hash: _,
                attempt,
                actor_user_id,
                asked_at: _,
                finished_at: _,
                outcome: _,
                http_status: _,
                status_after: _,
                destination_folder_id: _,
                reason,
            } => {
                self.action_id(row_id);
                let about = self.attempt(attempt);
                actor_user_id.iter_mut().for_each(|id| self.id(id));
                self.sentences(reason, about);
            }
            Record::PlanClosed { plan_id: _, because: _, by: _ } => {}
        }
    }

    fn attempt(&self, attempt: &mut Attempt) -> About {
        let Attempt {
            action_id,
            plan_id: _,
            stage: _,
            user_id,
            login,
            action: _,
            before,
            receiver_user_id,
            last_activity_at: _,
        } = attempt;
        let about = self.about(user_id);
        self.action_id(action_id);
        self.id(user_id);
        self.address(login, about);
        self.standing(before);
        receiver_user_id.iter_mut().for_each(|id| self.id(id));
        about
    }

    fn standing(&self, standing: &mut Standing) {
        let Standing {
            user_id,
            login,
            status: _,
            role: _,
            enterprise_id: _,
            is_platform_access_only: _,
            external_app_user_id,
            tracking_codes,
            group_ids: _,
            aliases,
        } = standing;
        let about = self.about(user_id);
        self.id(user_id);
        login.iter_mut().chain(aliases).for_each(|address| self.address(address, about));
        // A code of another user can be an address, such as one of the manager.
        tracking_codes.iter_mut().for_each(|code| self.sentence(code, About::Others));
        if about == About::User {
            *external_app_user_id = None;
            tracking_codes.clear();
        }
    }

    fn planned(&self, person: &mut PlannedPerson) {
        let PlannedPerson {
            user_id,
            login,
            name,
            actions: _,
            baseline,
            sentence,
            last_activity_at: _,
            last_activity_source: _,
            proven_idle_days: _,
            suspended_at: _,
            groups,
            space_used_bytes: _,
            owned_items: _,
            shared_items: _,
            receiver_user_id,
            receiver_login,
            monthly_cost: _,
            currency: _,
            warnings,
        } = person;
        let about = self.about(user_id);
        let receiver = receiver_user_id.as_deref().map_or(About::Others, |id| self.about(id));
        self.id(user_id);
        self.address(login, about);
        name.iter_mut().for_each(|name| self.name(name, about));
        self.standing(baseline);
        self.sentence(sentence, about);
        self.sentences(warnings, about);
        receiver_user_id.iter_mut().for_each(|id| self.id(id));
        receiver_login.iter_mut().for_each(|login| self.address(login, receiver));
        if about == About::User {
            groups.clear();
        }
    }

    fn left_out(&self, left_out: &mut LeftOut) {
        let LeftOut { user_id, login, name, reason: _, detail } = left_out;
        let about = self.about(user_id);
        self.id(user_id);
        login.iter_mut().for_each(|login| self.address(login, about));
        name.iter_mut().for_each(|name| self.name(name, about));
        self.sentence(detail, about);
    }

    fn about(&self, user_id: &str) -> About {
        if user_id == self.identity.user_id { About::User } else { About::Others }
    }

    fn sentences<'t>(&self, texts: impl IntoIterator<Item = &'t mut String>, about: About) {
        texts.into_iter().for_each(|text| self.sentence(text, about));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::eraser::tests::named;
    use super::*;

    const PSEUDONYM: &str = "900000000000000000000007";

    /// A name that equals the id of a colleague, the operator, the host, a code, a number and an address of another user.
    fn erased(record: Value) -> Value {
        let identity = named(&["777", "root", "host", "done", "2027", "desk@acme.test", "Ann"]);
        let entry = Entry::new(
            1,
            chrono::DateTime::UNIX_EPOCH,
            "777".to_owned(),
            serde_json::from_value(record).unwrap(),
        );
        let erased = Eraser { identity: &identity }.entry(&entry).unwrap_or(entry);
        assert_eq!(erased.prev_hash, "777");
        serde_json::to_value(erased.record).unwrap()
    }

    fn standing(user_id: &str, login: &str) -> Value {
        json!({
            "user_id": user_id, "login": login, "status": "done", "role": "root", "enterprise_id": "2027",
            "is_platform_access_only": null, "external_app_user_id": null, "tracking_codes": [], "group_ids": ["12345"],
            "aliases": [],
        })
    }

    /// Why: a user named like the id of a colleague removed the colleague from a plan, so that no undo found the colleague.
    #[test]
    fn a_name_that_equals_ids_codes_and_operators_changes_none_of_them() {
        let night =
            json!({ "run_number": 1, "snapshot_date": "2027-01-01", "now_at": "2027-01-01T00:00:00Z" });
        let root = json!({ "os_user": "root", "host": "host" });
        let created = |user: &str| {
            json!({
                "record": "plan_created", "plan_id": "2027-01-01-suspend-777", "digest": "777", "stage": "suspend",
                "policy_digest": "done", "night": night, "by": root, "user_ids": [user, "777"],
                "receiver_user_ids": ["777", user],
            })
        };
        assert_eq!(erased(created("12345")), created(PSEUDONYM));
        let approved = json!({
            "record": "approved", "plan_id": "777", "digest": "done", "by": root, "signed_by": "ann@acme.test",
            "signature": "777",
        });
        assert_eq!(erased(approved.clone()), approved);
        let outcome = |user: &str, reason: &str| {
            json!({
                "record": "outcome", "action_id": format!("777/{user}/1"), "outcome": "done", "http_status": 200,
                "request_id": "777", "after": null, "destination_folder_id": "12345", "reason": reason,
            })
        };
        assert_eq!(
            erased(outcome("12345", "Ann has 777 items")),
            outcome(PSEUDONYM, "(erased) has 777 items")
        );
        let other = outcome("777", "Ann is the receiver, and desk@acme.test");
        assert_eq!(erased(other.clone()), other);
        let intent = |user: &str, login: &str| {
            json!({
                "record": "intent", "action_id": format!("p/{user}/1"), "plan_id": "p", "stage": "suspend",
                "user_id": user, "login": login, "action": "suspend", "before": standing(user, login),
                "receiver_user_id": "777", "last_activity_at": null,
            })
        };
        let address = format!("{PSEUDONYM}@erased.invalid");
        assert_eq!(erased(intent("12345", "old@acme.test")), intent(PSEUDONYM, &address));
        let other = intent("777", "desk@acme.test");
        assert_eq!(erased(other.clone()), other);
    }
}
