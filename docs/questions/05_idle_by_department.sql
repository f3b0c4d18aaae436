-- Question: which departments have unused seats?
-- Answer:   one row per value of the tracking code `Department`, and one for users without it. This query lists the names of the
--           codes: SELECT DISTINCT name FROM account_tracking_codes

WITH departments AS (
    SELECT user_id, min(value) AS department FROM account_tracking_codes WHERE name = 'Department' GROUP BY user_id
)
SELECT
    coalesce(departments.department, '(none)') AS department,
    count(*) AS seats,
    count(*) FILTER (WHERE seat_state = 'used') AS used,
    count(*) FILTER (WHERE seat_state IN ('idle', 'never_since_created', 'no_login_seen')) AS not_used,
    count(*) FILTER (WHERE seat_state = 'suspended') AS suspended,
    count(*) FILTER (WHERE seat_state = 'unknown') AS unknown
FROM accounts
LEFT JOIN departments ON departments.user_id = accounts.user_id
WHERE consumes_seat
GROUP BY 1
ORDER BY not_used DESC, department;
