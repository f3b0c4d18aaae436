#![doc = include_str!("../README.md")]

mod backup;
mod calls;
mod cli;
mod clock;
mod commands;
mod config;
mod error;
mod evidence;
mod failpoint;
mod forget;
mod imports;
mod lake_witness;
mod last_sync;
mod ledger;
mod output_target;
mod printer;
mod published;
mod reclaim_context;
mod record_seals;
mod repair;
mod shared_pace;
mod stop;
mod store;
mod sync;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use cli::{Cli, Command, Format};
use error::CommandError;
use printer::Printer;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if e.kind() == ErrorKind::DisplayVersion && asks_for_details(std::env::args_os().skip(1)) => {
            return end(commands::version::run(&Printer::plain()), &Printer::plain());
        }
        Err(e) => {
            // clap prints help and version to stdout. They are not failures.
            let code = if e.use_stderr() { error::USAGE } else { 0 };
            let _ = e.print();
            return ExitCode::from(code);
        }
    };
    boxseat_storage::durable::keep_new_files_private();
    terminal::log_to_stderr(&cli.global);
    let printer = Printer::new(&cli.global);
    end(run(cli, &printer), &printer)
}

/// The exit code of a command. The message of an error goes to stderr.
fn end(done: Result<u8, CommandError>, printer: &Printer) -> ExitCode {
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            printer.error(&e);
            ExitCode::from(e.exit_code())
        }
    }
}

/// Whether arguments with `--version` also have `-v`. clap stops at `--version` and does not parse what follows.
fn asks_for_details(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.any(|argument| {
        let argument = argument.to_string_lossy();
        argument == "--verbose"
            || argument.starts_with('-') && !argument.starts_with("--") && argument.contains('v')
    })
}

fn run(cli: Cli, printer: &Printer) -> Result<u8, CommandError> {
    let Cli { global, command } = cli;
    if matches!(global.format, Format::Parquet | Format::Html) && !matches!(command, Command::Report(_)) {
        return Err(CommandError::usage("only `boxseat report` supports --format parquet and html")
            .hint("`boxseat query --save FILE.parquet` writes the rows of a query to Parquet"));
    }
    if global.format == Format::Markdown && !matches!(&command, Command::Reclaim(args) if args.is_show()) {
        return Err(CommandError::usage("only `boxseat reclaim show` supports --format markdown"));
    }
    match command {
        Command::Init(args) => commands::init::run(&global, &args, printer),
        Command::Sync(args) => on_runtime(commands::sync::run(&global, &args, printer)),
        Command::Replay(args) => commands::replay::run(&global, &args, printer),
        Command::Backup(args) => commands::backup::run(&global, &args, printer),
        Command::Restore(args) => commands::restore::run(&global, &args, printer),
        Command::Verify(args) => on_runtime(commands::verify::run(&global, &args, printer)),
        Command::Check(args) => on_runtime(commands::check::run(&global, &args, printer)),
        Command::Publish(args) => commands::publish::run(&global, &args, printer),
        Command::Repair(args) => commands::repair::run(&global, &args, printer),
        Command::Status(args) => commands::status::run(&global, &args, printer),
        Command::Report(args) => commands::report::run(&global, &args, printer),
        Command::Query(args) => commands::query::run(&global, &args, printer),
        Command::Import(args) => commands::import::run(&global, &args, printer),
        Command::Schema(args) => commands::schema::run(&args, printer),
        Command::Simulate(args) => on_runtime(commands::simulate::run(&global, &args, printer)),
        Command::Demo(args) => on_runtime(commands::demo::run(&global, &args, printer)),
        Command::Reclaim(args) => commands::reclaim::run(&global, &args, printer),
        Command::Offboard(args) => on_runtime(commands::offboard::run(&global, &args, printer)),
        Command::Forget(args) => on_runtime(commands::forget::run(&global, &args, printer)),
        Command::Completions(args) => commands::completions::run(&args, printer),
        Command::Man(args) => commands::man::run(&args, printer),
    }
}

pub(crate) fn on_runtime(
    command: impl Future<Output = Result<u8, CommandError>>,
) -> Result<u8, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::failed("cannot start the runtime", e))?;
    let done = runtime.block_on(command);
    // Disk work that is still running belongs to a command that has failed.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}
