//! The mark `SEALED`: a file of one frame ([`boxseat_schemas::framed`]). Older versions wrote the record as plain JSON.

use std::io::ErrorKind;
use std::path::PathBuf;

use boxseat_schemas::framed::{self, DamagedAt};
use boxseat_schemas::spool::{Damage, FileKind};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::SpoolDir;
use crate::Error;

/// The content of `SEALED`: the state of the spool when the guards had passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealRecord {
    /// Length of the file of frames in bytes.
    pub bytes: u64,
    /// Frames in it.
    pub frames: u64,
    /// When it was sealed.
    pub sealed_at: DateTime<Utc>,
}

impl SealRecord {
    /// The content of the file.
    pub fn encode(&self, run_number: u64) -> Vec<u8> {
        framed::encode_record(FileKind::Seal, run_number, self)
    }

    /// Reads the content of the file.
    ///
    /// # Errors
    /// [`DamagedAt`] for anything except one whole frame, or the JSON of an older version.
    pub fn decode(run_number: u64, bytes: &[u8]) -> Result<Self, DamagedAt> {
        // Older versions indented their JSON. A frame has compact JSON, so a frame without its beginning is not mistaken for it.
        if bytes.starts_with(b"{\n") {
            let damaged = |_| DamagedAt { offset: 0, damage: Damage::Header };
            return serde_json::from_slice(bytes).map_err(damaged);
        }
        framed::decode_record(FileKind::Seal, run_number, bytes)
    }
}

impl SpoolDir {
    /// The content of `SEALED`; `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Seal`] if the file differs from what was written, [`Error::Io`].
    pub fn seal_record(&self) -> Result<Option<SealRecord>, Error> {
        let path = self.sealed();
        match std::fs::read(&path) {
            Ok(bytes) => SealRecord::decode(self.run_number, &bytes)
                .map(Some)
                .map_err(|DamagedAt { offset, damage }| Error::Seal { path, offset, damage }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }

    /// Fails if the raw pages of a complete run exist but its seal does not.
    ///
    /// # Errors
    /// [`Error::Seal`], [`Error::Io`].
    pub fn check_is_gone(&self) -> Result<(), Error> {
        let pages: PathBuf = self.pages();
        match pages.try_exists() {
            Ok(false) => Ok(()),
            Ok(true) => Err(Error::Seal { path: self.sealed(), offset: 0, damage: Damage::Missing }),
            Err(e) => Err(Error::io("look for", &pages)(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SealRecord {
        SealRecord {
            bytes: 48_211,
            frames: 37,
            sealed_at: DateTime::from_timestamp(1_772_500_000, 123_000).unwrap(),
        }
    }

    #[test]
    fn a_seal_survives_the_round_trip() {
        assert_eq!(SealRecord::decode(4, &record().encode(4)), Ok(record()));
        let other = SealRecord::decode(5, &record().encode(4)).unwrap_err();
        assert_eq!(other.damage, Damage::OtherOwner);
    }

    #[test]
    fn a_seal_of_an_older_version_is_read() {
        let text = serde_json::to_vec_pretty(&record()).unwrap();
        assert_eq!(SealRecord::decode(4, &text), Ok(record()));
    }

    /// Why: 295 of 297 mutations of a seal counted as "no longer kept".
    #[test]
    fn every_changed_byte_and_every_truncation_of_a_seal_is_refused() {
        let whole = record().encode(4);
        for at in 0..whole.len() {
            assert!(SealRecord::decode(4, &whole[..at]).is_err(), "cut to {at}");
            for change in 1..=255u8 {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                assert!(SealRecord::decode(4, &bytes).is_err(), "byte {at} changed by {change:#x}");
            }
        }
        assert!(SealRecord::decode(4, &whole[32..]).is_err(), "without its headers");
        let twice = [&whole[..], &whole[16..]].concat();
        assert_eq!(SealRecord::decode(4, &twice).unwrap_err().damage, Damage::NotOneFrame);
    }

    #[test]
    fn fuzz_seal() {
        boxseat_fuzz::run_over("seal", vec![record().encode(4)], |input| {
            match SealRecord::decode(4, input.mutated) {
                Ok(read) if read != record() && !input.is_forged => Err(format!("accepted as {read:?}")),
                _ => Ok(()),
            }
        });
    }

    #[test]
    fn a_missing_seal_is_damage_only_while_the_pages_are_there() {
        let temp = tempfile::tempdir().unwrap();
        let dir = SpoolDir::of(temp.path(), 4);
        assert_eq!(dir.seal_record().unwrap(), None);
        dir.check_is_gone().unwrap();
        std::fs::create_dir(dir.path()).unwrap();
        std::fs::write(dir.pages(), b"pages").unwrap();
        assert!(matches!(dir.check_is_gone(), Err(Error::Seal { damage: Damage::Missing, .. })));
        std::fs::write(dir.sealed(), b"").unwrap();
        assert!(matches!(dir.seal_record(), Err(Error::Seal { damage: Damage::NotOneFrame, .. })));
    }
}
