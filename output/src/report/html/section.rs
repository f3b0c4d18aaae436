//! A part of a report: figures in a list, a drawing with its table folded below, or a table.

use maud::{Markup, html};

use super::chart::{self, Width};
use super::escaped::Escaped;
use super::{People, table, value};
use crate::Result;
use crate::report::{Body, Chart, Figure, Report, Section, Table, Value};

/// The position of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) people: People,
    /// Level of its heading.
    pub(super) heading: u8,
}

/// All sections of a report: drawings first, for a quick look, then the text and tables, each in the report's order.
pub(super) fn all(report: &Report, place: Place) -> Result<Markup> {
    let mut sections: Vec<&Section> = report.sections.iter().collect();
    sections.sort_by_key(|section| match &section.body {
        Body::Table(Table { chart: Some(Chart::Lines { .. }), .. }) => 0,
        Body::Table(Table { chart: Some(_), .. }) => 1,
        Body::Table(_) | Body::Figures(_) => 2,
    });
    let mut drawn = Vec::new();
    for (section, width) in sections.iter().zip(widths(&sections, place.people)) {
        drawn.push(one(report, section, width, place)?);
    }
    Ok(html! { div.sections { @for section in drawn { (section) } } })
}

fn one(report: &Report, section: &Section, width: Width, place: Place) -> Result<Markup> {
    let id = format!("{}-{}", report.name, section.id);
    let body = match &section.body {
        Body::Figures(figures) => list(figures),
        Body::Table(table) if is_left_out(table, place.people) => html! {
            p.left-out { "This list names users and is omitted from this page; " code { "--people" } " shows it." }
        },
        Body::Table(table) if table.rows.is_empty() => html! { p.left-out { "Nothing to list." } },
        Body::Table(table) => match chart::figure(&id, &section.title, table, width)? {
            Some(figure) => html! {
                (figure)
                details {
                    summary { "These figures as a table" }
                    (table::draw(&id, &section.title, table))
                }
            },
            None => table::draw(&id, &section.title, table),
        },
    };
    let heading = format!("{id}-heading");
    Ok(html! {
        section class=(match width { Width::Full => "full", Width::Half => "half" }) aria-labelledby=(heading) {
            @if place.heading == 2 { h2 id=(heading) { (Escaped::of(&section.title)) } }
            @else { h3 id=(heading) { (Escaped::of(&section.title)) } }
            @if let Some(note) = &section.note { p.note { (Escaped::of(note)) } }
            (body)
        }
    })
}

/// A value on its own, with its unit next to it in smaller type.
pub(super) fn alone(value: &Value) -> Markup {
    let (number, unit) = value::alone(value);
    html! {
        @if *value == Value::Unknown { span.unknown { (Escaped::of(&number)) } } @else { (Escaped::of(&number)) }
        @if let Some(unit) = unit { " " span.unit { (Escaped::of(&unit)) } }
    }
}

fn list(figures: &[Figure]) -> Markup {
    html! {
        dl.figures {
            @for figure in figures {
                div {
                    dt { (Escaped::of(&figure.label)) }
                    dd.figure { (alone(&figure.value)) }
                    dd.meaning { (Escaped::of(&figure.meaning)) }
                }
            }
        }
    }
}

fn is_left_out(table: &Table, people: People) -> bool {
    table.names_people && people == People::LeftOut
}

/// Drawings of bars are placed next to each other in pairs. A drawing without a neighbour, and every other section, gets the whole line.
fn widths(sections: &[&Section], people: People) -> Vec<Width> {
    let is_small = |section: &&Section| match &section.body {
        Body::Table(table) => {
            !is_left_out(table, people)
                && matches!(table.chart, Some(Chart::Bars { .. } | Chart::Ranking { .. }))
                && table.rows.len() <= SIDE_BY_SIDE
        }
        Body::Figures(_) => false,
    };
    let mut widths = Vec::with_capacity(sections.len());
    for run in sections.chunk_by(|a, b| is_small(a) == is_small(b)) {
        let pairs = if is_small(&run[0]) { run.len() / 2 * 2 } else { 0 };
        widths.extend(
            run.iter().enumerate().map(|(index, _)| if index < pairs { Width::Half } else { Width::Full }),
        );
    }
    widths
}

/// A drawing with more bars needs the whole line.
const SIDE_BY_SIDE: usize = 20;
