//! SHA-256 of texts and files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Size and content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Bytes.
    pub size_bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl FileDigest {
    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self::new(bytes.len() as u64, Sha256::new_with_prefix(bytes))
    }

    /// The digest of bytes that were hashed one after the other.
    pub fn new(size_bytes: u64, digest: Sha256) -> Self {
        Self { size_bytes, sha256: hex(&digest.finalize()) }
    }

    /// The digest of a file on disk.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        Self::of_copy(&mut crate::durable::open_regular_file(path)?, &mut io::sink())
    }

    /// The digest of an open file, independent of its position.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn of_handle(file: &File) -> io::Result<Self> {
        Self::of_copy(&mut Positioned { file, offset: 0 }, &mut io::sink())
    }

    /// Copies all bytes, and returns their digest.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn of_copy(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<Self> {
        let mut digest = Sha256::new();
        let mut size_bytes = 0;
        let mut buffer = vec![0; COPIED_AT_ONCE];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => return Ok(Self::new(size_bytes, digest)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            digest.update(&buffer[..read]);
            to.write_all(&buffer[..read])?;
            size_bytes += read as u64;
        }
    }
}

/// Reads a file from a separate offset and leaves the position of the handle unchanged.
struct Positioned<'a> {
    file: &'a File,
    offset: u64,
}

impl io::Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// SHA-256 of bytes, in hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// With this buffer, a large data file takes a few hundred system calls.
const COPIED_AT_ONCE: usize = 256 * 1024;
