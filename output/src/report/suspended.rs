//! `suspended`: the users who are suspended and still take a seat, the start of the suspension, its actor, and the cost since.

use boxseat_schemas::Money;

use super::ask::Scope;
use super::model::{Body, Column, Report, Section, Table, Value, ValueKind};
use super::source::Source;
use super::{column, headline, row_keys, section};
use crate::Result;

pub(super) fn report(source: &Source, scope: &Scope) -> Result<Report> {
    let people = people(source, scope)?;
    let Body::Table(table) = &people.body else { unreachable!("made as a table below") };
    let sum = |id: &str| {
        let place = table.columns.iter().position(|column| column.id == id)?;
        let known: Vec<_> = table.rows.iter().filter_map(|row| row[place].clone().money()).collect();
        let currency = known.first()?.1.clone();
        let amount = known.iter().map(|(amount, _)| amount.ten_thousandths()).sum();
        Some(Value::Money(Money::from_ten_thousandths(amount), currency))
    };
    let seats = i64::try_from(table.rows.len()).unwrap_or(i64::MAX);
    let figures = vec![
        headline(
            "suspended_seats",
            "Suspended seats",
            Value::Count(seats),
            "Seats of suspended accounts. A suspension frees no seat; only deletion does.",
        ),
        headline(
            "monthly_suspended",
            "Monthly cost",
            sum("monthly_cost").unwrap_or(Value::Unknown),
            "Their cost per month.",
        ),
        headline("cost_since", "Cost since suspended", sum("cost_since").unwrap_or(Value::Unknown), FORMULA),
    ];
    Ok(Report {
        name: "suspended",
        title: "Suspended seats".to_owned(),
        question: "Which users are suspended and still take a seat, since when, who suspended them, and what did it cost?"
            .to_owned(),
        snapshot: source.snapshot().clone(),
        notices: Vec::new(),
        filters: Vec::new(),
        sections: vec![section("summary", "In short", None, Body::Figures(figures)), people],
    })
}

const FORMULA: &str = "Months since the suspension x current price per month, for each seat. A month is 365 / 12 days. It is a minimum if the suspension is older than the store.";

fn people(source: &Source, scope: &Scope) -> Result<Section> {
    let columns: Vec<Column> = vec![
        column("login", "Login", ValueKind::Text),
        column("name", "Name", ValueKind::Text),
        column("suspended_days", "Days", ValueKind::Days),
        column("cost_since", "Cost since", ValueKind::Money),
        column("suspended_by", "By", ValueKind::Text),
        column("suspended_since", "Since", ValueKind::Time),
        column("is_at_least", "At least", ValueKind::Flag),
        column("monthly_cost", "Monthly cost", ValueKind::Money),
        column("role", "Role", ValueKind::Text),
        column("last_login_at", "Last sign-in", ValueKind::Time),
        column("licence_plan", "Plan", ValueKind::Text),
        column("space_used_bytes", "Bytes used", ValueKind::Bytes),
        column("suspended_by_id", "By id", ValueKind::Text),
        column("user_id", "User id", ValueKind::Text),
        column("row_key", "Row key", ValueKind::Text),
    ];
    let days = scope.days.map_or_else(|| "TRUE".to_owned(), |days| format!("suspended_days >= {days}"));
    let mut rows = source.rows(
        &columns,
        &format!("{PEOPLE} WHERE {days} ORDER BY suspended_days DESC NULLS FIRST, seats.user_id"),
    )?;
    for row in &mut rows {
        row[3] = cost_since(&row[2], &row[7]);
    }
    let rows = row_keys(rows, &columns);
    let note = "Longest first. By is the actor who suspended the account, from the admin log or from boxseat's own record; empty if unknown. At least means that the store's first snapshot already showed the suspension.";
    let table = Table { columns, rows, chart: None, names_people: true };
    Ok(section("people", "Suspended seats", Some(note.to_owned()), Body::Table(table)))
}

/// Days x 12 / 365 x price, rounded half up to a ten-thousandth.
fn cost_since(days: &Value, price: &Value) -> Value {
    let (Value::Days(days), Value::Money(price, currency)) = (days, price) else { return Value::Unknown };
    let cost = (i128::from(price.ten_thousandths()) * i128::from(*days) * 12 * 2 + 365) / (365 * 2);
    match i64::try_from(cost) {
        Ok(cost) => Value::Money(Money::from_ten_thousandths(cost), currency.clone()),
        Err(_) => Value::Unknown,
    }
}

/// The newest suspension of each user. The actor is known if an event announced the suspension or if boxseat suspended the user.
const PEOPLE: &str = "
SELECT
    seats.*,
    CAST(NULL AS DECIMAL(18, 4)) AS cost_since,
    coalesce(actions.actor_user_id, told.actor_id) AS suspended_by_id,
    coalesce(
        actions.applied_by,
        (SELECT max(login) FROM accounts WHERE accounts.user_id = coalesce(actions.actor_user_id, told.actor_id)),
        actions.actor_user_id,
        told.actor_id
    ) AS suspended_by,
    CAST(NULL AS VARCHAR) AS row_key
FROM suspended_seats AS seats
SEMI JOIN report_seats ON report_seats.user_id = seats.user_id
LEFT JOIN (
    SELECT user_changes.user_id, arg_max(admin_events.actor_id, user_changes.run_number) AS actor_id
    FROM user_changes
    JOIN suspended_seats ON suspended_seats.user_id = user_changes.user_id
        AND suspended_seats.suspended_since = user_changes.event_at
    JOIN admin_events ON admin_events.event_id = user_changes.event_id
    WHERE user_changes.change = 'suspended'
    GROUP BY user_changes.user_id
) AS told ON told.user_id = seats.user_id
LEFT JOIN (
    -- Within a day of the suspension: the clocks of Box and boxseat differ, and without an event only the time of the snapshot is known.
    SELECT seat_actions.user_id, arg_max(applied_by, requested_at) AS applied_by, arg_max(actor_user_id, requested_at) AS actor_user_id
    FROM seat_actions
    JOIN suspended_seats ON suspended_seats.user_id = seat_actions.user_id
        AND abs(epoch_us(seat_actions.requested_at) - epoch_us(suspended_seats.suspended_since)) <= 86400000000
    WHERE action = 'suspend'
    GROUP BY seat_actions.user_id
) AS actions ON actions.user_id = seats.user_id
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_costs_twelve_months() {
        let eur = |amount: i64| Value::Money(Money::from_ten_thousandths(amount), "EUR".into());
        for (days, price, cost) in
            [(365, 350_000, 4_200_000), (0, 350_000, 0), (1, 350_000, 11_507), (30, 475_000, 468_493)]
        {
            assert_eq!(cost_since(&Value::Days(days), &eur(price)), eur(cost), "{days} days at {price}");
        }
        assert_eq!(cost_since(&Value::Unknown, &eur(1)), Value::Unknown);
        assert_eq!(cost_since(&Value::Days(1), &Value::Unknown), Value::Unknown);
    }
}
