//! An [`ObjectStore`] on the lake's disk whose puts survive a power failure.
//!
//! `object_store` 0.13 renames a written file without an fsync of file or directory. After a power failure, a commit that succeeded could
//! be missing while the next table's commit exists. Reads go directly to [`LocalFileSystem`].

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{Ownership, Staged};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use sha2::{Digest as _, Sha256};

use super::commit_note::{CommitNote, commit_version};
use super::record::{Altered, Record, RecordError};

/// A local disk whose puts return when the data is on disk. It keeps the lake's [`Record`]: every written file is recorded there, and every
/// file that is read is compared with it.
#[derive(Debug)]
pub(crate) struct DurableStore {
    disk: LocalFileSystem,
    ownership: Ownership,
    record: Arc<Record>,
    /// The compared bytes of small files.
    compared: Arc<Mutex<ComparedBytes>>,
}

/// A file up to this size is read once: its bytes in memory are compared and then used. A larger file is compared on disk, and its stamp
/// shows whether it was changed before it was read again.
const SMALL_FILE_BYTES: u64 = 16 << 20;

/// The maximum size of all small files in memory. The files that were read last are kept.
const KEPT_BYTES: usize = 32 << 20;

/// Small files in memory, the one that was read last at the end.
#[derive(Debug, Default)]
struct ComparedBytes {
    files: VecDeque<(Path, Bytes)>,
}

impl ComparedBytes {
    fn get(&self, location: &Path) -> Option<Bytes> {
        self.files.iter().find(|(kept, _)| kept == location).map(|(_, bytes)| bytes.clone())
    }

    fn keep(&mut self, location: Path, bytes: Bytes) {
        self.forget(&location);
        self.files.push_back((location, bytes));
        let mut size: usize = self.files.iter().map(|(_, bytes)| bytes.len()).sum();
        while size > KEPT_BYTES {
            let Some((_, oldest)) = self.files.pop_front() else { break };
            size -= oldest.len();
        }
    }

    fn forget(&mut self, location: &Path) {
        self.files.retain(|(kept, _)| kept != location);
    }
}

impl DurableStore {
    /// The files below an existing directory, addressed relative to it. New files get `ownership`.
    pub(crate) fn below(
        directory: &std::path::Path,
        ownership: Ownership,
        record: Arc<Record>,
    ) -> Result<Self> {
        let disk = LocalFileSystem::new_with_prefix(directory)?;
        Ok(Self { disk, ownership, record, compared: Arc::default() })
    }

    fn stage(&self, location: &Path) -> Result<Staging> {
        self.compared_bytes().forget(location);
        Ok(Staging {
            destination: self.disk.path_to_filesystem(location)?,
            ownership: self.ownership,
            location: location.to_string(),
            record: Arc::clone(&self.record),
        })
    }

    fn compared_bytes(&self) -> MutexGuard<'_, ComparedBytes> {
        self.compared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A small file is served from the bytes that were compared, so that no later change of the file is read.
    async fn in_memory_if_small(&self, location: &Path, opened: GetResult) -> Result<GetResult> {
        if opened.meta.size > SMALL_FILE_BYTES || !self.record.is_begun() {
            return Ok(opened);
        }
        let GetResult { payload, meta, range, attributes } = opened;
        let GetResultPayload::File(file, path) = payload else {
            return Err(not_implemented("reading an object that is not a file"));
        };
        let kept = self.compared_bytes().get(location);
        let bytes = match kept {
            Some(bytes) => bytes,
            None => {
                let (record, name) = (Arc::clone(&self.record), location.to_string());
                let whole = 0..meta.size;
                let bytes = on_disk(move || {
                    let bytes = read_ranges(&file, &path, &[whole])?.swap_remove(0);
                    record.compare_bytes(&name, &FileDigest::of(&bytes)).map_err(unrecorded)?;
                    Ok(bytes)
                })
                .await?;
                self.compared_bytes().keep(location.clone(), bytes.clone());
                bytes
            }
        };
        let part = part_of(&bytes, &range, location)?;
        let payload = GetResultPayload::Stream(futures::stream::iter([Ok(part)]).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn compare(&self, location: &Path) -> Result<()> {
        let (record, location) = (Arc::clone(&self.record), location.to_string());
        on_disk(move || record.compare(&location).map_err(unrecorded)).await
    }

    /// Opens the file that was compared. Another file that has its name now is not accepted.
    async fn open(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        for _ in 0..OPENED_AT_MOST {
            self.compare(location).await?;
            let opened = match self.disk.get_opts(location, options.clone()).await {
                Err(error) if !matches!(error, Error::NotFound { .. }) => {
                    // The error may mean that the file became shorter than the requested range. A new comparison then returns the cause.
                    self.record.compare_anew(location.as_ref());
                    self.compare(location).await?;
                    return Err(error);
                }
                other => other?,
            };
            let GetResultPayload::File(file, _) = &opened.payload else {
                return Err(not_implemented("reading an object that is not a file"));
            };
            // Another boxseat process may have replaced the file in the meantime.
            if self.record.is_compared(location.as_ref(), file).map_err(unrecorded)? {
                return self.in_memory_if_small(location, opened).await;
            }
        }
        let what = format!("the file lake/{location}");
        Err(unrecorded(Altered::new(what, "was changed or replaced while it was read").into()))
    }
}

impl std::fmt::Display for DurableStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("durable local disk")
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !matches!(opts.mode, PutMode::Overwrite | PutMode::Create) {
            return Err(not_implemented("put with PutMode::Update"));
        }
        let staging = self.stage(location)?;
        on_disk(move || {
            let staged = staging.create()?;
            let mut offset = 0;
            for part in &payload {
                staged.write_at(part, offset).map_err(|source| staging.error(source))?;
                offset += part.len() as u64;
            }
            let bytes = Bytes::from(payload);
            let note = commit_version(&staging.location).map(|_| CommitNote::of(&bytes));
            staging.place(staged, FileDigest::of(&bytes), note, opts.mode)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let staging = self.stage(location)?;
        on_disk(move || {
            let staged = Arc::new(Mutex::new(Some(staging.create()?)));
            let digest = Sha256::new();
            Ok(Box::new(Upload { staging, staged, digest, offset: 0 }) as Box<dyn MultipartUpload>)
        })
        .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.open(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let opened = self.open(location, GetOptions::default()).await?;
        if let GetResultPayload::Stream(_) = opened.payload {
            let bytes = opened.bytes().await?;
            return ranges.iter().map(|range| part_of(&bytes, range, location)).collect();
        }
        let ranges = ranges.to_vec();
        on_disk(move || match opened.payload {
            GetResultPayload::File(file, path) => read_ranges(&file, &path, &ranges),
            GetResultPayload::Stream(_) => Err(not_implemented("reading an object that is not a file")),
        })
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (record, compared) = (Arc::clone(&self.record), Arc::clone(&self.compared));
        // The removal is recorded first. Without the line, the removed file would be reported as missing.
        let noted = locations.map(move |location| {
            let path = location?;
            compared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).forget(&path);
            record.deleted(&[path.to_string()]).map_err(unrecorded)?;
            Ok(path)
        });
        self.disk.delete_stream(noted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        in_order(self.disk.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        in_order(self.disk.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.disk.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_implemented("copy"))
    }
}

/// A range of a file in memory.
fn part_of(bytes: &Bytes, range: &Range<u64>, location: &Path) -> Result<Bytes> {
    let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let part = part.filter(|(start, end)| start <= end && *end <= bytes.len());
    part.map(|(start, end)| bytes.slice(start..end)).ok_or_else(|| Error::Generic {
        store: "durable local disk",
        source: format!("{location} has {} bytes, and {range:?} was requested", bytes.len()).into(),
    })
}

fn read_ranges(file: &File, path: &std::path::Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let read = |range: &Range<u64>| {
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(Bytes::from(bytes))
    };
    let unreadable = |source: io::Error| Error::Generic {
        store: "durable local disk",
        source: format!("cannot read {}: {source}", path.display()).into(),
    };
    ranges.iter().map(read).collect::<io::Result<_>>().map_err(unreadable)
}

/// The maximum number of attempts to open the file that was compared.
const OPENED_AT_MOST: u32 = 3;

/// A listing sorted by name. A disk lists files in any order, and the Delta kernel relies on the order of object stores.
fn in_order(listing: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let sorted = async move {
        let mut files: Vec<ObjectMeta> = listing.try_collect().await?;
        files.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(futures::stream::iter(files.into_iter().map(Ok)))
    };
    sorted.try_flatten_stream().boxed()
}

/// A large file that arrives in parts. It exists when [`MultipartUpload::complete`] is done.
#[derive(Debug)]
struct Upload {
    staging: Staging,
    /// `None` after completion or abort.
    staged: Arc<Mutex<Option<Staged>>>,
    /// The digest of the parts so far, which arrive in order.
    digest: Sha256,
    offset: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut offset = self.offset;
        self.offset += data.content_length() as u64;
        data.iter().for_each(|part| self.digest.update(part));
        let (staging, staged) = (self.staging.clone(), Arc::clone(&self.staged));
        on_disk(move || {
            let guard = staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let file = guard.as_ref().ok_or_else(|| staging.error(io::ErrorKind::NotFound.into()))?;
            for part in &data {
                file.write_at(part, offset).map_err(|source| staging.error(source))?;
                offset += part.len() as u64;
            }
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staging, staged) = (self.staging.clone(), Arc::clone(&self.staged));
        let digest = FileDigest::new(self.offset, std::mem::take(&mut self.digest));
        on_disk(move || {
            let taken = staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let file = taken.ok_or_else(|| staging.error(io::ErrorKind::NotFound.into()))?;
            staging.place(file, digest, None, PutMode::Overwrite)
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        Ok(())
    }
}

/// The destination of a put.
#[derive(Debug, Clone)]
struct Staging {
    destination: PathBuf,
    ownership: Ownership,
    /// The path in the record.
    location: String,
    record: Arc<Record>,
}

impl Staging {
    /// Puts a file in its place, and writes the lines of the record before and after it.
    fn place(
        &self,
        staged: Staged,
        digest: FileDigest,
        note: Option<CommitNote>,
        mode: PutMode,
    ) -> Result<PutResult> {
        // A data file is not visible before a commit names it.
        if is_seen_at_once(&self.location) {
            self.record.announce(&self.location, digest.clone(), note).map_err(unrecorded)?;
        }
        match mode {
            PutMode::Create => staged.create_only(),
            _ => staged.replace(),
        }
        .map_err(|source| self.error(source))?;
        self.record.done(&self.location, digest).map_err(unrecorded)?;
        Ok(PutResult { e_tag: None, version: None })
    }

    fn create(&self) -> Result<Staged> {
        Staged::create(&self.destination, self.ownership).map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> Error {
        let path = self.destination.display().to_string();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: source.into() },
            _ => Error::Generic { store: "durable local disk", source: Box::new(PutError { path, source }) },
        }
    }
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
struct PutError {
    path: String,
    source: io::Error,
}

/// Logs and reservations are found by a listing of their directory, so they are visible as soon as they exist.
fn is_seen_at_once(location: &str) -> bool {
    location.contains("_delta_log/") || location.starts_with("_runs/")
}

fn unrecorded(error: RecordError) -> Error {
    Error::Generic { store: "durable local disk", source: Box::new(error) }
}

/// Runs disk work on a thread that may block.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|source| Err(Error::JoinError { source }))
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "durable local disk".to_owned() }
}
