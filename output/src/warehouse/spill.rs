//! Directories into which DuckDB writes what exceeds its memory while a file is read.
//!
//! DuckDB creates the directory when it needs it, and removes it at the end. **Killed**, the process leaves the directory, with data of
//! users, and the directory may take most of the free space. So its name identifies the process, and the next process that opens the file
//! removes the directories of processes that have ended.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use boxseat_storage::durable;

/// A directory of a process that cannot be looked up (another host, a container, an earlier start of the machine, an older version) is
/// removed when nothing was created in it for this time.
const LONGEST_QUERY: Duration = Duration::from_secs(24 * 3600);

const ENDING: &str = ".spill";

/// A name for the directory of this process, next to `file`. It has a random part, so no other process can predict it.
pub(super) fn name_next_to(file: &str) -> String {
    let pid = std::process::id();
    let started = started_at(pid).unwrap_or(0);
    format!("{file}.{:x}-{pid}-{started}-{}{ENDING}", process_space(), uuid::Uuid::new_v4().simple())
}

/// Removes the spill directories of `file` whose process has ended. Only real directories of this user are removed, and no link in them is
/// followed. A failure is only logged, because the next call tries again.
pub(super) fn remove_stale(file: &Path) {
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else { return };
    let Ok(entries) = fs::read_dir(directory) else { return };
    let prefix = format!("{}.", name.to_string_lossy());
    for entry in entries.flatten() {
        let entry_name = entry.file_name();
        let owner = entry_name.to_str().and_then(|name| Owner::of(name.strip_prefix(&prefix)?));
        let (Some(owner), Ok(metadata)) = (owner, fs::symlink_metadata(entry.path())) else { continue };
        if !metadata.is_dir() || !is_ours(&metadata) || !owner.has_ended(&metadata) {
            continue;
        }
        match durable::remove_directory(&entry.path()) {
            Ok(()) => tracing::info!("removed {}, which a killed query had left", entry.path().display()),
            Err(e) => tracing::info!("cannot remove {}: {e}", entry.path().display()),
        }
    }
}

/// The process that a directory belongs to.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Process {
        space: u64,
        pid: u32,
        started: u64,
    },
    /// The name has the form of an older version, without a process.
    Unknown,
}

impl Owner {
    /// Reads the part of the name behind the name of the file; `None`: it is not such a directory.
    fn of(name: &str) -> Option<Self> {
        let name = name.strip_suffix(ENDING)?;
        if name.len() == 36 && uuid::Uuid::try_parse(name).is_ok() {
            return Some(Self::Unknown);
        }
        let mut parts = name.split('-');
        let space = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (pid, started) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let random = parts.next().filter(|_| parts.next().is_none())?;
        uuid::Uuid::try_parse(random).ok()?;
        Some(Self::Process { space, pid, started })
    }

    fn has_ended(&self, directory: &Metadata) -> bool {
        match self {
            Self::Process { space, pid, started } if *space == process_space() && *started > 0 => {
                started_at(*pid) != Some(*started)
            }
            _ => directory.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LONGEST_QUERY)),
        }
    }
}

/// Identifies the scope in which process ids are unique: this boot of the machine, and this container.
fn process_space() -> u64 {
    let mut hasher = DefaultHasher::new();
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().hash(&mut hasher);
    fs::read_link("/proc/self/ns/pid").ok().hash(&mut hasher);
    hasher.finish()
}

/// When a process started, in ticks since the start of the machine: proc_pid_stat(5), field 22. `None`: there is no such process. A process
/// that reuses an id has another start time.
fn started_at(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may have blanks.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Whether a file belongs to the user of this process.
fn is_ours(metadata: &Metadata) -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == metadata.uid())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::*;

    /// Why: a killed query left its directory, with data of users, for ever.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the age of a directory is by the clock of the machine")]
    fn directories_of_ended_queries_are_removed_and_no_others() {
        let store = tempfile::tempdir().unwrap();
        let file = store.path().join("boxseat.duckdb");
        let random = uuid::Uuid::new_v4();
        let (space, pid) = (process_space(), std::process::id());
        let started = started_at(pid).unwrap();
        let name = |name: String| store.path().join(format!("boxseat.duckdb.{name}"));
        let directory = |made: String| {
            let path = name(made);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("duckdb_temp_storage-0.tmp"), "data").unwrap();
            path
        };
        let days_ago = |path: &Path| {
            let long_ago = SystemTime::now() - 2 * LONGEST_QUERY;
            File::open(path).unwrap().set_modified(long_ago).unwrap();
        };
        let ended = directory(format!("{space:x}-{pid}-{}-{}.spill", started + 1, random.simple()));
        let runs = directory(format!("{space:x}-{pid}-{started}-{}.spill", random.simple()));
        let elsewhere = directory(format!("{:x}-{pid}-{started}-{}.spill", space ^ 1, random.simple()));
        let older_version = directory(format!("{random}.spill"));
        let other = directory("notes.spill".to_owned());
        let kept = store.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "data").unwrap();
        let link = name(format!("{space:x}-{pid}-{}-{}.spill", started + 2, random.simple()));
        std::os::unix::fs::symlink(&kept, &link).unwrap();
        std::os::unix::fs::symlink(&kept, ended.join("link")).unwrap();
        remove_stale(&file);
        assert!(!ended.exists() && runs.exists() && elsewhere.exists() && older_version.exists());
        days_ago(&elsewhere);
        days_ago(&older_version);
        days_ago(&runs);
        remove_stale(&file);
        assert!(runs.exists(), "a long query still runs");
        assert!(!elsewhere.exists() && !older_version.exists());
        assert!(other.exists() && link.is_symlink() && kept.join("file").exists());
        let own = name_next_to("boxseat.duckdb");
        let owner = Owner::of(own.strip_prefix("boxseat.duckdb.").unwrap());
        assert_eq!(owner, Some(Owner::Process { space, pid, started }));
    }
}
