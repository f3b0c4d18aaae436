//! Reads, appends to and rewrites the file of the record.

use super::*;

/// With fewer lines, a rewrite costs more time than reading the record.
const LINES_BEFORE_SUMMING_UP: usize = 2_000;

impl Record {
    /// Verifies the seal of the last line, which covers all lines before it.
    pub(super) fn verify(&self, state: &State) -> Result<(), RecordError> {
        let Some(seals) = self.seals.as_ref().filter(|_| state.begun.is_some()) else { return Ok(()) };
        seals.verify(&state.head.hash, &state.seal).map_err(|reason| {
            let what = format!("line {} of {}", state.head.sequence, self.path().display());
            Altered::new(what, reason).into()
        })
    }

    pub(super) fn take_line(&self, state: &mut State, line: &[u8]) -> Result<(), RecordError> {
        state.take(line).map_err(|reason| {
            let what = format!("line {} of {}", state.hashes.len() + 1, self.path().display());
            Altered::new(what, reason).into()
        })
    }

    /// Rewrites the record when most of its lines are about removed files. Returns whether it was rewritten.
    pub(in crate::lake) fn sum_up(&self) -> Result<bool, RecordError> {
        let (head, events) = {
            let mut state = self.lock();
            self.read_on(&mut state)?;
            let Some(store_id) = state.begun else { return Ok(false) };
            let lines = state.hashes.len();
            if lines < LINES_BEFORE_SUMMING_UP || lines < 3 * state.files.len() {
                return Ok(false);
            }
            let head = state.head.clone();
            let mut events = vec![Event::Begin { format: FORMAT, store_id, continues: Some(head.clone()) }];
            for (path, known) in &state.files {
                let path = || path.clone();
                events.extend(known.done.clone().map(|digest| Event::Done { path: path(), digest }));
                let announced = known.announced.clone();
                events.extend(announced.map(|digest| Event::Write { path: path(), digest, commit: None }));
            }
            (head, events)
        };
        self.rewrite(head, events)?;
        Ok(true)
    }

    /// Replaces the file. A process that waits for the lock of the old file opens the new one.
    pub(super) fn rewrite(&self, from: RecordHead, events: Vec<Event>) -> Result<(), RecordError> {
        let mut state = self.lock();
        let held = self.locked()?;
        self.read_on(&mut state)?;
        if state.head != from {
            return Err(RecordError::Io(io::Error::other(
                "another process wrote to the lake at the same time",
            )));
        }
        let mut head = from.clone();
        let text = self.lines(&mut head, events)?;
        let staged = durable::Staged::create(&self.path(), self.ownership)?;
        staged.write_at(text.as_bytes(), 0)?;
        staged.replace()?;
        drop(held);
        *state = State { compared: std::mem::take(&mut state.compared), ..State::default() };
        self.read_on(&mut state)
    }

    pub(super) fn append(&self, events: Vec<Event>, durable: Durable) -> Result<(), RecordError> {
        let mut state = self.lock();
        if events.is_empty() || state.begun.is_none() {
            return Ok(());
        }
        let mut held = self.locked()?;
        self.read_on(&mut state)?;
        let text = self.lines(&mut state.head.clone(), events)?;
        // Removes the incomplete line of a killed process.
        held.set_len(state.read_to)?;
        held.seek(SeekFrom::End(0))?;
        held.write_all(text.as_bytes())?;
        if durable == Durable::Now {
            held.sync_data()?;
        }
        // This process wrote these lines under the lock, so they need no verification.
        self.read_lines(&mut state)?;
        state.verified = state.head.sequence;
        Ok(())
    }

    pub(super) fn lines(&self, head: &mut RecordHead, events: Vec<Event>) -> Result<String, RecordError> {
        let mut text = String::new();
        for event in events {
            let line = Line { sequence: head.sequence + 1, event };
            let json = serde_json::to_string(&line).expect("plain data");
            let hash = chained(&head.hash, &json);
            let seal = self.seals.as_ref().map(|seals| seals.seal(&hash)).transpose();
            let seal = seal.map_err(RecordError::Seal)?.map(|seal| format!("{seal} ")).unwrap_or_default();
            text.push_str(&format!("{hash} {seal}{json}\n"));
            *head = RecordHead { sequence: line.sequence, hash };
        }
        Ok(text)
    }

    /// Opens and locks the file.
    pub(super) fn locked(&self) -> io::Result<File> {
        loop {
            durable::create_directories(self.path().parent().unwrap_or(&self.directory), self.ownership)?;
            let is_new = !self.path().exists();
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
                .open(self.path())?;
            if is_new {
                self.ownership.apply(&file, &self.path())?;
            }
            file.lock()?;
            // The file may have been replaced during the wait.
            if std::fs::metadata(self.path())
                .is_ok_and(|now| Some(now.ino()) == file.metadata().map(|m| m.ino()).ok())
            {
                return Ok(file);
            }
        }
    }

    /// Reads the lines that this process has not read, and verifies the last seal.
    pub(super) fn read_on(&self, state: &mut State) -> Result<(), RecordError> {
        self.read_lines(state)?;
        // After a failed verification, `verified` is unchanged, so the next call verifies and refuses the lines again.
        if state.verified != state.head.sequence {
            self.verify(state)?;
            state.verified = state.head.sequence;
        }
        Ok(())
    }

    /// Reads the lines that this process has not read.
    pub(super) fn read_lines(&self, state: &mut State) -> Result<(), RecordError> {
        let mut file = match durable::open_regular_file(&self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if state.begun.is_some() {
                    return Err(Altered::new(self.path().display().to_string(), "is missing").into());
                }
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Altered::new(self.path().display().to_string(), error.to_string()).into());
            }
            Err(error) => return Err(error.into()),
        };
        let meta = file.metadata()?;
        let was_begun = state.begun.is_some();
        if meta.ino() != state.inode {
            *state = State {
                inode: meta.ino(),
                compared: std::mem::take(&mut state.compared),
                ..State::default()
            };
        }
        if meta.len() < state.read_to {
            return Err(Altered::new(self.path().display().to_string(), "is shorter than it was").into());
        }
        file.seek(SeekFrom::Start(state.read_to))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A line without its end is being written now, or its writer was killed.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            self.take_line(state, line)?;
        }
        if was_begun && state.begun.is_none() {
            return Err(Altered::new(self.path().display().to_string(), "is empty").into());
        }
        Ok(())
    }
}

impl State {
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
        let (hash, rest) = text.trim_end_matches('\n').split_once(' ').ok_or("cannot be read")?;
        let (seal, json) = match rest.starts_with('{') {
            true => ("", rest),
            false => rest.split_once(' ').ok_or("cannot be read")?,
        };
        let line: Line = serde_json::from_str(json).map_err(|_| "cannot be read")?;
        if let Event::Begin { format, store_id, continues } = &line.event {
            if !self.hashes.is_empty() {
                return Err("begins the record a second time".to_owned());
            }
            if *format != FORMAT {
                return Err(format!("has format {format}, this version reads {FORMAT}"));
            }
            self.begun = Some(*store_id);
            self.head = continues.clone().unwrap_or_default();
            self.continues = self.head.clone();
        }
        if self.begun.is_none() {
            return Err("does not begin the record".to_owned());
        }
        if line.sequence != self.head.sequence + 1 || hash != chained(&self.head.hash, json) {
            return Err("does not follow the line before it".to_owned());
        }
        self.head = RecordHead { sequence: line.sequence, hash: hash.to_owned() };
        self.hashes.push(hash.to_owned());
        seal.clone_into(&mut self.seal);
        self.read_to += bytes.len() as u64;
        match line.event {
            Event::Begin { .. } => {}
            Event::Write { path, digest, .. } => {
                self.compared.remove(&path);
                self.files.entry(path).or_insert(Known { done: None, announced: None }).announced =
                    Some(digest);
            }
            Event::Done { path, digest } => {
                self.files.insert(path, Known { done: Some(digest), announced: None });
            }
            Event::Delete { path } => {
                self.compared.remove(&path);
                self.files.remove(&path);
            }
        }
        Ok(())
    }

    /// The hash of a line of the file, or of the last line that the file sums up.
    pub(super) fn hash_of(&self, sequence: u64) -> Option<&str> {
        match sequence.checked_sub(self.continues.sequence)? {
            0 => Some(&self.continues.hash),
            after => self.hashes.get(usize::try_from(after - 1).ok()?).map(String::as_str),
        }
    }

    pub(super) fn is_known(&self, path: &str, digest: &FileDigest) -> bool {
        // Lines whose seal was refused prove nothing.
        let is_verified = self.verified == self.head.sequence;
        self.files.get(path).filter(|_| is_verified).is_some_and(|known| {
            known.done.as_ref() == Some(digest) || known.announced.as_ref() == Some(digest)
        })
    }
}

fn chained(previous: &str, json: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(previous.as_bytes());
    digest.update(b"\n");
    digest.update(json.as_bytes());
    hex(&digest.finalize())
}
