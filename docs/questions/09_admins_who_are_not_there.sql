-- Question: which administrators do not use their account?
-- Answer:   one row per admin or co-admin. Rights that nobody uses are the ones nobody misses when they are stolen.

SELECT login, role, seat_state, proven_idle_days, last_login_at
FROM dormant_admins
ORDER BY proven_idle_days DESC NULLS LAST, login;
