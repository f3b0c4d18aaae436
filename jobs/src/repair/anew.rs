//! A lake begun anew, because nothing proves what is left of the old one.

use boxseat_output::lake::move_aside;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{ACTIVITY_DAILY, IMPORTED_EVIDENCE, LEAVE_PERIODS};

use super::Work;
use crate::error::CommandError;

impl Work<'_> {
    /// Moves lake and raw pages away. The next `sync` is a first one. Sign-ins come from Box again; evidence that Box does not
    /// give a second time is lost, and then nothing before now is covered.
    pub(super) fn begin_anew(&mut self) -> Result<(), CommandError> {
        self.done.is_begun_anew = true;
        let lake = self.store.root().join("lake");
        let has_table = |name: &str| lake.join(name).join("_delta_log").exists();
        let other_evidence =
            [ACTIVITY_DAILY.name, IMPORTED_EVIDENCE.name, LEAVE_PERIODS.name].into_iter().any(has_table)
                || !self.store.imports_waiting()?.is_empty();
        let highest = self.highest_number()?;
        self.move_lake_aside()?;
        if highest > RunNumber(0) {
            // Numbers go on: plans and the journal name runs of the old lake.
            let reservation = self.reservation_of(highest, None);
            self.store.lake().reserve(&reservation)?;
            self.give_up(&reservation)?;
        }
        if other_evidence {
            self.store.cover_nothing_before(self.now)?;
            self.done.notes.push(format!(
                "Evidence of use that Box does not give again was lost with the lake: activity, imported reports or leave. No account counts as idle before {} plus the time that the policy asks for.",
                self.now.format("%F")
            ));
        }
        self.done.notes.push(
            "Nothing proves what is left of the lake. It was begun anew: the next `boxseat sync` reads everything again. Snapshots before it are gone from the reports.".to_owned(),
        );
        Ok(())
    }

    pub(super) fn move_lake_aside(&mut self) -> Result<(), CommandError> {
        move_aside(&self.store.root().join("lake"), &self.aside.join("lake"))?;
        move_aside(&self.store.spools(), &self.aside.join("spool"))?;
        self.store.begin_lake_anew()
    }

    /// The highest run number of which there is a trace.
    pub(super) fn highest_number(&self) -> Result<RunNumber, CommandError> {
        let mut highest = 0;
        for directory in [self.store.root().join("lake/_runs"), self.store.spools()] {
            let entries = match std::fs::read_dir(&directory) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other
                    .map_err(|e| CommandError::failed(format!("cannot list {}", directory.display()), e))?,
            };
            for entry in entries {
                let entry = entry
                    .map_err(|e| CommandError::failed(format!("cannot list {}", directory.display()), e))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                highest = highest.max(name.trim_end_matches(".json").parse().unwrap_or(0));
            }
        }
        Ok(RunNumber(highest))
    }
}
