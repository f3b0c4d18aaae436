-- Question: whom did we suspend, and since when do we pay for nothing?
-- Answer:   one row per suspended account. Suspending frees no seat, only deleting does. is_at_least: it was so before the
--           first night, so it is longer than it says.

SELECT login, suspended_since, suspended_days, is_at_least, space_used_bytes, monthly_cost, currency
FROM suspended_seats
ORDER BY suspended_days DESC, login;
