//! People of the base night who are no longer listed: each is asked about by id, while a few who are still listed must answer.

use boxseat_schemas::plan::{Choice, NightPlan, Stream, StreamPlan};

use super::{BaseNight, Inputs, Survey, tie};

/// Decides whom to ask about; gives the calls that costs.
pub(super) fn plan(inputs: &Inputs<'_>, plan: &mut NightPlan) -> u64 {
    let Some(base) = inputs.base else { return 0 };
    plan.unannounced_departures = unannounced(base, inputs.survey);
    let mut gone: Vec<String> = vanished(base, inputs.survey).map(|(id, _)| id).collect();
    if gone.is_empty() {
        return 0;
    }
    gone.sort_unstable();
    let count = gone.len();
    let (choice, reason) = if count as u64 * BROKEN_LISTING > base.users.len() as u64 {
        gone.clear();
        (
            Choice::CarryForward,
            format!("{count} people are not listed any more: too many to be true, so none is asked about"),
        )
    } else {
        // The same few every night would say little; tonight's are those the hash of the date happens to choose.
        let mut listed: Vec<_> = inputs.survey.users.iter().map(|user| &user.id).collect();
        let tonight = inputs.now.date_naive().to_string();
        listed.sort_by_cached_key(|id| tie(&format!("{tonight}{id}")));
        plan.reads.canaries = listed.iter().take(CANARIES).map(|id| id.to_string()).collect();
        let canaries = plan.reads.canaries.len();
        (
            Choice::ChangedOnly,
            format!("{count} people are not listed any more; {canaries} who are must answer too"),
        )
    };
    plan.reads.confirm = gone;
    let calls = (plan.reads.confirm.len() + plan.reads.canaries.len()) as u64;
    plan.streams.push(StreamPlan { stream: Stream::Confirmations, choice, reason, calls });
    calls
}

/// How many people the base night listed are gone without a DELETE_USER event.
fn unannounced(base: &BaseNight, survey: &Survey) -> u64 {
    let deleted = &survey.feed.deleted;
    vanished(base, survey).filter(|(id, was_listed)| *was_listed && !deleted.contains(id)).count() as u64
}

/// People of the base night who are not listed, and whether they were then.
fn vanished<'a>(base: &'a BaseNight, survey: &'a Survey) -> impl Iterator<Item = (String, bool)> + 'a {
    let gone = base.users.iter().filter(|(id, _)| !survey.listed.contains(id));
    gone.map(|(id, user)| (id.into_owned(), user.is_listed))
}

/// One in so many gone in a night is no departure but a broken listing, which the shrink guard refuses anyway.
const BROKEN_LISTING: u64 = 3;
/// Whoever answers three times in a row is not down.
const CANARIES: usize = 3;
