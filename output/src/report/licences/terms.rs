//! The purchased licences: the terms that are valid on the date of the snapshot.

use boxseat_schemas::Money;
use chrono::{DateTime, NaiveDate, Utc};

use crate::Result;
use crate::report::model::{Body, Column, Section, Table, Value, ValueKind};
use crate::report::source::Source;
use crate::report::{column, section};

/// All plans in force.
pub(super) struct Terms {
    pub(super) plans: Vec<Plan>,
}

/// One plan.
pub(super) struct Plan {
    pub(super) seats_purchased: Option<i64>,
    pub(super) price: Option<(Money, String)>,
    pub(super) term_start: Option<NaiveDate>,
    pub(super) renewal: Option<NaiveDate>,
    pub(super) notice_by: Option<NaiveDate>,
    pub(super) box_plan: Option<String>,
    pub(super) external_seats: Option<i64>,
    pub(super) console_seats_used: Option<i64>,
    pub(super) console_seen_at: Option<DateTime<Utc>>,
}

impl Terms {
    pub(super) fn of(source: &Source) -> Result<Self> {
        let columns = [
            column("seats_purchased", "", ValueKind::Count),
            column("cost_per_seat_monthly", "", ValueKind::Money),
            column("term_start_date", "", ValueKind::Date),
            column("renewal_date", "", ValueKind::Date),
            column("notice_by_date", "", ValueKind::Date),
            column("box_plan", "", ValueKind::Text),
            column("external_seats", "", ValueKind::Count),
            column("console_seats_used", "", ValueKind::Count),
            column("console_seen_at", "", ValueKind::Time),
        ];
        let rows = source.rows(&columns, &format!("SELECT licence_terms.* FROM {IN_FORCE}"))?;
        let plan = |row: Vec<Value>| {
            let mut row = row.into_iter();
            let mut next = || row.next().unwrap_or(Value::Unknown);
            Plan {
                seats_purchased: next().whole(),
                price: next().money(),
                term_start: next().date(),
                renewal: next().date(),
                notice_by: next().date(),
                box_plan: next().text(),
                external_seats: next().whole(),
                console_seats_used: next().whole(),
                console_seen_at: next().time(),
            }
        };
        Ok(Self { plans: rows.into_iter().map(plan).collect() })
    }

    /// Purchased seats, the sum of all plans; `None` when one plan has no number, or there is no plan.
    pub(super) fn purchased(&self) -> Option<i64> {
        self.sum(|plan| plan.seats_purchased)
    }

    /// The monthly price of the purchased seats; `None` when a plan lacks seats or price.
    pub(super) fn bill(&self) -> Option<(Money, String)> {
        let currency = self.plans.first()?.price.as_ref()?.1.clone();
        let amount = self.sum(|plan| {
            let (price, _) = plan.price.as_ref()?;
            price.ten_thousandths().checked_mul(plan.seats_purchased?)
        })?;
        Some((Money::from_ten_thousandths(amount), currency))
    }

    /// The highest price of a seat.
    pub(super) fn highest_price(&self) -> Option<(Money, String)> {
        self.plans.iter().filter_map(|plan| plan.price.clone()).max_by_key(|(price, _)| *price)
    }

    /// Seats for users of other enterprises.
    pub(super) fn external_seats(&self) -> Option<i64> {
        let known: Vec<i64> = self.plans.iter().filter_map(|plan| plan.external_seats).collect();
        (!known.is_empty()).then(|| known.into_iter().sum())
    }

    /// Box's plans on which external collaborators take seats (Box: from Business Plus upward they take none).
    pub(super) fn plans_with_external_seats(&self) -> Vec<String> {
        let takes_seats = |plan: &&str| {
            let word = plan.trim().to_lowercase();
            matches!(word.strip_prefix("box ").unwrap_or(&word), "starter" | "business" | "business starter")
        };
        let mut found: Vec<String> = self
            .plans
            .iter()
            .filter_map(|plan| plan.box_plan.as_deref())
            .filter(takes_seats)
            .map(str::to_owned)
            .collect();
        found.sort();
        found.dedup();
        found
    }

    fn sum(&self, of: impl Fn(&Plan) -> Option<i64>) -> Option<i64> {
        if self.plans.is_empty() { None } else { self.plans.iter().map(of).sum() }
    }

    /// One row per plan in force, and one for seats without a plan.
    pub(super) fn section(&self, source: &Source) -> Result<Section> {
        let columns: Vec<Column> = vec![
            column("plan_id", "Plan", ValueKind::Text),
            column("seats_purchased", "Bought", ValueKind::Count),
            column("seats_assigned", "Assigned", ValueKind::Count),
            column("seats_free", "Free", ValueKind::Count),
            column("cost_per_seat_monthly", "Price", ValueKind::Money),
            column("monthly_waste", "Monthly waste", ValueKind::Money),
            column("monthly_cost", "Monthly cost", ValueKind::Money),
            column("renewal_date", "Renews", ValueKind::Date),
            column("notice_by_date", "Notice by", ValueKind::Date),
            column("box_plan", "Box's plan", ValueKind::Text),
            column("match_rule", "Match rule", ValueKind::Text),
            column("external_seats", "External seats", ValueKind::Count),
            column("console_seats_used", "Console seats", ValueKind::Count),
        ];
        let sql = format!(
            "WITH assigned AS (
                SELECT
                    licence_plan AS plan_id,
                    count(*) AS seats_assigned,
                    CAST(sum(monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost,
                    CAST(sum(CASE WHEN seat_state IN {WASTE} THEN monthly_cost ELSE 0 END) AS DECIMAL(18, 4)) AS monthly_waste
                FROM report_seats GROUP BY licence_plan
            )
            SELECT licence_terms.*, coalesce(assigned.seats_assigned, 0) AS seats_assigned,
                licence_terms.seats_purchased - coalesce(assigned.seats_assigned, 0) AS seats_free,
                CASE WHEN assigned.plan_id IS NULL THEN 0 ELSE assigned.monthly_cost END AS monthly_cost,
                CASE WHEN assigned.plan_id IS NULL THEN 0 ELSE assigned.monthly_waste END AS monthly_waste, 0 AS place
            FROM {IN_FORCE} LEFT JOIN assigned ON assigned.plan_id = licence_terms.plan_id
            UNION ALL BY NAME
            SELECT '(none)' AS plan_id, seats_assigned, 1 AS place FROM assigned WHERE plan_id IS NULL
            ORDER BY place, plan_id"
        );
        let note = "A seat belongs to the first plan whose rule matches. (none) has the seats that match no plan in force.";
        let rows = source.rows(&columns, &sql)?;
        let table = Table { columns, rows, chart: None, names_people: false };
        Ok(section("plans", "Plans in force", Some(note.to_owned()), Body::Table(table)))
    }
}

/// The terms that are valid on the date of the snapshot, as a relation for a FROM clause.
pub(super) const IN_FORCE: &str = "(SELECT licence_terms.* FROM licence_terms CROSS JOIN report_settings \
    WHERE coalesce(valid_from_date <= snapshot_date, TRUE) AND coalesce(valid_to_date >= snapshot_date, TRUE)) AS licence_terms";

/// Seat states whose cost is wasted.
pub(super) const WASTE: &str = "('suspended', 'idle', 'never_since_created', 'no_login_seen')";
