-- Question: how does the number of seats develop, and do joiners reuse the seats of leavers?
-- Answer:   one row per week, as known in its last snapshot. A week without a snapshot has no row.

SELECT
    CAST(date_trunc('week', snapshot_date) AS DATE) AS week,
    arg_max(seats_assigned, snapshot_date) AS seats_assigned,
    arg_max(used_count, snapshot_date) AS used,
    arg_max(idle_count + never_since_created_count + no_login_seen_count, snapshot_date) AS not_used,
    arg_max(suspended_count, snapshot_date) AS suspended,
    sum(joined_count) AS joined,
    sum(left_count) AS gone
FROM seat_usage_daily
GROUP BY week
ORDER BY week;
