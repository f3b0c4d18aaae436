//! Writing files so that they are there after a power cut, and changing names so that a reader sees the old file or the new
//! one. Nothing else in this room renames.
//!
//! **Every file** goes the same way: write beside its place under a name nobody reads, fsync the file, link or rename it into
//! place, fsync the directory. Killed before the link or rename: a staged file is left over, which listings do not show.
//! Killed between it and the directory's fsync: the name is there for every reader of this machine, and a power cut at that
//! moment may take it back; whoever relies on it syncs the directory again, which costs nothing when it is already done.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::{Error, Result};

/// Who may read a file that is written: `[publish] mode` and `group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Permission bits of files, such as `0o640`; a directory gets `x` wherever a file has `r`, and is written by its owner alone.
    pub mode: u32,
    /// Name of the group files are given to; `None` leaves the one the directory gives.
    pub group: Option<String>,
}

impl From<u32> for Access {
    fn from(mode: u32) -> Self {
        Self { mode, group: None }
    }
}

impl Access {
    /// Looks the group up, once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Input`] when the system does not know the group.
    pub(crate) fn resolve(&self) -> Result<Ownership> {
        let group = match &self.group {
            None => None,
            Some(name) => {
                let found = nix::unistd::Group::from_name(name).ok().flatten();
                Some(found.ok_or_else(|| Error::NoGroup(name.clone()))?.gid.as_raw())
            }
        };
        Ok(Ownership { mode: self.mode, group })
    }
}

/// An [`Access`] whose group is known by number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ownership {
    mode: u32,
    group: Option<u32>,
}

impl Ownership {
    /// Mode and group for an open file; the umask has no say.
    pub(crate) fn apply(self, file: &File, path: &Path) -> io::Result<()> {
        if let Some(group) = self.group {
            chown(path, None, Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))
    }

    fn directory_mode(self) -> u32 {
        (self.mode & !0o022) | ((self.mode & 0o444) >> 2) | 0o700
    }

    /// The same without any right to write: a published file is replaced, never changed.
    pub(crate) fn read_only(self) -> Self {
        Self { mode: self.mode & !0o222, ..self }
    }
}

/// A file on its way, under a name that no listing shows: `<name>#<digits>`, as `object_store` stages its own.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
    destination: PathBuf,
    placed: bool,
}

impl Staged {
    /// Opens the file, making its directories where they are missing.
    pub(crate) fn create(destination: &Path, ownership: Ownership) -> io::Result<Self> {
        if let Some(parent) = destination.parent() {
            create_directories(parent, ownership)?;
        }
        let mut name = destination.as_os_str().to_owned();
        name.push(format!("#{}", Uuid::new_v4().as_u128() >> 64));
        let path = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let staged = Self { file, path, destination: destination.to_owned(), placed: false };
        ownership.apply(&staged.file, &staged.path)?;
        Ok(staged)
    }

    /// Writes at a place of the file.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Puts the file in its place unless something is there: then [`io::ErrorKind::AlreadyExists`].
    pub(crate) fn create_only(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::hard_link(&self.path, &self.destination)?;
        // The staged name goes in `drop`; its loss need not be durable.
        sync_directory(&self.destination)
    }

    /// Puts the file in its place, over whatever is there.
    #[expect(clippy::disallowed_methods, reason = "this module is the one that renames")]
    pub(crate) fn replace(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.destination)?;
        self.placed = true;
        sync_directory(&self.destination)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed {
            // Nobody reads the staged name, so a failure here costs some disk and nothing else.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes every file this process creates from here on its owner's alone, unless an [`Access`] says otherwise: what DuckDB builds
/// or spills aside holds people's data long before its mode is set.
pub fn keep_new_files_private() {
    use nix::sys::stat::{Mode, umask};
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Opens a regular file to read it. A pipe is refused at once and never waited for.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for anything else than a regular file; as [`File::open`].
pub fn open_regular_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"))
}

/// Reads a regular file. A pipe is refused at once and never waited for.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for anything else than a regular file; as [`fs::read`].
pub fn read_regular_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, as text.
///
/// # Errors
/// As [`read_regular_file`]; `InvalidData` for bytes that are no UTF-8.
pub fn read_regular_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_regular_file(path)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Writes a whole file over whatever has its name: a crash leaves the old content or the new.
///
/// # Errors
/// `Io`; `Input` for an unknown group.
pub fn write_file(path: &Path, bytes: &[u8], access: &Access) -> Result<()> {
    write_file_by(path, access, |mut file| file.write_all(bytes).map_err(Error::io("write", path)))
}

/// Writes a file as [`write_file`] does, with what `write` puts into it.
///
/// # Errors
/// `Io`; `Input` for an unknown group; what `write` fails with, and then nothing has changed.
pub fn write_file_by<T>(path: &Path, access: &Access, write: impl FnOnce(&File) -> Result<T>) -> Result<T> {
    let staged = Staged::create(path, access.resolve()?).map_err(Error::io("write", path))?;
    let written = write(&staged.file)?;
    staged.replace().map_err(Error::io("write", path))?;
    Ok(written)
}

/// Whether a file can be written there, found out before the work that ends in it: stages one and takes it away.
///
/// # Errors
/// As [`write_file`].
pub fn probe(path: &Path, access: &Access) -> Result<()> {
    if path.is_dir() {
        let taken = io::Error::new(io::ErrorKind::IsADirectory, "it is a directory");
        return Err(Error::Io { action: "write", path: path.to_owned(), source: taken });
    }
    Staged::create(path, access.resolve()?).map(drop).map_err(Error::io("write", path))
}

/// Removes a directory of ours with all it holds; it is fine if nothing is there.
///
/// # Errors
/// `Io`.
pub fn remove_directory(path: &Path) -> Result<()> {
    remove_if_there(path).map_err(Error::io("remove", path))
}

/// Moves a directory to another place of the same file system, where nothing may be.
///
/// # Errors
/// `Io`.
#[expect(clippy::disallowed_methods, reason = "this module is the one that renames")]
pub(crate) fn move_directory(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        create_directories(parent, Ownership { mode: 0o600, group: None })
            .map_err(Error::io("create", parent))?;
    }
    fs::rename(from, to).map_err(Error::io("move", from))?;
    sync_directory(from).map_err(Error::io("move", from))?;
    sync_directory(to).map_err(Error::io("move", from))
}

/// Creates a directory and its parents, with `access` as its files have it.
///
/// # Errors
/// `Io`; `Input` for an unknown group.
pub fn create_directory(path: &Path, access: &Access) -> Result<()> {
    create_directories(path, access.resolve()?).map_err(Error::io("create", path))
}

/// Puts a finished file that was built aside in its place, over whatever is there: the last step of a publish.
///
/// Order, and what a kill leaves after each step:
/// 1. fsync the file, then mode and group: the file built aside is left over and swept by the next build.
/// 2. Unlink `<destination>.wal` and its siblings: the old night without a foreign log, which is what every reader should see anyway.
/// 3. Rename: the new night.
/// 4. fsync the directory: as 3, now also after a power cut.
///
/// Step 2 comes before 3 because DuckDB replays any `.wal` it finds beside the file, whoever wrote it (measured with 1.1 to
/// 1.5: the log of a killed analyst's session went into the *new* night).
#[expect(clippy::disallowed_methods, reason = "this module is the one that renames")]
pub(crate) fn publish(aside: &Path, destination: &Path, ownership: Ownership) -> io::Result<()> {
    let file = File::open(aside)?;
    ownership.read_only().apply(&file, aside)?;
    file.sync_all()?;
    for log in wals_of(destination) {
        remove_if_there(&log)?;
    }
    fs::rename(aside, destination)?;
    sync_directory(destination)
}

/// Puts a finished directory in its place, where nothing or an empty directory may be: the last step of a backup or a restore.
///
/// Every directory below is synced first; its files are on the disk already. *Killed* before the rename: `staged` is left over.
///
/// # Errors
/// `Io`.
#[expect(clippy::disallowed_methods, reason = "this module is the one that renames")]
pub fn place_directory(staged: &Path, destination: &Path) -> Result<()> {
    sync_directories(staged).map_err(Error::io("sync", staged))?;
    fs::rename(staged, destination).map_err(Error::io("write", destination))?;
    sync_directory(destination).map_err(Error::io("sync", destination))
}

fn sync_directories(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_directories(&entry.path())?;
        }
    }
    File::open(directory)?.sync_all()
}

/// Where DuckDB keeps the write-ahead log of a database file: under the first name; since 1.5 under the others while it
/// writes a checkpoint or recovers from one.
pub(crate) fn wals_of(database: &Path) -> [PathBuf; 3] {
    [".wal", ".wal.checkpoint", ".wal.recovery"].map(|ending| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

/// Removes a file or a directory with all it holds; it is fine if nothing is there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Files below a directory that a writer had staged when it was killed.
pub(crate) fn staged_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(staged_below(&entry.path())?);
        } else if is_staged(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Whether a file name is one that a writer stages a file under.
pub fn is_staged(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Makes a directory and the missing ones above it, each known to its parent for good before the next is made.
pub(crate) fn create_directories(directory: &Path, ownership: Ownership) -> io::Result<()> {
    // A bare file name's parent is empty: the working directory, which is there.
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_directories(parent, ownership)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        // Somebody else made it in this moment.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => return Ok(()),
        other => other?,
    }
    if let Some(group) = ownership.group {
        chown(directory, None, Some(group))?;
    }
    fs::set_permissions(directory, Permissions::from_mode(ownership.directory_mode()))?;
    sync_directory(directory)
}

/// Makes the names in the directory of `path` durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
