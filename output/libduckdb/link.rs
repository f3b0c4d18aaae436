//! Shared by the build scripts of `output` and `jobs`: the directory of DuckDB's library, and how executables find it.
//!
//! `libduckdb-sys` passes the library to the linker, but the executable does not get its directory. Without it, every `cargo test`
//! would need `LD_LIBRARY_PATH`. Cargo applies the linker arguments of a build script only to the executables of its own package,
//! not to those of dependent packages, so both packages set them.

use std::env;
use std::path::{Path, PathBuf};

/// The directory in `DUCKDB_LIB_DIR`, which `.cargo/config.toml` sets where the environment does not.
pub(crate) fn directory() -> Option<PathBuf> {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    env::var_os("DUCKDB_LIB_DIR").filter(|directory| !directory.is_empty()).map(PathBuf::from)
}

/// Whether DuckDB is compiled in (feature `bundled`), so that there is no library to find.
pub(crate) fn bundled() -> bool {
    env::var_os("CARGO_FEATURE_BUNDLED").is_some()
}

/// Whether the target is an Apple platform, which has another library extension and other loader variables.
pub(crate) fn for_apple() -> bool {
    env::var("CARGO_CFG_TARGET_VENDOR").as_deref() == Ok("apple")
}

/// Lets this package's executables look for the library in `directory`.
///
/// Four arguments of `-Xlinker` and not one of `-Wl,`: a comma in a path would cut `-Wl,` in two.
pub(crate) fn search_at_run_time(directory: &Path) {
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("unix") {
        for argument in ["-Xlinker", "-rpath", "-Xlinker", &directory.display().to_string()] {
            println!("cargo::rustc-link-arg={argument}");
        }
    }
}
