//! The spool's frame format: how one response of Box, or one record of a call, is stored in the spool.
//!
//! ```text
//! file  = MAGIC "BXSP" · version u16 · reserved u16 · run number u64 · frame*
//! frame = header length u32 · stored body length u32 · body length u32 · CRC-32 u32 · header (JSON) · stored body (zstd)
//! ```
//!
//! All integers are little-endian. The checksum covers the three lengths, the header and the stored body. Frames are only ever appended, so
//! after a crash every frame but the last is whole. A frame is torn if it ends past the end of the file, or if it is the last one and has a
//! wrong checksum. A torn frame is removed. Any other error is damage.
//!
//! This module encodes and decodes bytes; `boxseat-pipeline` compresses and does the I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::box_api::StreamPosition;

/// The version this build writes and reads.
pub const VERSION: u16 = 1;
/// Length of the file header in bytes.
pub const FILE_HEADER_LEN: usize = 16;
/// Length of a frame's fixed part in bytes.
pub const FRAME_FIXED_LEN: usize = 16;
/// Maximum length of a header or body, in bytes. A greater length in a frame is damage.
pub const MAX_PART_LEN: u32 = 256 * 1024 * 1024;

/// The kind of a file of frames. The first four bytes of the file identify it, so a file of one kind is never read as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Raw pages of a run. The number in the header is the run number.
    Spool,
    /// The action journal ([`crate::reclaim::journal`]); the number in the header is derived from the store's id.
    Journal,
    /// The calls of one command ([`crate::call_ledger`]); the number in the header is derived from the command's `run_id`.
    CallLedger,
    /// The file `SEALED` of a spool. The number in the header is the run number.
    Seal,
}

impl FileKind {
    fn magic(self) -> &'static [u8; 4] {
        match self {
            Self::Spool => b"BXSP",
            Self::Journal => b"BXAJ",
            Self::CallLedger => b"BXCL",
            Self::Seal => b"BXSE",
        }
    }

    /// Encodes the header of a file of this kind.
    pub fn encode_header(self, number: u64) -> [u8; FILE_HEADER_LEN] {
        let mut bytes = [0; FILE_HEADER_LEN];
        bytes[..4].copy_from_slice(self.magic());
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// Reads the header of a file of this kind and returns the number in it.
    ///
    /// # Errors
    /// One of the `NotA…` values of [`Damage`], or [`Damage::OtherVersion`].
    pub fn decode_header(self, bytes: &[u8; FILE_HEADER_LEN]) -> Result<u64, Damage> {
        if &bytes[..4] != self.magic() {
            return Err(match self {
                Self::Spool => Damage::NotASpool,
                Self::Journal => Damage::NotAJournal,
                Self::CallLedger => Damage::NotACallLedger,
                Self::Seal => Damage::NotASeal,
            });
        }
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if version != VERSION {
            return Err(Damage::OtherVersion(version));
        }
        if bytes[6..8] != [0, 0] {
            return Err(Damage::Header);
        }
        Ok(u64::from_le_bytes(bytes[8..].try_into().expect("eight bytes")))
    }
}

/// The content of one frame of the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum Frame {
    /// A response of Box, with its raw body in the frame.
    Page {
        /// The request.
        request: Request,
        /// When the response was complete.
        received_at: DateTime<Utc>,
        /// HTTP status: 200; 404 for a user or group that was deleted after it was listed; 403 for one that boxseat may not read.
        status: u16,
        /// The read of this listing that the page belongs to. If a read starts again, earlier pages are ignored.
        walk: u32,
        /// Whether this was the last page of that read.
        last: bool,
        /// Number of damaged characters of the body that were replaced ([`crate::box_api::json`]).
        #[serde(default, skip_serializing_if = "is_zero")]
        damaged_characters: u64,
    },
    /// Box did not return the record of one user or group, although other calls succeeded. This run uses the rows of the base run instead,
    /// and the next run requests the record again. The failed calls are in [`Frame::Call`].
    Unread {
        /// What was requested.
        request: Request,
        /// Why it could not be read.
        reason: String,
    },
    /// A process started or resumed reading.
    Session {
        /// Fingerprint of the credentials of the process. A process with other credentials must first read which account its credentials
        /// belong to.
        credentials: String,
    },
    /// The plan of the run: a [`crate::plan::RunPlan`] as JSON in the body. The last plan in the spool applies.
    Plan {
        /// Number of calls that are planned for the whole run.
        calls: u64,
    },
    /// A call without a page: a token request, a failed attempt before a retry, an error. Stored for the call ledger.
    Call {
        /// Endpoint as the ledger names it.
        endpoint: String,
        /// When the response arrived or the call failed.
        at: DateTime<Utc>,
        /// The outcome.
        outcome: CallOutcome,
        /// Seconds for which all calls paused because of this call.
        waited_seconds: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The outcome of a call without a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// Succeeded without a page: a token request.
    Done,
    /// Refused with 429, then repeated.
    Throttled,
    /// Failed, then repeated.
    Retried,
    /// Failed. The call is not repeated.
    Failed,
}

/// One request to Box, as the spool stores it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "stream", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the parameters of the call")]
pub enum Request {
    /// `GET /users/me`.
    Me,
    /// `GET /users/{id}`.
    User { user_id: String },
    /// `GET /users` by marker.
    Users { marker: Option<String> },
    /// `GET /groups` by offset.
    Groups { offset: u64 },
    /// `GET /groups/{id}/memberships` by offset.
    GroupMemberships { group_id: String, offset: u64 },
    /// `GET /users/{id}/memberships` by offset.
    UserMemberships { user_id: String, offset: u64 },
    /// `GET /users/{id}/email_aliases`.
    EmailAliases { user_id: String },
    /// `GET /events`, one slice of the window. After Box refused the list of types, only LOGIN is requested.
    Events { slice: u32, login_only: bool, position: Option<StreamPosition> },
}

impl Request {
    /// Whether this is a request for the record of one user or group. Its failure affects that record and not the listing.
    pub fn is_about_one(&self) -> bool {
        self.subject_id().is_some()
    }

    /// The requested object, as text for messages.
    pub fn subject(&self) -> String {
        match self {
            Request::GroupMemberships { group_id, .. } => format!("the members of group {group_id}"),
            Request::UserMemberships { user_id, .. } => format!("the memberships of user {user_id}"),
            Request::EmailAliases { user_id } => format!("the aliases of user {user_id}"),
            Request::User { user_id } => format!("user {user_id}"),
            other => other.endpoint().to_owned(),
        }
    }

    /// Id of the user or group whose record is requested.
    pub fn subject_id(&self) -> Option<&str> {
        match self {
            Request::GroupMemberships { group_id, .. } => Some(group_id),
            Request::User { user_id }
            | Request::UserMemberships { user_id, .. }
            | Request::EmailAliases { user_id } => Some(user_id),
            _ => None,
        }
    }

    /// The endpoint as the ledger names it: method and path, without ids.
    pub fn endpoint(&self) -> &'static str {
        match self {
            Request::Me => "GET /users/me",
            Request::User { .. } => "GET /users/{id}",
            Request::Users { .. } => "GET /users",
            Request::Groups { .. } => "GET /groups",
            Request::GroupMemberships { .. } => "GET /groups/{id}/memberships",
            Request::UserMemberships { .. } => "GET /users/{id}/memberships",
            Request::EmailAliases { .. } => "GET /users/{id}/email_aliases",
            Request::Events { .. } => "GET /events",
        }
    }
}

/// The ledger's name of the token endpoint.
pub const TOKEN_ENDPOINT: &str = "POST /oauth2/token";

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    /// Length of the JSON header.
    pub header_len: u32,
    /// Length of the body as stored.
    pub stored_len: u32,
    /// Length of the body as Box sent it.
    pub body_len: u32,
    /// CRC-32 over the three lengths, the header and the stored body.
    pub checksum: u32,
}

impl Fixed {
    /// The fixed part of a frame that will be written.
    ///
    /// # Panics
    /// A part is longer than [`MAX_PART_LEN`]. The client's response limit is far below that.
    pub fn of(header: &[u8], stored: &[u8], body_len: usize) -> Self {
        let len = |n: usize| {
            u32::try_from(n).ok().filter(|n| *n <= MAX_PART_LEN).expect("the client bounds what it reads")
        };
        let mut fixed = Self {
            header_len: len(header.len()),
            stored_len: len(stored.len()),
            body_len: len(body_len),
            checksum: 0,
        };
        fixed.checksum = fixed.sum(header, stored);
        fixed
    }

    /// Encodes the fixed part.
    pub fn encode(&self) -> [u8; FRAME_FIXED_LEN] {
        let mut bytes = [0; FRAME_FIXED_LEN];
        for (chunk, value) in
            bytes.chunks_exact_mut(4).zip([self.header_len, self.stored_len, self.body_len, self.checksum])
        {
            chunk.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Decodes the fixed part.
    ///
    /// # Errors
    /// [`Damage::Length`] when a length is impossible.
    pub fn decode(bytes: &[u8; FRAME_FIXED_LEN]) -> Result<Self, Damage> {
        let value = |i: usize| u32::from_le_bytes(bytes[i * 4..i * 4 + 4].try_into().expect("four bytes"));
        let fixed =
            Self { header_len: value(0), stored_len: value(1), body_len: value(2), checksum: value(3) };
        if fixed.header_len == 0
            || [fixed.header_len, fixed.stored_len, fixed.body_len].into_iter().any(|n| n > MAX_PART_LEN)
        {
            return Err(Damage::Length);
        }
        Ok(fixed)
    }

    /// Whether the checksum matches the header and the stored body.
    pub fn matches(&self, header: &[u8], stored: &[u8]) -> bool {
        self.sum(header, stored) == self.checksum
    }

    fn sum(&self, header: &[u8], stored: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.encode()[..FRAME_FIXED_LEN - 4]);
        hasher.update(header);
        hasher.update(stored);
        hasher.finalize()
    }
}

/// The kinds of damage that a file of frames can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Another kind of file.
    #[error("it does not start with the header of a boxseat spool")]
    NotASpool,
    /// Another kind of file.
    #[error("it does not start with the header of a boxseat journal")]
    NotAJournal,
    /// Another kind of file.
    #[error("it does not start with the header of a boxseat call ledger")]
    NotACallLedger,
    /// Another kind of file.
    #[error("it does not start with the header of a boxseat seal")]
    NotASeal,
    /// The number in the header is not the number that the file's path requires.
    #[error("it belongs to another run, command or store")]
    OtherOwner,
    /// A file of one record, such as a seal, has no frame or more than one.
    #[error("it does not contain exactly one record")]
    NotOneFrame,
    /// The file is missing.
    #[error("the file is missing, but its pages exist")]
    Missing,
    /// Entries are missing, repeated or out of order.
    #[error("an entry is missing, repeated or out of order")]
    Count,
    /// Written by another version of boxseat.
    #[error("it has format version {0}, this boxseat reads version {VERSION}")]
    OtherVersion(u16),
    /// Shorter or longer than when it was sealed.
    #[error("its length differs from its length when it was sealed")]
    NotAsSealed,
    /// An impossible length.
    #[error("a frame has an impossible length")]
    Length,
    /// The bytes are not those that were written.
    #[error("a frame's checksum does not match")]
    Checksum,
    /// The header of the file or of a frame is unknown.
    #[error("a header cannot be read")]
    Header,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_round_trip_and_show_damage() {
        let frame = Frame::Page {
            request: Request::Events {
                slice: 3,
                login_only: false,
                position: Some("1152922986252290886".into()),
            },
            received_at: DateTime::from_timestamp(1_772_500_000, 5_000).unwrap(),
            status: 200,
            walk: 0,
            last: false,
            damaged_characters: 0,
        };
        let header = serde_json::to_vec(&frame).unwrap();
        let fixed = Fixed::of(&header, b"stored", 9);
        let read = Fixed::decode(&fixed.encode()).unwrap();
        assert_eq!(read, fixed);
        assert!(read.matches(&header, b"stored") && !read.matches(&header, b"storeD"));
        assert_eq!(serde_json::from_slice::<Frame>(&header).unwrap(), frame);
    }

    #[test]
    fn error_names_the_other_file_kind_or_version() {
        let good = FileKind::Spool.encode_header(12);
        assert_eq!(FileKind::Spool.decode_header(&good), Ok(12));
        assert_eq!(FileKind::Journal.decode_header(&good), Err(Damage::NotAJournal));
        let mut other = good;
        other[4] = 9;
        assert_eq!(FileKind::Spool.decode_header(&other), Err(Damage::OtherVersion(9)));
        assert_eq!(FileKind::Spool.decode_header(b"PK\x03\x04............"), Err(Damage::NotASpool));
    }
}
