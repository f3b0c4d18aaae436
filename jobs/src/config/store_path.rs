//! Which directory can be a store.

use std::path::Path;

use boxseat_storage::resolve;

use crate::error::CommandError;

/// Refuses a directory in which DuckDB cannot build a file. DuckDB reads paths as UTF-8 text. It reads a `?` as the start of a URL
/// query, and inserts the `.wal` of the log's name before it. It resolves links, so the resolved path is checked as well.
///
/// # Errors
/// Exit 2.
pub(crate) fn check_path(root: &Path) -> Result<(), CommandError> {
    let cannot_find = |e| CommandError::failed(format!("cannot find {}", root.display()), e);
    let as_written = std::path::absolute(root).map_err(cannot_find)?;
    for path in [as_written, resolve(root).map_err(cannot_find)?] {
        let reason = match path.to_str() {
            None => "is not UTF-8",
            Some(text) if text.contains('?') => "contains a question mark",
            Some(_) => continue,
        };
        return Err(CommandError::usage(format!("the path of the store, {}, {reason}", path.display()))
            .hint("--store names another directory"));
    }
    Ok(())
}
