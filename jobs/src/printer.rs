//! Results on stdout, everything else on stderr.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use boxseat_output::report::format::{Csv, Numbers};
use boxseat_schemas::text::{visible, visible_message};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use crate::cli::{Colour, Format, Global};
use crate::error::{CommandError, Error};

/// Version of every JSON result. It grows when a field changes its meaning or is removed.
pub(crate) const JSON_SCHEMA_VERSION: u32 = 1;

/// The output of a command.
pub(crate) struct Printer {
    format: Format,
    quiet: bool,
    colour: bool,
}

/// A table of results.
pub(crate) struct Grid {
    /// Headings.
    pub(crate) columns: Vec<String>,
    /// Values; numbers are right-aligned.
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Printer {
    pub(crate) fn new(global: &Global) -> Self {
        let colour = match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => std::io::stderr().is_terminal() && !crate::config::no_color(),
        };
        Self { format: global.format, quiet: global.quiet, colour }
    }

    /// Before the flags are known.
    pub(crate) fn plain() -> Self {
        Self { format: Format::Table, quiet: false, colour: false }
    }

    /// Columns of the terminal that results go to; 80 when they go elsewhere.
    pub(crate) fn width(&self) -> usize {
        Table::new().width().map_or(80, usize::from)
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A sentence on stderr.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{}", visible_message(text.as_ref()));
        }
    }

    /// What failed, why, and what to do.
    pub(crate) fn error(&self, error: &Error) {
        let mut stderr = std::io::stderr().lock();
        let (red, cyan, plain) =
            if self.colour { ("\u{1b}[1;31m", "\u{1b}[36m", "\u{1b}[0m") } else { ("", "", "") };
        for (index, line) in error.lines().iter().enumerate() {
            let label = if index == 0 { format!("{red}error:{plain}") } else { "  because:".to_owned() };
            let _ = writeln!(stderr, "{label} {}", visible_message(line));
        }
        for hint in error.hints() {
            let _ = writeln!(stderr, "{cyan}hint:{plain} {}", visible_message(hint));
        }
    }

    /// Prints rows in the requested format. `name` is the JSON key.
    pub(crate) fn grid(&self, name: &str, grid: &Grid) -> Result<(), CommandError> {
        match self.format {
            // Formats that a command does not support are refused before it begins.
            Format::Table | Format::Markdown | Format::Parquet | Format::Html => self.out(&table(grid)),
            Format::Csv => self.out(&csv(grid)),
            Format::Json => {
                let rows: Vec<Value> = grid
                    .rows
                    .iter()
                    .map(|row| Value::Object(grid.columns.iter().cloned().zip(row.iter().cloned()).collect()))
                    .collect();
                self.json(json!({ name: rows }))
            }
        }
    }

    /// Prints rows as paragraphs where a table would break long sentences and commands into narrow cells: the first `heads` values
    /// on one line, then each further value on a line of its own. Formats for programs get the rows.
    pub(crate) fn paragraphs(&self, name: &str, heads: usize, grid: &Grid) -> Result<(), CommandError> {
        if self.format != Format::Table {
            return self.grid(name, grid);
        }
        let paragraph = |row: &Vec<Value>| {
            let values: Vec<String> =
                row.iter().map(|value| visible(&plain(value)).replace('\n', "\\u{a}")).collect();
            let (head, rest) = values.split_at(heads.min(values.len()));
            let shown = head.iter().filter(|value| !value.is_empty()).cloned().collect::<Vec<_>>();
            let rest = grid.columns.iter().skip(head.len()).zip(rest).filter(|(_, value)| !value.is_empty());
            let lines = rest.map(|(column, value)| format!("    {}: {value}\n", column.replace('_', " ")));
            format!("{}\n{}", shown.join("  "), lines.collect::<String>())
        };
        self.out(&grid.rows.iter().map(paragraph).collect::<String>())
    }

    /// Prints one object with named values.
    pub(crate) fn facts(&self, name: &str, facts: &[(&str, Value)]) -> Result<(), CommandError> {
        if self.format == Format::Json {
            let facts: Map<String, Value> =
                facts.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            return self.json(json!({ name: facts }));
        }
        if self.format == Format::Csv {
            let rows = facts
                .iter()
                .map(|(key, value)| vec![Value::String((*key).to_owned()), value.clone()])
                .collect();
            return self.out(&csv(&Grid { columns: vec!["fact".to_owned(), "value".to_owned()], rows }));
        }
        let width = facts.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        let line = |(key, value): &(&str, Value)| {
            let value = if value.is_null() { "-".to_owned() } else { visible(&plain(value)) };
            format!("{:width$}  {value}\n", key.replace('_', " "))
        };
        self.out(&facts.iter().map(line).collect::<String>())
    }

    /// A JSON object, with the schema version on top.
    pub(crate) fn json(&self, body: Value) -> Result<(), CommandError> {
        let mut whole = Map::from_iter([("schema_version".to_owned(), json!(JSON_SCHEMA_VERSION))]);
        whole.extend(body.as_object().cloned().unwrap_or_default());
        self.out(&format!("{}\n", serde_json::to_string_pretty(&whole).expect("JSON of JSON")))
    }

    /// Writes text to stdout. A closed pipe (`| head`) is not an error.
    ///
    /// On a terminal, control and bidirectional characters are escaped in every format. A file or a pipe gets the text unchanged.
    pub(crate) fn out(&self, text: &str) -> Result<(), CommandError> {
        let mut stdout = std::io::stdout().lock();
        let text = if stdout.is_terminal() { on_a_terminal(text) } else { Cow::Borrowed(text) };
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(CommandError::failed("cannot write to stdout", e))
            }
            _ => Ok(()),
        }
    }
}

/// CSV lines end in CR LF; the CR must not be shown as an escape.
fn on_a_terminal(text: &str) -> Cow<'_, str> {
    Cow::Owned(visible(&text.replace("\r\n", "\n")))
}

fn table(grid: &Grid) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(grid.columns.iter().map(|name| visible(name)));
    for row in &grid.rows {
        table.add_row(row.iter().map(|value| visible(&plain(value))));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if grid.rows.iter().any(|row| row[index].is_number()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

/// Rows as CSV. Cut values are reported on stderr. Numbers stay numbers, and so does text that looks like a plain number, because
/// programs read this output too.
fn csv(grid: &Grid) -> String {
    let mut csv = Csv::default();
    for name in &grid.columns {
        csv.push_text(name, Numbers::Stay);
    }
    csv.end_line();
    for row in &grid.rows {
        for value in row {
            match value {
                Value::String(text) => csv.push_text(text, Numbers::Stay),
                other => csv.push_value(&plain(other)),
            }
        }
        csv.end_line();
    }
    if let Some(notice) = csv.notice() {
        tracing::warn!("{notice}");
    }
    csv.text
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
