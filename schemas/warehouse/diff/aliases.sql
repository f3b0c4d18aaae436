-- Question: which users got or lost an email alias since the base?
-- Grain:    one row per user and alias that differs, for users that this snapshot lists.
-- Columns:  those of people.sql.
--
-- Reads this_run, night_users, night_email_aliases, base_users and base_email_aliases.
--
-- If the base had never read the aliases of a user, they are not reported as added, unless the user joined or returned in this run.

WITH differing AS (
    SELECT
        user_id,
        alias_id,
        night_email_aliases.email AS new_email,
        base_email_aliases.email AS old_email,
        base_email_aliases.user_id IS NULL AS is_added
    FROM night_email_aliases
    FULL JOIN base_email_aliases USING (user_id, alias_id)
    WHERE night_email_aliases.user_id IS NULL OR base_email_aliases.user_id IS NULL
)

SELECT
    differing.user_id,
    CASE WHEN differing.is_added THEN 'alias_added' ELSE 'alias_removed' END AS change,
    NULL AS attribute,
    differing.alias_id AS object_id,
    differing.old_email AS old_value,
    differing.new_email AS new_value,
    least(this_run.base_window_to_at, base_users.aliases_read_at) AS since_at,
    NULL AS happened_at
FROM differing
CROSS JOIN this_run
JOIN night_users ON night_users.user_id = differing.user_id
LEFT JOIN base_users ON base_users.user_id = differing.user_id
WHERE NOT differing.is_added OR base_users.user_id IS NULL OR base_users.aliases_read_at IS NOT NULL
