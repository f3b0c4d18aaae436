//! A lake begun anew, because nothing proves what is left of the old one.

use std::path::Path;

use boxseat_output::lake::move_aside;
use boxseat_output::warehouse::FILE_NAME;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{ACTIVITY_DAILY, IMPORTED_EVIDENCE, LEAVE_PERIODS};

use super::Work;
use crate::error::CommandError;
use crate::reclaim::journal::ANCHOR_FILE;
use crate::store::names_in;

impl Work<'_> {
    /// Moves lake and raw pages away. The next `sync` is a first one. Sign-ins come from Box again; evidence that Box does not
    /// give a second time is lost, and then nothing before now is covered.
    pub(super) fn begin_anew(&mut self) -> Result<(), CommandError> {
        self.done.is_begun_anew = true;
        let lake = self.store.root().join("lake");
        // Without a whole record nobody knows which tables there were.
        let other_evidence = self.store.record_damage().is_some()
            || !self.store.lake().is_recorded()
            || !self.store.missing_imports()?.is_empty()
            || !self.store.altered_imports()?.is_empty()
            || [&ACTIVITY_DAILY, &IMPORTED_EVIDENCE, &LEAVE_PERIODS]
                .into_iter()
                .any(|table| self.store.lake().was_written(table));
        let highest = self.highest_number()?;
        // The file proves nothing either: the record that named it is gone or does not name it.
        for name in ["spool", FILE_NAME] {
            move_aside(&self.store.root().join(name), &self.aside.join(name))?;
        }
        // The action journal stays, so its anchor does.
        let kept = Path::new(ANCHOR_FILE).parent().and_then(Path::file_name);
        for name in names_in(&lake)?.into_iter().filter(|name| kept != Some(name.as_ref())) {
            move_aside(&lake.join(&name), &self.aside.join("lake").join(&name))?;
        }
        self.store.begin_lake_anew(self.settings)?;
        if highest > RunNumber(0) {
            // Numbers go on: plans and the journal name runs of the old lake.
            let reservation = self.reservation_of(highest, None);
            self.store.lake().reserve(&reservation)?;
            self.give_up(&reservation)?;
        }
        if other_evidence {
            self.cover_nothing_before_now("activity, imported reports or leave")?;
        }
        self.done.notes.push(
            "Nothing proves what is left of the lake. A new lake was started: the next `boxseat sync` reads everything again. Snapshots before it are gone from the reports.".to_owned(),
        );
        Ok(())
    }

    /// The highest run number of which there is a trace.
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
