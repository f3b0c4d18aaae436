//! Heads of the lake's record at the witness, so that a lake that was put back to an older state is found.
//!
//! One line is `TIME STORE_ID lake SEQUENCE HASH`: the record had the line SEQUENCE with this hash. It is appended wherever
//! `state/lake.json` is written. `TIME STORE_ID lake-begun SEQUENCE HASH` is written by `restore`, by `reclaim adopt` of an older
//! lake, and by a `repair` that creates the lake again: lines of the lake before it do not count.

use boxseat_output::lake::{Lake, RecordHead};
use boxseat_reclaim::journal::Witness;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::error::CommandError;

/// What a line says about the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LakeLine {
    /// The record had this head.
    Reached,
    /// The lake begins here, and earlier lines do not count.
    Begun,
}

impl LakeLine {
    fn word(self) -> &'static str {
        match self {
            Self::Reached => "lake",
            Self::Begun => "lake-begun",
        }
    }
}

/// Whether the lake reaches every head that the file has of it.
///
/// # Errors
/// Exit 3 naming the line; exit 2 for a file that cannot be read.
pub(crate) fn check(witness: &Witness<'_>, lake: &Lake) -> Result<(), CommandError> {
    let text = witness.text()?;
    witness.refuse_other_stores(&text)?;
    for (line, head) in heads(witness, &text) {
        lake.reaches(&head).map_err(|e| match e.altered() {
            Some(altered) => CommandError::refused(format!(
                "line {line} of the witness {} has line {} of the lake's record: {altered}",
                witness.path.display(),
                head.sequence
            ))
            .hint("the lake was put back to an older state: restore the newest backup. `boxseat restore` records in the \
                witness that the backup is older; for a store that was put back in another way `boxseat reclaim adopt` \
                continues with the older lake, and `boxseat repair` starts the lake again"),
            None => e.into(),
        })?;
    }
    Ok(())
}

/// Appends the head of the lake's record, unless the last line of the lake has it.
///
/// # Errors
/// Exit 2 for a file that cannot be opened; exit 1 for the disk.
pub(crate) fn note(
    witness: &Witness<'_>,
    line: LakeLine,
    head: &RecordHead,
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    let text = witness.text()?;
    witness.refuse_other_stores(&text)?;
    let is_noted = heads(witness, &text).last().is_some_and(|(_, noted)| noted == head);
    if head.sequence == 0 || (is_noted && line == LakeLine::Reached) {
        return Ok(());
    }
    let at = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    let line = format!("{at} {} {} {} {}\n", witness.store_id, line.word(), head.sequence, head.hash);
    Ok(witness.append(&text, &line)?)
}

/// The heads of the lake that count in the text of a witness, each with the number of its line.
fn heads(witness: &Witness<'_>, text: &str) -> Vec<(usize, RecordHead)> {
    let mut heads = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, store_id, word, sequence, hash] = fields[..] else { continue };
        let is_ours = store_id.parse() == Ok(witness.store_id) && hash.len() == 64;
        let Some(sequence) = sequence.parse().ok().filter(|_| is_ours) else { continue };
        if word == LakeLine::Begun.word() {
            heads.clear();
        } else if word != LakeLine::Reached.word() {
            continue;
        }
        heads.push((index + 1, RecordHead { sequence, hash: hash.to_owned() }));
    }
    heads
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn lines_of_the_lake_count_from_its_last_beginning_on() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("heads.log");
        let witness = Witness { path: &path, store_id: Uuid::from_u128(7), pinned: None };
        let head = |sequence: u64| RecordHead { sequence, hash: sequence.to_string().repeat(64) };
        let heads = || {
            let text = witness.text().unwrap();
            super::heads(&witness, &text)
                .into_iter()
                .map(|(line, head)| (line, head.sequence))
                .collect::<Vec<_>>()
        };
        let note =
            |line, sequence| super::note(&witness, line, &head(sequence), DateTime::UNIX_EPOCH).unwrap();
        note(LakeLine::Reached, 0);
        assert_eq!(heads(), []);
        for sequence in [3, 3, 5] {
            note(LakeLine::Reached, sequence);
        }
        assert_eq!(heads(), [(1, 3), (2, 5)]);
        // A line of the journal, and one that was never completely written.
        let journal =
            format!("T {} 4 {} key\nT {} lake 9 99\n", witness.store_id, "a".repeat(64), witness.store_id);
        witness.open().unwrap().write_all(journal.as_bytes()).unwrap();
        assert_eq!(heads(), [(1, 3), (2, 5)]);
        note(LakeLine::Begun, 2);
        assert_eq!(heads(), [(5, 2)]);
        note(LakeLine::Begun, 2);
        note(LakeLine::Reached, 4);
        assert_eq!(heads(), [(6, 2), (7, 4)]);
        let other = Witness { store_id: Uuid::from_u128(8), ..witness };
        let e = super::note(&other, LakeLine::Reached, &head(1), DateTime::UNIX_EPOCH).unwrap_err();
        assert!(e.lines()[0].contains("line 1 of the witness"), "{:?}", e.lines());
    }
}
