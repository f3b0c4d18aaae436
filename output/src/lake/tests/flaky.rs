//! A disk with one fault, for tests of a lake that must survive it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::*;

use crate::lake::store::DurableStore;

/// A disk with one fault.
#[derive(Debug)]
pub(super) struct Flaky {
    pub(super) disk: DurableStore,
    pub(super) fault: Fault,
    pub(super) puts: AtomicU32,
    pub(super) struck: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Writes the file whose name ends with this text, but reports a failure once: a network that breaks at the wrong moment.
    LosesAnswerOf(&'static str),
    /// The process dies before its nth put. No later operation succeeds.
    DiesBefore(u32),
    /// The process dies after its nth put.
    DiesAfter(u32),
}

impl Flaky {
    pub(super) fn happened(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    fn alive(&self) -> Result<()> {
        let dead = self.happened() && !matches!(self.fault, Fault::LosesAnswerOf(_));
        if dead { Err(error()) } else { Ok(()) }
    }
}

fn error() -> Error {
    Error::Generic { store: "flaky", source: "connection reset".into() }
}

impl std::fmt::Display for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a flaky disk")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.alive()?;
        let number = self.puts.fetch_add(1, Ordering::SeqCst);
        if matches!(self.fault, Fault::DiesBefore(n) if n == number) {
            self.struck.store(true, Ordering::SeqCst);
            return Err(error());
        }
        let answer = self.disk.put_opts(location, payload, opts).await?;
        let strikes = match self.fault {
            Fault::LosesAnswerOf(ending) => location.as_ref().ends_with(ending) && !self.happened(),
            Fault::DiesAfter(n) => n == number,
            Fault::DiesBefore(_) => false,
        };
        if strikes {
            self.struck.store(true, Ordering::SeqCst);
            return Err(error());
        }
        Ok(answer)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.alive()?;
        self.disk.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.alive()?;
        self.disk.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.alive()?;
        self.disk.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.disk.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.alive() {
            Ok(()) => self.disk.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.alive()?;
        self.disk.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.disk.copy_opts(from, to, options).await
    }
}
