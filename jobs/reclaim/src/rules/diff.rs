//! The differences between two plans of a stage: users that joined, users that left and why, and users whose values changed.

use std::collections::BTreeMap;

use boxseat_schemas::reclaim::plan::{Plan, PlannedPerson};

use super::evaluator::changed;

/// One user that differs between two plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Box's id.
    pub user_id: String,
    /// The login.
    pub login: String,
    /// `joined`, `left` or `changed`.
    pub change: &'static str,
    /// What differs, as a sentence.
    pub detail: String,
}

/// Differences from one plan to another, by change and login.
pub fn diff(before: &Plan, after: &Plan) -> Vec<Difference> {
    let by_id = |plan: &Plan| -> BTreeMap<String, PlannedPerson> {
        plan.people.iter().map(|person| (person.user_id.clone(), person.clone())).collect()
    };
    let (old, new) = (by_id(before), by_id(after));
    let mut differences = Vec::new();
    let mut note = |person: &PlannedPerson, change, detail| {
        differences.push(Difference {
            user_id: person.user_id.clone(),
            login: person.login.clone(),
            change,
            detail,
        });
    };
    for (id, person) in &old {
        match new.get(id) {
            None => {
                let no = after.left_out.iter().find(|left_out| left_out.user_id == *id);
                let why = no.map_or_else(
                    || "the policy no longer applies to the user".to_owned(),
                    |no| format!("{}: {}", no.reason, no.detail),
                );
                note(person, "left", why);
            }
            Some(now) => {
                let what = changes(person, now);
                if !what.is_empty() {
                    note(now, "changed", what.join("; "));
                }
            }
        }
    }
    for (id, person) in &new {
        if !old.contains_key(id) {
            note(person, "joined", person.sentence.clone());
        }
    }
    differences.sort_by(|one, other| (one.change, &one.login).cmp(&(other.change, &other.login)));
    differences
}

fn changes(before: &PlannedPerson, after: &PlannedPerson) -> Vec<String> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let mut changes = Vec::new();
    if before.login != after.login {
        changes.push(format!("login was {}", before.login));
    }
    if before.receiver_user_id != after.receiver_user_id {
        changes.push(format!(
            "receiver was {}, is {}",
            or_none(&before.receiver_login),
            or_none(&after.receiver_login)
        ));
    }
    if before.login == after.login
        && let Some(what) = changed(&before.baseline, &after.baseline, str::to_owned)
    {
        changes.push(format!("{what} has changed"));
    }
    if before.last_activity_at != after.last_activity_at {
        let day = |person: &PlannedPerson| {
            person.last_activity_at.map_or_else(|| "never".to_owned(), |at| at.format("%F").to_string())
        };
        changes.push(format!("last use was {}, is {}", day(before), day(after)));
    }
    if before.monthly_cost != after.monthly_cost {
        changes.push("the price of the seat has changed".to_owned());
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::state::JournalState;
    use crate::rules::evaluator::Evaluator;
    use crate::rules::plan::{Making, make};
    use crate::rules::snapshot::Person;
    use crate::testing::{idler, inputs, operator, policy, snapshot, snapshot_time};
    use boxseat_schemas::reclaim::{ApprovalTerms, Stage};

    fn plan(people: Vec<Person>) -> Plan {
        let (policy, inputs, past, snapshot) =
            (policy("evidence = \"activity\"\n"), inputs(), JournalState::default(), snapshot(people));
        let judged =
            Evaluator::new(&policy, &snapshot, &past, &inputs, snapshot_time(), []).unwrap().everybody();
        make(
            Making {
                stage: Stage::Suspend,
                ticket: None,
                by: operator("jo"),
                now: snapshot_time(),
                policy: &policy,
                approval: &ApprovalTerms::os_user(),
                snapshot: &snapshot,
                inputs: &inputs,
                past: &past,
            },
            &judged,
        )
    }

    #[test]
    fn diff_lists_joined_left_and_changed_users() {
        let before = plan(vec![idler("1"), idler("2"), idler("3"), idler("4")]);
        let after = plan(vec![
            idler("1"),
            Person { role: Some("coadmin".to_owned()), ..idler("2") },
            Person { login: Some("new@acme.test".to_owned()), ..idler("3") },
            Person { group_ids: vec!["g1".to_owned()], ..idler("4") },
            idler("5"),
        ]);
        let told: Vec<_> = diff(&before, &after)
            .into_iter()
            .map(|one| format!("{} {} {}", one.change, one.login, one.detail))
            .collect();
        assert_eq!(
            told,
            [
                "changed new@acme.test login was u3@acme.test",
                "changed u4@acme.test membership of groups (joined: g1) has changed",
                &format!("joined u5@acme.test {}", after.people[3].sentence),
                "left u2@acme.test admin: the role is coadmin",
            ]
        );
        assert!(diff(&before, &before).is_empty());
    }
}
