//! Draws a table. The rows are written by hand, without closing tags, which are optional in HTML. For ten thousand rows, the closing tags
//! would be half a megabyte.

use maud::{Markup, PreEscaped, html};

use super::escaped::Escaped;
use super::value;
use crate::report::{Column, Table, Value, ValueKind};

/// A table in its own box that scrolls, with a search field if the table is long. Without script the table is complete, but it cannot be
/// sorted or searched.
pub(super) fn draw(id: &str, title: &str, table: &Table) -> Markup {
    let is_sortable = table.rows.len() >= SORTED_FROM;
    let is_searchable = table.names_people || table.rows.len() >= SEARCHED_FROM;
    let search = format!("{id}-search");
    let shown = shown(table);
    html! {
        div.list data-list[is_sortable] {
            @if is_searchable && is_sortable {
                // The script shows the field. Without the script it would have no function.
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

/// The columns that a page shows, with their positions. Keys are for programs, which have CSV and JSON. In tables of users, the sentence
/// column repeats the columns before it and would be a third of the page, so it is not shown.
fn shown(table: &Table) -> Vec<(usize, &Column)> {
    let is_shown = |column: &Column| match column.id {
        "user_id" | "group_id" | "row_key" => false,
        "meaning" => !table.names_people,
        _ => true,
    };
    table.columns.iter().enumerate().filter(|(_, column)| is_shown(column)).collect()
}

/// Every byte of a row is written up to ten thousand times. The name of a row is its heading (a `th` before `td`s), the style sheet writes
/// the text for unknown values, and tables of users show only the day of a time.
fn body(table: &Table, shown: &[(usize, &Column)]) -> String {
    let mut body = String::with_capacity(table.rows.len() * 200);
    for row in &table.rows {
        body.push_str("<tr>");
        for (place, (index, _)) in shown.iter().enumerate() {
            body.push_str(if place == 0 { "<th>" } else { "<td>" });
            match &row[*index] {
                // The element marks an unknown value; the script sorts it last.
                Value::Unknown => body.push_str("<i></i>"),
                Value::Time(time) if table.names_people => body.push_str(&value::day(time.date_naive())),
                value => body.push_str(Escaped::of(&value::cell(value)).as_str()),
            }
        }
    }
    body
}

/// The style sheet aligns columns by these classes. A class per cell would be a tenth of the page.
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

/// With fewer rows, sorting is not necessary.
const SORTED_FROM: usize = 3;
/// With fewer rows, a search is not necessary.
const SEARCHED_FROM: usize = 20;
