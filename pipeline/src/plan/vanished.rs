//! Users of the base run who are no longer listed: each is requested by id, and a few listed users must be returned.

use boxseat_schemas::plan::{Choice, RunPlan, Stream, StreamPlan};

use super::{BaseRun, Inputs, Survey, tie};
use crate::ids::IdSet;

/// Decides which missing users to request. Returns the calls that this costs.
pub(super) fn plan(inputs: &Inputs<'_>, plan: &mut RunPlan) -> u64 {
    let Some(base) = inputs.base else { return 0 };
    // Without change events, nothing could have been announced.
    if !inputs.survey.feed.login_only {
        plan.unannounced_departures = unannounced(base, inputs.survey);
    }
    let (mut gone, mut missing) = (Vec::new(), Vec::new());
    for (id, was_listed) in vanished(base, inputs.survey) {
        if was_listed { gone.push(id) } else { missing.push(id) }
    }
    let listed_then = base.sizes().users;
    let newly = gone.len() as u64;
    // Users that were missing before are requested again, whatever the listing shows now.
    let is_broken = newly > A_FEW && newly * BROKEN_LISTING > listed_then;
    if is_broken {
        plan.notes.push(format!(
            "{newly} of {listed_then} users are not listed any more: too many to be plausible, so they are not requested in this run"
        ));
        gone.clear();
    }
    gone.append(&mut missing);
    if gone.is_empty() {
        return 0;
    }
    gone.sort_unstable();
    let count = gone.len();
    let (choice, reason) = {
        // The same few users in every run would prove little, so a hash of the id and the date selects them.
        let mut listed: Vec<_> = inputs.survey.users.iter().map(|user| &user.id).collect();
        let date = inputs.now.date_naive().to_string();
        listed.sort_by_cached_key(|id| tie(&format!("{date}{id}")));
        plan.reads.canaries = listed.iter().take(CANARIES).map(|id| id.to_string()).collect();
        let canaries = plan.reads.canaries.len();
        (
            Choice::ChangedOnly,
            format!(
                "{count} users are not listed any more; {canaries} listed users are requested as a check"
            ),
        )
    };
    plan.reads.confirm = gone;
    let calls = (plan.reads.confirm.len() + plan.reads.canaries.len()) as u64;
    plan.streams.push(StreamPlan { stream: Stream::Confirmations, choice, reason, calls });
    calls
}

/// Groups of the base run that are not listed any more and that no event announces as deleted. The members of each are requested: only a
/// 404 proves that the group is gone.
pub(super) fn groups(inputs: &Inputs<'_>, plan: &mut RunPlan) -> u64 {
    let Some(base) = inputs.base else { return 0 };
    let survey = inputs.survey;
    let mut known = IdSet::default();
    survey.groups.iter().chain(&survey.all_users_groups).for_each(|id| _ = known.insert(id));
    survey.feed.announced.groups.iter().for_each(|id| _ = known.insert(id));
    let missing = base.groups.iter().filter(|(id, _)| !known.contains(id)).map(|(id, _)| id.into_owned());
    let mut missing: Vec<String> = missing.collect();
    let count = missing.len() as u64;
    if count > A_FEW && count * BROKEN_LISTING > base.groups.len() as u64 {
        plan.notes.push(format!(
            "{count} of {} groups are not listed any more: too many to be plausible, so none is read by id",
            base.groups.len()
        ));
        return 0;
    }
    missing.sort_unstable();
    plan.reads.confirm_groups = missing;
    count
}

/// Number of users that the base run listed and that are gone without a DELETE_USER event.
fn unannounced(base: &BaseRun, survey: &Survey) -> u64 {
    let deleted = &survey.feed.deleted;
    vanished(base, survey).filter(|(id, was_listed)| *was_listed && !deleted.contains(id)).count() as u64
}

/// Users of the base run who are not listed, and whether the base run listed them.
fn vanished<'a>(base: &'a BaseRun, survey: &'a Survey) -> impl Iterator<Item = (String, bool)> + 'a {
    let gone = base.users.iter().filter(|(id, _)| !survey.listed.contains(id));
    gone.map(|(id, user)| (id.into_owned(), user.is_listed))
}

/// If a larger share (one in this number) is gone since the last run, the listing is broken, and the shrink guard refuses it anyway.
const BROKEN_LISTING: u64 = 3;
/// This number can always be requested.
const A_FEW: u64 = 20;
/// If Box returns three listed users, it is not down.
const CANARIES: usize = 3;
