//! R19: what holds even for somebody who was named.
//!
//! Naming a person waives the rules on idleness, recent sign-ins and young accounts, and nothing else: administrators, protected
//! people, legal holds and receivers of others' content are as out of bounds as ever.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::beside::Beside;
use super::ground::{Ground, Person};
use super::judge::{Judge, No};
use super::past::Past;
use super::policy::Policy;

/// The word for lists that may lack the person: they can be mended, and the same plan goes on.
pub(crate) const UNSURE: &str = "lists_unsure";

/// Whether a person may be offboarded at all.
///
/// # Errors
/// The rule that says no.
pub(crate) fn forbids(
    person: &Person,
    policy: Option<&Policy>,
    ground: &Ground,
    past: &Past,
    beside: &Beside,
    now: DateTime<Utc>,
) -> Result<(), No> {
    let no = |word, detail: String| Err(No { rule: "R1", word, detail });
    match person.role.as_deref() {
        Some("user") => {}
        Some(role) => {
            return no("admin", format!("the role is {role}: administrators are offboarded by people"));
        }
        None => return no("unknown_role", "the role is not known".to_owned()),
    }
    if person.is_platform_access_only == Some(true) || person.seat_kind == "app_user" {
        return no("no_person", "it is an app user's account".to_owned());
    }
    if person.enterprise_id.as_deref() != Some(ground.enterprise_id.as_str()) {
        return no("other_enterprise", "the account is not of this enterprise".to_owned());
    }
    if person.login.as_deref().is_none_or(str::is_empty) {
        return no("no_login", "the account has no login".to_owned());
    }
    if past.receivers(&HashSet::new(), now).contains(person.user_id.as_str()) {
        let detail = "receives content of others, or did within 365 days".to_owned();
        return Err(No { rule: "R4", word: "receiver", detail });
    }
    let Some(policy) = policy else { return Ok(()) };
    let (judge, refusals) = Judge::look(policy, ground, past, beside, now, []);
    judge.keeps_even_if_named(person)?;
    // R3, R4: a list with a slip in it, or an old one, may lack this very person. Who receives is said by name here.
    match refusals.into_iter().find(|refusal| refusal.is_about_lists()) {
        Some(refusal) => Err(No { rule: refusal.rule, word: UNSURE, detail: refusal.sentence }),
        None => Ok(()),
    }
}
