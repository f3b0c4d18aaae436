-- Question: which users have a seat and provably do not use it?
-- Grain:    one row per seat in state idle, never_since_created or no_login_seen.
-- Columns:  snapshot_date, user_id, login, name, role, seat_state, proven_idle_days, inactivity_band, last_login_at,
--           last_activity_at, last_activity_source, created_at, idle_since_date, group_count, space_used_bytes,
--           licence_plan, monthly_cost, currency, meaning.
--
-- Reads accounts and report_settings.
--
-- Dates are UTC days by epoch arithmetic, so the session's time zone has no effect. A sentence states the day since which no use
-- was seen. It does not say "never", because the record has a beginning.

SELECT
    settings.snapshot_date,
    seats.user_id,
    seats.login,
    seats.name,
    seats.role,
    seats.seat_state,
    seats.proven_idle_days,
    seats.inactivity_band,
    seats.last_login_at,
    seats.last_activity_at,
    seats.last_activity_source,
    seats.created_at,
    seats.idle_since_date,
    seats.group_count,
    seats.space_used_bytes,
    seats.licence_plan,
    seats.monthly_cost,
    seats.currency,
    CASE seats.seat_state
        WHEN 'idle' THEN
            concat('Last seen in use on ', seats.last_activity_date, '; nothing seen since ', seats.idle_since_date, '.')
        WHEN 'never_since_created' THEN
            concat('Created on ', seats.created_date, '; no use seen since ', seats.idle_since_date, '.')
        ELSE concat('No use seen since ', seats.idle_since_date, '; of the time before nothing is known.')
    END AS meaning
FROM (
    SELECT
        accounts.*,
        DATE '1970-01-01' + CAST(epoch_us(last_activity_at) // 86400000000 AS INTEGER) AS last_activity_date,
        DATE '1970-01-01' + CAST(epoch_us(created_at) // 86400000000 AS INTEGER) AS created_date,
        report_settings.snapshot_date - proven_idle_days AS idle_since_date
    FROM accounts CROSS JOIN report_settings
    WHERE accounts.consumes_seat AND accounts.seat_state IN ('idle', 'never_since_created', 'no_login_seen')
) AS seats
CROSS JOIN report_settings AS settings
ORDER BY seats.proven_idle_days DESC, seats.user_id
