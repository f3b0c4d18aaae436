//! Stops the build with instructions if DuckDB's library is missing, and lets this package's tests find the library.
#![expect(clippy::disallowed_methods, reason = "a build script gets its input from the environment")]

use std::env;
use std::path::Path;
use std::process::Command;

#[path = "libduckdb/link.rs"]
mod link;

fn main() {
    if link::bundled() {
        return;
    }
    let Some(directory) = link::directory() else {
        return refuse("DUCKDB_LIB_DIR is not set");
    };
    let library = directory.join(library_name());
    println!("cargo::rerun-if-changed={}", library.display());
    if !library.exists() {
        return refuse(&format!("{} does not exist", library.display()));
    }
    // Only the library that `make libduckdb` fetches has a known digest. A library from another directory is not checked.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("libduckdb");
    println!("cargo::rerun-if-changed=libduckdb/SHA256SUMS");
    if directory.parent() == Some(ours.as_path()) {
        match Command::new(ours.join("check")).arg(&library).status() {
            Ok(status) if status.success() => println!("cargo::rustc-env=BOXSEAT_DUCKDB_IS_PREBUILT=yes"),
            Ok(_) => println!("cargo::error=DuckDB's library is not the one in output/libduckdb/SHA256SUMS"),
            Err(e) => println!("cargo::error=cannot check DuckDB's library: {e}"),
        }
    }
    link::search_at_run_time(&directory);
}

fn library_name() -> &'static str {
    if link::for_apple() {
        "libduckdb.dylib"
    } else if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("windows") {
        "duckdb.lib"
    } else {
        "libduckdb.so"
    }
}

fn refuse(what: &str) {
    println!(
        "cargo::error=DuckDB's library is missing: {what}. `make build` fetches DuckDB's own prebuilt one with npm; \
         `make DUCKDB=system build` uses the one in DUCKDB_LIB_DIR; `make DUCKDB=bundled build` compiles DuckDB in \
         (over an hour on two cores)."
    );
}
