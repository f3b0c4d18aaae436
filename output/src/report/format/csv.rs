//! CSV for spreadsheets: text stays text.

use super::rows::{main_table, plain};
use crate::report::model::{Report, Value};

/// The report's one table (its first, or of `licences` every figure and cell in a long one) as CSV (RFC 4180) with a heading line of the columns' ids.
///
/// A text cell that a spreadsheet would take for a formula or for a number (so Box's ids, too), or that begins with an apostrophe,
/// gets an apostrophe in front: taking one away from every text cell that has one gives the text back. Money is a bare amount; its
/// currency stands in the column `currency` at the end. What is not claimed is empty.
pub fn csv(report: &Report) -> String {
    let table = main_table(report);
    let has_money = table.rows.iter().flatten().any(|value| matches!(value, Value::Money(..)));
    let mut text = String::new();
    for (place, column) in table.columns.iter().enumerate() {
        separate(&mut text, place);
        push_text(&mut text, column.id);
    }
    end(&mut text, has_money.then_some("currency"));
    for row in &table.rows {
        for (place, value) in row.iter().enumerate() {
            separate(&mut text, place);
            match value {
                Value::Text(cell) => push_text(&mut text, cell),
                other => text.push_str(&plain(other)),
            }
        }
        // A configuration has one currency at a time, so a row has one too.
        let currency = row.iter().find_map(|value| match value {
            Value::Money(_, currency) => Some(currency.as_str()),
            _ => None,
        });
        end(&mut text, has_money.then(|| currency.unwrap_or_default()));
    }
    text
}

fn separate(text: &mut String, place: usize) {
    if place > 0 {
        text.push(',');
    }
}

fn end(text: &mut String, currency: Option<&str>) {
    if let Some(currency) = currency {
        text.push(',');
        push_text(text, currency);
    }
    text.push_str("\r\n");
}

fn push_text(line: &mut String, text: &str) {
    if is_word(text) {
        line.push_str(text);
        return;
    }
    let escape = if is_formula(text) || is_number(text) || text.starts_with('\'') { "'" } else { "" };
    let is_quoted =
        text.contains(['"', ',', '\n', '\r', ';', '\t']) || text.starts_with(' ') || text.ends_with(' ');
    if is_quoted {
        line.push('"');
        line.push_str(escape);
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(escape);
        line.push_str(text);
    }
}

/// What most cells are: a login, a role, a row key. It begins with a letter and has nothing in it that CSV or a spreadsheet minds.
fn is_word(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-'))
}

/// OWASP, CSV injection; and the wide forms that Excel takes for the same signs in some languages.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// Digits that would come back as `3.33E+10`, or without their leading zeros.
fn is_number(text: &str) -> bool {
    let trimmed = text.trim();
    trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '.') && trimmed.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why: names and logins come from whoever may edit an account, and somebody opens the file in Excel.
    #[test]
    fn spreadsheets_see_text_as_text() {
        for (text, shown) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(A1,A2)", "\"'@SUM(A1,A2)\""),
            (" =1+1", "\"' =1+1\""),
            ("\n=1+1", "\"'\n=1+1\""),
            ("＝1+1", "'＝1+1"),
            ("-5", "'-5"),
            ("33290876054", "'33290876054"),
            ("007", "'007"),
            ("1E5", "'1E5"),
            ("'tis", "''tis"),
            ("NaN", "NaN"),
            ("U33290876054X", "U33290876054X"),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("a;b", "\"a;b\""),
            ("<script>", "<script>"),
        ] {
            let mut cell = String::new();
            push_text(&mut cell, text);
            assert_eq!(cell, shown);
        }
    }
}
