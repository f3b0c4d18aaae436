//! CSV for spreadsheets: text stays text.

use super::rows::{main_table, plain};
use crate::report::model::{Report, Value};
use boxseat_schemas::text::is_hidden;

/// Maximum number of characters that spreadsheets keep in a cell, counted as UTF-16.
/// <https://support.microsoft.com/en-us/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3>
const LONGEST_CELL: usize = 32_767;

/// A writer of CSV (RFC 4180), cell by cell.
///
/// A text cell gets an apostrophe in front if a spreadsheet would read it as a formula, or if it begins with an apostrophe. Removing one
/// apostrophe from every text cell that begins with one restores the text. A cell that is longer than the limit of spreadsheets is cut and
/// counted. Its end states that it was cut.
#[derive(Debug, Default)]
pub struct Csv {
    /// The text so far.
    pub text: String,
    /// Cells that were cut.
    pub cut_cells: u64,
    is_in_line: bool,
}

/// Handling of text that a spreadsheet would read as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// The text gets an apostrophe. Otherwise a Box id or a phone number would become `3.33E+10` or lose its leading zeros.
    AreText,
    /// The text is unchanged, and a plain negative number does not count as a formula.
    Stay,
}

impl Csv {
    /// A cell of text.
    pub fn push_text(&mut self, text: &str, numbers: Numbers) {
        self.separate();
        if is_word(text) {
            self.text.push_str(text);
            return;
        }
        let is_text = match numbers {
            Numbers::AreText => is_formula(text) || is_number(text),
            Numbers::Stay => is_formula(text) && !is_plain_number(text),
        };
        let escape = if is_text || text.starts_with('\'') { "'" } else { "" };
        let cut = cut(text, LONGEST_CELL - escape.len());
        self.cut_cells += u64::from(cut.is_some());
        let text = cut.as_deref().unwrap_or(text);
        let is_quoted = text.contains(['"', ',', '\n', '\r', ';', '\t'])
            || text.starts_with(is_invisible)
            || text.ends_with(is_invisible);
        let quote = if is_quoted { "\"" } else { "" };
        self.text.extend([quote, escape]);
        self.text.push_str(&text.replace('"', "\"\""));
        self.text.push_str(quote);
    }

    /// A cell that is not text: a number, a date, true or false, or an empty cell.
    pub fn push_value(&mut self, value: &str) {
        self.separate();
        self.text.push_str(value);
    }

    /// Ends the line.
    pub fn end_line(&mut self) {
        self.text.push_str("\r\n");
        self.is_in_line = false;
    }

    /// The message for the operator about cells that were cut.
    pub fn notice(&self) -> Option<String> {
        (self.cut_cells > 0).then(|| {
            format!(
                "{} cells of the CSV are cut, because spreadsheets keep 32,767 characters per cell. Each of them ends with a mark. JSON and Parquet have the whole text.",
                self.cut_cells
            )
        })
    }

    fn separate(&mut self) {
        if std::mem::replace(&mut self.is_in_line, true) {
            self.text.push(',');
        }
    }
}

/// Writes the report's one table as CSV with a heading line of the columns' ids. The table is the first one. For `licences` it is one long
/// table of all figures and cells.
///
/// Text that looks like a number, such as Box's ids, gets an apostrophe, too. Money is an amount without currency; the currency is in the
/// column `currency` at the end. An unknown value is empty.
pub fn csv(report: &Report) -> Csv {
    let table = main_table(report);
    let has_money = table.rows.iter().flatten().any(|value| matches!(value, Value::Money(..)));
    let mut csv = Csv::default();
    let text = |csv: &mut Csv, text: &str| csv.push_text(text, Numbers::AreText);
    for column in &table.columns {
        text(&mut csv, column.id);
    }
    if has_money {
        text(&mut csv, "currency");
    }
    csv.end_line();
    for row in &table.rows {
        for value in row {
            match value {
                Value::Text(cell) => text(&mut csv, cell),
                other => csv.push_value(&plain(other)),
            }
        }
        // A configuration has one currency at a time, so a row also has one.
        let currency = row.iter().find_map(|value| match value {
            Value::Money(_, currency) => Some(currency.as_str()),
            _ => None,
        });
        if has_money {
            text(&mut csv, currency.unwrap_or_default());
        }
        csv.end_line();
    }
    csv
}

/// The form of most cells: a login, a role, a row key. It begins with a letter and has no character with a special meaning in CSV or a
/// spreadsheet.
fn is_word(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.len() <= LONGEST_CELL
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-'))
}

/// Whether a spreadsheet would read the text as a formula (OWASP, CSV injection). Spreadsheets skip invisible characters. In some languages
/// they accept wide and small forms of the same signs. `|` begins a DDE link in some spreadsheets.
fn is_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start_matches(is_invisible)
            .starts_with(['=', '+', '-', '@', '|', '＝', '＋', '－', '＠', '｜', '﹦', '﹢', '﹣', '﹫', '−'])
}

/// Blanks, control and format characters, and fillers that are not drawn.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || is_hidden(c)
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{e0100}'..='\u{e01ef}'
        )
}

/// Digits that a spreadsheet would change to `3.33E+10`, or whose leading zeros it would remove.
fn is_number(text: &str) -> bool {
    let trimmed = text.trim();
    trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '.') && trimmed.parse::<f64>().is_ok()
}

/// `-5`, `-5.00`: the form in which SQL writes a DECIMAL.
fn is_plain_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(fraction)
}

/// The part of a text that fits, with a mark; `None` when the whole text fits.
fn cut(text: &str, most: usize) -> Option<String> {
    // A text has at least as many bytes as UTF-16 units.
    if text.len() <= most || text.encode_utf16().count() <= most {
        return None;
    }
    let mark = format!(" …[cut: {} characters]", text.chars().count());
    let mut left = most - mark.encode_utf16().count();
    let fits = |c: &char| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    };
    Some(text.chars().take_while(fits).collect::<String>() + &mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str, numbers: Numbers) -> String {
        let mut csv = Csv::default();
        csv.push_text(text, numbers);
        csv.text
    }

    /// Why: any user who may edit an account can set a name, and the licence manager opens the file in Excel.
    #[test]
    fn spreadsheets_see_text_as_text() {
        for (text, shown) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(A1,A2)", "\"'@SUM(A1,A2)\""),
            (" =1+1", "\"' =1+1\""),
            ("\n=1+1", "\"'\n=1+1\""),
            ("\t1", "\"'\t1\""),
            ("\u{feff}=1+1", "\"'\u{feff}=1+1\""),
            ("\u{a0}=1+1", "\"'\u{a0}=1+1\""),
            ("\u{200e}\u{200b}=1+1", "\"'\u{200e}\u{200b}=1+1\""),
            ("\u{ad}\u{3164}\u{fe0f}@x", "\"'\u{ad}\u{3164}\u{fe0f}@x\""),
            ("\0=1", "\"'\0=1\""),
            ("＝1+1", "'＝1+1"),
            ("\u{feff}＠x", "\"'\u{feff}＠x\""),
            ("－5", "'－5"),
            ("|calc", "'|calc"),
            ("+49 151", "'+49 151"),
            ("-1 day", "'-1 day"),
            ("'tis", "''tis"),
            ("NaN", "NaN"),
            ("U33290876054X", "U33290876054X"),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("a;b", "\"a;b\""),
            ("<script>", "<script>"),
        ] {
            assert_eq!(cell(text, Numbers::AreText), shown);
            assert_eq!(cell(text, Numbers::Stay), shown);
        }
        for text in ["-5", "-5.00", "33290876054", "007"] {
            assert_eq!(cell(text, Numbers::AreText), format!("'{text}"));
            assert_eq!(cell(text, Numbers::Stay), text);
        }
        assert_eq!(cell("1E5", Numbers::AreText), "'1E5");
        assert_eq!(
            cell("+4915112345", Numbers::Stay),
            "'+4915112345",
            "a phone number is not a plain number"
        );
    }

    /// Why: Excel cuts a cell after 32,767 characters without a warning.
    #[test]
    fn a_cell_that_spreadsheets_would_cut_is_cut_with_a_mark() {
        for text in ["x".repeat(40_000), "=".repeat(40_000), "😀".repeat(20_000)] {
            let mut csv = Csv::default();
            csv.push_text(&text, Numbers::Stay);
            let length = csv.text.encode_utf16().count();
            assert!((32_766..=32_767).contains(&length), "{length}");
            assert!(csv.text.ends_with(&format!(" …[cut: {} characters]", text.chars().count())));
            assert!(csv.notice().unwrap().starts_with("1 cells"));
        }
        let mut csv = Csv::default();
        csv.push_text(&"x".repeat(32_767), Numbers::AreText);
        assert_eq!((csv.text.len(), csv.cut_cells), (32_767, 0));
    }
}
