//! Writes files so that they survive a power cut, and renames files so that a reader sees the old file or the new one. No other code of
//! boxseat renames files.
//!
//! **Every file** is written in the same steps: write it next to its destination under a name that no reader uses, fsync the file, link or
//! rename it to its destination, fsync the directory. A kill before the link or rename leaves a staged file, which listings do not show.
//! After a kill between the link or rename and the fsync of the directory, every reader on this machine sees the name, but a power cut may
//! still remove it. Code that relies on the name therefore syncs the directory again. This costs nothing if the directory is already
//! synced.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::{Error, Result};

/// Permissions and group of a written file, from `[publish] mode` and `group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Permission bits of files, such as `0o640`. A directory gets `x` wherever a file has `r`, and only its owner may write in it.
    pub mode: u32,
    /// Name of the group of new files; `None` keeps the group that the directory sets.
    pub group: Option<String>,
}

impl From<u32> for Access {
    fn from(mode: u32) -> Self {
        Self { mode, group: None }
    }
}

impl Access {
    /// Looks up the id (GID) of the group.
    ///
    /// # Errors
    /// [`Error::NoGroup`] when the system does not know the group.
    pub fn resolve(&self) -> Result<Ownership> {
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

/// An [`Access`] with the id (GID) of the group instead of its name.
#[derive(Debug, Clone, Copy)]
pub struct Ownership {
    mode: u32,
    group: Option<u32>,
}

impl Ownership {
    /// Sets mode and group of an open file, independent of the umask.
    pub fn apply(self, file: &File, path: &Path) -> io::Result<()> {
        if let Some(group) = self.group {
            chown(path, None, Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))
    }

    fn directory_mode(self) -> u32 {
        (self.mode & !0o022) | ((self.mode & 0o444) >> 2) | 0o700
    }

    /// The same ownership without write permissions. A published file is replaced, never changed.
    pub fn read_only(self) -> Self {
        Self { mode: self.mode & !0o222, ..self }
    }
}

/// A file that is being written. No listing shows its name, `<name>#<digits>`: `object_store` uses the same form for staged files.
#[derive(Debug)]
pub struct Staged {
    file: File,
    path: PathBuf,
    destination: PathBuf,
    placed: bool,
}

impl Staged {
    /// Opens the file. Creates missing directories.
    pub fn create(destination: &Path, ownership: Ownership) -> io::Result<Self> {
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

    /// Writes at an offset of the file.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Puts the file at its destination. Returns [`io::ErrorKind::AlreadyExists`] if a file exists there.
    pub fn create_only(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::hard_link(&self.path, &self.destination)?;
        // `drop` removes the staged name. The removal need not be durable.
        sync_directory(&self.destination)
    }

    /// Puts the file at its destination, and replaces an existing file.
    #[expect(clippy::disallowed_methods, reason = "this module is the one that renames")]
    pub fn replace(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.destination)?;
        self.placed = true;
        sync_directory(&self.destination)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed {
            // No reader uses the staged name, so a failure only costs disk space.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes every new file of this process accessible only to its owner, unless an [`Access`] sets another mode. The files that DuckDB builds
/// or spills contain users' data long before their mode is set.
pub fn keep_new_files_private() {
    use nix::sys::stat::{Mode, umask};
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Opens a regular file to read it. A pipe is refused immediately, without waiting.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if the file is not a regular file; otherwise as [`File::open`].
pub fn open_regular_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"))
}

/// Reads a regular file. A pipe is refused immediately, without waiting.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if the file is not a regular file; otherwise as [`fs::read`].
pub fn read_regular_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file as text.
///
/// # Errors
/// As [`read_regular_file`]; `InvalidData` for bytes that are not UTF-8.
pub fn read_regular_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_regular_file(path)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Writes a whole file and replaces an existing one. After a crash, the file has the old content or the new content.
///
/// # Errors
/// [`Error::Io`]; [`Error::NoGroup`].
pub fn write_file(path: &Path, bytes: &[u8], access: &Access) -> Result<()> {
    write_file_by(path, access, |mut file| file.write_all(bytes).map_err(Error::io("write", path)))
}

/// Writes a file as [`write_file`] does. The content comes from `write`.
///
/// # Errors
/// [`Error::Io`]; [`Error::NoGroup`]; the error of `write`. After an error of `write`, the destination is unchanged.
pub fn write_file_by<T, E: From<Error>>(
    path: &Path,
    access: &Access,
    write: impl FnOnce(&File) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let staged = Staged::create(path, access.resolve()?).map_err(Error::io("write", path))?;
    let written = write(&staged.file)?;
    staged.replace().map_err(Error::io("write", path))?;
    Ok(written)
}

/// Writes a whole new file. After a crash, the file has its whole content or does not exist.
///
/// # Errors
/// [`Error::Io`], of kind [`io::ErrorKind::AlreadyExists`] if something exists at the path, also a link; [`Error::NoGroup`].
pub fn write_new_file(path: &Path, bytes: &[u8], access: &Access) -> Result<()> {
    let staged = Staged::create(path, access.resolve()?).map_err(Error::io("write", path))?;
    staged.write_at(bytes, 0).and_then(|()| staged.create_only()).map_err(Error::io("write", path))
}

/// Checks that a file can be written at this path: stages a file and removes it. Call it before the work that produces the file.
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

/// Removes a directory and its content. A missing directory is not an error.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_directory(path: &Path) -> Result<()> {
    remove_if_there(path).map_err(Error::io("remove", path))
}

/// Moves a directory to another path on the same file system. Nothing may exist at that path.
///
/// # Errors
/// [`Error::Io`].
#[expect(clippy::disallowed_methods, reason = "this module is the one that renames")]
pub fn move_directory(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        create_directories(parent, Ownership { mode: 0o600, group: None })
            .map_err(Error::io("create", parent))?;
    }
    fs::rename(from, to).map_err(Error::io("move", from))?;
    sync_directory(from).map_err(Error::io("move", from))?;
    sync_directory(to).map_err(Error::io("move", from))
}

/// Creates a directory and its parents, with the same `access` as its files.
///
/// # Errors
/// [`Error::Io`]; [`Error::NoGroup`].
pub fn create_directory(path: &Path, access: &Access) -> Result<()> {
    create_directories(path, access.resolve()?).map_err(Error::io("create", path))
}

/// Gives a directory that exists the access of a new one.
///
/// # Errors
/// [`Error::Io`]; [`Error::NoGroup`].
pub fn set_directory_access(path: &Path, access: &Access) -> Result<()> {
    let ownership = access.resolve()?;
    if let Some(group) = ownership.group {
        chown(path, None, Some(group)).map_err(Error::io("change the group of", path))?;
    }
    fs::set_permissions(path, Permissions::from_mode(ownership.directory_mode()))
        .map_err(Error::io("change the mode of", path))
}

/// Removes the access of other users to a directory and its subdirectories. An earlier version granted it.
///
/// # Errors
/// [`Error::Io`] naming the directory, also if it belongs to another user.
pub fn close_to_others(directory: &Path) -> Result<()> {
    let cannot = || Error::io("close to others", directory);
    let mode = fs::metadata(directory).map_err(cannot())?.mode();
    if mode & 0o022 != 0 {
        tracing::warn!(
            "other users could write to {} (mode {:04o}); now only the owner can. Check with `boxseat reclaim verify` that nothing in it was changed",
            directory.display(),
            mode & 0o7777
        );
    }
    if mode & 0o077 != 0 {
        fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(cannot())?;
    }
    for entry in fs::read_dir(directory).map_err(cannot())? {
        let entry = entry.map_err(cannot())?;
        if entry.file_type().map_err(cannot())?.is_dir() {
            close_to_others(&entry.path())?;
        }
    }
    Ok(())
}

/// Puts a finished new file at its destination and replaces an existing file: the last step of a publish.
///
/// The steps, and what a reader finds after a kill in each step:
/// 1. Set mode and group of the new file, then fsync it: the old file (the next build removes the new one).
/// 2. Remove `obsolete`, the files that a reader would apply to the file at the destination: the old file without them.
/// 3. Rename: the new file.
/// 4. fsync the directory: the new file, now also after a power cut.
#[expect(clippy::disallowed_methods, reason = "this module is the one that renames")]
pub fn publish(
    aside: &Path,
    destination: &Path,
    ownership: Ownership,
    obsolete: &[PathBuf],
) -> io::Result<()> {
    let file = File::open(aside)?;
    ownership.read_only().apply(&file, aside)?;
    file.sync_all()?;
    obsolete.iter().try_for_each(|path| remove_if_there(path))?;
    fs::rename(aside, destination)?;
    sync_directory(destination)
}

/// Puts a finished directory at its destination: the last step of a backup or a restore. The destination must be missing or an empty
/// directory.
///
/// The files in `staged` must already be synced. This function syncs the directories, then renames. A kill before the rename leaves
/// `staged`.
///
/// # Errors
/// [`Error::Io`].
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

/// Removes a file, or a directory with its content. A missing path is not an error.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
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

/// Staged files below a directory. A killed writer leaves such files.
pub fn staged_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
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

/// Whether a file name is the name of a staged file.
pub fn is_staged(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Creates a directory and its missing parents. Each one is durable in its parent before the next is created.
pub fn create_directories(directory: &Path, ownership: Ownership) -> io::Result<()> {
    // A path of one component has an empty parent. It means the working directory, which exists.
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_directories(parent, ownership)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        // Another process created it at the same time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => return Ok(()),
        other => other?,
    }
    if let Some(group) = ownership.group {
        chown(directory, None, Some(group))?;
    }
    fs::set_permissions(directory, Permissions::from_mode(ownership.directory_mode()))?;
    sync_directory(directory)
}

/// Syncs the directory that contains `path`, which makes the names in it durable.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
