-- Question: which accounts are suspended, and since when do we pay for them without use?
-- Answer:   one row per suspended account. Suspending frees no seat, only deleting does. is_at_least: the account was suspended
--           before the first snapshot, so the real time is longer.

SELECT login, suspended_since, suspended_days, is_at_least, space_used_bytes, monthly_cost, currency
FROM suspended_seats
ORDER BY suspended_days DESC, login;
