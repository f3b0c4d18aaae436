//! The seals of the lake's record and of its anchor: made with the store's key, the one that seals the journal.
//!
//! A seal is an SSH signature of the namespace `boxseat-lake`, so no seal of a journal entry and no signature of a plan is one. The
//! store's id is signed along: the record of another store with the same key has no valid seal.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use boxseat_output::lake::Seals;
use ssh_key::{HashAlg, LineEnding, PublicKey, SshSig};
use uuid::Uuid;

use crate::error::CommandError;
use crate::reclaim::journal::{ReclaimLock, StoreKey, anchored_key, store_key};

/// What a seal is made for.
const NAMESPACE: &str = "boxseat-lake";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The seals of one store.
pub(crate) struct RecordSeals {
    root: PathBuf,
    store_id: Uuid,
    /// `[reclaim] journal_key`.
    pinned: Option<PublicKey>,
    /// The private key, once a command took it up to write.
    key: OnceLock<StoreKey>,
    /// The public key that the store names, once it was read.
    anchored: Mutex<Option<PublicKey>>,
}

impl RecordSeals {
    pub(crate) fn of(root: &Path, store_id: Uuid, pinned: Option<&PublicKey>) -> Self {
        let (root, pinned) = (root.to_owned(), pinned.cloned());
        Self { root, store_id, pinned, key: OnceLock::new(), anchored: Mutex::new(None) }
    }

    /// `[reclaim] journal_key`.
    pub(crate) fn pinned(&self) -> Option<&PublicKey> {
        self.pinned.as_ref()
    }

    /// Takes up the private key to write with. The first use makes it. `held` is the lock of reclamation, if the caller has it.
    ///
    /// # Errors
    /// Exit 2 when the key is not there; exit 3 for a key that is another's; exit 75 when the first use of the key is under way.
    pub(crate) fn take_up(&self, held: Option<&ReclaimLock>) -> Result<&StoreKey, CommandError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = store_key(&self.root, self.store_id, self.pinned.as_ref(), held)?;
        Ok(self.key.get_or_init(|| key))
    }

    /// The public key that counts.
    fn public_key(&self) -> Result<PublicKey, String> {
        if let Some(pinned) = &self.pinned {
            return Ok(pinned.clone());
        }
        let mut anchored = self.anchored.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(key) = &*anchored {
            return Ok(key.clone());
        }
        match anchored_key(&self.root, self.store_id) {
            Ok(Some(key)) => Ok(anchored.insert(key).clone()),
            Ok(None) => {
                Err("is sealed, and lake/_journal/anchor.json, which names the key, is missing".to_owned())
            }
            Err(e) => Err(format!("is sealed, and its key is not known: {}", e.lines().join(": "))),
        }
    }

    fn message(&self, text: &str) -> Vec<u8> {
        format!("{}\n{text}", self.store_id).into_bytes()
    }
}

impl fmt::Debug for RecordSeals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSeals").field("store_id", &self.store_id).finish_non_exhaustive()
    }
}

/// Why a line cannot be sealed, for the errors of the lake.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct CannotSeal(String);

impl Seals for RecordSeals {
    fn seal(&self, text: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let key = self.take_up(None).map_err(|e| CannotSeal(e.lines().join(": ")))?;
        let seal = key.sign(NAMESPACE, HashAlg::Sha512, &self.message(text))?;
        // One line: the armour is put on again to verify.
        let armoured = seal.to_pem(LineEnding::LF)?;
        Ok(armoured.lines().filter(|line| !line.starts_with("-----")).collect())
    }

    fn verify(&self, text: &str, seal: &str) -> Result<(), String> {
        if seal.is_empty() {
            return Err("has no seal: boxseat did not write it".to_owned());
        }
        let key = self.public_key()?;
        let lines: Vec<&str> =
            seal.as_bytes().chunks(70).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let armoured = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
        let is_valid = SshSig::from_pem(armoured)
            .is_ok_and(|seal| key.verify(NAMESPACE, &self.message(text), &seal).is_ok());
        if is_valid {
            Ok(())
        } else {
            let named_by = match &self.pinned {
                Some(_) => "[reclaim] journal_key",
                None => "lake/_journal/anchor.json",
            };
            Err(format!("has no valid seal: boxseat did not write it with the key that {named_by} names"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: Uuid = Uuid::from_u128(7);

    #[test]
    fn a_seal_is_of_one_text_of_one_store_by_its_key() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let seals = |root: &Path, store_id| RecordSeals::of(root, store_id, None);
        let ours = seals(one.path(), STORE);
        assert!(ours.verify("a", "x").unwrap_err().contains("anchor.json, which names the key, is missing"));
        let seal = ours.seal("a").unwrap();
        assert!(!seal.is_empty() && !seal.contains(char::is_whitespace));
        assert_eq!(ours.verify("a", &seal), Ok(()));
        assert_eq!(seals(one.path(), STORE).verify("a", &seal), Ok(()));
        assert!(ours.verify("b", &seal).is_err());
        for no_seal in ["", "x", &seal[..seal.len() - 4], &format!("{seal}AAAA")] {
            assert!(ours.verify("a", no_seal).is_err(), "{no_seal}");
        }
        let theirs = seals(other.path(), STORE);
        assert!(ours.verify("a", &theirs.seal("a").unwrap()).is_err(), "by another key");
        let pinned = anchored_key(other.path(), STORE).unwrap().unwrap();
        let pins = RecordSeals::of(one.path(), STORE, Some(&pinned));
        assert!(pins.verify("a", &seal).is_err(), "the configuration names another key");
        assert!(pins.take_up(None).is_err_and(|e| e.lines()[0].contains("[reclaim] journal_key")));
        std::fs::remove_file(one.path().join("state/reclaim/journal_key")).unwrap();
        let gone = seals(one.path(), STORE);
        assert_eq!(gone.verify("a", &seal), Ok(()), "readers need no private key");
        assert!(gone.take_up(None).is_err_and(|e| e.exit_code() == 2 && e.lines()[0].contains("is missing")));
    }
}
