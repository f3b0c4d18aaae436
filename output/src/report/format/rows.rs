//! The one table of a report that CSV and Parquet contain.

use std::borrow::Cow;

use crate::report::model::{Body, Column, Report, Table, Value, ValueKind};

/// The one table of a report for a format that has only one table.
///
/// A report about rows uses its first table unchanged. `licences` has no main table. It becomes one long table of every figure and every
/// cell: `section, row, row_label, name, label, kind, value, currency, meaning`. `row` is NULL for a figure, and the number of its row,
/// from 1, for a cell.
pub(super) fn main_table(report: &Report) -> Cow<'_, Table> {
    let tables = report.sections.iter().filter_map(|section| match &section.body {
        Body::Table(table) => Some(table),
        Body::Figures(_) => None,
    });
    match tables.into_iter().next().filter(|_| !is_long(report)) {
        Some(table) => Cow::Borrowed(table),
        None => Cow::Owned(long(report)),
    }
}

/// Whether every figure and every cell has its own row.
pub(super) fn is_long(report: &Report) -> bool {
    report.name == "licences"
}

fn long(report: &Report) -> Table {
    let mut rows = Vec::new();
    for section in &report.sections {
        match &section.body {
            Body::Figures(figures) => {
                for figure in figures {
                    let place = (Value::Unknown, Value::Unknown);
                    rows.push(line(
                        section.id,
                        place,
                        (figure.id, &figure.label),
                        &figure.value,
                        Some(&figure.meaning),
                    ));
                }
            }
            Body::Table(table) => {
                for (number, row) in (1..).zip(&table.rows) {
                    for (column, value) in table.columns.iter().zip(row) {
                        let label = row.first().cloned().unwrap_or(Value::Unknown);
                        let place = (Value::Count(number), Value::Text(plain(&label)));
                        rows.push(line(section.id, place, (column.id, &column.label), value, None));
                    }
                }
            }
        }
    }
    let text = |id, label: &str| Column { id, label: label.to_owned(), kind: ValueKind::Text };
    let columns = vec![
        text("section", "Section"),
        Column { id: "row", label: "Row".to_owned(), kind: ValueKind::Count },
        text("row_label", "Row label"),
        text("name", "Name"),
        text("label", "Label"),
        text("kind", "Kind"),
        // A value of any kind; a format with types writes it as text.
        text("value", "Value"),
        text("meaning", "Meaning"),
    ];
    Table { columns, rows, chart: None, names_people: false }
}

fn line(
    section: &str,
    (row, row_label): (Value, Value),
    (name, label): (&str, &str),
    value: &Value,
    meaning: Option<&str>,
) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        text(section),
        row,
        row_label,
        text(name),
        text(label),
        text(kind(value)),
        value.clone(),
        meaning.map_or(Value::Unknown, text),
    ]
}

/// The name of a value's kind; the same in JSON.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Unknown => "unknown",
        Value::Text(_) => "text",
        Value::Count(_) => "count",
        Value::Days(_) => "days",
        Value::Percent(_) => "percent",
        Value::Money(..) => "money",
        Value::Bytes(_) => "bytes",
        Value::Date(_) => "date",
        Value::Time(_) => "time",
        Value::Flag(_) => "flag",
    }
}

/// A value as text without unit or grouping, the same in every text format. An unknown value is empty.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Unknown => String::new(),
        Value::Text(text) => text.clone(),
        Value::Count(number) | Value::Days(number) | Value::Bytes(number) => number.to_string(),
        Value::Percent(share) => share.to_string(),
        Value::Money(amount, _) => amount.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Time(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        Value::Flag(flag) => flag.to_string(),
    }
}
