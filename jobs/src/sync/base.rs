//! The snapshot of the base run, read from the lake. A run carries its rows forward.

use boxseat_output::lake::Lake;
use boxseat_pipeline::normalise::{Base, BaseError, BaseRows};
use boxseat_pipeline::plan::{BaseRun, GROUP_COLUMNS, MEMBERSHIP_COLUMNS, USER_COLUMNS};
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::Reservation;
use boxseat_schemas::table::{GROUPS, MEMBERSHIPS, Table, USERS};

use crate::error::CommandError;
use crate::store::Store;

/// The base snapshot in the lake.
pub(crate) struct LakeBase {
    lake: Lake,
    run: RunNumber,
    snapshot: BaseRun,
}

impl LakeBase {
    /// Reads the read times of the base snapshot; `None` for a run without a base.
    pub(crate) fn of(store: &Store, reservation: &Reservation) -> Result<Option<Self>, CommandError> {
        let Some(run) = reservation.base_run_number else { return Ok(None) };
        let mut snapshot = BaseRun::default();
        let lake = store.lake().clone();
        for batch in lake.scan(&USERS, &[run], Some(USER_COLUMNS))? {
            snapshot.take_users(&batch?);
        }
        for batch in lake.scan(&GROUPS, &[run], Some(GROUP_COLUMNS))? {
            snapshot.take_groups(&batch?);
        }
        for batch in lake.scan(&MEMBERSHIPS, &[run], Some(MEMBERSHIP_COLUMNS))? {
            snapshot.take_memberships(&batch?);
        }
        if snapshot.has_capped_groups() {
            for batch in lake.scan(&MEMBERSHIPS, &[run], Some(MEMBERSHIP_COLUMNS))? {
                snapshot.take_capped(&batch?);
            }
        }
        Ok(Some(Self { lake, run, snapshot }))
    }

    /// The read times of users, groups and memberships.
    pub(crate) fn times(&self) -> &BaseRun {
        &self.snapshot
    }

    /// The base as the normaliser needs it.
    pub(crate) fn as_base(base: &Option<Self>) -> Option<&dyn Base> {
        base.as_ref().map(|base| base as &dyn Base)
    }
}

impl Base for LakeBase {
    fn night(&self) -> &BaseRun {
        &self.snapshot
    }

    fn rows(&self, table: &'static Table) -> Result<BaseRows<'_>, BaseError> {
        let batches = self.lake.scan(table, &[self.run], None)?;
        Ok(Box::new(batches.map(|batch| batch.map_err(BaseError::from))))
    }
}
