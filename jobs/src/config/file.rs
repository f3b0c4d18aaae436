//! `boxseat.toml`: every key. Environment variables override the file.

use std::path::{Path, PathBuf};

use boxseat_pipeline::Privacy;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::toml_file::{Date, explain, explain_environment};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;
use toml::{Table, Value};

use super::search::absolute;
use crate::error::CommandError;
use crate::evidence::Headings;

/// The keys of the file. `boxseat.example.toml` has their units, defaults and reasons; a test compares it with these types.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    /// The directory of the file; empty without a file.
    #[serde(skip)]
    pub(super) directory: PathBuf,
    /// The absolute path of the file; `None` without a file.
    #[serde(skip)]
    pub(super) path: Option<PathBuf>,
    /// The digest of the file; `None` without a file.
    #[serde(skip)]
    pub(super) digest: Option<FileDigest>,
    pub(super) rate: Rate,
    pub(super) sync: Sync,
    pub(super) idle: Idle,
    pub(super) imports: Imports,
    pub(super) licence: Vec<Licence>,
    #[serde(rename = "box")]
    pub(super) boxed: BoxSection,
    pub(super) publish: Publish,
    pub(super) privacy: Privacy,
    pub(super) retention: Retention,
    pub(super) reclaim: Reclaim,
    pub(super) offboard: Offboard,
    pub(super) lake: Lake,
}

/// `[rate]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rate {
    pub(super) calls_per_minute: u32,
    pub(super) concurrency: u32,
    pub(super) monthly_calls: Option<u64>,
}

/// `[sync]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sync {
    pub(super) login_window_days: u32,
    pub(super) settle_minutes: u32,
    pub(super) overlap_hours: u32,
    pub(super) alias_sweep_days: u32,
    pub(super) membership_resync_days: u32,
    pub(super) shrink_guard_percent: f64,
    pub(super) resume_hours: u32,
    pub(super) raw_retention_runs: u32,
    pub(super) activity_events: Vec<String>,
    pub(super) quiet_dates: Vec<Date>,
}

/// `[idle]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Idle {
    pub(super) idle_after_days: u32,
    pub(super) new_user_grace_days: u32,
    pub(super) returned_grace_days: u32,
    pub(super) leave_file: Option<PathBuf>,
    pub(super) service_accounts: Vec<String>,
}

/// `[imports]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Imports {
    pub(super) columns: Headings,
}

/// `[[licence]]`; [`super::licence`] checks it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Licence {
    pub(super) plan_id: String,
    pub(super) valid_from: Option<Date>,
    pub(super) valid_to: Option<Date>,
    pub(super) seats_purchased: Option<u64>,
    pub(super) cost_per_seat_monthly: Option<Value>,
    pub(super) currency: Option<String>,
    pub(super) term_start: Option<Date>,
    pub(super) renewal_date: Option<Date>,
    pub(super) notice_by: Option<Date>,
    pub(super) box_plan: Option<String>,
    pub(super) external_seats: Option<u64>,
    pub(super) console_seats_used: Option<u64>,
    pub(super) console_seen_at: Option<Moment>,
    pub(super) match_rule: Option<String>,
}

/// `[box]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BoxSection {
    pub(super) api_url: Option<String>,
    pub(super) token_url: Option<String>,
    pub(super) allow_hosts: Vec<String>,
    pub(super) ca_file: Option<PathBuf>,
}

/// `[publish]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Publish {
    pub(super) mode: Option<String>,
    pub(super) group: Option<String>,
}

/// `[retention]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    pub(super) events_days: u32,
    pub(super) nights_daily_days: u32,
    pub(super) nights_monthly_days: u32,
    pub(super) users_history_days: u32,
    pub(super) user_changes_days: u32,
    pub(super) rejects_days: u32,
    pub(super) failed_spools_days: u32,
}

/// `[reclaim]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reclaim {
    pub(super) policy: Option<PathBuf>,
    pub(super) journal_key: Option<String>,
    pub(super) witness: Option<PathBuf>,
    pub(super) host: Option<String>,
}

/// `[offboard]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Offboard {
    pub(super) people_per_day: usize,
}

impl Default for Offboard {
    fn default() -> Self {
        Self { people_per_day: 25 }
    }
}

/// `[lake]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Lake {
    pub(super) url: Option<String>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { calls_per_minute: 950, concurrency: 16, monthly_calls: None }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events_days: 400,
            nights_daily_days: 90,
            nights_monthly_days: 0,
            users_history_days: 0,
            user_changes_days: 0,
            rejects_days: 0,
            failed_spools_days: 0,
        }
    }
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            login_window_days: 183,
            settle_minutes: 15,
            overlap_hours: 48,
            alias_sweep_days: 30,
            membership_resync_days: 7,
            shrink_guard_percent: 10.0,
            resume_hours: 12,
            raw_retention_runs: 7,
            activity_events: Vec::new(),
            quiet_dates: Vec::new(),
        }
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            idle_after_days: 90,
            new_user_grace_days: 45,
            returned_grace_days: 60,
            leave_file: None,
            service_accounts: Vec::new(),
        }
    }
}

/// A TOML date or time, or the same as text. A date means its first instant in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(d)?;
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Datetime(moment) => moment.to_string(),
            other => other.to_string(),
        };
        let date = || text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc());
        text.parse().or_else(|_| date()).map(Moment).map_err(|_| {
            serde::de::Error::custom("it is neither a date nor a time such as 2026-03-31T12:00:00Z")
        })
    }
}

/// Reads a configuration file; without one, only the environment.
///
/// # Errors
/// Exit 2.
pub(super) fn read(path: Option<&Path>) -> Result<File, CommandError> {
    let text = match path {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|e| {
            CommandError::usage(format!("cannot read the configuration {}", path.display())).because(e).hint(
                "--config names another file, --no-config reads none; boxseat.example.toml shows every key",
            )
        })?,
    };
    let directory = path.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let name = path.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let digest = path.map(|_| FileDigest::of(text.as_bytes()));
    Ok(File { directory, path: path.map(absolute), digest, ..parse(&name, &text, environment()?)? })
}

/// Sections whose keys the environment may set.
const SECTIONS: &[&str] = &[
    "rate",
    "sync",
    "idle",
    "imports",
    "box",
    "publish",
    "privacy",
    "retention",
    "reclaim",
    "offboard",
    "lake",
];

/// `BOXSEAT_<SECTION>_<KEY>` as (section, key, value). The two addresses also have short names.
#[expect(clippy::disallowed_methods, reason = "the only place that lists the environment")]
fn environment() -> Result<Vec<(String, String, String)>, CommandError> {
    let mut found = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|_| !value.is_empty()) else { continue };
        let Some(rest) = name.strip_prefix("BOXSEAT_").map(str::to_ascii_lowercase) else { continue };
        let (section, key) = match rest.as_str() {
            "api_url" | "token_url" => ("box", rest.as_str()),
            _ => match rest.split_once('_').filter(|(section, _)| SECTIONS.contains(section)) {
                Some(named) => named,
                None => continue,
            },
        };
        let value = value.to_str().ok_or_else(|| {
            CommandError::usage(format!("{name} is not UTF-8 text")).hint("set it to UTF-8 text, or unset it")
        })?;
        found.push((section.to_owned(), key.to_owned(), value.to_owned()));
    }
    Ok(found)
}

pub(super) fn parse(
    name: &str,
    text: &str,
    overrides: Vec<(String, String, String)>,
) -> Result<File, CommandError> {
    let mut whole: Table = text.parse().map_err(|e| explain(name, text, &e))?;
    // The file is parsed without the environment first, so that an error shows the line.
    let file: File = toml::from_str(text).map_err(|e| explain(name, text, &e))?;
    if overrides.is_empty() {
        return Ok(file);
    }
    for (section, key, value) in overrides {
        let section = whole.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(key, scalar(&value));
        }
    }
    Ok(whole.try_into().map_err(explain_environment)?)
}

/// A TOML value (`12`, `true`, `["a"]`), or text if it is not one.
fn scalar(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| Value::String(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (Vec<String>, Vec<String>) {
        let error = parse("boxseat.toml", text, Vec::new()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        (error.lines(), error.hints().to_vec())
    }

    #[test]
    fn unknown_key_error_names_the_most_similar_key() {
        let (lines, hints) = error("[rate]\ncalls_per_minuet = 950\n");
        assert!(lines.join("\n").contains("line 2"), "{lines:?}");
        assert_eq!(hints, ["there is no key `calls_per_minuet`; the nearest one is `calls_per_minute`"]);
        assert_eq!(error("[snyc]\n").1, ["there is no key `snyc`; the nearest one is `sync`"]);
    }

    #[test]
    fn dates_are_read_from_toml_dates_and_from_text() {
        let file = parse("f", "[sync]\nquiet_dates = [2026-12-25, \"2026-12-26\"]\n", Vec::new()).unwrap();
        assert_eq!(file.sync.quiet_dates.len(), 2);
        assert!(error("[sync]\nquiet_dates = [\"Christmas\"]\n").0.join("\n").contains("is not a date"));
    }

    #[test]
    fn environment_overrides_the_file() {
        let overrides = vec![
            ("rate".to_owned(), "calls_per_minute".to_owned(), "60".to_owned()),
            ("publish".to_owned(), "mode".to_owned(), "0600".to_owned()),
        ];
        let file = parse("f", "[rate]\ncalls_per_minute = 5\nconcurrency = 2\n", overrides).unwrap();
        assert_eq!((file.rate.calls_per_minute, file.rate.concurrency), (60, 2));
        let wrong = parse("f", "", vec![("rate".into(), "concurency".into(), "1".into())]).unwrap_err();
        assert_eq!(wrong.hints(), ["there is no key `concurency`; the nearest one is `concurrency`"]);
    }

    #[test]
    fn example_file_has_every_key_with_its_default() {
        let text = include_str!("../../../boxseat.example.toml");
        // With its comment marks removed, each setting of the example must be a known key with its default value.
        let bare: String = text
            .lines()
            .filter_map(|line| match line.strip_prefix("#") {
                Some(setting) if setting.starts_with("[[") => Some(setting),
                Some(setting) if setting.contains('=') && !setting.starts_with(' ') => Some(setting),
                Some(_) => None,
                None => Some(line),
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let example =
            parse("boxseat.example.toml", &bare, Vec::new()).unwrap_or_else(|e| panic!("{:?}", e.lines()));
        let (rate, sync, idle) = (Rate::default(), Sync::default(), Idle::default());
        assert_eq!(
            (example.rate.calls_per_minute, example.rate.concurrency),
            (rate.calls_per_minute, rate.concurrency)
        );
        assert_eq!(
            (
                example.sync.login_window_days,
                example.sync.settle_minutes,
                example.sync.overlap_hours,
                example.sync.resume_hours
            ),
            (sync.login_window_days, sync.settle_minutes, sync.overlap_hours, sync.resume_hours)
        );
        assert_eq!(
            (
                example.sync.alias_sweep_days,
                example.sync.membership_resync_days,
                example.sync.raw_retention_runs
            ),
            (sync.alias_sweep_days, sync.membership_resync_days, sync.raw_retention_runs)
        );
        assert_eq!(
            (
                example.idle.idle_after_days,
                example.idle.new_user_grace_days,
                example.idle.returned_grace_days
            ),
            (idle.idle_after_days, idle.new_user_grace_days, idle.returned_grace_days)
        );
        assert_eq!(example.offboard.people_per_day, Offboard::default().people_per_day);
        let licence = super::super::licence::terms(&example.licence).unwrap();
        assert_eq!(licence.len(), 2, "the example has two plans for the same days");
        for section in SECTIONS {
            assert!(text.contains(&format!("[{section}]")), "the example lacks [{section}]");
        }
    }
}
