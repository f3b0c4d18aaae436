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
    let heading = table.columns.iter().map(|column| cell_of_text(column.id));
    line(&mut text, heading.chain(has_money.then(|| "currency".to_owned())));
    for row in &table.rows {
        // A configuration has one currency at a time, so a row has one too.
        let currency = row.iter().find_map(|value| match value {
            Value::Money(_, currency) => Some(cell_of_text(currency)),
            _ => None,
        });
        let currency = has_money.then(|| currency.unwrap_or_default());
        line(&mut text, row.iter().map(cell).chain(currency));
    }
    text
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&cell);
    }
    text.push_str("\r\n");
}

fn cell(value: &Value) -> String {
    match value {
        Value::Text(text) => cell_of_text(text),
        other => plain(other),
    }
}

fn cell_of_text(text: &str) -> String {
    let mut cell = text.to_owned();
    if is_formula(text) || is_number(text) || text.starts_with('\'') {
        cell.insert(0, '\'');
    }
    if cell.contains(['"', ',', '\n', '\r', ';', '\t']) || cell.starts_with(' ') || cell.ends_with(' ') {
        cell = format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
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
            assert_eq!(cell_of_text(text), shown);
        }
        assert_eq!(cell(&Value::Count(-5)), "-5", "a number is no formula");
    }
}
