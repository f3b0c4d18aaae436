//! The program itself: its version, the library that it uses, its manual pages.

use std::collections::BTreeSet;
use std::path::Path;

use boxseat_simulator::Config;

use crate::support::{World, bare, finish};

#[test]
fn verbose_version_names_commit_duckdb_and_library() {
    let directory = tempfile::tempdir().unwrap();
    for args in [&["--version", "-v"][..], &["-v", "--version"], &["-Vv"], &["--verbose", "-V"]] {
        let done = finish(bare(args, directory.path()).output().unwrap());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        let lines: Vec<&str> = done.stdout.lines().collect();
        assert_eq!(lines[0], format!("boxseat {}", env!("CARGO_PKG_VERSION")), "{args:?}");
        assert!(lines[1].starts_with("commit: "), "{}", done.stdout);
        assert!(lines[2].starts_with("DuckDB: v1.5."), "{}", done.stdout);
        assert!(lines[3].starts_with("library: "), "{}", done.stdout);
    }
    for args in ["--version", "-V"] {
        let done = finish(bare(&[args], directory.path()).output().unwrap());
        assert_eq!(done.stdout, format!("boxseat {}\n", env!("CARGO_PKG_VERSION")));
    }
}

/// Why: a library that was exchanged would read the secrets of the process.
#[test]
#[cfg(all(target_os = "linux", not(feature = "bundled")))]
fn check_stops_before_the_credentials_if_the_library_is_another_one() {
    let library = Path::new(env!("DUCKDB_LIB_DIR")).join("libduckdb.so");
    if !env!("DUCKDB_LIB_DIR").ends_with("output/libduckdb/lib") {
        // Built with DUCKDB=system, where every library is accepted.
        return;
    }
    let world = World::new(Config { users: 20, groups: 2, ..Config::default() });
    let other = world.directory().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut bytes = std::fs::read(library).unwrap();
    bytes.push(0);
    std::fs::write(other.join("libduckdb.so"), bytes).unwrap();

    let done = finish(world.command(&["check"]).env("LD_LIBRARY_PATH", &other).output().unwrap());
    assert_eq!(done.code, 2, "{}", done.stderr);
    let said = done.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("FAILED") && said.contains("everything else"), "{}", done.stdout);
    assert!(!done.stdout.contains("sign-in"), "{}", done.stdout);
    assert!(!world.store().exists(), "the check went on to the store");

    let version =
        bare(&["--version", "-v"], world.directory()).env("LD_LIBRARY_PATH", &other).output().unwrap();
    assert!(finish(version).stdout.contains("(not known: run `boxseat check`)"));

    let done = world.ok(&["check", "--format", "json"]);
    let findings: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(findings["check"][0]["name"], "DuckDB's library");
    assert_eq!(findings["check"][0]["result"], "ok");
}

#[test]
fn man_writes_a_page_for_every_command() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| finish(bare(args, directory.path()).output().unwrap());
    for _ in 0..2 {
        assert_eq!(run(&["man", "man1"]).code, 0);
    }
    let pages: BTreeSet<String> = std::fs::read_dir(directory.path().join("man1"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for prefix in ["", "reclaim"] {
        let help = run(&[prefix, "--help"][usize::from(prefix.is_empty())..]).stdout;
        let (_, commands) = help.split_once("Commands:\n").unwrap();
        let commands = commands.lines().take_while(|line| !line.is_empty());
        let names = commands
            .filter(|line| !line.starts_with("   "))
            .map(|line| line.split_whitespace().next().unwrap());
        let dash = if prefix.is_empty() { "" } else { "-" };
        for name in names.filter(|name| *name != "help") {
            assert!(pages.contains(&format!("boxseat{dash}{prefix}-{name}.1")), "no page of {prefix} {name}");
        }
    }
    let page = directory.path().join("man1/boxseat.1");
    // Other users read manual pages.
    assert_eq!(std::fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o644);
    let text = std::fs::read_to_string(page).unwrap();
    // Columns of the notes stay columns.
    assert!(text.contains(".SH NOTES\n.nf\n\\&Credentials come from"), "{text}");
    assert_eq!(run(&["man", "missing/man1"]).code, 1);
}
