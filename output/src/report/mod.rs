//! Reports: figures computed once into one typed model, then drawn.
//!
//! ```text
//! boxseat.duckdb ──figures──▶ Report ──▶ terminal │ CSV │ JSON │ Parquet │ HTML
//! ```
//! A figure is computed in one place and only drawn elsewhere, so it is the same in every format. This code neither calls Box nor reads a
//! clock: the age of a snapshot follows from [`Ask::now`].

mod access;
mod ask;
pub mod format;
mod head;
pub mod html;
mod idle;
mod licences;
mod model;
mod movers;
mod reclaimable;
mod runs;
mod source;
mod suspended;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Name};
pub use model::{
    Body, Chart, Column, Figure, Level, Notice, Report, ReportSnapshot, Section, Table, Value, ValueKind,
};
pub use source::Source;

use crate::Result;
use ask::{Foreign, Scope};

/// Computes one report.
///
/// # Errors
/// `Input` for a filter that the report does not have, or for a value that the snapshot does not have. The text names the existing ones.
pub fn compute(source: &Source, name: Name, ask: &Ask) -> Result<Report> {
    one(source, name, ask, Foreign::Refuse)
}

/// Computes all reports. A report ignores a filter that it does not have, and a notice states it.
///
/// # Errors
/// As [`compute`].
pub fn all(source: &Source, ask: &Ask) -> Result<Vec<Report>> {
    Name::ALL.into_iter().map(|name| one(source, name, ask, Foreign::LeaveOut)).collect()
}

fn one(source: &Source, name: Name, ask: &Ask, foreign: Foreign) -> Result<Report> {
    let scope = Scope::of(source, name, ask, foreign)?;
    let mut report = match name {
        Name::Licences => licences::report(source, &scope),
        Name::Idle => idle::report(source, &scope),
        Name::Suspended => suspended::report(source, &scope),
        Name::Reclaimable => reclaimable::report(source, &scope),
        Name::Access => access::report(source, &scope),
        Name::Movers => movers::report(source, &scope),
        Name::Runs => runs::report(source, &scope),
    }?;
    let mut notices = head::notices(source, &scope, ask.now)?;
    notices.append(&mut report.notices);
    Ok(Report { notices, filters: scope.filters, ..report })
}

fn column(id: &'static str, label: &str, kind: ValueKind) -> Column {
    Column { id, label: label.to_owned(), kind }
}

fn figure(id: &'static str, label: &str, value: Value, meaning: impl Into<String>) -> Figure {
    Figure { id, label: label.to_owned(), value, meaning: meaning.into(), is_headline: false }
}

fn headline(id: &'static str, label: &str, value: Value, meaning: impl Into<String>) -> Figure {
    Figure { is_headline: true, ..figure(id, label, value, meaning) }
}

fn count(value: Option<i64>) -> Value {
    value.map_or(Value::Unknown, Value::Count)
}

fn section(id: &'static str, title: &str, note: Option<String>, body: Body) -> Section {
    Section { id, title: title.to_owned(), note, body }
}

fn note(text: impl Into<String>) -> Notice {
    Notice { level: Level::Note, text: text.into() }
}

fn warning(text: impl Into<String>) -> Notice {
    Notice { level: Level::Warning, text: text.into() }
}

/// Fills the column `row_key` of rows about users.
fn row_keys(mut rows: Vec<Vec<Value>>, columns: &[Column]) -> Vec<Vec<Value>> {
    use boxseat_schemas::row_key::{self, Subject};
    let place = |id: &str| columns.iter().position(|column| column.id == id);
    if let (Some(user), Some(key)) = (place("user_id"), place("row_key")) {
        for row in &mut rows {
            let of = match &row[user] {
                Value::Text(id) => row_key::of(Subject::User, id),
                _ => None,
            };
            row[key] = of.map_or(Value::Unknown, Value::Text);
        }
    }
    rows
}
