//! Erasing one user from a store.
//!
//! ```text
//! pending.json ─▶ lake (rows, then old versions) ─▶ spools ─▶ journal, plans ─▶ state files ─▶ boxseat.duckdb ─▶ record
//! ```
//!
//! Every step can be repeated. **Killed** anywhere: the same command continues. `pending.json` has the identity of the user, and the
//! last step removes it. Rows, pages and entries are kept under a pseudonym, so that counts, joins and the journal's chain stay
//! correct.

mod eraser;
mod identity;
mod journal;
mod record;
mod rows;
mod state_files;

use boxseat_output::warehouse;
use boxseat_pipeline::spool::{Change, Rewriter};
use boxseat_schemas::RunNumber;
use boxseat_schemas::spool::Frame;
use boxseat_schemas::table::LAKE;

use eraser::Eraser;
pub(crate) use identity::{Identity, identity_of, ids_of, refuse_others};
pub(crate) use record::{ErasureRecord, Pending, finish, records};

use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
use crate::reclaim::Journal;
use crate::reclaim::journal::{ErasureKey, erasure_directory};
use crate::store::Store;
use crate::sync::publish_latest;

/// The numbers of rewritten files and entries.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    pub(crate) lake_files: u64,
    pub(crate) old_lake_files: u64,
    pub(crate) spools: u64,
    pub(crate) journal_entries: u64,
    pub(crate) plans: u64,
    pub(crate) state_files: u64,
    pub(crate) is_published: bool,
    /// Files below the store that boxseat did not write and that name the user.
    pub(crate) not_ours: Vec<String>,
}

/// Erases the user of a pending erasure. The store's lock and the lock of reclamation are held, and no run is unfinished.
///
/// # Errors
/// Exit 3 if a file of the store still names the user afterwards; else the error of the failed step.
pub(crate) fn erase(
    store: &Store,
    settings: &Settings,
    key: &ErasureKey,
    pending: &Pending,
    journal: Journal,
) -> Result<Erased, CommandError> {
    let eraser = Eraser { identity: &pending.identity };
    let mut erased = Erased::default();
    reach("erasure begun");
    for table in LAKE {
        erased.lake_files += store.lake().rewrite(table, &|rows| eraser.rows(table, rows))?;
        reach("erased a table");
    }
    for table in LAKE {
        erased.old_lake_files += store.lake().purge(table)?;
    }
    reach("erased lake");
    erased.spools = erase_spools(store, &eraser)?;
    reach("erased spools");
    let pinned = &settings.journal_key;
    (erased.journal_entries, erased.plans) = journal::erase(store, pinned, key, pending, journal, &eraser)?;
    reach("erased journal");
    erased.state_files = state_files::erase(store, &eraser)?;
    if store.root().join(warehouse::FILE_NAME).exists() {
        publish_latest(store, settings)?;
        erased.is_published = true;
    }
    reach("erased file");
    store.anchor_record(settings)?;
    erased.not_ours = state_files::search(store.root(), &eraser)?;
    Ok(erased)
}

/// Rewrites the spools. The lake's record gets the digest of new pages before they are placed, and again afterwards.
fn erase_spools(store: &Store, eraser: &Eraser<'_>) -> Result<u64, CommandError> {
    let work = erasure_directory(store.root()).join("spools");
    let rewriter = Rewriter::open(&store.spools(), &work)?;
    let mut rewritten = 0;
    for number in rewriter.runs()? {
        let run = RunNumber(number);
        store.check_spool(run)?;
        let pages = rewriter.read(number)?;
        pages.as_ref().map_or(Ok(()), |pages| store.compare_pages(run, pages.file()))?;
        if let Some(new) = rewriter.prepare(number, pages.as_ref(), eraser)? {
            let is_sealed = new.sealed().exists();
            if is_sealed {
                store.announce_spool(run, new.path())?;
            }
            rewriter.place(number)?;
            if is_sealed {
                store.note_spool(run)?;
            }
            rewritten += 1;
        }
    }
    rewriter.finish()?;
    Ok(rewritten)
}

impl Change for Eraser<'_> {
    fn frame(&self, frame: &Frame, body: &[u8]) -> Option<(Frame, Vec<u8>)> {
        let header = serde_json::to_string(frame).expect("a frame is plain data");
        let new_frame = self.json(&header).and_then(|header| serde_json::from_str(&header).ok());
        let new_body = String::from_utf8_lossy(body);
        let new_body = self.document(&new_body).map(String::into_bytes);
        if new_frame.is_none() && new_body.is_none() {
            return None;
        }
        Some((new_frame.unwrap_or_else(|| frame.clone()), new_body.unwrap_or_else(|| body.to_vec())))
    }

    fn text(&self, text: &str) -> Option<String> {
        self.document(text)
    }
}
