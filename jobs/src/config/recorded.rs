//! The configuration of the last complete `sync`: `state/configuration.json`. A command that is started from another folder, or
//! without its variables, finds another configuration file or none. It must not report or act by other licence terms, thresholds or
//! another policy without a choice of the operator.
//!
//! The file is written after the run is complete. *Killed* before: the record is that of the run before, so a choice has to be made
//! once more. The record has no seal, and no rule of reclamation reads it. Without it nothing is compared: an earlier version wrote
//! none.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use boxseat_storage::digest::{FileDigest, sha256_hex};
use boxseat_storage::durable::{self, Access};
use boxseat_storage::{json, resolve};
use serde::{Deserialize, Serialize};

use super::Settings;
use super::search::{Found, absolute};
use crate::error::CommandError;

/// What a run was configured by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedConfiguration {
    /// The configuration file as it was named, absolute. `None`: no file was read.
    config_file: Option<String>,
    /// Its content.
    config_digest: Option<FileDigest>,
    /// Digest of the licence terms, of the file and the environment together.
    licence_digest: String,
    /// The same of `[idle]`.
    idle_digest: String,
    /// The reclamation policy.
    policy: Option<RecordedPolicy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedPolicy {
    path: String,
    /// `None`: it could not be read.
    digest: Option<FileDigest>,
}

/// The record of a store.
#[derive(Debug)]
enum Read {
    /// There is none, or this user may not read it: analysts may not enter `state`.
    Nothing,
    Damaged(String),
    Record(Box<RecordedConfiguration>),
}

impl RecordedConfiguration {
    /// What the settings of a run say.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            config_file: settings.config_file.as_deref().map(text),
            config_digest: settings.config_digest.clone(),
            licence_digest: licence_digest(settings),
            idle_digest: idle_digest(settings),
            policy: settings.policy_file.as_deref().map(|path| RecordedPolicy {
                path: text(&absolute(path)),
                digest: FileDigest::of_file(path).ok(),
            }),
        }
    }

    /// Writes the record of a complete run. The run is complete without it, too.
    pub(crate) fn write(&self, root: &Path) {
        let text = serde_json::to_vec_pretty(self).expect("plain data");
        if let Err(e) = durable::write_file(&path(root), &text, &Access::from(0o600)) {
            tracing::warn!("the configuration of this run could not be recorded: {e}");
        }
    }

    /// The configuration file of the last complete run, if one was read.
    pub(crate) fn file_of_last_run(root: &Path) -> Option<String> {
        match read(root) {
            Read::Record(record) => record.config_file,
            Read::Nothing | Read::Damaged(_) => None,
        }
    }

    /// What would change, as the subject of a sentence.
    fn changes(&self, settings: &Settings) -> Vec<&'static str> {
        let is_other_policy = match (&self.policy, settings.policy_file.as_deref()) {
            (None, None) => false,
            (Some(recorded), Some(now)) => {
                // An edited policy in its place is not the fault of another configuration.
                !is_same_file(&recorded.path, now)
                    && FileDigest::of_file(now).ok().is_none_or(|now| recorded.digest.as_ref() != Some(&now))
            }
            _ => true,
        };
        [
            ("the licence terms", self.licence_digest != licence_digest(settings)),
            ("[idle]", self.idle_digest != idle_digest(settings)),
            ("the reclamation policy", is_other_policy),
        ]
        .into_iter()
        .filter_map(|(what, is_changed)| is_changed.then_some(what))
        .collect()
    }
}

/// The comparison of a command's configuration file with that of the last complete run.
#[derive(Debug)]
pub(super) struct Comparison {
    record_file: PathBuf,
    last: Option<RecordedConfiguration>,
}

impl Comparison {
    /// Compares the files, before this one is read. Warns if it is another one.
    ///
    /// # Errors
    /// Exit 2 if no file was found and the record is damaged: nothing shows that none belongs here.
    pub(super) fn begin(root: &Path, found: &Found, must_refuse: bool) -> Result<Self, CommandError> {
        let record_file = path(root);
        let nothing = |record_file| Ok(Self { record_file, last: None });
        if found.is_chosen {
            return nothing(record_file);
        }
        match (read(root), &found.path) {
            (Read::Nothing, _) => nothing(record_file),
            (Read::Damaged(reason), None) if must_refuse => Err(CommandError::usage(format!(
                "no configuration file is found, and {} does not tell which one the last run read: {reason}",
                record_file.display()
            ))
            .hint("--config FILE names the configuration; --no-config accepts that none is read; the next complete `boxseat sync` writes the record again")),
            (Read::Damaged(reason), path) => {
                warn_once(&format!(
                    "{} does not tell which configuration file the last run read: {reason}; this command reads {}, and the next complete `sync` writes the record again",
                    record_file.display(),
                    path.as_deref().map_or_else(|| "none".to_owned(), text)
                ));
                nothing(record_file)
            }
            (Read::Record(last), path) => {
                match (&last.config_file, path) {
                    (None, None) => return nothing(record_file),
                    (Some(recorded), Some(path)) if is_same_file(recorded, path) => return nothing(record_file),
                    (None, Some(path)) => {
                        // The first configuration of a store, most often. To refuse it would be of no use.
                        warn_once(&format!("the configuration is {}; the last run read none", text(&absolute(path))));
                        return nothing(record_file);
                    }
                    (Some(recorded), Some(path)) => {
                        warn_once(&format!("the configuration is {}; the last run read {recorded}", text(&absolute(path))));
                    }
                    (Some(recorded), None) => {
                        warn_once(&format!("no configuration file is found; the last run read {recorded}"));
                    }
                }
                Ok(Self { record_file, last: must_refuse.then_some(*last) })
            }
        }
    }

    /// # Errors
    /// Exit 2 if another configuration file changes licence terms, thresholds or policy.
    pub(super) fn end(self, settings: &Settings) -> Result<(), CommandError> {
        let Some((last, recorded)) =
            self.last.and_then(|last| last.config_file.clone().map(|file| (last, file)))
        else {
            return Ok(());
        };
        let changes = last.changes(settings);
        if changes.is_empty() {
            return Ok(());
        }
        let (found, choice) = match &settings.config_file {
            Some(file) => (
                format!("{} is not the configuration of the last run", text(file)),
                format!("--config {}", text(file)),
            ),
            None => ("no configuration file is found".to_owned(), "--no-config".to_owned()),
        };
        Err(CommandError::usage(format!(
            "{found}, and {} would change; the last run read {recorded}",
            in_words(&changes)
        ))
        .hint(format!("for the configuration of the last run: --config {recorded}"))
        .hint(format!(
            "to accept the change: {choice}; the next complete `boxseat sync` records it in {}",
            self.record_file.display()
        )))
    }
}

/// `a`, `a and b`, `a, b and c`.
fn in_words(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        _ => names.concat(),
    }
}

/// Commands that open the store several times read the settings as often.
fn warn_once(text: &str) {
    static IS_WARNED: AtomicBool = AtomicBool::new(false);
    if !IS_WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!("{text}");
    }
}

fn read(root: &Path) -> Read {
    let bytes = match durable::read_regular_file(&path(root)) {
        Ok(bytes) => bytes,
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            return Read::Nothing;
        }
        Err(e) => return Read::Damaged(e.to_string()),
    };
    json::parse(&bytes).map_or_else(|e| Read::Damaged(e.to_string()), |record| Read::Record(Box::new(record)))
}

/// Whether a path is the recorded file: by its name, because Kubernetes replaces the target of the link in a mounted ConfigMap, or by
/// the file that both names lead to.
fn is_same_file(recorded: &str, path: &Path) -> bool {
    let leads_to = |path: &Path| resolve(path).ok();
    recorded == text(&absolute(path))
        || leads_to(Path::new(recorded)).is_some_and(|recorded| leads_to(path) == Some(recorded))
}

/// A path as text. Names that are not UTF-8 are compared in this form, too.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

// The digests are compared only if the file is another one, so a new key in a later version costs at most one choice.
fn licence_digest(settings: &Settings) -> String {
    sha256_hex(format!("{:?}", settings.report.licence).as_bytes())
}

fn idle_digest(settings: &Settings) -> String {
    let report = &settings.report;
    let days = [report.idle_after_days, report.new_user_grace_days, report.returned_grace_days];
    sha256_hex(format!("{days:?} {:?} {:?}", report.service_accounts, settings.leave_file).as_bytes())
}

fn path(root: &Path) -> PathBuf {
    root.join("state/configuration.json")
}
