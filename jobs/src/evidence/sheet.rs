//! Reads CSV files of consoles, spreadsheets and boxseat: reports, leave lists, lists of holds and receivers.
//!
//! The separator is the one that splits the heading into its columns. Only blank rows are skipped. A lost row could cost a user the
//! account, so a file whose rows cannot be separated reliably is refused.

use boxseat_schemas::text::is_hidden;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The heading and the rows of a file.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) heading: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// A row with trimmed cells. Missing cells at its end are empty.
#[derive(Debug)]
pub(crate) struct Row {
    /// Counted from 1.
    pub(crate) line: u64,
    /// Whether the row has more cells than the heading: a separator in a text was not quoted, so the columns are shifted.
    pub(crate) has_surplus: bool,
    cells: Vec<String>,
}

/// The accepted files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// A list that protects or changes accounts: UTF-8, and the heading is the first row.
    List,
    /// A report: also UTF-16 and Windows-1252, and title lines before the heading.
    Report,
}

/// Why a file cannot be read. Display is the reason without the file's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is an archive or a workbook and not CSV")]
    Archive,
    #[error("it is {0} and not UTF-8")]
    Encoding(&'static str),
    #[error("line {0}: a quotation mark is opened and never closed")]
    OpenQuote(u64),
    #[error("line {0}: text follows a closing quotation mark")]
    TextBehindQuote(u64),
    #[error("line {0}: it has more cells than the heading")]
    TooManyCells(u64),
    /// With the cells of the first line.
    #[error("it has no heading with the required columns")]
    NoHeading(Vec<String>),
}

impl Row {
    /// A cell; empty if the row ends before it.
    pub(crate) fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }
}

impl Sheet {
    /// Reads a file. `is_heading` recognises the heading.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(crate) fn read(
        bytes: &[u8],
        accepts: Accepts,
        is_heading: impl Fn(&[String]) -> bool,
    ) -> Result<Self, Unreadable> {
        // Line ends become `\n`, because the CSV reader counts other line ends wrong.
        let text = text_of(bytes, accepts)?.replace("\r\n", "\n").replace('\r', "\n");
        let (stated, text, first_line) = match stated_separator(&text) {
            Some((separator, rest)) => (Some(separator), rest, 2),
            None => (None, text.as_str(), 1),
        };
        let titles = if accepts == Accepts::Report { TITLE_LINES } else { 0 };
        let candidates = stated.map_or_else(|| SEPARATORS.to_vec(), |separator| vec![separator]);
        let mut found: Option<(u8, usize, usize)> = None;
        let mut first_row: Vec<String> = Vec::new();
        for separator in candidates {
            let head = rows(text, separator, first_line).take(titles + 1);
            for (place, row) in head.enumerate() {
                if place == 0 && row.cells.len() > first_row.len() {
                    first_row.clone_from(&row.cells);
                }
                let width = row.cells.len();
                if is_heading(&row.cells) {
                    if found.is_none_or(|(_, _, widest)| width > widest) {
                        found = Some((separator, place, width));
                    }
                    break;
                }
            }
        }
        let Some((separator, place, width)) = found else { return Err(Unreadable::NoHeading(first_row)) };
        check_quotes(text, separator, first_line)?;
        let mut all = rows(text, separator, first_line).skip(place);
        let heading = all.next().expect("the heading was found at this row").cells;
        let mut rows: Vec<Row> = all.collect();
        for row in &mut rows {
            row.has_surplus = row.cells.iter().skip(width).any(|cell| !cell.is_empty());
            if row.has_surplus && accepts == Accepts::List {
                return Err(Unreadable::TooManyCells(row.line));
            }
        }
        Ok(Self { heading, rows })
    }
}

/// The rows that are not blank.
fn rows(text: &str, separator: u8, first_line: u64) -> impl Iterator<Item = Row> {
    let reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let record = move |record: csv::StringRecord| {
        let position = record.position().expect("a record that was read has a position");
        // The CSV reader counts blank lines before a record as part of the record.
        let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        let blank = text.as_bytes().get(start..).unwrap_or_default();
        let blank = blank.iter().take_while(|byte| **byte == b'\n').count();
        Row {
            line: position.line() - 1 + first_line + blank as u64,
            has_surplus: false,
            cells: record.iter().map(|cell| trimmed(cell).to_owned()).collect(),
        }
    };
    reader
        .into_records()
        .map(|read| read.expect("text in memory is UTF-8, and rows may have any length"))
        .map(record)
        .filter(|row| row.cells.iter().any(|cell| !cell.is_empty()))
}

/// A cell without blanks and invisible characters at its ends.
pub(crate) fn trimmed(cell: &str) -> &str {
    cell.trim_matches(|c: char| c.is_whitespace() || is_hidden(c))
}

/// The text without the escapes of spreadsheets and of boxseat's CSV: `="700101"`, `'700101`.
///
/// boxseat adds an apostrophe before text that looks like a number or a formula, and before text that begins with an apostrophe. Any
/// other apostrophe belongs to the text.
pub(crate) fn unescaped(cell: &str) -> &str {
    if let Some(text) = cell.strip_prefix("=\"").and_then(|cell| cell.strip_suffix('"')) {
        return text;
    }
    let is_escape = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || "'=+-@".contains(c));
    cell.strip_prefix('\'').filter(|text| is_escape(text)).unwrap_or(cell)
}

/// An id or a login, also in a spreadsheet's number format: `700101.0` and `7.00101E+05` are 700101. A number that lost digits is not
/// converted, so it matches no user.
pub(crate) fn identifier(cell: &str) -> String {
    let text = unescaped(cell);
    whole_number(text).unwrap_or_else(|| text.to_owned())
}

fn whole_number(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.trim_start_matches('+').parse::<usize>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    match exponent {
        0 if fraction.bytes().all(|byte| byte == b'0') => Some(whole.to_owned()),
        // The spreadsheet has rounded a number with fewer digits than the exponent.
        n if n > 0 && fraction.len() == n => Some(format!("{whole}{fraction}")),
        _ => None,
    }
}

/// `sep=;` as the first line, which Excel reads and writes.
fn stated_separator(text: &str) -> Option<(u8, &str)> {
    let (line, rest) = text.split_once('\n')?;
    let line = line.trim_matches('"');
    let (name, separator) = line.split_at_checked(4)?;
    let is_stated = name.eq_ignore_ascii_case("sep=");
    match separator.as_bytes() {
        [byte] if is_stated && byte.is_ascii() => Some((*byte, rest)),
        _ => None,
    }
}

/// Refuses a quotation mark that is not closed. The CSV reader would read the rest of the file as one cell and lose its rows without an
/// error.
fn check_quotes(text: &str, separator: u8, first_line: u64) -> Result<(), Unreadable> {
    #[derive(PartialEq)]
    enum At {
        CellStart,
        Plain,
        Quoted,
        Closed,
    }
    let (mut at, mut line, mut opened) = (At::CellStart, first_line, first_line);
    for byte in text.bytes() {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, _) => At::Quoted,
            (At::CellStart, b'"') => {
                opened = line;
                At::Quoted
            }
            // Two quotation marks in a quoted cell mean one.
            (At::Closed, b'"') => At::Quoted,
            (_, b'\n') => At::CellStart,
            (_, byte) if byte == separator => At::CellStart,
            (At::Closed, b' ') => At::Closed,
            (At::Closed, _) => return Err(Unreadable::TextBehindQuote(line)),
            (At::CellStart | At::Plain, _) => At::Plain,
        };
        line += u64::from(byte == b'\n');
    }
    if at == At::Quoted { Err(Unreadable::OpenQuote(opened)) } else { Ok(()) }
}

/// The text of a file. A byte order mark sets the encoding. Without it, UTF-16 is recognised by its zero bytes.
fn text_of(bytes: &[u8], accepts: Accepts) -> Result<String, Unreadable> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(Unreadable::Archive);
    }
    let (encoding, bytes): (&'static Encoding, &[u8]) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, &bytes[length..]),
        None => (utf16_without_mark(bytes).unwrap_or(encoding_rs::UTF_8), bytes),
    };
    if accepts == Accepts::List && encoding != encoding_rs::UTF_8 {
        return Err(Unreadable::Encoding("UTF-16"));
    }
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        return Ok(text.into_owned());
    }
    match accepts {
        Accepts::Report if encoding == encoding_rs::UTF_8 => {
            // Every byte is a character of Windows-1252, so this cannot fail. Addresses and dates are ASCII in any case.
            Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned())
        }
        Accepts::Report => Err(Unreadable::Encoding("damaged UTF-16")),
        Accepts::List => Err(Unreadable::Encoding("text in another encoding")),
    }
}

/// In UTF-16, one byte of each ASCII character is zero, always at the same position of the pair.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let zeros = |parity: usize| bytes.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match (even, odd) {
        (0, odd) if odd * 4 >= bytes.len() && odd > 0 => Some(UTF_16LE),
        (even, 0) if even * 4 >= bytes.len() && even > 0 => Some(UTF_16BE),
        _ => None,
    }
}

/// If several separators fit equally well, the first one is used.
const SEPARATORS: [u8; 3] = *b",;\t";

/// A report may begin with its name, its time and a blank line. A file with more title lines is not a report.
const TITLE_LINES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], accepts: Accepts) -> Result<Vec<(u64, Vec<String>)>, Unreadable> {
        let is_heading = |row: &[String]| ["id", "at"].iter().all(|name| row.iter().any(|cell| cell == name));
        let sheet = Sheet::read(bytes, accepts, is_heading)?;
        Ok(sheet.rows.into_iter().map(|row| (row.line, row.cells)).collect())
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|&cell| cell.to_owned()).collect())
    }

    #[test]
    fn file_is_read_with_any_encoding_line_end_and_separator() {
        let wanted = vec![row(2, &["1", "x"]), row(4, &["2", "y,;z"])];
        let text = "id;at\n1; x \n;\n2;\"y,;z\"\n;;\n\n";
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            text.replace('\n', "\r\n").into_bytes(),
            text.replace('\n', "\r").into_bytes(),
            "id\tat\n1\t x \n\t\n2\ty,;z".as_bytes().to_vec(),
            "id,at\n1, x \n,\n2,\"y,;z\"\n".as_bytes().to_vec(),
            utf16(&format!("\u{feff}{text}"), u16::to_le_bytes),
            utf16(&format!("\u{feff}{text}"), u16::to_be_bytes),
            utf16(text, u16::to_le_bytes),
            utf16(text, u16::to_be_bytes),
        ] {
            assert_eq!(read(&bytes, Accepts::Report).as_ref(), Ok(&wanted), "{bytes:?}");
        }
    }

    #[test]
    fn line_numbers_are_those_of_the_file() {
        assert_eq!(read(b"sep=;\nid;at\n\n\n1;x", Accepts::List), Ok(vec![row(5, &["1", "x"])]));
        assert_eq!(
            read(b"Report\n\"Run on May 1, 2026\"\n\nid,\"at\"\n\"a\nb\",x\n2,y\n", Accepts::Report),
            Ok(vec![row(5, &["a\nb", "x"]), row(7, &["2", "y"])])
        );
        assert_eq!(read(b"id,at\nJ\xfcrgen,x\n", Accepts::Report), Ok(vec![row(2, &["Jürgen", "x"])]));
        // As many commas as semicolons.
        assert_eq!(read(b"id;at;\"a, b, c\"\n1;x;\n", Accepts::List), Ok(vec![row(2, &["1", "x", ""])]));
    }

    /// Why: a user on a list of holds must not be lost because a row was read as part of another row.
    #[test]
    fn file_whose_rows_cannot_be_separated_is_refused() {
        for (bytes, reason) in [
            (&b"id,at\n1,\"x\n2,y\n"[..], Unreadable::OpenQuote(2)),
            (b"id,at\n1,\"x\n2,y\"z\n", Unreadable::TextBehindQuote(3)),
            (b"id,at\n1,x,y\n", Unreadable::TooManyCells(2)),
            (b"1,x\nid,at\n", Unreadable::NoHeading(vec!["1".into(), "x".into()])),
            (b"id,at\n\xff,x\n", Unreadable::Encoding("text in another encoding")),
            (b"\xff\xfei\0d\0", Unreadable::Encoding("UTF-16")),
            (b"PK\x03\x04", Unreadable::Archive),
            (b"", Unreadable::NoHeading(Vec::new())),
        ] {
            assert_eq!(read(bytes, Accepts::List), Err(reason), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn identifiers_lose_only_what_spreadsheets_add() {
        for (cell, text) in [
            ("700101", "700101"),
            ("'700101", "700101"),
            ("=\"700101\"", "700101"),
            ("700101.0", "700101"),
            ("7.00101E+05", "700101"),
            // Rounded, so the id is lost.
            ("7.00101E+10", "7.00101E+10"),
            ("700101.5", "700101.5"),
            ("jo.1e2@acme.test", "jo.1e2@acme.test"),
            ("'tis@acme.test", "'tis@acme.test"),
            ("''tis@acme.test", "'tis@acme.test"),
        ] {
            assert_eq!(identifier(cell), text, "{cell}");
        }
    }
}
