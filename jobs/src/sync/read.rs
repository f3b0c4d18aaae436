//! From the reservation to the seal.

use boxseat_pipeline::client::BoxReader;
use boxseat_pipeline::extract::{ExtractSettings, Meter, Plan, Walks, extract};
use boxseat_pipeline::guard::{self, Refusal, Sizes};
use boxseat_pipeline::spool::SpoolWriter;
use boxseat_pipeline::{Clock, Error, ErrorKind};
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::Frame;
use boxseat_schemas::table::RUN_ROWS;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::failpoint::reach;
use crate::config::Settings;
use crate::error::CommandError;
use crate::store::Store;

/// What a run reads.
pub(super) fn plan(reservation: &Reservation, bound_enterprise: Option<&str>) -> Plan {
    Plan {
        slices: reservation.slices(),
        event_types: reservation.event_types.clone(),
        bound_enterprise: bound_enterprise.map(str::to_owned),
    }
}

/// The run's spool: new, or replayed into the walks when an earlier start had begun it.
pub(super) fn open_spool(
    store: &Store,
    reservation: &Reservation,
    walks: &mut Walks,
    meter: &Meter,
    now: DateTime<Utc>,
) -> Result<SpoolWriter, CommandError> {
    let (dir, number) = (store.spool(reservation.run_number), reservation.run_number.0);
    if !dir.pages().exists() {
        return Ok(SpoolWriter::create(dir, number)?);
    }
    let mut pages = 0u64;
    let spool = SpoolWriter::resume(dir, number, |frame, body| {
        walks.replay(frame, body)?;
        if let Frame::Page { request, .. } = frame {
            pages += 1;
            meter.count(request, 0, walks);
        }
        Ok(())
    })?;
    walks.forget_old_markers(now);
    tracing::info!(run = number, pages, "going on where the run was interrupted");
    Ok(spool)
}

/// Reads what is missing, applies the guards, seals.
#[expect(clippy::too_many_arguments, reason = "the parts of one run, each used once")]
pub(super) async fn read(
    store: &mut Store,
    settings: &Settings,
    reservation: &Reservation,
    reader: &BoxReader,
    spool: SpoolWriter,
    walks: &mut Walks,
    meter: &Meter,
    stop: &CancellationToken,
    clock: &Clock,
) -> Result<(), CommandError> {
    let how =
        ExtractSettings { concurrency: settings.concurrency, check_clock: settings.rehearsed_now.is_none() };
    let extracted = extract(reader, &spool, walks, &how, meter, stop).await;
    if let Some(caller) = walks.caller() {
        store.bind(&caller.enterprise_id)?;
    }
    let guarded = match extracted {
        Ok(()) => {
            shrink(store, reservation, walks.sizes(), settings.shrink_guard_percent)?.map_err(Error::from)
        }
        Err(e) => Err(e),
    };
    if let Err(error) = guarded {
        match &error {
            Error::Guard(refusal) => spool.refuse(refusal)?,
            // Nothing can be continued from a listing that went wrong: the next start reads anew.
            e if e.kind() == ErrorKind::Refused => spool.refuse_walk(&e.to_string())?,
            _ => {}
        }
        return Err(error.into());
    }
    reach("read");
    tokio::task::block_in_place(|| spool.seal(clock()))?;
    Ok(())
}

/// Seals a run that only the shrink guards had refused, when `percent` covers what is gone.
pub(super) fn accept_shrink(
    store: &Store,
    reservation: &Reservation,
    percent: f64,
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    let mut walks = Walks::new(plan(reservation, store.enterprise_id()));
    let dir = store.spool(reservation.run_number);
    let spool = SpoolWriter::resume(dir, reservation.run_number.0, |frame, body| walks.replay(frame, body))?;
    walks.check_complete()?;
    shrink(store, reservation, walks.sizes(), percent)?
        .map_err(|refusal| CommandError::from(Error::from(refusal)))?;
    spool.seal(now)?;
    Ok(())
}

fn shrink(
    store: &Store,
    reservation: &Reservation,
    now: Sizes,
    percent: f64,
) -> Result<Result<(), Refusal>, CommandError> {
    let Some(base) = reservation.base_run_number else { return Ok(Ok(())) };
    Ok(guard::shrink(sizes_of(store, base)?, now, percent))
}

/// What the base run's night holds, from its own account.
fn sizes_of(store: &Store, run: RunNumber) -> Result<Sizes, CommandError> {
    let mut sizes = Sizes::default();
    for batch in store.lake().scan(&RUN_ROWS, &[run], Some(&["table_name", "rows_in_lake"]))? {
        let batch = batch?;
        let (tables, rows) =
            (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        for (table, rows) in tables.iter().zip(rows.iter()) {
            let rows = u64::try_from(rows.unwrap_or(0)).unwrap_or(0);
            match table {
                Some("users") => sizes.users = rows,
                Some("groups") => sizes.groups = rows,
                Some("memberships") => sizes.memberships = rows,
                _ => {}
            }
        }
    }
    Ok(sizes)
}
