//! R9: `[reclaim] witness`, a file outside the store to which each command appends the head of the journal. A user who can change
//! the store and not that file can neither rewrite nor shorten the journal without a trace.
//!
//! One line is `TIME STORE_ID ENTRIES HEAD KEY`; KEY is the beginning of the SHA-256 of the public key that seals the journal. A
//! file belongs to one store: a store that was emptied, or was given another id, is found. **Killed** before the line is written:
//! the next command's line covers the same entries.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use boxseat_storage::digest::sha256_hex;
use boxseat_storage::durable;
use chrono::{DateTime, SecondsFormat, Utc};
use ssh_key::PublicKey;
use uuid::Uuid;

use super::log::Journal;
use crate::error::Error;

/// The beginning of a public key's digest, without the key's comment.
fn short(public_key: &str) -> String {
    let key: Vec<&str> = public_key.split_whitespace().take(2).collect();
    sha256_hex(key.join(" ").as_bytes()).chars().take(16).collect()
}

/// The file, and the store and key whose heads count.
pub struct Witness<'a> {
    /// The file.
    pub path: &'a Path,
    /// The store.
    pub store_id: Uuid,
    /// `[reclaim] journal_key`.
    pub pinned: Option<&'a PublicKey>,
}

impl Witness<'_> {
    /// Whether the file can be appended to, checked before any action that it must witness.
    ///
    /// # Errors
    /// `Usage`.
    pub fn probe(&self) -> Result<(), Error> {
        self.open().map(drop)
    }

    /// Whether every head that the file has of this store is in the journal; returns their number.
    ///
    /// # Errors
    /// `Refused` naming the line; `Usage` for a file that cannot be read.
    pub fn check(&self, journal: &Journal) -> Result<u64, Error> {
        let text = self.text()?;
        self.refuse_other_stores(&text)?;
        let mut heads = 0;
        for (index, line) in text.lines().enumerate() {
            let Some((entries, head)) = self.head_in(line) else { continue };
            if journal.hash_of(entries) != Some(head)
                && !self.is_lost(journal, entries, text.lines().skip(index + 1))
            {
                let what = if journal.sequence() < entries {
                    format!("the journal ends with entry {}, and", journal.sequence())
                } else {
                    format!("entry {entries} of the journal was changed:")
                };
                return Err(Error::refused(format!(
                    "{what} line {} of the witness {} has entry {entries} with the head {head}",
                    index + 1,
                    self.path.display()
                ))
                .hint("an older journal was put back, or another one was written: put the newest one back")
                .hint("if the newest one is lost, `boxseat reclaim adopt` continues this one"));
            }
            heads += 1;
        }
        Ok(heads)
    }

    /// Whether an adoption has given up the entry of a line: the journal had ended before it, and a later line has the adoption.
    fn is_lost<'l>(&self, journal: &Journal, entries: u64, later: impl Iterator<Item = &'l str>) -> bool {
        let mut adoptions =
            journal.past().adoptions.iter().filter(|mark| mark.adoption.kept_entries < entries);
        let Some(first) = adoptions.next().map(|mark| mark.sequence) else { return false };
        let mut heads = later.filter_map(|line| self.head_in(line));
        heads.any(|(entries, head)| entries >= first && journal.hash_of(entries) == Some(head))
    }

    /// Appends the head, unless it is the last line already.
    ///
    /// # Errors
    /// `Usage` for a file that cannot be opened; `Failed` for the disk.
    pub fn note(&self, journal: &Journal, now: DateTime<Utc>) -> Result<(), Error> {
        let text = self.text()?;
        let last = text.lines().rev().find_map(|line| self.head_in(line));
        let is_noted = last == Some((journal.sequence(), journal.head()));
        if is_noted || journal.sequence() == 0 {
            return Ok(());
        }
        let at = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let key = self.key_of(journal).unwrap_or_default();
        let line = format!("{at} {} {} {} {key}\n", self.store_id, journal.sequence(), journal.head());
        self.append(&text, &line)
    }

    /// The text of the file; empty if there is none yet.
    ///
    /// # Errors
    /// `Usage`.
    pub fn text(&self) -> Result<String, Error> {
        match durable::read_regular_file(self.path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(self.unusable("cannot be read").because(e)),
        }
    }

    /// Appends a line. `text` is the present content: an incomplete last line stays a line of its own.
    ///
    /// # Errors
    /// `Usage` for a file that cannot be opened; `Failed` for the disk.
    pub fn append(&self, text: &str, line: &str) -> Result<(), Error> {
        let torn = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let mut file = self.open()?;
        file.write_all(format!("{torn}{line}").as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|e| Error::failed(format!("cannot append to {}", self.path.display()), e))
    }

    /// Like [`Witness::refuse_other_stores`], for the present file.
    ///
    /// # Errors
    /// `Refused` naming the line; `Usage` for a file that cannot be read.
    pub fn refuse_others(&self) -> Result<(), Error> {
        self.refuse_other_stores(&self.text()?)
    }

    /// Refuses the witness of another store.
    ///
    /// # Errors
    /// `Refused` naming the line.
    pub fn refuse_other_stores(&self, text: &str) -> Result<(), Error> {
        for (index, line) in text.lines().enumerate() {
            if let Some(other) = self.other_store(line) {
                return Err(Error::refused(format!(
                    "line {} of the witness {} is of the store {other}, and this is the store {}",
                    index + 1,
                    self.path.display(),
                    self.store_id
                ))
                .hint("a witness belongs to one store: if the store was emptied or state/store.json was changed, restore it from a backup; for another store name another file"));
            }
        }
        Ok(())
    }

    /// Number and hash of an entry; `None` for another store's line, or one that was never completely written.
    fn head_in<'l>(&self, line: &'l str) -> Option<(u64, &'l str)> {
        let [_, store_id, entries, head, _] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let is_ours = store_id.parse() == Ok(self.store_id) && head.len() == 64;
        entries.parse().ok().filter(|_| is_ours).map(|entries| (entries, head))
    }

    /// The key that seals the journal; if the journal is gone, the configured one.
    fn key_of(&self, journal: &Journal) -> Option<String> {
        let pinned = || self.pinned.and_then(|key| key.to_openssh().ok()).map(|key| short(&key));
        journal.public_key().map(short).or_else(pinned)
    }

    /// The store of a line, if it is another one.
    fn other_store(&self, line: &str) -> Option<Uuid> {
        let mut fields = line.split(' ').skip(1);
        let store_id = fields.next()?.parse().ok()?;
        (fields.count() == 3 && store_id != self.store_id).then_some(store_id)
    }

    /// Opens the file to append to it; a missing file is created.
    ///
    /// # Errors
    /// `Usage`.
    pub fn open(&self) -> Result<File, Error> {
        // A FIFO would block until another process opens it.
        if std::fs::metadata(self.path).is_ok_and(|found| !found.is_file()) {
            return Err(self.unusable("is no plain file"));
        }
        let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(self.path);
        opened.map_err(|e| self.unusable("cannot be opened").because(e))
    }

    fn unusable(&self, what: &str) -> Error {
        Error::usage(format!("the witness {} {what}", self.path.display())).hint(
            "[reclaim] witness names it; nothing is done that it cannot witness. The user of boxseat must be able to read it and to append to it",
        )
    }
}
