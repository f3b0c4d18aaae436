//! `boxseat completions`: a script for the shell.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::error::CommandError;

pub(crate) fn run(args: &CompletionsArgs) -> Result<u8, CommandError> {
    clap_complete::generate(args.shell, &mut Cli::command(), "boxseat", &mut std::io::stdout());
    Ok(0)
}
