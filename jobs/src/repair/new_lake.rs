//! Starts a new lake, because the files of the old one cannot be proved.

use std::path::Path;

use boxseat_output::lake::move_aside;
use boxseat_output::warehouse::FILE_NAME;
use boxseat_reclaim::journal::ANCHOR_FILE;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{ACTIVITY_DAILY, IMPORTED_EVIDENCE, LEAVE_PERIODS};

use super::Work;
use crate::error::CommandError;
use crate::store::names_in;

impl Work<'_> {
    /// Moves lake and raw pages away. The next `sync` reads everything, as a first run. It reads sign-ins from Box again. Other evidence
    /// cannot be read again. If the old lake may have had some, the time before the repair is not covered.
    pub(super) fn begin_new_lake(&mut self) -> Result<(), CommandError> {
        self.done.is_new_lake = true;
        let lake = self.store.root().join("lake");
        // Without a valid record it is not known which tables existed.
        let other_evidence = self.store.record_damage().is_some()
            || !self.store.lake().is_recorded()
            || !self.store.missing_imports()?.is_empty()
            || !self.store.altered_imports()?.is_empty()
            || [&ACTIVITY_DAILY, &IMPORTED_EVIDENCE, &LEAVE_PERIODS]
                .into_iter()
                .any(|table| self.store.lake().was_written(table));
        let highest = self.highest_number()?;
        // The published file is not proved either, because no valid record names it.
        for name in ["spool", FILE_NAME] {
            move_aside(&self.store.root().join(name), &self.aside.join(name))?;
        }
        // The action journal stays, and so does its anchor.
        let kept = Path::new(ANCHOR_FILE).parent().and_then(Path::file_name);
        for name in names_in(&lake)?.into_iter().filter(|name| kept != Some(name.as_ref())) {
            move_aside(&lake.join(&name), &self.aside.join("lake").join(&name))?;
        }
        self.store.begin_new_lake(self.settings)?;
        if highest > RunNumber(0) {
            // New run numbers follow the old ones, because plans and the journal name runs of the old lake.
            let reservation = self.reservation_of(highest, None);
            self.store.lake().reserve(&reservation)?;
            self.give_up(&reservation)?;
        }
        if other_evidence {
            self.cover_nothing_before_now("activity, imported reports or leave")?;
        }
        self.done.notes.push(
            "The files of the lake cannot be proved. A new lake was started: the next `boxseat sync` reads everything again. Reports no longer have earlier snapshots.".to_owned(),
        );
        Ok(())
    }

    /// The highest run number in the reservations and spools.
    fn highest_number(&self) -> Result<RunNumber, CommandError> {
        let mut highest = 0;
        for directory in [self.store.root().join("lake/_runs"), self.store.spools()] {
            for name in names_in(&directory)? {
                highest = highest.max(name.trim_end_matches(".json").parse().unwrap_or(0));
            }
        }
        Ok(RunNumber(highest))
    }
}
