//! `licences`: the bought, assigned and used seats, their cost, and the actions before the renewal.

mod contract;
mod forecast;
mod over_time;
mod seats;
mod split;
mod terms;

use super::ask::Scope;
use super::model::Report;
use super::source::Source;
use super::{note, warning};
use crate::Result;
use terms::Terms;

pub(super) fn report(source: &Source, scope: &Scope) -> Result<Report> {
    let terms = Terms::of(source)?;
    let seats = seats::Seats::of(source)?;
    let mut notices = Vec::new();
    let mut sections = vec![seats.section(&terms, scope)];
    if scope.is_everybody {
        let snapshots = over_time::known_snapshots(source)?;
        sections.push(contract::section(source, &terms, &seats, &snapshots)?);
    } else {
        notices.push(note(
            "Seats bought, and the figures that depend on them, are for the whole enterprise. They are omitted with a filter.",
        ));
    }
    if terms.plans.is_empty() {
        notices.push(note(
            "No licence terms are configured: [[licence]] in boxseat.toml has seats, prices and dates.",
        ));
    }
    let at_least = terms.plans_with_external_seats();
    if !at_least.is_empty() {
        notices.push(warning(format!(
            "The number of seats is a minimum: on Box's plan {} external collaborators also take seats, and Box does not list them.",
            at_least.join(" and ")
        )));
    }
    sections.push(seats::states(source)?);
    if scope.is_everybody && !terms.plans.is_empty() {
        sections.push(terms.section(source)?);
    }
    if let Some(by) = &scope.by {
        sections.push(split::by(source, by)?);
    }
    if scope.is_everybody {
        sections.push(over_time::snapshots(source, scope)?);
    }
    sections.push(seats::bands(source)?);
    sections.push(seats::last_logins(source)?);
    if !scope.misses_leavers() {
        sections.push(over_time::weeks(source, scope)?);
    }
    sections.push(split::idle_groups(source)?);
    Ok(Report {
        name: "licences",
        title: "Licences".to_owned(),
        question: "How are our seats used, what do they cost, and how many do we need?".to_owned(),
        snapshot: source.snapshot().clone(),
        notices,
        filters: Vec::new(),
        sections,
    })
}
