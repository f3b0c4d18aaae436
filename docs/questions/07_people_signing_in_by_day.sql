-- Question: how many users sign in per day?
-- Answer:   one row per UTC day of the last eight weeks that the admin log covers. A day without a sign-in has a row with 0. A day
--           that is not covered has no row, because its sign-ins are unknown.

WITH days AS (
    SELECT snapshot_date - CAST(back AS INTEGER) AS day
    FROM report_settings CROSS JOIN (SELECT unnest(range(1, 57)) AS back) AS calendar
),
covered AS (
    SELECT DISTINCT days.day
    FROM days JOIN event_coverage ON event_coverage.event_type = 'LOGIN'
        AND covered_from_at <= days.day::TIMESTAMP AT TIME ZONE 'UTC'
        AND covered_to_at > days.day::TIMESTAMP AT TIME ZONE 'UTC'
)
SELECT covered.day, count(DISTINCT login_events.user_id) AS people, count(login_events.event_id) AS logins
FROM covered
LEFT JOIN login_events ON CAST(login_events.created_at AT TIME ZONE 'UTC' AS DATE) = covered.day
GROUP BY covered.day
ORDER BY covered.day;
