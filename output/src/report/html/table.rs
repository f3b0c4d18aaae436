//! Rows under columns. Written by hand: ten thousand rows of closing tags, which HTML lets one leave out, are half a megabyte.

use maud::{Markup, PreEscaped, html};

use super::escaped::Escaped;
use super::value;
use crate::report::{Column, Table, Value, ValueKind};

/// A table in a box of its own that scrolls, with a field to search it where it is long. Without script it is all there,
/// only not sorted or searched.
pub(super) fn draw(id: &str, title: &str, table: &Table) -> Markup {
    let is_sortable = table.rows.len() >= SORTED_FROM;
    let is_searchable = table.names_people || table.rows.len() >= SEARCHED_FROM;
    let search = format!("{id}-search");
    let shown = shown(table);
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
                table class=(classes(&shown)) {
                    caption { (Escaped::of(title)) }
                    thead {
                        tr {
                            @for (_, column) in &shown {
                                th scope="col" data-kind=(sorts_as(column.kind)) { (Escaped::of(&column.label)) }
                            }
                        }
                    }
                    tbody { (PreEscaped(body(table, &shown))) }
                }
            }
        }
    }
}

/// The columns that a page shows, with their places. Keys are for programs, which have CSV and JSON; of people, the sentence that
/// says in words what the columns before it say would be a third of the page.
fn shown(table: &Table) -> Vec<(usize, &Column)> {
    let is_shown = |column: &Column| match column.id {
        "user_id" | "group_id" | "row_key" => false,
        "meaning" => !table.names_people,
        _ => true,
    };
    table.columns.iter().enumerate().filter(|(_, column)| is_shown(column)).collect()
}

/// Every byte counts ten thousand times here: what a row is called is its heading (a `th` before `td`s is), the style sheet
/// writes what is not known, and of people a day is enough.
fn body(table: &Table, shown: &[(usize, &Column)]) -> String {
    let mut body = String::with_capacity(table.rows.len() * 200);
    for row in &table.rows {
        body.push_str("<tr>");
        for (place, (index, _)) in shown.iter().enumerate() {
            body.push_str(if place == 0 { "<th>" } else { "<td>" });
            match &row[*index] {
                // The element says that this is no value; the script sorts it last.
                Value::Unknown => body.push_str("<i></i>"),
                Value::Time(time) if table.names_people => body.push_str(&value::day(time.date_naive())),
                value => body.push_str(Escaped::of(&value::cell(value)).as_str()),
            }
        }
    }
    body
}

/// The style sheet aligns columns by these: a class per cell would be a tenth of the page.
fn classes(shown: &[(usize, &Column)]) -> String {
    let numbers = shown.iter().enumerate().filter(|(_, (_, column))| value::is_number(column.kind));
    let mut classes: Vec<String> = numbers.map(|(place, _)| format!("n{}", place + 1)).collect();
    let is_short = |kind| value::is_number(kind) || matches!(kind, ValueKind::Date | ValueKind::Time);
    if shown.iter().filter(|(_, column)| !is_short(column.kind)).count() > 2 && shown.len() > 5 {
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
