//! The measures, one file each.

mod client;
mod daily;
mod lake;
mod limiter;
mod memory;
mod publish;
mod reports;
mod rival;
mod suspensions;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::child::{self, Done};
use crate::report::Findings;
use crate::stand::{Stand, enterprise};

pub(crate) use lake::load_events;

/// The measures, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Measure {
    /// Share of the allowed calls that is used (three minutes)
    Limiter,
    /// Per-user calls a second without a rate limit, compared with a bare loop
    Client,
    /// Peak memory of `boxseat sync`, and its growth with users and logins
    Memory,
    /// Login events a second from spool to lake, on one core
    Lake,
    /// Duration of `boxseat publish`
    Publish,
    /// Duration of the runs after the first one, and of a publish, with licence terms
    Daily,
    /// Duration of each report
    Reports,
    /// Five thousand suspensions at the rate that Box allows (half an hour)
    Suspensions,
    /// The first run of 2,000 users, compared with dlt
    Dlt,
}

impl Measure {
    pub(crate) const ALL: [Self; 9] = [
        Self::Limiter,
        Self::Client,
        Self::Memory,
        Self::Lake,
        Self::Publish,
        Self::Daily,
        Self::Reports,
        Self::Suspensions,
        Self::Dlt,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Limiter => "limiter",
            Self::Client => "client",
            Self::Memory => "memory",
            Self::Lake => "lake",
            Self::Publish => "publish",
            Self::Daily => "daily",
            Self::Reports => "reports",
            Self::Suspensions => "suspensions",
            Self::Dlt => "dlt",
        }
    }
}

/// The state that the measures share.
pub(crate) struct Bench {
    /// The program, built for release.
    boxseat: PathBuf,
    /// The directory for the stores.
    scratch: PathBuf,
    python: Option<PathBuf>,
    dlt_job: PathBuf,
    quick: bool,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    nights: HashMap<Size, PathBuf>,
    /// The versions of dlt, once it has run.
    pub(crate) rival: Option<String>,
}

/// The size of an enterprise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Size {
    users: u32,
    logins: u32,
}

impl Bench {
    pub(crate) fn new(
        boxseat: PathBuf,
        scratch: PathBuf,
        python: Option<PathBuf>,
        dlt_job: PathBuf,
        quick: bool,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (http, nights, rival) = (reqwest::Client::new(), HashMap::new(), None);
        Ok(Self { boxseat, scratch, python, dlt_job, quick, runtime, http, nights, rival })
    }

    pub(crate) fn measure(&mut self, measure: Measure) -> Result<Findings> {
        match measure {
            Measure::Limiter => limiter::measure(self),
            Measure::Client => client::measure(self),
            Measure::Memory => memory::measure(self),
            Measure::Lake => lake::measure(self),
            Measure::Publish => publish::measure(self),
            Measure::Daily => daily::measure(self),
            Measure::Reports => reports::measure(self),
            Measure::Suspensions => suspensions::measure(self),
            Measure::Dlt => rival::measure(self),
        }
    }

    /// The size that the targets refer to.
    fn large(&self) -> Size {
        match self.quick {
            true => Size { users: 5_000, logins: 50_000 },
            false => Size { users: 100_000, logins: 1_000_000 },
        }
    }

    /// Repetitions of a short measurement.
    fn often(&self) -> usize {
        if self.quick { 2 } else { 5 }
    }

    /// A store with the first run of an enterprise. It is created unless an earlier measure has created it.
    fn night(&mut self, size: Size) -> Result<PathBuf> {
        if let Some(store) = self.nights.get(&size) {
            return Ok(store.clone());
        }
        self.first_night(size)?;
        Ok(self.nights[&size].clone())
    }

    /// Reads the first run of an enterprise with `boxseat sync` into a new store, which is kept for [`Bench::night`].
    fn first_night(&mut self, size: Size) -> Result<Done> {
        let stand = Stand::start(enterprise(size.users, size.users / 100, u64::from(size.logins)))?;
        let store = self.new_directory(&format!("night-{}-{}", size.users, size.logins))?;
        let done = child::run(stand.command(&self.boxseat, &store, &["--quiet", "sync"]), &self.log())?;
        self.nights.insert(size, store);
        Ok(done)
    }

    /// Creates an empty directory in the scratch space.
    fn new_directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.scratch.join(name);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// The file for the stderr of a child.
    fn log(&self) -> PathBuf {
        self.scratch.join("stderr")
    }
}

/// Bytes of all files below a directory.
fn bytes_below(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => bytes_below(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}
