-- Question: who came, who went, and what of whom changed since the base?
-- Grain:    one row per user who came or went, and one per user and column that differs.
-- Columns:  user_id, change, attribute, object_id, old_value, new_value, since_at (it did not happen before), happened_at
--           (when it happened as the object's own dates tell; NULL when they do not).
--
-- Reads this_run, night_users and base_users (of the run's night and of its base), texts and base_texts (user_id and the
-- tracked columns as text, without `listing`, which is our word and no change of the user), seen_versions and
-- departures.
--
-- A field that could not be read says nothing of a change, in the run that could not read it and in the next one: a value with a
-- damaged character (U+FFFD), a field that `extra` has as `<field>_unreadable`, and a missing value of a field that no user is without.

WITH moved AS (
    SELECT user_id FROM texts JOIN base_texts USING (user_id) WHERE texts IS DISTINCT FROM base_texts
),

-- NULLs are left out, and come back where the other side has a value.
new_values AS (
    SELECT user_id, attribute, new_value
    FROM (
        UNPIVOT (FROM texts SEMI JOIN moved USING (user_id))
        ON COLUMNS(* EXCLUDE (user_id)) INTO NAME attribute VALUE new_value
    )
),

old_values AS (
    SELECT user_id, attribute, old_value
    FROM (
        UNPIVOT (FROM base_texts SEMI JOIN moved USING (user_id))
        ON COLUMNS(* EXCLUDE (user_id)) INTO NAME attribute VALUE old_value
    )
),

-- A column is named after its field: space_amount_bytes after space_amount, enterprise_name after enterprise.
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
