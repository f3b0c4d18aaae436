//! One rate for two processes: `sync` and an acting command of `reclaim` may run at the same time (R17).

use std::path::{Path, PathBuf};
use std::time::Duration;

use boxseat_pipeline::client::BoxReader;
use boxseat_storage::lock::is_held;

use boxseat_reclaim::journal::directory;

/// Halves a reader's rate while another process holds a lock; ends when dropped.
pub(crate) struct SharedPace {
    watching: tokio::task::JoinHandle<()>,
}

impl SharedPace {
    /// Watches the lock of the other process.
    pub(crate) fn for_reader(reader: BoxReader, other: PathBuf) -> Self {
        let watching = tokio::spawn(async move {
            let mut tick = tokio::time::interval(WATCH_EVERY);
            loop {
                tick.tick().await;
                reader.halve_pace(is_held(&other));
            }
        });
        Self { watching }
    }

    /// The lock of reclamation, for `sync`.
    pub(crate) fn lock_of_reclaim(root: &Path) -> PathBuf {
        directory(root).join("lock")
    }
}

impl Drop for SharedPace {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// The limit is per minute, so a few seconds of both at full rate do no harm.
const WATCH_EVERY: Duration = Duration::from_secs(5);
