//! `[privacy] login_events`: of sign-ins older than five weeks, keeps only the newest of each user and day, or of each user.
//!
//! Five weeks, because the sign-ins of the weeks before a run show which days have too few events, and such days are not covered. The
//! newest sign-in of a user is always kept, so the proven idle time does not change. Counts over the thinned time become unknown
//! (`accounts.logins_90d`). Whole months are thinned, so that a file is rewritten once a month. The rows of the latest run are not
//! changed, because `verify` counts them.

use std::collections::{HashMap, HashSet};

use boxseat_output::lake::{Lake, Thinning};
use boxseat_pipeline::ids::fingerprint;
use boxseat_pipeline::privacy::LoginEvents;
use boxseat_schemas::RunNumber;
use boxseat_schemas::event_types::LOGIN;
use boxseat_schemas::run::{SyncRun, current};
use boxseat_schemas::table::EVENTS;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::expire::kept;
use crate::error::CommandError;

/// Returns the number of replaced files.
pub(super) fn thin_logins(
    lake: &Lake,
    wanted: LoginEvents,
    runs: &[SyncRun],
    latest: &SyncRun,
) -> Result<u64, CommandError> {
    let thinning = match wanted {
        LoginEvents::Keep => return Ok(0),
        LoginEvents::Daily => Thinning::Daily,
        LoginEvents::LastOnly => Thinning::LastOnly,
    };
    let day = (latest.window_to_at - UNTHINNED).date_naive();
    let before = day.with_day(1).expect("every month has a first day");
    if lake.logins_thinned_to(thinning)?.is_some_and(|thinned| thinned >= before) {
        return Ok(0);
    }
    let current: Vec<RunNumber> = current(runs).iter().map(|run| run.run_number).collect();
    let mut newest: HashMap<(u128, Option<NaiveDate>), (i64, u128)> = HashMap::new();
    for rows in lake.scan(&EVENTS, &current, None)? {
        for login in logins(&rows?) {
            let this = (login.at, login.id);
            let known = newest.entry(login.key(thinning)).or_insert(this);
            *known = this.max(*known);
        }
    }
    let before_us = before.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
    let thinned: HashSet<i64> =
        current.iter().filter(|run| **run != latest.run_number).map(|run| run.as_i64()).collect();
    Ok(lake.thin_logins(thinning, before, &|rows| {
        let mut stays = vec![true; rows.num_rows()];
        for login in logins(rows).filter(|login| login.at < before_us && thinned.contains(&login.run)) {
            stays[login.row] = newest.get(&login.key(thinning)) == Some(&(login.at, login.id));
        }
        kept(rows, stays.into_iter())
    })?)
}

/// A sign-in with a user.
struct Login {
    row: usize,
    run: i64,
    user: u128,
    at: i64,
    id: u128,
}

impl Login {
    fn key(&self, thinning: Thinning) -> (u128, Option<NaiveDate>) {
        let day = DateTime::from_timestamp_micros(self.at).map(|at| at.date_naive());
        (self.user, day.filter(|_| thinning == Thinning::Daily))
    }
}

fn logins(rows: &RecordBatch) -> impl Iterator<Item = Login> {
    let column = |name| rows.column_by_name(name).expect("a column of the contract");
    let text = |name| column(name).as_string::<i32>();
    let (ids, types, users) = (text("event_id"), text("event_type"), text("user_id"));
    let times = column("created_at").as_primitive::<TimestampMicrosecondType>();
    let runs = column("run_number").as_primitive::<Int64Type>();
    (0..rows.num_rows()).filter(|row| types.value(*row) == LOGIN && users.is_valid(*row)).map(|row| Login {
        row,
        run: runs.value(row),
        user: fingerprint(users.value(row)),
        at: times.value(row),
        id: fingerprint(ids.value(row)),
    })
}

/// The four weeks whose days are compared, the overlap of two runs, and a margin.
const UNTHINNED: TimeDelta = TimeDelta::days(35);
