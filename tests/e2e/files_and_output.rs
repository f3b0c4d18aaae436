//! File permissions, targets of results, log lines, terminals, and texts of Box that contain a secret.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::Config;
use serde_json::json;

use crate::reclaim::stage::{Stage, small};
use crate::support::{World, bare, finish};

fn world() -> World {
    World::new(Config { users: 12, groups: 2, ..Config::default() })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn configure(world: &World, text: &str) {
    fs::write(world.directory().join("boxseat.toml"), text).unwrap();
}

/// Directories below a directory, itself included.
fn directories(root: &Path) -> Vec<std::path::PathBuf> {
    let below = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    std::iter::once(root.to_owned()).chain(below.flat_map(|path| directories(&path))).collect()
}

/// Why: with mode 0660 directories got 0770, and a member of the group replaced `state/reclaim`.
#[test]
fn a_publish_mode_that_lets_others_write_is_refused() {
    let world = world();
    for mode in ["0660", "0666", "0642", "0620"] {
        configure(&world, &format!("[publish]\nmode = \"{mode}\"\n"));
        for args in [&["sync"][..], &["publish"], &["report", "licences"]] {
            let refused = world.run(args);
            assert_eq!(refused.code, 2, "{mode} {args:?}\n{}", refused.stderr);
            assert!(refused.stderr.contains(mode) && refused.stderr.contains("0640"), "{}", refused.stderr);
        }
    }
    assert!(!world.store().exists());
}

#[test]
fn others_may_read_what_is_published_and_nothing_of_the_state() {
    let world = world();
    configure(&world, "[publish]\nmode = \"0644\"\n");
    world.ok(&["sync"]);
    world.ok(&["check"]);
    let store = world.store();
    assert_eq!(mode(&store), 0o755);
    for directory in directories(&store.join("lake")) {
        // Only boxseat reads the anchor of the journal.
        let expected = if directory.ends_with("_journal") { 0o750 } else { 0o755 };
        assert_eq!(mode(&directory), expected, "{}", directory.display());
    }
    assert_eq!(mode(&store.join("boxseat.duckdb")), 0o444);
    for directory in directories(&store.join("state")).iter().chain(&directories(&store.join("spool"))) {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    for name in ["store.json", "lock", "unneeded.json"] {
        assert_eq!(mode(&store.join("state").join(name)), 0o600, "{name}");
    }
}

/// Why: stores of an earlier version have such directories.
#[test]
fn a_state_that_others_could_write_is_closed_with_a_warning() {
    let stage = Stage::new(small(7), Intent::default());
    stage.plan();
    let state = stage.world.store().join("state");
    for args in [&["reclaim", "nightly"][..], &["sync"], &["publish"]] {
        for directory in [&state, &state.join("reclaim")] {
            fs::set_permissions(directory, Permissions::from_mode(0o770)).unwrap();
        }
        let done = stage.expect(&[0, 4], args);
        assert!(done.stderr.contains("state/reclaim (mode 0770)"), "{}", done.stderr);
        for directory in directories(&state) {
            assert_eq!(mode(&directory), 0o700, "{args:?} {}", directory.display());
        }
    }
}

/// Why: `-o /dev/null` replaced the device by a file when root ran it, and a report could replace a file of the lake.
#[test]
fn results_replace_nothing_but_regular_files_outside_the_data_of_the_store() {
    let stage = Stage::new(small(7), Intent::default());
    let (world, directory) = (&stage.world, stage.world.directory());
    let pipe = directory.join("pipe.parquet");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    symlink("/dev/null", directory.join("null.parquet")).unwrap();
    symlink(&pipe, directory.join("to-pipe.parquet")).unwrap();
    symlink(world.store().join("state"), directory.join("linked")).unwrap();
    fs::create_dir(directory.join("directory.parquet")).unwrap();
    fs::create_dir(directory.join("reports")).unwrap();
    symlink("/dev/null", directory.join("reports/idle.csv")).unwrap();
    let sql = "SELECT 1 AS a";
    for (target, named) in [
        ("pipe.parquet", "a pipe"),
        ("null.parquet", "a device"),
        ("to-pipe.parquet", "a pipe"),
        ("directory.parquet", "a directory"),
        ("store/lake/x.parquet", "data of the store"),
        ("store/lake/users/x.parquet", "data of the store"),
        ("store/state/reclaim/x.parquet", "data of the store"),
        ("store/spool/x.parquet", "data of the store"),
        ("store/boxseat.duckdb.parquet", "data of the store"),
        ("linked/x.parquet", "data of the store"),
    ] {
        for args in [
            &["query", "--save", target, sql][..],
            &["report", "licences", "-o", target],
            &["reclaim", "plan", "--stage", "suspend", "-o", target],
        ] {
            let refused = stage.run(args);
            assert_eq!(refused.code, 2, "{args:?}\n{}", refused.stderr);
            assert!(refused.stderr.contains(named), "{args:?}\n{}", refused.stderr);
            assert!(refused.stderr.contains(target), "{args:?}\n{}", refused.stderr);
        }
    }
    // Why: a report replaced the witness and the policy in use.
    for name in ["boxseat.toml", "policy.toml", "witness.log", "absent.csv"] {
        let target = directory.join(name);
        let config = "[reclaim]\npolicy = \"policy.toml\"\nwitness = \"witness.log\"\n[idle]\nleave_file = \"absent.csv\"\n";
        fs::write(directory.join("boxseat.toml"), config).unwrap();
        let before = fs::read(&target).ok();
        let refused = stage.run(&["report", "idle", "--format", "csv", "-o", name]);
        assert_eq!(refused.code, 2, "{name}\n{}", refused.stderr);
        assert!(refused.stderr.contains("which is in use"), "{name}\n{}", refused.stderr);
        assert_eq!(fs::read(&target).ok(), before, "{name}");
    }
    stage.write_policy();
    for target in ["/dev/null", "/dev/full", "store", "store/lake", "linked", "reports"] {
        for args in [&["report", "all", "-o", target][..], &["report", "idle", "-o", target]] {
            let refused = stage.run(args);
            assert_eq!(refused.code, 2, "{args:?}\n{}", refused.stderr);
            assert!(refused.stderr.contains(target), "{args:?}\n{}", refused.stderr);
        }
    }
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(!directory.join("reports/index.html").exists() && stage.plans().is_empty());
    fs::remove_file(directory.join("reports/idle.csv")).unwrap();
    symlink(directory.join("kept.csv"), directory.join("link.csv")).unwrap();
    for args in [
        &["report", "all", "-o", "reports"][..],
        &["report", "all", "-o", "reports"],
        &["report", "all", "-o", "store/reports"],
        &["report", "idle", "-o", "link.csv"],
        &["query", "--save", "new/out.parquet", sql],
        &["query", "--save", "new/out.parquet", sql],
    ] {
        stage.expect(&[0], args);
    }
}

/// Why: a report replaced the file of the client secret, and every later run failed.
#[test]
fn results_do_not_replace_files_of_credentials() {
    let stage = Stage::new(small(7), Intent::default());
    let directory = stage.world.directory();
    let credentials = directory.join("credentials");
    fs::create_dir(&credentials).unwrap();
    let files = [
        "secret",
        "actions-secret",
        "jwt.json",
        "actions-jwt.json",
        "authorities.pem",
        "credentials/boxseat-client-id",
        "credentials/of-another-program",
    ];
    for name in files {
        fs::write(directory.join(name), "content").unwrap();
    }
    symlink(directory.join("secret"), directory.join("to-secret")).unwrap();
    symlink(&credentials, directory.join("to-credentials")).unwrap();
    let run = |args: &[&str]| {
        let mut command = stage.world.command(args);
        command
            .env("BOXSEAT_CLIENT_SECRET_FILE", directory.join("secret"))
            .env("BOXSEAT_ACTIONS_CLIENT_SECRET_FILE", directory.join("actions-secret"))
            .env("BOXSEAT_JWT_CONFIG", "jwt.json")
            .env("BOXSEAT_ACTIONS_JWT_CONFIG", directory.join("actions-jwt.json"))
            .env("SSL_CERT_FILE", directory.join("authorities.pem"))
            .env("CREDENTIALS_DIRECTORY", &credentials);
        finish(command.output().unwrap())
    };
    let others =
        ["to-secret", "to-credentials/boxseat-client-id", "credentials/new.csv", "credentials/../secret"];
    for target in files.into_iter().chain(others) {
        let refused = run(&["report", "idle", "--format", "csv", "-o", target]);
        assert_eq!(refused.code, 2, "{target}\n{}", refused.stderr);
        assert!(refused.stderr.contains("which is in use"), "{target}\n{}", refused.stderr);
    }
    for args in [
        &["report", "all", "-o", "credentials"][..],
        &["query", "--save", "credentials/new.parquet", "SELECT 1 AS a"],
    ] {
        let refused = run(args);
        assert_eq!(refused.code, 2, "{args:?}\n{}", refused.stderr);
        assert!(refused.stderr.contains("which is in use"), "{args:?}\n{}", refused.stderr);
    }
    for name in files {
        assert_eq!(fs::read_to_string(directory.join(name)).unwrap(), "content", "{name}");
    }
    assert_eq!(fs::read_dir(&credentials).unwrap().count(), 2);
    let done = run(&["report", "idle", "--format", "csv", "-o", "secret.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

/// Why: each of these options showed the first line of any file that boxseat could read, such as the client secret.
#[test]
fn a_file_with_a_secret_is_not_shown_by_options_that_name_a_file() {
    let stage = Stage::new(small(7), Intent::default());
    let secret = stage.world.directory().join("secret");
    let file = secret.to_str().unwrap();
    for text in
        ["Zx9Secret\n", "-----BEGIN PRIVATE KEY-----\nZx9\n", "{\"clientSecret\": \"Zx9\"}\n", "a = Zx9\n"]
    {
        fs::write(&secret, text).unwrap();
        for (args, told) in [
            (&["--config", file, "status"][..], "is not valid"),
            (&["reclaim", "--policy", file, "plan"], "is not valid"),
            (&["reclaim", "--policy", file, "policy", "--check"], "is not valid"),
            (&["simulate", "--scenario", file], "is not valid"),
            (&["import", file], "is neither a User Details nor a User Engagement report"),
        ] {
            let done = stage.run(args);
            assert_eq!(done.code, 2, "{args:?}\n{}{}", done.stdout, done.stderr);
            let printed = format!("{}{}", done.stdout, done.stderr);
            assert!(printed.contains(told), "{args:?}\n{printed}");
            assert!(!printed.contains("Zx9") && !printed.contains("PRIVATE"), "{args:?}\n{printed}");
        }
    }
}

/// Why: the text of the lock replaced the content of the target of a planted link.
#[test]
fn a_lock_that_is_a_link_or_a_pipe_is_not_used() {
    let world = world();
    world.ok(&["sync"]);
    let lock = world.store().join("state/lock");
    let target = world.directory().join("target");
    fs::write(&target, "precious").unwrap();
    fs::remove_file(&lock).unwrap();
    for link in [&target, &world.directory().join("nothing")] {
        symlink(link, &lock).unwrap();
        for args in [&["sync"][..], &["publish"], &["verify"]] {
            let refused = world.run(args);
            assert_eq!(refused.code, 1, "{args:?}\n{}", refused.stderr);
            assert!(refused.stderr.contains("state/lock"), "{}", refused.stderr);
            assert!(refused.stderr.contains("symbolic link"), "{}", refused.stderr);
        }
        assert_eq!(world.run(&["status"]).code, 1, "the last sync failed");
        fs::remove_file(&lock).unwrap();
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(!world.directory().join("nothing").exists());
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    let refused = world.run(&["publish"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("state/lock is not a regular file"), "{}", refused.stderr);
    fs::remove_file(&lock).unwrap();
    world.ok(&["publish"]);
}

/// Why: two first syncs at the same time gave the store two identities.
#[test]
fn the_first_sync_holds_the_store_before_it_gives_it_an_identity() {
    let world = world();
    let state = world.store().join("state");
    fs::create_dir_all(&state).unwrap();
    let held = File::create(state.join("lock")).unwrap();
    held.lock().unwrap();
    let refused = world.run(&["sync"]);
    assert_eq!(refused.code, 75, "{}", refused.stderr);
    assert!(!state.join("store.json").exists());
    drop(held);
    world.ok(&["sync"]);
    assert!(state.join("store.json").exists());
}

/// Why: a cell with a line end made a separate log line with any content that its author chose.
#[test]
fn inputs_of_an_import_stay_in_their_log_line() {
    let world = world();
    world.ok(&["sync"]);
    let name = "report\nerror: forged by name\u{1b}[2J.csv";
    let report = "Email,Last Login\n\
         \"nobody\nerror: forged by cell\u{1b}[31m\u{202e}@acme.test\",2026-02-20 10:00:00 UTC\n\
         \"a@acme.test\",\"no\nerror: forged by date\r\u{1b}[0m\"\n";
    fs::write(world.directory().join(name), report).unwrap();
    for args in [&["import", name][..], &["-v", "import", name], &["import", "no\nerror: forged file"]] {
        let done = world.run(args);
        assert!(done.stderr.contains("forged"), "{args:?}\n{}", done.stderr);
        for line in done.stderr.lines() {
            assert!(!line.starts_with("error: forged"), "{args:?}\n{}", done.stderr);
        }
        let is_raw = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!done.stderr.contains(is_raw), "{args:?}\n{:?}", done.stderr);
    }
}

/// Runs a command with a terminal as its output. The program is part of util-linux.
#[cfg(target_os = "linux")]
fn on_a_terminal(world: &World, args: &[&str]) -> String {
    let command = world.command(args);
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap().replace('\'', r"'\''"));
    let words: Vec<String> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &words.join(" "), "/dev/null"]).env_clear();
    script.env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").current_dir(world.directory());
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap());
    }
    let done = finish(script.stdin(std::process::Stdio::null()).output().unwrap());
    assert_eq!(done.code, 0, "{args:?}\n{}\n{}", done.stdout, done.stderr);
    done.stdout
}

/// Why: a name could clear the screen, or reverse the text, when it was printed as CSV or JSON.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_gets_escapes_and_a_file_gets_the_text() {
    let world = world();
    world.ok(&["sync"]);
    let sql = "SELECT 'a' || chr(27) || '[2Jb' || chr(8238) || 'c' || chr(155) || 'd' AS name";
    for format in ["csv", "json", "table"] {
        let args = ["query", "--format", format, sql];
        let shown = on_a_terminal(&world, &args);
        let is_raw = |c: char| !matches!(c, '\r' | '\n') && (c.is_control() || c == '\u{202e}');
        assert!(!shown.contains(is_raw), "{format}\n{shown:?}");
        // A terminal without a width gets a table of narrow columns.
        assert!(shown.contains("202e") || format == "table", "{format}\n{shown:?}");
        assert!(!shown.contains("\\u{d}"), "{format}\n{shown:?}");
    }
    let csv = world.ok(&["query", "--format", "csv", sql]);
    assert_eq!(csv.stdout, "name\r\na\u{1b}[2Jb\u{202e}c\u{9b}d\r\n");
    assert_eq!(world.value(sql), "a\u{1b}[2Jb\u{202e}c\u{9b}d");
}

/// What the stand-in repeats.
#[derive(Clone, Copy, PartialEq)]
enum Repeats {
    /// The request for a token, in its refusal.
    TokenRequest,
    /// The header with the token, in refusals of the API.
    Header,
}

/// A Box that repeats what it got in its errors.
fn repeating(repeats: Repeats) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // The thread ends with the test process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(&stream, repeats));
        }
    });
    address
}

fn answer(stream: &TcpStream, repeats: Repeats) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut header, mut line) = (0, String::new(), String::new());
    reader.read_line(&mut line).ok()?;
    let is_token = line.contains("/oauth2/token");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => header = value.to_owned(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let (status, body) = match (is_token, repeats) {
        (true, Repeats::TokenRequest) => {
            (400, json!({ "error": "invalid_grant", "error_description": body }))
        }
        (true, Repeats::Header) => (200, json!({ "access_token": TOKEN, "expires_in": 3600 })),
        (false, _) => (
            400,
            json!({ "type": "error", "status": 400, "code": header, "message": header, "request_id": header }),
        ),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()
}

const TOKEN: &str = "token-that-is-a-secret";
const SECRET: &str = "se+cret&of/the=client";

/// Why: error texts of Box were printed unchanged, and a token endpoint or a gateway can repeat the request in them.
#[test]
fn an_error_that_repeats_the_request_shows_no_secret() {
    for (repeats, seen) in [(Repeats::TokenRequest, "invalid_grant"), (Repeats::Header, "Bearer [redacted]")]
    {
        let address = repeating(repeats);
        let directory = tempfile::tempdir().unwrap();
        for args in [&["check"][..], &["sync"], &["-vvv", "sync"]] {
            let mut command = bare(args, directory.path());
            command
                .env("BOXSEAT_STORE", directory.path().join("store"))
                .env("BOXSEAT_API_URL", format!("{address}/2.0"))
                .env("BOXSEAT_TOKEN_URL", format!("{address}/oauth2/token"))
                .env("BOXSEAT_CLIENT_ID", "the-client")
                .env("BOXSEAT_CLIENT_SECRET", SECRET)
                .env("BOXSEAT_ENTERPRISE_ID", "900");
            let done = finish(command.output().unwrap());
            assert_ne!(done.code, 0);
            let printed = done.stdout + &done.stderr;
            assert!(printed.replace('\n', " ").contains(seen), "{args:?}\n{printed}");
            for part in [TOKEN, SECRET, "se%2Bcret", "%26of%2F"] {
                assert!(!printed.contains(part), "{args:?}: {part}\n{printed}");
            }
        }
    }
}
