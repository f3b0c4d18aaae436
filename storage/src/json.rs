//! Parsing of JSON files that may be damaged, or that someone put in the place of ours.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Why a file is not the JSON that was expected. It quotes nothing of the file: a link or an option can name a file with a secret.
#[derive(Debug, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct InvalidJson {
    what: &'static str,
    line: usize,
    column: usize,
}

/// Parses JSON.
///
/// # Errors
/// The place of the first fault, without text of the file.
///
/// ```
/// let error = boxseat_storage::json::parse::<u32>(br#""secret""#).unwrap_err();
/// assert_eq!(error.to_string(), "unexpected content at line 1, column 8");
/// ```
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, InvalidJson> {
    serde_json::from_slice(text).map_err(|e| {
        let what = match e.classify() {
            Category::Eof => "the end of the file is missing",
            Category::Syntax | Category::Io => "invalid JSON",
            Category::Data => "unexpected content",
        };
        InvalidJson { what, line: e.line(), column: e.column() }
    })
}
