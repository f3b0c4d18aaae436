-- Question: how are our seats used?
-- Grain:    one row per seat state, also those no seat is in; seats_count adds up to seats_assigned_count.
-- Columns:  snapshot_date, seat_state, seat_state_order, seats_count, seats_percent, seats_assigned_count, meaning.
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
        WHEN 'used' THEN concat('Signed in within the last ', settings.idle_after_days, ' days.')
        WHEN 'too_new' THEN concat('Created within the last ', settings.new_user_grace_days, ' days: not judged yet.')
        WHEN 'idle' THEN concat('Has signed in before, and provably not for ', settings.idle_after_days, ' days or more.')
        WHEN 'never_since_created' THEN 'Created while sign-ins were recorded, and has never signed in.'
        WHEN 'no_login_seen' THEN
            concat('No sign-in on record, and the record reaches back ', settings.idle_after_days, ' days or more.')
        ELSE 'The record of sign-ins is too short or has a gap: nothing is claimed.'
    END AS meaning
FROM (
    VALUES
        ('used', 1),
        ('too_new', 2),
        ('idle', 3),
        ('never_since_created', 4),
        ('no_login_seen', 5),
        ('suspended', 6),
        ('unknown', 7)
) AS states (seat_state, seat_state_order)
CROSS JOIN report_settings AS settings
CROSS JOIN (SELECT count(*) AS seats_count FROM accounts WHERE consumes_seat) AS assigned
LEFT JOIN (
    SELECT seat_state, count(*) AS seats_count FROM accounts WHERE consumes_seat GROUP BY seat_state
) AS counts ON counts.seat_state = states.seat_state
ORDER BY states.seat_state_order
