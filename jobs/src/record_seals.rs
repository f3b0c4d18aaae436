//! The seals of the lake's record and of its anchor, made with the store's key, which also seals the journal.
//!
//! A seal is an SSH signature with a namespace of its own ([`Sealed`]), so a journal seal or a plan signature is not valid here. The signed
//! text contains the store's id, so a seal of another store with the same key is not valid either.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use boxseat_output::lake::Seals;
use boxseat_reclaim::journal::{JournalKey, ReclaimLock, StoreKey, anchored_key, store_key};
use ssh_key::{HashAlg, LineEnding, PublicKey, SshSig};
use uuid::Uuid;

use crate::error::CommandError;

/// What a seal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// A line of the lake's record, or its anchor.
    Lake,
    /// An erasure that is not finished.
    Erasure,
}

impl Sealed {
    /// The namespace of the SSH signature.
    fn namespace(self) -> &'static str {
        match self {
            Self::Lake => "boxseat-lake",
            Self::Erasure => "boxseat-erasure",
        }
    }
}

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The seals of one store.
pub(crate) struct RecordSeals {
    root: PathBuf,
    store_id: Uuid,
    configured: JournalKey,
    /// The private key, after a command has loaded it.
    key: OnceLock<StoreKey>,
    /// The public key from the journal's anchor, after it was read.
    anchored: Mutex<Option<PublicKey>>,
}

impl RecordSeals {
    pub(crate) fn of(root: &Path, store_id: Uuid, configured: &JournalKey) -> Self {
        let (root, configured) = (root.to_owned(), configured.clone());
        Self { root, store_id, configured, key: OnceLock::new(), anchored: Mutex::new(None) }
    }

    /// The configured key.
    pub(crate) fn configured(&self) -> &JournalKey {
        &self.configured
    }

    /// Loads the private key for writing. The first use creates it. `held` is the lock of reclamation, if the caller has it.
    ///
    /// # Errors
    /// Exit 2 if the key is missing; exit 3 for the key of another store; exit 75 if another process is creating the key.
    pub(crate) fn take_up(&self, held: Option<&ReclaimLock>) -> Result<&StoreKey, CommandError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = store_key(&self.root, self.store_id, &self.configured, held)?;
        Ok(self.key.get_or_init(|| key))
    }

    /// The public key to verify with: the configured one, else the one that the anchor names.
    fn public_key(&self) -> Result<PublicKey, String> {
        if let Some(pinned) = &self.configured.public {
            return Ok(pinned.clone());
        }
        let mut anchored = self.anchored.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(key) = &*anchored {
            return Ok(key.clone());
        }
        match anchored_key(&self.root, self.store_id) {
            Ok(Some(key)) => Ok(anchored.insert(key).clone()),
            Ok(None) => {
                Err("is sealed, but lake/_journal/anchor.json, which names the key, is missing".to_owned())
            }
            Err(e) => Err(format!("is sealed, but its key cannot be read: {}", e.lines().join(": "))),
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

/// Why a line cannot be sealed. Source of an error of the lake.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct CannotSeal(String);

impl RecordSeals {
    /// Seals a text.
    ///
    /// # Errors
    /// The key is missing, or cannot sign.
    pub(crate) fn seal_as(&self, sealed: Sealed, text: &str) -> Result<String, SealError> {
        let key = self.take_up(None).map_err(|e| CannotSeal(e.lines().join(": ")))?;
        let seal = key.sign(sealed.namespace(), HashAlg::Sha512, &self.message(text))?;
        // Stored as one line. `verify` adds the armour again.
        let armoured = seal.to_pem(LineEnding::LF)?;
        Ok(armoured.lines().filter(|line| !line.starts_with("-----")).collect())
    }

    /// Checks a seal. The error continues a sentence about the text.
    ///
    /// # Errors
    /// The seal is missing, or is not valid for this text, store and key.
    pub(crate) fn verify_as(&self, sealed: Sealed, text: &str, seal: &str) -> Result<(), String> {
        if seal.is_empty() {
            return Err("has no seal: boxseat did not write it".to_owned());
        }
        let key = self.public_key()?;
        let lines: Vec<&str> =
            seal.as_bytes().chunks(70).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let armoured = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
        let is_valid = SshSig::from_pem(armoured)
            .is_ok_and(|seal| key.verify(sealed.namespace(), &self.message(text), &seal).is_ok());
        if is_valid {
            Ok(())
        } else {
            let named_by = match &self.configured.public {
                Some(_) => "[reclaim] journal_key",
                None => "lake/_journal/anchor.json",
            };
            Err(format!("has no valid seal: boxseat did not write it with the key that {named_by} names"))
        }
    }
}

type SealError = Box<dyn std::error::Error + Send + Sync>;

impl Seals for RecordSeals {
    fn seal(&self, text: &str) -> Result<String, SealError> {
        self.seal_as(Sealed::Lake, text)
    }

    fn verify(&self, text: &str, seal: &str) -> Result<(), String> {
        self.verify_as(Sealed::Lake, text, seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: Uuid = Uuid::from_u128(7);

    #[test]
    fn seal_is_valid_only_for_its_text_store_and_key() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let seals = |root: &Path, store_id| RecordSeals::of(root, store_id, &JournalKey::default());
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
        let pinned = JournalKey { public: Some(pinned), ..JournalKey::default() };
        let pins = RecordSeals::of(one.path(), STORE, &pinned);
        assert!(pins.verify("a", &seal).is_err(), "the configuration names another key");
        assert!(pins.take_up(None).is_err_and(|e| e.lines()[0].contains("[reclaim] journal_key")));
        std::fs::remove_file(one.path().join("state/reclaim/journal_key")).unwrap();
        let gone = seals(one.path(), STORE);
        assert_eq!(gone.verify("a", &seal), Ok(()), "readers need no private key");
        assert!(gone.take_up(None).is_err_and(|e| e.exit_code() == 2 && e.lines()[0].contains("is missing")));
    }
}
