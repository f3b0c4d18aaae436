//! `boxseat --version -v`: what this program was built from.

use boxseat_output::library::{self, Library};

use crate::error::CommandError;
use crate::printer::Printer;

pub(crate) fn run(printer: &Printer) -> Result<u8, CommandError> {
    let library = match Library::of_this_process() {
        Ok(Library::CompiledIn) => "library: compiled into the program".to_owned(),
        Ok(Library::Known(file)) => in_file(&file, "known"),
        Ok(Library::Unchecked(file)) => {
            in_file(&file, "not checked, because the program was built with DUCKDB=system")
        }
        Ok(Library::Unknown(file)) => in_file(&file, "not known: run `boxseat check`"),
        Err(e) => format!("library: its digest cannot be read: {e}"),
    };
    printer.out(&format!(
        "boxseat {}\ncommit: {}\nDuckDB: {}\n{library}\n",
        env!("CARGO_PKG_VERSION"),
        // Recorded by `make dist` and `make install`. A development build would have to be linked again after each commit.
        option_env!("BOXSEAT_COMMIT").filter(|commit| !commit.is_empty()).unwrap_or("not recorded"),
        library::version()?,
    ))?;
    Ok(0)
}

fn in_file(file: &library::LibraryFile, verdict: &str) -> String {
    format!("library: {}\nSHA-256 of the library: {} ({verdict})", file.path.display(), file.sha256)
}
