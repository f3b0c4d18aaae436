//! JSON for programs. `docs/report.schema.json` describes its content, and a test validates every report against it.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::rows::{kind, plain};
use crate::report::model::{
    Body, Chart, Figure, Level, Report, ReportSnapshot, Section, Table, Value, ValueKind,
};

/// Version of this JSON. It increases when a field changes its meaning or is removed.
pub const JSON_SCHEMA_VERSION: u32 = 1;

/// The whole report as one JSON object: one field per line, and one line per row of a table.
pub fn json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(&Whole(report)).expect("every key is text");
    text.push('\n');
    text
}

// The JSON is written directly. Building a tree of values first took half of the time and most of the memory for a long list.
struct Whole<'a>(&'a Report);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Report { name, title, question, snapshot, notices, filters, sections } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema_version", &JSON_SCHEMA_VERSION)?;
        map.serialize_entry("report", name)?;
        map.serialize_entry("title", title)?;
        map.serialize_entry("question", question)?;
        map.serialize_entry("night", &Night(snapshot))?;
        let notice = |level, text| Pairs([("level", level), ("text", text)]);
        let notices: Vec<_> = notices.iter().map(|it| notice(level(it.level), it.text.as_str())).collect();
        map.serialize_entry("notices", &notices)?;
        let filter = |name, value| Pairs([("name", name), ("value", value)]);
        let filters: Vec<_> =
            filters.iter().map(|(name, value)| filter(name.as_str(), value.as_str())).collect();
        map.serialize_entry("filters", &filters)?;
        map.serialize_entry("sections", &sections.iter().map(Part).collect::<Vec<_>>())?;
        map.end()
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Note => "note",
        Level::Warning => "warning",
    }
}

/// Named text.
struct Pairs<'a, const N: usize>([(&'static str, &'a str); N]);

impl<const N: usize> Serialize for Pairs<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

struct Night<'a>(&'a ReportSnapshot);

impl Serialize for Night<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let snapshot = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("enterprise_id", &snapshot.enterprise_id)?;
        map.serialize_entry("snapshot_date", &snapshot.snapshot_date.to_string())?;
        map.serialize_entry("run_number", &snapshot.run_number.0)?;
        map.serialize_entry("now_at", &plain(&Value::Time(snapshot.now_at)))?;
        map.serialize_entry("time_zone", "UTC")?;
        map.serialize_entry("is_as_of", &snapshot.is_as_of)?;
        map.end()
    }
}

struct Part<'a>(&'a Section);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Section { id, title, note, body } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("title", title)?;
        map.serialize_entry("note", note)?;
        match body {
            Body::Figures(figures) => {
                map.serialize_entry("figures", &figures.iter().map(Single).collect::<Vec<_>>())?;
            }
            Body::Table(table) => map.serialize_entry("table", &Rows(table))?,
        }
        map.end()
    }
}

struct Single<'a>(&'a Figure);

impl Serialize for Single<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Figure { id, label, value, meaning, is_headline } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("label", label)?;
        map.serialize_entry("kind", kind(value))?;
        map.serialize_entry("value", &Cell(value))?;
        map.serialize_entry("meaning", meaning)?;
        map.serialize_entry("is_headline", is_headline)?;
        map.end()
    }
}

struct Rows<'a>(&'a Table);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let table = self.0;
        let column = |(id, label, kind)| Pairs([("id", id), ("label", label), ("kind", kind)]);
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|it| column((it.id, it.label.as_str(), kind_of_column(it.kind))))
            .collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("columns", &columns)?;
        map.serialize_entry("rows", &Lines(table))?;
        map.serialize_entry("chart", &table.chart.as_ref().map(Drawing))?;
        map.serialize_entry("names_people", &table.names_people)?;
        map.end()
    }
}

struct Lines<'a>(&'a Table);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.rows.len()))?;
        for row in &self.0.rows {
            // One row per line: this is easier to read, and a long list is written in half the time.
            let line =
                serde_json::value::to_raw_value(&Line(self.0, row)).map_err(serde::ser::Error::custom)?;
            rows.serialize_element(&line)?;
        }
        rows.end()
    }
}

struct Line<'a>(&'a Table, &'a [Value]);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(table, row) = self;
        serializer.collect_map(table.columns.iter().zip(*row).map(|(column, cell)| (column.id, Cell(cell))))
    }
}

struct Drawing<'a>(&'a Chart);

impl Serialize for Drawing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, x, series) = match self.0 {
            Chart::Lines { x, series } => ("lines", x, series.as_slice()),
            Chart::Bars { label, series } => ("bars", label, series.as_slice()),
            Chart::Ranking { label, series } => ("ranking", label, std::slice::from_ref(series)),
        };
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("kind", kind)?;
        map.serialize_entry("x", x)?;
        map.serialize_entry("series", series)?;
        map.end()
    }
}

/// Money keeps its digits as text, with its currency. An unknown value is null.
struct Cell<'a>(&'a Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Unknown => serializer.serialize_none(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Count(number) | Value::Days(number) | Value::Bytes(number) => {
                serializer.serialize_i64(*number)
            }
            Value::Percent(share) => serializer.serialize_f64(*share),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Money(amount, currency) => {
                Pairs([("amount", amount.to_string().as_str()), ("currency", currency)]).serialize(serializer)
            }
            Value::Date(_) | Value::Time(_) => serializer.serialize_str(&plain(self.0)),
        }
    }
}

fn kind_of_column(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Count => "count",
        ValueKind::Days => "days",
        ValueKind::Percent => "percent",
        ValueKind::Money => "money",
        ValueKind::Bytes => "bytes",
        ValueKind::Date => "date",
        ValueKind::Time => "time",
        ValueKind::Flag => "flag",
    }
}
