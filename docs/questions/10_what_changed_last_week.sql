-- Question: who came, went or changed in the last seven nights, and what did nobody announce?
-- Answer:   one row per kind of change. Without an event Box told nobody: an identity provider, Box's support, or a change that
--           Box has no event for.

SELECT
    change,
    coalesce(attribute, '') AS attribute,
    count(*) AS changes,
    count(DISTINCT user_id) AS people,
    count(*) FILTER (WHERE event_id IS NULL) AS not_announced
FROM user_changes CROSS JOIN report_settings
WHERE epoch_us(observed_at) > epoch_us(now_at) - 7 * CAST(86400000000 AS BIGINT)
GROUP BY change, attribute
ORDER BY changes DESC, change, attribute;
