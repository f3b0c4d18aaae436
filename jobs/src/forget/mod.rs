//! Erasing one user from a store.
//!
//! ```text
//! pending.json ─▶ lake (rows, then old versions) ─▶ spools ─▶ journal, plans ─▶ state files ─▶ boxseat.duckdb ─▶ record
//! ```
//!
//! Every step can be repeated. **Killed** anywhere: the same command continues. `pending.json` has the identity of the user, sealed with
//! the store's key, and the last step removes it. Rows, pages and entries are kept under a pseudonym, so that counts, joins and the
//! journal's chain stay correct. [`check`] does everything without writing, so an erasure that cannot be finished does not begin.

mod eraser;
mod identity;
mod journal;
mod nested;
mod raw_json;
mod record;
mod records;
mod rows;
mod state_files;

use std::collections::BTreeSet;

use boxseat_output::warehouse;
use boxseat_pipeline::spool::{Change, Rewriter};
use boxseat_schemas::RunNumber;
use boxseat_schemas::spool::{Frame, Request};
use boxseat_schemas::table::LAKE;

use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::{ErasureKey, erasure_directory};
use eraser::{About, Eraser};
pub(crate) use identity::{Identity, identity_of, ids_of};
pub(crate) use record::{ErasureRecord, Pending, compare_records, finish, records};

use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
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
    /// As [`check`] returned it.
    pub(crate) kept: BTreeSet<String>,
}

/// Does the erasure without writing anything. Returns the id or the addresses of the user that the store keeps, because they are also
/// the value of a field that is not of this user: the address of an operator, or the id of a group.
///
/// # Errors
/// Exit 3 if something that names the user cannot be rewritten.
pub(crate) fn check(
    store: &Store,
    identity: &Identity,
    journal: &Journal,
) -> Result<BTreeSet<String>, CommandError> {
    let eraser = Eraser { identity };
    let mut kept = BTreeSet::new();
    let mut look = |text: &str| kept.extend(eraser.tokens_in(text).map(str::to_owned));
    journal::check(store, journal, &eraser, &mut look)?;
    state_files::check(store, &eraser)?;
    for table in LAKE {
        for batch in store.lake().scan_all(table)? {
            let batch = batch?;
            let rows = eraser.rows(table, &batch).unwrap_or(batch);
            for texts in nested::all_texts(&rows) {
                if eraser.may_be_in(texts) {
                    texts.iter().flatten().for_each(&mut look);
                }
            }
        }
    }
    Ok(kept)
}

/// Erases the user of a pending erasure. `kept` is the result of [`check`]. The store's lock and the lock of reclamation are held, and no run is unfinished.
///
/// # Errors
/// Exit 3 if a file of the store still names the user afterwards; else the error of the failed step.
pub(crate) fn erase(
    store: &Store,
    settings: &Settings,
    key: &ErasureKey,
    pending: &Pending,
    journal: Journal,
    kept: BTreeSet<String>,
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
    let mut searched = pending.identity.clone();
    searched.addresses.retain(|address| !kept.contains(address));
    if kept.contains(&searched.user_id) {
        searched.user_id.clear();
    }
    erased.not_ours = state_files::search(store.root(), &Eraser { identity: &searched })?;
    erased.kept = kept;
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
        let mut new_frame = frame.clone();
        self.header(&mut new_frame);
        let new_body = self.document(&String::from_utf8_lossy(body)).map(String::into_bytes);
        if new_frame == *frame && new_body.is_none() {
            return None;
        }
        Some((new_frame, new_body.unwrap_or_else(|| body.to_vec())))
    }

    fn text(&self, text: &str) -> Option<String> {
        self.document(text)
    }
}

impl Eraser<'_> {
    /// The header of a frame.
    fn header(&self, frame: &mut Frame) {
        match frame {
            Frame::Page { request, received_at: _, status: _, walk: _, last: _, damaged_characters: _ } => {
                self.request(request);
            }
            Frame::Unread { request, reason } => {
                self.request(request);
                self.sentence(reason, About::Others);
            }
            Frame::Session { credentials: _ } | Frame::Plan { calls: _ } => {}
            Frame::Call { endpoint: _, at: _, outcome: _, waited_seconds: _ } => {}
        }
    }

    fn request(&self, request: &mut Request) {
        match request {
            Request::User { user_id }
            | Request::UserMemberships { user_id, offset: _ }
            | Request::EmailAliases { user_id } => self.id(user_id),
            // Box decides what a marker has. The page before has the same one.
            Request::Users { marker } => {
                marker.iter_mut().for_each(|text| self.sentence(text, About::Others))
            }
            Request::Me | Request::Groups { offset: _ } => {}
            Request::GroupMemberships { group_id: _, offset: _ } => {}
            Request::Events { slice: _, login_only: _, position: _ } => {}
        }
    }
}
