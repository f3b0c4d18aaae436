-- Question: how were our seats used at the time of the snapshot, and what did they cost?
-- Grain:    one row: the snapshot of this file.
-- Columns:  those of the table `seat_usage_daily`, in its order.
--
-- Reads report_settings, licence_terms, accounts, user_changes, reclaim_candidates, and a scratch table of the build:
-- reclaim_policy (policy_digest, refusal). It has no row without a policy. With a refusal, no user was evaluated.
--
-- The row is computed once, when its snapshot is built, and kept in the lake. Later thresholds and terms do not change it.

WITH ground AS (
    SELECT
        settings.*,
        epoch_us(settings.now_at) AS now_us,
        CAST(86400000000 AS BIGINT) AS day_us,
        -- As for accounts.logins_30d: a count over a span without full coverage would be too small.
        CASE WHEN epoch_us(spans.to_at) >= epoch_us(settings.now_at) - 172800000000 THEN
            (epoch_us(settings.now_at) - epoch_us(spans.from_at)) // 86400000000
        END AS covered_days
    FROM report_settings AS settings
    CROSS JOIN (SELECT max(login_coverage_from) AS from_at, max(login_coverage_to) AS to_at FROM accounts) AS spans
),

terms AS (
    SELECT
        CASE WHEN count(*) = count(licence_terms.seats_purchased) THEN
            CAST(sum(licence_terms.seats_purchased) AS BIGINT)
        END AS seats_purchased
    FROM licence_terms CROSS JOIN report_settings
    WHERE coalesce(licence_terms.valid_from_date <= report_settings.snapshot_date, TRUE)
        AND coalesce(licence_terms.valid_to_date >= report_settings.snapshot_date, TRUE)
),

seats AS (
    SELECT
        count(*) AS assigned,
        count(*) FILTER (WHERE epoch_us(last_activity_at) > now_us - 30 * day_us) AS active_30d,
        count(*) FILTER (WHERE epoch_us(last_activity_at) > now_us - 60 * day_us) AS active_60d,
        count(*) FILTER (WHERE epoch_us(last_activity_at) > now_us - 90 * day_us) AS active_90d,
        count(*) FILTER (WHERE seat_state = 'suspended') AS suspended_count,
        count(*) FILTER (WHERE seat_state = 'paused') AS paused_count,
        count(*) FILTER (WHERE seat_state = 'used') AS used_count,
        count(*) FILTER (WHERE seat_state = 'too_new') AS too_new_count,
        count(*) FILTER (WHERE seat_state = 'idle') AS idle_count,
        count(*) FILTER (WHERE seat_state = 'never_since_created') AS never_since_created_count,
        count(*) FILTER (WHERE seat_state = 'no_login_seen') AS no_login_seen_count,
        count(*) FILTER (WHERE seat_state = 'unknown') AS unknown_count,
        sum(monthly_cost) AS monthly_cost,
        -- With terms and without unused seats the waste is zero, not unknown.
        CASE WHEN count(monthly_cost) > 0 THEN
            coalesce(
                sum(monthly_cost) FILTER (
                    WHERE seat_state IN ('suspended', 'idle', 'never_since_created', 'no_login_seen')
                ),
                0
            )
        END AS monthly_waste,
        max(currency) AS currency
    FROM accounts CROSS JOIN ground
    WHERE consumes_seat
),

moves AS (
    SELECT
        count(*) FILTER (WHERE change IN ('joined', 'returned')) AS joined_count,
        count(*) FILTER (WHERE change = 'left') AS left_count
    FROM user_changes JOIN report_settings ON report_settings.run_number = user_changes.run_number
),

-- One row; without a policy all its values are NULL.
policy AS (
    SELECT
        max(policy_digest) AS policy_digest,
        CASE WHEN count(*) > count(refusal) THEN
            (SELECT count(*) FROM reclaim_candidates WHERE left_out_reason IS NULL)
        END AS reclaimable_count
    FROM reclaim_policy
)

SELECT
    ground.snapshot_date,
    ground.run_number,
    terms.seats_purchased,
    seats.assigned AS seats_assigned,
    terms.seats_purchased - seats.assigned AS seats_free,
    CASE WHEN ground.covered_days >= 30 THEN seats.active_30d END AS active_30d,
    CASE WHEN ground.covered_days >= 60 THEN seats.active_60d END AS active_60d,
    CASE WHEN ground.covered_days >= 90 THEN seats.active_90d END AS active_90d,
    seats.suspended_count,
    seats.paused_count,
    seats.used_count,
    seats.too_new_count,
    seats.idle_count,
    seats.never_since_created_count,
    seats.no_login_seen_count,
    seats.unknown_count,
    policy.reclaimable_count,
    moves.joined_count,
    moves.left_count,
    CAST(seats.monthly_cost AS DECIMAL(18, 4)) AS monthly_cost,
    CAST(seats.monthly_waste AS DECIMAL(18, 4)) AS monthly_waste,
    seats.currency,
    policy.policy_digest
FROM ground
CROSS JOIN terms
CROSS JOIN seats
CROSS JOIN moves
CROSS JOIN policy
