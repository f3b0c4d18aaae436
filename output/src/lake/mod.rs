//! The lake: every snapshot and every event as Parquet in Delta tables, and the runs that wrote them.
//!
//! Readers use only rows of [current](boxseat_schemas::run::current) runs, so a commit of a run is not visible by itself. A run becomes
//! current with its row in `sync_runs`, which is committed last.

mod active;
mod commit;
mod commit_note;
mod copying;
mod files;
mod integrity;
mod opened;
mod rebuild;
mod record;
mod retention;
mod rewrite;
mod scan;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod unneeded;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{RESERVATION_FORMAT, Reservation, SyncRun};
use boxseat_schemas::table::{SYNC_RUNS, Table};
use boxseat_storage::durable::{self, Access, Ownership};
use boxseat_storage::json::{self, InvalidJson};
use delta_kernel::{Engine, Snapshot, SnapshotRef};
use delta_kernel_default_engine::executor::TaskExecutor as _;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use futures::TryStreamExt as _;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode};
use url::Url;

pub use commit::Committed;
pub use rebuild::move_aside;
pub use record::{Altered, NOT_ON_RECORD, RecordHead, RecordSnapshot, RecordedFile, Seals};
pub use retention::FILES_PER_MERGE;
pub use rewrite::Thinning;
pub use scan::Batches;
pub use unneeded::{Unneeded, UnneededKind};

use crate::{Error, Result};
use opened::Opened;
use record::Record;
pub(crate) use record::{RECORD, RecordError};
use store::DurableStore;

/// An open lake. Clones refer to the same lake. Every call blocks, so async callers use `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// [`ROOT`]; each table is a directory below.
    root: Url,
    /// The lake's directory on disk.
    directory: PathBuf,
    /// For the directories of new tables.
    ownership: Ownership,
    store: Arc<dyn ObjectStore>,
    engine: Arc<DefaultEngine<TokioMultiThreadExecutor>>,
    executor: Arc<TokioMultiThreadExecutor>,
    record: Arc<Record>,
    opened: Opened,
    /// Last field: dropped after everything that runs on it.
    _runtime: Runtime,
}

impl Lake {
    /// Opens the lake in a local directory, `<store>/lake`. Creates the directory if it is missing.
    ///
    /// New files get `access`, such as `0o640` or an [`Access`] with a group.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when the directory cannot be created, [`crate::ErrorKind::Input`] for an unknown group.
    pub fn open(directory: &Path, access: impl Into<Access>) -> Result<Self> {
        Self::open_with(directory, access, None)
    }

    /// Opens the lake as [`Lake::open`] does. New lines of its record are sealed, and a record without a valid seal is refused.
    ///
    /// # Errors
    /// As [`Lake::open`]; [`crate::ErrorKind::Altered`] for a record without a valid seal.
    pub fn open_sealed(directory: &Path, access: impl Into<Access>, seals: Arc<dyn Seals>) -> Result<Self> {
        Self::open_with(directory, access, Some(seals))
    }

    fn open_with(directory: &Path, access: impl Into<Access>, seals: Option<Arc<dyn Seals>>) -> Result<Self> {
        let ownership = access.into().resolve()?;
        durable::create_directories(directory, ownership).map_err(Error::io("create", directory))?;
        let directory = directory.canonicalize().map_err(Error::io("open", directory))?;
        let runtime = Runtime::start().map_err(Error::io("start threads for", &directory))?;
        let record = Record::open(&directory, ownership, seals).map_err(|e| Error::record(&directory, e))?;
        let record = Arc::new(record);
        let store = DurableStore::below(&directory, ownership, Arc::clone(&record))
            .map_err(Error::store("open", directory.display()))?;
        Self::on(Arc::new(store), directory, ownership, record, runtime)
    }

    /// Opens a lake without its record, because the record cannot be read. Only for moving the lake away, not for reading rows.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub fn open_unrecorded(directory: &Path, access: impl Into<Access>) -> Result<Self> {
        let ownership = access.into().resolve()?;
        let runtime = Runtime::start().map_err(Error::io("start threads for", directory))?;
        let record = Arc::new(Record::none(directory, ownership));
        let store = DurableStore::below(directory, ownership, Arc::clone(&record))
            .map_err(Error::store("open", directory.display()))?;
        Self::on(Arc::new(store), directory.to_owned(), ownership, record, runtime)
    }

    /// A lake on a store whose puts are durable when they return. `directory` is the location of the store's root on disk.
    fn on(
        store: Arc<dyn ObjectStore>,
        directory: PathBuf,
        ownership: Ownership,
        record: Arc<Record>,
        runtime: Runtime,
    ) -> Result<Self> {
        let root = Url::parse(ROOT).map_err(|e| Error::Bug(format!("{ROOT} is not a URL: {e}")))?;
        let executor = Arc::new(TokioMultiThreadExecutor::new(runtime.handle()));
        let engine = DefaultEngineBuilder::new(Arc::clone(&store))
            .with_task_executor(Arc::clone(&executor))
            .with_batch_size(ROWS_PER_BATCH)
            .build();
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                directory,
                ownership,
                store,
                engine: Arc::new(engine),
                executor,
                record,
                opened: Opened::default(),
                _runtime: runtime,
            }),
        })
    }

    /// Reserves the run's number by creating `_runs/<number>.json`, which then never changes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Taken`] when the number is already reserved.
    pub fn reserve(&self, reservation: &Reservation) -> Result<()> {
        let path = self.inner.path(&format!("{RUNS}/{}.json", reservation.run_number))?;
        let text = serde_json::to_vec_pretty(reservation)
            .map_err(|e| Error::Bug(format!("a reservation is not JSON: {e}")))?;
        let store = Arc::clone(&self.inner.store);
        let put = self.inner.wait({
            let path = path.clone();
            async move { store.put_opts(&path, text.into(), PutMode::Create.into()).await }
        });
        match put {
            Err(object_store::Error::AlreadyExists { .. }) => Err(Error::Taken(reservation.run_number)),
            other => other.map(drop).map_err(Error::store("write", path)),
        }
    }

    /// Every reservation, by number.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Newer`] for another format, [`crate::ErrorKind::Corrupt`] for any other file that cannot be read.
    pub fn reservations(&self) -> Result<Vec<Reservation>> {
        let directory = self.inner.path(RUNS)?;
        let store = Arc::clone(&self.inner.store);
        let files: Vec<(StorePath, Vec<u8>)> = self
            .inner
            .wait(async move {
                let mut files = Vec::new();
                let mut listing = store.list(Some(&directory));
                while let Some(meta) = listing.try_next().await? {
                    if meta.location.extension() == Some("json") {
                        let bytes = store.get(&meta.location).await?.bytes().await?;
                        files.push((meta.location, bytes.to_vec()));
                    }
                }
                Ok(files)
            })
            .map_err(Error::store("read", RUNS))?;
        let names: Vec<&str> = files.iter().filter_map(|(path, _)| path.filename()).collect();
        self.inner.refuse_missing_reservations(&names)?;
        let mut found =
            files.iter().map(|(path, text)| self.read_reservation(path, text)).collect::<Result<Vec<_>>>()?;
        found.sort_by_key(|reservation| reservation.run_number);
        // The newest reservation contains the head of the record at the start of its run.
        if let Some(head) = found.last().and_then(|newest| newest.record.as_ref()) {
            self.reaches(head)?;
        }
        Ok(found)
    }

    /// Every row of `sync_runs`, by number; none when no run has ended yet.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when a row has a value that this version does not know.
    pub fn sync_runs(&self) -> Result<Vec<SyncRun>> {
        let Some(snapshot) = self.inner.snapshot(&SYNC_RUNS)? else { return Ok(Vec::new()) };
        if let Some(runs) = self.inner.opened.runs(&snapshot) {
            return Ok(runs);
        }
        let mut runs = Vec::new();
        for batch in self.scan_snapshot(&SYNC_RUNS, &snapshot)? {
            let rows = SyncRun::from_batch(&batch?);
            runs.extend(rows.map_err(|reason| Error::Corrupt {
                what: "the lake's table sync_runs".to_owned(),
                reason,
            })?);
        }
        runs.sort_by_key(|run| run.run_number);
        self.inner.opened.keep_runs(snapshot, &runs);
        Ok(runs)
    }

    fn read_reservation(&self, path: &StorePath, text: &[u8]) -> Result<Reservation> {
        let what = || format!("the run record {}", self.inner.directory.join(path.as_ref()).display());
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
        }
        let corrupt = |e: InvalidJson| Error::Corrupt { what: what(), reason: e.to_string() };
        let Format { format } = json::parse(text).map_err(corrupt)?;
        if format != RESERVATION_FORMAT {
            return Err(Error::Newer { what: what(), found: format, known: RESERVATION_FORMAT });
        }
        let reservation: Reservation = json::parse(text).map_err(corrupt)?;
        reservation.check().map_err(|reason| Error::Corrupt { what: what(), reason })?;
        let named = path
            .filename()
            .and_then(|name| name.strip_suffix(".json"))
            .and_then(|number| number.parse().ok());
        if named != Some(reservation.run_number.0) {
            let reason = format!("it has run {}", reservation.run_number);
            return Err(Error::Corrupt { what: what(), reason });
        }
        Ok(reservation)
    }
}

impl Inner {
    /// Runs a future of the store on the lake's own threads.
    fn wait<F>(&self, work: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.executor.block_on(work)
    }

    fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    /// The location in the store of a path below the lake's root.
    fn path(&self, below: &str) -> Result<StorePath> {
        let url = self.root.join(below).map_err(|e| Error::Bug(format!("{below:?} is not a path: {e}")))?;
        store_path(&url)
    }

    fn table_root(&self, table: &Table) -> Result<Url> {
        self.root
            .join(&format!("{}/", table.name))
            .map_err(|e| Error::Bug(format!("{:?} is not a path: {e}", table.name)))
    }

    /// The table as it is now, or `None` when nothing was ever committed to it. All recorded log files of the table must exist.
    fn snapshot(&self, table: &Table) -> Result<Option<SnapshotRef>> {
        if !self.is_table_there(table)? {
            return Ok(None);
        }
        let directory = self.directory.join(table.name);
        let snapshot = match self.opened.last(table.name, &directory) {
            Some(last) => Snapshot::builder_from(last).build(self.engine()),
            None => Snapshot::builder_for(self.table_root(table)?).build(self.engine()),
        };
        let snapshot = snapshot.map_err(Error::table("open", table.name))?;
        self.opened.keep(table.name, &directory, &snapshot);
        Ok(Some(snapshot))
    }
}

fn store_path(url: &Url) -> Result<StorePath> {
    StorePath::from_url_path(url.path()).map_err(|e| Error::Bug(format!("{url} is not a path: {e}")))
}

/// Two threads for the kernel's reads and writes. They are separate from the caller's threads, because the kernel blocks its caller until
/// they are done.
#[derive(Debug)]
struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    fn start() -> std::io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(2)
            .thread_name("boxseat-lake")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
    }

    fn handle(&self) -> tokio::runtime::Handle {
        self.0.as_ref().expect("taken only by drop").handle().clone()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Waiting for the threads would panic when the last clone is dropped on an async thread. Every call of this crate has waited for
        // its own work, so no work is left.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The lake's URL for the Delta kernel. Paths below it are relative to the lake's directory, so no URL contains the name of that directory.
/// The name may have characters that fail in a URL: the kernel does not decode `%` and rejects control characters. The scheme is not
/// `file`, because the kernel would then look for the path on the disk.
const ROOT: &str = "lake:///";

/// Directory of the reservations.
const RUNS: &str = "_runs";

/// Rows per batch of a scan: a multiple of DuckDB's vectors of 2,048 rows, and a few MB of memory.
const ROWS_PER_BATCH: std::num::NonZero<usize> = std::num::NonZero::new(16_384).expect("not zero");

/// The run number as rows and transactions store it.
fn version_of(run: RunNumber) -> i64 {
    run.as_i64()
}
