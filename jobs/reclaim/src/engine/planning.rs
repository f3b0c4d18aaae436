//! Stores the plans of the latest snapshot: which open plans they replace, which stay, and what was made.
//!
//! A new plan replaces a plan of its stage without an approval. An approved or begun plan stays, because an operator relies on it.
//! *Killed* between the two, the old plan is closed and there is no new one: the next planning makes it.

use std::path::Path;

use boxseat_schemas::reclaim::plan::Operator;
use boxseat_schemas::reclaim::{PlanEnd, Stage};
use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::journal::Journal;
use crate::journal::approval::terms;
use crate::journal::plans::{PlanFile, expired_plans};
use crate::journal::state::PlanState;
use crate::rules::evaluator::{Evaluator, refused};
use crate::rules::plan::{Making, fit, make};
use crate::rules::policy::Policy;
use crate::rules::policy_inputs::PolicyInputs;
use crate::rules::snapshot::Snapshot;

/// The inputs of the planning.
pub struct Planning<'a> {
    /// The directory of the store.
    pub root: &'a Path,
    /// The policy.
    pub policy: &'a Policy,
    /// The lists next to the policy.
    pub inputs: &'a PolicyInputs,
    /// The latest snapshot.
    pub snapshot: &'a Snapshot,
    /// The time of the command.
    pub now: DateTime<Utc>,
    /// Who plans.
    pub by: &'a Operator,
    /// A ticket of the service desk.
    pub ticket: Option<&'a str>,
    /// The stages to plan.
    pub stages: &'a [Stage],
    /// What happens to an open plan without an approval.
    pub waiting: Waiting,
}

/// What happens to an open plan without an approval when its stage is planned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It is replaced: an operator requested a plan of the latest snapshot.
    GivesWay,
    /// It stays until it expires: an operator may be reading it, and a scheduled job must not replace it.
    Stays,
}

/// The result.
#[derive(Debug, Default)]
pub struct Planned {
    /// The new plans.
    pub made: Vec<PlanFile>,
    /// Plans that were replaced, and why: `withdrawn`, `expired`.
    pub closed: Vec<(String, PlanEnd)>,
    /// Stages with an open plan that stays.
    pub standing: Vec<(Stage, String)>,
    /// Users that were evaluated and enter no stage.
    pub left_out: usize,
}

/// Plans the stages, and closes the plans that are replaced.
///
/// # Errors
/// `Refused` with every rule for which no plan may be made; the journal's and the disk's.
pub fn plan_stages(planning: &Planning<'_>, journal: &mut Journal) -> Result<Planned, Error> {
    let Planning { root, policy, inputs, snapshot, now, by, .. } = *planning;
    fit(snapshot, now).map_err(|refusal| refused(&[refusal]))?;
    let approval = &terms(&policy.approval)?;
    let past = journal.past().clone();
    let expired = expired_plans(root, &past, now);
    let is_expired = |plan_id: &str| expired.iter().any(|id| id == plan_id);
    let gives_way = |plan_id: &str| match planning.waiting {
        Waiting::GivesWay => past.replaceable_plans().any(|id| id == plan_id),
        Waiting::Stays => false,
    };
    let mut planned = Planned::default();
    let mut stages = Vec::new();
    for stage in planning.stages {
        let mut open =
            past.open_plans().filter(|(_, plan)| plan.stage == *stage && plan.policy_digest.is_some());
        match open.find(|(plan_id, _)| !is_expired(plan_id) && !gives_way(plan_id)) {
            Some((plan_id, _)) => planned.standing.push((*stage, plan_id.to_owned())),
            None => stages.push(*stage),
        }
    }
    // Users in a plan of another stage stay excluded.
    let is_of_these = |(plan_id, plan): &(&str, &PlanState)| {
        is_expired(plan_id) || (stages.contains(&plan.stage) && gives_way(plan_id))
    };
    let set_aside: Vec<&str> = past.open_plans().filter(is_of_these).map(|(plan_id, _)| plan_id).collect();
    let evaluator = Evaluator::new(policy, snapshot, &past, inputs, now, set_aside.iter().copied())
        .map_err(|refusals| refused(&refusals))?;
    let judged = evaluator.everybody();
    planned.left_out = judged.left_out.len();
    for stage in stages {
        if judged.going.get(&stage).is_none_or(Vec::is_empty) {
            continue;
        }
        for plan_id in &set_aside {
            let Some(old) = past.plans.get(*plan_id) else { continue };
            // The actions that an expired plan has begun are finished by `apply`.
            let is_untouched = old.applies == 0 && old.policy_digest.is_some();
            if old.stage == stage && is_untouched {
                let because = if is_expired(plan_id) { PlanEnd::Expired } else { PlanEnd::Withdrawn };
                journal.close_plan(plan_id, because, by, now)?;
                planned.closed.push(((*plan_id).to_owned(), because));
            }
        }
        let making = Making {
            stage,
            ticket: planning.ticket.map(str::to_owned),
            by: by.clone(),
            now,
            policy,
            approval,
            snapshot,
            inputs,
            past: &past,
        };
        let file = PlanFile::create(root, make(making, &judged))?;
        journal.append(now, file.record())?;
        planned.made.push(file);
    }
    Ok(planned)
}

/// Every stage, in the order in which a user passes them.
pub const ALL_STAGES: [Stage; 3] = [Stage::Suspend, Stage::Transfer, Stage::Delete];
