//! `boxseat man`: writes the manual pages.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::builder::Resettable;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::{Cli, ManArgs};
use crate::error::CommandError;
use crate::printer::Printer;

pub(crate) fn run(args: &ManArgs, printer: &Printer) -> Result<u8, CommandError> {
    let directory = &args.directory;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let pages = create(directory).and_then(|()| write(command, directory)).map_err(|e| {
        CommandError::failed(format!("cannot write manual pages into {}", directory.display()), e)
            .hint("name a directory that you may write into; only its last part may be missing")
    })?;
    printer.note(format!("{pages} manual pages in {}", directory.display()));
    Ok(0)
}

fn create(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) => readable(directory, 0o755),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Lets all users read a new file or directory. Other files of boxseat are private.
fn readable(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Writes the pages of a command and of the commands below it. Returns their number.
fn write(command: Command, directory: &Path) -> io::Result<usize> {
    let mut pages = 1;
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()).cloned() {
        pages += write(below, directory)?;
    }
    // The notes have columns. clap_mangen would join their lines.
    let notes = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command.after_help(Resettable::Reset)).manual("boxseat");
    let mut page = Vec::new();
    man.render(&mut page)?;
    if let Some(notes) = notes {
        page.extend_from_slice(unfilled("NOTES", &notes).as_bytes());
    }
    let path = directory.join(man.get_filename());
    fs::write(&path, page)?;
    readable(&path, 0o644)?;
    Ok(pages)
}

/// A section whose lines stay as they are.
fn unfilled(title: &str, text: &str) -> String {
    // `\&` at the start: a line that begins with a dot or an apostrophe would be a request of roff.
    let lines = text.lines().map(|line| format!("\\&{}\n", line.replace('\\', "\\e").replace('-', "\\-")));
    format!(".SH {title}\n.nf\n{}.fi\n", lines.collect::<String>())
}
