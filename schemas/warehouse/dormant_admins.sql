-- Question: which administrators provably do not use their account?
-- Grain:    one row per admin or coadmin whose seat is suspended, idle, never_since_created or no_login_seen.
-- Columns:  snapshot_date, user_id, login, name, role, account_status, seat_state, proven_idle_days, last_login_at,
--           last_activity_at, created_at, status_since, groups_administered_count.
--
-- Reads accounts, memberships and report_settings.

SELECT
    settings.snapshot_date,
    accounts.user_id,
    accounts.login,
    accounts.name,
    accounts.role,
    accounts.account_status,
    accounts.seat_state,
    accounts.proven_idle_days,
    accounts.last_login_at,
    accounts.last_activity_at,
    accounts.created_at,
    accounts.status_since,
    coalesce(administered.groups_count, 0) AS groups_administered_count
FROM accounts
CROSS JOIN report_settings AS settings
LEFT JOIN (
    SELECT user_id, count(DISTINCT group_id) AS groups_count FROM memberships WHERE role = 'admin' GROUP BY user_id
) AS administered ON administered.user_id = accounts.user_id
WHERE accounts.consumes_seat
    AND accounts.role IN ('admin', 'coadmin')
    AND accounts.seat_state IN ('suspended', 'idle', 'never_since_created', 'no_login_seen')
ORDER BY accounts.role, accounts.proven_idle_days DESC NULLS LAST, accounts.user_id
