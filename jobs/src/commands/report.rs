//! `boxseat report`: figures of the published night, or of one looked back on.

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
    let settings = Settings::load(global)?;
    let target = Target::of(global, args)?;
    target.probe(&settings)?;
    let ask = ask(&settings, args);
    let people = if args.people { People::Named } else { People::LeftOut };
    let night = Looked::at(&settings, args.as_of)?;
    let source = night.source(&settings)?;
    match (name(args.name), &target) {
        (None, Target::Directory(directory)) => {
            let reports = report::all(&source, &ask)?;
            everything(&reports, directory, people, &settings.access)?;
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
            return Err(CommandError::usage("all reports go into a directory, one report does not"));
        }
    }
    Ok(0)
}

/// Every report as CSV and JSON, and one page of them all.
pub(crate) fn everything(
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

/// The page in a directory of all reports: what a web server shows of the directory.
pub(crate) const PAGE: &str = "index.html";

/// Names of the files that a directory of all reports gets.
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
        Format::Parquet | Format::Markdown => Err(CommandError::usage("a report is no such text")
            .hint("--format table, json, csv or html; -o FILE.parquet")),
    }
}

/// A report as CSV; what had to be cut is said on stderr.
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

/// Where a report goes, and how it is drawn there.
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
                Err(CommandError::usage("all reports go into a directory, and none is named")
                    .hint("boxseat report all -o DIR"))
            }
            (_, Some(file)) => Ok(Self::File(file.clone(), format_of(global.format, file))),
            (_, None) if global.format == Format::Parquet => {
                Err(CommandError::usage("Parquet is no text for a terminal")
                    .hint("name a file: -o FILE.parquet"))
            }
            (_, None) => Ok(Self::Stdout(global.format)),
        }
    }

    /// Finds out before the work whether its result can be written.
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
                .hint("nothing was computed; name another place with -o")
        })
    }
}

/// The format asked for; of the default, the one the file's ending names.
fn format_of(asked: Format, file: &Path) -> Format {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match (asked, ending) {
        (Format::Table, "json") => Format::Json,
        (Format::Table, "csv") => Format::Csv,
        (Format::Table, "parquet") => Format::Parquet,
        (Format::Table, "html") => Format::Html,
        (asked, _) => asked,
    }
}

/// The file that is read: the published one, or one built aside that goes when this is dropped.
enum Looked {
    Published,
    // Dropped in this order: the file first, then the directory it lies in.
    Back(Box<Checked>, #[expect(dead_code, reason = "held until the file in it is gone")] Aside),
}

impl Looked {
    /// Builds the night of a date, when one is asked for.
    ///
    /// No lock is taken: the lake's rows of a night that is over do not change, and what retention removes stays on disk for a
    /// week. So that a night's run is not disturbed either, the file is not built in the store (where a run sweeps what builds
    /// left behind, and where a reader may not write) but in a directory of its own, for this user alone, under the system's
    /// temporary one. A kill leaves that directory there.
    fn at(settings: &Settings, date: Option<NaiveDate>) -> Result<Self, CommandError> {
        let Some(date) = date else { return Ok(Self::Published) };
        let store = Store::open(&settings.store, &settings.access, settings.journal_key.as_ref())?;
        let aside = Aside::new()?;
        let checked = build_as_of(&store, settings, date, &aside.path)?;
        Ok(Self::Back(Box::new(checked), aside))
    }

    fn source(&self, settings: &Settings) -> Result<Source, CommandError> {
        Ok(match self {
            Self::Published => {
                check_to_read(&settings.store)?;
                Source::published(&settings.store, &settings.resources)?
            }
            Self::Back(checked, _) => Source::as_of(checked, &settings.resources)?,
        })
    }
}

/// A directory for one file built aside.
struct Aside {
    path: PathBuf,
}

impl Aside {
    fn new() -> Result<Self, CommandError> {
        // The name cannot be guessed, so nobody else can have made it first.
        let path = std::env::temp_dir().join(format!("boxseat-{}", Uuid::new_v4()));
        durable::create_directory(&path, &Access::from(0o600))
            .map_err(|e| CommandError::from(e).hint("TMPDIR names another place for files built aside"))?;
        Ok(Self { path })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Err(e) = durable::remove_directory(&self.path) {
            tracing::warn!("{} is left over: {e}", self.path.display());
        }
    }
}
