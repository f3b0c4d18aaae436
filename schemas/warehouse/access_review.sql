-- Question: which users have access through which group, and do they still use their account?
-- Grain:    one row per membership.
-- Columns:  snapshot_date, membership_id, group_id, group_name, role_in_group, user_id, login, name, role,
--           account_status, seat_kind, seat_state, proven_idle_days, last_login_at, last_activity_at, member_since_at,
--           is_external_collab_restricted, read_at.
--
-- Reads memberships, groups, users, accounts and report_settings.

SELECT
    settings.snapshot_date,
    memberships.membership_id,
    memberships.group_id,
    groups.name AS group_name,
    memberships.role AS role_in_group,
    accounts.user_id,
    accounts.login,
    accounts.name,
    accounts.role,
    accounts.account_status,
    accounts.seat_kind,
    accounts.seat_state,
    accounts.proven_idle_days,
    accounts.last_login_at,
    accounts.last_activity_at,
    memberships.created_at AS member_since_at,
    users.is_external_collab_restricted,
    memberships.read_at
FROM memberships
JOIN groups ON groups.group_id = memberships.group_id
JOIN users ON users.user_id = memberships.user_id
JOIN accounts ON accounts.user_id = memberships.user_id
CROSS JOIN report_settings AS settings
ORDER BY groups.name, memberships.group_id, accounts.login, memberships.membership_id
