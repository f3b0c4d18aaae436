//! JSON for programs: `docs/report.schema.json` says what is in it, and a test holds every report against it.

use serde_json::{Map, Value as Json, json};

use super::rows::{kind, plain};
use crate::report::model::{Body, Chart, Figure, Level, Report, Section, Table, Value, ValueKind};

/// Version of this JSON; grows when a field changes its meaning or goes.
pub const JSON_SCHEMA_VERSION: u32 = 1;

/// The whole report.
pub fn json(report: &Report) -> Json {
    let night = &report.night;
    json!({
        "schema_version": JSON_SCHEMA_VERSION,
        "report": report.name,
        "title": report.title,
        "question": report.question,
        "night": {
            "enterprise_id": night.enterprise_id,
            "snapshot_date": night.snapshot_date.to_string(),
            "run_number": night.run_number.0,
            "now_at": plain(&Value::Time(night.now_at)),
            "time_zone": "UTC",
            "is_as_of": night.is_as_of,
        },
        "notices": report.notices.iter().map(|notice| json!({
            "level": match notice.level { Level::Note => "note", Level::Warning => "warning" },
            "text": notice.text,
        })).collect::<Vec<_>>(),
        "filters": report.filters.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>(),
        "sections": report.sections.iter().map(section).collect::<Vec<_>>(),
    })
}

fn section(section: &Section) -> Json {
    let mut whole = json!({ "id": section.id, "title": section.title, "note": section.note });
    let (key, body) = match &section.body {
        Body::Figures(figures) => ("figures", figures.iter().map(figure).collect()),
        Body::Table(table) => ("table", self::table(table)),
    };
    whole[key] = body;
    whole
}

fn figure(figure: &Figure) -> Json {
    json!({
        "id": figure.id,
        "label": figure.label,
        "kind": kind(&figure.value),
        "value": value(&figure.value),
        "meaning": figure.meaning,
        "is_headline": figure.is_headline,
    })
}

fn table(table: &Table) -> Json {
    let columns: Vec<Json> = table
        .columns
        .iter()
        .map(|column| json!({ "id": column.id, "label": column.label, "kind": kind_of_column(column.kind) }))
        .collect();
    let rows: Vec<Json> = table
        .rows
        .iter()
        .map(|row| {
            let cells = table.columns.iter().zip(row);
            Json::Object(
                cells.map(|(column, cell)| (column.id.to_owned(), value(cell))).collect::<Map<_, _>>(),
            )
        })
        .collect();
    json!({ "columns": columns, "rows": rows, "chart": table.chart.as_ref().map(chart), "names_people": table.names_people })
}

fn chart(chart: &Chart) -> Json {
    match chart {
        Chart::Lines { x, series } => json!({ "kind": "lines", "x": x, "series": series }),
        Chart::Bars { label, series } => json!({ "kind": "bars", "x": label, "series": series }),
        Chart::Ranking { label, series } => json!({ "kind": "ranking", "x": label, "series": [series] }),
    }
}

/// Money keeps its digits as text, with its currency; what is not claimed is null.
fn value(value: &Value) -> Json {
    match value {
        Value::Unknown => Json::Null,
        Value::Count(number) | Value::Days(number) | Value::Bytes(number) => json!(number),
        Value::Percent(share) => json!(share),
        Value::Flag(flag) => json!(flag),
        Value::Money(amount, currency) => json!({ "amount": amount.to_string(), "currency": currency }),
        Value::Text(_) | Value::Date(_) | Value::Time(_) => Json::String(plain(value)),
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
