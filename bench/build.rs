//! Tells the program where the build found the library of DuckDB.
#![expect(clippy::disallowed_methods, reason = "a build script is told everything through its environment")]

#[path = "../output/libduckdb/link.rs"]
mod link;

fn main() {
    if link::bundled() {
        return;
    }
    // A reference, so that this function, which only `jobs` calls, is not unused here.
    let _ = link::for_apple;
    if let Some(directory) = link::directory() {
        link::search_at_run_time(&directory);
    }
}
