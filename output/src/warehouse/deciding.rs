//! Digest of the rows that decide about accounts. It is computed during the build.
//!
//! A program of the same user can change the new file before its digest is recorded, or can give DuckDB a write-ahead log after the file
//! was compared. Therefore the rows that a reader receives are also compared with the rows of the build.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use boxseat_storage::digest::FileDigest;
use duckdb::Connection;
use sha2::{Digest as _, Sha256};

use super::SnapshotRows;
use crate::{Error, Result};

/// Queries whose rows decide about accounts.
#[derive(Debug)]
pub struct Deciding {
    /// The name of the digest in the lake's record. Another version may have other queries.
    pub name: String,
    /// SQL, in the order in which a reader runs it.
    pub queries: Vec<&'static str>,
}

impl Deciding {
    /// Derives the name from the queries.
    pub fn new(queries: Vec<&'static str>) -> Self {
        let digest = FileDigest::of(queries.join("\n").as_bytes());
        Self { name: digest.sha256, queries }
    }

    /// Runs the queries on the file that is being built.
    pub(super) fn digest(&self, connection: &Connection) -> Result<(String, FileDigest)> {
        let mut digest = RowsDigest::default();
        for sql in &self.queries {
            let rows = SnapshotRows::of(connection).ask(sql)?;
            digest.take(&rows).map_err(|e| Error::Bug(format!("rows have no digest: {e}")))?;
        }
        Ok((self.name.clone(), digest.finish()))
    }
}

/// Digest of the rows of several queries, in the order in which the queries are run. The order of rows within a query does not matter.
#[derive(Default)]
pub struct RowsDigest {
    hash: Sha256,
    bytes: u64,
}

impl RowsDigest {
    /// Adds all rows of the next query.
    ///
    /// # Errors
    /// A column of a type that has no order.
    pub fn take(&mut self, rows: &[RecordBatch]) -> Result<(), ArrowError> {
        let mut hashes: Vec<[u8; 32]> = Vec::new();
        for batch in rows {
            let fields = batch.schema_ref().fields();
            let fields = fields.iter().map(|field| SortField::new(field.data_type().clone())).collect();
            let converted = RowConverter::new(fields)?.convert_columns(batch.columns())?;
            for row in &converted {
                self.bytes += row.as_ref().len() as u64;
                hashes.push(Sha256::digest(row.as_ref()).into());
            }
        }
        hashes.sort_unstable();
        self.hash.update((hashes.len() as u64).to_le_bytes());
        hashes.iter().for_each(|hash| self.hash.update(hash));
        Ok(())
    }

    /// The digest of all queries.
    pub fn finish(self) -> FileDigest {
        FileDigest::new(self.bytes, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(ids: &[&str], days: &[Option<i64>]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
        let days: ArrayRef = Arc::new(Int64Array::from(days.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("user_id", ids, false), ("days", days, true)]).unwrap()
    }

    fn of(queries: &[&[RecordBatch]]) -> FileDigest {
        let mut digest = RowsDigest::default();
        queries.iter().for_each(|rows| digest.take(rows).unwrap());
        digest.finish()
    }

    #[test]
    fn digest_depends_on_every_value_and_not_on_row_order() {
        let one = batch(&["1", "2"], &[Some(3), None]);
        let same = of(&[std::slice::from_ref(&one)]);
        assert_eq!(of(&[&[batch(&["2", "1"], &[None, Some(3)])]]), same);
        assert_eq!(of(&[&[batch(&["1"], &[Some(3)]), batch(&["2"], &[None])]]), same, "batches may differ");
        for other in [
            batch(&["1", "2"], &[Some(211), None]),
            batch(&["1", "2"], &[Some(3), Some(0)]),
            batch(&["1", "2", "2"], &[Some(3), None, None]),
            batch(&["1"], &[Some(3)]),
        ] {
            assert_ne!(of(&[&[other]]), same);
        }
        assert_ne!(of(&[std::slice::from_ref(&one), &[]]), same);
        assert_ne!(of(&[&[], &[one]]), same);
    }
}
