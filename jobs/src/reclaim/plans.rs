//! Plans on disk: `<store>/state/reclaim/plans/<plan_id>.json`, written once and readable by their owner alone.
//!
//! The file is whole before the journal names its digest, and counts only once it does. *Killed* between the two: a file that no
//! journal knows, which `apply` refuses; it does no harm.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use boxseat_output::durable::{self, Access};
use boxseat_schemas::reclaim::plan::{Operator, Origin, PLAN_FORMAT};
use boxseat_schemas::reclaim::{Plan, Record};
use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

use super::journal::{Journal, directory};
use crate::error::CommandError;
use crate::evidence::digest;

/// A plan as it was read, and what its bytes are.
#[derive(Debug, Clone)]
pub(crate) struct PlanFile {
    /// What it says.
    pub(crate) plan: Plan,
    /// SHA-256 of its bytes, in hexadecimal.
    pub(crate) digest: String,
}

/// Writes a plan and announces it in the journal; gives its digest.
///
/// # Errors
/// The disk's; a plan of that name is never overwritten.
pub(crate) fn create(root: &Path, journal: &mut Journal, plan: &Plan) -> Result<String, CommandError> {
    let path = path(root, &plan.plan_id);
    if path.exists() {
        return Err(CommandError::refused(format!("{} is there already", path.display())));
    }
    let access = Access::from(0o600);
    durable::create_directory(&directory(root).join("plans"), &access)?;
    let bytes = serde_json::to_vec_pretty(plan).expect("a plan is plain data");
    durable::write_file(&path, &bytes, &access)?;
    let digest = digest(&bytes);
    let receivers: BTreeSet<&String> =
        plan.people.iter().filter_map(|planned| planned.receiver_user_id.as_ref()).collect();
    journal.append(
        plan.created_at,
        Record::PlanCreated {
            plan_id: plan.plan_id.clone(),
            digest: digest.clone(),
            stage: plan.stage,
            policy_digest: match &plan.origin {
                Origin::Policy { policy_digest } => Some(policy_digest.clone()),
                Origin::Offboard { .. } => None,
            },
            night: plan.night.clone(),
            by: plan.planned_by.clone(),
            user_ids: plan.people.iter().map(|planned| planned.user_id.clone()).collect(),
            receiver_user_ids: receivers.into_iter().cloned().collect(),
        },
    )?;
    Ok(digest)
}

/// Reads a plan by its name, or by the path of a file.
///
/// # Errors
/// Exit 2 for a plan that is not there or cannot be understood.
pub(crate) fn load(root: &Path, name: &str) -> Result<PlanFile, CommandError> {
    let is_name = !name.contains('/') && !name.ends_with(".json");
    let path = if is_name { path(root, name) } else { PathBuf::from(name) };
    let bytes = std::fs::read(&path).map_err(|e| {
        CommandError::usage(format!("there is no plan {name}"))
            .because(e)
            .hint("`boxseat reclaim status` lists the plans of the store; a path names a copy")
    })?;
    let wrong = |e| CommandError::usage(format!("{} is no plan", path.display())).because(e);
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_slice(&bytes).map_err(wrong)?;
    if head.format != PLAN_FORMAT {
        return Err(CommandError::usage(format!(
            "{} has format {}, this version reads {PLAN_FORMAT}",
            path.display(),
            head.format
        )));
    }
    Ok(PlanFile { plan: serde_json::from_slice(&bytes).map_err(wrong)?, digest: digest(&bytes) })
}

/// A name for a plan: the day, what it does, and six digits of chance.
pub(crate) fn new_id(what: &str, now: DateTime<Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let chance = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
    format!("{}-{what}-{:06x}", now.format("%F"), chance.as_u64_pair().1 & 0xff_ffff)
}

fn path(root: &Path, plan_id: &str) -> PathBuf {
    directory(root).join(format!("plans/{plan_id}.json"))
}
