-- Question: which users have a seat and have provably not used Box for 90 days?
-- Answer:   one row per user, the longest idle first, with a sentence that explains the state. Suspended users, users on leave, new
--           users and unknown users are excluded: see seat_state in the table accounts.

SELECT login, name, proven_idle_days, meaning, group_count, monthly_cost, currency
FROM idle_accounts
WHERE proven_idle_days >= 90
ORDER BY proven_idle_days DESC, login;
