//! Tells the program where to find the DuckDB library: in `lib/boxseat` next to its own directory, else where the build found it.
#![expect(clippy::disallowed_methods, reason = "a build script gets its parameters from the environment")]

use std::env;
use std::path::Path;

#[path = "../output/libduckdb/link.rs"]
mod link;

fn main() {
    // Read by `option_env!` for `boxseat --version -v`.
    println!("cargo::rerun-if-env-changed=BOXSEAT_COMMIT");
    if link::bundled() {
        return;
    }
    // `lib/boxseat` and not `lib`, because `lib` may have the libduckdb of another program in another version.
    let relative = if link::for_apple() { "@loader_path/../lib/boxseat" } else { "$ORIGIN/../lib/boxseat" };
    link::search_at_run_time(Path::new(relative));
    // `make install` and `make dist` request only the relative path. With the path of the build in addition, an installed program would
    // work on the build machine even if the library was not installed.
    println!("cargo::rerun-if-env-changed=BOXSEAT_RPATH");
    if env::var("BOXSEAT_RPATH").as_deref() != Ok("relative")
        && let Some(directory) = link::directory()
    {
        link::search_at_run_time(&directory);
    }
}
