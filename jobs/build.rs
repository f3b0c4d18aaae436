//! Tells the program where to look for DuckDB's library: beside itself once installed, else where the build found it.
#![expect(clippy::disallowed_methods, reason = "a build script is told everything through its environment")]

use std::env;
use std::path::Path;

#[path = "../output/libduckdb/link.rs"]
mod link;

fn main() {
    if link::bundled() {
        return;
    }
    // `make install` asks for the relative path alone. With the build's own path beside it an installed program would
    // go on working on the machine that built it, and nobody there would notice that the library was left out.
    println!("cargo::rerun-if-env-changed=BOXSEAT_RPATH");
    if env::var("BOXSEAT_RPATH").as_deref() == Ok("relative") {
        let beside = if link::for_apple() { "@loader_path/../lib" } else { "$ORIGIN/../lib" };
        link::search_at_run_time(Path::new(beside));
    } else if let Some(directory) = link::directory() {
        link::search_at_run_time(&directory);
    }
}
