//! The contract: how many seats the term has required, their cost, and how many to buy at the renewal.

use boxseat_schemas::Money;
use chrono::{Days, NaiveDate};

use super::forecast::{LEAST_NIGHTS, TREND_DAYS, growth, months_left, reused, runs_out, slope, true_up};
use super::over_time::KnownNight;
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
    nights: &'a [KnownNight],
    /// The start of the term: the earliest of the plans in force.
    term_start: Option<NaiveDate>,
    /// The end of the term: the first renewal that is not past.
    renewal: Option<NaiveDate>,
    tonight: NaiveDate,
    slope: Option<f64>,
    trend_nights: usize,
}

pub(super) fn section(
    source: &Source,
    terms: &Terms,
    seats: &Seats,
    nights: &[KnownNight],
) -> Result<Section> {
    let tonight = source.date();
    let recent: Vec<(NaiveDate, i64)> = nights
        .iter()
        .filter(|night| night.date + Days::new(TREND_DAYS) > tonight)
        .map(|night| (night.date, night.assigned))
        .collect();
    let contract = Contract {
        terms,
        seats,
        nights,
        term_start: terms.plans.iter().filter_map(|plan| plan.term_start).min(),
        renewal: terms.plans.iter().filter_map(|plan| plan.renewal).filter(|date| *date >= tonight).min(),
        tonight,
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
    let note = "Seats are bought for the term: freeing one saves nothing before the renewal, unless more are assigned than were bought.";
    Ok(section_of("contract", "Contract", Some(note.to_owned()), Body::Figures(figures)))
}

impl Contract<'_> {
    fn dates(&self) -> Vec<Figure> {
        let notice_by = self
            .terms
            .plans
            .iter()
            .filter_map(|plan| plan.notice_by)
            .filter(|date| *date >= self.tonight)
            .min();
        let day = |date: Option<NaiveDate>| date.map_or(Value::Unknown, Value::Date);
        let days = notice_by.map(|date| (date - self.tonight).num_days());
        vec![
            headline(
                "notice_by_date",
                "Notice by",
                day(notice_by),
                "Last day to give notice: the next one of the plans in force that is not over.",
            ),
            figure(
                "notice_days_left",
                "Days to notice",
                days.map_or(Value::Unknown, Value::Days),
                "UTC days from the night to that day.",
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
    fn term_nights(&self) -> impl Iterator<Item = &KnownNight> {
        self.nights.iter().filter(|night| self.term_start.is_none_or(|start| night.date >= start))
    }

    fn peak(&self) -> Vec<Figure> {
        let first = self.term_nights().map(|night| night.date).min();
        let tonight = (self.seats.assigned, self.tonight);
        let earlier = self.term_nights().map(|night| (night.assigned, night.date));
        // The first of equal snapshots.
        let (peak, peak_date) = earlier
            .chain([tonight])
            .max_by_key(|(seats, date)| (*seats, std::cmp::Reverse(*date)))
            .unwrap_or(tonight);
        let known = match (first, self.term_start) {
            (Some(first), Some(start)) if first > start => {
                format!("The term began on {start}, and nights are known from {first} on.")
            }
            (Some(first), Some(_)) => format!("Nights of the whole term are known, from {first} on."),
            (Some(first), None) => format!(
                "When the term began is not configured (term_start); nights are known from {first} on."
            ),
            (None, _) => "No earlier night is known.".to_owned(),
        };
        let months = self.renewal.map(|renewal| months_left(self.tonight, renewal));
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
                format!("Most seats assigned in any night of the term, tonight included. {known}"),
            ),
            figure("peak_date", "On", Value::Date(peak_date), "The first night with so many."),
            figure(
                "true_up_seats",
                "Over what was bought",
                count(over),
                "Most assigned in the term less what is bought now, and nothing below 0.",
            ),
            figure(
                "months_left",
                "Months left",
                count(months),
                "From the night to the renewal; a month that has begun counts.",
            ),
            headline(
                "true_up_exposure",
                "True-up exposure",
                exposure().unwrap_or(Value::Unknown),
                "Seats over what was bought x price of a seat (of the dearest plan) x months left.",
            ),
        ]
    }

    fn trend(&self) -> Vec<Figure> {
        let nights = self.trend_nights;
        let free = self.terms.purchased().map(|purchased| purchased - self.seats.assigned);
        #[expect(clippy::cast_possible_truncation, reason = "seats a month are far below 2^52")]
        let monthly = self.slope.map(|slope| (slope * 30.0).round() as i64);
        let trend = match self.slope {
            Some(_) => format!(
                "Straight line through the assigned seats of the {nights} nights known of the last {TREND_DAYS} days, per 30 days, rounded."
            ),
            None => format!(
                "Not claimed: a trend takes {LEAST_NIGHTS} nights of the last {TREND_DAYS} days; known: {nights}."
            ),
        };
        let out = self.slope.zip(free).and_then(|(slope, free)| runs_out(self.tonight, free, slope));
        let when = match (self.slope, free) {
            (None, _) => format!("Not claimed: it takes {LEAST_NIGHTS} nights; known: {nights}."),
            (_, None) => "Not claimed: how many seats were bought is not configured.".to_owned(),
            (_, Some(free)) if free <= 0 => "No seat is free.".to_owned(),
            (Some(slope), _) if slope <= 0.0 => {
                format!("Never at this pace: over {nights} nights the assigned seats did not grow.")
            }
            (_, Some(free)) if out.is_some() => {
                format!("Night + {free} free seats / growth a day, rounded up; linear, over {nights} nights.")
            }
            _ => format!("Not within ten years at this pace; linear, over {nights} nights."),
        };
        vec![
            figure(
                "trend_nights",
                "Nights of the trend",
                Value::Count(i64::try_from(nights).unwrap_or(i64::MAX)),
                format!("Nights known of the last {TREND_DAYS} days: what trend and forecast stand on."),
            ),
            figure("trend_monthly", "Growth in 30 days", count(monthly), trend),
            headline("runs_out_date", "Seats run out on", out.map_or(Value::Unknown, Value::Date), when),
        ]
    }

    fn to_buy(&self) -> Vec<Figure> {
        let Seats { used, too_new, paused, unknown, .. } = *self.seats;
        let growth =
            self.slope.zip(self.renewal).map(|(slope, renewal)| growth(self.tonight, renewal, slope));
        let needed = used + too_new + paused + unknown + growth.unwrap_or(0);
        let more = match growth {
            Some(growth) => {
                format!("+ growth until the renewal {growth} (trend x days left, rounded up, never below 0)")
            }
            None if self.slope.is_none() => {
                format!("+ growth, of which nothing is claimed yet (nights known: {})", self.trend_nights)
            }
            None => "+ growth, of which nothing is claimed without a renewal ahead".to_owned(),
        };
        let meaning = format!(
            "used {used} + too new {too_new} + paused {paused} + unknown {unknown} {more}. It takes for granted that idle and suspended seats are freed before."
        );
        let less = self.terms.purchased().map(|purchased| purchased - needed);
        vec![
            headline("seats_to_buy", "To buy at the renewal", Value::Count(needed), meaning),
            figure(
                "seats_to_drop",
                "Fewer than now",
                count(less),
                "Bought now less to buy at the renewal; below 0 when more are needed.",
            ),
        ]
    }

    fn reused(&self) -> Vec<Figure> {
        let (freed, reused) = reused(self.term_nights().map(|night| (night.left, night.joined)));
        vec![
            figure(
                "seats_freed",
                "Freed by leavers",
                Value::Count(freed),
                "Seats of people who left in the nights known of the term.",
            ),
            figure(
                "seats_reused",
                "Reused by joiners",
                Value::Count(reused),
                "Of these, taken by people who joined or returned in the same night or later.",
            ),
        ]
    }

    /// Seats bought for other enterprises. Also the number in the console, next to boxseat's count of that day.
    fn console(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        if let Some(seats) = self.terms.external_seats() {
            figures.push(figure(
                "external_seats",
                "External seats",
                Value::Count(seats),
                "Seats bought for collaborators of other enterprises; they are not in what was bought above.",
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
            self.nights.iter().filter(|night| night.date <= seen).max_by_key(|night| night.date)
        });
        let (assigned, of) = match then {
            Some(night) => (night.assigned, format!("assigned in the night of {}", night.date)),
            None => {
                (self.seats.assigned, format!("assigned in the night of {}, the nearest known", self.tonight))
            }
        };
        let on = seen.map_or_else(String::new, |date| format!(" on {date}"));
        figures.push(figure(
            "console_seats_used",
            "The console said",
            Value::Count(said),
            format!("Seats in use as somebody read them off Box's admin console{on}."),
        ));
        figures.push(figure(
            "console_difference",
            "Console less ours",
            Value::Count(said - assigned),
            format!(
                "What the console said less the {assigned} seats {of}; external collaborators may explain it."
            ),
        ));
        figures
    }
}
