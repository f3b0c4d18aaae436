//! Rows under columns. Written by hand: ten thousand rows of closing tags, which HTML lets one leave out, are half a megabyte.

use maud::{Markup, PreEscaped, html};

use super::escaped::Escaped;
use super::value;
use crate::report::{Table, Value, ValueKind};

/// A table in a box of its own that scrolls, with a field to search it where it is long. Without script it is all there,
/// only not sorted or searched.
pub(super) fn draw(id: &str, title: &str, table: &Table) -> Markup {
    let is_sortable = table.rows.len() >= SORTED_FROM;
    let is_searchable = table.names_people || table.rows.len() >= SEARCHED_FROM;
    let search = format!("{id}-search");
    html! {
        div.list data-list[is_sortable] {
            @if is_searchable && is_sortable {
                // The script shows it: without one it would do nothing.
                div.tools hidden {
                    label for=(search) { "Search" }
                    input type="search" id=(search) autocomplete="off" spellcheck="false";
                    span.count role="status" { (rows(table.rows.len())) }
                }
            } @else if is_sortable {
                span.count.only-heard role="status" {}
            }
            div.scroll tabindex="0" role="region" aria-label=(Escaped::of(title)) {
                table class=(classes(table)) {
                    caption { (Escaped::of(title)) }
                    thead {
                        tr {
                            @for column in &table.columns {
                                th scope="col" data-kind=(sorts_as(column.kind)) { (Escaped::of(&column.label)) }
                            }
                        }
                    }
                    tbody { (PreEscaped(body(table))) }
                }
            }
        }
    }
}

fn body(table: &Table) -> String {
    let mut body = String::with_capacity(table.rows.len() * 200);
    for row in &table.rows {
        body.push_str("<tr>");
        for (index, value) in row.iter().enumerate() {
            // What a row is called is its heading for who hears it read.
            body.push_str(if index == 0 { "<th scope=row" } else { "<td" });
            if let Value::Bytes(bytes) = value {
                body.push_str(" data-v=");
                body.push_str(Escaped::number(*bytes).as_str());
            }
            body.push('>');
            match value {
                // The element says that this is no value; the script sorts it last.
                Value::Unknown => body.push_str("<i>not known</i>"),
                value => body.push_str(Escaped::of(&value::cell(value)).as_str()),
            }
        }
        body.push('\n');
    }
    body
}

/// The style sheet aligns columns by these: a class per cell would be a tenth of the page.
fn classes(table: &Table) -> String {
    let numbers = table.columns.iter().enumerate().filter(|(_, column)| value::is_number(column.kind));
    let mut classes: Vec<String> = numbers.map(|(index, _)| format!("n{}", index + 1)).collect();
    let is_short = |kind| value::is_number(kind) || matches!(kind, ValueKind::Date | ValueKind::Time);
    if table.columns.iter().filter(|column| !is_short(column.kind)).count() > 2 && table.columns.len() > 5 {
        classes.push("dense".to_owned());
    }
    classes.join(" ")
}

fn sorts_as(kind: ValueKind) -> &'static str {
    if value::is_number(kind) { "number" } else { "text" }
}

fn rows(count: usize) -> String {
    let grouped = value::grouped(i64::try_from(count).unwrap_or(i64::MAX));
    if count == 1 { "1 row".to_owned() } else { format!("{grouped} rows") }
}

/// Fewer rows are sorted by a glance.
const SORTED_FROM: usize = 3;
/// Fewer rows are searched by a glance.
const SEARCHED_FROM: usize = 20;
