//! The loop that all tables share: frames in, batches out.

use arrow::array::RecordBatch;
use boxseat_schemas::box_api::{Page, Read, Record, read};
use boxseat_schemas::spool::{Frame, Request};
use boxseat_schemas::table::{Rows, Table};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::carry::{Base, BaseError, BaseRows, base_error};
use crate::Error;
use crate::spool::{Frames, SpoolReader};

/// Number of rows after which a batch is returned.
const BATCH_ROWS: usize = 8_192;

/// The outcomes of the records of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records Box sent.
    pub from_box: u64,
    /// Rows of the base run that were not read again.
    pub carried: u64,
    /// Sent more than once, or known from an earlier run.
    pub duplicate: u64,
    /// Not parsed.
    pub rejected: u64,
    /// Without a user or group of this snapshot.
    pub dropped: u64,
    /// Fields without a column, over all records.
    pub unknown_fields: u64,
}

impl Tally {
    /// Counts a record that Box sent; one that cannot be read is rejected.
    pub(super) fn take<T>(&mut self, record: Result<T, serde_json::Error>) -> Option<T> {
        self.from_box += 1;
        self.rejected += u64::from(record.is_err());
        record.ok()
    }

    /// Rows that remain.
    pub fn rows(&self) -> u64 {
        self.from_box + self.carried - self.duplicate - self.rejected - self.dropped
    }
}

/// The conversion of one table from pages to rows.
pub trait Stage {
    /// The empty rows of the table.
    fn rows(&self) -> Rows;
    /// Accepts one page.
    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally);
    /// Records that the record of one user or group could not be read, so some rows are missing.
    fn closed(&mut self, request: &Request, reason: &str, body: &[u8], rows: &mut Rows, tally: &mut Tally) {
        let _ = (request, reason, body, rows);
        tally.from_box += 1;
        tally.rejected += 1;
    }
    /// Whether rows of the base run may be carried; called after the last page.
    fn carries(&mut self) -> bool {
        false
    }
    /// The rows of a batch of the base run that belong to this snapshot, as rows of this run.
    fn carry(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let _ = batch;
        None
    }
}

/// A page with its request.
pub struct PageOf<'p> {
    /// The request.
    pub request: &'p Request,
    /// When the response arrived.
    pub received_at: DateTime<Utc>,
    /// The records, as raw text.
    pub entries: Vec<&'p RawValue>,
    /// Number of records of the whole listing, as this page announces it.
    pub total_count: Option<u64>,
}

impl<'p> PageOf<'p> {
    /// The records of the page, one at a time.
    pub fn records<T: Record<'p>>(&self) -> impl Iterator<Item = Result<Read<T>, serde_json::Error>> {
        self.entries.iter().map(|raw| read(raw.get()))
    }
}

/// An iterator of batches. [`Batches::tally`] is complete after the iterator is exhausted.
pub struct Batches<'a, S> {
    frames: Frames,
    offsets: std::slice::Iter<'a, u64>,
    base: Option<(&'a dyn Base, &'static Table)>,
    carrying: Option<BaseRows<'a>>,
    /// The stage, with the facts it collected.
    pub stage: S,
    rows: Rows,
    tally: Tally,
}

impl<'a, S: Stage> Batches<'a, S> {
    pub(super) fn new(spool: &SpoolReader, offsets: &'a [u64], stage: S) -> Result<Self, Error> {
        Ok(Self {
            frames: spool.frames()?,
            offsets: offsets.iter(),
            base: None,
            carrying: None,
            rows: stage.rows(),
            stage,
            tally: Tally::default(),
        })
    }

    /// Adds the rows of the base run's `table` after the pages.
    pub(super) fn carrying(mut self, base: Option<&'a dyn Base>, table: &'static Table) -> Self {
        self.base = base.map(|base| (base, table));
        self
    }

    /// The outcomes of the records so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Reads all batches and returns only the tally.
    ///
    /// # Errors
    /// As the iterator.
    pub fn exhaust(&mut self) -> Result<Tally, Error> {
        for batch in &mut *self {
            batch?;
        }
        Ok(self.tally)
    }

    fn take_page(&mut self, offset: u64) -> Result<(), Error> {
        let (frame, body) = self.frames.frame_at(offset)?;
        let (request, received_at) = match &frame {
            Frame::Page { request, received_at, status: 200, .. } => (request, received_at),
            Frame::Page { request, status: 403, .. } => {
                let reason = format!("{} could not be read: Box responded with 403", request.subject());
                self.stage.closed(request, &reason, &body, &mut self.rows, &mut self.tally);
                return Ok(());
            }
            Frame::Unread { request, reason } => {
                self.stage.closed(request, reason, &[], &mut self.rows, &mut self.tally);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let page = Page::parse(&body)
            .map_err(|source| Error::Page { walk: request.endpoint().to_owned(), source })?;
        let total_count = page.total_count.and_then(|n| u64::try_from(n).ok());
        let page = PageOf { request, received_at: *received_at, entries: page.entries, total_count };
        self.stage.page(&page, &mut self.rows, &mut self.tally);
        Ok(())
    }
}

impl<S: Stage> Batches<'_, S> {
    fn next_carried(&mut self) -> Result<Option<RecordBatch>, BaseError> {
        if let Some((base, table)) = self.base.take()
            && self.stage.carries()
        {
            self.carrying = Some(base.rows(table)?);
        }
        for batch in self.carrying.iter_mut().flatten() {
            if let Some(rows) = self.stage.carry(&batch?) {
                self.tally.carried += rows.num_rows() as u64;
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }
}

impl<S: Stage> Iterator for Batches<'_, S> {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rows.len() < BATCH_ROWS {
            let Some(offset) = self.offsets.next() else { break };
            if let Err(e) = self.take_page(*offset) {
                return Some(Err(e));
            }
        }
        if !self.rows.is_empty() {
            return Some(Ok(self.rows.take_batch()));
        }
        self.next_carried().map_err(base_error).transpose()
    }
}
