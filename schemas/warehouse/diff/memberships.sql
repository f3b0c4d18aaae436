-- Question: which users joined a group, left a group, or have another role in a group since the base?
-- Grain:    one row per user and group that differs, for users that this snapshot lists.
-- Columns:  those of people.sql.
--
-- Reads this_run, night_users, night_memberships, base_users, base_groups and base_memberships.
--
-- If the base had never read the members of a group, they are not reported as added. Exceptions: a user who joined or returned in
-- this run, and all members of a group that is new in this run.

WITH night_pairs AS (
    -- Box has one membership per user and group. If it sends two, they count as one.
    SELECT user_id, group_id, min(role) AS role, max(created_at) AS created_at
    FROM night_memberships
    GROUP BY user_id, group_id
),

base_pairs AS (
    SELECT user_id, group_id, min(role) AS role FROM base_memberships GROUP BY user_id, group_id
),

pairs AS (
    SELECT
        user_id,
        group_id,
        night_pairs.role AS new_role,
        base_pairs.role AS old_role,
        night_pairs.created_at,
        CASE
            WHEN base_pairs.user_id IS NULL THEN 'group_added'
            WHEN night_pairs.user_id IS NULL THEN 'group_removed'
            ELSE 'role_in_group_changed'
        END AS change
    FROM night_pairs
    FULL JOIN base_pairs USING (user_id, group_id)
    WHERE base_pairs.user_id IS NULL OR night_pairs.user_id IS NULL OR night_pairs.role IS DISTINCT FROM base_pairs.role
)

SELECT
    pairs.user_id,
    pairs.change,
    NULL AS attribute,
    pairs.group_id AS object_id,
    pairs.old_role AS old_value,
    pairs.new_role AS new_value,
    least(this_run.base_window_to_at, base_groups.memberships_read_at) AS since_at,
    CASE WHEN pairs.change = 'group_added' THEN pairs.created_at END AS happened_at
FROM pairs
CROSS JOIN this_run
JOIN night_users ON night_users.user_id = pairs.user_id
LEFT JOIN base_users ON base_users.user_id = pairs.user_id
LEFT JOIN base_groups ON base_groups.group_id = pairs.group_id
WHERE pairs.change <> 'group_added'
    OR base_users.user_id IS NULL
    OR base_groups.group_id IS NULL
    OR base_groups.memberships_read_at IS NOT NULL
