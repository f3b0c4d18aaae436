-- Question: how are our seats used, and what do they cost?
-- Answer:   one row per state; the rows add up to the assigned seats. is_waste shows the states whose cost counts as waste.

SELECT seat_state, seats_count, seats_percent, monthly_cost, currency, is_waste, meaning
FROM licence_summary
ORDER BY seat_state_order;
