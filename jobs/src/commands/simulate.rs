//! `boxseat simulate`: runs the simulated Box until Ctrl-C.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use boxseat_simulator::{App, Config};
use boxseat_storage::toml_file::explain;

use crate::cli::{Global, SimulateArgs};
use crate::clock::data_clock;
use crate::error::CommandError;
use crate::printer::Printer;

pub(crate) async fn run(global: &Global, args: &SimulateArgs, printer: &Printer) -> Result<u8, CommandError> {
    let scenario = match &args.scenario {
        None => Config::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                CommandError::usage(format!("cannot read the scenario {}", path.display())).because(e)
            })?;
            toml::from_str(&text)
                .map_err(|e| explain(&format!("the scenario {}", path.display()), &text, &e))?
        }
    };
    let config = Config {
        users: args.users,
        groups: args.groups,
        logins: args.logins.or(scenario.logins),
        seed: args.seed,
        now: data_clock(global.now)(),
        listen: args.listen,
        calls_per_minute: (args.calls_per_minute > 0).then_some(args.calls_per_minute),
        demands_jwt: args.jwt.is_some() || scenario.demands_jwt,
        ..scenario
    };
    let sign_in = match &args.jwt {
        None => client_credentials(&config),
        Some(directory) => jwt(&config, directory)?,
    };
    let running = boxseat_simulator::start(config).await.map_err(|e| {
        CommandError::failed(format!("cannot listen on {}", args.listen), e)
            .hint("--listen 127.0.0.1:0 uses a free port")
    })?;
    let config = running.config();
    printer.out(&format!(
        "export BOXSEAT_API_URL={}\nexport BOXSEAT_TOKEN_URL={}\n{sign_in}",
        running.api_url(),
        running.token_url(),
    ))?;
    printer.note(format!(
        "A simulated Box with {} users is running; Ctrl-C stops it. Run the lines above in another shell, then: boxseat sync --now {}",
        config.users,
        running.now().format("%FT%TZ")
    ));
    printer.note(format!("State, counters, faults and time of the simulation: {}", running.control_url()));
    tokio::signal::ctrl_c().await.map_err(|e| CommandError::failed("cannot listen for Ctrl-C", e))?;
    running.shutdown().await;
    Ok(0)
}

/// The credentials of both applications, as lines for a shell.
fn client_credentials(config: &Config) -> String {
    format!(
        "export BOXSEAT_CLIENT_ID={}\nexport BOXSEAT_CLIENT_SECRET={}\nexport BOXSEAT_ACTIONS_CLIENT_ID={}\nexport BOXSEAT_ACTIONS_CLIENT_SECRET={}\nexport BOXSEAT_ENTERPRISE_ID={}\n",
        config.client_id,
        config.client_secret,
        config.actions_client_id,
        config.actions_client_secret,
        config.enterprise_id,
    )
}

/// Writes the JWT configuration files of both applications, and returns the lines for a shell that name them.
fn jwt(config: &Config, directory: &Path) -> Result<String, CommandError> {
    let write = |name: &str, app: App| -> Result<PathBuf, CommandError> {
        let path = std::path::absolute(directory.join(name)).map_err(|e| cannot_write(directory, e))?;
        // Like the real file, for the user alone: boxseat warns of another mode.
        let mut file = OpenOptions::new();
        let file = file.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(config.jwt_config(app).as_bytes()))
            .map_err(|e| cannot_write(&path, e))?;
        Ok(path)
    };
    let reading = write("boxseat-jwt-config.json", App::Reading)?;
    let acting = write("boxseat-actions-jwt-config.json", App::Acting)?;
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    Ok(format!(
        "export BOXSEAT_JWT_CONFIG={}\nexport BOXSEAT_ACTIONS_JWT_CONFIG={}\n",
        quoted(&reading),
        quoted(&acting)
    ))
}

fn cannot_write(path: &Path, error: std::io::Error) -> CommandError {
    CommandError::usage(format!("cannot write {}", path.display()))
        .because(error)
        .hint("--jwt takes a directory that exists")
}
