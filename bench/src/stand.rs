//! The simulator in a separate process, so that its memory and its time do not count as boxseat's.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use boxseat_simulator::{Config, Counts, spawn_in_thread};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A running simulator. Dropping it ends its process.
pub(crate) struct Stand {
    child: Child,
    pub(crate) config: Config,
    pub(crate) at: Addresses,
}

/// The addresses that the simulator listens on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) api_url: String,
    pub(crate) token_url: String,
    pub(crate) control_url: String,
}

impl Stand {
    /// Starts this program again as a simulator that serves from one thread.
    pub(crate) fn start(config: Config) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .arg(serde_json::to_string(&config)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("asked for above")).read_line(&mut line)?;
        let at = serde_json::from_str(&line).map_err(|e| {
            let _ = child.kill();
            format!("the stand-in did not start: {e}")
        })?;
        Ok(Self { child, config, at })
    }

    /// `boxseat` with only the addresses and credentials of this simulator in its environment. Its clock is the simulated now.
    pub(crate) fn command(&self, boxseat: &Path, store: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(boxseat);
        command
            .args(args)
            .env_clear()
            .env("HOME", store.parent().unwrap_or(store))
            .env("BOXSEAT_STORE", store)
            .env("BOXSEAT_API_URL", &self.at.api_url)
            .env("BOXSEAT_TOKEN_URL", &self.at.token_url)
            .env("BOXSEAT_CLIENT_ID", &self.config.client_id)
            .env("BOXSEAT_CLIENT_SECRET", &self.config.client_secret)
            .env("BOXSEAT_ENTERPRISE_ID", &self.config.enterprise_id)
            .env("BOXSEAT_NOW", self.config.now.to_rfc3339())
            .env("BOXSEAT_RATE_CALLS_PER_MINUTE", UNTHROTTLED.to_string());
        command
    }

    /// Calls so far, as Box would count them.
    pub(crate) async fn counts(&self, http: &reqwest::Client) -> Result<Counts> {
        let answer = http.get(format!("{}/counts", self.at.control_url)).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// Sends a request to the control routes; an empty `body` is no body.
    pub(crate) async fn post(&self, http: &reqwest::Client, path: &str, body: &'static str) -> Result<()> {
        let request = http.post(format!("{}/{path}", self.at.control_url));
        request.header("content-type", "application/json").body(body).send().await?.error_for_status()?;
        Ok(())
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until the parent process has ended.
pub(crate) fn serve(config: &str) -> Result<()> {
    let running = spawn_in_thread(serde_json::from_str(config)?)?;
    let at = Addresses {
        api_url: running.api_url(),
        token_url: running.token_url(),
        control_url: running.control_url(),
    };
    println!("{}", serde_json::to_string(&at)?);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    running.shutdown_blocking();
    Ok(())
}

/// An enterprise without a rate limit and with the unusual data of the simulator's default. All its events are in the period
/// that the first run reads.
pub(crate) fn enterprise(users: u32, groups: u32, logins: u64) -> Config {
    Config {
        users,
        groups,
        logins: Some(logins),
        login_days: 182,
        calls_per_minute: None,
        record_requests: 0,
        ..Config::default()
    }
}

/// A rate limit that no run reaches.
pub(crate) const UNTHROTTLED: u32 = 600_000_000;
