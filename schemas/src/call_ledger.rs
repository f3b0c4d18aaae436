//! The call ledger: the Box API calls of one command that is not a run (`check`, `verify --live`, `reclaim`, `offboard`).
//!
//! ```text
//! <store>/state/calls/<run_id>.calls    frames (crate::framed): one per call, and a last one that counts them
//! <store>/state/calls/<run_id>.jsonl    written by older versions: one JSON line per call, without checksums
//! ```
//!
//! A file without the last frame is legal: the command was killed or is still running. The calls in the file are counted. The missing end
//! is reported, because the file may have lost calls at its end.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::framed::{self, DamagedAt};
use crate::spool::{CallOutcome, Damage, FileKind};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Endpoint, with ids replaced by placeholders.
    pub endpoint: String,
    /// When the outcome was known.
    pub at: DateTime<Utc>,
    /// Its outcome.
    pub outcome: CallOutcome,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    Call {
        /// 1, 2, 3, … without a gap.
        number: u64,
        #[serde(flatten)]
        call: Call,
    },
    End {
        calls: u64,
    },
}

/// The calls of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// All whole entries.
    pub calls: Vec<Call>,
    /// How the file ends.
    pub end: End,
}

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The command ended and counted its calls.
    Closed,
    /// The file has no end frame.
    Open,
    /// The last entry is torn. It begins at this byte.
    Torn(usize),
}

/// The header of a file.
pub fn encode_header(run_id: Uuid) -> [u8; crate::spool::FILE_HEADER_LEN] {
    FileKind::CallLedger.encode_header(owner(run_id))
}

/// The frame of the `number`-th call, from 1.
pub fn encode_call(number: u64, call: &Call) -> Vec<u8> {
    encode(&Entry::Call { number, call: call.clone() })
}

/// The frame that ends a file.
pub fn encode_end(calls: u64) -> Vec<u8> {
    encode(&Entry::End { calls })
}

fn encode(entry: &Entry) -> Vec<u8> {
    framed::encode_frame(&serde_json::to_vec(entry).expect("an entry is plain data"))
}

/// Reads a file of frames.
///
/// # Errors
/// [`DamagedAt`] for any damage except a missing or torn end.
pub fn read(run_id: Uuid, bytes: &[u8]) -> Result<Calls, DamagedAt> {
    let frames = framed::read(FileKind::CallLedger, owner(run_id), bytes)?;
    let wrong = |damage| DamagedAt { offset: bytes.len(), damage };
    let mut calls = Vec::new();
    let mut is_closed = false;
    for header in frames.headers {
        if is_closed {
            return Err(wrong(Damage::Count));
        }
        match serde_json::from_slice(header).map_err(|_| wrong(Damage::Header))? {
            Entry::Call { number, call } if number == calls.len() as u64 + 1 => calls.push(call),
            Entry::End { calls: count } if count == calls.len() as u64 => is_closed = true,
            Entry::Call { .. } | Entry::End { .. } => return Err(wrong(Damage::Count)),
        }
    }
    let end = match frames.torn_at {
        // Nothing is appended after the end.
        Some(_) if is_closed => return Err(wrong(Damage::Count)),
        Some(offset) => End::Torn(offset),
        None if is_closed => End::Closed,
        None => End::Open,
    };
    Ok(Calls { calls, end })
}

/// Reads a file of lines, as older versions wrote it. A last line without a line break is torn.
///
/// # Errors
/// [`DamagedAt`] with the offset of the first line that has a line break and is not a call.
pub fn read_lines(bytes: &[u8]) -> Result<Calls, DamagedAt> {
    let mut calls = Vec::new();
    let mut offset = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(call) => calls.push(call),
            Err(_) if !line.ends_with(b"\n") => return Ok(Calls { calls, end: End::Torn(offset) }),
            Err(_) => return Err(DamagedAt { offset, damage: Damage::Header }),
        }
        offset += line.len();
    }
    Ok(Calls { calls, end: End::Closed })
}

/// The random half of the id. It is in the file header, so that a file under the name of another command is detected.
fn owner(run_id: Uuid) -> u64 {
    run_id.as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN_ID: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0007);

    fn call(second: i64) -> Call {
        Call {
            endpoint: "GET /users/me".into(),
            at: DateTime::from_timestamp(1_772_500_000 + second, 0).unwrap(),
            outcome: CallOutcome::Done,
        }
    }

    fn file(calls: i64, is_closed: bool) -> Vec<u8> {
        let mut bytes = encode_header(RUN_ID).to_vec();
        (0..calls).for_each(|second| bytes.extend(encode_call(second as u64 + 1, &call(second))));
        if is_closed {
            bytes.extend(encode_end(calls as u64));
        }
        bytes
    }

    #[test]
    fn calls_survive_the_round_trip() {
        let calls: Vec<Call> = (0..3).map(call).collect();
        assert_eq!(read(RUN_ID, &file(3, true)), Ok(Calls { calls: calls.clone(), end: End::Closed }));
        assert_eq!(read(RUN_ID, &file(3, false)), Ok(Calls { calls, end: End::Open }));
        assert_eq!(
            read(Uuid::from_u128(9), &file(1, true)),
            Err(DamagedAt { offset: 0, damage: Damage::OtherOwner })
        );
    }

    /// Why: 1,383 of 1,999 mutations of a ledger reduced a count without a warning.
    #[test]
    fn every_changed_byte_of_a_ledger_is_refused_or_reported_as_a_torn_end() {
        for is_closed in [true, false] {
            let whole = file(4, is_closed);
            let truth = read(RUN_ID, &whole).unwrap();
            for at in 0..whole.len() {
                for change in 1..=255u8 {
                    let mut bytes = whole.clone();
                    bytes[at] ^= change;
                    match read(RUN_ID, &bytes) {
                        Err(_) => {}
                        Ok(Calls { calls, end: End::Torn(_) }) => assert!(truth.calls.starts_with(&calls)),
                        Ok(read) => panic!("byte {at} changed by {change:#x} was accepted: {read:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn every_truncation_of_a_ledger_is_reported() {
        let whole = file(4, true);
        let truth = read(RUN_ID, &whole).unwrap();
        for length in 0..whole.len() {
            let read = read(RUN_ID, &whole[..length]).unwrap();
            assert_ne!(read.end, End::Closed, "cut to {length}");
            assert!(truth.calls.starts_with(&read.calls));
        }
    }

    #[test]
    fn an_entry_that_is_missing_repeated_or_appended_is_damage() {
        let frame = encode_call(1, &call(0));
        let header = encode_header(RUN_ID);
        let counts = |frames: &[&[u8]]| read(RUN_ID, &[&header[..], &frames.concat()].concat());
        let wrong = |result: Result<Calls, DamagedAt>| {
            assert_eq!(result.unwrap_err().damage, Damage::Count);
        };
        wrong(counts(&[&frame, &encode_end(2)]));
        wrong(counts(&[&frame, &frame, &encode_end(1)]));
        wrong(counts(&[&frame, &frame]));
        wrong(counts(&[&frame, &encode_end(1), &frame]));
        wrong(counts(&[&frame, &encode_end(1), &[0; 40]]));
        assert_eq!(counts(&[&frame, &[0; 40]]).unwrap().end, End::Torn(16 + frame.len()));
    }

    #[test]
    fn fuzz_call_ledger() {
        for (calls, is_closed) in [(5, true), (3, false)] {
            // One file at a time: calls of another file with the same id would not count as damage.
            boxseat_fuzz::run_over("call_ledger", vec![file(calls, is_closed)], |input| {
                let truth = read(RUN_ID, input.original).expect("the corpus is whole");
                match read(RUN_ID, input.mutated) {
                    _ if input.is_forged => Ok(()),
                    Err(_) => Ok(()),
                    Ok(read) if read.end == End::Closed && read != truth => {
                        Err(format!("accepted as {read:?}"))
                    }
                    Ok(read) if !truth.calls.starts_with(&read.calls) => {
                        Err(format!("calls changed: {read:?}"))
                    }
                    Ok(_) => Ok(()),
                }
            });
        }
    }

    #[test]
    fn fuzz_call_ledger_lines() {
        boxseat_fuzz::run("call_ledger_lines", |input| {
            _ = read_lines(input.mutated);
            Ok(())
        });
    }

    #[test]
    fn lines_of_an_older_version_are_read() {
        let line = serde_json::to_string(&call(0)).unwrap();
        let text = format!("{line}\n{line}\n");
        assert_eq!(read_lines(text.as_bytes()), Ok(Calls { calls: vec![call(0); 2], end: End::Closed }));
        let torn = read_lines(&text.as_bytes()[..text.len() - 5]).unwrap();
        assert_eq!((torn.calls.len(), torn.end), (1, End::Torn(line.len() + 1)));
        assert_eq!(
            read_lines(format!("{{}}\n{line}\n").as_bytes()),
            Err(DamagedAt { offset: 0, damage: Damage::Header })
        );
    }
}
