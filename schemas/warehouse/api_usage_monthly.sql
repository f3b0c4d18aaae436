-- Question: how many API calls does a month use, and is the allowance sufficient?
-- Grain:    one row per UTC month with calls.
-- Columns:  month_date, calls_count, retries_count, throttled_count, errors_count, runs_count, days_with_calls_count,
--           monthly_calls_count, forecast_calls_count, forecast_percent, full_read_calls_count.
--
-- Reads run_calls, report_settings, users, groups, memberships, login_events and admin_events.
--
-- Forecast for the month of the snapshot: calls so far divided by days so far (including the day of the snapshot), times the days
-- of the month. Any other month is over, and its forecast is its number of calls. The allowance is the current setting, and the
-- full read is that of the latest snapshot. Both are the same on every row.

SELECT
    months.month_date,
    months.calls_count,
    months.retries_count,
    months.throttled_count,
    months.errors_count,
    months.runs_count,
    months.days_with_calls_count,
    settings.monthly_calls_count,
    forecasts.forecast_calls_count,
    CAST(
        round(100.0 * forecasts.forecast_calls_count / nullif(settings.monthly_calls_count, 0), 2) AS DOUBLE
    ) AS forecast_percent,
    full_read.calls_count AS full_read_calls_count
FROM (
    SELECT
        CAST(date_trunc('month', call_date) AS DATE) AS month_date,
        CAST(sum(calls_count) AS BIGINT) AS calls_count,
        CAST(sum(retries_count) AS BIGINT) AS retries_count,
        CAST(sum(throttled_count) AS BIGINT) AS throttled_count,
        CAST(sum(errors_count) AS BIGINT) AS errors_count,
        count(DISTINCT run_id) AS runs_count,
        count(DISTINCT call_date) AS days_with_calls_count
    FROM run_calls
    GROUP BY 1
) AS months
CROSS JOIN report_settings AS settings
CROSS JOIN (
    -- Pages of 1,000 users, of 1,000 groups, of 1,000 members per group and of 500 events, and one call per user for the aliases.
    -- An empty list is one page. The last page of the feed is always empty.
    SELECT CAST(
        greatest(1, ceil(users.rows_count / 1000.0))
        + greatest(1, ceil(groups.rows_count / 1000.0))
        + members.pages_count
        + users.rows_count
        + ceil((logins.rows_count + others.rows_count) / 500.0) + 1
        AS BIGINT
    ) AS calls_count
    FROM (SELECT count(*) AS rows_count FROM users) AS users
    CROSS JOIN (SELECT count(*) AS rows_count FROM groups) AS groups
    CROSS JOIN (
        SELECT coalesce(sum(greatest(1, ceil(members_count / 1000.0))), 0) AS pages_count
        FROM (
            SELECT groups.group_id, count(memberships.membership_id) AS members_count
            FROM groups
            LEFT JOIN memberships ON memberships.group_id = groups.group_id
            WHERE groups.group_type IS DISTINCT FROM 'all_users_group'
            GROUP BY groups.group_id
        ) AS walked
    ) AS members
    CROSS JOIN (
        SELECT count(*) AS rows_count
        FROM login_events CROSS JOIN report_settings
        WHERE epoch_us(created_at) > epoch_us(now_at) - 259200000000
    ) AS logins
    CROSS JOIN (
        SELECT count(*) AS rows_count
        FROM admin_events CROSS JOIN report_settings
        WHERE epoch_us(created_at) > epoch_us(now_at) - 259200000000
    ) AS others
) AS full_read
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN months.month_date = CAST(date_trunc('month', settings.snapshot_date) AS DATE)
        THEN CAST(
            ceil(months.calls_count * day(last_day(settings.snapshot_date)) / CAST(day(settings.snapshot_date) AS DOUBLE))
            AS BIGINT
        )
        ELSE months.calls_count
    END AS forecast_calls_count
) AS forecasts
ORDER BY months.month_date
