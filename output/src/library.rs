//! DuckDB's library: which one this process uses, and whether boxseat knows it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use boxseat_storage::digest::FileDigest;

/// The library that this process uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Library {
    /// DuckDB is compiled into the program (`make DUCKDB=bundled`).
    CompiledIn,
    /// The file has a digest of `libduckdb/SHA256SUMS`.
    Known(LibraryFile),
    /// The program was built with another library (`make DUCKDB=system`), which is not checked.
    Unchecked(LibraryFile),
    /// The program was built with a library of `libduckdb/SHA256SUMS`, and this file is not one of them.
    Unknown(LibraryFile),
}

/// A library in the memory of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryFile {
    /// Where the system's loader found it.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

impl Library {
    /// Finds the library in the list of files that this process has in its memory, and reads its digest.
    ///
    /// # Errors
    /// The list cannot be read (only Linux has it), or the file was replaced or removed since this process started.
    pub fn of_this_process() -> io::Result<Self> {
        if cfg!(feature = "bundled") {
            return Ok(Self::CompiledIn);
        }
        let path = mapped(&fs::read_to_string("/proc/self/maps")?).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no {FILE_NAME} in /proc/self/maps"))
        })?;
        // The loader follows links, so this is a regular file.
        let sha256 = FileDigest::of_file(&path)?.sha256;
        Ok(Self::compare(LibraryFile { path, sha256 }, IS_PREBUILT))
    }

    fn compare(file: LibraryFile, is_prebuilt: bool) -> Self {
        let is_known =
            SUMS.lines().any(|line| line.split_once("  ").is_some_and(|(sha256, _)| sha256 == file.sha256));
        match (is_known, is_prebuilt) {
            (true, _) => Self::Known(file),
            (false, true) => Self::Unknown(file),
            (false, false) => Self::Unchecked(file),
        }
    }
}

/// The version that DuckDB's library reports, such as `v1.5.6`.
///
/// # Errors
/// DuckDB cannot open a database in memory.
pub fn version() -> crate::Result<String> {
    let failed = || crate::Error::duckdb("read the version of DuckDB");
    duckdb::Connection::open_in_memory().and_then(|connection| connection.version()).map_err(failed())
}

/// The path of the library in the lines of `/proc/self/maps`. The kernel adds ` (deleted)` to a file that was replaced or removed; such
/// a path does not exist, or is not the file in memory, so it is returned with the addition.
fn mapped(maps: &str) -> Option<PathBuf> {
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    let is_library = |path: &&Path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.trim_end_matches(" (deleted)") == FILE_NAME)
    };
    paths.find(is_library).map(Path::to_owned)
}

const FILE_NAME: &str = "libduckdb.so";

/// The digests of DuckDB's own libraries, one line for each platform.
const SUMS: &str = include_str!("../libduckdb/SHA256SUMS");

/// Whether the build script compared the library with [`SUMS`].
const IS_PREBUILT: bool = option_env!("BOXSEAT_DUCKDB_IS_PREBUILT").is_some();

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sha256: &str) -> LibraryFile {
        LibraryFile { path: PathBuf::from("/usr/lib/boxseat/libduckdb.so"), sha256: sha256.to_owned() }
    }

    #[test]
    fn library_is_known_by_its_digest_alone() {
        let known = &SUMS[..64];
        let other = "0".repeat(64);
        assert_eq!(Library::compare(file(known), true), Library::Known(file(known)));
        assert_eq!(Library::compare(file(known), false), Library::Known(file(known)));
        assert_eq!(Library::compare(file(&other), true), Library::Unknown(file(&other)));
        assert_eq!(Library::compare(file(&other), false), Library::Unchecked(file(&other)));
    }

    #[test]
    fn path_of_the_library_may_have_blanks_and_a_replaced_file_is_named_as_such() {
        let maps = |path: &str| {
            format!(
                "7f00-7f01 r--p 00000000 08:01 12 /usr/lib/libc.so.6\n7f01-7f02 r-xp 00000000 08:01 13      {path}\n7f02-7f03 rw-p 0 00:00 0 [stack]\n"
            )
        };
        assert_eq!(mapped(&maps("/opt/a b/libduckdb.so")), Some(PathBuf::from("/opt/a b/libduckdb.so")));
        assert_eq!(
            mapped(&maps("/opt/libduckdb.so (deleted)")),
            Some(PathBuf::from("/opt/libduckdb.so (deleted)"))
        );
        assert_eq!(mapped(&maps("/opt/libduckdb.so.old")), None);
    }

    #[test]
    #[cfg(all(target_os = "linux", not(feature = "bundled")))]
    fn tests_use_a_library_of_the_build() {
        assert!(matches!(Library::of_this_process().unwrap(), Library::Known(_) | Library::Unchecked(_)));
        assert!(version().unwrap().starts_with("v1."), "{}", version().unwrap());
    }
}
