//! `boxseat import`: evidence of use from a report of Box's admin console.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use boxseat_output::query;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::current;
use boxseat_schemas::text::{excerpt, visible_line};
use boxseat_storage::digest::sha256_hex;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::cli::{Global, ImportArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::{CommandError, REJECTS};
use crate::evidence::{Report, shown};
use crate::imports::{Import, Known, imported};
use crate::printer::Printer;
use crate::published::check_to_read;
use crate::store::Store;

pub(crate) fn run(global: &Global, args: &ImportArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
    if store.lake().is_recorded() {
        store.check_witness(&settings)?;
        store.take_up_key()?;
    }
    let file = shown(&args.file);
    let bytes = std::fs::read(&args.file)
        .map_err(|e| CommandError::usage(format!("cannot read {file}")).because(e))?;
    let file_digest = sha256_hex(&bytes);
    let now = data_clock(settings.rehearsed_now)();
    let report = Report::read(&args.file, &bytes, &settings.import_headings, args.time_zone, now)?;
    if report.is_zone_unknown {
        printer.note("The report does not name the time zone of its times. Each time counts as the latest that it can be in any zone. --time-zone sets the zone of the admin who ran the report.");
    }
    if report.ambiguous_dates > 0 {
        printer.note(format!(
            "Rows with a date such as 3/4/2026: {}. The file does not show whether the day or the month comes first. Each date counts as the later of both. Dates such as 2026-04-03 are exact.",
            report.ambiguous_dates
        ));
    }
    check_to_read(&settings.store)?;
    let accounts = Accounts::known(&settings)?;
    let (mut evidence, mut without, mut unknown) = (BTreeMap::new(), 0, 0);
    for (line, reason) in &report.rejected {
        tracing::warn!("{file}, line {line}: {}", visible_line(reason));
    }
    for row in &report.rows {
        match accounts.find(row.user_id.as_deref(), row.email.as_deref(), row.at) {
            Ok(user_id) => match row.at {
                None => without += 1,
                Some(at) => {
                    let newest = evidence.entry(user_id.to_owned()).or_insert(at);
                    *newest = at.max(*newest);
                }
            },
            Err(reason) => {
                unknown += 1;
                let user = row.user_id.as_deref().or(row.email.as_deref()).unwrap_or_default();
                tracing::warn!("{file}, line {}: {} {reason}", row.line, excerpt(user));
            }
        }
    }
    let import =
        Import { source: report.source.as_str().to_owned(), imported_at: now, file_digest, evidence };
    let is_empty = import.evidence.is_empty();
    let mut import = import.without(&known(&store)?);
    let waiting = Import::waiting(store.root(), &import.file_digest)?;
    let waiting = waiting.map(|waiting| waiting.evidence).unwrap_or_default();
    // Evidence of an earlier import of this file is kept. Of two times the earlier one is more exact: that import had a time zone,
    // or it was made at an earlier time, which limits the dates.
    for (user_id, at) in &waiting {
        let kept = import.evidence.entry(user_id.clone()).or_insert(*at);
        *kept = *at.min(kept);
    }
    if !is_empty && import.evidence == waiting {
        printer.note(format!("{file} was imported before; nothing changes."));
        return Ok(0);
    }
    let facts = [
        ("source", json!(report.source.as_str())),
        ("people", json!(import.evidence.len())),
        ("without_use", json!(without)),
        ("outsiders", json!(report.outsiders)),
        ("unknown", json!(unknown)),
        ("not_understood", json!(report.rejected.len())),
    ];
    printer.facts("import", &facts)?;
    if is_empty {
        // Not stored, so that the same file can be imported again when its rows can be read or its users are known.
        printer.note(format!(
            "Nothing was imported: {file} has no row with a use by a known user. The same file can be imported again."
        ));
        return Ok(REJECTS);
    }
    import.keep(store.root(), store.lake())?;
    store.anchor_record(&settings)?;
    printer.note("The evidence counts from the next run on. It can only show that a seat is used.");
    Ok(if unknown == 0 && report.rejected.is_empty() { 0 } else { REJECTS })
}

/// The evidence of all reports in the lake.
fn known(store: &Store) -> Result<Known, CommandError> {
    let runs = store.lake().sync_runs()?;
    let current: Vec<RunNumber> = current(&runs).iter().map(|run| run.run_number).collect();
    imported(store, &current)
}

/// Every account in the store, by id and by address.
struct Accounts {
    /// By id or address. The ranks are in order of priority.
    names: HashMap<String, Vec<Rank>>,
}

/// Accounts of the same priority for one name.
type Rank = Vec<Owner>;

/// An account that has or had an address.
struct Owner {
    user_id: String,
    created_at: Option<DateTime<Utc>>,
    /// First and last time that snapshots had the address as its login. No last time while the account has the login.
    had: Option<(DateTime<Utc>, Option<DateTime<Utc>>)>,
}

impl Accounts {
    fn known(settings: &Settings) -> Result<Self, CommandError> {
        let rows = super::query::grid(query::query(&settings.store, KNOWN, &settings.resources)?)?.rows;
        let mut names: HashMap<String, Vec<Rank>> = HashMap::new();
        let mut last: Option<(String, Value)> = None;
        for row in &rows {
            let text = |place: usize| row[place].as_str().unwrap_or_default().to_owned();
            let time = |place: usize| row[place].as_i64().and_then(DateTime::from_timestamp_micros);
            let (user_id, created_at) = (text(2), time(3));
            let owner = Owner { user_id, created_at, had: time(4).map(|from| (from, time(5))) };
            let ranks = names.entry(text(0)).or_default();
            // Rows are ordered by name and rank.
            if last.as_ref() != Some(&(text(0), row[1].clone())) {
                ranks.push(Vec::new());
            }
            ranks.last_mut().expect("one was pushed").push(owner);
            last = Some((text(0), row[1].clone()));
        }
        Ok(Self { names })
    }

    /// The account of a row. If a row has an id, it decides. An address that only other accounts have or had contradicts it: columns were
    /// shifted or sorted alone, and evidence that is stored for a wrong account cannot be taken back. The row is refused by its line.
    ///
    /// A use cannot be older than its account, so an old use of a reused address belongs to the earlier account. If a login moved
    /// between accounts, the snapshots name its owner at that time, or the first owner after it.
    fn find(
        &self,
        user_id: Option<&str>,
        email: Option<&str>,
        at: Option<DateTime<Utc>>,
    ) -> Result<&str, &'static str> {
        let owners = |name: &str| self.names.get(name);
        let ranks = user_id.or(email).and_then(owners).ok_or(UNKNOWN)?;
        if let (Some(user_id), Some(of_email)) = (user_id, email.and_then(owners))
            && !of_email.iter().flatten().any(|owner| owner.user_id == user_id)
        {
            return Err(CONTRADICTS);
        }
        let existed =
            |owner: &&Owner| at.is_none_or(|at| owner.created_at.is_none_or(|created_at| created_at <= at));
        let by_snapshot = ranks.iter().flatten().filter(existed).filter_map(|owner| {
            let ((from, to), at) = owner.had.zip(at)?;
            to.is_none_or(|to| at < to).then_some((from.max(at), owner.user_id.as_str()))
        });
        if let Some((_, user_id)) = by_snapshot.min() {
            return Ok(user_id);
        }
        for rank in ranks {
            let user_ids: BTreeSet<&str> =
                rank.iter().filter(existed).map(|owner| owner.user_id.as_str()).collect();
            match user_ids.len() {
                0 => {}
                1 => return Ok(user_ids.first().copied().expect("there is one")),
                _ => return Err("is an address of several accounts"),
            }
        }
        Err("had no account yet at the time of that use")
    }
}

const UNKNOWN: &str = "is not a user in the store";
const CONTRADICTS: &str = "is not the user of the address in the same row: correct the file, or run `boxseat sync` and import it again";

/// Priority of the owners of an address: the account with this login, the account with this alias, accounts that had this login
/// before. An id belongs to one account.
const KNOWN: &str = "
    WITH addresses AS (
        SELECT lower(login) AS name, 1 AS rank, user_id, NULL::TIMESTAMPTZ AS had_from_at, NULL::TIMESTAMPTZ AS had_to_at FROM users
        UNION SELECT lower(email), 2, user_id, NULL, NULL FROM email_aliases
        UNION SELECT lower(login), 3, user_id, valid_from, valid_to FROM users_history
        UNION SELECT user_id, 0, user_id, NULL, NULL FROM accounts
    )
    SELECT addresses.name, addresses.rank, addresses.user_id, epoch_us(accounts.created_at), epoch_us(addresses.had_from_at),
        epoch_us(addresses.had_to_at)
    FROM addresses JOIN accounts ON accounts.user_id = addresses.user_id
    WHERE addresses.name IS NOT NULL
    ORDER BY addresses.name, addresses.rank, addresses.user_id, addresses.had_from_at";

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, NaiveTime};

    use super::*;

    /// Why: a use by a deleted account must neither count for the account that got its address later, nor be lost.
    #[test]
    fn use_belongs_to_the_account_that_had_the_address_at_that_time() {
        let at = |day: u32| {
            NaiveDate::from_ymd_opt(2026, 5, day).map(|day| day.and_time(NaiveTime::MIN).and_utc())
        };
        let account = |id: &str, day: u32| Owner { user_id: id.to_owned(), created_at: at(day), had: None };
        let had = |id: &str, from: u32, to: Option<u32>| Owner {
            had: at(from).map(|from| (from, to.and_then(at))),
            ..account(id, 1)
        };
        let accounts = Accounts {
            names: HashMap::from([
                ("jo@x".to_owned(), vec![vec![account("2", 20)], vec![account("1", 1), account("2", 20)]]),
                ("2".to_owned(), vec![vec![account("2", 20)]]),
                ("al@x".to_owned(), vec![vec![account("3", 1), account("4", 1)]]),
                // Account 6 was renamed to the login that account 5 had until the twentieth.
                (
                    "li@x".to_owned(),
                    vec![vec![account("6", 1)], vec![had("5", 8, Some(20)), had("6", 20, None)]],
                ),
            ]),
        };
        for (id, email, day, found) in [
            (None, "jo@x", at(25), Ok("2")),
            (None, "jo@x", at(10), Ok("1")),
            (None, "jo@x", None, Ok("2")),
            (Some("2"), "jo@x", at(10), Err("had no account yet at the time of that use")),
            (Some("9"), "jo@x", at(25), Err(UNKNOWN)),
            // One column was sorted alone.
            (Some("2"), "al@x", at(25), Err(CONTRADICTS)),
            // A login that is newer than the last snapshot.
            (Some("2"), "no@x", at(25), Ok("2")),
            (None, "al@x", at(25), Err("is an address of several accounts")),
            (None, "no@x", at(25), Err(UNKNOWN)),
            (None, "li@x", at(25), Ok("6")),
            (None, "li@x", at(10), Ok("5")),
            (None, "li@x", at(2), Ok("5")),
            (None, "li@x", None, Ok("6")),
        ] {
            assert_eq!(accounts.find(id, Some(email), day), found, "{id:?} {email} {day:?}");
        }
    }
}
