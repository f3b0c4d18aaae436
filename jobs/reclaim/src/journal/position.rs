//! R11: the position of the admin log's live stream before a snapshot's first listing.
//!
//! `sync` requests it (one call per run) and stores it under `<store>/state/positions/<run>.json`. `apply` reads the stream from
//! there, so no event during or after the run is missed. A snapshot without a position is complete in all other respects; only no
//! seat is reclaimed from it.

use std::path::{Path, PathBuf};

use boxseat_pipeline::client::BoxReader;
use boxseat_pipeline::{Error as BoxError, ErrorKind};
use boxseat_schemas::RunNumber;
use boxseat_schemas::box_api::Page;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A position in the live stream, and the time at which it was "now".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamMark {
    /// As Box sent it.
    pub position: String,
    /// Just before the request, by the data clock.
    pub asked_at: DateTime<Utc>,
}

impl StreamMark {
    /// Requests the stream position from Box and stores it for the run, unless an earlier start of the run has done so.
    ///
    /// # Errors
    /// Only failures that end the run anyway: credentials, the connection to Box, the disk, an interruption. Any other failure is
    /// logged, and the run continues.
    pub async fn keep(
        root: &Path,
        run: RunNumber,
        reader: &BoxReader,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let path = path(root, run);
        if path.exists() {
            return Ok(());
        }
        match reader.stream("now", &[]).await {
            Ok(body) => {
                let next = Page::parse(&body).ok().and_then(|page| page.next_stream_position);
                match next.filter(|position| !position.is_zero()) {
                    Some(position) => {
                        let mark = Self { position: position.as_str().to_owned(), asked_at: now };
                        mark.write(&path)?;
                    }
                    None => without("Box's response has no position"),
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::Disk) => return Err(e.into()),
            Err(e @ (BoxError::SignIn { .. } | BoxError::Connection { .. })) => return Err(e.into()),
            Err(e) => without(&e.to_string()),
        }
        Ok(())
    }

    /// The stored position of a run; `None`: there is none.
    ///
    /// # Errors
    /// `Failed` for an existing file that cannot be read.
    pub fn of(root: &Path, run: RunNumber) -> Result<Option<Self>, Error> {
        let path = path(root, run);
        let cannot = || format!("cannot read {}", path.display());
        match durable::read_regular_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::failed(cannot(), e)),
            Ok(bytes) => Ok(Some(json::parse(&bytes).map_err(|e| Error::failed(cannot(), e))?)),
        }
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let access = Access::from(0o600);
        if let Some(directory) = path.parent() {
            durable::create_directory(directory, &Access::from(0o600))?;
            forget_old(directory);
        }
        let bytes = serde_json::to_vec_pretty(self).expect("plain data");
        Ok(durable::write_file(path, &bytes, &access)?)
    }
}

fn without(reason: &str) {
    tracing::warn!(
        "the live stream of the admin log has no position ({reason}): no seat can be reclaimed with this snapshot"
    );
}

fn path(root: &Path, run: RunNumber) -> PathBuf {
    root.join(format!("state/positions/{run}.json"))
}

/// Box drops a position after two weeks, and no plan is applied to a snapshot of a month ago. A failure does no harm.
fn forget_old(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let mut kept: Vec<(u64, PathBuf)> =
        entries.flatten().filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect();
    kept.sort_unstable();
    for (_, path) in kept.iter().rev().skip(KEPT) {
        let _ = std::fs::remove_file(path);
    }
}

const KEPT: usize = 60;
