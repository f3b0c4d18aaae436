//! Sign-in with JWT, from the configuration file of Box's developer console to the token.

use std::path::PathBuf;
use std::process::Command;

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::{App, Config, Deed, Doer, Effect, Fault};
use serde_json::{Value, json};

use crate::reclaim::stage::{Stage, small};
use crate::support::{Done, World, finish};

const CLIENT: [&str; 3] = ["BOXSEAT_CLIENT_ID", "BOXSEAT_CLIENT_SECRET", "BOXSEAT_ENTERPRISE_ID"];

/// An enterprise whose applications sign in with JWT only.
fn world(config: Config) -> World {
    World::new(Config { users: 30, groups: 3, logins: Some(100), seed: 3, demands_jwt: true, ..config })
}

/// The configuration file of an application, after a change.
fn file(world: &World, name: &str, app: App, change: impl Fn(&mut Value)) -> PathBuf {
    let mut file: Value = serde_json::from_str(&world.simulator.config().jwt_config(app)).unwrap();
    change(&mut file);
    let path = world.directory().join(name);
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

/// The binary with this configuration file and without client credentials.
fn command(world: &World, args: &[&str], config: &PathBuf) -> Command {
    let mut command = world.command(args);
    for name in CLIENT {
        command.env_remove(name);
    }
    command.env("BOXSEAT_JWT_CONFIG", config);
    command
}

fn run(world: &World, args: &[&str], config: &PathBuf) -> Done {
    finish(command(world, args, config).output().unwrap())
}

/// Statuses of the token requests so far.
fn token_statuses(world: &World) -> Vec<u16> {
    let requests = world.simulator.requests();
    requests.iter().filter(|request| request.path == "/oauth2/token").map(|request| request.status).collect()
}

/// The beginning of every assertion: `{"alg":` in base64.
const ASSERTION: &str = "eyJhbGciOi";

/// No part of a configuration file that opens an account.
#[track_caller]
fn assert_shows_no_secret(world: &World, done: &Done) {
    let config = world.simulator.config();
    let printed = format!("{}{}", done.stdout, done.stderr);
    for secret in [config.client_secret.as_str(), "simulated-passphrase", "PRIVATE KEY-----", ASSERTION] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

#[test]
fn a_sync_signs_in_with_the_configuration_file_of_the_console() {
    let world = world(Config::default());
    let config = file(&world, "jwt.json", App::Reading, |_| {});
    let check = run(&world, &["check"], &config);
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    let shown = check.stdout.replace('\n', " ");
    for part in ["sign-in", "JWT of", "jwt.json", "simulated-client", "readkey1"] {
        assert!(shown.contains(part), "{part}: {}", check.stdout);
    }
    let sync = run(&world, &["-vvv", "sync"], &config);
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    assert_shows_no_secret(&world, &sync);
    assert_eq!(world.value("SELECT count(*) FROM users"), world.simulator.truth_without_events().users.len());
    assert_eq!(token_statuses(&world), [200, 200]);
    // This Box refuses client credentials.
    let client = world.run(&["sync"]);
    assert_eq!(client.code, 2);
    assert!(client.stderr.contains("grant type is unauthorized"), "{}", client.stderr);
}

/// Why: most machines with a wrong clock are a few minutes off, and Box accepts an assertion for one minute.
#[test]
fn a_wrong_clock_is_corrected_by_the_date_of_box() {
    for date_skew_secs in [-150, 150] {
        let world = world(Config { date_skew_secs, ..Config::default() });
        let config = file(&world, "jwt.json", App::Reading, |_| {});
        let sync = run(&world, &["sync"], &config);
        assert_eq!(sync.code, 0, "{date_skew_secs}: {}", sync.stderr);
        assert_eq!(token_statuses(&world), [400, 200], "{date_skew_secs}");
    }
}

/// Why: Box accepts a `jti` once, also if its response was lost. A repetition needs a new assertion.
#[test]
fn no_assertion_is_sent_twice() {
    let world = world(Config::default());
    let config = file(&world, "jwt.json", App::Reading, |_| {});
    let token = "/oauth2/token";
    world.simulator.add_fault(Fault::once(token, 1, Effect::DroppedAnswer));
    world.simulator.add_fault(Fault::throttle(token, 1, 1));
    world.simulator.add_fault(Fault::once(token, 1, Effect::HtmlAnswer { status: 502 }));
    let sync = run(&world, &["sync"], &config);
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    // The first and the third assertion were accepted. A second use would have been refused with 400.
    assert_eq!(token_statuses(&world), [0, 429, 502, 200]);
}

#[test]
fn a_refusal_names_the_step_in_the_developer_console() {
    let world = world(Config::default());
    let acting: Value = serde_json::from_str(&world.simulator.config().jwt_config(App::Acting)).unwrap();
    let settings = |name: &'static str, value: Value| {
        move |file: &mut Value| file["boxAppSettings"][name] = value.clone()
    };
    let auth = |name: &'static str, value: Value| {
        move |file: &mut Value| file["boxAppSettings"]["appAuth"][name] = value.clone()
    };
    let public_keys = "Add and Manage Public Keys";
    let refused = |change: &dyn Fn(&mut Value), calls: usize, parts: &[&str]| {
        let before = token_statuses(&world).len();
        let config = file(&world, "jwt.json", App::Reading, change);
        let done = run(&world, &["sync"], &config);
        assert_eq!(done.code, 2, "{parts:?}: {}", done.stderr);
        let printed = done.stderr.replace('\n', " ");
        for part in parts {
            assert!(printed.contains(part), "{part}: {}", done.stderr);
        }
        assert_shows_no_secret(&world, &done);
        assert_eq!(token_statuses(&world).len() - before, calls, "{parts:?}");
    };
    // Box refuses these.
    refused(&auth("publicKeyID", "unknown1".into()), 1, &["unable to verify", public_keys]);
    let other_key = acting["boxAppSettings"]["appAuth"]["privateKey"].clone();
    refused(&auth("privateKey", other_key), 1, &["unable to verify", public_keys]);
    refused(
        &settings("clientSecret", "wr0ng-s3cret".into()),
        1,
        &["invalid_client", "OAuth 2.0 Credentials"],
    );
    refused(&|file| file["enterpriseID"] = "7".into(), 1, &["'sub' claim", "General Settings"]);
    let not_authorised = json!({
        "error": "unauthorized_client",
        "error_description": "This app is not authorized by the enterprise admin",
    });
    world.simulator.add_fault(Fault::once(
        "/oauth2/token",
        1,
        Effect::Status { status: 400, retry_after: None, code: None, body: Some(not_authorised.to_string()) },
    ));
    refused(
        &|_| {},
        1,
        &["not authorized by the enterprise admin", "Review and Submit", "Platform Apps Manager"],
    );
    // boxseat refuses these before the first call.
    refused(
        &auth("passphrase", "wr0ng-passphrase".into()),
        0,
        &["jwt.json", "passphrase does not open", public_keys],
    );
    refused(&auth("passphrase", Value::Null), 0, &["there is no passphrase"]);
    refused(
        &auth("privateKey", "".into()),
        0,
        &["appAuth.privateKey is missing", "Generate a Public/Private Keypair"],
    );
    refused(&auth("publicKeyID", Value::Null), 0, &["appAuth.publicKeyID is missing"]);
    refused(&settings("clientID", Value::Null), 0, &["boxAppSettings.clientID is missing"]);
    refused(&|file| file["enterpriseID"] = "0".into(), 0, &["enterpriseID is missing", "General Settings"]);
    refused(&|file| *file = json!("s3cret"), 0, &["is not the JSON file", "line 1"]);
    let absent = world.directory().join("absent.json");
    let done = run(&world, &["sync"], &absent);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("cannot read the JWT configuration"), "{}", done.stderr);
}

#[test]
fn two_kinds_of_credentials_are_refused() {
    let world = world(Config::default());
    let config = file(&world, "jwt.json", App::Reading, |_| {});
    let refused = |names: &[(&str, &str)], expected: &str| {
        let mut command = command(&world, &["sync"], &config);
        let done = finish(command.envs(names.iter().copied()).output().unwrap());
        assert_eq!(done.code, 2, "{expected}: {}", done.stderr);
        let printed = done.stderr.replace('\n', " ");
        assert!(printed.contains(expected) && printed.contains("jwt.json"), "{expected}: {}", done.stderr);
    };
    refused(&[("BOXSEAT_CLIENT_ID", "a")], "both client credentials (BOXSEAT_CLIENT_ID) and");
    refused(
        &[("BOXSEAT_CLIENT_ID", "a"), ("BOXSEAT_CLIENT_SECRET_FILE", "b")],
        "both client credentials (BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET) and",
    );
    refused(&[("BOXSEAT_TOKEN", "t")], "both a developer token (BOXSEAT_TOKEN) and");
    refused(&[("BOXSEAT_ENTERPRISE_ID", "7")], "BOXSEAT_ENTERPRISE_ID is 7, but");
    let mut same = command(&world, &["check"], &config);
    let enterprise_id = &world.simulator.config().enterprise_id;
    let same = finish(same.env("BOXSEAT_ENTERPRISE_ID", enterprise_id).output().unwrap());
    assert_eq!(same.code, 0, "{}{}", same.stdout, same.stderr);
    let stray = finish(world.command(&["sync"]).env("BOXSEAT_JWT_USER_ID", "7").output().unwrap());
    assert_eq!(stray.code, 2);
    assert!(
        stray.stderr.contains("BOXSEAT_JWT_USER_ID is set, but BOXSEAT_JWT_CONFIG is not"),
        "{}",
        stray.stderr
    );
}

#[test]
fn a_user_can_be_the_subject() {
    let world = world(Config::default());
    let config = file(&world, "jwt.json", App::Reading, |_| {});
    let truth = world.simulator.truth_without_events();
    let admin = truth.users.iter().find(|user| user.role == "admin").unwrap();
    let mut check = command(&world, &["check"], &config);
    let check = finish(check.env("BOXSEAT_JWT_USER_ID", &admin.user_id).output().unwrap());
    let shown = check.stdout.replace('\n', " ");
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    assert!(shown.contains(&format!("user {}", admin.user_id)), "{}", check.stdout);
    let unknown =
        finish(command(&world, &["sync"], &config).env("BOXSEAT_JWT_USER_ID", "12").output().unwrap());
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.replace('\n', " ").contains("Generate user access tokens"), "{}", unknown.stderr);
}

/// A service of systemd with `LoadCredential` needs no variable.
#[test]
fn credentials_of_systemd_are_read_without_configuration() {
    let world = World::new(Config { users: 30, groups: 3, logins: Some(100), seed: 3, ..Config::default() });
    let config = world.simulator.config();
    let check = |files: &[(&str, &str)]| {
        let directory = tempfile::tempdir_in(world.directory()).unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let mut command = world.command(&["check"]);
        for name in CLIENT {
            command.env_remove(name);
        }
        finish(command.env("CREDENTIALS_DIRECTORY", directory.path()).output().unwrap())
    };
    let jwt = config.jwt_config(App::Reading);
    let done = check(&[("boxseat-jwt-config", &jwt)]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("boxseat-jwt-config"), "{}", done.stdout);
    let client = [
        ("boxseat-client-id", config.client_id.as_str()),
        ("boxseat-client-secret", config.client_secret.as_str()),
        ("boxseat-enterprise-id", config.enterprise_id.as_str()),
    ];
    let done = check(&client);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("client credentials of application"), "{}", done.stdout);
    let done = check(&[client[0], client[1], ("boxseat-jwt-config", &jwt)]);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.replace('\n', " ").contains("both client credentials"), "{}", done.stdout);
    assert_eq!(check(&[]).code, 2);
}

/// R22: an application that reads cannot change a user, and the other one acts.
#[test]
fn r22_reading_and_acting_applications_both_sign_in_with_jwt() {
    let stage = Stage::new(small(7), Intent::default());
    let world = &stage.world;
    let reading = file(world, "reading.json", App::Reading, |_| {});
    let acting = file(world, "acting.json", App::Acting, |_| {});
    let truth = stage.simulator().truth_without_events();
    let receiver = stage.intent.receiver.clone().unwrap();
    let login = |id: &str| truth.users.iter().find(|user| user.user_id == id).unwrap().login.clone().unwrap();
    let leaver = stage.idle(91).into_iter().find(|id| *id != receiver).unwrap();
    stage.give(&leaver, 5, 0);
    let (leaver_login, to) = (login(&leaver), login(&receiver));
    let both = |args: &[&str], change: &dyn Fn(&mut Command)| {
        let mut command = command(world, args, &reading);
        command.env("BOXSEAT_ACTIONS_JWT_CONFIG", &acting);
        change(&mut command);
        finish(command.output().unwrap())
    };
    let refused = |expected: &str, change: &dyn Fn(&mut Command)| {
        let done = both(&["check"], change);
        assert_eq!(done.code, 2, "{expected}: {}{}", done.stdout, done.stderr);
        assert!(done.stdout.replace('\n', " ").contains(expected), "{expected}: {}", done.stdout);
    };
    let of_another = file(world, "other.json", App::Acting, |file| file["enterpriseID"] = "7".into());
    refused("names enterprise 7, but", &|command| {
        command.env("BOXSEAT_ACTIONS_JWT_CONFIG", &of_another);
    });
    refused("both client credentials (BOXSEAT_ACTIONS_CLIENT_ID)", &|command| {
        command.env("BOXSEAT_ACTIONS_CLIENT_ID", "a");
    });
    let ready = both(&["check"], &|_| {});
    assert_eq!(ready.code, 0, "{}{}", ready.stdout, ready.stderr);
    for part in ["reading.json", "readkey1", "acting.json", "actkey01"] {
        assert!(ready.stdout.contains(part), "{part}: {}", ready.stdout);
    }
    let acted = |deed: &&Deed| matches!(deed.by, Doer::App(_));
    assert_eq!(stage.simulator().deeds().iter().filter(acted).count(), 0);
    let args = ["offboard", &leaver_login, "--transfer-to", &to, "--yes", "--confirm", &leaver_login];
    let done = both(&args, &|_| {});
    assert!([0, 4].contains(&done.code), "{}{}", done.stdout, done.stderr);
    let deeds = stage.simulator().deeds();
    assert!(deeds.iter().any(|deed| deed.user_id == leaver && deed.is_applied), "{deeds:?}");
    assert!(deeds.iter().filter(acted).all(|deed| deed.by == Doer::App(App::Acting)), "{deeds:?}");
}
