//! The contract: how many seats the term has required, their cost, and how many to buy at the renewal.

use boxseat_schemas::Money;
use chrono::{Days, NaiveDate};

use super::forecast::{LEAST_SNAPSHOTS, TREND_DAYS, growth, months_left, reused, runs_out, slope, true_up};
use super::over_time::KnownSnapshot;
use super::seats::Seats;
use super::terms::Terms;
use crate::Result;
use crate::report::model::{Body, Figure, Section, Value};
use crate::report::source::Source;
use crate::report::{count, figure, headline, section as section_of};

/// The input of all figures of this section.
struct Contract<'a> {
    terms: &'a Terms,
    seats: &'a Seats,
    snapshots: &'a [KnownSnapshot],
    /// The start of the term: the earliest of the plans in force.
    term_start: Option<NaiveDate>,
    /// The end of the term: the first renewal that is not past.
    renewal: Option<NaiveDate>,
    snapshot_date: NaiveDate,
    slope: Option<f64>,
    trend_nights: usize,
}

pub(super) fn section(
    source: &Source,
    terms: &Terms,
    seats: &Seats,
    snapshots: &[KnownSnapshot],
) -> Result<Section> {
    let snapshot_date = source.date();
    let recent: Vec<(NaiveDate, i64)> = snapshots
        .iter()
        .filter(|snapshot| snapshot.date + Days::new(TREND_DAYS) > snapshot_date)
        .map(|snapshot| (snapshot.date, snapshot.assigned))
        .collect();
    let contract = Contract {
        terms,
        seats,
        snapshots,
        term_start: terms.plans.iter().filter_map(|plan| plan.term_start).min(),
        renewal: terms
            .plans
            .iter()
            .filter_map(|plan| plan.renewal)
            .filter(|date| *date >= snapshot_date)
            .min(),
        snapshot_date,
        slope: slope(&recent),
        trend_nights: recent.len(),
    };
    let figures = [
        contract.dates(),
        contract.peak(),
        contract.trend(),
        contract.to_buy(),
        contract.reused(),
        contract.console(),
    ]
    .concat();
    let note = "Seats are bought for the term. Freeing a seat saves nothing before the renewal, unless more seats are assigned than bought.";
    Ok(section_of("contract", "Contract", Some(note.to_owned()), Body::Figures(figures)))
}

impl Contract<'_> {
    fn dates(&self) -> Vec<Figure> {
        let notice_by = self
            .terms
            .plans
            .iter()
            .filter_map(|plan| plan.notice_by)
            .filter(|date| *date >= self.snapshot_date)
            .min();
        let day = |date: Option<NaiveDate>| date.map_or(Value::Unknown, Value::Date);
        let days = notice_by.map(|date| (date - self.snapshot_date).num_days());
        vec![
            headline(
                "notice_by_date",
                "Notice by",
                day(notice_by),
                "Last day to give notice: the next notice date of the plans in force that is not past.",
            ),
            figure(
                "notice_days_left",
                "Days to notice",
                days.map_or(Value::Unknown, Value::Days),
                "UTC days from the snapshot to that day.",
            ),
            headline(
                "renewal_date",
                "Renews on",
                day(self.renewal),
                "The next renewal of the plans in force.",
            ),
        ]
    }

    /// The snapshots of the term, including the report's snapshot.
    fn term_snapshots(&self) -> impl Iterator<Item = &KnownSnapshot> {
        self.snapshots.iter().filter(|snapshot| self.term_start.is_none_or(|start| snapshot.date >= start))
    }

    fn peak(&self) -> Vec<Figure> {
        let first = self.term_snapshots().map(|snapshot| snapshot.date).min();
        let latest = (self.seats.assigned, self.snapshot_date);
        let earlier = self.term_snapshots().map(|snapshot| (snapshot.assigned, snapshot.date));
        // The first of the snapshots with the highest number.
        let (peak, peak_date) = earlier
            .chain([latest])
            .max_by_key(|(seats, date)| (*seats, std::cmp::Reverse(*date)))
            .unwrap_or(latest);
        let known = match (first, self.term_start) {
            (Some(first), Some(start)) if first > start => {
                format!("The term began on {start}; there are snapshots from {first} on.")
            }
            (Some(first), Some(_)) => format!("There are snapshots of the whole term, from {first} on."),
            (Some(first), None) => format!(
                "The start of the term is not configured (term_start); there are snapshots from {first} on."
            ),
            (None, _) => "There is no earlier snapshot.".to_owned(),
        };
        let months = self.renewal.map(|renewal| months_left(self.snapshot_date, renewal));
        let over = self.terms.purchased().map(|purchased| (peak - purchased).max(0));
        let exposure = || {
            let (price, currency) = self.terms.highest_price()?;
            let cost = true_up(peak, self.terms.purchased()?, price.ten_thousandths(), months?)?;
            Some(Value::Money(Money::from_ten_thousandths(cost), currency))
        };
        vec![
            figure(
                "peak_assigned",
                "Most assigned in the term",
                Value::Count(peak),
                format!("Most seats assigned in any snapshot of the term, including this one. {known}"),
            ),
            figure("peak_date", "On", Value::Date(peak_date), "The first snapshot with this number."),
            figure(
                "true_up_seats",
                "Assigned over bought",
                count(over),
                "Most assigned in the term minus seats bought now; 0 if negative.",
            ),
            figure(
                "months_left",
                "Months left",
                count(months),
                "From the snapshot to the renewal; a started month counts as one.",
            ),
            headline(
                "true_up_exposure",
                "True-up exposure",
                exposure().unwrap_or(Value::Unknown),
                "Assigned over bought x price of a seat (of the most expensive plan) x months left.",
            ),
        ]
    }

    fn trend(&self) -> Vec<Figure> {
        let snapshots = self.trend_nights;
        let free = self.terms.purchased().map(|purchased| purchased - self.seats.assigned);
        #[expect(clippy::cast_possible_truncation, reason = "seats a month are far below 2^52")]
        let monthly = self.slope.map(|slope| (slope * 30.0).round() as i64);
        let trend = match self.slope {
            Some(_) => format!(
                "Linear trend of the assigned seats in the {snapshots} snapshots of the last {TREND_DAYS} days, per 30 days, rounded."
            ),
            None => format!(
                "Unknown: a trend requires {LEAST_SNAPSHOTS} snapshots in the last {TREND_DAYS} days; available: {snapshots}."
            ),
        };
        let out = self.slope.zip(free).and_then(|(slope, free)| runs_out(self.snapshot_date, free, slope));
        let when = match (self.slope, free) {
            (None, _) => {
                format!("Unknown: a forecast requires {LEAST_SNAPSHOTS} snapshots; available: {snapshots}.")
            }
            (_, None) => "Unknown: the number of seats bought is not configured.".to_owned(),
            (_, Some(free)) if free <= 0 => "No seat is free.".to_owned(),
            (Some(slope), _) if slope <= 0.0 => {
                format!("Never at this rate: the assigned seats did not grow over {snapshots} snapshots.")
            }
            (_, Some(free)) if out.is_some() => {
                format!(
                    "Snapshot date + {free} free seats / growth per day, rounded up; linear, over {snapshots} snapshots."
                )
            }
            _ => format!("Not within ten years at this rate; linear, over {snapshots} snapshots."),
        };
        vec![
            figure(
                "trend_nights",
                "Snapshots of the trend",
                Value::Count(i64::try_from(snapshots).unwrap_or(i64::MAX)),
                format!("Snapshots of the last {TREND_DAYS} days. Trend and forecast use them."),
            ),
            figure("trend_monthly", "Growth in 30 days", count(monthly), trend),
            headline("runs_out_date", "Seats run out on", out.map_or(Value::Unknown, Value::Date), when),
        ]
    }

    fn to_buy(&self) -> Vec<Figure> {
        let Seats { used, too_new, paused, unknown, .. } = *self.seats;
        let growth =
            self.slope.zip(self.renewal).map(|(slope, renewal)| growth(self.snapshot_date, renewal, slope));
        let needed = used + too_new + paused + unknown + growth.unwrap_or(0);
        let more = match growth {
            Some(growth) => {
                format!("+ growth until the renewal {growth} (trend x days left, rounded up, 0 if negative)")
            }
            None if self.slope.is_none() => {
                format!("+ growth, which is not known yet (snapshots available: {})", self.trend_nights)
            }
            None => "+ growth, which is unknown without a future renewal".to_owned(),
        };
        let meaning = format!(
            "used {used} + too new {too_new} + paused {paused} + unknown {unknown} {more}. Idle and suspended seats are assumed to be freed before."
        );
        let less = self.terms.purchased().map(|purchased| purchased - needed);
        vec![
            headline("seats_to_buy", "To buy at the renewal", Value::Count(needed), meaning),
            figure(
                "seats_to_drop",
                "Fewer than now",
                count(less),
                "Bought now minus to buy at the renewal; negative if more are needed.",
            ),
        ]
    }

    fn reused(&self) -> Vec<Figure> {
        let (freed, reused) = reused(self.term_snapshots().map(|snapshot| (snapshot.left, snapshot.joined)));
        vec![
            figure(
                "seats_freed",
                "Freed by leavers",
                Value::Count(freed),
                "Seats of users who left in the available snapshots of the term.",
            ),
            figure(
                "seats_reused",
                "Reused by joiners",
                Value::Count(reused),
                "Of these, taken by users who joined or returned in the same snapshot or later.",
            ),
        ]
    }

    /// Seats bought for users of other enterprises, the number in Box's admin console, and its difference from boxseat's count.
    fn console(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        if let Some(seats) = self.terms.external_seats() {
            figures.push(figure(
                "external_seats",
                "External seats",
                Value::Count(seats),
                "Seats bought for collaborators of other enterprises; not included in the seats bought above.",
            ));
        }
        let said: Vec<i64> = self.terms.plans.iter().filter_map(|plan| plan.console_seats_used).collect();
        if said.is_empty() {
            return figures;
        }
        let said: i64 = said.into_iter().sum();
        let seen =
            self.terms.plans.iter().filter_map(|plan| plan.console_seen_at).max().map(|at| at.date_naive());
        let then = seen.and_then(|seen| {
            self.snapshots
                .iter()
                .filter(|snapshot| snapshot.date <= seen)
                .max_by_key(|snapshot| snapshot.date)
        });
        let (assigned, of) = match then {
            Some(snapshot) => (snapshot.assigned, format!("assigned in the snapshot of {}", snapshot.date)),
            None => (
                self.seats.assigned,
                format!("assigned in the snapshot of {}, the nearest one", self.snapshot_date),
            ),
        };
        let on = seen.map_or_else(String::new, |date| format!(" on {date}"));
        figures.push(figure(
            "console_seats_used",
            "Console seats",
            Value::Count(said),
            format!("Seats in use according to Box's admin console{on}."),
        ));
        figures.push(figure(
            "console_difference",
            "Console difference",
            Value::Count(said - assigned),
            format!("Console seats minus the {assigned} seats {of}. External collaborators may explain it."),
        ));
        figures
    }
}
