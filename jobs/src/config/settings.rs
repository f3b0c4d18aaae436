//! Converts the raw keys to [`Settings`], once. No later code reads the environment or the configuration file.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use boxseat_output::warehouse::Resources;
use boxseat_pipeline::Privacy;
use boxseat_pipeline::client::{Authorities, ClientSettings, Timeouts, is_loopback};
use boxseat_pipeline::plan::PlanSettings;
use boxseat_reclaim::journal::Witness;
use boxseat_reclaim::journal::{JournalKey, KeyFile};
use boxseat_reclaim::rules::policy::Policy;
use boxseat_schemas::event_types;
use boxseat_schemas::settings::ReportSettings;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::Access;
use boxseat_storage::resolve;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use ssh_key::PublicKey;
use url::Url;
use uuid::Uuid;

use super::file::{self, File};
use super::recorded::Comparison;
use super::search::Found;
use super::{check_path, credentials, licence, variable_os};
use crate::cli::Global;
use crate::error::CommandError;
use crate::evidence::{Headings, LeaveList};

/// The settings of all commands.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Directory of the store.
    pub(crate) store: PathBuf,
    /// Addresses of Box, and the rate of requests.
    pub(crate) endpoints: Endpoints,
    /// API calls per month that the contract allows.
    pub(crate) monthly_calls: Option<u64>,
    /// Maximum number of concurrent calls.
    pub(crate) concurrency: usize,
    /// How far back the first run reads logins.
    pub(crate) login_window: TimeDelta,
    /// Time between the end of the event window and now.
    pub(crate) settle: TimeDelta,
    /// Part of the previous event window that is read again.
    pub(crate) overlap: TimeDelta,
    /// How often memberships and aliases are read again.
    pub(crate) plan: PlanSettings,
    /// How much a table may shrink between two snapshots.
    pub(crate) shrink_guard_percent: f64,
    /// How long an unsealed run may be resumed.
    pub(crate) resume: TimeDelta,
    /// Number of ended runs whose spools are kept as evidence.
    pub(crate) raw_retention_runs: usize,
    /// How long events are kept.
    pub(crate) events_kept: TimeDelta,
    /// How long all snapshots are kept. Of older ones, the last of each month is kept.
    pub(crate) nights_daily: TimeDelta,
    /// Retention of other data.
    pub(crate) retention: Retention,
    /// Holidays: days without events that are not gaps.
    pub(crate) quiet_dates: Vec<NaiveDate>,
    /// Event types read as evidence of use.
    pub(crate) activity_events: Vec<String>,
    /// The absolute path of the configuration file, if there is one.
    pub(crate) config_file: Option<PathBuf>,
    /// The digest of the configuration file.
    pub(crate) config_digest: Option<FileDigest>,
    /// `[box] ca_file`.
    pub(crate) ca_file: Option<PathBuf>,
    /// Path of the leave list.
    pub(crate) leave_file: Option<PathBuf>,
    /// The leave list. Only commands that need it read it, see [`Settings::with_leave_list`].
    pub(crate) leave_list: Option<LeaveList>,
    /// Additional headings of imported reports.
    pub(crate) import_headings: Headings,
    /// Path of the reclamation policy.
    pub(crate) policy_file: Option<PathBuf>,
    /// The key of the journal's seals.
    pub(crate) journal_key: JournalKey,
    /// File outside the store to which heads of the journal are appended.
    pub(crate) witness: Option<PathBuf>,
    /// `[reclaim] host`: the name of this installation, for machines without a permanent id.
    pub(crate) reclaim_host: Option<String>,
    /// Maximum number of users that are offboarded per day.
    pub(crate) leavers_per_day: usize,
    /// Thresholds that are stored in the published file.
    pub(crate) report: ReportSettings,
    /// Which data of an event may be stored.
    pub(crate) privacy: Privacy,
    /// Permissions of lake and published file.
    pub(crate) access: Access,
    /// Memory and threads of DuckDB.
    pub(crate) resources: Resources,
    /// `--now`.
    pub(crate) rehearsed_now: Option<DateTime<Utc>>,
}

/// Retention of data that is kept forever by default; `None` is forever.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retention {
    /// The last snapshot of each month.
    pub(crate) nights_monthly: Option<TimeDelta>,
    /// History and changes of a departed user, from the departure on.
    pub(crate) users_history: Option<TimeDelta>,
    /// Changes.
    pub(crate) user_changes: Option<TimeDelta>,
    /// Records that could not be read.
    pub(crate) rejects: Option<TimeDelta>,
    /// Raw pages of runs that failed.
    pub(crate) failed_spools: Option<TimeDelta>,
}

impl Retention {
    fn of(file: &file::Retention) -> Result<Self, CommandError> {
        let least = file.events_days;
        for (key, days) in
            [("users_history_days", file.users_history_days), ("user_changes_days", file.user_changes_days)]
        {
            if days > 0 && days < least {
                return Err(CommandError::usage(format!(
                    "[retention] {key} = {days}: it must be at least events_days ({least}), because an account looks idle for longer without the record of its return; 0 keeps everything"
                )));
            }
        }
        if file.nights_monthly_days > 0 && file.nights_monthly_days < file.nights_daily_days {
            return Err(CommandError::usage(format!(
                "[retention] nights_monthly_days = {}: it must be at least nights_daily_days ({}); 0 keeps everything",
                file.nights_monthly_days, file.nights_daily_days
            )));
        }
        let after = |days: u32| (days > 0).then(|| TimeDelta::days(i64::from(days)));
        Ok(Self {
            nights_monthly: after(file.nights_monthly_days),
            users_history: after(file.users_history_days),
            user_changes: after(file.user_changes_days),
            rejects: after(file.rejects_days),
            failed_spools: after(file.failed_spools_days),
        })
    }
}

/// Addresses of Box, and the rate of requests.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    /// Addresses and request rate.
    pub(crate) client: ClientSettings,
    /// Whether the API is on this machine. Only then `--now` is accepted by commands that write or decide.
    pub(crate) is_loopback: bool,
}

impl Settings {
    /// Reads flags, environment and file. `--now` is refused unless the API is a simulated Box on this machine.
    ///
    /// # Errors
    /// Exit 2, naming the key and what it may be; or because another configuration file than that of the last run would change
    /// licence terms, thresholds or policy.
    pub(crate) fn load(global: &Global) -> Result<Self, CommandError> {
        Self::load_to_read(global)?.refuse_rehearsal()
    }

    /// Like [`Settings::load`], for `backup` and `restore`: terms, thresholds and policy do not change what they do, so another
    /// configuration file is only a warning. A backup that is not made is a loss.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn load_to_copy(global: &Global) -> Result<Self, CommandError> {
        Self::find_and_read(global, false)?.refuse_rehearsal()
    }

    /// Refuses `--now`, unless the API is a simulated Box on this machine.
    ///
    /// # Errors
    /// Exit 2.
    pub(crate) fn refuse_rehearsal(self) -> Result<Self, CommandError> {
        if self.rehearsed_now.is_some() && !self.endpoints.is_loopback {
            return Err(CommandError::usage("--now is accepted only if the API is on this machine")
                .hint("use --now with `boxseat simulate`, or remove it (and BOXSEAT_NOW)"));
        }
        Ok(self)
    }

    /// Like [`Settings::load`], with `--now` also for a real Box. Only for commands that show data: they write nothing to the
    /// store, and nothing is done or refused by their time.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn load_to_read(global: &Global) -> Result<Self, CommandError> {
        Self::find_and_read(global, true)
    }

    fn find_and_read(global: &Global, must_refuse: bool) -> Result<Self, CommandError> {
        let found = Found::of(global);
        let comparison = Comparison::begin(&store_of(global), &found, must_refuse)?;
        let settings = Self::resolve(&file::read(found.path.as_deref())?, global)?;
        comparison.end(&settings)?;
        Ok(settings)
    }

    /// Checks the text of a configuration file that is not written yet.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn check_text(name: &str, text: &str, global: &Global) -> Result<(), CommandError> {
        Self::resolve(&file::parse(name, text, Vec::new())?, global).map(drop)
    }

    /// The default settings, for the demo.
    ///
    /// # Errors
    /// Exit 2 for a store path that DuckDB cannot use.
    pub(crate) fn defaults(global: &Global) -> Result<Self, CommandError> {
        Self::resolve(&File::default(), global)
    }

    fn resolve(file: &File, global: &Global) -> Result<Self, CommandError> {
        if let Some(url) = &file.lake.url {
            return Err(CommandError::usage(format!(
                "[lake] url = {url:?}: a lake outside the store is not supported yet"
            )));
        }
        let days = |days: u32| TimeDelta::days(i64::from(days));
        let small = |name: &str, value: u32| {
            i32::try_from(value)
                .map_err(|_| CommandError::usage(format!("{name} = {value} is too many days")))
        };
        let within = |name: &str, value: u32| {
            (value > 0).then(|| days(value)).ok_or_else(|| {
                CommandError::usage(format!(
                    "{name} = 0: it must be at least 1, which reads everything in every run"
                ))
            })
        };
        if !(1..=365).contains(&file.sync.login_window_days) {
            return Err(CommandError::usage(format!(
                "[sync] login_window_days = {}: it must be 1 to 365, because Box keeps 365 days of events",
                file.sync.login_window_days
            )));
        }
        let least = file.sync.login_window_days.max(file.idle.idle_after_days);
        if file.retention.events_days < least {
            return Err(CommandError::usage(format!(
                "[retention] events_days = {}: it must be at least {least}, because [sync] login_window_days reads and [idle] idle_after_days uses events of that time",
                file.retention.events_days
            )));
        }
        if file.retention.nights_daily_days == 0 {
            return Err(CommandError::usage(
                "[retention] nights_daily_days = 0: it must be at least 1, because a run is compared with the previous snapshot",
            ));
        }
        if !(0.0..=100.0).contains(&file.sync.shrink_guard_percent) {
            return Err(CommandError::usage(format!(
                "[sync] shrink_guard_percent = {}: it must be a percentage, 0 to 100",
                file.sync.shrink_guard_percent
            )));
        }
        file.imports.columns.check()?;
        let store = store_of(global);
        check_path(&store)?;
        let policy_file = file.reclaim.policy.as_ref().map(|path| file.directory.join(path));
        let activity_events = activity_events(&file.sync.activity_events)?;
        let public = file.reclaim.journal_key.as_deref().map(journal_key).transpose()?;
        Ok(Self {
            endpoints: endpoints(file)?,
            monthly_calls: file.rate.monthly_calls,
            concurrency: usize::try_from(file.rate.concurrency)
                .ok()
                .filter(|n| (1..=256).contains(n))
                .ok_or_else(|| {
                    CommandError::usage(format!(
                        "[rate] concurrency = {}: it must be 1 to 256",
                        file.rate.concurrency
                    ))
                })?,
            login_window: days(file.sync.login_window_days),
            settle: TimeDelta::minutes(i64::from(file.sync.settle_minutes)),
            overlap: TimeDelta::hours(i64::from(file.sync.overlap_hours)),
            plan: PlanSettings {
                alias_sweep: within("[sync] alias_sweep_days", file.sync.alias_sweep_days)?,
                membership_resync: within("[sync] membership_resync_days", file.sync.membership_resync_days)?,
                everything: false,
            },
            shrink_guard_percent: file.sync.shrink_guard_percent,
            resume: TimeDelta::hours(i64::from(file.sync.resume_hours)),
            raw_retention_runs: file.sync.raw_retention_runs as usize,
            events_kept: days(file.retention.events_days),
            nights_daily: days(file.retention.nights_daily_days),
            retention: Retention::of(&file.retention)?,
            quiet_dates: file.sync.quiet_dates.iter().map(|date| date.0).collect(),
            journal_key: JournalKey { public, private: key_file() },
            witness: witness(file, &store)?,
            reclaim_host: file.reclaim.host.clone().filter(|name| !name.trim().is_empty()),
            store,
            policy_file,
            config_file: file.path.clone(),
            config_digest: file.digest.clone(),
            leavers_per_day: file.offboard.people_per_day,
            activity_events,
            ca_file: ca_file(file),
            leave_file: file.idle.leave_file.clone(),
            leave_list: None,
            import_headings: file.imports.columns.clone(),
            report: ReportSettings {
                idle_after_days: small("[idle] idle_after_days", file.idle.idle_after_days)?,
                new_user_grace_days: small("[idle] new_user_grace_days", file.idle.new_user_grace_days)?,
                returned_grace_days: small("[idle] returned_grace_days", file.idle.returned_grace_days)?,
                login_window_days: small("[sync] login_window_days", file.sync.login_window_days)?,
                monthly_calls: file.rate.monthly_calls.map(|calls| i64::try_from(calls).unwrap_or(i64::MAX)),
                service_accounts: file.idle.service_accounts.clone(),
                licence: licence::terms(&file.licence)?,
            },
            privacy: file.privacy,
            access: access(file)?,
            resources: Resources::default(),
            rehearsed_now: global.now,
        })
    }

    /// Files that boxseat reads or appends to, each with its description. A directory means all that is in it.
    pub(crate) fn files_in_use(&self) -> Vec<(&'static str, PathBuf)> {
        // A policy that cannot be read adds no files.
        let policy = self.policy_file.as_deref().and_then(|path| Policy::load(path).ok());
        let of_policy = policy.iter().flat_map(Policy::files);
        let key = match &self.journal_key.private {
            KeyFile::Named(path) | KeyFile::Credential(path) => Some(path.clone()),
            KeyFile::InStore => None,
        };
        let own = [
            ("the configuration", self.config_file.clone()),
            ("the reclamation policy", self.policy_file.clone()),
            ("the leave list", self.leave_file.clone()),
            ("the file of certificates", self.ca_file.clone()),
            ("the file of certificates", variable_os("SSL_CERT_FILE").map(PathBuf::from)),
            ("the witness", self.witness.clone()),
            ("the store's key", key),
        ];
        let own = own.into_iter().filter_map(|(what, file)| Some((what, file?)));
        own.chain(of_policy).chain(credentials::files()).collect()
    }

    /// `[reclaim] witness` of a store.
    pub(crate) fn witness_of(&self, store_id: Uuid) -> Option<Witness<'_>> {
        let path = self.witness.as_deref()?;
        Some(Witness { path, store_id, pinned: self.journal_key.public.as_ref() })
    }

    /// Reads the leave list, for commands that use it.
    ///
    /// # Errors
    /// Exit 2 if it cannot be read: users on leave would look idle.
    pub(crate) fn with_leave_list(self) -> Result<Self, CommandError> {
        let leave_list = self.leave_file.as_deref().map(LeaveList::read).transpose()?;
        Ok(Self { leave_list, ..self })
    }
}

/// The directory of the store. No configuration file names it.
pub(crate) fn store_of(global: &Global) -> PathBuf {
    global.store.clone().unwrap_or_else(|| PathBuf::from("warehouse"))
}

/// The public key that seals the journal.
fn journal_key(text: &str) -> Result<PublicKey, CommandError> {
    let refused = |what: &str| {
        CommandError::usage(format!("[reclaim] journal_key = {text:?}: {what}"))
            .hint("a key is a line such as \"ssh-ed25519 AAAA…\"; `boxseat reclaim verify` prints the key of the store")
    };
    let key = PublicKey::from_openssh(text).map_err(|e| refused("it is not a public key").because(e))?;
    if key.key_data().ed25519().is_some() { Ok(key) } else { Err(refused("it is not an Ed25519 key")) }
}

/// Where the private key that seals the journal is.
fn key_file() -> KeyFile {
    if let Some(path) = variable_os("BOXSEAT_JOURNAL_KEY_FILE") {
        return KeyFile::Named(path.into());
    }
    variable_os(credentials::CREDENTIALS_DIRECTORY).map_or(KeyFile::InStore, |directory| {
        KeyFile::Credential(PathBuf::from(directory).join("boxseat-journal-key"))
    })
}

/// The path of the witness. A relative path is relative to the configuration file.
fn witness(file: &File, store: &Path) -> Result<Option<PathBuf>, CommandError> {
    let Some(path) = &file.reclaim.witness else { return Ok(None) };
    if path.to_str().is_some_and(|text| text.contains("://")) {
        return Err(CommandError::usage(format!(
            "[reclaim] witness = {:?}: it is an address, but only a file is supported",
            path.display()
        ))
        .hint("name a file to which the account that runs boxseat can only append, on another machine if possible"));
    }
    let path = file.directory.join(path);
    let resolved = |path: &Path| {
        resolve(path).map_err(|e| {
            CommandError::usage(format!("[reclaim] witness: cannot find {}", path.display())).because(e)
        })
    };
    if resolved(&path)?.starts_with(resolved(store)?) {
        return Err(CommandError::usage(format!(
            "[reclaim] witness = {:?}: it is inside the store, so it would be put back to an older state together with the store and \
                could not show that",
            path.display()
        ))
        .hint("name a file outside of the store, on another machine if possible"));
    }
    Ok(Some(path))
}

/// Event types that prove use by the acting user.
fn activity_events(types: &[String]) -> Result<Vec<String>, CommandError> {
    let mut kept = Vec::new();
    for name in types {
        let refused = match name.as_str() {
            "FAILED_LOGIN" | "ADMIN_LOGIN" => Some("it does not prove use by the user"),
            name if event_types::all().iter().any(|read| read == name) => Some("every run reads it already"),
            name if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') =>
            {
                Some("event types are written like DOWNLOAD")
            }
            _ => None,
        };
        if let Some(reason) = refused {
            return Err(CommandError::usage(format!(
                "[sync] activity_events: {name:?} is not allowed: {reason}"
            )));
        }
        if !kept.contains(name) {
            kept.push(name.clone());
        }
    }
    Ok(kept)
}

fn access(file: &File) -> Result<Access, CommandError> {
    let text = file.publish.mode.as_deref().unwrap_or("0640");
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode & !0o666 == 0 && mode & 0o600 == 0o600);
    let mode = mode.ok_or_else(|| {
        CommandError::usage(format!("[publish] mode = {text:?}: it must be octal permission bits that include read and write for the owner, such as \"0640\""))
    })?;
    if mode & 0o022 != 0 {
        return Err(CommandError::usage(format!(
            "[publish] mode = {text:?} lets other users write: they could change the data that boxseat relies on"
        ))
        .hint("\"0640\" lets the group read, \"0644\" all users"));
    }
    Ok(Access { mode, group: file.publish.group.clone() })
}

fn endpoints(file: &File) -> Result<Endpoints, CommandError> {
    let address = |key: &str, text: Option<&str>, default: &str| -> Result<Url, CommandError> {
        let text = text.unwrap_or(default);
        let url: Url = text.parse().map_err(|e| {
            CommandError::usage(format!("{key} = {text:?} is not an address")).because(UrlError(e))
        })?;
        check_host(key, &url, &file.boxed.allow_hosts)?;
        Ok(url)
    };
    let api_url = address("api_url", file.boxed.api_url.as_deref(), "https://api.box.com/2.0")?;
    let token_url =
        address("token_url", file.boxed.token_url.as_deref(), "https://api.box.com/oauth2/token")?;
    let api_is_loopback = is_loopback(&api_url);
    if api_is_loopback != is_loopback(&token_url) {
        return Err(CommandError::usage(format!("api_url is {api_url} and token_url {token_url}: one is on this machine, the other is not"))
            .hint("set BOXSEAT_API_URL and BOXSEAT_TOKEN_URL together, so that no secret is sent to the wrong server"));
    }
    let calls_per_minute = NonZeroU32::new(file.rate.calls_per_minute)
        .ok_or_else(|| CommandError::usage("[rate] calls_per_minute = 0: it must be at least 1"))?;
    Ok(Endpoints {
        client: ClientSettings {
            api_url,
            token_url,
            calls_per_minute,
            patience: ClientSettings::PATIENCE,
            timeouts: Timeouts::default(),
            authorities: authorities(file)?,
        },
        is_loopback: api_is_loopback,
    })
}

/// The path of `[box] ca_file`. A relative path is relative to the configuration file.
fn ca_file(file: &File) -> Option<PathBuf> {
    file.boxed.ca_file.as_ref().map(|path| file.directory.join(path))
}

/// The certificates of `[box] ca_file`.
fn authorities(file: &File) -> Result<Authorities, CommandError> {
    let Some(path) = ca_file(file) else { return Ok(Authorities::default()) };
    let refused = |what: &str| CommandError::usage(format!("[box] ca_file = {}: {what}", path.display()));
    let pem = std::fs::read(&path).map_err(|e| refused("it cannot be read").because(e))?;
    Authorities::from_pem(&pem).map_err(|reason| refused(&reason).hint(CA_FILE_HINT))
}

const CA_FILE_HINT: &str = "it must be a PEM file with the certificates of the authorities; \
    `openssl x509 -inform der -in FILE -out FILE.pem` converts a DER file";

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct UrlError(url::ParseError);

/// Tokens are sent only to box.com, to this machine, or to a host in `allow_hosts`. Unencrypted requests go only to this machine.
fn check_host(key: &str, url: &Url, allow_hosts: &[String]) -> Result<(), CommandError> {
    let host = url.host_str().unwrap_or_default();
    let loopback = is_loopback(url);
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return Err(CommandError::usage(format!(
                "{key} = {url}: plain http would send the token unencrypted"
            ))
            .hint("use https; plain http is accepted only for a simulated Box on this machine"));
        }
        other => {
            return Err(CommandError::usage(format!("{key} = {url}: {other} is neither https nor http")));
        }
    }
    let known = loopback
        || host == "box.com"
        || host.ends_with(".box.com")
        || allow_hosts.iter().any(|allowed| allowed == host);
    if known {
        return Ok(());
    }
    Err(CommandError::usage(format!("{key} = {url}: {host} is not Box"))
        .hint(format!("if it is your gateway, add it: [box] allow_hosts = [\"{host}\"]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_sent_only_to_known_hosts() {
        for (url, allowed) in [
            ("https://api.box.com/2.0", true),
            ("https://api.box.com.evil.test/2.0", false),
            ("https://evilbox.com/2.0", false),
            ("http://api.box.com/2.0", false),
            ("http://127.0.0.1:8808/2.0", true),
            ("http://[::1]:8808/2.0", true),
            ("http://localhost:8808/2.0", true),
            ("http://10.0.0.7/2.0", false),
            ("https://gateway.acme.test/2.0", true),
            ("ftp://127.0.0.1/", false),
        ] {
            let checked = check_host("api_url", &url.parse().unwrap(), &["gateway.acme.test".to_owned()]);
            assert_eq!(checked.is_ok(), allowed, "{url}");
        }
    }

    /// Why: a witness in the store was accepted, and was put back to an older state together with it.
    #[test]
    fn a_witness_inside_the_store_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let store = temp.path().join("store");
        let witness_at = |path: &Path, store: &Path| {
            let text = format!("[reclaim]\nwitness = {path:?}\n");
            witness(&file::parse("boxseat.toml", &text, Vec::new()).unwrap(), store)
        };
        let in_new_store = witness_at(&store.join("heads.log"), &store);
        assert!(in_new_store.is_err(), "the store does not exist yet");
        std::fs::create_dir_all(store.join("state")).unwrap();
        std::os::unix::fs::symlink(&store, temp.path().join("link")).unwrap();
        std::os::unix::fs::symlink(store.join("heads.log"), temp.path().join("heads.log")).unwrap();
        std::fs::write(store.join("heads.log"), "").unwrap();
        for path in
            ["store/heads.log", "store/state/new.log", "link/heads.log", "heads.log", "link/new/heads.log"]
        {
            for store in [&store, &temp.path().join("link")] {
                let refused = witness_at(&temp.path().join(path), store).unwrap_err();
                assert_eq!(refused.exit_code(), 2);
                assert!(refused.lines()[0].contains("inside the store"), "{path}: {:?}", refused.lines());
            }
        }
        for path in ["other.log", "store.log", "new/heads.log"] {
            assert!(witness_at(&temp.path().join(path), &store).unwrap().is_some(), "{path}");
        }
    }

    #[test]
    fn fuzz_configuration() {
        use clap::Parser;
        let global = crate::cli::Cli::try_parse_from(["boxseat", "status"]).expect("a command").global;
        boxseat_fuzz::run("configuration", |input| {
            if let Ok(text) = std::str::from_utf8(input.mutated)
                && let Ok(file) = file::parse("boxseat.toml", text, Vec::new())
            {
                _ = Settings::resolve(&file, &global);
            }
            Ok(())
        });
    }
}
