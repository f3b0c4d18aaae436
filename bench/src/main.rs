#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it measures is its output")]

mod child;
mod machine;
mod measures;
mod report;
mod stand;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use machine::Machine;
use measures::{Bench, Measure};
use report::{Chapter, Findings, Row, Verdict};

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures boxseat against a simulated Box, in release mode; the targets are those of bench/README.md.
#[derive(Debug, Parser)]
struct Cli {
    /// Measures to run, in this order [default: all]
    #[arg(value_enum)]
    measures: Vec<Measure>,
    /// Small sizes, for development: the targets do not apply
    #[arg(long)]
    quick: bool,
    /// Write the report to this file as well as to stdout
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Directory for the stores; emptied first [default: bench-stores next to this program]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Python with the packages of bench/requirements.txt; without it dlt is not measured
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// The script that dlt runs
    #[arg(long, value_name = "FILE", default_value = "bench/dlt_job.py")]
    dlt_job: PathBuf,
    /// Run the simulator with this configuration
    #[arg(long, hide = true, value_name = "JSON")]
    serve: Option<String>,
    /// Load the events of this store and print how long it took
    #[arg(long, hide = true, value_name = "STORE")]
    load: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli {
        Cli { serve: Some(config), .. } => stand::serve(config),
        Cli { load: Some(store), .. } => measures::load_events(store),
        _ => run(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the measures one after the other. A measure that fails leaves a line with the reason, and the others continue.
fn run(cli: &Cli) -> Result<()> {
    let directory = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
    let boxseat = directory.join("boxseat");
    if !boxseat.exists() {
        return Err(format!("{} is missing: `make bench` builds it", boxseat.display()).into());
    }
    let scratch = cli.scratch.clone().unwrap_or_else(|| directory.join("bench-stores"));
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    std::fs::create_dir_all(&scratch)?;
    let scratch = scratch.canonicalize()?;
    let (python, dlt_job) = (cli.python.clone(), cli.dlt_job.clone());
    let mut bench = Bench::new(boxseat.clone(), scratch.clone(), python, dlt_job, cli.quick)?;

    let mut chapters = Vec::new();
    for measure in cli
        .measures
        .iter()
        .copied()
        .chain(cli.measures.is_empty().then_some(Measure::ALL).into_iter().flatten())
    {
        let (begin, before) = (Instant::now(), machine::load());
        eprintln!("bench: {} …", measure.name());
        let findings = bench.measure(measure).unwrap_or_else(|e| not_measured(measure, &*e));
        for Row { measure, measured, ratio, verdict, .. } in &findings.rows {
            eprintln!("bench:   {measure}: {measured} {ratio} {verdict:?}");
        }
        let load = before.zip(machine::load());
        chapters.push(Chapter { name: measure.name(), findings, took: begin.elapsed(), load });
    }
    let page = report::page(&Machine::look(&boxseat, bench.rival.as_deref()), &chapters, cli.quick);
    print!("{page}");
    if let Some(file) = &cli.report {
        std::fs::write(file, &page).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    }
    std::fs::remove_dir_all(&scratch)?;
    Ok(())
}

fn not_measured(measure: Measure, error: &dyn Error) -> Findings {
    let row = Row {
        measure: measure.name(),
        target: String::new(),
        measured: String::new(),
        ratio: String::new(),
        verdict: Verdict::NotMeasured,
    };
    Findings { rows: vec![row], notes: vec![format!("not measured: {error}")] }
}
