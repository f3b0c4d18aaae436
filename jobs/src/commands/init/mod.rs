//! `boxseat init`: the first configuration, a test of the credentials, and the lines of a daily job.
//!
//! Order: all answers are checked; the environment file is written, unless it exists; the configuration is written. *Killed* before
//! the configuration: the same command starts again. Both files appear whole, and neither is ever replaced.

mod answers;
mod schedule;
mod text;

use std::io::{IsTerminal, stderr, stdin};
use std::path::{Path, PathBuf};
use std::process::Command;

use boxseat_storage::durable::{self, Access};
use nix::unistd::{Group, Uid, User, geteuid};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::{Format, Global, InitArgs, Scheduler};
use crate::config::{Settings, credentials, standard_files, variable};
use crate::error::CommandError;
use crate::printer::Printer;
use answers::{Answers, Questions, SignIn};
use schedule::{Machine, Schedule};

pub(crate) fn run(global: &Global, args: &InitArgs, printer: &Printer) -> Result<u8, CommandError> {
    if global.no_config {
        return Err(CommandError::usage("`init` writes a configuration: --no-config cannot be used with it"));
    }
    let user = geteuid();
    let asks = !args.no_input && stdin().is_terminal() && stderr().is_terminal();
    let (mut input, mut output) = (stdin().lock(), stderr());
    let questions = asks.then_some(Questions { input: &mut input, output: &mut output });
    let answers = Answers::of(global, args, user.is_root(), questions)?;
    let env_file = match &args.env_file {
        Some(file) => std::path::absolute(file)
            .map_err(|e| CommandError::usage("--env-file is not a path").because(e))?,
        None => answers.config_file.with_file_name("env"),
    };
    check_paths(&answers, &env_file)?;
    let text = text::configuration(&answers, &addresses());
    let global = Global {
        config: Some(answers.config_file.clone()),
        store: Some(answers.store.clone()),
        ..global.clone()
    };
    Settings::check_text("the new configuration", &text, &global)?;
    let machine = machine(user, args.schedule)?;

    if args.schedule == Scheduler::Cron {
        write_environment(&env_file, &answers, printer)?;
    }
    durable::write_new_file(&answers.config_file, text.as_bytes(), &access(user)).map_err(
        |e| match answers.config_file.symlink_metadata() {
            Ok(_) => answers::exists(&answers.config_file),
            Err(_) => CommandError::from(e).hint("--config names another file"),
        },
    )?;
    printer.note(format!("Wrote the configuration {}.", answers.config_file.display()));
    warn_of_files_found_before(&answers.config_file, printer);

    let is_of_this_user = match args.schedule {
        Scheduler::Cron => true,
        Scheduler::Systemd => !user.is_root(),
        Scheduler::Kubernetes => false,
    };
    let test = test(&global, &answers, is_of_this_user)?;
    let schedule = Schedule::of(args.schedule, &answers, &machine, &env_file);
    print(&global, printer, &answers, &env_file, args.schedule, &test, &schedule)?;
    Ok(if let Test::Done { exit_code, .. } = test { exit_code } else { 0 })
}

fn print(
    global: &Global,
    printer: &Printer,
    answers: &Answers,
    env_file: &Path,
    scheduler: Scheduler,
    test: &Test,
    schedule: &Schedule,
) -> Result<(), CommandError> {
    if let Test::Impossible(reason) = test {
        printer.note(format!(
            "The credentials were not tested: {reason}. When they are there: boxseat --config {} --store {} check",
            text::shell_word(&answers.config_file.to_string_lossy()),
            text::shell_word(&answers.store.to_string_lossy()),
        ));
    }
    if global.format == Format::Table {
        return printer.out(&format!("\n{}", schedule.plain()));
    }
    let check = match test {
        Test::Done { check, .. } => check.clone(),
        Test::Impossible(_) => Value::Null,
    };
    printer.facts(
        "init",
        &[
            ("config_file", json!(answers.config_file.to_string_lossy())),
            ("env_file", json!((scheduler == Scheduler::Cron).then(|| env_file.to_string_lossy()))),
            ("store", json!(answers.store.to_string_lossy())),
            ("check", check),
            ("schedule", schedule.json()),
        ],
    )
}

/// Paths go into files of other programs, which end at a line end and expect UTF-8.
fn check_paths(answers: &Answers, env_file: &Path) -> Result<(), CommandError> {
    let secret = match &answers.sign_in {
        SignIn::Jwt(file) => Some(file.as_path()),
        SignIn::Client { secret_file, .. } => secret_file.as_deref(),
        SignIn::Unnamed => None,
    };
    for path in [Some(answers.config_file.as_path()), Some(&answers.store), Some(env_file), secret]
        .into_iter()
        .flatten()
    {
        let is_usable = path.to_str().is_some_and(|text| !text.chars().any(char::is_control));
        if !is_usable {
            return Err(CommandError::usage(format!(
                "{:?} cannot be in a crontab or a unit: it is not UTF-8, or has a control character",
                path.display()
            ))
            .hint("name another path"));
        }
    }
    Ok(())
}

/// Addresses of the environment are those of a gateway or of a simulated Box. The job has another environment.
fn addresses() -> Vec<(&'static str, String)> {
    let named = [("api_url", "BOXSEAT_API_URL"), ("token_url", "BOXSEAT_TOKEN_URL")];
    named.into_iter().filter_map(|(key, name)| Some((key, variable(name)?))).collect()
}

fn write_environment(env_file: &Path, answers: &Answers, printer: &Printer) -> Result<(), CommandError> {
    let exists = || env_file.symlink_metadata().is_ok();
    let written =
        durable::write_new_file(env_file, text::environment(answers).as_bytes(), &Access::from(0o600));
    match written {
        Ok(()) => printer.note(format!("Wrote the environment file {}.", env_file.display())),
        Err(_) if exists() => printer.note(format!(
            "{} exists and was not changed. It must set: {}.",
            env_file.display(),
            text::variables(answers).iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        )),
        Err(e) => return Err(CommandError::from(e).hint("--env-file names another file")),
    }
    Ok(())
}

/// Who may read the configuration. It has prices and no secret. Root writes it for the user of the service.
fn access(user: Uid) -> Access {
    const SERVICE: &str = "boxseat";
    let has_group = || Group::from_name(SERVICE).ok().flatten().is_some();
    match user.is_root() {
        false => Access::from(0o640),
        true if has_group() => Access { mode: 0o640, group: Some(SERVICE.to_owned()) },
        true => Access::from(0o644),
    }
}

/// A file that commands without --config find first.
fn warn_of_files_found_before(config_file: &Path, printer: &Printer) {
    let standard = standard_files();
    let is_this = |file: &PathBuf| std::path::absolute(file).is_ok_and(|file| file == config_file);
    let before = standard.iter().take_while(|file| !is_this(file)).find(|file| file.exists());
    if let Some(before) = before {
        printer.note(format!("Here, a command without --config reads {}, not this file.", before.display()));
    } else if !standard.iter().any(is_this) {
        printer.note("Commands find this file by --config or BOXSEAT_CONFIG only.");
    }
}

/// The program and the user of the job.
fn machine(user: Uid, scheduler: Scheduler) -> Result<Machine, CommandError> {
    let program = std::env::current_exe()
        .map_err(|e| CommandError::failed("cannot find out the path of this program", e))?;
    let name = User::from_uid(user).ok().flatten().map_or_else(|| user.to_string(), |user| user.name);
    // A service has a user of its own; a crontab of root runs as root.
    let user = if user.is_root() && scheduler != Scheduler::Cron { "boxseat".to_owned() } else { name };
    Ok(Machine { program: launcher(&program).unwrap_or(program), user })
}

/// `make install` puts the program into PREFIX/libexec/boxseat/bin, and PREFIX/bin/boxseat starts it.
fn launcher(program: &Path) -> Option<PathBuf> {
    let prefix = program.ends_with("libexec/boxseat/bin/boxseat").then(|| program.ancestors().nth(4))??;
    Some(prefix.join("bin/boxseat")).filter(|launcher| launcher.exists())
}

/// The test of the credentials.
enum Test {
    /// Why there was none.
    Impossible(String),
    /// `boxseat check` and its result. `check` is JSON, or null if it was printed.
    Done { exit_code: u8, check: Value },
}

/// Runs `boxseat check` with the environment of the job, in a process of its own: credentials are read from the environment. If
/// another user will own the store, its directory is not made here: what root makes, the user of the service cannot write.
fn test(global: &Global, answers: &Answers, is_of_this_user: bool) -> Result<Test, CommandError> {
    if let Some(missing) = missing_credentials(answers) {
        return Ok(Test::Impossible(missing));
    }
    let rehearsal = std::env::temp_dir().join(format!("boxseat-init-{}", Uuid::new_v4()));
    let store = if is_of_this_user { &answers.store } else { &rehearsal };
    let program = std::env::current_exe()
        .map_err(|e| CommandError::failed("cannot find out the path of this program", e))?;
    let mut check = Command::new(program);
    check.arg("--config").arg(&answers.config_file).arg("--store").arg(store);
    check.args(["--format", if global.format == Format::Table { "table" } else { "json" }, "check"]);
    if let Some(now) = global.now {
        check.args(["--now", &now.to_rfc3339()]);
    }
    let others: &[&str] = match answers.sign_in {
        SignIn::Jwt(_) => &[
            "BOXSEAT_TOKEN",
            "BOXSEAT_TOKEN_FILE",
            "BOXSEAT_CLIENT_ID",
            "BOXSEAT_CLIENT_SECRET",
            "BOXSEAT_CLIENT_SECRET_FILE",
        ],
        SignIn::Client { secret_file: Some(_), .. } => {
            &["BOXSEAT_TOKEN", "BOXSEAT_TOKEN_FILE", "BOXSEAT_JWT_CONFIG", "BOXSEAT_CLIENT_SECRET"]
        }
        SignIn::Client { .. } | SignIn::Unnamed => &[],
    };
    others.iter().for_each(|name| _ = check.env_remove(name));
    let set = text::credential_variables(&answers.sign_in)
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    check.envs(set).envs(answers.enterprise_id.iter().map(|id| ("BOXSEAT_ENTERPRISE_ID", id)));
    let cannot = |e| CommandError::failed("cannot start `boxseat check`", e);
    let done = if global.format == Format::Table {
        check.status().map_err(cannot).map(|status| (status, Value::Null))
    } else {
        let output = check.stderr(std::process::Stdio::inherit()).output().map_err(cannot);
        output.map(|output| (output.status, serde_json::from_slice(&output.stdout).unwrap_or_default()))
    };
    if !is_of_this_user {
        durable::remove_directory(&rehearsal)?;
    }
    let (status, check) = done?;
    let exit_code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(crate::error::FAILED);
    Ok(Test::Done { exit_code, check })
}

/// What a test lacks.
fn missing_credentials(answers: &Answers) -> Option<String> {
    let absent = |file: &Path| (!file.exists()).then(|| format!("{} does not exist", file.display()));
    match &answers.sign_in {
        SignIn::Jwt(file) => absent(file),
        SignIn::Client { id: Some(_), secret_file: Some(file) } if answers.enterprise_id.is_some() => {
            absent(file)
        }
        SignIn::Client { secret_file: Some(_), .. } => {
            Some("client credentials also need BOXSEAT_CLIENT_ID and the enterprise id".to_owned())
        }
        SignIn::Client { .. } | SignIn::Unnamed => credentials().err().map(|e| e.lines().join(": ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_program_is_started_by_its_launcher() {
        let prefix = tempfile::tempdir().unwrap();
        let program = prefix.path().join("libexec/boxseat/bin/boxseat");
        assert_eq!(launcher(&program), None, "it was moved without its launcher");
        std::fs::create_dir(prefix.path().join("bin")).unwrap();
        std::fs::write(prefix.path().join("bin/boxseat"), "").unwrap();
        assert_eq!(launcher(&program), Some(prefix.path().join("bin/boxseat")));
        assert_eq!(launcher(Path::new("/usr/bin/boxseat")), None);
    }
}
