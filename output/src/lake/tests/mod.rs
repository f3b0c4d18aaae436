//! The lake on a temporary directory.

mod commits;
mod exchanged;
mod flaky;
mod retention;
mod rows;
mod sealed;

use std::path::{Path, PathBuf};

use arrow::array::{AsArray as _, RecordBatch};
use boxseat_schemas::run::RunStatus;
use boxseat_schemas::table::EMAIL_ALIASES;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::testing::{rows, run};

pub(super) const DATE: &str = "2026-03-02";

pub(super) fn lake() -> (TempDir, Lake) {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    (directory, lake)
}

pub(super) fn aliases(number: u64, ids: &[&str]) -> RecordBatch {
    let objects: Vec<_> = ids.iter().map(|id| json!({ "alias_id": id, "user_id": "1" })).collect();
    rows(&EMAIL_ALIASES, &run(number, DATE, RunStatus::Complete), &objects)
}

pub(super) fn ids(lake: &Lake, table: &'static Table, runs: &[u64]) -> Vec<String> {
    let runs: Vec<RunNumber> = runs.iter().copied().map(RunNumber).collect();
    let mut ids = Vec::new();
    for batch in lake.scan(table, &runs, Some(&[table.key[0]])).unwrap() {
        ids.extend(batch.unwrap().column(0).as_string::<i32>().iter().map(|id| id.unwrap().to_owned()));
    }
    ids.sort();
    ids
}

pub(super) fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
