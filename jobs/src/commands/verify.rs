//! `boxseat verify`: compares raw pages, lake and published file, and on request also Box and the record.

mod deep;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use boxseat_output::ErrorKind;
use boxseat_output::query::{CheckedReader, query};
use boxseat_output::warehouse::{self, Check, PublishedFile};
use boxseat_pipeline::client::BoxReader;
use boxseat_pipeline::normalise::{KnownEvents, Normaliser, Tally};
use boxseat_pipeline::spool::SpoolReader;
use boxseat_schemas::RunNumber;
use boxseat_schemas::box_api::{User, read};
use boxseat_schemas::run::root;
use boxseat_schemas::run::{Reservation, SyncRun, chain, latest_snapshot};
use boxseat_schemas::spool::Request;
use boxseat_schemas::table::{
    EMAIL_ALIASES, EVENTS, GROUPS, MEMBERSHIPS, RUN_ROWS, Table, USER_CHANGES, USERS, USERS_HISTORY,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::Seals;

use super::findings::Findings;
use crate::calls::CommandCalls;
use crate::cli::{Global, VerifyArgs};
use crate::clock::data_clock;
use crate::config::{Settings, credentials};
use crate::error::{CommandError, FAILED, REFUSED, SEAL_HINT};
use crate::forget::compare_records;
use crate::printer::Printer;
use crate::reclaim_context::snapshot_rows;
use crate::store::Store;
use crate::sync::{LakeBase, known_events};

pub(crate) async fn run(global: &Global, args: &VerifyArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
    // No other process may publish or remove files while counts are compared.
    let _lock = Store::lock(store.root())?;
    store.refuse_foreign_lake()?;
    store.check_witness(&settings)?;
    refuse_cut_records(&store, &settings)?;
    let mut findings = Findings::default();
    if args.deep {
        tokio::task::block_in_place(|| deep::compare(&store, &settings, &mut findings))?;
        // The other checks would read files that boxseat did not write.
        if findings.failures() > 0 {
            let verdict =
                format!("{} differs from its record: see what failed above.", store.root().display());
            findings.print(printer, "verify", &[("trusted", json!(false)), ("verdict", json!(verdict))])?;
            return Ok(REFUSED);
        }
    }
    let runs = store.lake().sync_runs()?;
    let latest = latest_snapshot(&runs).ok_or_else(|| {
        CommandError::usage("no run is complete yet, so there is no snapshot to verify")
            .hint("run `boxseat sync`")
    })?;
    tokio::task::block_in_place(|| offline(&store, &settings, &runs, latest, &mut findings))?;
    if args.live > 0 {
        live(&store, &settings, args.live, &mut findings).await?;
    }
    let trusted = findings.failures() == 0;
    let verdict = format!(
        "The snapshot of {} (run {}) {}.",
        latest.snapshot_date,
        latest.run_number,
        if trusted { "can be trusted" } else { "cannot be trusted: see what failed above" }
    );
    findings.print(
        printer,
        "verify",
        &[("night", json!(latest.snapshot_date)), ("trusted", json!(trusted)), ("verdict", json!(verdict))],
    )?;
    Ok(if trusted { 0 } else { FAILED })
}

/// Compares the records of erasures with the journal. `--deep` and `reclaim verify` report a journal that cannot be read.
fn refuse_cut_records(store: &Store, settings: &Settings) -> Result<(), CommandError> {
    match Journal::read(store.root(), store.id(), &settings.journal_key, Seals::Last) {
        Ok(journal) => compare_records(store.root(), store.seals(), &journal),
        Err(_) => Ok(()),
    }
}

/// The counts of one table in `run_rows`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    from_box: i64,
    carried: i64,
    duplicate: i64,
    rejected: i64,
    dropped: i64,
    in_lake: i64,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from_box, carried, duplicate, rejected, dropped, in_lake } = self;
        write!(
            f,
            "{from_box} from Box, {carried} carried, {duplicate} duplicate, {rejected} rejected, {dropped} dropped: {in_lake} rows"
        )
    }
}

fn offline(
    store: &Store,
    settings: &Settings,
    runs: &[SyncRun],
    latest: &SyncRun,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    deep::count(store, findings)?;
    let accounts = accounts(store, latest)?;
    spool(store, settings, runs, latest, &accounts, findings)?;
    for table in [&USERS, &GROUPS, &MEMBERSHIPS, &EMAIL_ALIASES, &EVENTS] {
        let rows = rows_in_lake(store, table, &[latest.run_number])?;
        let accounted = accounts.get(table.name).map(|account| account.in_lake);
        findings.compare(&format!("lake: {}", table.name), accounted, rows);
    }
    published(store, settings, runs, latest, &accounts, findings)?;
    Ok(store.lake().refuse_changes()?)
}

fn accounts(store: &Store, latest: &SyncRun) -> Result<BTreeMap<String, Account>, CommandError> {
    let columns = [
        "table_name",
        "rows_from_box",
        "rows_carried",
        "rows_duplicate",
        "rows_rejected",
        "rows_dropped",
        "rows_in_lake",
    ];
    let mut accounts = BTreeMap::new();
    for batch in store.lake().scan(&RUN_ROWS, &[latest.run_number], Some(&columns))? {
        let batch = batch?;
        let number = |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
        for row in 0..batch.num_rows() {
            let table = batch.column(0).as_string::<i32>().value(row).to_owned();
            let account = Account {
                from_box: number(1, row),
                carried: number(2, row),
                duplicate: number(3, row),
                rejected: number(4, row),
                dropped: number(5, row),
                in_lake: number(6, row),
            };
            accounts.insert(table, account);
        }
    }
    Ok(accounts)
}

/// Checks the checksum of every frame, and normalises every record again.
fn spool(
    store: &Store,
    settings: &Settings,
    runs: &[SyncRun],
    latest: &SyncRun,
    accounts: &BTreeMap<String, Account>,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    let read_as = root(runs, latest);
    let dir = store.spool(read_as);
    let seal = match dir.seal_record().and_then(|seal| match seal {
        None => dir.check_is_gone().map(|()| None),
        seal => Ok(seal),
    }) {
        Ok(Some(seal)) => seal,
        Ok(None) => {
            findings.skip("spool", format!("the raw pages of run {read_as} are no longer kept"));
            return Ok(());
        }
        Err(e) => {
            findings.fail("spool: seal", e.to_string(), SEAL_HINT);
            return Ok(());
        }
    };
    let whole = SpoolReader::open(&dir, read_as.0).and_then(|spool| spool.replay(|_, _| Ok(())));
    let damage = match whole {
        Ok(whole) if (whole.bytes, whole.frames) == (seal.bytes, seal.frames) => {
            findings.pass("spool: checksums", format!("{} frames, {} bytes", whole.frames, whole.bytes));
            // Intact pages may be of another run or store.
            store.altered_spool(read_as)?.map(|altered| altered.to_string())
        }
        Ok(whole) => Some(format!(
            "{}: {} intact frames in {} bytes, but {} in {} bytes were sealed",
            dir.pages().display(),
            whole.frames,
            whole.bytes,
            seal.frames,
            seal.bytes
        )),
        Err(e) => Some(e.to_string()),
    };
    if let Some(damage) = damage {
        let remedy = "restore the spool from a backup; the lake is not affected";
        findings.fail("spool: as it was sealed", damage, remedy);
        return Ok(());
    }
    let reservations = store.lake().reservations()?;
    let Some(reservation) =
        reservations.into_iter().find(|reservation| reservation.run_number == latest.run_number)
    else {
        findings.fail(
            "spool: records",
            format!("the reservation of run {} is missing from lake/_runs", latest.run_number),
            "restore it from a backup",
        );
        return Ok(());
    };
    let known = {
        // When the run was loaded, only events of earlier runs were known.
        let others: Vec<SyncRun> =
            runs.iter().filter(|run| run.run_number < latest.run_number).cloned().collect();
        known_events(store, &reservation, &others)?
    };
    for (table, tally) in tallies(store, settings, &reservation, read_as, &known)? {
        let again = Account {
            from_box: big(tally.from_box),
            carried: big(tally.carried),
            duplicate: big(tally.duplicate),
            rejected: big(tally.rejected),
            dropped: big(tally.dropped),
            in_lake: big(tally.rows()),
        };
        let accounted = accounts.get(table.name).copied();
        findings.compare(&format!("spool: {}", table.name), accounted, again);
    }
    Ok(())
}

fn big(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn tallies(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    read_as: RunNumber,
    known: &KnownEvents,
) -> Result<Vec<(&'static Table, Tally)>, CommandError> {
    let dir = store.spool(read_as);
    let base = LakeBase::of(store, reservation)?;
    let mut again = Normaliser::open(
        &dir,
        read_as,
        reservation,
        store.enterprise_id().unwrap_or("unknown"),
        settings.privacy,
        LakeBase::as_base(&base),
    )?;
    store.compare_pages(read_as, again.pages())?;
    // In this order: the other tables refer to the users and groups of the snapshot.
    let users = again.users()?.exhaust()?;
    let groups = again.groups()?.exhaust()?;
    Ok(vec![
        (&USERS, users),
        (&GROUPS, groups),
        (&MEMBERSHIPS, again.memberships()?.exhaust()?),
        (&EMAIL_ALIASES, again.email_aliases()?.exhaust()?),
        (&EVENTS, again.events(known)?.exhaust()?),
    ])
}

/// Compares the published file with the lake, and checks its references.
fn published(
    store: &Store,
    settings: &Settings,
    runs: &[SyncRun],
    latest: &SyncRun,
    accounts: &BTreeMap<String, Account>,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    let checked = PublishedFile::check(store.root(), Check::Digest);
    match &checked {
        Ok(file) => match file.recorded() {
            Some(recorded) => findings.pass("file: digest", format!("SHA-256 {}", recorded.sha256)),
            None => findings.warn("file: digest", "not recorded".to_owned(), "boxseat publish records it"),
        },
        Err(e) if e.kind() == ErrorKind::Foreign => {
            let remedy =
                "boxseat publish builds the file again from the lake; open it with `duckdb -readonly`";
            findings.fail("file: digest", e.to_string(), remedy);
            return Ok(());
        }
        // A file that is missing or cannot be read is reported below.
        Err(_) => {}
    }
    let published = warehouse::published(store.root()).unwrap_or_else(|e| {
        findings.note("file", e.to_string());
        None
    });
    match published {
        Some(shown) if shown.run_number == latest.run_number => {
            findings.pass("file: night", latest.snapshot_date.to_string())
        }
        shown => {
            let shown =
                shown.map_or_else(|| "nothing".to_owned(), |shown| format!("run {}", shown.run_number));
            findings.fail(
                "file: night",
                format!("{shown} is published, run {} is complete", latest.run_number),
                "boxseat publish",
            );
            return Ok(());
        }
    }
    let reader = CheckedReader::open(&checked?, &settings.resources)?;
    match snapshot_rows::read(&reader, store) {
        Ok(_) => findings.pass("file: rows that decide", "as boxseat built them".to_owned()),
        Err(e) => findings.fail("file: rows that decide", e.lines().join(": "), "boxseat publish"),
    }
    for table in [&USERS, &GROUPS, &MEMBERSHIPS, &EMAIL_ALIASES] {
        let rows = number(&reader, &format!("SELECT count(*) FROM \"{}\"", table.name))?;
        let accounted = accounts.get(table.name).map(|account| account.in_lake);
        findings.compare(&format!("file: {}", table.name), accounted, rows);
    }
    // The file has these rows of every run in the chain of this one.
    for table in [&USERS_HISTORY, &USER_CHANGES] {
        let rows = number(&reader, &format!("SELECT count(*) FROM \"{}\"", table.name))?;
        let in_lake = rows_in_lake(store, table, &chain(runs, latest.run_number))?;
        findings.compare(&format!("file: {}", table.name), Some(in_lake), rows);
    }
    for (name, sql) in JOINS {
        let failing = number(&reader, sql)?;
        findings.compare(&format!("file: {name}"), Some(0), failing);
    }
    Ok(())
}

fn rows_in_lake(store: &Store, table: &'static Table, runs: &[RunNumber]) -> Result<i64, CommandError> {
    let mut rows = 0;
    for batch in store.lake().scan(table, runs, Some(&["run_number"]))? {
        rows += i64::try_from(batch?.num_rows()).unwrap_or(i64::MAX);
    }
    Ok(rows)
}

/// Queries for rows that must not exist.
const JOINS: &[(&str, &str)] = &[
    ("memberships without a user", "SELECT count(*) FROM memberships ANTI JOIN users USING (user_id)"),
    ("memberships without a group", "SELECT count(*) FROM memberships ANTI JOIN groups USING (group_id)"),
    ("aliases without a user", "SELECT count(*) FROM email_aliases ANTI JOIN users USING (user_id)"),
    (
        "events twice",
        "SELECT count(*) - count(DISTINCT event_id) FROM (SELECT event_id FROM login_events UNION ALL SELECT event_id FROM admin_events)",
    ),
    (
        "users without one current version",
        "SELECT count(*) FROM users LEFT JOIN (SELECT user_id, count(*) AS versions FROM users_history WHERE is_current AND NOT is_deleted GROUP BY user_id) USING (user_id) WHERE versions IS DISTINCT FROM 1 AND EXISTS (SELECT 1 FROM users_history)",
    ),
    ("changes without an account", "SELECT count(*) FROM user_changes ANTI JOIN accounts USING (user_id)"),
    ("users without an account", "SELECT count(*) FROM users ANTI JOIN accounts USING (user_id)"),
    (
        "last logins that differ",
        "SELECT count(*) FROM accounts LEFT JOIN (SELECT user_id, max(created_at) AS newest FROM login_events GROUP BY user_id) USING (user_id) WHERE last_login_at IS DISTINCT FROM newest",
    ),
];

fn number(reader: &CheckedReader, sql: &str) -> Result<i64, CommandError> {
    let grid = super::query::grid(reader.query(sql)?)?;
    Ok(grid.rows.first().and_then(|row| row.first()).and_then(Value::as_i64).unwrap_or(-1))
}

/// Reads a sample of users from Box. A user that changed after the snapshot is a note, not a failure.
async fn live(
    store: &Store,
    settings: &Settings,
    sample: u32,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    let clock = data_clock(settings.rehearsed_now);
    let calls = CommandCalls::begin(store.root(), &clock)?;
    let reader = BoxReader::new(
        &settings.endpoints.client.clone().impatient(),
        credentials()?,
        calls.clone(),
        Arc::clone(&clock),
        CancellationToken::new(),
    )?;
    // The hash selects the same users each time for one run, and other users for the next run.
    let sql = format!(
        "SELECT user_id, login, status, role, epoch_us(modified_at) AS modified_at FROM users ORDER BY md5(user_id || (SELECT run_number FROM report_settings)) LIMIT {sample}"
    );
    let rows = super::query::grid(query(store.root(), &sql, &settings.resources)?)?.rows;
    let (mut equal, mut since) = (0, 0);
    for row in &rows {
        let user_id = row[0].as_str().unwrap_or_default().to_owned();
        let request = Request::User { user_id: user_id.clone() };
        let response = reader.ask(&request, None).await?;
        calls.answered(request.endpoint())?;
        if response.status == 404 {
            since += 1;
            findings.note(&format!("live: {user_id}"), "gone since the snapshot".to_owned());
            continue;
        }
        if response.status == 403 {
            findings.note(&format!("live: {user_id}"), "access denied for these credentials".to_owned());
            continue;
        }
        let unreadable = |e: serde_json::Error| {
            CommandError::failed(format!("Box's response for user {user_id} cannot be read"), e)
        };
        let body =
            std::str::from_utf8(&response.body).map_err(|e| unreadable(serde::de::Error::custom(e)))?;
        let user: User = read(body).map_err(unreadable)?.record;
        let now = [&user.login, &user.status, &user.role]
            .map(|text| text.as_deref().map_or(Value::Null, Value::from));
        let moved = user.modified_at.map(|at| at.timestamp_micros()) != row[4].as_i64();
        if now[..] == row[1..4] {
            equal += 1;
        } else if moved {
            since += 1;
            findings.note(&format!("live: {user_id}"), "changed since the snapshot".to_owned());
        } else {
            let detail = format!(
                "the snapshot has {}, Box has {}",
                Value::from(row[1..4].to_vec()),
                Value::from(now.to_vec())
            );
            findings.fail(
                &format!("live: {user_id}"),
                detail,
                "boxseat sync, then verify again; if the difference remains, please report it",
            );
        }
    }
    findings.pass("live: sample", format!("{equal} of {} users equal, {since} changed since", rows.len()));
    Ok(())
}

impl Findings {
    /// Adds whether two values are equal.
    fn compare<T: PartialEq + fmt::Display>(&mut self, name: &str, accounted: Option<T>, found: T) {
        match accounted {
            Some(accounted) if accounted == found => self.pass(name, found.to_string()),
            accounted => {
                let accounted =
                    accounted.map_or_else(|| "nothing".to_owned(), |accounted| accounted.to_string());
                let detail = format!("accounted for: {accounted}; found: {found}");
                self.fail(
                    name,
                    detail,
                    "keep the store unchanged and report it; `boxseat replay` creates the snapshot again",
                );
            }
        }
    }
}
