//! The result of a soak, for the terminal and as Markdown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// Counts of everything that happened.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) users: u32,
    pub(super) nights: u32,
    pub(super) days: u32,
    pub(super) starts: u32,
    /// Snapshots in which every table was the truth, and those in which only silent changes were missing.
    pub(super) equal: u32,
    pub(super) equal_but_for_silence: u32,
    /// Stale rows, each explained by a change without an event.
    pub(super) stale_rows: usize,
    /// Calls that Box counted, and those that a killed process could not record.
    pub(super) calls: u64,
    pub(super) calls_lost: u64,
    pub(super) troubles: BTreeMap<String, u32>,
    pub(super) exit_codes: BTreeMap<String, u32>,
    /// By the state of the store afterwards.
    pub(super) kills: BTreeMap<String, u32>,
    /// Calls hit, by kind of fault.
    pub(super) faults: BTreeMap<String, u32>,
    /// Counts of other events.
    pub(super) notes: BTreeMap<String, u32>,
    begun: Instant,
    wall: Option<Duration>,
}

impl Report {
    pub(super) fn new(seed: u64, users: u32) -> Self {
        Self {
            seed,
            users,
            nights: 0,
            days: 0,
            starts: 0,
            equal: 0,
            equal_but_for_silence: 0,
            stale_rows: 0,
            calls: 0,
            calls_lost: 0,
            troubles: BTreeMap::new(),
            exit_codes: BTreeMap::new(),
            kills: BTreeMap::new(),
            faults: BTreeMap::new(),
            notes: BTreeMap::new(),
            begun: Instant::now(),
            wall: None,
        }
    }

    pub(super) fn note(&mut self, what: &str) {
        count(&mut self.notes, what, 1);
    }

    pub(super) fn ended(self) -> Self {
        Self { wall: Some(self.begun.elapsed()), ..self }
    }
}

pub(super) fn count(counts: &mut BTreeMap<String, u32>, what: &str, by: u32) {
    *counts.entry(what.to_owned()).or_default() += by;
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.wall.is_some() { "ended with the truth" } else { "broke off" };
        writeln!(f, "# A life of {} nights {verdict}\n", self.nights)?;
        writeln!(
            f,
            "Seed {}, {} users on the first day, {} simulated days, {} s.\n",
            self.seed,
            self.users,
            self.days,
            self.wall.unwrap_or_else(|| self.begun.elapsed()).as_secs()
        )?;
        writeln!(f, "| | |\n| --- | ---: |")?;
        for (what, number) in [
            ("starts of the program", u64::from(self.starts)),
            ("nights equal to the truth in every row", u64::from(self.equal)),
            ("nights equal but for what no event announced", u64::from(self.equal_but_for_silence)),
            ("rows behind on those, each explained", self.stale_rows as u64),
            ("calls as Box counts them", self.calls),
            ("of them lost to kills and full disks before they were noted", self.calls_lost),
        ] {
            writeln!(f, "| {what} | {number} |")?;
        }
        for (title, counts) in [
            ("Nights by trouble", &self.troubles),
            ("Exit codes", &self.exit_codes),
            ("Deaths by where they struck", &self.kills),
            ("Calls hit by faults", &self.faults),
            ("Besides", &self.notes),
        ] {
            if counts.is_empty() {
                continue;
            }
            writeln!(f, "\n| {title} | |\n| --- | ---: |")?;
            for (what, number) in counts {
                writeln!(f, "| {what} | {number} |")?;
            }
        }
        Ok(())
    }
}
