//! The acting account: odd responses of `GET /users/me`, and an enterprise of one user. The stand-in is a few lines, so that it can
//! return anything.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{Done, bare, finish};

/// A Box of one enterprise with the users given; the caller is whatever `me` is.
struct Loopback {
    address: String,
    directory: tempfile::TempDir,
}

struct Answers {
    me: (u16, String),
    users: Vec<Value>,
}

impl Loopback {
    fn new(me: (u16, String), users: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Answers { me, users });
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answers = Arc::clone(&answers);
                std::thread::spawn(move || answers.serve(&stream));
            }
        });
        Self { address, directory: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(args, self.directory.path());
        command
            .env("BOXSEAT_STORE", self.directory.path().join("store"))
            .env("BOXSEAT_API_URL", format!("{}/2.0", self.address))
            .env("BOXSEAT_TOKEN_URL", format!("{}/oauth2/token", self.address))
            .env("BOXSEAT_TOKEN", "developer")
            .env("BOXSEAT_SYNC_LOGIN_WINDOW_DAYS", "120")
            .env("BOXSEAT_SYNC_SETTLE_MINUTES", "0");
        command
    }

    fn run(&self, args: &[&str]) -> Done {
        finish(self.command(args).output().unwrap())
    }
}

impl Answers {
    fn serve(&self, stream: &TcpStream) {
        let mut lines = BufReader::new(stream).lines();
        let Some(Ok(request)) = lines.next() else { return };
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        let (status, body) = match path {
            "/2.0/users/me" => self.me.clone(),
            "/2.0/users" => {
                (200, json!({ "limit": 1000, "entries": self.users, "next_marker": null }).to_string())
            }
            "/2.0/events" => {
                (200, json!({ "chunk_size": 0, "next_stream_position": "1", "entries": [] }).to_string())
            }
            _ => (200, json!({ "total_count": 0, "entries": [], "offset": 0, "limit": 1000 }).to_string()),
        };
        let now: DateTime<Utc> = std::time::SystemTime::now().into();
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ndate: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            now.format("%a, %d %b %Y %H:%M:%S GMT"),
            body.len()
        );
        let mut stream = stream;
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    }
}

fn user(id: &str, login: &str, role: &str) -> Value {
    json!({ "type": "user", "id": id, "name": "Jo", "login": login, "role": role, "status": "active",
        "created_at": "2024-01-01T00:00:00-08:00", "enterprise": { "type": "enterprise", "id": "900" } })
}

/// Why: the first run against a free developer enterprise, with a developer token, was refused with advice about an application
/// that does not exist. An application that lists only its own users must still be refused.
#[test]
fn an_enterprise_of_one_user_is_read_and_an_application_on_its_own_is_refused() {
    let admin = user("7", "jo@acme.test", "admin");
    let with = |patch: Value| {
        let mut user = admin.clone();
        user.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        user
    };
    for (me, is_read) in [
        (admin.clone(), true),
        (with(json!({ "role": "user" })), false),
        (with(json!({ "role": "coadmin" })), false),
        (with(json!({ "role": null })), false),
        (with(json!({ "is_platform_access_only": true })), false),
        (with(json!({ "login": "AutomationUser_1_aB@boxdevedition.com" })), false),
    ] {
        let world = Loopback::new((200, me.to_string()), vec![me.clone()]);
        let (check, sync) = (world.run(&["check"]), world.run(&["sync"]));
        assert_eq!(check.code, if is_read { 0 } else { 2 }, "{me}\n{}", check.stdout);
        assert_eq!(sync.code, if is_read { 0 } else { 3 }, "{me}\n{}", sync.stderr);
        assert_eq!(sync.stderr.contains("App + Enterprise Access"), !is_read, "{me}\n{}", sync.stderr);
    }
    let other = Loopback::new(
        (200, user("9", "AutomationUser_1_aB@boxdevedition.com", "user").to_string()),
        vec![admin],
    );
    assert_eq!(other.run(&["sync"]).code, 0, "a service account that lists another user sees the enterprise");
}

/// Why: `check` read `/users/me` more strictly than `sync`, and did not report the other probes after that failure.
#[test]
fn check_reads_the_caller_as_sync_does_and_every_probe_reports() {
    let users = || vec![user("7", "jo@acme.test", "admin"), user("8", "al@acme.test", "user")];
    let me = user("7", "jo@acme.test", "admin").to_string();
    for odd in [
        r#""tracking_codes":{}"#,
        r#""created_at":"-0001-11-30T00:00:00-07:52""#,
        r#""space_used":1234.5"#,
        r#""phone":{}"#,
        r#""name":"Bot \ud83d""#,
        r#""is_sync_enabled":"yes""#,
    ] {
        let body = me.replacen('{', &format!("{{{odd},"), 1).replace(r#""name":"Jo","#, "");
        let world = Loopback::new((200, body), users());
        let (check, sync) = (world.run(&["check"]), world.run(&["sync"]));
        assert_eq!((check.code, sync.code), (0, 0), "{odd}\n{}\n{}", check.stdout, sync.stderr);
    }
    for (status, body) in [(200, "{}".to_owned()), (404, "{}".to_owned()), (403, "{}".to_owned())] {
        let world = Loopback::new((status, body), users());
        let check = world.run(&["check"]);
        assert_eq!(check.code, 2, "{status}\n{}", check.stdout);
        for probe in ["Manage users (list)", "Manage users (aliases)", "Manage groups (list)", "admin log"] {
            let line = check.stdout.lines().find(|line| line.contains(probe));
            assert!(line.is_some_and(|line| line.contains("ok")), "{status} {probe}\n{}", check.stdout);
        }
    }
}

/// Why: of a user with two records the first one won, so an admin on the second page counted as an ordinary user.
#[test]
fn a_user_that_is_listed_twice_with_another_role_is_rejected_by_name() {
    let admin = user("7", "jo@acme.test", "admin");
    let twice = || user("9", "li@acme.test", "user");
    let (one, other) = (user("8", "al@acme.test", "user"), user("8", "al@acme.test", "coadmin"));
    let world = Loopback::new((200, admin.to_string()), vec![admin, one, twice(), other, twice()]);
    let done = world.run(&["sync"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let value = |sql: &str| {
        let done = world.run(&["query", sql]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.stdout
    };
    let ids = value("SELECT string_agg(user_id, ' ' ORDER BY user_id) AS ids FROM users");
    assert!(ids.contains("7 9"), "{ids}");
    let rejects = value("SELECT count(*) || ' times: ' || min(reason) AS said FROM rejects");
    assert!(rejects.contains("2 times: the user is listed more than once"), "{rejects}");
}
