//! Seals of the record: which programs may write a line.

use std::sync::Arc;

use boxseat_storage::digest::{FileDigest, hex};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::super::Seals;
use super::*;

/// A key that two processes share.
#[derive(Debug)]
struct Keyed(&'static str);

impl Seals for Keyed {
    fn seal(&self, text: &str) -> std::result::Result<String, Box<dyn std::error::Error + Send + Sync>> {
        if self.0.is_empty() {
            return Err("no key".into());
        }
        Ok(hex(&Sha256::digest(format!("{} {text}", self.0))))
    }

    fn verify(&self, text: &str, seal: &str) -> std::result::Result<(), String> {
        if hex(&Sha256::digest(format!("right {text}"))) == seal {
            Ok(())
        } else {
            Err("has no valid seal".to_owned())
        }
    }
}

#[test]
fn a_record_whose_last_line_has_no_valid_seal_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("lake");
    let open = |key| Lake::open_sealed(&directory, 0o640, Arc::new(Keyed(key)));
    let lake = open("right").unwrap();
    lake.begin_record(Uuid::from_u128(7)).unwrap();
    lake.note_beside("a", FileDigest::of(b"a")).unwrap();
    let other = open("right").unwrap();
    other.note_beside("b", FileDigest::of(b"b")).unwrap();
    lake.reaches(&other.record_head()).unwrap();
    // Without a key nothing is written, and the record does not change.
    let keyless = open("").unwrap();
    let error = keyless.note_beside("c", FileDigest::of(b"c")).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Input, "{error}");
    let record = directory.join("_runs/files.log");
    let whole = std::fs::read_to_string(&record).unwrap();
    assert_eq!(whole.lines().count(), 3);
    // A line with another key, and a line without a key, in a chain with valid hashes.
    open("wrong").unwrap().note_beside("c", FileDigest::of(b"c")).unwrap();
    let refused = |opened: Result<Lake>| opened.unwrap_err().altered().unwrap().to_string();
    assert!(refused(open("right")).contains("files.log has no valid seal"));
    assert!(lake.reaches(&other.record_head()).is_err(), "by a process that had opened it before");
    std::fs::write(&record, &whole).unwrap();
    Lake::open(&directory, 0o640).unwrap().note_beside("c", FileDigest::of(b"c")).unwrap();
    assert!(refused(open("right")).contains("files.log has no valid seal"));
    std::fs::write(&record, &whole).unwrap();
    open("right").unwrap();
}
