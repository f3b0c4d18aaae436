//! Shared by the build scripts of `output` and `jobs`: the directory of DuckDB's library, and how executables find it.
//!
//! `libduckdb-sys` passes the library to the linker, but does not store the library's directory in the executable. Without that directory,
//! every `cargo test` would need `LD_LIBRARY_PATH`. Cargo applies the linker arguments of a build script only to the executables of the
//! script's own package, so both packages set them.

use std::env;
use std::path::{Path, PathBuf};

/// The directory in `DUCKDB_LIB_DIR`. If the environment does not set it, `.cargo/config.toml` does.
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
/// Uses `-Xlinker` instead of `-Wl,`, because `-Wl,` splits a path at a comma.
pub(crate) fn search_at_run_time(directory: &Path) {
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("unix") {
        for argument in ["-Xlinker", "-rpath", "-Xlinker", &directory.display().to_string()] {
            println!("cargo::rustc-link-arg={argument}");
        }
    }
}
