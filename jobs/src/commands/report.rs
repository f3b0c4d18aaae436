//! `boxseat report`: figures of the published snapshot or of an earlier one.

use std::path::{Path, PathBuf};

use boxseat_output::report::html::{self, People};
use boxseat_output::report::{self, Ask, Name, Report, Source, format};
use boxseat_output::warehouse::Checked;
use boxseat_storage::durable::{self, Access};
use chrono::NaiveDate;
use uuid::Uuid;

use crate::cli::{Format, Global, ReportArgs, ReportName};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::output_target::{check_directory, check_output};
use crate::printer::Printer;
use crate::published::check_to_read;
use crate::store::Store;
use crate::sync::build_as_of;

pub(crate) fn run(global: &Global, args: &ReportArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load_to_read(global)?;
    let target = Target::of(global, args)?;
    target.probe(&settings)?;
    let ask = ask(&settings, args);
    let people = if args.people { People::Named } else { People::LeftOut };
    let snapshot = Snapshot::of(&settings, args.as_of)?;
    let source = snapshot.source(&settings)?;
    match (name(args.name), &target) {
        (None, Target::Directory(directory)) => {
            let reports = report::all(&source, &ask)?;
            write_all(&reports, directory, people, &settings.access)?;
            printer.note(format!("{} reports in {}; the page is {PAGE}", reports.len(), directory.display()));
        }
        (Some(name), Target::Stdout(format)) => {
            let report = report::compute(&source, name, &ask)?;
            printer.out(&text(&report, *format, people, printer.width())?)?;
        }
        (Some(name), Target::File(file, Format::Parquet)) => {
            let report = report::compute(&source, name, &ask)?;
            format::write_parquet(&report, file, &settings.access)?;
            printer.note(format!("{} in {}", name.word(), file.display()));
        }
        (Some(name), Target::File(file, format)) => {
            let report = report::compute(&source, name, &ask)?;
            let text = text(&report, *format, people, printer.width())?;
            durable::write_file(file, text.as_bytes(), &settings.access)?;
            printer.note(format!("{} in {}", name.word(), file.display()));
        }
        (None, _) | (_, Target::Directory(_)) => {
            return Err(CommandError::usage("only `report all` writes into a directory"));
        }
    }
    Ok(0)
}

/// Writes every report as CSV and JSON, and one HTML page with all reports.
pub(crate) fn write_all(
    reports: &[Report],
    directory: &Path,
    people: People,
    access: &Access,
) -> Result<(), CommandError> {
    let page = html::page(reports, people)?;
    durable::write_file(&directory.join(PAGE), page.as_bytes(), access)?;
    for report in reports {
        let file = |ending: &str| directory.join(format!("{}.{ending}", report.name));
        durable::write_file(&file("csv"), csv(report).as_bytes(), access)?;
        durable::write_file(&file("json"), format::json(report).as_bytes(), access)?;
    }
    Ok(())
}

/// The page of all reports. A web server shows a file of this name for its directory.
pub(crate) const PAGE: &str = "index.html";

/// Names of the files that `report all` writes.
fn files_of_all() -> impl Iterator<Item = String> {
    let of_one = |name: Name| [format!("{}.csv", name.word()), format!("{}.json", name.word())];
    std::iter::once(PAGE.to_owned()).chain(Name::ALL.into_iter().flat_map(of_one))
}

fn text(report: &Report, format: Format, people: People, width: usize) -> Result<String, CommandError> {
    match format {
        Format::Table => Ok(format::terminal(report, width)),
        Format::Csv => Ok(csv(report)),
        Format::Json => Ok(format::json(report)),
        Format::Html => Ok(html::page(std::slice::from_ref(report), people)?),
        Format::Parquet | Format::Markdown => {
            Err(CommandError::usage("a report cannot be printed in this format")
                .hint("--format table, json, csv or html; -o FILE.parquet"))
        }
    }
}

/// A report as CSV. Cut values are reported on stderr.
fn csv(report: &Report) -> String {
    let csv = format::csv(report);
    if let Some(notice) = csv.notice() {
        tracing::warn!("report {}: {notice}", report.name);
    }
    csv.text
}

fn ask(settings: &Settings, args: &ReportArgs) -> Ask {
    Ask {
        now: data_clock(settings.rehearsed_now)(),
        days: args.days,
        group: args.group.clone(),
        tracking_code: args.tracking_code.clone(),
        role: args.role.clone(),
        status: args.status.clone(),
        since: args.since,
        until: args.until,
        by: args.by.clone(),
    }
}

fn name(name: ReportName) -> Option<Name> {
    Some(match name {
        ReportName::Licences => Name::Licences,
        ReportName::Idle => Name::Idle,
        ReportName::Suspended => Name::Suspended,
        ReportName::Reclaimable => Name::Reclaimable,
        ReportName::Access => Name::Access,
        ReportName::Movers => Name::Movers,
        ReportName::Runs => Name::Runs,
        ReportName::All => return None,
    })
}

/// The destination of a report, and its format.
enum Target {
    Stdout(Format),
    File(PathBuf, Format),
    Directory(PathBuf),
}

impl Target {
    fn of(global: &Global, args: &ReportArgs) -> Result<Self, CommandError> {
        match (args.name, &args.output) {
            (ReportName::All, Some(directory)) => Ok(Self::Directory(directory.clone())),
            (ReportName::All, None) => {
                Err(CommandError::usage("`report all` writes into a directory, and no directory is given")
                    .hint("boxseat report all -o DIR"))
            }
            (_, Some(file)) => Ok(Self::File(file.clone(), format_of(global.format, file))),
            (_, None) if global.format == Format::Parquet => {
                Err(CommandError::usage("Parquet cannot be written to standard output")
                    .hint("name a file: -o FILE.parquet"))
            }
            (_, None) => Ok(Self::Stdout(global.format)),
        }
    }

    /// Checks before the computation that the result can be written.
    fn probe(&self, settings: &Settings) -> Result<(), CommandError> {
        let file = match self {
            Self::Stdout(_) => return Ok(()),
            Self::File(file, _) => file.clone(),
            Self::Directory(directory) => {
                check_directory(directory, &settings.store)?;
                for name in files_of_all() {
                    check_output(&directory.join(name), settings)?;
                }
                directory.join(PAGE)
            }
        };
        check_output(&file, settings)?;
        durable::probe(&file, &settings.access).map_err(|e| {
            CommandError::usage(format!("{} cannot be written", file.display()))
                .because(e)
                .hint("nothing was computed; name another file or directory with -o")
        })
    }
}

/// The format of `--format`. If that is the default, the format of the file's extension.
fn format_of(format: Format, file: &Path) -> Format {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match (format, extension) {
        (Format::Table, "json") => Format::Json,
        (Format::Table, "csv") => Format::Csv,
        (Format::Table, "parquet") => Format::Parquet,
        (Format::Table, "html") => Format::Html,
        (format, _) => format,
    }
}

/// The file that a report reads: the published file, or a temporary one that is removed on drop.
enum Snapshot {
    Published,
    // Dropped in this order: the file, then its directory.
    Earlier(
        Box<Checked>,
        #[expect(dead_code, reason = "held until the file in it is gone")] TemporaryDirectory,
    ),
}

impl Snapshot {
    /// The published snapshot, or the snapshot of a date, which is built from the lake.
    ///
    /// No lock is taken: the lake's rows of a complete run do not change, and files that retention removes stay on disk for a week.
    /// The file is not built in the store, because a run removes unfinished builds there and a reader may have no write access. It
    /// is built in a private directory below the system's temporary directory. A kill leaves that directory behind.
    fn of(settings: &Settings, date: Option<NaiveDate>) -> Result<Self, CommandError> {
        let Some(date) = date else { return Ok(Self::Published) };
        let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
        let directory = TemporaryDirectory::new()?;
        let checked = build_as_of(&store, settings, date, &directory.path)?;
        Ok(Self::Earlier(Box::new(checked), directory))
    }

    fn source(&self, settings: &Settings) -> Result<Source, CommandError> {
        Ok(match self {
            Self::Published => {
                check_to_read(&settings.store)?;
                Source::published(&settings.store, &settings.resources)?
            }
            Self::Earlier(checked, _) => Source::as_of(checked, &settings.resources)?,
        })
    }
}

struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    fn new() -> Result<Self, CommandError> {
        // The name is random, so another user cannot create the directory first.
        let path = std::env::temp_dir().join(format!("boxseat-{}", Uuid::new_v4()));
        durable::create_directory(&path, &Access::from(0o600))
            .map_err(|e| CommandError::from(e).hint("TMPDIR names another directory for temporary files"))?;
        Ok(Self { path })
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Err(e) = durable::remove_directory(&self.path) {
            tracing::warn!("cannot remove the temporary directory {}: {e}", self.path.display());
        }
    }
}
