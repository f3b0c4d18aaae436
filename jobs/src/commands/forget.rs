//! `boxseat forget USER`: without `--yes` it shows what would be erased and changes nothing.

use std::sync::Arc;

use boxseat_pipeline::client::BoxReader;
use boxseat_pipeline::normalise::departure;
use boxseat_schemas::reclaim::{Entry, Record};
use boxseat_schemas::run::{SyncRun, latest_snapshot};
use boxseat_schemas::spool::Request;
use boxseat_schemas::table::USERS;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use arrow::array::AsArray;
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::journal::plans::PlanTexts;
use boxseat_reclaim::journal::{ErasureKey, ReclaimLock};

use crate::calls::CommandCalls;
use crate::cli::{ForgetArgs, Global};
use crate::clock::data_clock;
use crate::config::{Settings, credentials, has_credentials};
use crate::error::CommandError;
use crate::forget::{
    Erased, ErasureRecord, Identity, Pending, check, erase, finish, identity_of, ids_of, records,
};
use crate::printer::Printer;
use crate::store::Store;
use crate::sync::open_runs;

pub(crate) async fn run(global: &Global, args: &ForgetArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
    let _lock = Store::lock(store.root())?;
    store.begin_record(&settings)?;
    let pinned = &settings.journal_key;
    let journal = Journal::open(store.root(), store.id(), pinned, ReclaimLock::take(store.root())?)?;
    refuse_files_of_a_repair(&store)?;
    let stored_key = if args.yes {
        Some(ErasureKey::open_or_create(store.root())?)
    } else {
        ErasureKey::open(store.root())?
    };
    let has_key = stored_key.is_some();
    let key = stored_key.unwrap_or_else(ErasureKey::random);
    let now = data_clock(settings.rehearsed_now)();
    let runs = store.lake().sync_runs()?;
    if let Some(open) = open_runs(&store, &runs)?.first() {
        return Err(CommandError::try_later(format!(
            "run {} is {}, and its pages may name the user",
            open.reservation.run_number,
            open.state.word()
        ))
        .hint("finish it first: boxseat sync"));
    }
    let latest = latest_snapshot(&runs).ok_or_else(|| {
        CommandError::refused("no run is complete yet, so it is not known whether Box lists the user")
            .hint("run `boxseat sync`")
    })?;
    let pending = match Pending::read(store.root(), store.seals())? {
        Some(pending) => continued(&store, &journal, &key, pending, &args.user)?,
        None => match begin(&store, &journal, &key, &args.user, now)? {
            Some(pending) => pending,
            None => {
                printer.note(format!("User {} was erased before. Nothing is left to erase.", args.user));
                return Ok(0);
            }
        },
    };
    let identity = &pending.identity;
    let ground = evidence_of_departure(&store, &settings, identity, latest, now).await?;
    refuse_if_a_plan_needs(&store, &journal, identity)?;
    if !args.yes {
        show(printer, identity, has_key)?;
        printer.note("Nothing was erased. With --yes the rows, pages and entries of this user are rewritten, and older versions of them are removed. This cannot be undone.");
        note_unreachable(printer, &store, &settings, identity, &Erased::default());
        return Ok(0);
    }
    let kept = tokio::task::block_in_place(|| check(&store, identity, &journal))?;
    pending.write(store.root(), store.seals())?;
    let erased = tokio::task::block_in_place(|| erase(&store, &settings, &key, &pending, journal, kept))?;
    let record = ErasureRecord {
        pseudonym: identity.pseudonym.clone(),
        begun_at: pending.begun_at,
        finished_at: now,
        by: pending.by.clone(),
        ground,
    };
    report(printer, &erased, &record)?;
    finish(store.root(), &key, record)?;
    note_unreachable(printer, &store, &settings, identity, &erased);
    Ok(0)
}

/// Nothing rewrites the files that `boxseat repair` moved away, and they may name the user.
fn refuse_files_of_a_repair(store: &Store) -> Result<(), CommandError> {
    let directory = store.root().join("damaged");
    match directory.try_exists() {
        Ok(false) => Ok(()),
        _ => Err(CommandError::refused(format!(
            "{} holds files that `boxseat repair` moved away, and they may name the user",
            directory.display()
        ))
        .hint("remove the directory when it is no longer needed, and run the command again")),
    }
}

/// Continues an interrupted erasure. Another erasure cannot begin before it is finished. The identity is collected again: an address may
/// have become the address of another user since.
fn continued(
    store: &Store,
    journal: &Journal,
    key: &ErasureKey,
    pending: Pending,
    user: &str,
) -> Result<Pending, CommandError> {
    let identity = &pending.identity;
    let wanted = user.to_lowercase();
    let is_same = identity.user_id == user
        || identity.addresses.iter().chain(&identity.reused).any(|address| *address == wanted);
    if !is_same {
        return Err(CommandError::refused(format!("the erasure of user {} is unfinished", identity.user_id))
            .hint(format!("finish it first: boxseat forget {} --yes", identity.user_id)));
    }
    let pseudonym = key.pseudonym(&identity.user_id);
    if identity.pseudonym != pseudonym {
        return Err(CommandError::refused(format!(
            "the erasure of user {} began with another state/erasure/key",
            identity.user_id
        ))
        .hint("restore that file from a backup, and run the command again"));
    }
    tracing::info!(user = identity.user_id, "continuing the erasure that was interrupted");
    let identity = identity_of(store, journal, &identity.user_id, pseudonym, Some(identity))?;
    Ok(Pending { identity, ..pending })
}

/// Finds the user to erase; `None` for a user who was erased before.
fn begin(
    store: &Store,
    journal: &Journal,
    key: &ErasureKey,
    user: &str,
    now: DateTime<Utc>,
) -> Result<Option<Pending>, CommandError> {
    let ids = ids_of(store, journal, user)?;
    let user_id = match ids.len() {
        1 => ids.into_iter().next().unwrap_or_default(),
        0 => {
            let pseudonym = key.pseudonym(user);
            if records(store.root(), key)?.iter().any(|record| record.pseudonym == pseudonym) {
                return Ok(None);
            }
            // An erasure that was given up after the journal: the published file may still name the user.
            let is_begun = |entry: &Entry| match &entry.record {
                Record::UserErased { pseudonym: of, .. } => *of == pseudonym,
                _ => false,
            };
            if !journal.entries().iter().any(is_begun) {
                return Err(CommandError::usage(format!("no run has a user {user}"))
                    .hint("name the user by Box id, or by any login or alias that the store has"));
            }
            user.to_owned()
        }
        _ => {
            let ids: Vec<String> = ids.into_iter().collect();
            return Err(CommandError::usage(format!("{user} was the address of {} users", ids.len()))
                .hint(format!("name one by Box id: {}", ids.join(", "))));
        }
    };
    let pseudonym = key.pseudonym(&user_id);
    let identity = identity_of(store, journal, &user_id, pseudonym, None)?;
    Ok(Some(Pending { identity, begun_at: now, by: operator() }))
}

/// Returns the evidence that the account is gone.
///
/// # Errors
/// Exit 3 if Box lists the account, or if there is no evidence that it does not.
async fn evidence_of_departure(
    store: &Store,
    settings: &Settings,
    identity: &Identity,
    latest: &SyncRun,
    now: DateTime<Utc>,
) -> Result<String, CommandError> {
    let user_id = &identity.user_id;
    let date = latest.snapshot_date;
    for batch in store.lake().scan(&USERS, &[latest.run_number], Some(&["user_id", "listing"]))? {
        let batch = batch?;
        let (ids, listings) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        if let Some(row) = ids.iter().position(|id| id == Some(user_id)) {
            return Err(CommandError::refused(format!(
                "user {user_id} has an account: the snapshot of {date} has it as {}",
                listings.value(row)
            ))
            .hint("delete the account in Box, run `boxseat sync`, then erase the user"));
        }
    }
    if !has_credentials() {
        let age = now - latest.started_at;
        if age > MAX_SNAPSHOT_AGE {
            return Err(CommandError::refused(format!(
                "it is not known whether Box lists user {user_id}: the latest snapshot is {} hours old, and there are no credentials to read the account",
                age.num_hours()
            ))
            .hint("run `boxseat sync`, or set the credentials"));
        }
        return Ok(format!("not in the snapshot of {date}"));
    }
    let clock = data_clock(settings.rehearsed_now);
    let calls = CommandCalls::begin(store.root(), &clock)?;
    let client = settings.endpoints.client.clone().impatient();
    let reader =
        BoxReader::new(&client, credentials()?, calls.clone(), Arc::clone(&clock), CancellationToken::new())?;
    let request = Request::User { user_id: user_id.clone() };
    let response = reader.ask(&request, None).await?;
    calls.answered(request.endpoint())?;
    match departure(response.status, &response.body, store.enterprise_id().unwrap_or_default()) {
        Some(reason) => Ok(format!("not in the snapshot of {date}, and Box confirms: {}", reason.as_str())),
        None => Err(CommandError::refused(format!(
            "the account of user {user_id} is not confirmed as gone: Box returned status {} for it",
            response.status
        ))
        .hint("a user can be erased when Box returns 404 for the id, or names another enterprise")),
    }
}

/// Refuses a user whose id an open plan or an unfinished action still needs.
///
/// # Errors
/// Exit 3.
fn refuse_if_a_plan_needs(store: &Store, journal: &Journal, identity: &Identity) -> Result<(), CommandError> {
    let user_id = &identity.user_id;
    let past = journal.past();
    if past.people.get(user_id).is_some_and(|user| user.attempts.iter().any(|a| a.is_unfinished())) {
        return Err(CommandError::refused(format!("the outcome of an action on user {user_id} is unknown"))
            .hint("resolve it first: boxseat reclaim nightly"));
    }
    let texts = PlanTexts::read(store.root())?;
    let open = texts.iter().find(|(plan_id, text)| {
        past.plans.get(*plan_id).is_some_and(|plan| plan.is_open()) && identity.is_named_in(text)
    });
    match open {
        None => Ok(()),
        Some((plan_id, _)) => Err(CommandError::refused(format!(
            "plan {plan_id} is open and names user {user_id}"
        ))
        .hint(
            "`boxseat reclaim nightly` closes plans that have expired; `boxseat reclaim undo` closes one now",
        )),
    }
}

/// The pseudonym is known only if the store has its key. The first erasure creates the key.
fn show(printer: &Printer, identity: &Identity, has_key: bool) -> Result<(), CommandError> {
    let list = |texts: &std::collections::BTreeSet<String>| {
        json!(texts.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    };
    printer.facts(
        "forget",
        &[
            ("user_id", json!(identity.user_id)),
            ("addresses", list(&identity.addresses)),
            ("names", list(&identity.names)),
            ("addresses_of_other_users", list(&identity.reused)),
            ("becomes", json!(has_key.then_some(&identity.pseudonym))),
        ],
    )
}

fn report(printer: &Printer, erased: &Erased, record: &ErasureRecord) -> Result<(), CommandError> {
    printer.facts(
        "forget",
        &[
            ("pseudonym", json!(record.pseudonym)),
            ("ground", json!(record.ground)),
            ("lake_files_rewritten", json!(erased.lake_files)),
            ("old_lake_files_removed", json!(erased.old_lake_files)),
            ("spools_rewritten", json!(erased.spools)),
            ("journal_entries_rewritten", json!(erased.journal_entries)),
            ("plans_rewritten", json!(erased.plans)),
            ("state_files_rewritten", json!(erased.state_files)),
            ("published", json!(erased.is_published)),
        ],
    )
}

/// Lists the places that the command cannot change.
fn note_unreachable(
    printer: &Printer,
    store: &Store,
    settings: &Settings,
    identity: &Identity,
    erased: &Erased,
) {
    printer.note("boxseat cannot change these, and they may still name the user:");
    printer.note("- backups and file system snapshots of the store, and deleted blocks of the disk");
    printer
        .note("- copies of boxseat.duckdb and of the lake that analysts made, and files they have open now");
    printer.note("- reports, exports and pages written with -o or --save, console reports that were imported, log files of cron");
    printer.note(
        "- Box: its admin log keeps events for a year, and the next run reads the last hours of it again. Every run reads the tracking codes of other users, which may have an address of the user, such as one of a manager",
    );
    let configured = [&settings.leave_file, &settings.policy_file].into_iter().flatten();
    for path in
        configured.filter(|path| std::fs::read_to_string(path).is_ok_and(|text| identity.is_named_in(&text)))
    {
        printer.note(format!("- {} names the user", path.display()));
    }
    for text in &erased.kept {
        printer.note(format!(
            "- {text} stays in fields that are not of this user: of an operator, of a group or of another record"
        ));
    }
    for path in &erased.not_ours {
        printer.note(format!("- {path} names the user; boxseat did not write it"));
    }
    let records = store.root().join("state/erasure/records.jsonl");
    printer.note(format!("The record of the erasure, without the user's data, is in {}.", records.display()));
}

/// The same limit as for a plan.
const MAX_SNAPSHOT_AGE: TimeDelta = TimeDelta::hours(36);
