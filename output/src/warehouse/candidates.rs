//! The reclamation policy's part of a night: whose seat it would take back. `jobs` has the policy, this room has the rows, and the
//! judging happens between the two, while the file is built.
//!
//! A policy decides nothing about the night itself, so one that cannot be used costs no night: the file has no candidates then,
//! `seat_usage_daily.reclaimable_count` is NULL, and the check `policy_usable` says why.

use std::fmt;

use arrow::array::RecordBatch;
use boxseat_schemas::table::{RECLAIM_CANDIDATES, Rows};
use duckdb::{Connection, params};

use super::load::Loader;
use crate::{Error, Result};

/// Who knows the policy.
pub trait Candidates: fmt::Debug {
    /// The policy's digest; `None` when it cannot be read.
    fn policy_digest(&self) -> Option<String>;

    /// Judges everybody of the night that is being built.
    ///
    /// # Errors
    /// A sentence, when nobody may be judged.
    fn judge(&self, night: &NightRows<'_>) -> std::result::Result<Vec<Candidate>, String>;
}

/// One row of `reclaim_candidates`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the columns of the `reclaim_candidates` table contract")]
pub struct Candidate {
    pub user_id: String,
    pub stage: &'static str,
    pub left_out_reason: Option<&'static str>,
}

/// The rows of a night: those of the file being built, by the names they have there.
pub struct NightRows<'a> {
    connection: &'a Connection,
}

impl<'a> NightRows<'a> {
    pub(super) fn of(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// What SQL answers.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Bug`] for SQL that is wrong.
    pub fn ask(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let failed = || Error::duckdb("read the night for the policy");
        let mut statement = self.connection.prepare(sql).map_err(failed())?;
        statement.execute([]).map_err(failed())?;
        // Step by step, because the iterator `query_arrow` gives panics where a step fails.
        let step = || statement.step().map_err(failed()).transpose();
        std::iter::from_fn(step).map(|rows| Ok(RecordBatch::from(rows?))).collect()
    }
}

impl Loader<'_> {
    /// Fills `reclaim_candidates`, and beside the file what `seat_usage_daily` and the check read: which policy it was, and why it
    /// was of no use.
    pub(super) fn candidates(&self) -> Result<()> {
        let failed = || Error::duckdb("fill reclaim_candidates");
        self.connection
            .execute_batch(
                "CREATE OR REPLACE TEMP TABLE reclaim_policy (policy_digest VARCHAR, refusal VARCHAR);",
            )
            .map_err(failed())?;
        let Some(policy) = self.build.candidates else { return Ok(()) };
        let refusal = match policy.judge(&NightRows::of(self.connection)) {
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
