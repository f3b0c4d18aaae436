//! Small files of frames. A file is read into memory as a whole.
//!
//! The frame is the spool's ([`crate::spool`]) with a JSON header and without a body.
//!
//! ```text
//! file = file header (kind, version, owner) · frame*
//! ```
//!
//! A process that is killed while it appends leaves a *torn* last frame. A torn frame ends past the end of the file, or in zeros of blocks
//! that were never written. Every other error is damage. A torn frame before a whole frame is damage too: the length in the torn frame was
//! changed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spool::{Damage, FILE_HEADER_LEN, FRAME_FIXED_LEN, FileKind, Fixed};

/// The frames of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames<'a> {
    /// The JSON of each whole frame, in order.
    pub headers: Vec<&'a [u8]>,
    /// Where a torn last frame, or a torn file header, begins.
    pub torn_at: Option<usize>,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {offset}: {damage}")]
pub struct DamagedAt {
    /// Offset in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub damage: Damage,
}

/// Encodes one frame with a JSON header and no body.
///
/// # Panics
/// The header is longer than [`crate::spool::MAX_PART_LEN`].
pub fn encode_frame(header: &[u8]) -> Vec<u8> {
    let mut bytes = Fixed::of(header, &[], 0).encode().to_vec();
    bytes.extend_from_slice(header);
    bytes
}

/// Encodes a file of one record. The caller must write the whole file before the file gets its name.
pub fn encode_record(kind: FileKind, owner: u64, record: &impl Serialize) -> Vec<u8> {
    let mut bytes = kind.encode_header(owner).to_vec();
    bytes.extend(encode_frame(&serde_json::to_vec(record).expect("a record is plain data")));
    bytes
}

/// Reads a file of one record.
///
/// # Errors
/// [`DamagedAt`] unless the file has exactly one whole frame. A torn frame is damage, because the file was complete when it got its name.
pub fn decode_record<T: DeserializeOwned>(kind: FileKind, owner: u64, bytes: &[u8]) -> Result<T, DamagedAt> {
    let damaged = |offset, damage| DamagedAt { offset, damage };
    let frames = read(kind, owner, bytes)?;
    match (frames.headers.as_slice(), frames.torn_at) {
        ([header], None) => {
            serde_json::from_slice(header).map_err(|_| damaged(FILE_HEADER_LEN, Damage::Header))
        }
        (_, torn_at) => Err(damaged(torn_at.unwrap_or(bytes.len()), Damage::NotOneFrame)),
    }
}

/// Reads a file of frames. `owner` is the number that its file header must have.
///
/// # Errors
/// [`DamagedAt`] for another kind, version or owner, and for any damage except a torn end.
pub fn read(kind: FileKind, owner: u64, bytes: &[u8]) -> Result<Frames<'_>, DamagedAt> {
    let at = |offset| move |damage| DamagedAt { offset, damage };
    let mut frames = Frames { headers: Vec::new(), torn_at: None };
    let Some((header, _)) = bytes.split_first_chunk::<FILE_HEADER_LEN>() else {
        let expected = kind.encode_header(owner);
        if expected.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0) {
            frames.torn_at = Some(0);
            return Ok(frames);
        }
        return Err(at(0)(Damage::Header));
    };
    if kind.decode_header(header).map_err(at(0))? != owner {
        return Err(at(0)(Damage::OtherOwner));
    }
    let mut offset = FILE_HEADER_LEN;
    while offset < bytes.len() {
        match frame_at(&bytes[offset..]).map_err(at(offset))? {
            Some(header) => {
                frames.headers.push(header);
                offset += FRAME_FIXED_LEN + header.len();
            }
            None if has_whole_frame(&bytes[offset + 1..]) => return Err(at(offset)(Damage::Length)),
            None => {
                frames.torn_at = Some(offset);
                break;
            }
        }
    }
    Ok(frames)
}

/// The frame at the beginning of `bytes`; `None` if it is torn.
fn frame_at(bytes: &[u8]) -> Result<Option<&[u8]>, Damage> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FRAME_FIXED_LEN>() else { return Ok(None) };
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let fixed = Fixed::decode(fixed)?;
    if fixed.stored_len != 0 || fixed.body_len != 0 {
        return Err(Damage::Length);
    }
    let Some(header) = rest.get(..fixed.header_len as usize) else { return Ok(None) };
    if fixed.matches(header, &[]) {
        return Ok(Some(header));
    }
    // JSON never ends in a zero byte, so these blocks were allocated to the file and never written.
    if header.ends_with(&[0]) && rest[header.len()..].iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    Err(Damage::Checksum)
}

fn has_whole_frame(tail: &[u8]) -> bool {
    tail.iter().any(|byte| *byte != 0)
        && (0..tail.len()).any(|start| matches!(frame_at(&tail[start..]), Ok(Some(_))))
}
