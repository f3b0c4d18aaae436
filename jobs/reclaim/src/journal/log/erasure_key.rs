//! The erasure key of a store: `state/erasure/key`, readable only by its owner, created by the first erasure.
//!
//! It creates pseudonyms, links erased entries of the journal to the original entries, and chains the records of erasures.

use std::path::{Path, PathBuf};

use boxseat_storage::digest::hex;
use boxseat_storage::durable::{self, Access};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::Error;

/// The key.
pub struct ErasureKey([u8; 32]);

impl ErasureKey {
    /// The store's key. Creates it if there is none.
    ///
    /// # Errors
    /// `Refused` for a file that is not a key, `Failed` for the disk.
    pub fn open_or_create(root: &Path) -> Result<Self, Error> {
        if let Some(key) = Self::open(root)? {
            return Ok(key);
        }
        let key = Self::random();
        durable::create_directory(&erasure_directory(root), &Access::from(0o600))?;
        durable::write_file(&path(root), hex(&key.0).as_bytes(), &Access::from(0o600))?;
        Ok(key)
    }

    /// A key that is not stored.
    pub fn random() -> Self {
        // Two random ids have 244 random bits of the system's generator.
        let seed = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Self(Sha256::digest(&seed).into())
    }

    /// The store's key; `None` if no user was ever erased.
    ///
    /// # Errors
    /// As [`ErasureKey::open_or_create`].
    pub fn open(root: &Path) -> Result<Option<Self>, Error> {
        let path = path(root);
        let text = match durable::read_regular_text(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| Error::failed(format!("cannot read {}", path.display()), e))?,
        };
        let bytes: Option<Vec<u8>> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
        let key = bytes.and_then(|bytes| bytes.try_into().ok()).filter(|_| text.trim_end().len() == 64);
        key.map(|key| Some(Self(key))).ok_or_else(|| {
            Error::refused(format!("{} is not an erasure key", path.display()))
                .hint("restore this file from a backup: without it, an erasure cannot be distinguished from a forgery")
        })
    }

    /// HMAC-SHA-256 in hexadecimal digits. `purpose` separates the uses of the key.
    pub fn mac(&self, purpose: &str, text: &[u8]) -> String {
        hex(&self.raw(purpose, text))
    }

    /// The replacement of a user's id: 24 digits that begin with 900. Programs that expect an id of digits can still read the rows.
    pub fn pseudonym(&self, user_id: &str) -> String {
        let mac = self.raw("user", user_id.as_bytes());
        let number = u128::from_be_bytes(mac[..16].try_into().expect("a MAC has 32 bytes"));
        format!("900{:021}", number % 10u128.pow(21))
    }

    fn raw(&self, purpose: &str, text: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(text);
        mac.finalize().into_bytes().into()
    }
}

/// The directory of the files of erasures.
pub fn erasure_directory(root: &Path) -> PathBuf {
    root.join("state/erasure")
}

fn path(root: &Path) -> PathBuf {
    erasure_directory(root).join("key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonym_has_24_digits_and_is_stable_for_one_store() {
        let temp = tempfile::tempdir().unwrap();
        let pseudonym = ErasureKey::open_or_create(temp.path()).unwrap().pseudonym("12345");
        assert!(pseudonym.len() == 24 && pseudonym.starts_with("900"));
        assert!(pseudonym.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(ErasureKey::open(temp.path()).unwrap().unwrap().pseudonym("12345"), pseudonym);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(ErasureKey::open_or_create(other.path()).unwrap().pseudonym("12345"), pseudonym);
        std::fs::write(temp.path().join("state/erasure/key"), "ab").unwrap();
        assert!(ErasureKey::open(temp.path()).is_err());
    }
}
