//! The loop all tables share: frames in, batches out.

use arrow::array::RecordBatch;
use boxseat_schemas::box_api::{Extra, Page};
use boxseat_schemas::spool::{Frame, Request};
use boxseat_schemas::table::{Rows, Table};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::carry::{Base, BaseError, BaseRows, base_error};
use super::repair::repair;
use crate::Error;
use crate::spool::{Frames, SpoolReader};

/// Rows after which a batch is handed on.
const BATCH_ROWS: usize = 8_192;

/// Where the records of one table went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records Box sent.
    pub from_box: u64,
    /// Rows of the base night that were not read again.
    pub carried: u64,
    /// Sent more than once, or held by an earlier run.
    pub duplicate: u64,
    /// Not understood.
    pub rejected: u64,
    /// Belonging to nothing this night lists.
    pub dropped: u64,
    /// Fields without a column, over all records.
    pub unknown_fields: u64,
}

impl Tally {
    /// Rows that remain.
    pub fn rows(&self) -> u64 {
        self.from_box + self.carried - self.duplicate - self.rejected - self.dropped
    }
}

/// One table's way from page to rows.
pub trait Stage {
    /// The empty rows of the table.
    fn rows(&self) -> Rows;
    /// Takes in one page.
    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally);
    /// Takes in the refusal of a question about one user or group: something is missing that should be here.
    fn closed(&mut self, request: &Request, body: &[u8], rows: &mut Rows, tally: &mut Tally) {
        let _ = (request, body, rows);
        tally.from_box += 1;
        tally.rejected += 1;
    }
    /// Whether anything of the base night may be carried; asked after the last page.
    fn carries(&mut self) -> bool {
        false
    }
    /// The rows of a batch of the base night that belong to this one, as its rows.
    fn carry(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let _ = batch;
        None
    }
}

/// A page with what was asked for it.
pub struct PageOf<'p> {
    /// The question.
    pub request: &'p Request,
    /// When it was answered.
    pub received_at: DateTime<Utc>,
    /// The records, as raw text.
    pub entries: Vec<&'p RawValue>,
}

impl<'p> PageOf<'p> {
    /// The records of the page that can be understood; the others are counted as rejected.
    pub fn records<T: DeserializeOwned>(&self, tally: &mut Tally) -> Vec<T> {
        tally.from_box += self.entries.len() as u64;
        let records: Vec<T> = self.entries.iter().filter_map(|raw| read(raw.get()).ok()).collect();
        tally.rejected += (self.entries.len() - records.len()) as u64;
        records
    }
}

/// An iterator of batches; [`Batches::tally`] is complete once it is exhausted.
pub struct Batches<'a, S> {
    frames: Frames,
    offsets: std::slice::Iter<'a, u64>,
    base: Option<(&'a dyn Base, &'static Table)>,
    carrying: Option<BaseRows<'a>>,
    /// The stage, with what it learned on the way.
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

    /// After the pages come the rows that the base night's `table` lends.
    pub(super) fn carrying(mut self, base: Option<&'a dyn Base>, table: &'static Table) -> Self {
        self.base = base.map(|base| (base, table));
        self
    }

    /// Where the records went so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Walks to the end for the tally alone.
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
                self.stage.closed(request, &body, &mut self.rows, &mut self.tally);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let page = Page::parse(&body)
            .map_err(|source| Error::Page { walk: request.endpoint().to_owned(), source })?;
        let page = PageOf { request, received_at: *received_at, entries: page.entries };
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

/// Reads a record that cannot be without its id; other fields that cannot be read are set aside.
pub(super) fn read<T: DeserializeOwned>(raw: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw).or_else(|reason| {
        let repaired = repair(raw, &["id"], |text| serde_json::from_str::<T>(text).is_ok()).ok_or(reason)?;
        serde_json::from_str(&repaired)
    })
}

/// What Box sent beyond the columns, as JSON; `None` when there was nothing.
pub(super) fn extra_json(extra: &Extra) -> Option<String> {
    (!extra.is_empty()).then(|| serde_json::Value::Object(extra.clone()).to_string())
}
