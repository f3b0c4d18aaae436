//! Credentials in the form in which editors, env files and secret stores write them.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use boxseat_simulator::Config;

use crate::support::{World, finish};

fn world() -> World {
    World::new(Config { users: 30, groups: 3, logins: Some(100), seed: 3, ..Config::default() })
}

/// Why: a secret with CR or a byte order mark at its ends led to "Box refused", and a token with LF to a network error of 14
/// minutes.
#[test]
fn line_ends_blanks_and_byte_order_marks_around_credentials_are_trimmed() {
    let world = world();
    let config = world.simulator.config();
    let file = world.directory().join("secret");
    for (before, after) in [("", "\n"), ("", "\r\n"), ("", "\r"), (" ", " \t"), ("\u{feff}", "\r\n")] {
        let around = |value: &str| format!("{before}{value}{after}");
        std::fs::write(&file, around(&config.client_secret)).unwrap();
        let run = |secret: (&str, &OsStr)| {
            let mut command = world.command(&["check"]);
            command
                .env("BOXSEAT_CLIENT_ID", around(&config.client_id))
                .env("BOXSEAT_ENTERPRISE_ID", around(&config.enterprise_id))
                .env_remove("BOXSEAT_CLIENT_SECRET")
                .env(secret.0, secret.1);
            let done = finish(command.output().unwrap());
            assert_eq!(done.code, 0, "{before:?} {after:?}\n{}{}", done.stdout, done.stderr);
        };
        run(("BOXSEAT_CLIENT_SECRET", OsStr::new(&around(&config.client_secret))));
        run(("BOXSEAT_CLIENT_SECRET_FILE", file.as_os_str()));
    }
}

#[test]
fn a_credential_that_cannot_be_one_is_named_before_the_first_call() {
    let world = world();
    let file = world.directory().join("secret");
    let utf16: Vec<u8> = "\u{feff}secret\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&file, utf16).unwrap();
    let odd: [&[u8]; 6] =
        [b"\"s3cret\"", b"'s3cret'", b"s3\ncret", b"s3cret\xff", "s3cret\u{200b}".as_bytes(), b" \r\n"];
    let refused = |name: &str, change: &dyn Fn(&mut Command)| {
        let mut command = world.command(&["sync"]);
        change(&mut command);
        let done = finish(command.output().unwrap());
        assert_eq!(done.code, 2, "{name}: {}", done.stderr);
        assert!(done.stderr.contains(name) && !done.stderr.contains("s3"), "{}", done.stderr);
    };
    for name in ["BOXSEAT_CLIENT_ID", "BOXSEAT_CLIENT_SECRET", "BOXSEAT_ENTERPRISE_ID"] {
        for value in odd {
            refused(name, &|command| {
                command.env(name, OsStr::from_bytes(value));
            });
        }
    }
    for value in odd {
        refused("BOXSEAT_TOKEN", &|command| {
            for name in ["BOXSEAT_CLIENT_ID", "BOXSEAT_CLIENT_SECRET", "BOXSEAT_ENTERPRISE_ID"] {
                command.env_remove(name);
            }
            command.env("BOXSEAT_TOKEN", OsStr::from_bytes(value));
        });
    }
    refused("BOXSEAT_CLIENT_SECRET_FILE", &|command| {
        command.env_remove("BOXSEAT_CLIENT_SECRET").env("BOXSEAT_CLIENT_SECRET_FILE", &file);
    });
    assert_eq!(world.simulator.counts().calls, 0);
}

/// Why: every user of the machine could read a secret, and no message said so.
#[test]
fn a_secret_that_others_can_read_is_named_once() {
    let world = world();
    let config = world.simulator.config();
    let credentials = world.directory().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let warnings = |file: &str, mode: u32, name: &str, value: &str| {
        let file = world.directory().join(file);
        std::fs::write(&file, &config.client_secret).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let mut command = world.command(&["check"]);
        command.env_remove("BOXSEAT_CLIENT_SECRET").env(name, world.directory().join(value));
        let done = finish(command.output().unwrap());
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        assert!(!done.stderr.contains(&config.client_secret), "{}", done.stderr);
        done.stderr.matches(&format!("chmod 600 {}", file.display())).count()
    };
    assert_eq!(warnings("secret", 0o600, "BOXSEAT_CLIENT_SECRET_FILE", "secret"), 0);
    assert_eq!(warnings("secret", 0o640, "BOXSEAT_CLIENT_SECRET_FILE", "secret"), 1);
    assert_eq!(warnings("secret", 0o644, "BOXSEAT_CLIENT_SECRET_FILE", "secret"), 1);
    let loaded = "credentials/boxseat-client-secret";
    assert_eq!(warnings(loaded, 0o444, "CREDENTIALS_DIRECTORY", "credentials"), 0);
}

/// Why: a setting that was not UTF-8 was skipped without a message, and the default replaced it: api.box.com.
#[test]
fn a_setting_that_is_not_text_is_refused() {
    let world = world();
    let mut command = world.command(&["sync"]);
    let done =
        finish(command.env("BOXSEAT_API_URL", OsStr::from_bytes(b"http://127.0.0.1/\xff")).output().unwrap());
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("BOXSEAT_API_URL is not UTF-8 text"), "{}", done.stderr);
}
