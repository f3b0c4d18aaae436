//! DuckDB as this crate opens it: with limits, offline, in UTC.

use std::path::{Path, PathBuf};

use duckdb::{AccessMode, Config, Connection};

use super::ddl::literal;
use crate::{Error, Result};

/// Resource limits of DuckDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Memory in MiB. Above it, DuckDB spills to disk. Default 1,024: a build of 11 million events stays below a third of it.
    pub memory_mib: u32,
    /// Threads; default 2.
    pub threads: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_mib: 1024, threads: 2 }
    }
}

/// A new database file, as the default catalog of a connection.
///
/// The file is written in the format of DuckDB 1.0, so that every version since can open it.
pub(super) fn create(file: &Path, spill: &Path, resources: &Resources) -> Result<Connection> {
    let failed = || Error::duckdb(format!("create {}", file.display()));
    let config = offline(Config::default(), spill, resources).map_err(failed())?;
    let connection = Connection::open_in_memory_with_flags(config).map_err(failed())?;
    let path = literal(&text_of(file).map_err(failed())?);
    connection
        .execute_batch(&format!(
            "SET TimeZone = 'UTC'; ATTACH {path} AS {CATALOG} (STORAGE_VERSION 'v1.0.0'); USE {CATALOG};"
        ))
        .map_err(failed())?;
    Ok(connection)
}

/// Writes everything into the file itself and detaches it. The relations of the connection next to the file stay.
pub(super) fn let_go(connection: &Connection, file: &Path) -> Result<()> {
    let failed = || Error::duckdb(format!("finish {}", file.display()));
    connection
        .execute_batch(&format!("CHECKPOINT {CATALOG}; USE memory; DETACH {CATALOG};"))
        .map_err(failed())?;
    match wals_of(file).into_iter().find(|log| log.exists()) {
        Some(log) => Err(Error::Bug(format!("{} is still there after the checkpoint", log.display()))),
        None => Ok(()),
    }
}

/// The paths of the write-ahead log of a DuckDB file. DuckDB uses the first name. Since version 1.5 it uses the other names while it writes
/// a checkpoint or recovers from one.
///
/// DuckDB replays any log that it finds next to a file, whichever program wrote it (measured with 1.1 to 1.5: the log of an analyst's killed
/// session was applied to the *new* snapshot). So a publish removes them before it renames.
pub(super) fn wals_of(database: &Path) -> [PathBuf; 3] {
    [".wal", ".wal.checkpoint", ".wal.recovery"].map(|ending| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

/// Leaves the file as it is, because it will be removed. Writing all of it once more would take half the time of a small build.
pub(super) fn abandon(connection: &Connection) -> Result<()> {
    connection
        .execute_batch("PRAGMA disable_checkpoint_on_shutdown;")
        .map_err(Error::duckdb("let go of a file that was only checked"))
}

/// Opens an existing database file to read. Its SQL can reach nothing else on the machine, and SQL cannot change that.
pub(crate) fn open_to_read(file: &Path, resources: &Resources) -> duckdb::Result<Connection> {
    let file = text_of(file)?;
    // A name of this process. The directory is created only when a query exceeds the memory.
    let spill = format!("{file}.{}.spill", std::process::id());
    let config = offline(Config::default(), Path::new(&spill), resources)?
        .access_mode(AccessMode::ReadOnly)?
        .enable_external_access(false)?;
    let connection = Connection::open_with_flags(&file, config)?;
    connection.execute_batch("SET TimeZone = 'UTC'; SET lock_configuration = true;")?;
    Ok(connection)
}

/// A path in the form that DuckDB accepts. The path is absolute, because DuckDB expands a leading `~` and reads `name:` at the beginning as
/// the name of an extension.
fn text_of(path: &Path) -> duckdb::Result<String> {
    let invalid = || duckdb::Error::InvalidPath(path.to_owned());
    let absolute = std::path::absolute(path).map_err(|_| invalid())?;
    absolute.into_os_string().into_string().map_err(|_| invalid())
}

fn offline(config: Config, spill: &Path, resources: &Resources) -> duckdb::Result<Config> {
    config
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("memory_limit", format!("{}MiB", resources.memory_mib))?
        .with("threads", resources.threads.max(1).to_string())?
        .with("temp_directory", text_of(spill)?)
}

/// The catalog of the new file while it is built. Readers attach the file under their own names, so no stored object contains this name.
pub(super) const CATALOG: &str = "night";
