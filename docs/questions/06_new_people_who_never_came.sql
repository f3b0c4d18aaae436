-- Question: which users joined in the last 60 days and have not signed in yet?
-- Answer:   one row per user. These users may need help, or no seat. They are too new to count as idle.

SELECT accounts.login, accounts.name, changes.observed_at AS joined_at, accounts.seat_state
FROM user_changes AS changes
JOIN accounts ON accounts.user_id = changes.user_id
CROSS JOIN report_settings
WHERE changes.change = 'joined'
    AND epoch_us(changes.observed_at) > epoch_us(report_settings.now_at) - 60 * CAST(86400000000 AS BIGINT)
    AND accounts.consumes_seat
    AND accounts.last_activity_at IS NULL
ORDER BY joined_at DESC, accounts.login;
