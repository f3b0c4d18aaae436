//! A page to open, forward and print: one HTML file that loads nothing.
//!
//! Whatever the figures contain, only boxseat's own script runs. Every value is escaped by [`escaped::Escaped`]. If the escaping fails, the
//! page's content security policy still forbids everything except the hashes of its one style sheet and one script.
//!
//! The structure is written with `maud`, which checks tags at compile time and parses nothing at run time. Tables have thousands of rows,
//! so their rows are written by hand, without closing tags.

mod chart;
mod escaped;
mod section;
mod table;
#[cfg(test)]
mod tests;
mod value;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{Body, Figure, Level, Notice, Report, ReportSnapshot};
use crate::{Error, Result};
use escaped::Escaped;
use section::Place;

/// Whether the page has rows that name users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum People {
    /// The rows are on the page, and the page states it.
    Named,
    /// The rows are excluded, so the page can be forwarded.
    LeftOut,
}

/// Draws reports of one snapshot as one page. The first report gives the page its title, and its headline figures are at the top.
///
/// # Errors
/// [`Bug`](crate::ErrorKind::Bug): no report, or a chart with a column that its table does not have.
pub fn page(reports: &[Report], people: People) -> Result<String> {
    let Some(first) = reports.first() else {
        return Err(Error::Bug("a page without a report".to_owned()));
    };
    let is_alone = reports.len() == 1;
    let title = if is_alone { first.title.clone() } else { "Box seats and licences".to_owned() };
    let place = Place { people, heading: if is_alone { 2 } else { 3 } };
    let mut sections = Vec::new();
    for report in reports {
        sections.push(section::all(report, place)?);
    }
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title, &first.snapshot))
            body {
                a.skip href="#main" { "Skip to the figures" }
                header {
                    p.brand { "boxseat" }
                    h1 { (Escaped::of(&title)) }
                    @if is_alone { p.question { (Escaped::of(&first.question)) } }
                    (snapshot(&first.snapshot))
                    (filters(first))
                }
                main id="main" tabindex="-1" {
                    (notices(reports, people))
                    (headlines(first))
                    @if !is_alone { (contents(reports)) }
                    @for (report, sections) in reports.iter().zip(sections) {
                        @if is_alone { (sections) } @else {
                            article id=(report.name) aria-labelledby={ (report.name) "-title" } {
                                h2 id={ (report.name) "-title" } { (Escaped::of(&report.title)) }
                                p.question { (Escaped::of(&report.question)) }
                                (own_notes(report, first))
                                (sections)
                            }
                        }
                    }
                }
                footer {
                    p {
                        "Made by boxseat " (env!("CARGO_PKG_VERSION")) " from run " (Escaped::number(first.snapshot.run_number.as_i64()))
                        " of enterprise " (Escaped::of(&first.snapshot.enterprise_id)) ". "
                        "Days and times are UTC. This page loads no other files."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(document.into_string())
}

fn head(title: &str, snapshot: &ReportSnapshot) -> Markup {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            meta name="robots" content="noindex";
            // Without it, phones convert numbers to links.
            meta name="format-detection" content="telephone=no";
            title { (Escaped::of(title)) ", " (Escaped::of(&value::day(snapshot.snapshot_date))) }
            // Browsers request an icon unless the page has one.
            link rel="icon" href="data:,";
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// A source expression of a content security policy. Content with another hash does not run.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

fn snapshot(snapshot: &ReportSnapshot) -> Markup {
    html! {
        p.snapshot {
            "Snapshot of "
            time datetime=(value::day(snapshot.snapshot_date)) {
                (snapshot.snapshot_date.format("%A, %-d %B %Y").to_string())
            }
            ", as of " (snapshot.now_at.format("%H:%M").to_string()) " UTC"
            @if snapshot.is_as_of { ", past snapshot" }
            " · enterprise " (Escaped::of(&snapshot.enterprise_id))
        }
    }
}

fn filters(report: &Report) -> Markup {
    html! {
        @if !report.filters.is_empty() {
            p.filters {
                "Only "
                @for (index, (name, value)) in report.filters.iter().enumerate() {
                    @if index > 0 { ", " }
                    (Escaped::of(name)) " = " strong { (Escaped::of(value)) }
                }
            }
        }
    }
}

/// The facts to know before the first figure: the notices of the first report, and every warning. Each sentence occurs once, and the most
/// important is first. The notes of another report are in that report. The level is given as a word, not by the colour alone.
fn notices(reports: &[Report], people: People) -> Markup {
    let mut notices: Vec<&Notice> = Vec::new();
    for (index, report) in reports.iter().enumerate() {
        for notice in report.notices.iter().filter(|notice| index == 0 || notice.level == Level::Warning) {
            if !notices.contains(&notice) {
                notices.push(notice);
            }
        }
    }
    notices.sort_by_key(|notice| std::cmp::Reverse(notice.level));
    html! {
        @for notice in notices { (drawn(notice)) }
        @if people == People::Named {
            p.notice role="status" { strong { "Note: " } "This page names users. Forward it only to recipients who may see these names." }
        }
    }
}

/// The notes of a report that are not at the top already.
fn own_notes(report: &Report, first: &Report) -> Markup {
    let is_own = |notice: &&Notice| notice.level == Level::Note && !first.notices.contains(notice);
    html! {
        @for notice in report.notices.iter().filter(is_own) { (drawn(notice)) }
    }
}

fn drawn(notice: &Notice) -> Markup {
    html! {
        @match notice.level {
            Level::Warning => p.notice.warning role="alert" { strong { "Warning: " } (Escaped::of(&notice.text)) },
            Level::Note => p.notice role="status" { strong { "Note: " } (Escaped::of(&notice.text)) },
        }
    }
}

/// The figures for a quick overview: those of the first report. The first sentence of each is enough here. The list below has the full
/// text.
fn headlines(report: &Report) -> Markup {
    let figures: Vec<&Figure> = report
        .sections
        .iter()
        .filter_map(|section| match &section.body {
            Body::Figures(figures) => Some(figures),
            Body::Table(_) => None,
        })
        .flatten()
        .filter(|figure| figure.is_headline)
        .collect();
    html! {
        @if !figures.is_empty() {
            section.headlines aria-label="Headline figures" {
                dl {
                    @for figure in figures {
                        div.card {
                            dt { (Escaped::of(&figure.label)) }
                            dd.figure { (section::alone(&figure.value)) }
                            dd.meaning { (Escaped::of(first_sentence(&figure.meaning))) }
                        }
                    }
                }
            }
        }
    }
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

fn contents(reports: &[Report]) -> Markup {
    html! {
        nav.contents aria-label="Contents" {
            ul {
                @for report in reports {
                    li { a href={ "#" (report.name) } { (Escaped::of(&report.title)) } }
                }
            }
        }
    }
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
