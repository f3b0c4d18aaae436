-- Question: which groups are empty, have no admin, or have only inactive members?
-- Grain:    one row per group.
-- Columns:  snapshot_date, group_id, name, group_type, members_count, admins_count, suspended_count, used_count,
--           not_used_count, other_count, not_used_percent, last_activity_at, memberships_read_at, memberships_age_days,
--           concern.
--
-- Reads groups, memberships, accounts and report_settings.
--
-- The members of all_users_group are never read, and other groups may not have been read yet. A group without known members is not
-- an empty group, so its counts are NULL. A user with two memberships of one group counts once, and as admin if one of them is admin.

SELECT
    settings.snapshot_date,
    groups.group_id,
    groups.name,
    groups.group_type,
    counted.members_count,
    counted.admins_count,
    counted.suspended_count,
    counted.used_count,
    counted.not_used_count,
    counted.members_count - counted.suspended_count - counted.used_count - counted.not_used_count AS other_count,
    CAST(
        round(100.0 * (counted.suspended_count + counted.not_used_count) / nullif(counted.members_count, 0), 2) AS DOUBLE
    ) AS not_used_percent,
    found.last_activity_at,
    groups.memberships_read_at,
    -- greatest() ignores NULL.
    CASE WHEN groups.memberships_read_at IS NOT NULL THEN
        CAST(
            greatest(0, (epoch_us(settings.now_at) - epoch_us(groups.memberships_read_at)) // 86400000000) AS INTEGER
        )
    END AS memberships_age_days,
    CASE
        WHEN groups.group_type = 'all_users_group' THEN NULL
        WHEN counted.members_count IS NULL THEN 'not_read'
        WHEN counted.members_count = 0 THEN 'empty'
        WHEN counted.suspended_count = counted.members_count THEN 'nobody_active'
        WHEN counted.suspended_count + counted.not_used_count = counted.members_count THEN 'nobody_uses_it'
        WHEN counted.admins_count = 0 THEN 'no_admin'
    END AS concern
FROM groups
CROSS JOIN report_settings AS settings
LEFT JOIN (
    SELECT
        members.group_id,
        count(*) AS members_count,
        count(*) FILTER (WHERE members.is_admin) AS admins_count,
        count(*) FILTER (WHERE accounts.account_status = 'suspended') AS suspended_count,
        count(*) FILTER (WHERE accounts.seat_state = 'used') AS used_count,
        count(*) FILTER (WHERE accounts.seat_state IN ('idle', 'never_since_created', 'no_login_seen')) AS not_used_count,
        max(accounts.last_activity_at) AS last_activity_at
    FROM (
        SELECT group_id, user_id, coalesce(bool_or(role = 'admin'), FALSE) AS is_admin
        FROM memberships
        GROUP BY group_id, user_id
    ) AS members
    JOIN accounts ON accounts.user_id = members.user_id
    GROUP BY members.group_id
) AS found ON found.group_id = groups.group_id
-- One row: the counts found; zeros if the group was read and has no members; otherwise NULLs.
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN no_members.is_proved THEN 0 ELSE found.members_count END AS members_count,
        CASE WHEN no_members.is_proved THEN 0 ELSE found.admins_count END AS admins_count,
        CASE WHEN no_members.is_proved THEN 0 ELSE found.suspended_count END AS suspended_count,
        CASE WHEN no_members.is_proved THEN 0 ELSE found.used_count END AS used_count,
        CASE WHEN no_members.is_proved THEN 0 ELSE found.not_used_count END AS not_used_count
    FROM (
        SELECT
            found.group_id IS NULL
            AND groups.memberships_read_at IS NOT NULL
            AND groups.group_type IS DISTINCT FROM 'all_users_group' AS is_proved
    ) AS no_members
) AS counted
ORDER BY groups.name, groups.group_id
