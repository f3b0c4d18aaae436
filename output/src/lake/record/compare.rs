//! Compares files of the lake with their lines in the record.

use super::*;

impl Record {
    /// Compares a file with its line, once per process.
    ///
    /// # Errors
    /// [`RecordError::Altered`] for a file with other content, and for a file that boxseat did not write.
    pub(in crate::lake) fn compare(&self, path: &str) -> Result<(), RecordError> {
        // Another process may have replaced the file while it was read, so a failed comparison is repeated once.
        self.compare_once(path).or_else(|_| self.compare_once(path))
    }

    fn compare_once(&self, path: &str) -> Result<(), RecordError> {
        {
            let state = self.lock();
            if state.begun.is_none() || state.compared.contains_key(path) {
                return Ok(());
            }
        }
        let at = self.directory.join(path);
        let opened = durable::open_regular_file(&at);
        let (stamp, on_disk) = match opened.and_then(|file| stamped_digest(&file)) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.missing(path),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Altered::new(file_name(path), error.to_string()).into());
            }
            Err(error) => return Err(error.into()),
        };
        self.compare_digest(path, Compared { at, stamp }, &on_disk)
    }

    /// Compares an open file with its line. The file may be outside the lake: `at` is its path.
    ///
    /// # Errors
    /// As [`Record::compare`].
    pub(in crate::lake) fn compare_handle(
        &self,
        path: &str,
        at: &Path,
        file: &File,
    ) -> Result<(), RecordError> {
        let (stamp, on_disk) = stamped_digest(file)?;
        self.compare_digest(path, Compared { at: at.to_owned(), stamp }, &on_disk)
    }

    fn compare_digest(
        &self,
        path: &str,
        compared: Compared,
        on_disk: &FileDigest,
    ) -> Result<(), RecordError> {
        let mut state = self.lock();
        if !state.is_known(path, on_disk) {
            self.read_on(&mut state)?;
        }
        if state.is_known(path, on_disk) {
            state.compared.insert(path.to_owned(), compared);
            return Ok(());
        }
        let reason =
            match state.files.get(path).and_then(|known| known.done.as_ref().or(known.announced.as_ref())) {
                None => NOT_ON_RECORD.to_owned(),
                Some(written) if written.size_bytes != on_disk.size_bytes => {
                    format!("has {} bytes, boxseat wrote {}", on_disk.size_bytes, written.size_bytes)
                }
                Some(_) => "has another content than boxseat wrote".to_owned(),
            };
        Err(Altered::new(file_name(path), reason).into())
    }

    /// Whether the record was begun. Without a record nothing is compared.
    pub(in crate::lake) fn is_begun(&self) -> bool {
        self.lock().begun.is_some()
    }

    /// Compares the digest of bytes that were read from a file with the file's lines.
    ///
    /// # Errors
    /// As [`Record::compare`].
    pub(in crate::lake) fn compare_bytes(&self, path: &str, read: &FileDigest) -> Result<(), RecordError> {
        let mut state = self.lock();
        if !state.is_known(path, read) {
            self.read_on(&mut state)?;
        }
        if state.is_known(path, read) {
            return Ok(());
        }
        Err(Altered::new(file_name(path), "was changed or replaced while it was read").into())
    }

    /// Whether an open file is the compared file, unchanged since the comparison. If not, the next [`Record::compare`] reads the file
    /// again.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(in crate::lake) fn is_compared(&self, path: &str, file: &File) -> Result<bool, RecordError> {
        let stamp = Stamp::of(&file.metadata()?);
        let mut state = self.lock();
        // Without a record nothing is compared.
        let is_compared =
            state.begun.is_none() || state.compared.get(path).is_some_and(|compared| compared.stamp == stamp);
        if !is_compared {
            state.compared.remove(path);
        }
        Ok(is_compared)
    }

    /// Removes the result of a comparison, so that the next [`Record::compare`] reads the file again.
    pub(in crate::lake) fn compare_anew(&self, path: &str) {
        self.lock().compared.remove(path);
    }

    /// Fails if a compared file was changed or replaced after its comparison. A file that boxseat itself replaced or removed has a new line
    /// in the record and is accepted.
    ///
    /// # Errors
    /// [`RecordError::Altered`] naming the file; errors of the disk.
    pub(in crate::lake) fn refuse_changes(&self) -> Result<(), RecordError> {
        let Err(path) = self.unchanged()? else { return Ok(()) };
        self.refresh()?;
        if !self.lock().compared.contains_key(&path) {
            return self.refuse_changes();
        }
        Err(Altered::new(file_name(&path), "was changed or replaced while it was read").into())
    }

    /// The inner `Err` is the first file whose stamp differs from the stamp at its comparison.
    fn unchanged(&self) -> Result<Result<(), String>, RecordError> {
        let state = self.lock();
        for (path, Compared { at, stamp }) in &state.compared {
            match std::fs::metadata(at) {
                Ok(now) if Stamp::of(&now) == *stamp => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => return Ok(Err(path.clone())),
            }
        }
        Ok(Ok(()))
    }

    /// The result for a missing file: boxseat never wrote it, boxseat removed it, or another program removed it.
    fn missing(&self, path: &str) -> Result<(), RecordError> {
        self.refresh()?;
        match self.lock().files.get(path) {
            Some(known) if known.done.is_some() => {
                Err(Altered::new(file_name(path), "is missing: it was removed").into())
            }
            _ => Ok(()),
        }
    }
}
