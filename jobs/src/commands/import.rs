//! `boxseat import`: evidence of use from a report of Box's admin console.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use boxseat_output::{query, visible_line};
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::current;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::cli::{Global, ImportArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::{CommandError, REJECTS};
use crate::evidence::{Import, Known, Report, digest, shown};
use crate::printer::Printer;
use crate::published::check_to_read;
use crate::store::Store;
use crate::sync::imported_evidence;

pub(crate) fn run(global: &Global, args: &ImportArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access, settings.journal_key.as_ref())?;
    if store.lake().is_recorded() {
        store.check_witness(&settings)?;
        store.take_up_key()?;
    }
    let file = shown(&args.file);
    let bytes = std::fs::read(&args.file)
        .map_err(|e| CommandError::usage(format!("cannot read {file}")).because(e))?;
    let file_digest = digest(&bytes);
    let now = data_clock(settings.rehearsed_now)();
    let report = Report::read(&args.file, &bytes, &settings.import_headings, args.time_zone, now)?;
    if report.is_zone_unknown {
        printer.note("The report does not say in which time zone its times are. Each counts as late as it can be anywhere. --time-zone names the zone of the admin who ran it.");
    }
    if report.ambiguous_dates > 0 {
        printer.note(format!(
            "Rows with a date such as 3/4/2026: {}. Nothing in the file says whether the day or the month comes first. Each counts as the later of both. Dates written as 2026-04-03 are exact.",
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
                tracing::warn!("{file}, line {}: {} {reason}", row.line, visible_line(user));
            }
        }
    }
    let import =
        Import { source: report.source.as_str().to_owned(), imported_at: now, file_digest, evidence };
    let is_empty = import.evidence.is_empty();
    let mut import = import.without(&known(&store)?);
    let waiting = Import::waiting(store.root(), &import.file_digest)?;
    let waiting = waiting.map(|waiting| waiting.evidence).unwrap_or_default();
    // What an earlier reading found is not lost by this one. Of two times the earlier is the more exact: a zone is given, or the
    // file existed before now.
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
        // Not stored, so that the same file can be imported once the rows can be read or their users are known.
        printer.note(format!(
            "Nothing was imported: {file} has no row with a use by a known user. The same file can be imported again."
        ));
        return Ok(REJECTS);
    }
    import.keep(store.root(), store.lake())?;
    store.anchor_record(&settings)?;
    printer.note("It counts from the next run on, and only ever towards \"used\".");
    Ok(if unknown == 0 && report.rejected.is_empty() { 0 } else { REJECTS })
}

/// What the lake has of all reports.
fn known(store: &Store) -> Result<Known, CommandError> {
    let runs = store.lake().sync_runs()?;
    let current: Vec<RunNumber> = current(&runs).iter().map(|run| run.run_number).collect();
    imported_evidence(store, &current)
}

/// Every account that the store has seen, by id and by the addresses that lead to it.
struct Accounts {
    /// By name; the ranks in the order in which they are tried.
    names: HashMap<String, Vec<Rank>>,
}

/// Accounts that a name means equally well.
type Rank = Vec<Owner>;

/// An account that an address leads to.
struct Owner {
    user_id: String,
    created_at: Option<DateTime<Utc>>,
    /// From when until when snapshots had the address as its login; the end is open while it has it.
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
            // Rows come by name and rank.
            if last.as_ref() != Some(&(text(0), row[1].clone())) {
                ranks.push(Vec::new());
            }
            ranks.last_mut().expect("one was pushed").push(owner);
            last = Some((text(0), row[1].clone()));
        }
        Ok(Self { names })
    }

    /// The account that a row is about. An id outranks the address next to it, and an unknown id is not made good by one.
    ///
    /// A use is older than no account: an address that was given to a new account meant the one before it then. Of a login that moved
    /// from account to account, snapshots tell whose it was: at that time, or else next after it.
    fn find(
        &self,
        user_id: Option<&str>,
        email: Option<&str>,
        at: Option<DateTime<Utc>>,
    ) -> Result<&str, &'static str> {
        let ranks = user_id.or(email).and_then(|name| self.names.get(name)).ok_or(UNKNOWN)?;
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

const UNKNOWN: &str = "is no user that the store has seen";

/// An address is that of the account with this login; then that of the account with this alias; then that of an account that
/// had this login. Ids are not addresses, and lead to one account each.
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

    /// Why: the use of an account that is gone must not count for the one that got its address, nor be lost.
    #[test]
    fn a_use_belongs_to_the_account_that_had_the_address_then() {
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
