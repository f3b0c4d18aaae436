//! From the reservation to the seal.

use boxseat_pipeline::client::BoxReader;
use boxseat_pipeline::extract::{ExtractSettings, Meter, Plan, Walks, extract};
use boxseat_pipeline::guard::{self, Refusal, Sizes};
use boxseat_pipeline::normalise::Normaliser;
use boxseat_pipeline::spool::{SpoolDir, SpoolWriter};
use boxseat_pipeline::{Clock, Error};
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::{FILE_HEADER_LEN, Frame};
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
    let begun = std::fs::metadata(dir.pages()).is_ok_and(|file| file.len() >= FILE_HEADER_LEN as u64);
    if !begun {
        // A full disk or a kill may leave a file that is not even a header: nothing was read yet.
        let _ = std::fs::remove_file(dir.pages());
        return Ok(SpoolWriter::create(dir, number)?);
    }
    let mut pages = 0u64;
    let replayed = SpoolWriter::resume(dir.clone(), number, |frame, body| {
        walks.replay(frame, body)?;
        if let Frame::Page { request, .. } = frame {
            pages += 1;
            meter.count(request, 0, walks);
        }
        Ok(())
    });
    let spool = replayed.map_err(|e| refuse(&dir, e))?;
    walks.forget_old_markers(now);
    tracing::info!(run = number, pages, "going on where the run was interrupted");
    Ok(spool)
}

/// Marks a spool that nothing can be continued from, so that the next start reads anew.
fn refuse(dir: &SpoolDir, error: Error) -> CommandError {
    let marked = match &error {
        Error::Guard(_) | Error::IncompleteWalk { .. } | Error::Page { .. } => dir.refuse(&error.to_string()),
        _ => Ok(()),
    };
    marked.map_or_else(CommandError::from, |()| CommandError::from(error))
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
    shrink_percent: f64,
) -> Result<(), CommandError> {
    let how =
        ExtractSettings { concurrency: settings.concurrency, check_clock: settings.rehearsed_now.is_none() };
    let extracted = extract(reader, &spool, walks, &how, meter, stop).await;
    if let Some(caller) = walks.caller() {
        store.bind(&caller.enterprise_id)?;
    }
    let dir = store.spool(reservation.run_number);
    match extracted {
        Ok(()) => {}
        Err(Error::Guard(refusal)) => {
            if refusal.is_about_the_run() {
                spool.refuse(&refusal)?;
            }
            return Err(Error::Guard(refusal).into());
        }
        Err(e) => return Err(refuse(&dir, e)),
    }
    tokio::task::block_in_place(|| {
        if let Err(refusal) = shrink(store, settings, reservation, shrink_percent)? {
            spool.refuse(&refusal)?;
            return Err(Error::Guard(refusal).into());
        }
        reach("read");
        spool.seal(clock())?;
        Ok(())
    })
}

/// Seals a run that only the shrink guards had refused, when `percent` covers what is gone.
pub(super) fn accept_shrink(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    percent: f64,
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    let mut walks = Walks::new(plan(reservation, store.enterprise_id()));
    let dir = store.spool(reservation.run_number);
    let spool = SpoolWriter::resume(dir, reservation.run_number.0, |frame, body| walks.replay(frame, body))?;
    walks.check_complete()?;
    shrink(store, settings, reservation, percent)?
        .map_err(|refusal| CommandError::from(Error::from(refusal)))?;
    spool.seal(now)?;
    Ok(())
}

/// The shrink guard, over the rows the night would have: what Box listed and nobody could read has shrunk it too.
fn shrink(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    percent: f64,
) -> Result<Result<(), Refusal>, CommandError> {
    let Some(base) = reservation.base_run_number else { return Ok(Ok(())) };
    let number = reservation.run_number;
    let enterprise_id = store.enterprise_id().unwrap_or_default();
    let mut night =
        Normaliser::open(&store.spool(number), number, reservation, enterprise_id, settings.privacy)?;
    let now = Sizes {
        users: night.users()?.exhaust()?.rows(),
        groups: night.groups()?.exhaust()?.rows(),
        memberships: night.memberships()?.exhaust()?.rows(),
    };
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
