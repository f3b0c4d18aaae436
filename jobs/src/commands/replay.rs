//! `boxseat replay`: normalises the stored raw pages again, for example after a bug in the normaliser was fixed.

use boxseat_schemas::RunNumber;

use crate::cli::{Global, ReplayArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::{CommandError, REJECTS};
use crate::printer::Printer;
use crate::store::Store;
use crate::sync::replay;

pub(crate) fn run(global: &Global, args: &ReplayArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
    let _lock = Store::lock(store.root())?;
    let clock = data_clock(settings.rehearsed_now);
    let outcome = replay(&store, &settings, &clock, RunNumber(args.from))?;
    super::sync::report(printer, &outcome)?;
    Ok(if outcome.run.rejects_count > 0 { REJECTS } else { 0 })
}
