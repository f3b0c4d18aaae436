-- Question: which suspended users still take a seat?
-- Grain:    one row per suspended account with a seat.
-- Columns:  snapshot_date, user_id, login, name, role, suspended_since, suspended_days, is_at_least, last_login_at,
--           last_activity_at, group_count, space_used_bytes, licence_plan, monthly_cost, currency.
--
-- Reads accounts, users_history and report_settings.

SELECT
    settings.snapshot_date,
    accounts.user_id,
    accounts.login,
    accounts.name,
    accounts.role,
    accounts.suspended_since,
    -- greatest() ignores NULL.
    CASE WHEN accounts.suspended_since IS NOT NULL THEN
        CAST(
            greatest(0, (epoch_us(settings.now_at) - epoch_us(accounts.suspended_since)) // 86400000000) AS INTEGER
        )
    END AS suspended_days,
    -- A user who was already suspended in the store's first snapshot may have been suspended much earlier.
    coalesce(accounts.suspended_since <= beginning.first_night_at, TRUE) AS is_at_least,
    accounts.last_login_at,
    accounts.last_activity_at,
    accounts.group_count,
    accounts.space_used_bytes,
    accounts.licence_plan,
    accounts.monthly_cost,
    accounts.currency
FROM accounts
CROSS JOIN report_settings AS settings
CROSS JOIN (SELECT min(valid_from) AS first_night_at FROM users_history) AS beginning
WHERE accounts.consumes_seat AND accounts.account_status = 'suspended'
ORDER BY suspended_days DESC NULLS FIRST, accounts.user_id
