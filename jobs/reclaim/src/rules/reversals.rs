//! R20: what other actors did to our actions, by the latest snapshot.
//!
//! An account that is active again after our suspension was set active by another actor, and is skipped for 90 days. If a login has
//! a new account within 30 days of our deletion, the seat was not freed: most often an identity provider still assigns it, and
//! creates the account again the day after. An account that another actor has deleted since our suspension has freed its seat.

use std::collections::HashMap;

use boxseat_schemas::reclaim::{Outcome, ReasonCode, Record};
use chrono::TimeDelta;

use super::snapshot::{Person, Snapshot};
use crate::journal::state::{ActionState, JournalState, UserState};

/// A login that returns within this time after a deletion removes the saving.
const RE_PROVISIONED_WITHIN: TimeDelta = TimeDelta::days(30);

/// How far the clock of Box may be from ours (R10).
const CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// Entries for what the snapshot shows and the journal does not have yet.
pub fn noticed(snapshot: &Snapshot, past: &JournalState) -> Vec<Record> {
    let night = snapshot.night.now_at;
    let logins: HashMap<String, &Person> = snapshot
        .people
        .values()
        .filter(|person| person.listing.as_deref() == Some("listed"))
        .filter_map(|person| Some((person.login.as_deref()?.to_lowercase(), person)))
        .collect();
    let mut records = Vec::new();
    for (user_id, person) in &past.people {
        // A carried row shows an earlier state.
        let is_back = snapshot
            .person(user_id)
            .is_some_and(|now| now.account_status == "active" && now.listing.as_deref() == Some("listed"));
        let is_back = is_back && !person.was_in_window(night);
        if let Some(ours) = person.suspension().filter(|ours| is_back && ours.asked_at < night) {
            records.push(outcome(ours, Outcome::RevertedByOther, "the snapshot shows the account as active"));
        }
        let gone = gone_by_others(snapshot, person, user_id)
            .filter(|ours| ours.asked_at < night && past.open_plan_of(user_id).is_none());
        if let Some(ours) = gone {
            records.push(Record::Skipped {
                plan_id: ours.attempt.plan_id.clone(),
                user_id: user_id.clone(),
                reason: ReasonCode::Gone.into(),
                detail: "another actor deleted the account or took it out of the enterprise: the seat is free, and boxseat does not count it as freed by itself".to_owned(),
                is_final: true,
                used_at: None,
            });
        }
        let deletion = person.deletion().filter(|gone| {
            gone.outcome == Some(Outcome::Done)
                && gone.asked_at < night
                && night - gone.asked_at <= RE_PROVISIONED_WITHIN
        });
        if let Some(gone) = deletion
            && let Some(new) = logins.get(&gone.attempt.login.to_lowercase()).filter(|new| {
                // An older account that got the login by a rename takes no new seat.
                let is_older = |created| created < gone.asked_at - CLOCKS;
                new.user_id != *user_id && !new.created_at.is_some_and(is_older)
            })
        {
            let why = format!("the login has a new account, {}", new.user_id);
            records.push(outcome(gone, Outcome::ReProvisioned, &why));
        }
    }
    records
}

/// Our suspension of an account that the snapshot no longer has, if no call of boxseat explains that and no entry reports it yet. A plan
/// that is open reads the account itself.
fn gone_by_others<'a>(snapshot: &Snapshot, known: &'a UserState, user_id: &str) -> Option<&'a ActionState> {
    let is_gone = snapshot.person(user_id).is_some_and(|now| now.listing.is_none());
    let ours = known.suspension().filter(|_| is_gone)?;
    let is_explained = known.attempts.iter().any(ActionState::is_unfinished)
        || known.deletion().is_some()
        || known.seen_gone_at().any(|at| at > ours.asked_at);
    (!is_explained).then_some(ours)
}

fn outcome(past: &ActionState, outcome: Outcome, reason: &str) -> Record {
    Record::Outcome {
        action_id: past.attempt.action_id.clone(),
        outcome,
        http_status: None,
        request_id: None,
        after: None,
        destination_folder_id: None,
        reason: Some(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::{Action, PlanEnd, Stage};

    use super::*;
    use crate::testing::{created, idler, intent, outcome as concluded, past, snapshot, suspended};

    fn outcomes(snapshot: &Snapshot, past: &JournalState) -> Vec<(String, Outcome)> {
        noticed(snapshot, past)
            .into_iter()
            .filter_map(|record| match record {
                Record::Outcome { action_id, outcome, .. } => Some((action_id, outcome)),
                _ => None,
            })
            .collect()
    }

    /// R20: an account that is active again was set active by another actor.
    #[test]
    fn r20_an_account_that_is_active_again_was_reverted() {
        let did = |action, day: i64| {
            past(&[(day, intent("p", "1", action, 1)), (day, concluded("p", "1", 1, Outcome::Done))])
        };
        let reverted = vec![("p/1/1".to_owned(), Outcome::RevertedByOther)];
        assert_eq!(outcomes(&snapshot([idler("1")]), &did(Action::Suspend, 90)), reverted);
        assert_eq!(outcomes(&snapshot([suspended("1")]), &did(Action::Suspend, 90)), []);
        assert_eq!(
            outcomes(&snapshot([idler("1")]), &did(Action::Suspend, 101)),
            [],
            "the snapshot is older than that"
        );
    }

    /// R20: an account that another actor deleted after our suspension is reported once; a carried row, an open plan and our own deletion
    /// explain a missing account.
    #[test]
    fn r20_an_account_that_others_deleted_is_reported_once() {
        let told = |records: &[(i64, Record)], listing: Option<&str>| {
            let person = Person { listing: listing.map(str::to_owned), ..suspended("1") };
            let noticed = noticed(&snapshot([person]), &past(records));
            noticed
                .iter()
                .any(|record| matches!(record, Record::Skipped { reason, .. } if *reason == ReasonCode::Gone))
        };
        let did = |action, n| {
            vec![
                (80 + i64::from(n), intent("p", "1", action, n)),
                (80 + i64::from(n), concluded("p", "1", n, Outcome::Done)),
            ]
        };
        let open = vec![(79, created("p", Stage::Suspend, &["1"], &[]))];
        let closed = Record::PlanClosed { plan_id: "p".into(), because: PlanEnd::Applied.into(), by: None };
        let gone = Record::Skipped {
            plan_id: "p".into(),
            user_id: "1".into(),
            reason: ReasonCode::Gone.into(),
            detail: String::new(),
            is_final: true,
            used_at: None,
        };
        let ended = [open.clone(), did(Action::Suspend, 1), vec![(82, closed)]].concat();
        assert!(told(&ended, None));
        assert!(!told(&ended, Some("listed")));
        assert!(!told(&ended, Some("missing_unconfirmed")), "the listing may have lost it");
        assert!(!told(&[open, did(Action::Suspend, 1)].concat(), None), "the plan reads the account");
        assert!(!told(&[ended.clone(), vec![(83, gone)]].concat(), None), "reported before");
        assert!(!told(&[ended, did(Action::Delete, 4)].concat(), None), "boxseat deleted it");
        assert!(!told(&[], None), "boxseat did nothing to it");
    }

    /// R20: a login that returns within thirty days of our deletion was no saving; a later return does not count.
    #[test]
    fn r20_a_login_that_returns_within_thirty_days_is_re_provisioned() {
        let mut back = idler("2");
        back.login = Some("A@B.test".to_owned());
        back.created_at = Some(crate::testing::day(85));
        let deleted = |day: i64| {
            past(&[(day, intent("p", "1", Action::Delete, 1)), (day, concluded("p", "1", 1, Outcome::Done))])
        };
        let again = vec![("p/1/1".to_owned(), Outcome::ReProvisioned)];
        assert_eq!(outcomes(&snapshot([back.clone()]), &deleted(80)), again);
        let renamed = Person { created_at: Some(crate::testing::day(-300)), ..back.clone() };
        assert_eq!(outcomes(&snapshot([renamed]), &deleted(80)), [], "an older account was renamed");
        assert_eq!(outcomes(&snapshot([back]), &deleted(60)), []);
        assert_eq!(outcomes(&snapshot([idler("3")]), &deleted(80)), []);
    }
}
