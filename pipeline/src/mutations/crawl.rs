//! A run over the responses of the world: the crawl, the plan, the guards and the tables, without HTTP and without a warehouse.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use boxseat_schemas::RunNumber;
use boxseat_schemas::event_types;
use boxseat_schemas::run::{RESERVATION_FORMAT, Reservation, RunKind};
use boxseat_schemas::spool::{Frame, Request};
use boxseat_schemas::table::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, Table, USERS};
use chrono::{DateTime, TimeDelta, Utc};

use super::mutate::Source;
use super::world::{ENTERPRISE, World};
use crate::client::outcome_of;
use crate::extract::{Brief, Crawl, Meter, take_in};
use crate::guard::{self, Sizes};
use crate::ids::fingerprint;
use crate::normalise::{Base, BaseError, BaseRows, Batches, KnownEvents, Normaliser, Stage};
use crate::plan::{self, BaseRun, Inputs, PlanSettings, Survey};
use crate::spool::{SpoolDir, SpoolWriter};
use crate::{Clock, Error, Privacy};

/// Attempts of one request before the run gives up.
const ATTEMPTS: u32 = 3;
const OVERLAP: TimeDelta = TimeDelta::hours(48);

/// The claims of a run.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// User id, listing, status.
    pub(super) users: BTreeMap<String, (String, Option<String>)>,
    pub(super) groups: BTreeSet<String>,
    /// Group and user.
    pub(super) memberships: BTreeSet<(String, String)>,
    /// User and alias id.
    pub(super) aliases: BTreeSet<(String, String)>,
    /// User and time of each new sign-in.
    pub(super) logins: BTreeSet<(String, DateTime<Utc>)>,
    /// Proved intervals of LOGIN.
    pub(super) coverage: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    pub(super) departures: BTreeSet<String>,
    /// Records that could not be read, and users and groups that were carried with a warning because they were not listed.
    pub(super) named: u64,
    /// Sign-ins that name no user.
    pub(super) unattributed: usize,
    pub(super) dropped_memberships: u64,
}

/// A store after its first run.
pub(super) struct Store {
    base: MemoryBase,
    known: KnownEvents,
    pub(super) first: Tables,
    /// Start of the second run's event window.
    pub(super) read_again_from: DateTime<Utc>,
}

impl Store {
    /// Runs the first day, without a mutation.
    pub(super) fn after_a_healthy_run(world: &World) -> Self {
        let reservation = reservation(1, world.now, world.now - TimeDelta::days(120));
        let known = KnownEvents::default();
        let read =
            crawl(world, &Source::Healthy, &reservation, None, &known).expect("the first day is healthy");
        let read_again_from = reservation.window_to_at - OVERLAP;
        let mut known =
            KnownEvents { previous_window_to: Some(reservation.window_to_at), ..KnownEvents::default() };
        for (id, at, event_type) in &read.events {
            if *at >= read_again_from {
                known.ids.insert(fingerprint(id));
            } else {
                known.earlier_days.add(at.date_naive(), event_type);
            }
        }
        let Read { tables, batches, .. } = read;
        Self { base: MemoryBase::of(batches), known, first: tables, read_again_from }
    }

    /// Runs the second day.
    pub(super) fn run(&self, world: &World, source: Source) -> Result<Tables, String> {
        let reservation = Reservation {
            base_run_number: Some(RunNumber(1)),
            event_slices: 2,
            ..reservation(2, world.now, self.read_again_from)
        };
        crawl(world, &source, &reservation, Some(&self.base), &self.known).map(|read| read.tables)
    }
}

fn reservation(number: u64, now: DateTime<Utc>, window_from_at: DateTime<Utc>) -> Reservation {
    Reservation {
        format: RESERVATION_FORMAT,
        run_number: RunNumber(number),
        run_id: uuid::Uuid::nil(),
        kind: RunKind::Sync,
        started_at: now,
        snapshot_date: now.date_naive(),
        window_from_at,
        window_to_at: now - TimeDelta::minutes(15),
        event_types: event_types::all(),
        event_slices: 3,
        activity: None,
        base_run_number: None,
        replaces_run_number: None,
        store_id: uuid::Uuid::nil(),
        record: None,
        host: String::new(),
        version: String::new(),
    }
}

/// A run that was not refused.
struct Read {
    tables: Tables,
    /// Id, time and type of each event.
    events: Vec<(String, DateTime<Utc>, String)>,
    batches: HashMap<&'static str, Vec<RecordBatch>>,
}

fn crawl(
    world: &World,
    source: &Source,
    reservation: &Reservation,
    base: Option<&MemoryBase>,
    known: &KnownEvents,
) -> Result<Read, String> {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = SpoolDir::of(temp.path(), reservation.run_number.0);
    let spool = SpoolWriter::create(dir.clone(), reservation.run_number.0).expect("a spool");
    let mut crawl = Crawl::new(Brief {
        slices: reservation.slices(),
        event_types: reservation.event_types.clone(),
        activity: None,
        bound_enterprise: Some(ENTERPRISE.to_owned()),
    });
    let text = |e: Error| e.to_string();
    let clock: Clock = {
        let now = world.now;
        std::sync::Arc::new(move || now)
    };
    read_all(world, source, &spool, &mut crawl, &clock).map_err(text)?;
    let survey = Survey::read(&dir, reservation, known, base.is_some()).map_err(text)?;
    if base.is_some() {
        plan::silence(&survey, reservation, known, &[]).map_err(|refusal| refusal.to_string())?;
    }
    let settings = PlanSettings {
        alias_sweep: TimeDelta::days(30),
        membership_resync: TimeDelta::days(7),
        everything: true,
    };
    let plan = plan::plan(&Inputs {
        survey: &survey,
        base: base.map(|base| &base.night),
        since_base: TimeDelta::days(1),
        feed_failure: plan::failure(&survey, reservation, known, OVERLAP, &[]).as_deref(),
        now: world.now,
        budget: None,
        settings: &settings,
    });
    let unannounced = plan.unannounced_departures;
    spool
        .append(&Frame::Plan { calls: plan.calls() }, &serde_json::to_vec(&plan).expect("plain data"))
        .map_err(text)?;
    crawl.follow(plan);
    read_all(world, source, &spool, &mut crawl, &clock).map_err(text)?;
    tables(&dir, reservation, base, known, unannounced)
}

fn read_all(
    world: &World,
    source: &Source,
    spool: &SpoolWriter,
    crawl: &mut Crawl,
    clock: &Clock,
) -> Result<(), Error> {
    let meter = Meter::default();
    while let Some(request) = crawl.next_request() {
        let query = crawl.event_query(&request);
        let mut answer = None;
        for attempt in 0..ATTEMPTS {
            let legal = world.respond(&request, query.as_ref());
            let (status, body) = match source {
                Source::Healthy => (legal.0, legal.1.to_string().into_bytes()),
                Source::Mutated(mutation) => mutation.apply(&request, attempt, legal),
            };
            answer = outcome_of(&request, status, &body, clock());
            if answer.is_some() {
                break;
            }
        }
        let answer = answer.unwrap_or_else(|| Err(gave_up(&request)));
        take_in(spool, crawl, &meter, Privacy::default(), &request, answer)?;
    }
    crawl.check_complete()
}

fn gave_up(request: &Request) -> Error {
    Error::GaveUp {
        endpoint: request.endpoint(),
        attempts: ATTEMPTS,
        waited: std::time::Duration::ZERO,
        last: "mutated".to_owned(),
        garbled: false,
    }
}

/// The guards of a run, then its tables.
fn tables(
    dir: &SpoolDir,
    reservation: &Reservation,
    base: Option<&MemoryBase>,
    known: &KnownEvents,
    unannounced: u64,
) -> Result<Read, String> {
    let text = |e: Error| e.to_string();
    let number = reservation.run_number;
    let as_base = base.map(|base| base as &dyn Base);
    let mut night =
        Normaliser::open(dir, number, reservation, ENTERPRISE, Privacy::default(), as_base).map_err(text)?;
    let mut tables = Tables::default();
    let mut batches = HashMap::new();
    let mut sizes = Sizes::default();
    {
        let mut users = night.users().map_err(text)?;
        batches.insert(USERS.name, all(&mut users)?);
        tables.named += users.tally().rejected;
        sizes.users = users.tally().rows() - users.tally().carried;
        tables.named += users.stage.ours + users.stage.unconfirmed;
        tables.departures =
            users.stage.departures.iter().map(|departure| departure.user_id.clone()).collect();
    }
    {
        let mut groups = night.groups().map_err(text)?;
        batches.insert(GROUPS.name, all(&mut groups)?);
        tables.named += groups.tally().rejected;
        tables.named += groups.stage.carried;
        sizes.groups = groups.tally().rows() - groups.tally().carried;
    }
    {
        let mut memberships = night.memberships().map_err(text)?;
        batches.insert(MEMBERSHIPS.name, all(&mut memberships)?);
        tables.named += memberships.tally().rejected;
        tables.dropped_memberships = memberships.tally().dropped;
        sizes.memberships = memberships.tally().rows();
    }
    {
        let mut aliases = night.email_aliases().map_err(text)?;
        batches.insert(EMAIL_ALIASES.name, all(&mut aliases)?);
        tables.named += aliases.tally().rejected;
    }
    if let Some(base) = base {
        let before = base.night.sizes();
        let announced = night.announced_losses().map_err(text)?;
        guard::shrink(before, sizes, announced, 10.0).map_err(|refusal| refusal.to_string())?;
        guard::gone(unannounced, before.users, None).map_err(|refusal| refusal.to_string())?;
    }
    let mut events = night.events(known).map_err(text)?;
    let event_batches = all(&mut events)?;
    tables.named += events.tally().rejected;
    let stage = events.stage;
    tables.unattributed = stage.unattributed.len();
    let coverage = night.coverage(&stage.day_counts, &stage.unread, &stage.unattributed, known, &[]);
    for batch in &batches[USERS.name] {
        for row in 0..batch.num_rows() {
            let listing = value(batch, "listing", row).unwrap_or_default();
            tables.users.insert(
                value(batch, "user_id", row).unwrap_or_default(),
                (listing, value(batch, "status", row)),
            );
        }
    }
    tables.groups =
        batches[GROUPS.name].iter().flat_map(|batch| column(batch, "group_id")).flatten().collect();
    tables.memberships = pairs(&batches[MEMBERSHIPS.name], "group_id", "user_id");
    tables.aliases = pairs(&batches[EMAIL_ALIASES.name], "user_id", "alias_id");
    let mut ids = Vec::new();
    for batch in &event_batches {
        for row in 0..batch.num_rows() {
            let at = time(batch, "created_at", row);
            let event_type = value(batch, "event_type", row).unwrap_or_default();
            let is_login = event_type == event_types::LOGIN;
            ids.push((value(batch, "event_id", row).unwrap_or_default(), at, event_type));
            if let (true, Some(user)) = (is_login, value(batch, "user_id", row)) {
                tables.logins.insert((user, at));
            }
        }
    }
    for row in (0..coverage.num_rows())
        .filter(|row| value(&coverage, "event_type", *row).as_deref() == Some("LOGIN"))
    {
        tables
            .coverage
            .push((time(&coverage, "covered_from_at", row), time(&coverage, "covered_to_at", row)));
    }
    Ok(Read { tables, events: ids, batches })
}

fn all<S: Stage>(batches: &mut Batches<'_, S>) -> Result<Vec<RecordBatch>, String> {
    batches.by_ref().collect::<Result<_, _>>().map_err(|e: Error| e.to_string())
}

fn value(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(name).expect("a column of the table").as_string::<i32>();
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}

fn column(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    (0..batch.num_rows()).map(|row| value(batch, name, row)).collect()
}

fn pairs(batches: &[RecordBatch], first: &str, second: &str) -> BTreeSet<(String, String)> {
    let of = |batch: &RecordBatch| -> Vec<(String, String)> {
        let firsts = column(batch, first).into_iter().flatten();
        firsts.zip(column(batch, second).into_iter().flatten()).collect()
    };
    batches.iter().flat_map(of).collect()
}

fn time(batch: &RecordBatch, name: &str, row: usize) -> DateTime<Utc> {
    let column = batch.column_by_name(name).expect("a column of the table");
    let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
    DateTime::from_timestamp_micros(micros).expect("a time")
}

/// The first run's tables, in memory.
struct MemoryBase {
    night: BaseRun,
    batches: HashMap<&'static str, Vec<RecordBatch>>,
}

impl MemoryBase {
    fn of(batches: HashMap<&'static str, Vec<RecordBatch>>) -> Self {
        let mut night = BaseRun::default();
        batches[USERS.name].iter().for_each(|batch| night.take_users(batch));
        batches[GROUPS.name].iter().for_each(|batch| night.take_groups(batch));
        batches[MEMBERSHIPS.name].iter().for_each(|batch| night.take_memberships(batch));
        Self { night, batches }
    }
}

impl Base for MemoryBase {
    fn night(&self) -> &BaseRun {
        &self.night
    }

    fn rows(&self, table: &'static Table) -> Result<BaseRows<'_>, BaseError> {
        Ok(Box::new(self.batches[table.name].iter().cloned().map(Ok)))
    }
}
