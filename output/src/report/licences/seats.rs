//! The seats of the snapshot: their number, their state, and their last use.

use boxseat_schemas::Money;

use super::terms::{Terms, WASTE};
use crate::Result;
use crate::report::ask::Scope;
use crate::report::model::{Body, Chart, Figure, Section, Table, Value, ValueKind};
use crate::report::source::Source;
use crate::report::{column, count, figure, headline, section};

/// The counts of the selected seats.
pub(super) struct Seats {
    pub(super) assigned: i64,
    pub(super) used: i64,
    pub(super) too_new: i64,
    pub(super) paused: i64,
    pub(super) unknown: i64,
    used_30d: Option<i64>,
    used_60d: Option<i64>,
    used_90d: Option<i64>,
    monthly_cost: Value,
    monthly_waste: Value,
    monthly_not_judged: Value,
    reclaimable: Option<i64>,
    is_policy_refused: bool,
    reclaimable_cost: Value,
}

impl Seats {
    pub(super) fn of(source: &Source) -> Result<Self> {
        let columns = [
            column("assigned", "", ValueKind::Count),
            column("used", "", ValueKind::Count),
            column("too_new", "", ValueKind::Count),
            column("paused", "", ValueKind::Count),
            column("unknown", "", ValueKind::Count),
            column("used_30d", "", ValueKind::Count),
            column("used_60d", "", ValueKind::Count),
            column("used_90d", "", ValueKind::Count),
            column("monthly_cost", "", ValueKind::Money),
            column("monthly_waste", "", ValueKind::Money),
            column("monthly_not_judged", "", ValueKind::Money),
        ];
        let sql = format!(
            "WITH ground AS (
                SELECT
                    epoch_us(now_at) AS now_us,
                    -- A count over a span that is not covered would be too small.
                    CASE WHEN epoch_us(to_at) >= epoch_us(now_at) - 172800000000 THEN
                        (epoch_us(now_at) - epoch_us(from_at)) // 86400000000
                    END AS covered_days
                FROM report_settings
                CROSS JOIN (SELECT max(login_coverage_from) AS from_at, max(login_coverage_to) AS to_at FROM accounts) AS spans
            ),
            counted AS (
                SELECT
                    count(*) AS assigned,
                    count(*) FILTER (WHERE seat_state = 'used') AS used,
                    count(*) FILTER (WHERE seat_state = 'too_new') AS too_new,
                    count(*) FILTER (WHERE seat_state = 'paused') AS paused,
                    count(*) FILTER (WHERE seat_state = 'unknown') AS \"unknown\",
                    count(*) FILTER (WHERE epoch_us(last_activity_at) > now_us - 30 * 86400000000) AS days_30,
                    count(*) FILTER (WHERE epoch_us(last_activity_at) > now_us - 60 * 86400000000) AS days_60,
                    count(*) FILTER (WHERE epoch_us(last_activity_at) > now_us - 90 * 86400000000) AS days_90,
                    CAST(sum(monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost,
                    CAST(sum(CASE WHEN seat_state IN {WASTE} AND monthly_cost IS NOT NULL THEN monthly_cost WHEN monthly_cost IS NOT NULL THEN 0 END) AS DECIMAL(18, 4)) AS monthly_waste,
                    CAST(sum(CASE WHEN seat_state IN ('too_new', 'paused', 'unknown') THEN monthly_cost WHEN monthly_cost IS NOT NULL THEN 0 END) AS DECIMAL(18, 4)) AS monthly_not_judged,
                    max(currency) AS currency
                FROM report_seats CROSS JOIN ground
            )
            SELECT
                counted.*,
                CASE WHEN covered_days >= 30 THEN days_30 END AS used_30d,
                CASE WHEN covered_days >= 60 THEN days_60 END AS used_60d,
                CASE WHEN covered_days >= 90 THEN days_90 END AS used_90d
            FROM counted CROSS JOIN ground"
        );
        let row = source.row(&columns, &sql)?;
        let whole = |place: usize| row[place].whole();
        let (reclaimable, reclaimable_cost) = reclaimable(source)?;
        Ok(Self {
            assigned: whole(0).unwrap_or(0),
            used: whole(1).unwrap_or(0),
            too_new: whole(2).unwrap_or(0),
            paused: whole(3).unwrap_or(0),
            unknown: whole(4).unwrap_or(0),
            used_30d: whole(5),
            used_60d: whole(6),
            used_90d: whole(7),
            monthly_cost: row[8].clone(),
            monthly_waste: row[9].clone(),
            monthly_not_judged: row[10].clone(),
            reclaimable,
            is_policy_refused: crate::report::reclaimable::policy_refusal(source)?.is_some(),
            reclaimable_cost,
        })
    }

    /// The first section.
    pub(super) fn section(&self, terms: &Terms, scope: &Scope) -> Section {
        let mut figures = Vec::new();
        let purchased = terms.purchased();
        if scope.is_everybody {
            figures.push(headline(
                "seats_purchased",
                "Bought",
                count(purchased),
                "Seats bought by the terms in force, over all plans.",
            ));
        }
        let assigned = match terms.plans_with_external_seats().is_empty() {
            true => headline(
                "seats_assigned",
                "Assigned",
                Value::Count(self.assigned),
                "Managed users that Box lists, including suspended users.",
            ),
            false => headline(
                "seats_assigned",
                "Assigned, at least",
                Value::Count(self.assigned),
                "Managed users that Box lists, including suspended users. External collaborators also take seats and cannot be listed.",
            ),
        };
        figures.push(assigned);
        if scope.is_everybody {
            let free = purchased.map(|purchased| purchased - self.assigned);
            figures.push(headline(
                "seats_free",
                "Free",
                count(free),
                "Bought minus assigned; negative if more seats are assigned than bought.",
            ));
        }
        figures.push(headline(
            "seats_used",
            "Used",
            Value::Count(self.used),
            "Seats in the state used: see below.",
        ));
        for (id, label, value, days) in [
            ("used_30d", "Used in 30 days", self.used_30d, 30),
            ("used_60d", "Used in 60 days", self.used_60d, 60),
            ("used_90d", "Used in 90 days", self.used_90d, 90),
        ] {
            figures.push(figure(id, label, count(value), format!("Assigned seats with evidence of use in the last {days} x 24 hours; unknown if sign-ins are known for a shorter time.")));
        }
        figures.push(headline(
            "monthly_waste",
            "Monthly waste",
            self.monthly_waste.clone(),
            "Cost per month of seats that are suspended, idle, never_since_created or no_login_seen.",
        ));
        figures.push(figure(
            "monthly_not_judged",
            "Monthly cost, other",
            self.monthly_not_judged.clone(),
            "Cost per month of seats that are too_new, paused or unknown.",
        ));
        figures.push(figure(
            "monthly_cost",
            "Monthly cost, all",
            self.monthly_cost.clone(),
            "Cost per month of all assigned seats: used, waste and other.",
        ));
        figures.push(self.cost_per_used_seat(terms, scope));
        figures.extend(self.reclaimable_figures());
        section("seats", "Seats", None, Body::Figures(figures))
    }

    /// The bill, or without a bill the cost of assigned seats, divided by the used seats.
    fn cost_per_used_seat(&self, terms: &Terms, scope: &Scope) -> Figure {
        let bill = terms.bill().filter(|_| scope.is_everybody);
        let (cost, meaning) = match bill {
            Some(bill) => (
                Some(bill),
                "Cost per month of the seats bought (seats x price, for each plan) / seats used.",
            ),
            None => (self.monthly_cost.clone().money(), "Cost per month of the assigned seats / seats used."),
        };
        let value = match cost {
            Some((cost, currency)) if self.used > 0 => {
                let each = (cost.ten_thousandths() + self.used / 2) / self.used;
                Value::Money(Money::from_ten_thousandths(each), currency)
            }
            _ => Value::Unknown,
        };
        headline("cost_per_used_seat", "Cost of a used seat", value, meaning)
    }

    fn reclaimable_figures(&self) -> Vec<Figure> {
        let meaning = match self.reclaimable {
            None if self.is_policy_refused => {
                "The policy could not be evaluated: `boxseat report reclaimable` shows the reason."
            }
            None => "No policy configured.",
            Some(_) => "Seats that the reclamation policy would reclaim, by this snapshot.",
        };
        let mut figures =
            vec![headline("seats_reclaimable", "Reclaimable", count(self.reclaimable), meaning)];
        if self.reclaimable.is_some() {
            figures.push(figure(
                "monthly_reclaimable",
                "Monthly cost, reclaimable",
                self.reclaimable_cost.clone(),
                "Their cost per month. It is saved only if fewer seats are bought at the renewal.",
            ));
        }
        figures
    }
}

/// The number of seats that the policy would reclaim, and their cost; `None` without a policy.
fn reclaimable(source: &Source) -> Result<(Option<i64>, Value)> {
    if !crate::report::reclaimable::has_policy(source)? {
        return Ok((None, Value::Unknown));
    }
    let columns = [column("seats", "", ValueKind::Count), column("monthly_cost", "", ValueKind::Money)];
    let sql = "SELECT count(*) AS seats, CAST(sum(reclaimable_seats.monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost, max(reclaimable_seats.currency) AS currency
        FROM reclaimable_seats SEMI JOIN report_seats ON report_seats.user_id = reclaimable_seats.user_id";
    let mut row = source.row(&columns, sql)?;
    let cost = row.pop().unwrap_or(Value::Unknown);
    Ok((row.pop().and_then(|seats| seats.whole()), cost))
}

/// One line per state. The sum is the number of assigned seats.
pub(super) fn states(source: &Source) -> Result<Section> {
    let columns = vec![
        column("seat_state", "State", ValueKind::Text),
        column("seats_count", "Seats", ValueKind::Count),
        column("seats_percent", "Share", ValueKind::Percent),
        column("monthly_cost", "Monthly cost", ValueKind::Money),
        column("is_waste", "Is waste", ValueKind::Flag),
        column("meaning", "Meaning", ValueKind::Text),
    ];
    let rows = source.rows(
        &columns,
        "SELECT
            states.seat_state,
            states.meaning,
            states.is_waste,
            coalesce(counts.seats_count, 0) AS seats_count,
            CASE WHEN assigned.seats_count > 0 THEN
                CAST(round(100.0 * coalesce(counts.seats_count, 0) / assigned.seats_count, 2) AS DOUBLE)
            END AS seats_percent,
            CASE WHEN counts.seats_count IS NULL THEN 0 ELSE counts.monthly_cost END AS monthly_cost,
            coalesce(counts.currency, assigned.currency) AS currency
        FROM licence_summary AS states
        CROSS JOIN (SELECT count(*) AS seats_count, max(currency) AS currency FROM report_seats) AS assigned
        LEFT JOIN (
            SELECT seat_state, count(*) AS seats_count, CAST(sum(monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost, max(currency) AS currency
            FROM report_seats GROUP BY seat_state
        ) AS counts ON counts.seat_state = states.seat_state
        ORDER BY states.seat_state_order",
    )?;
    let total: i64 = rows.iter().filter_map(|row| row[1].whole()).sum();
    let note = format!("Every assigned seat has one state, the first that applies; {total} in total.");
    let chart = Some(Chart::Ranking { label: "seat_state", series: "seats_count" });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("seat_states", "Seats by state", Some(note), Body::Table(table)))
}

/// Seats by the time since their last use.
pub(super) fn bands(source: &Source) -> Result<Section> {
    let columns = vec![
        column("inactivity_band", "Days since last use", ValueKind::Text),
        column("seats_count", "Seats", ValueKind::Count),
        column("seats_percent", "Share", ValueKind::Percent),
    ];
    let rows = source.rows(
        &columns,
        "SELECT
            bands.band AS inactivity_band,
            count(report_seats.user_id) AS seats_count,
            CAST(round(100.0 * count(report_seats.user_id) / nullif((SELECT count(*) FROM report_seats), 0), 2) AS DOUBLE) AS seats_percent
        FROM (
            VALUES ('0-30', 1), ('31-60', 2), ('61-90', 3), ('91-180', 4), ('over_180', 5), ('too_new', 6),
                ('never_since_created', 7), ('no_login_seen', 8), ('unknown', 9)
        ) AS bands (band, place)
        LEFT JOIN report_seats ON report_seats.inactivity_band = bands.band
        GROUP BY bands.band, bands.place
        ORDER BY bands.place",
    )?;
    let note = "By the newest evidence of use, including suspended seats and users on leave. unknown: the record does not determine the band.";
    let chart = Some(Chart::Bars { label: "inactivity_band", series: vec!["seats_count"] });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("inactivity_bands", "Seats by time since last use", Some(note.to_owned()), Body::Table(table)))
}

/// Seats by the week of their last sign-in.
pub(super) fn last_logins(source: &Source) -> Result<Section> {
    let columns = vec![
        column("days_since_login", "Days since last sign-in", ValueKind::Text),
        column("from_days", "From", ValueKind::Days),
        column("seats_count", "Seats", ValueKind::Count),
    ];
    let rows = source.rows(
        &columns,
        "SELECT
            CASE
                WHEN weeks.week = 26 THEN '182 and more'
                WHEN weeks.week = 27 THEN 'none on record'
                ELSE concat(weeks.week * 7, '-', weeks.week * 7 + 6)
            END AS days_since_login,
            CASE WHEN weeks.week < 27 THEN weeks.week * 7 END AS from_days,
            count(seats.user_id) AS seats_count
        FROM generate_series(0, 27) AS weeks (week)
        LEFT JOIN (
            SELECT user_id, -- least() ignores NULL.
                CASE WHEN days_since_login IS NULL THEN 27 ELSE least(days_since_login // 7, 26) END AS week FROM report_seats
        ) AS seats ON seats.week = weeks.week
        GROUP BY weeks.week
        ORDER BY weeks.week",
    )?;
    let note = "Whole days of 24 hours since the newest LOGIN on record, by week. A user without a LOGIN on record may have signed in before.";
    let chart = Some(Chart::Bars { label: "days_since_login", series: vec!["seats_count"] });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("last_logins", "Seats by last sign-in", Some(note.to_owned()), Body::Table(table)))
}
