-- Question: which users joined or left since the base, and which of their columns changed?
-- Grain:    one row per user who joined or left, and one per user and column that differs.
-- Columns:  user_id, change, attribute, object_id, old_value, new_value, since_at (the change is not earlier), happened_at
--           (time of the change from the object's own dates; NULL if they do not have it).
--
-- Reads this_run, night_users and base_users (of the run's snapshot and of its base), texts and base_texts (user_id and the
-- tracked columns as text, without `listing`, which boxseat sets and which is not a change of the user; only users of both
-- snapshots with any difference), seen_versions and departures.
--
-- A field that could not be parsed is not compared in that run and in the next one. Such fields are: a value with a damaged character
-- (U+FFFD), a field that `extra` has as `<field>_unreadable`, and a missing value of a field that every user has.

-- UNPIVOT drops NULLs. They reappear in the join if the other side has a value.
WITH new_values AS (
    SELECT user_id, attribute, new_value
    FROM (UNPIVOT texts ON COLUMNS(* EXCLUDE (user_id)) INTO NAME attribute VALUE new_value)
),

old_values AS (
    SELECT user_id, attribute, old_value
    FROM (UNPIVOT base_texts ON COLUMNS(* EXCLUDE (user_id)) INTO NAME attribute VALUE old_value)
),

-- The name of a column starts with the name of its field: space_amount_bytes for space_amount, enterprise_name for enterprise.
unreadable AS (
    SELECT user_id, replace(field, '_unreadable', '') AS field
    FROM (
        SELECT user_id, unnest(json_keys(extra)) AS field FROM night_users WHERE contains(extra, '_unreadable"')
        UNION ALL
        SELECT user_id, unnest(json_keys(extra)) FROM base_users WHERE contains(extra, '_unreadable"')
    ) AS fields
    WHERE ends_with(field, '_unreadable')
)

SELECT
    night_users.user_id,
    CASE WHEN night_users.user_id IN (SELECT user_id FROM seen_versions) THEN 'returned' ELSE 'joined' END AS change,
    NULL AS attribute,
    NULL AS object_id,
    NULL AS old_value,
    night_users.status AS new_value,
    this_run.base_window_to_at AS since_at,
    night_users.created_at AS happened_at
FROM night_users
CROSS JOIN this_run
WHERE night_users.user_id NOT IN (SELECT user_id FROM base_users)

UNION ALL

SELECT
    base_users.user_id,
    'left',
    NULL,
    NULL,
    base_users.status,
    departures.reason,
    least(this_run.base_window_to_at, base_users.read_at),
    NULL
FROM base_users
CROSS JOIN this_run
LEFT JOIN departures ON departures.user_id = base_users.user_id
WHERE base_users.user_id NOT IN (SELECT user_id FROM night_users)

UNION ALL

SELECT
    user_id,
    CASE
        WHEN attribute = 'role' THEN 'role_changed'
        WHEN attribute <> 'status' THEN 'attribute_changed'
        WHEN new_value IS NOT DISTINCT FROM 'inactive' THEN 'suspended'
        WHEN old_value IS NOT DISTINCT FROM 'inactive' THEN 'reactivated'
        ELSE 'attribute_changed'
    END,
    attribute,
    NULL,
    old_value,
    new_value,
    least(this_run.base_window_to_at, base_users.read_at),
    night_users.modified_at
FROM old_values
FULL JOIN new_values USING (user_id, attribute)
JOIN base_users USING (user_id)
JOIN night_users USING (user_id)
CROSS JOIN this_run
WHERE old_value IS DISTINCT FROM new_value
    AND NOT contains(concat(old_value, new_value), chr(65533))
    AND NOT (
        (old_value IS NULL OR new_value IS NULL)
        AND (
            attribute IN ('login', 'status', 'role', 'created_at', 'enterprise_id', 'enterprise_name', 'can_see_managed_users')
            OR starts_with(attribute, 'is_')
        )
    )
    AND NOT EXISTS (
        FROM unreadable WHERE unreadable.user_id = night_users.user_id AND starts_with(attribute, unreadable.field)
    )
