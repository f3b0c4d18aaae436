-- Question: which users joined, left or changed in the last seven days, and which changes had no event?
-- Answer:   one row per kind of change. Changes without an event come from an identity provider, from Box's support, or are of a
--           kind for which Box has no event.

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
