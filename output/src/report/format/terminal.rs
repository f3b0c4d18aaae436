//! A report for the terminal, never wider than the terminal.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::rows::plain;
use crate::report::model::{Body, Chart, Figure, Level, Report, Section, Table, Value, ValueKind};
use boxseat_schemas::text::visible_line;

/// Maximum number of rows over time. More rows are only in the other formats.
const LAST_RUNS: usize = 31;
/// The minimum width of a column of longer text. The state of a seat fits in it.
const LEAST_TEXT: usize = 14;
/// Each text column gets up to this width, if it needs it, before any column gets more.
const GOOD_TEXT: usize = 24;
/// Longer text counts as a sentence.
const SENTENCE: usize = 40;
/// With fewer columns a table has too little information, and each row becomes a list.
const LEAST_COLUMNS: usize = 3;
/// Between columns.
const GAP: usize = 2;

/// The report in lines of at most `width` columns. A width under 40 is drawn as 40.
///
/// Text is cut with an ellipsis, numbers never. The columns are in order of importance. Columns that do not fit are omitted and named below
/// the table. If fewer than three fit, each row is a list of all its values.
pub fn terminal(report: &Report, width: usize) -> String {
    let mut page = Page { text: String::new(), width: width.max(40) };
    let snapshot = &report.snapshot;
    page.wrapped("", &format!("{}: {}", report.title, report.question));
    page.wrapped(
        "",
        &format!(
            "Snapshot of {} (run {}, {} UTC), enterprise {}. Days and weeks are UTC.",
            snapshot.snapshot_date,
            snapshot.run_number,
            snapshot.now_at.format("%F %H:%M"),
            snapshot.enterprise_id
        ),
    );
    let filters: Vec<String> =
        report.filters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if !filters.is_empty() {
        page.wrapped("", &format!("Filters: {}", filters.join(", ")));
    }
    for notice in &report.notices {
        let mark = match notice.level {
            Level::Warning => "Warning: ",
            Level::Note => "Note: ",
        };
        page.wrapped("", &format!("{mark}{}", notice.text));
    }
    for section in &report.sections {
        page.section(section);
    }
    page.text
}

struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Writes text in as many lines as necessary, each line with `indent` in front.
    fn wrapped(&mut self, indent: &str, text: &str) {
        for line in wrap(text, self.width - indent.len()) {
            self.line(&format!("{indent}{line}"));
        }
    }

    fn section(&mut self, section: &Section) {
        self.line("");
        self.wrapped("", &section.title);
        let rule = "─".repeat(width_of(&visible_line(&section.title)).min(self.width));
        self.line(&rule);
        match &section.body {
            Body::Figures(figures) => self.figures(figures),
            Body::Table(table) => self.table(table),
        }
        if let Some(note) = &section.note {
            self.wrapped("", note);
        }
    }

    /// Name, value and meaning, next to each other.
    fn figures(&mut self, figures: &[Figure]) {
        let widest = |of: &dyn Fn(&Figure) -> usize| figures.iter().map(of).max().unwrap_or(0);
        let label = widest(&|figure| width_of(&visible_line(&figure.label))).min(self.width / 3);
        let value = widest(&|figure| width_of(&shown(&figure.value))).min(self.width / 3);
        let meaning = self.width - label - value - 2 * GAP;
        for figure in figures {
            let labels = wrap(&figure.label, label);
            let values = match figure.value {
                Value::Text(ref text) => wrap(text, value),
                ref number => vec![shown(number)],
            };
            let meanings = wrap(&figure.meaning, meaning);
            for at in 0..labels.len().max(values.len()).max(meanings.len()) {
                let part = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
                let gap = " ".repeat(GAP);
                let line =
                    [left(&part(&labels), label), right(&part(&values), value), part(&meanings)].join(&gap);
                self.line(&line);
            }
        }
    }

    fn table(&mut self, table: &Table) {
        if table.rows.is_empty() {
            return self.line("(none)");
        }
        // The newest row is the last, so the beginning is cut.
        let is_over_time = matches!(table.chart, Some(Chart::Lines { .. })) && is_ascending(table);
        let cut = if is_over_time { table.rows.len().saturating_sub(LAST_RUNS) } else { 0 };
        let rows = &table.rows[cut..];
        let drawn = leading(table, rows, self.width);
        if drawn.len() < LEAST_COLUMNS.min(table.columns.len()) {
            return self.records(table, rows);
        }
        let mut line = String::new();
        for at in 0..=rows.len() {
            line.clear();
            for (place, column) in drawn.iter().enumerate() {
                line.extend(std::iter::repeat_n(' ', if place == 0 { 0 } else { GAP }));
                let cell = match at.checked_sub(1) {
                    None => &column.heading,
                    Some(row) => &column.cells[row],
                };
                let cell = truncate(cell, column.width);
                line.push_str(&match table.columns[place].kind {
                    ValueKind::Text => left(&cell, column.width),
                    _ => right(&cell, column.width),
                });
            }
            self.line(&line);
        }
        if cut > 0 {
            self.wrapped("", &format!("{cut} earlier rows are omitted here; other formats have them."));
        }
        let left_out: Vec<&str> = table.columns[drawn.len()..].iter().map(|column| column.id).collect();
        if !left_out.is_empty() {
            self.wrapped("", &format!("Columns omitted for width: {}.", left_out.join(", ")));
        }
    }

    /// Writes each row as a list.
    fn records(&mut self, table: &Table, rows: &[Vec<Value>]) {
        let names: Vec<String> = table.columns.iter().map(|column| visible_line(&column.label)).collect();
        let label = names.iter().map(|name| width_of(name)).max().unwrap_or(0).min(self.width / 2);
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                self.line("");
            }
            for (name, value) in names.iter().zip(row) {
                let name = left(&truncate(name, label), label);
                let cell = truncate(&shown(value), self.width - label - GAP);
                self.line(&format!("{name}{}{cell}", " ".repeat(GAP)));
            }
        }
    }
}

/// A column that is drawn.
struct Drawn {
    heading: String,
    cells: Vec<String>,
    /// The width that shows all of its text.
    natural: usize,
    width: usize,
}

fn is_ascending(table: &Table) -> bool {
    match (table.rows.first().and_then(|row| row.first()), table.rows.last().and_then(|row| row.first())) {
        (Some(Value::Date(first)), Some(Value::Date(last))) => first <= last,
        _ => false,
    }
}

/// The leading columns, as many as fit. Text columns share the remaining width.
fn leading(table: &Table, rows: &[Vec<Value>], width: usize) -> Vec<Drawn> {
    let mut drawn: Vec<Drawn> = Vec::new();
    let mut taken = 0;
    for (place, column) in table.columns.iter().enumerate() {
        let heading = visible_line(&column.label);
        let cells: Vec<String> = rows.iter().map(|row| shown(&row[place])).collect();
        let natural = cells.iter().map(|cell| width_of(cell)).max().unwrap_or(0).max(width_of(&heading));
        let least = match column.kind {
            ValueKind::Text => natural.min(LEAST_TEXT),
            _ => natural,
        };
        let gap = if place == 0 { 0 } else { GAP };
        if taken + gap + least > width {
            break;
        }
        taken += gap + least;
        drawn.push(Drawn { heading, cells, natural, width: least });
    }
    widen(&mut drawn, width);
    // A column of sentences is omitted if the sentences would be cut, because their beginnings alone have no information.
    while drawn.len() > LEAST_COLUMNS
        && drawn.last().is_some_and(|last| last.width < SENTENCE && last.natural > SENTENCE)
    {
        drawn.pop();
        widen(&mut drawn, width);
    }
    drawn
}

/// Gives the remaining width to text that is cut: to the first columns first, and to long text last.
fn widen(drawn: &mut [Drawn], width: usize) {
    let mut taken = drawn.iter().map(|column| column.width + GAP).sum::<usize>().saturating_sub(GAP);
    for most in [GOOD_TEXT, usize::MAX] {
        for column in drawn.iter_mut() {
            let more = column.natural.min(most).saturating_sub(column.width).min(width.saturating_sub(taken));
            column.width += more;
            taken += more;
        }
    }
}

/// A value as users read it. An unknown value is a dash.
fn shown(value: &Value) -> String {
    match value {
        Value::Unknown => "-".to_owned(),
        Value::Text(text) => visible_line(text),
        Value::Percent(share) => format!("{share:.1} %"),
        Value::Money(amount, currency) => {
            let text = amount.to_string();
            // Four decimals only if the last two are not zero.
            let text = text.strip_suffix("00").unwrap_or(&text);
            format!("{text} {}", visible_line(currency))
        }
        Value::Time(time) => time.format("%F %H:%M").to_string(),
        Value::Flag(flag) => (if *flag { "yes" } else { "no" }).to_owned(),
        other => plain(other),
    }
}

/// The columns that a terminal uses for a text: wide characters take two, marks none.
fn width_of(text: &str) -> usize {
    // `visible_line` has replaced control characters, which have no width.
    if text.is_ascii() { text.len() } else { text.width() }
}

fn truncate(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 0;
    for grapheme in text.graphemes(true) {
        taken += grapheme.width();
        if taken + 1 > width {
            break;
        }
        kept.push_str(grapheme);
    }
    kept.push('…');
    kept
}

fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))))
}

fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(width_of(text))))
}

/// Lines of whole words; a word that is longer than a line is broken.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in visible_line(text).split(' ') {
        if !line.is_empty() && width_of(&line) + 1 + width_of(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for grapheme in word.graphemes(true) {
            if width_of(&line) + grapheme.width() > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(grapheme);
        }
    }
    lines.push(line);
    lines
}
