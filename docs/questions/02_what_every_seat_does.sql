-- Question: what do our seats do, and what do they cost?
-- Answer:   one row per state, adding up to the seats assigned; is_waste says whose cost counts as waste.

SELECT seat_state, seats_count, seats_percent, monthly_cost, currency, is_waste, meaning
FROM licence_summary
ORDER BY seat_state_order;
