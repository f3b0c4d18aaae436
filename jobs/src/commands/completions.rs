//! `boxseat completions`: prints a completion script.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::error::CommandError;
use crate::printer::Printer;

pub(crate) fn run(args: &CompletionsArgs, printer: &Printer) -> Result<u8, CommandError> {
    // Generated in memory, because clap panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "boxseat", &mut script);
    printer.out(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
