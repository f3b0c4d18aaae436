-- Question: which of the differences did an event announce, and which are drift?
-- Grain:    one row per difference.
-- Columns:  those of the table `user_changes`, in its order, then is_drift.
--
-- Reads this_run, differences (what people.sql, memberships.sql and aliases.sql found) and admin_events.
--
-- An event announces a difference if it has a matching type, is about the same user (and group), and is later than the last reading
-- that did not show the difference. Events after the end of the run's window are ignored. A replay can see later events, and must
-- find the same result as the run.

WITH numbered AS (
    SELECT
        row_number() OVER (ORDER BY user_id, change, attribute, object_id) AS number,
        differences.*
    FROM differences
),

announcements (change, attribute, event_type) AS (
    VALUES
        ('joined', NULL, 'NEW_USER'),
        ('returned', NULL, 'NEW_USER'),
        ('left', NULL, 'DELETE_USER'),
        ('suspended', NULL, 'EDIT_USER'),
        ('reactivated', NULL, 'EDIT_USER'),
        ('attribute_changed', NULL, 'EDIT_USER'),
        ('attribute_changed', 'login', 'EMAIL_ALIAS_PRIMARY'),
        ('role_changed', NULL, 'CHANGE_ADMIN_ROLE'),
        ('role_changed', NULL, 'EDIT_USER'),
        ('group_added', NULL, 'GROUP_ADD_USER'),
        ('group_removed', NULL, 'GROUP_REMOVE_USER'),
        ('role_in_group_changed', NULL, 'GROUP_ADMIN_CREATED'),
        ('role_in_group_changed', NULL, 'GROUP_ADMIN_DELETED'),
        ('role_in_group_changed', NULL, 'GROUP_ADMIN_PERMISSIONS_UPDATED'),
        ('alias_added', NULL, 'EMAIL_ALIAS_CONFIRM'),
        ('alias_added', NULL, 'EMAIL_ALIAS_PRIMARY'),
        ('alias_removed', NULL, 'EMAIL_ALIAS_REMOVE'),
        ('alias_removed', NULL, 'EMAIL_ALIAS_PRIMARY')
),

-- The types of events that would announce each difference.
expected AS (
    SELECT
        numbered.number,
        numbered.user_id,
        announcements.event_type,
        numbered.since_at,
        numbered.change IN ('group_added', 'group_removed', 'role_in_group_changed') AS is_of_group,
        numbered.object_id
    FROM numbered
    JOIN announcements
        ON announcements.change = numbered.change
        AND (announcements.attribute IS NULL OR announcements.attribute = numbered.attribute)
),

announced AS (
    SELECT expected.number, admin_events.created_at, admin_events.event_id
    FROM expected
    CROSS JOIN this_run
    JOIN admin_events
        ON admin_events.user_id = expected.user_id
        AND admin_events.event_type = expected.event_type
    WHERE NOT expected.is_of_group
        AND admin_events.created_at >= expected.since_at
        AND admin_events.created_at < this_run.window_to_at
    UNION ALL
    -- The group is part of the join: of a user who joins thousands of groups, not every event is compared with every group.
    SELECT expected.number, admin_events.created_at, admin_events.event_id
    FROM expected
    CROSS JOIN this_run
    JOIN admin_events
        ON admin_events.user_id = expected.user_id
        AND admin_events.event_type = expected.event_type
        AND admin_events.group_id = expected.object_id
    WHERE expected.is_of_group
        AND admin_events.created_at >= expected.since_at
        AND admin_events.created_at < this_run.window_to_at
    UNION ALL
    -- The deletion of a group removes all members. Its event names no user.
    SELECT numbered.number, admin_events.created_at, admin_events.event_id
    FROM numbered
    CROSS JOIN this_run
    JOIN admin_events ON admin_events.group_id = numbered.object_id
    WHERE numbered.change = 'group_removed'
        AND admin_events.event_type = 'GROUP_DELETION'
        AND admin_events.created_at >= numbered.since_at
        AND admin_events.created_at < this_run.window_to_at
),

newest AS (
    SELECT number, max(struct_pack(created_at := created_at, event_id := event_id)) AS event
    FROM announced
    GROUP BY number
)

SELECT
    concat(this_run.run_number, '-', numbered.number) AS change_id,
    this_run.started_at AS observed_at,
    newest.event.created_at AS event_at,
    newest.event.event_id AS event_id,
    this_run.run_number,
    numbered.user_id,
    numbered.change,
    numbered.attribute,
    numbered.object_id,
    numbered.old_value,
    numbered.new_value,
    -- A change after the window is announced by an event that a later run reads.
    newest.event IS NULL AND NOT coalesce(numbered.happened_at >= this_run.window_to_at, FALSE) AS is_drift
FROM numbered
CROSS JOIN this_run
LEFT JOIN newest ON newest.number = numbered.number
ORDER BY numbered.number
