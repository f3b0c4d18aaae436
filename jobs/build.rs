//! Tells the program where to find the DuckDB library: next to the program after the installation, else where the build found it.
#![expect(clippy::disallowed_methods, reason = "a build script gets its parameters from the environment")]

use std::env;
use std::path::Path;

#[path = "../output/libduckdb/link.rs"]
mod link;

fn main() {
    if link::bundled() {
        return;
    }
    // `make install` requests only the relative path. With the path of the build in addition, an installed program would work on
    // the build machine even if the library was not installed.
    println!("cargo::rerun-if-env-changed=BOXSEAT_RPATH");
    if env::var("BOXSEAT_RPATH").as_deref() == Ok("relative") {
        let relative = if link::for_apple() { "@loader_path/../lib" } else { "$ORIGIN/../lib" };
        link::search_at_run_time(Path::new(relative));
    } else if let Some(directory) = link::directory() {
        link::search_at_run_time(&directory);
    }
}
