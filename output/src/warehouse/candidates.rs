//! The reclamation policy's part of a snapshot: the users whose seats it would reclaim. `jobs` has the policy and this crate has the rows.
//! The policy is evaluated while the file is built.
//!
//! The policy has no influence on the snapshot itself, so an unusable policy does not stop the run. The file then has no candidates,
//! `seat_usage_daily.reclaimable_count` is NULL, and the check `policy_usable` gives the reason.

use std::fmt;

use arrow::array::RecordBatch;
use boxseat_schemas::table::{RECLAIM_CANDIDATES, Rows};
use duckdb::{Connection, params};

use super::load::Loader;
use crate::{Error, Result};

/// The implementation of the policy.
pub trait Candidates: fmt::Debug {
    /// The policy's digest; `None` when it cannot be read.
    fn policy_digest(&self) -> Option<String>;

    /// Evaluates all users of the snapshot that is being built.
    ///
    /// # Errors
    /// A sentence, when the policy cannot be evaluated.
    fn evaluate(&self, snapshot: &SnapshotRows<'_>) -> std::result::Result<Vec<Candidate>, String>;
}

/// One row of `reclaim_candidates`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the columns of the `reclaim_candidates` table contract")]
pub struct Candidate {
    pub user_id: String,
    pub stage: &'static str,
    pub left_out_reason: Option<&'static str>,
}

/// The rows of a snapshot: the rows of the file that is being built, under their names in that file.
pub struct SnapshotRows<'a> {
    connection: &'a Connection,
}

impl<'a> SnapshotRows<'a> {
    pub(super) fn of(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// Returns the result of a query.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Bug`] for wrong SQL.
    pub fn ask(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let failed = || Error::duckdb("read the snapshot for the policy");
        let mut statement = self.connection.prepare(sql).map_err(failed())?;
        statement.execute([]).map_err(failed())?;
        // The steps are taken one by one, because the iterator of `query_arrow` panics when a step fails.
        let step = || statement.step().map_err(failed()).transpose();
        std::iter::from_fn(step).map(|rows| Ok(RecordBatch::from(rows?))).collect()
    }
}

impl Loader<'_> {
    /// Fills `reclaim_candidates`. It also fills the scratch table `reclaim_policy`, which `seat_usage_daily` and the check read: the
    /// policy's digest, and why the policy could not be evaluated.
    pub(super) fn candidates(&self) -> Result<()> {
        let failed = || Error::duckdb("fill reclaim_candidates");
        self.connection
            .execute_batch(
                "CREATE OR REPLACE TEMP TABLE reclaim_policy (policy_digest VARCHAR, refusal VARCHAR);",
            )
            .map_err(failed())?;
        let Some(policy) = self.build.candidates else { return Ok(()) };
        let refusal = match policy.evaluate(&SnapshotRows::of(self.connection)) {
            Ok(candidates) => {
                self.append(&RECLAIM_CANDIDATES, batch(&candidates))?;
                None
            }
            Err(sentence) => Some(sentence),
        };
        let insert = "INSERT INTO reclaim_policy VALUES (?, ?)";
        self.connection.execute(insert, params![policy.policy_digest(), refusal]).map(drop).map_err(failed())
    }
}

fn batch(candidates: &[Candidate]) -> RecordBatch {
    let mut rows = Rows::new(RECLAIM_CANDIDATES.warehouse_schema());
    for candidate in candidates {
        rows.text(Some(&candidate.user_id)).text(Some(candidate.stage)).text(candidate.left_out_reason).end();
    }
    rows.take_batch()
}
