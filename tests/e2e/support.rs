//! A simulated Box, a store, and the binary with a cleared environment.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use boxseat_simulator::{Config, Running, spawn_in_thread};
use serde_json::Value;

/// A Box and a store for one test.
pub(crate) struct World {
    pub(crate) simulator: Running,
    directory: tempfile::TempDir,
}

/// The result of a finished command.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let config = Config { calls_per_minute: None, ..config };
        Self { simulator: spawn_in_thread(config).unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The binary with the address of this world's Box; the clock is the simulated now.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let config = self.simulator.config();
        let mut command = bare(args, self.directory.path());
        command
            .env("BOXSEAT_STORE", self.store())
            .env("BOXSEAT_API_URL", self.simulator.api_url())
            .env("BOXSEAT_TOKEN_URL", self.simulator.token_url())
            .env("BOXSEAT_CLIENT_ID", &config.client_id)
            .env("BOXSEAT_CLIENT_SECRET", &config.client_secret)
            .env("BOXSEAT_ENTERPRISE_ID", &config.enterprise_id)
            .env("BOXSEAT_NOW", self.simulator.now().to_rfc3339())
            .env("BOXSEAT_RATE_CALLS_PER_MINUTE", "100000000");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        finish(self.command(args).output().unwrap())
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Done {
        let done = self.run(args);
        assert_eq!(done.code, 0, "boxseat {args:?}\n{}\n{}", done.stdout, done.stderr);
        done
    }

    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Starts the command and waits until it stops at a step; it continues when its standard input is closed.
    pub(crate) fn hold(&self, args: &[&str], step: &str) -> Child {
        hold(self.command(args), step)
    }

    /// Rows of a query, as objects.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<serde_json::Map<String, Value>> {
        let done = self.ok(&["query", "--format", "json", sql]);
        let mut answer: Value = serde_json::from_str(&done.stdout).unwrap();
        let Value::Array(rows) = answer["rows"].take() else { panic!("no rows in {}", done.stdout) };
        rows.into_iter()
            .map(|row| if let Value::Object(row) = row { row } else { panic!("{row} is no object") })
            .collect()
    }

    /// The only value of a query.
    #[track_caller]
    pub(crate) fn value(&self, sql: &str) -> Value {
        let rows = self.rows(sql);
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}");
        rows[0].values().next().unwrap().clone()
    }
}

/// Starts a command and waits until it stops at a step; it continues when its standard input is closed.
pub(crate) fn hold(mut command: Command, step: &str) -> Child {
    command.env("BOXSEAT_HOLDPOINT", step).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // Byte by byte, so that later output stays readable for the caller.
    let stderr = child.stderr.as_mut().unwrap();
    while !line.contains("holding at") || !line.ends_with('\n') {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{step} was never reached: {line}");
        line.push(char::from(byte[0]));
    }
    child
}

/// The binary with nothing in its environment.
pub(crate) fn bare(args: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boxseat"));
    command.args(args).env_clear().env("HOME", directory).current_dir(directory);
    command
}

/// Sends SIGTERM, like a machine that shuts down.
pub(crate) fn terminate(child: &Child) {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

pub(crate) fn finish(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
