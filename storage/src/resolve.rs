//! Where a path leads.

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The absolute path with symbolic links resolved. Parts that do not exist yet stay as written.
///
/// # Errors
/// A part that cannot be read, a loop of links, or `..` after a part that does not exist.
///
/// ```
/// let directory = tempfile::tempdir()?;
/// let link = directory.path().join("link");
/// std::os::unix::fs::symlink(directory.path(), &link)?;
/// let resolved = boxseat_storage::resolve(&link.join("new/file"))?;
/// assert_eq!(resolved, directory.path().canonicalize()?.join("new/file"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut missing = Vec::new();
    for existing in absolute.ancestors() {
        match existing.canonicalize() {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |path, name| path.join(name))),
            Err(e) if e.kind() == ErrorKind::NotFound => match existing.components().next_back() {
                Some(Component::Normal(name)) => missing.push(name.to_owned()),
                _ => {
                    let text = format!("{} goes up from a directory that does not exist", path.display());
                    return Err(io::Error::new(ErrorKind::InvalidInput, text));
                }
            },
            Err(e) => return Err(e),
        }
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn missing_parts_stay_and_links_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        symlink(root.join("real"), root.join("link")).unwrap();
        symlink(root.join("loop"), root.join("loop")).unwrap();
        for (path, expected) in [
            ("link", "real"),
            ("link/new/file", "real/new/file"),
            ("link/../other", "other"),
            ("real/./file", "real/file"),
            ("new", "new"),
        ] {
            assert_eq!(resolve(&root.join(path)).unwrap(), root.join(expected), "{path}");
        }
        assert_eq!(resolve(&root.join("new/../real")).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(resolve(&root.join("loop/file")).is_err());
    }
}
