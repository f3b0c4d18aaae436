//! Rewrites spools with other content, for an erasure.
//!
//! The new spool is complete in a separate directory before it replaces the old one. **After a kill** before the replacement, the old spool
//! is there, and the next [`Rewriter::open`] removes the unfinished new one. After a kill between the two renames, the next
//! [`Rewriter::open`] puts the new one in place.

use std::path::{Path, PathBuf};

use boxseat_schemas::spool::Frame;

use boxseat_storage::durable;

use super::{SpoolDir, SpoolReader, SpoolWriter};
use crate::Error;

/// Rewrites the spools of a store, one after the other.
#[derive(Debug)]
pub struct Rewriter {
    spools: PathBuf,
    work: PathBuf,
}

/// Changes a frame or a text. `None` keeps it unchanged.
pub trait Change {
    /// A frame and its body.
    fn frame(&self, frame: &Frame, body: &[u8]) -> Option<(Frame, Vec<u8>)>;
    /// The text of a mark next to the pages.
    fn text(&self, text: &str) -> Option<String>;
}

impl Rewriter {
    /// Starts, or continues after a kill. `work` is a directory on the same file system that nothing else uses.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(spools: &Path, work: &Path) -> Result<Self, Error> {
        let this = Self { spools: spools.to_owned(), work: work.to_owned() };
        for number in numbers_in(work)?.into_iter().filter(|number| this.old(*number).exists()) {
            // The old spool is moved aside only when the new one is complete.
            if !this.spool(number).path().exists() {
                durable::move_directory(this.new_spool(number).path(), this.spool(number).path())?;
            }
            remove(&this.old(number))?;
        }
        remove(work)?;
        Ok(this)
    }

    /// The runs that have a spool.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn runs(&self) -> Result<Vec<u64>, Error> {
        numbers_in(&self.spools)
    }

    /// The raw pages of a run, open; `None` when there are none.
    ///
    /// # Errors
    /// [`Error::Spool`]; [`Error::Io`].
    pub fn read(&self, number: u64) -> Result<Option<SpoolReader>, Error> {
        let dir = self.spool(number);
        dir.pages().exists().then(|| SpoolReader::open(&dir, number)).transpose()
    }

    /// Writes the new spool of a run next to the old one, and returns it; `None` if `change` changes nothing. `pages` are those of
    /// [`Rewriter::read`].
    ///
    /// # Errors
    /// [`Error::Spool`] for a damaged spool, which stays unchanged; [`Error::Io`].
    pub fn prepare(
        &self,
        number: u64,
        pages: Option<&SpoolReader>,
        change: &dyn Change,
    ) -> Result<Option<SpoolDir>, Error> {
        let dir = self.spool(number);
        let marks = marks(&dir)?;
        let seal = dir.seal_record()?;
        let mut is_changed = marks.iter().any(|(_, text)| change.text(text).is_some());
        if let Some(pages) = pages {
            let whole = pages.replay(|frame, body| {
                is_changed = is_changed || change.frame(frame, body).is_some();
                Ok(())
            })?;
            if let Some(seal) = &seal {
                pages.check_seal(seal, whole.frames)?;
            }
        }
        if !is_changed {
            return Ok(None);
        }
        let new = self.new_spool(number);
        if let Some(pages) = pages {
            let writer = SpoolWriter::create(new.clone(), number)?;
            pages.replay(|frame, body| match change.frame(frame, body) {
                Some((frame, body)) => writer.append(&frame, &body),
                None => writer.append(frame, body),
            })?;
            match seal {
                Some(seal) => _ = writer.seal(seal.sealed_at)?,
                None => writer.sync()?,
            }
        }
        std::fs::create_dir_all(new.path()).map_err(Error::io("create", new.path()))?;
        for (name, text) in marks {
            let text = change.text(&text).unwrap_or(text);
            super::writer::write_mark(&new.path().join(name), text.as_bytes())?;
        }
        Ok(Some(new))
    }

    /// Replaces the old spool of a run by the new one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn place(&self, number: u64) -> Result<(), Error> {
        durable::move_directory(self.spool(number).path(), &self.old(number))?;
        durable::move_directory(self.new_spool(number).path(), self.spool(number).path())?;
        remove(&self.old(number))
    }

    /// Removes the working directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<(), Error> {
        remove(&self.work)
    }

    fn spool(&self, number: u64) -> SpoolDir {
        SpoolDir::of(&self.spools, number)
    }

    fn new_spool(&self, number: u64) -> SpoolDir {
        SpoolDir::of(&self.work, number)
    }

    fn old(&self, number: u64) -> PathBuf {
        self.work.join(format!("{number}.old"))
    }
}

/// Run numbers from the names of directories, with or without `.old`.
fn numbers_in(directory: &Path) -> Result<Vec<u64>, Error> {
    let io = || Error::io("list", directory);
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io())?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(io())?.file_name();
        let name = name.to_string_lossy();
        numbers.extend(name.strip_suffix(".old").unwrap_or(&name).parse::<u64>().ok());
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// All files in a spool's directory except the pages and their seal.
fn marks(dir: &SpoolDir) -> Result<Vec<(String, String)>, Error> {
    let mut marks = Vec::new();
    for entry in std::fs::read_dir(dir.path()).map_err(Error::io("list", dir.path()))? {
        let entry = entry.map_err(Error::io("list", dir.path()))?;
        let path = entry.path();
        let is_staged = durable::is_staged(&entry.file_name().to_string_lossy());
        if path == dir.pages() || path == dir.sealed() || is_staged {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        marks.push((entry.file_name().to_string_lossy().into_owned(), text));
    }
    Ok(marks)
}

fn remove(directory: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(directory) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", directory)(e)),
        _ => Ok(()),
    }
}
