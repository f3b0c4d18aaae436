//! Reads frames: all of them to resume a run, or selected ones to normalise them.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use boxseat_schemas::spool::{Damage, FILE_HEADER_LEN, FRAME_FIXED_LEN, FileKind, Fixed, Frame};

use super::{SealRecord, SpoolDir};
use crate::Error;

/// A spool that is open for reading. Even if another file takes its name later, this file is read.
#[derive(Debug)]
pub struct SpoolReader {
    path: PathBuf,
    file: Arc<File>,
    len: u64,
}

/// The extent of the whole frames of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Bytes up to the end of the last whole frame.
    pub bytes: u64,
    /// Whole frames.
    pub frames: u64,
}

impl SpoolReader {
    /// Opens the spool of a run.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Spool`] if the file is not a spool, has another format version, or belongs to another run.
    pub fn open(dir: &SpoolDir, run_number: u64) -> Result<Self, Error> {
        let path = dir.pages();
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let len = file.metadata().map_err(Error::io("measure", &path))?.len();
        let mut header = [0; FILE_HEADER_LEN];
        let damage = |damage| Error::Spool { path: path.clone(), offset: 0, damage };
        match file.read_exact_at(&mut header, 0) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(damage(Damage::NotASpool)),
            Err(e) => return Err(Error::io("read", &path)(e)),
        }
        match FileKind::Spool.decode_header(&header) {
            Ok(run) if run == run_number => Ok(Self { path, file: Arc::new(file), len }),
            Ok(_) => Err(damage(Damage::NotASpool)),
            Err(e) => Err(damage(e)),
        }
    }

    /// The open file, for a comparison.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Checks every frame and passes it to `seen`, with the body decompressed. Stops at a torn tail.
    ///
    /// # Errors
    /// [`Error::Spool`] for damage before the tail, [`Error::Io`], or the error of `seen`.
    pub fn replay(&self, mut seen: impl FnMut(&Frame, &[u8]) -> Result<(), Error>) -> Result<Whole, Error> {
        let mut frames = Frames::open(self)?;
        let mut count = 0;
        while let Some((frame, body)) = frames.next_frame()? {
            seen(&frame, &body)?;
            count += 1;
        }
        Ok(Whole { bytes: frames.offset, frames: count })
    }

    /// Refuses a spool whose length differs from its length when it was sealed.
    ///
    /// # Errors
    /// [`Error::Spool`].
    pub fn check_seal(&self, seal: &SealRecord, frames: u64) -> Result<(), Error> {
        if (self.len, frames) == (seal.bytes, seal.frames) {
            return Ok(());
        }
        Err(Error::Spool { path: self.path.clone(), offset: self.len, damage: Damage::NotAsSealed })
    }

    /// Reads single frames by their offset.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn frames(&self) -> Result<Frames, Error> {
        Frames::open(self)
    }
}

/// A position in a spool.
pub struct Frames {
    path: PathBuf,
    file: BufReader<Cursor>,
    len: u64,
    offset: u64,
    decompressor: zstd::bulk::Decompressor<'static>,
}

impl Frames {
    fn open(reader: &SpoolReader) -> Result<Self, Error> {
        let io = |action| Error::io(action, &reader.path);
        let cursor = Cursor { file: Arc::clone(&reader.file), offset: FILE_HEADER_LEN as u64 };
        let file = BufReader::with_capacity(256 * 1024, cursor);
        let decompressor = zstd::bulk::Decompressor::new().map_err(io("set up decompression for"))?;
        Ok(Self {
            path: reader.path.clone(),
            file,
            len: reader.len,
            offset: FILE_HEADER_LEN as u64,
            decompressor,
        })
    }

    /// Position of the next frame.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame; `None` at the end, or at a torn last frame.
    ///
    /// # Errors
    /// [`Error::Spool`] for damage, [`Error::Io`].
    pub fn next_frame(&mut self) -> Result<Option<(Frame, Vec<u8>)>, Error> {
        let left = self.len.saturating_sub(self.offset);
        if left < FRAME_FIXED_LEN as u64 {
            return Ok(None);
        }
        let start = self.offset;
        let mut fixed = [0; FRAME_FIXED_LEN];
        self.read(&mut fixed)?;
        let damage = |this: &Self, damage| Error::Spool { path: this.path.clone(), offset: start, damage };
        // A crash can cut short only the last write, or leave it unfinished on the disk. So wrong bytes at the very end are a torn frame.
        // Anywhere else they are damage.
        let fixed = match Fixed::decode(&fixed) {
            Ok(fixed) => fixed,
            Err(_) if self.only_zeros_from(start)? => return Ok(None),
            Err(e) => return Err(damage(self, e)),
        };
        let whole = FRAME_FIXED_LEN as u64 + u64::from(fixed.header_len) + u64::from(fixed.stored_len);
        if whole > left {
            return Ok(None);
        }
        let mut header = vec![0; fixed.header_len as usize];
        let mut stored = vec![0; fixed.stored_len as usize];
        self.read(&mut header)?;
        self.read(&mut stored)?;
        if !fixed.matches(&header, &stored) {
            if whole == left {
                return Ok(None);
            }
            return Err(damage(self, Damage::Checksum));
        }
        let frame = serde_json::from_slice(&header).map_err(|_| damage(self, Damage::Header))?;
        let body = self
            .decompressor
            .decompress(&stored, fixed.body_len as usize)
            .ok()
            .filter(|body| body.len() == fixed.body_len as usize)
            .ok_or_else(|| damage(self, Damage::Length))?;
        self.offset = start + whole;
        Ok(Some((frame, body)))
    }

    /// The header of the next frame. Its body is skipped without a check: for the index of a sealed spool.
    ///
    /// # Errors
    /// [`Error::Spool`] for damage, [`Error::Io`].
    pub fn next_header(&mut self) -> Result<Option<Frame>, Error> {
        let left = self.len.saturating_sub(self.offset);
        if left < FRAME_FIXED_LEN as u64 {
            return Ok(None);
        }
        let mut fixed = [0; FRAME_FIXED_LEN];
        self.read(&mut fixed)?;
        let damage = |damage| Error::Spool { path: self.path.clone(), offset: self.offset, damage };
        let fixed = Fixed::decode(&fixed).map_err(damage)?;
        let whole = FRAME_FIXED_LEN as u64 + u64::from(fixed.header_len) + u64::from(fixed.stored_len);
        if whole > left {
            return Err(damage(Damage::Length));
        }
        let mut header = vec![0; fixed.header_len as usize];
        self.read(&mut header)?;
        let frame = serde_json::from_slice(&header).map_err(|_| Error::Spool {
            path: self.path.clone(),
            offset: self.offset,
            damage: Damage::Header,
        })?;
        self.file.seek_relative(i64::from(fixed.stored_len)).map_err(Error::io("seek in", &self.path))?;
        self.offset += whole;
        Ok(Some(frame))
    }

    /// The frame at an offset that an earlier pass has found.
    ///
    /// # Errors
    /// [`Error::Spool`] if there is no whole frame any more, [`Error::Io`].
    pub fn frame_at(&mut self, offset: u64) -> Result<(Frame, Vec<u8>), Error> {
        let step = i64::try_from(offset)
            .and_then(|to| i64::try_from(self.offset).map(|from| to - from))
            .expect("files are shorter than 2^63");
        self.file.seek_relative(step).map_err(Error::io("seek in", &self.path))?;
        self.offset = offset;
        self.next_frame()?.ok_or_else(|| Error::Spool {
            path: self.path.clone(),
            offset,
            damage: Damage::Checksum,
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact(buffer).map_err(Error::io("read", &self.path))
    }

    /// A file system may extend a file before it writes the data. After a power cut the tail reads as zeros.
    fn only_zeros_from(&mut self, start: u64) -> Result<bool, Error> {
        let io = |e| Error::io("read", &self.path)(e);
        let mut file = Cursor { file: Arc::clone(&self.file.get_ref().file), offset: start };
        let mut buffer = [0; 64 * 1024];
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => return Ok(true),
                n if buffer[..n].iter().any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}

/// A position in an open file that other readers use as well.
struct Cursor {
    file: Arc<File>,
    offset: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(step) => self.offset.checked_add_signed(step),
            SeekFrom::End(step) => self.file.metadata()?.len().checked_add_signed(step),
        };
        self.offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use boxseat_schemas::spool::{CallOutcome, Request};
    use chrono::DateTime;

    use super::*;
    use crate::spool::SpoolWriter;

    fn page(user: u64) -> Frame {
        Frame::Page {
            request: Request::EmailAliases { user_id: user.to_string() },
            received_at: DateTime::from_timestamp(1_772_500_000, 0).unwrap(),
            status: 200,
            walk: 0,
            last: true,
            damaged_characters: 0,
        }
    }

    fn three_frames() -> (tempfile::TempDir, SpoolDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = SpoolDir::of(temp.path(), 4);
        let writer = SpoolWriter::create(dir.clone(), 4).unwrap();
        for user in 0..3 {
            writer.append(&page(user), format!("body {user}").as_bytes()).unwrap();
        }
        writer.sync().unwrap();
        (temp, dir)
    }

    fn bodies(dir: &SpoolDir) -> Result<Vec<String>, Error> {
        let mut bodies = Vec::new();
        SpoolReader::open(dir, 4)?.replay(|_, body| {
            bodies.push(String::from_utf8(body.to_vec()).unwrap());
            Ok(())
        })?;
        Ok(bodies)
    }

    #[test]
    fn a_torn_last_frame_is_cut_off_wherever_it_is_torn() {
        let (_temp, dir) = three_frames();
        let whole = std::fs::read(dir.pages()).unwrap();
        let mut offsets = Vec::new();
        let reader = SpoolReader::open(&dir, 4).unwrap();
        let mut frames = reader.frames().unwrap();
        while frames.next_frame().unwrap().is_some() {
            offsets.push(frames.offset());
        }
        for cut in offsets[1] + 1..offsets[2] {
            std::fs::write(dir.pages(), &whole[..cut as usize]).unwrap();
            let mut seen = 0;
            let writer = SpoolWriter::resume(dir.clone(), 4, |_, _| {
                seen += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, 2, "cut at {cut}");
            writer.append(&page(9), b"again").unwrap();
            assert_eq!(bodies(&dir).unwrap(), ["body 0", "body 1", "again"], "cut at {cut}");
        }
    }

    #[test]
    fn zeros_after_a_power_cut_are_a_torn_tail() {
        let (_temp, dir) = three_frames();
        let mut file = std::fs::OpenOptions::new().append(true).open(dir.pages()).unwrap();
        file.write_all(&[0; 5000]).unwrap();
        assert_eq!(bodies(&dir).unwrap().len(), 3);
    }

    #[test]
    fn damage_before_the_tail_is_an_error_that_says_where() {
        let (_temp, dir) = three_frames();
        let mut bytes = std::fs::read(dir.pages()).unwrap();
        bytes[FILE_HEADER_LEN + FRAME_FIXED_LEN + 3] ^= 1;
        std::fs::write(dir.pages(), bytes).unwrap();
        let error = bodies(&dir).unwrap_err();
        assert!(matches!(error, Error::Spool { offset: 16, damage: Damage::Checksum, .. }), "{error}");
    }

    #[test]
    fn another_run_s_spool_is_refused() {
        let (_temp, dir) = three_frames();
        assert!(SpoolReader::open(&dir, 5).is_err());
        assert!(SpoolWriter::create(dir, 4).is_err());
    }

    /// Why: the pages were compared through one open file and read through nine others.
    #[test]
    fn a_file_that_takes_the_name_is_not_read() {
        let (_temp, dir) = three_frames();
        let reader = SpoolReader::open(&dir, 4).unwrap();
        std::fs::remove_file(dir.pages()).unwrap();
        std::fs::write(dir.pages(), b"others").unwrap();
        let whole = reader.replay(|_, _| Ok(())).unwrap();
        assert_eq!((whole.frames, whole.bytes), (3, reader.file().metadata().unwrap().len()));
    }

    #[test]
    fn calls_without_a_page_are_frames_too() {
        let (_temp, dir) = three_frames();
        let writer = SpoolWriter::resume(dir.clone(), 4, |_, _| Ok(())).unwrap();
        let note = Frame::Call {
            endpoint: "POST /oauth2/token".into(),
            at: DateTime::from_timestamp(0, 0).unwrap(),
            outcome: CallOutcome::Done,
            waited_seconds: 0,
        };
        writer.append(&note, b"").unwrap();
        let reader = SpoolReader::open(&dir, 4).unwrap();
        let mut last = None;
        reader
            .replay(|frame, _| {
                last = Some(frame.clone());
                Ok(())
            })
            .unwrap();
        assert_eq!(last, Some(note));
    }

    /// Frames with their bodies.
    type Pages = Vec<(Frame, Vec<u8>)>;

    fn read_file(dir: &SpoolDir, bytes: &[u8]) -> Result<(Pages, SpoolReader, Whole), Error> {
        std::fs::write(dir.pages(), bytes).unwrap();
        let reader = SpoolReader::open(dir, 4)?;
        let mut frames = Vec::new();
        let whole = reader.replay(|frame, body| {
            frames.push((frame.clone(), body.to_vec()));
            Ok(())
        })?;
        Ok((frames, reader, whole))
    }

    #[test]
    fn fuzz_spool() {
        let (_temp, dir) = three_frames();
        let original = std::fs::read(dir.pages()).unwrap();
        let (truth, _, whole) = read_file(&dir, &original).unwrap();
        let sealed_at = DateTime::from_timestamp(0, 0).unwrap();
        let seal = SealRecord { bytes: original.len() as u64, frames: whole.frames, sealed_at };
        boxseat_fuzz::run_over("spool", vec![original.clone()], |input| {
            let Ok((frames, reader, whole)) = read_file(&dir, input.mutated) else { return Ok(()) };
            // Of a sealed spool, only the headers are read until the pages are needed.
            if let Ok(mut headers) = reader.frames() {
                while headers.next_header().is_ok_and(|header| header.is_some()) {}
            }
            if input.is_forged {
                return Ok(());
            }
            if reader.check_seal(&seal, whole.frames).is_ok() && frames != truth {
                return Err("a changed spool passes the check of its seal".to_owned());
            }
            match frames.iter().find(|frame| !truth.contains(frame)) {
                Some(frame) => Err(format!("a changed frame was read: {frame:?}")),
                None => Ok(()),
            }
        });
    }
}
