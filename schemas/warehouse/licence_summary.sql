-- Question: how are our seats used, and what does it cost?
-- Grain:    one row per seat state, including states without seats; the sum of seats_count is seats_assigned_count.
-- Columns:  snapshot_date, seat_state, seat_state_order, seats_count, seats_percent, seats_assigned_count, meaning,
--           monthly_cost, currency, is_waste.
--
-- Reads accounts and report_settings.

SELECT
    settings.snapshot_date,
    states.seat_state,
    CAST(states.seat_state_order AS INTEGER) AS seat_state_order,
    coalesce(counts.seats_count, 0) AS seats_count,
    CASE WHEN assigned.seats_count > 0 THEN
        CAST(round(100.0 * coalesce(counts.seats_count, 0) / assigned.seats_count, 2) AS DOUBLE)
    END AS seats_percent,
    assigned.seats_count AS seats_assigned_count,
    CASE states.seat_state
        WHEN 'suspended' THEN 'Suspended in Box, and still takes a seat until it is deleted.'
        WHEN 'paused' THEN 'On leave, as the leave list says.'
        WHEN 'used' THEN concat('Used within the last ', settings.idle_after_days, ' days.')
        WHEN 'too_new' THEN concat(
            'Created within the last ', settings.new_user_grace_days, ' days, or back within the last ',
            settings.returned_grace_days, ': not judged yet.'
        )
        WHEN 'idle' THEN concat('Was used before, and provably not for ', settings.idle_after_days, ' days or more.')
        WHEN 'never_since_created' THEN 'Created while sign-ins were recorded, and no use seen since.'
        WHEN 'no_login_seen' THEN
            concat('No use on record, and the record reaches back ', settings.idle_after_days, ' days or more.')
        ELSE 'The record of sign-ins is too short or has a gap: nothing is claimed.'
    END AS meaning,
    counts.monthly_cost,
    counts.currency,
    states.is_waste
FROM (
    VALUES
        ('used', 1, FALSE),
        ('too_new', 2, FALSE),
        ('idle', 3, TRUE),
        ('never_since_created', 4, TRUE),
        ('no_login_seen', 5, TRUE),
        ('suspended', 6, TRUE),
        ('paused', 7, FALSE),
        ('unknown', 8, FALSE)
) AS states (seat_state, seat_state_order, is_waste)
CROSS JOIN report_settings AS settings
CROSS JOIN (SELECT count(*) AS seats_count FROM accounts WHERE consumes_seat) AS assigned
LEFT JOIN (
    SELECT
        seat_state,
        count(*) AS seats_count,
        CAST(sum(monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost,
        max(currency) AS currency
    FROM accounts
    WHERE consumes_seat
    GROUP BY seat_state
) AS counts ON counts.seat_state = states.seat_state
ORDER BY states.seat_state_order
