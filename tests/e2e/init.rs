//! `boxseat init`: a first configuration that the next command accepts, and a job that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use boxseat_simulator::Config;
use serde_json::Value;

use crate::support::{Done, World, bare, finish};

const TERMS: [&str; 10] = [
    "--seats-purchased",
    "80",
    "--cost-per-seat-monthly",
    "35.00",
    "--currency",
    "EUR",
    "--renewal-date",
    "2027-04-01",
    "--notice-by",
    "2027-01-31",
];

fn world() -> World {
    World::new(Config { users: 30, groups: 3, logins: Some(200), ..Config::default() })
}

fn config_of(world: &World) -> PathBuf {
    world.directory().join("etc/boxseat.toml")
}

/// `init` with the addresses of the simulated Box and no credentials.
fn init(world: &World, args: &[&str]) -> Command {
    let config = config_of(world);
    let mut command = bare(&["init", "--config"], world.directory());
    command.arg(config).arg("--store").arg(world.store()).args(args);
    command
        .env("BOXSEAT_API_URL", world.simulator.api_url())
        .env("BOXSEAT_TOKEN_URL", world.simulator.token_url())
        .env("BOXSEAT_NOW", world.simulator.now().to_rfc3339());
    command
}

/// The same with client credentials: the id in the environment, the secret in a file.
fn init_with_credentials(world: &World, secret: &str, args: &[&str]) -> Done {
    let file = world.directory().join("client secret");
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = world.simulator.config();
    let mut command = init(world, args);
    command.args(["--enterprise-id", &config.enterprise_id, "--client-secret-file"]).arg(file);
    finish(command.env("BOXSEAT_CLIENT_ID", &config.client_id).output().unwrap())
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Why: the second crontab line of the README had no path and no store, and did not run.
#[test]
fn the_written_configuration_is_accepted_and_the_printed_crontab_line_runs() {
    let world = world();
    let done = init_with_credentials(&world, &world.simulator.config().client_secret, &TERMS);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("boxseat can run here."), "the credentials are tested: {}", done.stdout);
    let env_file = world.directory().join("etc/env");
    assert_eq!((mode(&env_file), mode(&config_of(&world)) & 0o133), (0o600, 0), "only root makes it 0644");
    let text = fs::read_to_string(&env_file).unwrap() + &fs::read_to_string(config_of(&world)).unwrap();
    assert!(!text.contains(&world.simulator.config().client_secret), "{text}");

    // As cron starts it: in another folder, with an environment of its own.
    let line = done.stdout.lines().find_map(|line| line.strip_prefix("17 4 * * *  ")).unwrap();
    let mut cron = Command::new("/bin/sh");
    cron.args(["-c", line]).env_clear().current_dir("/");
    cron.env("BOXSEAT_NOW", world.simulator.now().to_rfc3339());
    let ran = finish(cron.env("BOXSEAT_RATE_CALLS_PER_MINUTE", "100000000").output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    let config = config_of(&world);
    let config = config.to_str().unwrap();
    let sql = "SELECT concat(seats_purchased, ' ', cost_per_seat_monthly, ' ', currency, ' ', renewal_date, ' ', notice_by_date) AS t FROM licence_terms";
    let rows = world.ok(&["--config", config, "--format", "csv", "query", sql]).stdout;
    assert_eq!(rows, "t\r\n80 35.0000 EUR 2027-04-01 2027-01-31\r\n");
    let check = world.ok(&["--config", config, "--format", "json", "check"]);
    let check: Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!((&check["ready"], &check["config_file"]), (&true.into(), &config.into()));
}

#[test]
fn init_overwrites_nothing() {
    let world = world();
    let (config, env_file) = (config_of(&world), world.directory().join("etc/env"));
    fs::create_dir(world.directory().join("etc")).unwrap();
    fs::write(&config, "# mine\n").unwrap();
    let done = finish(init(&world, &TERMS).output().unwrap());
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(done.stderr.contains("exists, and `init` never changes a configuration"), "{}", done.stderr);
    assert_eq!(fs::read_to_string(&config).unwrap(), "# mine\n");
    assert!(!env_file.exists() && !world.store().exists());
    // A link to nowhere is no free name either.
    fs::remove_file(&config).unwrap();
    std::os::unix::fs::symlink(world.directory().join("target.toml"), &config).unwrap();
    assert_eq!(finish(init(&world, &TERMS).output().unwrap()).code, 2);
    assert!(!world.directory().join("target.toml").exists());
    // The environment file of the operator stays.
    fs::remove_file(&config).unwrap();
    fs::write(&env_file, "# mine\n").unwrap();
    let done = finish(init(&world, &TERMS).output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("exists and was not changed. It must set: BOXSEAT_STORE, BOXSEAT_CONFIG."));
    assert_eq!(fs::read_to_string(&env_file).unwrap(), "# mine\n");
}

#[test]
fn init_writes_nothing_if_an_answer_cannot_be_used() {
    let world = world();
    for (args, told) in [
        (&["--cost-per-seat-monthly", "35.00"][..], "cost_per_seat_monthly = 35.0000 has no currency"),
        (&["--cost-per-seat-monthly", "35,00"], "is not an amount such as 35.00"),
        (&["--currency", "euro"], "three capital letters"),
        (&["--renewal-date", "2027-01-01", "--notice-by", "2027-02-01"], "is before notice_by"),
        (&["--enterprise-id", "acme"], "shows it as digits"),
        (&["--jwt-config", "two\nlines.json"], "has a control character"),
        (&["--client-secret", "Zx9Secret"], "unexpected argument '--client-secret'"),
    ] {
        let done = finish(init(&world, args).output().unwrap());
        assert_eq!(done.code, 2, "{args:?}\n{}", done.stderr);
        assert!(done.stderr.contains(told), "{told}\n{}", done.stderr);
    }
    let mut none = init(&world, &[]);
    assert_eq!(finish(none.env("BOXSEAT_API_URL", "http://192.0.2.7/2.0").output().unwrap()).code, 2);
    assert!(!world.directory().join("etc").exists() && !world.store().exists());
}

#[test]
fn init_tests_only_credentials_that_are_there() {
    let world = world();
    let done = finish(init(&world, &["--jwt-config", "jwt.json"]).output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("jwt.json does not exist. When they are there: boxseat --config "),
        "{}",
        done.stderr
    );
    assert_eq!(world.simulator.counts().calls, 0);
    let jwt = world.directory().join("jwt.json");
    let text = fs::read_to_string(world.directory().join("etc/env")).unwrap();
    assert!(text.contains(&format!("\nBOXSEAT_JWT_CONFIG={}\n", jwt.display())), "{text}");

    fs::remove_dir_all(world.directory().join("etc")).unwrap();
    let done = init_with_credentials(&world, "wrong", &[]);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("1 problem must be fixed first."), "{}", done.stdout);
    assert!(done.stdout.contains("17 4 * * *  ") && config_of(&world).exists(), "{}", done.stdout);
}

/// The store of a cluster, or of the user of a service, must not be made by the user that runs `init`.
#[test]
fn a_job_elsewhere_is_tested_without_making_its_store() {
    let world = world();
    let secret = world.simulator.config().client_secret.clone();
    let done = init_with_credentials(&world, &secret, &["--schedule", "kubernetes", "--format", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(said["init"]["check"]["ready"], true, "{said}");
    assert_eq!((&said["init"]["env_file"], world.store().exists()), (&Value::Null, false));
    let steps = said["init"]["schedule"]["steps"].to_string();
    assert!(steps.contains("--from-literal=boxseat-client-id="), "{steps}");
    assert!(!done.stdout.contains(&secret));

    fs::remove_dir_all(world.directory().join("etc")).unwrap();
    let done = finish(init(&world, &["--schedule", "systemd"]).output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let store = format!("\nReadWritePaths={}\n", world.store().display());
    assert!(
        done.stdout.contains(&store) && done.stdout.contains("OnCalendar=*-*-* 04:17:00 UTC"),
        "{}",
        done.stdout
    );
    assert!(!world.directory().join("etc/env").exists());
}
