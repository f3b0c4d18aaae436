//! The commands that an operator runs on a damaged store, and whether the result equals that of the undamaged store.

use std::path::Path;
use std::sync::OnceLock;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use boxseat_output::query::query_file;
use boxseat_output::warehouse::Resources;
use chrono::TimeDelta;
use serde_json::Value;

use super::kinds::Damage;
use super::life::{Life, copy};
use crate::support::{Done, finish};

/// A command that an operator or cron runs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Publish,
    Sync,
    Verify,
    Report,
    Plan,
}

pub(super) const ACTIONS: &[Action] =
    &[Action::Publish, Action::Sync, Action::Verify, Action::Report, Action::Plan];

impl Action {
    pub(super) fn name(self) -> &'static str {
        self.args()[0]
    }

    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Publish => &["publish"],
            Self::Sync => &["sync"],
            Self::Verify => &["verify"],
            Self::Report => &["report", "idle", "--format", "json"],
            Self::Plan => &["reclaim", "plan", "--format", "json"],
        }
    }
}

/// The result of a command on a damaged store.
pub(super) enum Verdict {
    /// The command did what it does on the undamaged store.
    Equal,
    /// Refused, with the object's name and a hint.
    Refused,
    /// The undamaged store is refused by the same exit code.
    RefusedAnyway,
    Failed(String),
}

/// The claims about accounts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Account {
    pub(super) user_id: String,
    pub(super) proven_idle_days: Option<i64>,
    last_activity_at: Option<String>,
}

/// What a command claims when it succeeds.
#[derive(Debug, Clone, PartialEq)]
enum Claims {
    /// `verify` only reports that the store can be trusted.
    Trusted,
    Accounts(Vec<Account>),
    /// The report, or the users of each plan.
    Told(Value),
}

/// Exit code and claims of a command, once it was run.
type Outcome = OnceLock<(i32, Option<Claims>)>;

/// The result of each command on each undamaged stage; computed on first use.
pub(super) struct Baselines {
    of: Vec<[Outcome; ACTIONS.len()]>,
}

impl Baselines {
    pub(super) fn of(life: &Life) -> Self {
        Self { of: life.stages.iter().map(|_| std::array::from_fn(|_| OnceLock::new())).collect() }
    }

    fn get(&self, life: &Life, stage: usize, action: Action) -> &(i32, Option<Claims>) {
        self.of[stage][action as usize].get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let store = directory.path().join("store");
            copy(&life.stages[stage].store, &store);
            let done = run(life, stage, action, &store);
            let claims = matches!(done.code, 0 | 4).then(|| claims(action, &store, &done).unwrap());
            (done.code, claims)
        })
    }
}

/// Runs the command on the damaged store.
pub(super) fn judge(
    life: &Life,
    baselines: &Baselines,
    stage: usize,
    action: Action,
    store: &Path,
    damage: &Damage,
) -> Verdict {
    let done = run(life, stage, action, store);
    let said = format!("exit {}\n{}\n{}", done.code, done.stdout.trim(), done.stderr.trim());
    match done.code {
        0 | 4 => {
            let (code, expected) = baselines.get(life, stage, action);
            let claims = match claims(action, store, &done) {
                Ok(claims) => claims,
                Err(reason) => return Verdict::Failed(format!("{reason}; {said}")),
            };
            // A run that begins before the last snapshot of that lake only publishes it.
            let is_of_later = damage.lake_of.is_some_and(|later| {
                [action, Action::Publish]
                    .iter()
                    .any(|action| baselines.get(life, later, *action).1.as_ref() == Some(&claims))
            });
            match expected {
                Some(expected) if *expected == claims => Verdict::Equal,
                _ if is_of_later => Verdict::Equal,
                Some(expected) => Verdict::Failed(format!("{}\n{said}", difference(expected, &claims))),
                None => Verdict::Failed(format!("the undamaged store ends in exit {code}; {said}")),
            }
        }
        1 | 2 | 3 | 75 => {
            if let Err(reason) = published_is_equal(life, baselines, stage, action, store) {
                return Verdict::Failed(format!("refused, but {reason}\n{said}"));
            }
            // A whole lake of a later day is no damage; the refusal is about the clock.
            let is_named = damage.lake_of.is_some() || damage.changed.iter().any(|path| names(path, &said));
            let is_hinted = said.contains("hint: ")
                || (action == Action::Verify && done.stdout.contains("cannot be trusted"));
            if is_named && is_hinted {
                return Verdict::Refused;
            }
            if baselines.get(life, stage, action).0 == done.code {
                return Verdict::RefusedAnyway;
            }
            let lacks = if is_named { "no hint is given" } else { "the damaged object is not named" };
            Verdict::Failed(format!("{lacks}; {said}"))
        }
        _ => Verdict::Failed(said),
    }
}

fn run(life: &Life, stage: usize, action: Action, store: &Path) -> Done {
    let day = life.stages[stage].day;
    let mut command = life.command(store, day, action.args());
    // An hour after the clock of the life: a user is first seen milliseconds after the run's start, and whole days are counted.
    command.env("BOXSEAT_NOW", (life.now(day) + TimeDelta::hours(1)).to_rfc3339());
    finish(command.output().unwrap())
}

fn claims(action: Action, store: &Path, done: &Done) -> Result<Claims, String> {
    let json = || serde_json::from_str::<Value>(&done.stdout).map_err(|e| format!("{e} in {}", done.stdout));
    Ok(match action {
        Action::Publish | Action::Sync => Claims::Accounts(accounts(store)?),
        Action::Verify => Claims::Trusted,
        Action::Report => Claims::Told(json()?),
        Action::Plan => {
            let planned = json()?;
            let plans = planned["plans"].as_array().cloned().unwrap_or_default();
            let users = plans.iter().map(|plan| users_of(store, plan)).collect::<Result<Vec<_>, _>>()?;
            Claims::Told(Value::Array(users))
        }
    })
}

/// Stage and users of a plan that was just made.
fn users_of(store: &Path, plan: &Value) -> Result<Value, String> {
    let id = plan["plan"].as_str().ok_or("a plan has no id")?;
    let file = store.join("state/reclaim/plans").join(format!("{id}.json"));
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let written: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let people = written["people"].as_array().ok_or("a plan has no users")?;
    let mut users: Vec<&str> = people.iter().filter_map(|user| user["user_id"].as_str()).collect();
    users.sort_unstable();
    Ok(serde_json::json!([plan["stage"], users]))
}

/// A refused command leaves the published file unchanged, or as the undamaged store would have it.
fn published_is_equal(
    life: &Life,
    baselines: &Baselines,
    stage: usize,
    action: Action,
    store: &Path,
) -> Result<(), String> {
    let file = |store: &Path| std::fs::read(store.join("boxseat.duckdb")).ok();
    let before = &life.stages[stage].store;
    if !matches!(action, Action::Publish | Action::Sync) || file(store) == file(before) {
        return Ok(());
    }
    let now = accounts(store)?;
    if accounts(before).is_ok_and(|before| before == now) {
        return Ok(());
    }
    let now = Claims::Accounts(now);
    match &baselines.get(life, stage, action).1 {
        Some(expected) if *expected == now => Ok(()),
        Some(expected) => Err(difference(expected, &now)),
        None => Err("a file was published".to_owned()),
    }
}

/// The accounts of the published file.
pub(super) fn accounts(store: &Path) -> Result<Vec<Account>, String> {
    let sql = "SELECT user_id, CAST(proven_idle_days AS BIGINT), CAST(last_activity_at AS VARCHAR) FROM accounts ORDER BY user_id";
    let result = query_file(&store.join("boxseat.duckdb"), sql, &Resources::default());
    let result = result.map_err(|e| format!("the published file cannot be read: {e}"))?;
    let mut accounts = Vec::new();
    for batch in &result.batches {
        let (ids, days) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        let times = batch.column(2).as_string::<i32>();
        for row in 0..batch.num_rows() {
            accounts.push(Account {
                user_id: ids.value(row).to_owned(),
                proven_idle_days: days.is_valid(row).then(|| days.value(row)),
                last_activity_at: times.is_valid(row).then(|| times.value(row).to_owned()),
            });
        }
    }
    Ok(accounts)
}

fn difference(expected: &Claims, found: &Claims) -> String {
    if let (Claims::Accounts(expected), Claims::Accounts(found)) = (expected, found) {
        let only = |of: &[Account], not: &[Account]| {
            of.iter()
                .filter(|account| !not.contains(account))
                .map(|a| format!("{a:?}"))
                .collect::<Vec<_>>()
                .join("\n  ")
        };
        return format!(
            "CHANGED CLAIMS, undamaged:\n  {}\ndamaged:\n  {}",
            only(expected, found),
            only(found, expected)
        );
    }
    format!("CHANGED CLAIMS, undamaged:\n  {expected:?}\ndamaged:\n  {found:?}")
}

/// Whether a message names a file: by its path, by a directory that was damaged with it, or by its table.
fn names(path: &str, said: &str) -> bool {
    let mut parts = path.match_indices('/').map(|(end, _)| &path[..end]);
    let is_directory_named = parts.any(|directory| directory.contains('/') && said.contains(directory));
    let table = path.strip_prefix("lake/").and_then(|below| below.split_once('/')).map(|(table, _)| table);
    let is_table_named = table.is_some_and(|table| said.contains(&format!("table {table}")));
    // A store without its identity is no store, and for a missing file `verify` reports that nothing is published.
    let is_named_otherwise = match path {
        "state/store.json" => said.contains("is not a boxseat store"),
        "boxseat.duckdb" => said.contains("nothing is published"),
        _ => false,
    };
    said.contains(path) || is_directory_named || is_table_named || is_named_otherwise
}
