-- Question: which administrators do not use their account?
-- Answer:   one row per admin or co-admin. If an unused administrator account is stolen, the theft is likely to stay unnoticed.

SELECT login, role, seat_state, proven_idle_days, last_login_at
FROM dormant_admins
ORDER BY proven_idle_days DESC NULLS LAST, login;
