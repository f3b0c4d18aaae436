//! Plans on disk: `<store>/state/reclaim/plans/<plan_id>.json`, readable by its owner alone, written once.
//!
//! The file is written first and the journal's entry after it. *Killed* between the two, the file is no plan: the journal does not
//! know it, so no command acts on it, and the next plan has another name.

use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::plan::{Origin, PLAN_FORMAT};
use boxseat_schemas::reclaim::{Plan, Record};
use boxseat_storage::digest::sha256_hex;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::log::directory;
use super::state::{JournalState, PlanState};
use crate::error::Error;

/// A plan as it is on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanFile {
    /// Its content.
    pub plan: Plan,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// Its path.
    pub path: PathBuf,
    /// Its bytes, which are what is signed.
    pub bytes: Vec<u8>,
}

impl PlanFile {
    /// Writes a new plan into the store.
    ///
    /// # Errors
    /// `Failed` for the disk, and if the name exists already.
    pub fn create(root: &Path, plan: Plan) -> Result<Self, Error> {
        let owner_alone = Access::from(0o600);
        let path = plans(root).join(format!("{}.json", plan.plan_id));
        durable::create_directory(&plans(root), &Access::from(0o700))?;
        let mut bytes = serde_json::to_vec_pretty(&plan).expect("a plan is plain data");
        bytes.push(b'\n');
        if path.exists() {
            return Err(Error::refused(format!("there is already a plan {}", plan.plan_id))
                .hint("plans are never overwritten; run the command again"));
        }
        durable::write_file(&path, &bytes, &owner_alone)?;
        Ok(Self { digest: sha256_hex(&bytes), plan, path, bytes })
    }

    /// Reads a plan of the store by its id, or a file by its path.
    ///
    /// # Errors
    /// `Usage` if there is none; `Refused` for a file that is no plan, or of another version.
    pub fn open(root: &Path, id_or_path: &str) -> Result<Self, Error> {
        let is_name = !id_or_path.contains(['/', '\\']) && !id_or_path.starts_with('.');
        let own = plans(root).join(format!("{id_or_path}.json"));
        let path = if is_name && own.exists() { own } else { PathBuf::from(id_or_path) };
        let bytes = durable::read_regular_file(&path).map_err(|e| {
            Error::usage(format!("there is no plan {id_or_path}"))
                .because(e)
                .hint("name a plan by its id or by the path of its file; `boxseat reclaim status` lists them")
        })?;
        Self::parse(path, bytes)
    }

    fn parse(path: PathBuf, bytes: Vec<u8>) -> Result<Self, Error> {
        let refused = |what: String| Error::refused(format!("{} {what}", path.display()));
        // A plan with thousands of users must not be parsed twice.
        #[derive(serde::Deserialize)]
        struct Versioned {
            format: u64,
        }
        let format = serde_json::from_slice::<Versioned>(&bytes).ok().map(|plan| plan.format);
        if let Some(format) = format.filter(|format| !(1..=u64::from(PLAN_FORMAT)).contains(format)) {
            return Err(refused(format!(
                "is a plan of format {format}, this version reads 1 to {PLAN_FORMAT}"
            ))
            .hint("use the boxseat version that made it"));
        }
        let plan: Plan = json::parse(&bytes).map_err(|e| refused("is no plan".to_owned()).because(e))?;
        Ok(Self { plan, digest: sha256_hex(&bytes), path, bytes })
    }

    /// The same without its bytes, for callers that hold it for half an hour.
    pub fn without_bytes(self) -> Self {
        Self { bytes: Vec::new(), ..self }
    }

    /// The journal's entry that makes the file a plan.
    pub fn record(&self) -> Record {
        let plan = &self.plan;
        let mut receivers: Vec<String> =
            plan.people.iter().filter_map(|person| person.receiver_user_id.clone()).collect();
        receivers.sort();
        receivers.dedup();
        Record::PlanCreated {
            plan_id: plan.plan_id.clone(),
            digest: self.digest.clone(),
            stage: plan.stage,
            policy_digest: match &plan.origin {
                Origin::Policy { policy_digest, .. } => Some(policy_digest.clone()),
                Origin::Offboard { .. } => None,
            },
            night: plan.night,
            by: plan.planned_by.clone(),
            user_ids: plan.people.iter().map(|person| person.user_id.clone()).collect(),
            receiver_user_ids: receivers,
            due_on: match &plan.origin {
                Origin::Policy { .. } => None,
                Origin::Offboard { on } => *on,
            },
        }
    }

    /// R7: whether the plan is the store's own and unedited.
    ///
    /// # Errors
    /// `Refused`.
    pub fn owned<'p>(
        &self,
        store_id: Uuid,
        enterprise_id: Option<&str>,
        past: &'p JournalState,
    ) -> Result<&'p PlanState, Error> {
        let id = &self.plan.plan_id;
        let refused = |what: String, hint: &str| Err(Error::refused(what).hint(hint));
        if self.plan.store_id != store_id {
            return refused(
                format!("plan {id} was made from another store ({})", self.plan.store_id),
                "a plan is used where it was made; --store names that store",
            );
        }
        if enterprise_id != Some(self.plan.enterprise_id.as_str()) {
            return refused(
                format!(
                    "plan {id} is for enterprise {}, and this store is of another",
                    self.plan.enterprise_id
                ),
                "a plan is used where it was made; --store names that store",
            );
        }
        let Some(known) = past.plans.get(id) else {
            return refused(
                format!("the store's journal does not know plan {id}"),
                "`boxseat reclaim plan` makes plans and records them in the journal",
            );
        };
        if known.digest != self.digest {
            return refused(
                format!("{} is not plan {id} as it was made", self.path.display()),
                "it was edited or damaged; make a new plan",
            );
        }
        Ok(known)
    }
}

/// When a plan may no longer be applied. A plan whose file is gone can never be applied.
pub(crate) fn expires_at(root: &Path, plan_id: &str, known: &PlanState) -> DateTime<Utc> {
    PlanFile::open(root, plan_id).map_or(known.created_at, |file| file.plan.expires_at)
}

/// Open plans that have expired.
pub fn expired_plans(root: &Path, past: &JournalState, now: DateTime<Utc>) -> Vec<String> {
    let open = past.open_plans().filter(|(plan_id, plan)| now >= expires_at(root, plan_id, plan));
    open.map(|(plan_id, _)| plan_id.to_owned()).collect()
}

/// The texts of all plan files, for an erasure to change.
pub struct PlanTexts(Vec<PlanText>);

struct PlanText {
    plan_id: String,
    path: PathBuf,
    text: String,
    is_changed: bool,
    /// Of the file as it was read.
    read_digest: String,
}

impl PlanTexts {
    /// Every plan file of the store.
    ///
    /// # Errors
    /// Disk.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let directory = plans(root);
        let cannot = |e| Error::failed(format!("cannot read the plans in {}", directory.display()), e);
        let entries = match std::fs::read_dir(&directory) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self(Vec::new())),
            other => other.map_err(cannot)?,
        };
        let mut texts = Vec::new();
        for entry in entries {
            let path = entry.map_err(cannot)?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let text = durable::read_regular_text(&path).map_err(cannot)?;
            let plan_id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let read_digest = sha256_hex(text.as_bytes());
            texts.push(PlanText { plan_id, path, text, is_changed: false, read_digest });
        }
        texts.sort_by(|a, b| a.plan_id.cmp(&b.plan_id));
        Ok(Self(texts))
    }

    /// Ids and texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|plan| (plan.plan_id.as_str(), plan.text.as_str()))
    }

    /// Replaces texts; `None` leaves one unchanged.
    pub fn change(&mut self, change: impl Fn(&str) -> Option<String>) {
        for plan in &mut self.0 {
            if let Some(text) = change(&plan.text) {
                (plan.text, plan.is_changed) = (text, true);
            }
        }
    }

    /// Ids and new texts of those that were replaced.
    pub fn changed(&self) -> impl Iterator<Item = (&str, &str)> {
        let changed = self.0.iter().filter(|plan| plan.is_changed);
        changed.map(|plan| (plan.plan_id.as_str(), plan.text.as_str()))
    }

    /// Refuses to replace a file that is neither what the journal knows nor already replaced by an erasure that was interrupted.
    ///
    /// # Errors
    /// `Refused` naming the file.
    pub fn refuse_edited(&self, past: &JournalState) -> Result<(), Error> {
        for plan in self.0.iter().filter(|plan| plan.is_changed) {
            let Some(known) = past.plans.get(&plan.plan_id) else { continue };
            if ![&plan.read_digest, &sha256_hex(plan.text.as_bytes())].contains(&&known.digest) {
                return Err(Error::refused(format!("{} was edited or damaged", plan.path.display()))
                    .hint("restore the file from a backup, or remove it; then run the command again"));
            }
        }
        Ok(())
    }

    /// Writes those that were replaced; returns how many.
    ///
    /// # Errors
    /// Disk.
    pub fn write(&self) -> Result<u64, Error> {
        let mut written = 0;
        for plan in self.0.iter().filter(|plan| plan.is_changed) {
            durable::write_file(&plan.path, plan.text.as_bytes(), &Access::from(0o600))?;
            written += 1;
        }
        Ok(written)
    }
}

fn plans(root: &Path) -> PathBuf {
    directory(root).join("plans")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A changed plan has another digest than the one in the journal, so [`PlanFile::owned`] refuses it.
    #[test]
    fn fuzz_plan() {
        boxseat_fuzz::run("plan", |input| {
            match PlanFile::parse(PathBuf::from("plan.json"), input.mutated.to_vec()) {
                Ok(file) if input.mutated != input.original && file.digest == sha256_hex(input.original) => {
                    Err("the changed plan has the digest of the original".to_owned())
                }
                Ok(file) => {
                    _ = file.record();
                    Ok(())
                }
                Err(_) => Ok(()),
            }
        });
    }
}
