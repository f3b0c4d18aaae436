-- Question: how many events of each type did each user cause on each day?
-- Grain:    one row per user, UTC day and event type.
-- Columns:  those of the table `activity_daily`, in its order.
--
-- Reads activity_daily_rows (the rows of current runs as the lake has them, with run_number) and event_coverage.
--
-- A run that reads a type from midnight counts that day again, completely or up to the end of its window. Therefore the rows of a
-- day and type come from the newest run that covers the start of the day, even if it found fewer events than an older run. If no
-- run covers the start of the day, for example because the type was configured during that day, they come from the newest run
-- that has rows.

WITH covered AS (
    SELECT days.activity_date, days.event_type, max(event_coverage.run_number) AS run_number
    FROM (SELECT DISTINCT activity_date, event_type FROM activity_daily_rows) AS days
    JOIN event_coverage
        ON event_coverage.event_type = days.event_type
        AND epoch_us(event_coverage.covered_from_at) <= (days.activity_date - DATE '1970-01-01') * 86400000000
        AND epoch_us(event_coverage.covered_to_at) > (days.activity_date - DATE '1970-01-01') * 86400000000
    GROUP BY days.activity_date, days.event_type
),

newest AS (
    SELECT
        found.activity_date,
        found.event_type,
        coalesce(max(covered.run_number), max(found.run_number)) AS run_number
    FROM activity_daily_rows AS found
    LEFT JOIN covered ON covered.activity_date = found.activity_date AND covered.event_type = found.event_type
    GROUP BY found.activity_date, found.event_type
)

SELECT found.user_id, found.activity_date, found.event_type, found.events_count
FROM activity_daily_rows AS found
JOIN newest
    ON newest.activity_date = found.activity_date
    AND newest.event_type = found.event_type
    AND newest.run_number = found.run_number
ORDER BY found.activity_date, found.event_type, found.user_id
