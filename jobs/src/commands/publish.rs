//! `boxseat publish`: builds the published file again from the lake.

use crate::cli::{Global, PublishArgs};
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::Printer;
use crate::store::Store;
use crate::sync::publish_latest;

pub(crate) fn run(global: &Global, _args: &PublishArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
    let _lock = Store::lock(store.root())?;
    store.begin_record(&settings)?;
    let outcome = publish_latest(&store, &settings)?;
    store.anchor_record(&settings)?;
    super::sync::report(printer, &outcome)?;
    Ok(0)
}
