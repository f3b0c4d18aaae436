//! Tells the program where the build found DuckDB's library.
#![expect(clippy::disallowed_methods, reason = "a build script is told everything through its environment")]

#[path = "../output/libduckdb/link.rs"]
mod link;

fn main() {
    if link::bundled() {
        return;
    }
    // Taken by reference so that the question `jobs` alone asks is not unused here.
    let _ = link::for_apple;
    if let Some(directory) = link::directory() {
        link::search_at_run_time(&directory);
    }
}
