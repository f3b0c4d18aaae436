//! DuckDB as this crate opens it: with limits, offline, in UTC.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};

use super::ddl::literal;
use super::spill;
use crate::{Error, Result};

/// Resource limits of DuckDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Memory in MiB. Above it, DuckDB spills to disk. Default 1,024: a build of 11 million events stays below a third of it.
    pub memory_mib: u32,
    /// Threads for files with large tables; default 2.
    pub threads: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_mib: 1024, threads: 2 }
    }
}

/// Opens an empty database file ([`EMPTY`]) as the default catalog of a connection.
///
/// DuckDB opens files by their names, and another process may give the name to its own file. Macros in such a file would replace functions
/// of our SQL. So the connection is refused unless DuckDB has opened `file` itself and the file has no objects. SQL of the connection can
/// reach only this file.
///
/// The file has no write-ahead log while it is filled, because the next build removes the file of a killed build.
pub(super) fn create(file: &File, path: &Path, spill: &Path, resources: &Resources) -> Result<Connection> {
    let failed = || Error::duckdb(format!("create {}", path.display()));
    // Statements about small tables take longer on several threads.
    let config = offline(Config::default(), spill, resources, 1).map_err(failed())?;
    let connection = Connection::open_in_memory_with_flags(config).map_err(failed())?;
    let name = literal(&text_of(path).map_err(failed())?);
    let handles = || handles_of(file).map_err(Error::io("read", "/proc/self/fd"));
    let before = handles()?;
    connection
        .execute_batch(&format!(
            "SET TimeZone = 'UTC'; ATTACH {name} AS {CATALOG} (RECOVERY_MODE no_wal_writes);
             SET enable_external_access = false;"
        ))
        .map_err(failed())?;
    let objects: i64 = connection.query_row(OBJECTS, [CATALOG], |row| row.get(0)).map_err(failed())?;
    if handles()? <= before || objects > 0 {
        let reason = "another program replaced it while it was built".to_owned();
        return Err(Error::Foreign { file: path.to_owned(), reason });
    }
    connection.execute_batch(&format!("USE {CATALOG};")).map_err(failed())?;
    Ok(connection)
}

/// DuckDB gives each thread whole row groups of this many rows. Smaller tables are read by one thread.
const ROW_GROUP: i64 = 122_880;

/// Files from this size on are read by several threads: 1 million events take about 30 MB.
const LARGE_FILE: u64 = 32 * 1024 * 1024;

/// Lets DuckDB use all threads of `resources` from now on, if a table of the connection has more than one row group.
pub(super) fn use_threads(connection: &Connection, resources: &Resources) -> Result<()> {
    let failed = || Error::duckdb("set the number of threads");
    let largest: i64 = connection
        .query_row("SELECT coalesce(max(estimated_size), 0) FROM duckdb_tables()", [], |row| row.get(0))
        .map_err(failed())?;
    if largest > ROW_GROUP {
        connection.execute_batch(&format!("SET threads = {};", resources.threads.max(1))).map_err(failed())?;
    }
    Ok(())
}

/// Everything in a catalog that DuckDB did not put there itself.
const OBJECTS: &str = "
    SELECT count(*) FROM (
        SELECT database_name, internal FROM duckdb_tables()
        UNION ALL SELECT database_name, internal FROM duckdb_views()
        UNION ALL SELECT database_name, internal FROM duckdb_functions()
        UNION ALL SELECT database_name, internal FROM duckdb_types()
        UNION ALL SELECT database_name, internal FROM duckdb_schemas()
        UNION ALL SELECT database_name, false FROM duckdb_sequences()
    ) WHERE database_name = ? AND NOT internal";

/// A database file without any object, in the format of DuckDB 1.0, so that every version since can open it. DuckDB 1.5 wrote it; a test
/// compares it with what the linked version writes.
pub(super) const EMPTY: &[u8] = include_bytes!("empty.db");

/// The number of handles of this process that refer to a file: proc_pid_fd(5).
fn handles_of(file: &File) -> io::Result<usize> {
    let ours = file.metadata()?;
    let mut count = 0;
    for handle in fs::read_dir("/proc/self/fd")? {
        // A handle may be closed in the meantime, and the handle of the listing itself always is.
        let Ok(found) = fs::metadata(handle?.path()) else { continue };
        count += usize::from((found.dev(), found.ino()) == (ours.dev(), ours.ino()));
    }
    Ok(count)
}

/// Writes all data into the file and detaches it. The scratch tables of the connection stay.
pub(super) fn let_go(connection: &Connection, file: &Path) -> Result<()> {
    let failed = || Error::duckdb(format!("finish {}", file.display()));
    connection
        .execute_batch(&format!("CHECKPOINT {CATALOG}; USE memory; DETACH {CATALOG};"))
        .map_err(failed())?;
    match wals_of(file).into_iter().find(|log| log.exists()) {
        Some(log) => Err(Error::Bug(format!("{} still exists after the checkpoint", log.display()))),
        None => Ok(()),
    }
}

/// The paths of the write-ahead log of a DuckDB file. DuckDB uses the first name. Since version 1.5 it uses the other names while it writes
/// a checkpoint or recovers from one.
///
/// DuckDB replays any log that it finds next to a file, whichever program wrote it (measured with 1.1 to 1.5: the log of an analyst's
/// killed session was applied to the *new* snapshot). So a publish removes these logs before the rename.
pub(super) fn wals_of(database: &Path) -> [PathBuf; 3] {
    [".wal", ".wal.checkpoint", ".wal.recovery"].map(|ending| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

/// Skips the checkpoint at the end, because the file will be removed. The checkpoint would take half the time of a small build.
pub(super) fn abandon(connection: &Connection) -> Result<()> {
    connection
        .execute_batch("PRAGMA disable_checkpoint_on_shutdown;")
        .map_err(Error::duckdb("release a file that was only checked"))
}

/// Opens an existing database file to read, as the catalog [`PUBLISHED`]. `path` is its location, for the spill directory next to it. SQL
/// of the connection can reach nothing else on the machine and cannot change that.
///
/// DuckDB opens the file by its path in `/proc/self/fd` (proc_pid_fd(5)). It reads this file even if another file now has the name, and it
/// finds no write-ahead log next to it.
pub(crate) fn open_to_read(file: &File, path: &Path, resources: &Resources) -> duckdb::Result<Connection> {
    let absolute = text_of(path)?;
    spill::remove_stale(Path::new(&absolute));
    // The directory is created only when a query exceeds the memory.
    let spill = spill::name_next_to(&absolute);
    let is_large = file.metadata().is_ok_and(|file| file.len() > LARGE_FILE);
    let threads = if is_large { resources.threads } else { 1 };
    let config = offline(Config::default(), Path::new(&spill), resources, threads)?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    connection.execute_batch(&format!(
        "SET TimeZone = 'UTC'; ATTACH '/proc/self/fd/{}' AS {PUBLISHED} (READ_ONLY);
         SET enable_external_access = false; SET lock_configuration = true; USE {PUBLISHED};",
        file.as_raw_fd()
    ))?;
    Ok(connection)
}

/// The catalog of a file that is read. Other programs derive the same name from `boxseat.duckdb`.
const PUBLISHED: &str = "boxseat";

/// A path in the form that DuckDB accepts. The path is absolute, because DuckDB expands a leading `~` and reads `name:` at the beginning as
/// the name of an extension.
fn text_of(path: &Path) -> duckdb::Result<String> {
    let invalid = || duckdb::Error::InvalidPath(path.to_owned());
    let absolute = std::path::absolute(path).map_err(|_| invalid())?;
    absolute.into_os_string().into_string().map_err(|_| invalid())
}

fn offline(config: Config, spill: &Path, resources: &Resources, threads: u32) -> duckdb::Result<Config> {
    config
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("memory_limit", format!("{}MiB", resources.memory_mib))?
        .with("threads", threads.max(1).to_string())?
        .with("temp_directory", text_of(spill)?)
}

/// The catalog of the new file while it is built. Readers attach the file under their own names, so no stored object contains this name.
pub(super) const CATALOG: &str = "night";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn try_create(file: &File, path: &Path) -> Result<Connection> {
        create(file, path, &path.with_extension("spill"), &Resources::default())
    }

    fn write(path: &Path, bytes: &[u8]) -> File {
        fs::write(path, bytes).unwrap();
        File::options().read(true).write(true).open(path).unwrap()
    }

    /// A database that DuckDB creates, with these statements run in it.
    fn database(path: &Path, sql: &str) {
        let connection = Connection::open_in_memory().unwrap();
        let name = literal(path.to_str().unwrap());
        connection
            .execute_batch(&format!(
                "ATTACH {name} AS made (STORAGE_VERSION 'v1.0.0'); USE made; {sql}; USE memory; DETACH made;"
            ))
            .unwrap();
    }

    #[test]
    fn empty_db_equals_the_file_that_duckdb_writes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made");
        database(&path, "SELECT 1");
        assert!(fs::read(&path).unwrap() == EMPTY, "create empty.db again with the linked version of DuckDB");
        let ours = directory.path().join("ours");
        let file = write(&ours, EMPTY);
        let connection = try_create(&file, &ours).unwrap();
        connection.execute_batch("CREATE TABLE t AS SELECT 1 AS one").unwrap();
        let refused = connection.execute_batch("SELECT * FROM read_text('/etc/hostname')");
        assert!(refused.is_err(), "a build reads no other file");
        let_go(&connection, &ours).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no log is left");
    }

    /// Why: a file with macros was put in the place of the new file. The macros replaced functions of the build, and an active user was
    /// suspended.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "an attacker's renames need not last")]
    fn a_file_of_another_program_is_not_filled() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, other) = (directory.path().join("ours"), directory.path().join("other"));
        let file = write(&ours, EMPTY);
        database(&other, "SELECT 1");
        fs::rename(&other, &ours).unwrap();
        assert_eq!(try_create(&file, &ours).unwrap_err().kind(), ErrorKind::Foreign, "it took the name");
        for made in [
            "CREATE MACRO epoch_us(x) AS 0",
            "CREATE MACRO \"-\"(a, b) AS 42",
            "CREATE MACRO duckdb_functions() AS TABLE SELECT 'none' AS database_name, true AS internal",
            "CREATE TABLE users (user_id VARCHAR)",
            "CREATE VIEW events AS SELECT 1 AS one",
            "CREATE SCHEMA other",
            "CREATE TYPE kind AS ENUM ('one')",
            "CREATE SEQUENCE numbers",
        ] {
            let (file, path) = (directory.path().join("made"), directory.path().join("named"));
            database(&file, made);
            let bytes = fs::read(&file).unwrap();
            fs::remove_file(&file).unwrap();
            let file = write(&path, &bytes);
            assert_eq!(try_create(&file, &path).unwrap_err().kind(), ErrorKind::Foreign, "{made}");
        }
    }

    /// Why: a write-ahead log that existed only while DuckDB opened the file changed the rows that `repair` read from the file.
    #[test]
    fn a_log_next_to_a_file_that_is_read_is_not_applied() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made");
        database(&path, "CREATE TABLE t AS SELECT 1 AS one");
        fs::write(directory.path().join("made.wal"), "a log of another program").unwrap();
        let file = File::open(&path).unwrap();
        let connection = open_to_read(&file, &path, &Resources::default()).unwrap();
        let one: i64 = connection.query_row("SELECT one FROM boxseat.t", [], |row| row.get(0)).unwrap();
        assert_eq!(one, 1);
        assert!(directory.path().join("made.wal").exists());
    }
}
