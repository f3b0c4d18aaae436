//! `boxseat import`: evidence of use from a report of Box's admin console.

use std::collections::{BTreeMap, HashMap};

use boxseat_output::query;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::current;
use serde_json::{Value, json};

use crate::cli::{Global, ImportArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::{CommandError, REJECTS};
use crate::evidence::{Import, Report, digest};
use crate::printer::Printer;
use crate::store::Store;
use crate::sync::imported_digests;

pub(crate) fn run(global: &Global, args: &ImportArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access)?;
    let bytes = std::fs::read(&args.file)
        .map_err(|e| CommandError::usage(format!("cannot read {}", args.file.display())).because(e))?;
    let file_digest = digest(&bytes);
    if is_known(&store, &file_digest)? {
        printer.note(format!("{} was imported before; nothing changes.", args.file.display()));
        return Ok(0);
    }
    let now = data_clock(settings.rehearsed_now)();
    let report = Report::read(&args.file, &bytes, args.time_zone, now)?;
    if report.is_zone_unknown {
        printer.note("The report does not say in which time zone its times are: each counts as late as it can be anywhere. --time-zone names the zone of whoever ran it.");
    }
    let people = People::known(&settings)?;
    let (mut evidence, mut without, mut unknown) = (BTreeMap::new(), 0, Vec::new());
    for row in &report.rows {
        match (people.find(row.user_id.as_deref(), row.email.as_deref()), row.at) {
            (None, _) => unknown.push(row),
            (Some(_), None) => without += 1,
            (Some(user_id), Some(at)) => {
                let newest = evidence.entry(user_id.to_owned()).or_insert(at);
                *newest = at.max(*newest);
            }
        }
    }
    for (line, reason) in &report.rejected {
        tracing::warn!("{}, line {line}: {reason}", args.file.display());
    }
    for row in &unknown {
        let who = row.user_id.as_deref().or(row.email.as_deref()).unwrap_or_default();
        tracing::warn!("{}, line {}: {who} is nobody the store has seen", args.file.display(), row.line);
    }
    let facts = [
        ("source", json!(report.source.as_str())),
        ("people", json!(evidence.len())),
        ("without_use", json!(without)),
        ("outsiders", json!(report.outsiders)),
        ("unknown", json!(unknown.len())),
        ("not_understood", json!(report.rejected.len())),
    ];
    let import =
        Import { source: report.source.as_str().to_owned(), imported_at: now, file_digest, evidence };
    import.keep(store.root())?;
    printer.facts("import", &facts)?;
    printer.note("It counts from the next night on, and only ever towards \"used\".");
    Ok(if unknown.is_empty() && report.rejected.is_empty() { 0 } else { REJECTS })
}

/// Whether a report waits for the next run, or is in the lake.
fn is_known(store: &Store, file_digest: &str) -> Result<bool, CommandError> {
    let runs = store.lake().sync_runs()?;
    let current: Vec<RunNumber> = current(&runs).iter().map(|run| run.run_number).collect();
    Ok(Import::is_waiting(store.root(), file_digest)
        || imported_digests(store, &current)?.contains(file_digest))
}

/// Everybody the store has seen: the id behind every id, and behind every address that leads to one person.
struct People {
    ids: HashMap<String, String>,
}

impl People {
    fn known(settings: &Settings) -> Result<Self, CommandError> {
        let rows = super::query::grid(query::query(&settings.store, KNOWN, &settings.resources)?)?.rows;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self { ids: rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect() })
    }

    /// An id outranks the address beside it, and an id that nobody has is not made good by one.
    fn find(&self, user_id: Option<&str>, email: Option<&str>) -> Option<&str> {
        self.ids.get(user_id.or(email)?).map(String::as_str)
    }
}

/// An address is whose login it is; if nobody's, whose alias; if nobody's, whose login it was. One that two people share at the
/// same rank is nobody's.
const KNOWN: &str = "
    WITH addresses AS (
        SELECT lower(login) AS name, user_id, 1 AS rank FROM users
        UNION SELECT lower(email), user_id, 2 FROM email_aliases
        UNION SELECT lower(login), user_id, 3 FROM users_history
    ),
    best AS (SELECT name, min(rank) AS rank FROM addresses WHERE name IS NOT NULL GROUP BY name)
    SELECT name, min(user_id) FROM addresses JOIN best USING (name, rank) GROUP BY name HAVING count(DISTINCT user_id) = 1
    UNION ALL SELECT user_id, user_id FROM accounts";
