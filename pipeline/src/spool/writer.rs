//! Appends frames.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use boxseat_schemas::spool::{FILE_HEADER_LEN, FileKind, Fixed, Frame};
use boxseat_storage::durable::{self, Access};
use chrono::{DateTime, Utc};

use super::{SealRecord, SpoolDir, SpoolReader};
use crate::Error;

/// Unsynced bytes after which an append syncs at once.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;
/// Fast and small enough: JSON pages shrink about tenfold.
const ZSTD_LEVEL: i32 = 1;

/// An open spool. Cheap to clone; appends are serialised.
#[derive(Clone)]
pub struct SpoolWriter {
    dir: SpoolDir,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    file: File,
    len: u64,
    frames: u64,
    unsynced: u64,
    buffer: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
}

impl SpoolWriter {
    /// Starts the spool of a new run. Only the owner may read its files, because they contain raw responses.
    ///
    /// # Errors
    /// [`Error::Io`]; an existing spool is never overwritten.
    pub fn create(dir: SpoolDir, run_number: u64) -> Result<Self, Error> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir.path())
            .map_err(Error::io("create the spool directory", dir.path()))?;
        let path = dir.pages();
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        file.write_all(&FileKind::Spool.encode_header(run_number)).map_err(Error::io("write", &path))?;
        file.sync_all().map_err(Error::io("sync", &path))?;
        sync_dir(dir.path())?;
        if let Some(parent) = dir.path().parent() {
            sync_dir(parent)?;
        }
        Self::over(dir, file, FILE_HEADER_LEN as u64, 0)
    }

    /// Opens an unsealed spool to continue it. Every frame is checked and passed to `seen`. A torn tail is cut off.
    ///
    /// # Errors
    /// [`Error::Spool`] for damage before the tail or another format version, [`Error::Io`], or the error of `seen`.
    pub fn resume(
        dir: SpoolDir,
        run_number: u64,
        seen: impl FnMut(&Frame, &[u8]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let path = dir.pages();
        let reader = SpoolReader::open(&dir, run_number)?;
        let whole = reader.replay(seen)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(Error::io("open", &path))?;
        let len = file.metadata().map_err(Error::io("measure", &path))?.len();
        if len > whole.bytes {
            tracing::warn!(path = %path.display(), torn_bytes = len - whole.bytes, "the last frame of the spool is torn; it is cut off and requested again");
            file.set_len(whole.bytes).map_err(Error::io("cut the torn end off", &path))?;
            file.sync_all().map_err(Error::io("sync", &path))?;
        }
        Self::over(dir, file, whole.bytes, whole.frames)
    }

    fn over(dir: SpoolDir, file: File, len: u64, frames: u64) -> Result<Self, Error> {
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)
            .map_err(Error::io("set up compression for", dir.path()))?;
        let inner = Inner { file, len, frames, unsynced: 0, buffer: Vec::new(), compressor };
        Ok(Self { dir, inner: Arc::new(Mutex::new(inner)) })
    }

    /// Appends one frame. When this returns, the frame survives a kill of the process.
    ///
    /// # Errors
    /// [`Error::Io`]: a partly written frame is removed, or will be cut off as torn at the next open.
    pub fn append(&self, frame: &Frame, body: &[u8]) -> Result<(), Error> {
        let path = self.dir.pages();
        let header = serde_json::to_vec(frame).expect("a frame is plain data");
        let mut inner = self.inner.lock().expect("no holder panics");
        let Inner { file, len, buffer, compressor, .. } = &mut *inner;
        let stored = compressor.compress(body).map_err(Error::io("compress a page for", &path))?;
        buffer.clear();
        buffer.extend_from_slice(&Fixed::of(&header, &stored, body.len()).encode());
        buffer.extend_from_slice(&header);
        buffer.extend_from_slice(&stored);
        if let Err(source) = file.write_all(buffer) {
            // Best effort: if the cut also fails, the next open finds the torn frame and cuts it off.
            let _ = file.set_len(*len);
            return Err(Error::Io { action: "append to", path, source });
        }
        let written = buffer.len() as u64;
        inner.len += written;
        inner.unsynced += written;
        inner.frames += 1;
        if inner.unsynced >= SYNC_BYTES {
            inner.sync(&path)?;
        }
        Ok(())
    }

    /// Makes all appended frames survive a power cut.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<(), Error> {
        let path = self.dir.pages();
        let handle = {
            let mut inner = self.inner.lock().expect("no holder panics");
            if inner.unsynced == 0 {
                return Ok(());
            }
            inner.unsynced = 0;
            inner.file.try_clone().map_err(Error::io("open", &path))?
        };
        // Outside the lock: other appends continue while the disk works.
        handle.sync_data().map_err(Error::io("sync", &path))
    }

    /// Marks the run as complete, after all frames are synced.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn seal(self, sealed_at: DateTime<Utc>) -> Result<SealRecord, Error> {
        self.sync()?;
        let record = {
            let inner = self.inner.lock().expect("no holder panics");
            SealRecord { bytes: inner.len, frames: inner.frames, sealed_at }
        };
        write_mark(&self.dir.sealed(), &record.encode(self.dir.run_number))?;
        Ok(record)
    }

    /// Records that a guard refused the run, and why.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn refuse(&self, refusal: &crate::guard::Refusal) -> Result<(), Error> {
        self.sync()?;
        write_mark(&self.dir.refused(), &serde_json::to_vec_pretty(refusal).expect("plain data"))
    }
}

impl SpoolDir {
    /// Records that nothing can be continued from this spool: a listing failed, or one of its pages cannot be read any more.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn refuse(&self, reason: &str) -> Result<(), Error> {
        write_mark(&self.refused(), reason.as_bytes())
    }
}

impl Inner {
    fn sync(&mut self, path: &Path) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::io("sync", path))?;
        self.unsynced = 0;
        Ok(())
    }
}

/// Writes a marker, or replaces the marker of that name. After a crash the marker has the old content or the new content.
pub(super) fn write_mark(path: &Path, text: &[u8]) -> Result<(), Error> {
    Ok(durable::write_file(path, text, &Access::from(0o600))?)
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::io("sync the directory", path))
}
