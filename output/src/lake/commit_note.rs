//! The record's data about a Delta commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The description of a commit of a table, for users who read the record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommitNote {
    /// The transaction version of each Delta app id. The version of `boxseat` is the run's number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    transactions: BTreeMap<String, i64>,
    rows_added: u64,
    bytes_added: u64,
    files_added: u64,
    files_removed: u64,
}

impl CommitNote {
    /// Reads the text of a Delta commit. A line that does not follow the protocol is skipped here; readers of the table reject it.
    pub(super) fn of(commit: &[u8]) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Action {
            add: Option<Add>,
            remove: Option<serde::de::IgnoredAny>,
            txn: Option<Transaction>,
        }
        #[derive(Deserialize)]
        struct Add {
            #[serde(default)]
            size: u64,
            stats: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Transaction {
            app_id: String,
            version: i64,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Statistics {
            num_records: u64,
        }
        let mut note = Self::default();
        let actions = commit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for action in actions.filter_map(|line| serde_json::from_slice::<Action>(line).ok()) {
            if let Some(add) = action.add {
                note.files_added += 1;
                note.bytes_added += add.size;
                let rows = add.stats.and_then(|stats| serde_json::from_str::<Statistics>(&stats).ok());
                note.rows_added += rows.map_or(0, |rows| rows.num_records);
            }
            note.files_removed += u64::from(action.remove.is_some());
            note.transactions.extend(action.txn.map(|txn| (txn.app_id, txn.version)));
        }
        note
    }
}

/// The version of a Delta commit, from its file's name: twenty digits.
/// <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries>
pub(super) fn commit_version(path: &str) -> Option<u64> {
    let (directory, name) = path.rsplit_once('/')?;
    let digits = name.strip_suffix(".json").filter(|digits| digits.len() == 20)?;
    directory.ends_with("_delta_log").then(|| digits.parse().ok())?
}
