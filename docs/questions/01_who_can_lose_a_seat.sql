-- Question: who has a seat and has provably not used Box for 90 days?
-- Answer:   one row per person, the longest first, with what is known in a sentence. Nobody suspended, on leave, new or
--           unknown is in it: for them, see seat_state in the table accounts.

SELECT login, name, proven_idle_days, meaning, group_count, monthly_cost, currency
FROM idle_accounts
WHERE proven_idle_days >= 90
ORDER BY proven_idle_days DESC, login;
