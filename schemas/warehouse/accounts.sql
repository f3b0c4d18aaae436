-- Question: which accounts exist, does each take a seat, and is it used?
-- Grain:    one row per user that any snapshot listed: the users in `users`, and users whose newest version in users_history is_deleted.
-- Columns:  those of the table `accounts`, in its order.
--
-- Reads report_settings, users, memberships, email_aliases, login_events, activity_daily, imported_evidence, leave_periods,
-- event_coverage, users_history, user_changes, sync_runs, and three scratch tables of the build:
-- service_accounts (id_or_login): the configured service accounts.
-- licence_rules (rule_order, rule_kind, rule_name, rule_value, plan_id, cost_per_seat_monthly, currency): the terms that are
-- in force on the date of the snapshot.
-- thinned_logins (thinned_to_us): one row. [privacy] login_events removed sign-ins before that time, so counts that include
-- earlier time are unknown.
--
-- A seat is idle only if proven_idle_days proves it. A user who was not observed for long enough (new, returned, back from
-- leave, moved in from another enterprise, or after a gap in coverage) is too_new or unknown, whatever the band is.
--
-- A leave list does not have past leaves, so every list that was read is kept. The newest list has the users on leave. A leave
-- that only an older list has ended on its last day, or when the first list without it was read, whichever is earlier. A leave
-- that was removed before it began is ignored.
--
-- Activity is counted by UTC day. Its time is the last moment of that day, at most now_at.
--
-- Days are whole 24 h back from report_settings.now_at, by epoch arithmetic, so the session's time zone has no effect.
-- A time after now_at (clocks differ) counts as 0 days ago.

WITH night AS (
    SELECT
        now_at,
        epoch_us(now_at) AS now_us,
        idle_after_days,
        new_user_grace_days,
        returned_grace_days,
        snapshot_date,
        CAST(86400000000 AS BIGINT) AS day_us,
        -- Coverage may end this long before the snapshot: the settle time and one missed run.
        CAST(172800000000 AS BIGINT) AS stale_after_us
    FROM report_settings
),

-- If several current runs read the same time, the newest of them decides whether sign-ins are proved. An event that arrived late and
-- could not be parsed, or that names no user, was not there when the earlier run read that time.
readings AS (
    SELECT
        run_number,
        min(window_from_at) OVER (
            ORDER BY window_to_at, run_number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS read_again_from_at
    FROM sync_runs
    WHERE status = 'complete'
        AND run_number NOT IN (
            SELECT replaces_run_number FROM sync_runs WHERE status = 'complete' AND replaces_run_number IS NOT NULL
        )
),

login_spans AS (
    SELECT covered_from_at, least(covered_to_at, read_again_from_at) AS covered_to_at
    FROM event_coverage LEFT JOIN readings USING (run_number)
    WHERE event_type = 'LOGIN'
),

-- Proved intervals of LOGIN merged where they overlap or touch; a gap starts a new island.
login_islands AS (
    SELECT
        covered_from_at,
        covered_to_at,
        sum(CASE WHEN covered_from_at <= reached_at THEN 0 ELSE 1 END)
            OVER (ORDER BY covered_from_at, covered_to_at ROWS UNBOUNDED PRECEDING) AS island
    FROM (
        SELECT
            covered_from_at,
            covered_to_at,
            max(covered_to_at) OVER (
                ORDER BY covered_from_at, covered_to_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS reached_at
        FROM login_spans
        WHERE covered_from_at < covered_to_at
    ) AS intervals
),

-- The newest island: one row, of NULLs when nothing is covered.
coverage AS (
    SELECT max(island_from_at) AS from_at, max(island_to_at) AS to_at
    FROM (
        SELECT min(covered_from_at) AS island_from_at, max(covered_to_at) AS island_to_at
        FROM login_islands
        GROUP BY island
    ) AS islands
),

ground AS (
    SELECT
        night.*,
        coverage.from_at AS coverage_from_at,
        coverage.to_at AS coverage_to_at,
        epoch_us(coverage.from_at) AS coverage_from_us,
        coalesce(epoch_us(coverage.to_at) >= now_us - stale_after_us, FALSE) AS is_fresh
    FROM night CROSS JOIN coverage
),

logins AS (
    SELECT
        user_id,
        max(created_at) AS last_login_at,
        count(*) FILTER (WHERE epoch_us(created_at) > now_us - 30 * day_us) AS logins_30d,
        count(*) FILTER (WHERE epoch_us(created_at) > now_us - 90 * day_us) AS logins_90d,
        count(*) FILTER (WHERE epoch_us(created_at) > now_us - 183 * day_us) AS logins_183d
    FROM login_events CROSS JOIN night
    WHERE user_id IS NOT NULL
    GROUP BY user_id
),

-- Imported evidence that is not older than the account. In older reports, an address that a new account now has means the old account.
reports AS (
    SELECT imported_evidence.user_id, imported_evidence.evidence_at, imported_evidence.source
    FROM imported_evidence
    LEFT JOIN users_history AS latest ON latest.user_id = imported_evidence.user_id AND latest.is_current
    WHERE coalesce(imported_evidence.evidence_at >= latest.created_at, TRUE)
),

-- All evidence of use. Reports add evidence that the feed does not have, so they can only move a user towards used.
uses AS (
    SELECT user_id, epoch_us(last_login_at) AS at_us, 'LOGIN' AS source FROM logins
    UNION ALL
    SELECT
        user_id,
        least((activity_date - DATE '1970-01-01' + 1) * day_us - 1, now_us),
        event_type
    FROM activity_daily CROSS JOIN night
    UNION ALL
    SELECT user_id, epoch_us(evidence_at), source FROM reports
),

last_uses AS (
    SELECT user_id, max(struct_pack(at_us := at_us, source := source)) AS newest FROM uses GROUP BY user_id
),

-- Accounts that create tokens without any sign-in. Only token events count here: a user of an installed app also has activity without a
-- LOGIN event, because the app renews its token without one.
machines AS (
    SELECT DISTINCT activity_daily.user_id
    FROM activity_daily
    CROSS JOIN ground
    ANTI JOIN logins ON logins.user_id = activity_daily.user_id
    ANTI JOIN reports ON reports.user_id = activity_daily.user_id
    WHERE contains(activity_daily.event_type, 'TOKEN')
        AND ground.is_fresh
        AND ground.now_us - ground.coverage_from_us >= ground.idle_after_days * ground.day_us
),

leave_lists AS (
    SELECT imported_at, lead(imported_at) OVER (ORDER BY imported_at) AS replaced_at
    FROM (SELECT DISTINCT imported_at FROM leave_periods) AS readings
),

-- Leaves that have begun, with the time when they ended. For a current leave it is now_at.
leaves AS (
    SELECT
        leave_periods.user_id,
        leave_periods.to_date,
        leave_lists.replaced_at IS NULL
            AND coalesce(leave_periods.to_date >= snapshot_date, TRUE) AS is_on_leave,
        -- least() ignores NULL.
        least(
            (leave_periods.to_date - DATE '1970-01-01' + 1) * day_us,
            epoch_us(leave_lists.replaced_at),
            now_us
        ) AS ended_us
    FROM leave_periods
    JOIN leave_lists ON leave_lists.imported_at = leave_periods.imported_at
    CROSS JOIN night
    WHERE leave_periods.from_date <= snapshot_date
        AND coalesce(
            (leave_periods.from_date - DATE '1970-01-01') * day_us < epoch_us(leave_lists.replaced_at),
            TRUE
        )
),

last_leaves AS (
    SELECT
        user_id,
        max(ended_us) AS ended_us,
        bool_or(is_on_leave) AS is_on_leave,
        CASE WHEN NOT bool_or(is_on_leave AND to_date IS NULL) THEN
            max(to_date) FILTER (WHERE is_on_leave)
        END AS until_date
    FROM leaves
    GROUP BY user_id
),

-- The first matching terms in the order of the configuration.
plans AS (
    SELECT user_id, min(rule_order) AS rule_order
    FROM (
        SELECT users.user_id, rule_order FROM users JOIN licence_rules ON rule_kind = 'all'
        UNION ALL
        SELECT codes.user_id, rule_order
        FROM (SELECT user_id, unnest(tracking_codes) AS code FROM users) AS codes
        JOIN licence_rules
            ON rule_kind = 'tracking_code' AND rule_name = codes.code.name AND rule_value = codes.code."value"
        UNION ALL
        SELECT memberships.user_id, rule_order
        FROM memberships
        JOIN licence_rules ON rule_kind = 'group' AND rule_value = memberships.group_id
    ) AS matches
    GROUP BY user_id
),

group_counts AS (
    SELECT user_id, count(*) AS group_count FROM memberships GROUP BY user_id
),

alias_counts AS (
    SELECT user_id, count(*) AS alias_count FROM email_aliases GROUP BY user_id
),

-- All users that any snapshot listed. A user who is gone has the last known values.
people AS (
    SELECT
        user_id,
        login,
        name,
        role,
        status,
        is_platform_access_only,
        created_at,
        listing,
        read_at,
        space_used_bytes,
        aliases_read_at,
        memberships_read_at,
        FALSE AS is_gone,
        NULL AS deprovision_reason,
        NULL AS gone_in_run_number
    FROM users
    UNION ALL
    SELECT
        gone.user_id,
        gone.login,
        gone.name,
        gone.role,
        last_known.status,
        gone.is_platform_access_only,
        gone.created_at,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        TRUE,
        gone.deprovision_reason,
        gone.run_number
    FROM users_history AS gone
    LEFT JOIN (
        SELECT user_id, arg_max(status, version_no) AS status FROM users_history WHERE NOT is_deleted GROUP BY user_id
    ) AS last_known ON last_known.user_id = gone.user_id
    WHERE gone.is_current AND gone.is_deleted
),

-- For each run, when its base run started. For the run that found a user gone, this is the last snapshot that listed the user.
last_nights AS (
    SELECT runs.run_number, bases.started_at
    FROM sync_runs AS runs
    JOIN sync_runs AS bases ON bases.run_number = runs.base_run_number
),

first_seen AS (
    SELECT
        user_id,
        min(valid_from) AS first_seen_at,
        -- A user of the store's first snapshot may have existed for years.
        min(valid_from) > (SELECT min(valid_from) FROM users_history) AS is_later
    FROM users_history
    GROUP BY user_id
),

-- An account is created once. If its dates differ, the latest counts, because an older account becomes idle sooner. Dates before Box
-- existed (2005) and dates in the future are ignored.
creations AS (
    SELECT user_id, max(created_at) AS created_at
    FROM users_history CROSS JOIN night
    WHERE epoch_us(created_at) BETWEEN 1104537600000000 AND now_us + day_us
    GROUP BY user_id
),

-- The version with which the current status began: the one after the last version with another status. If an event announced the
-- change, the event has the time.
status_versions AS (
    SELECT
        latest.user_id,
        coalesce(
            max(every.version_no) FILTER (
                WHERE every.is_deleted <> latest.is_deleted OR every.status IS DISTINCT FROM latest.status
            ),
            0
        ) + 1 AS version_no
    FROM users_history AS latest
    JOIN users_history AS every ON every.user_id = latest.user_id
    WHERE latest.is_current
    GROUP BY latest.user_id
),

statuses AS (
    SELECT status_versions.user_id, coalesce(changes.event_at, began.valid_from) AS since_at
    FROM status_versions
    JOIN users_history AS began
        ON began.user_id = status_versions.user_id AND began.version_no = status_versions.version_no
    LEFT JOIN user_changes AS changes
        ON changes.user_id = began.user_id
        AND changes.run_number = began.run_number
        AND (changes.attribute = 'status' OR changes.change = 'left')
),

-- The time in which an account was closed does not count as idle.
returns AS (
    SELECT user_id, max(coalesce(event_at, observed_at)) AS last_return_at
    FROM user_changes
    WHERE change IN ('returned', 'reactivated')
    GROUP BY user_id
),

kinds AS (
    SELECT
        user_id,
        CASE
            WHEN coalesce(is_platform_access_only, FALSE) THEN 'app_user'
            WHEN regexp_matches(lower(login), '^appuser_.*@boxdevedition\.com$') THEN 'app_user'
            WHEN regexp_matches(lower(login), '^automationuser_.*@boxdevedition\.com$') THEN 'service_account'
            WHEN user_id IN (SELECT id_or_login FROM service_accounts) THEN 'service_account'
            WHEN lower(login) IN (SELECT lower(id_or_login) FROM service_accounts) THEN 'service_account'
            WHEN name = 'Box Admin Reports' THEN 'system'
            WHEN user_id IN (SELECT user_id FROM machines) THEN 'likely_machine'
            ELSE 'managed_user'
        END AS seat_kind,
        CASE
            WHEN is_gone THEN 'deprovisioned'
            WHEN status IN ('active', 'cannot_delete_edit', 'cannot_delete_edit_upload') THEN 'active'
            WHEN status = 'inactive' THEN 'suspended'
            ELSE 'unknown'
        END AS account_status
    FROM people
),

-- The known facts of each user, in microseconds since 1970; NULL = unknown.
evidence AS (
    SELECT
        people.user_id,
        people.is_gone,
        logins.last_login_at,
        epoch_us(logins.last_login_at) AS login_us,
        last_uses.newest.at_us AS use_us,
        last_uses.newest.source AS use_source,
        -- The latest time of a use that could have been missed. If it is in another band than the last known use, a later use may be
        -- missing.
        CASE WHEN last_uses.newest.at_us IS NOT NULL THEN
            greatest(last_uses.newest.at_us, coverage_from_us)
        END AS unseen_use_us,
        epoch_us(creations.created_at) AS created_us,
        -- First appearance after the store's first snapshot. It is later than the creation if, for example, the user came from another
        -- enterprise.
        CASE WHEN first_seen.is_later THEN epoch_us(first_seen.first_seen_at) END AS arrived_us,
        epoch_us(returns.last_return_at) AS returned_us,
        coalesce(last_leaves.is_on_leave, FALSE) AS is_on_leave,
        CASE WHEN last_leaves.is_on_leave THEN last_leaves.until_date END AS on_leave_until,
        -- greatest() ignores NULL, so all known facts count. coverage_from_us is always known here.
        -- An account without a known use and without a known creation may have been created yesterday.
        CASE WHEN is_fresh AND NOT people.is_gone AND coalesce(last_uses.newest.at_us, epoch_us(creations.created_at)) IS NOT NULL THEN
            greatest(
                last_uses.newest.at_us,
                coverage_from_us,
                epoch_us(creations.created_at),
                CASE WHEN first_seen.is_later THEN epoch_us(first_seen.first_seen_at) END,
                epoch_us(returns.last_return_at),
                last_leaves.ended_us
            )
        END AS proven_from_us,
        coalesce(creations.created_at BETWEEN coverage_from_at AND coverage_to_at, FALSE) AS is_created_covered,
        coalesce(logins.logins_30d, 0) AS logins_30d,
        coalesce(logins.logins_90d, 0) AS logins_90d,
        coalesce(logins.logins_183d, 0) AS logins_183d
    FROM people
    CROSS JOIN ground
    LEFT JOIN logins ON logins.user_id = people.user_id
    LEFT JOIN first_seen ON first_seen.user_id = people.user_id
    LEFT JOIN creations ON creations.user_id = people.user_id
    LEFT JOIN returns ON returns.user_id = people.user_id
    LEFT JOIN last_uses ON last_uses.user_id = people.user_id
    LEFT JOIN last_leaves ON last_leaves.user_id = people.user_id
),

-- Whole days; NULL when the time is NULL.
ages AS (
    SELECT
        evidence.*,
        CASE WHEN login_us > now_us THEN 0 ELSE (now_us - login_us) // day_us END AS login_days,
        CASE WHEN use_us > now_us THEN 0 ELSE (now_us - use_us) // day_us END AS use_days,
        CASE WHEN unseen_use_us > now_us THEN 0 ELSE (now_us - unseen_use_us) // day_us END AS unseen_use_days,
        CASE WHEN created_us > now_us THEN 0 ELSE (now_us - created_us) // day_us END AS created_days,
        CASE WHEN arrived_us > now_us THEN 0 ELSE (now_us - arrived_us) // day_us END AS arrived_days,
        CASE WHEN returned_us > now_us THEN 0 ELSE (now_us - returned_us) // day_us END AS returned_days,
        CASE WHEN coverage_from_us > now_us THEN 0 ELSE (now_us - coverage_from_us) // day_us END AS coverage_days,
        CASE WHEN proven_from_us > now_us THEN 0 ELSE (now_us - proven_from_us) // day_us END AS proven_days
    FROM evidence CROSS JOIN ground
),

bands AS (
    SELECT
        ages.*,
        CASE
            WHEN use_days <= 30 THEN '0-30'
            WHEN use_days <= 60 THEN '31-60'
            WHEN use_days <= 90 THEN '61-90'
            WHEN use_days <= 180 THEN '91-180'
            WHEN use_days > 180 THEN 'over_180'
        END AS use_band,
        CASE
            WHEN unseen_use_days <= 30 THEN '0-30'
            WHEN unseen_use_days <= 60 THEN '31-60'
            WHEN unseen_use_days <= 90 THEN '61-90'
            WHEN unseen_use_days <= 180 THEN '91-180'
            WHEN unseen_use_days > 180 THEN 'over_180'
        END AS unseen_use_band
    FROM ages
),

judged AS (
    SELECT
        bands.*,
        CASE
            WHEN NOT is_fresh THEN 'unknown'
            WHEN use_band = unseen_use_band THEN use_band
            WHEN use_us IS NOT NULL THEN 'unknown'
            WHEN created_days < new_user_grace_days THEN 'too_new'
            WHEN is_created_covered THEN 'never_since_created'
            WHEN created_us IS NULL THEN 'unknown'
            WHEN coverage_days >= idle_after_days THEN 'no_login_seen'
            ELSE 'unknown'
        END AS band
    FROM bands CROSS JOIN ground
)

SELECT
    people.user_id,
    people.login,
    people.name,
    people.role,
    kinds.account_status,
    people.status AS box_status,
    coalesce(people.status IN ('cannot_delete_edit', 'cannot_delete_edit_upload'), FALSE) AS is_restricted,
    people.deprovision_reason,
    kinds.seat_kind,
    kinds.seat_kind IN ('managed_user', 'likely_machine') AND NOT people.is_gone AS consumes_seat,
    -- First match wins.
    CASE
        WHEN kinds.seat_kind NOT IN ('managed_user', 'likely_machine') OR people.is_gone THEN NULL
        WHEN kinds.account_status = 'suspended' THEN 'suspended'
        WHEN judged.is_on_leave THEN 'paused'
        WHEN judged.use_days < ground.idle_after_days THEN 'used'
        WHEN judged.created_days < ground.new_user_grace_days THEN 'too_new'
        WHEN judged.arrived_days < ground.new_user_grace_days THEN 'too_new'
        WHEN judged.returned_days < ground.returned_grace_days THEN 'too_new'
        WHEN judged.use_us IS NOT NULL AND judged.proven_days >= ground.idle_after_days THEN 'idle'
        WHEN judged.band = 'never_since_created' AND judged.proven_days >= ground.new_user_grace_days THEN judged.band
        WHEN judged.band = 'no_login_seen' AND judged.proven_days >= ground.idle_after_days THEN judged.band
        ELSE 'unknown'
    END AS seat_state,
    people.created_at,
    first_seen.first_seen_at,
    CASE
        WHEN people.is_gone THEN last_nights.started_at
        WHEN people.listing = 'listed' THEN ground.now_at
        ELSE people.read_at
    END AS last_seen_at,
    statuses.since_at AS status_since,
    CASE WHEN kinds.account_status = 'suspended' THEN statuses.since_at END AS suspended_since,
    CASE WHEN people.is_gone THEN statuses.since_at END AS deprovisioned_at,
    judged.last_login_at,
    CASE WHEN ground.is_fresh AND judged.coverage_days >= 30 AND coalesce(thinned_to_us <= now_us - 30 * day_us, TRUE)
        THEN judged.logins_30d
    END AS logins_30d,
    CASE WHEN ground.is_fresh AND judged.coverage_days >= 90 AND coalesce(thinned_to_us <= now_us - 90 * day_us, TRUE)
        THEN judged.logins_90d
    END AS logins_90d,
    CASE WHEN ground.is_fresh AND judged.coverage_days >= 183 AND coalesce(thinned_to_us <= now_us - 183 * day_us, TRUE)
        THEN judged.logins_183d
    END AS logins_183d,
    CAST(judged.login_days AS INTEGER) AS days_since_login,
    make_timestamptz(judged.use_us) AS last_activity_at,
    judged.use_source AS last_activity_source,
    CAST(judged.proven_days AS INTEGER) AS proven_idle_days,
    ground.coverage_from_at AS login_coverage_from,
    ground.coverage_to_at AS login_coverage_to,
    judged.band AS inactivity_band,
    CAST(
        CASE judged.band
            WHEN '0-30' THEN 1
            WHEN '31-60' THEN 2
            WHEN '61-90' THEN 3
            WHEN '91-180' THEN 4
            WHEN 'over_180' THEN 5
            WHEN 'too_new' THEN 6
            WHEN 'never_since_created' THEN 7
            WHEN 'no_login_seen' THEN 8
            ELSE 9
        END AS INTEGER
    ) AS inactivity_band_order,
    judged.on_leave_until,
    coalesce(group_counts.group_count, 0) AS group_count,
    coalesce(alias_counts.alias_count, 0) AS alias_count,
    people.space_used_bytes,
    people.aliases_read_at,
    people.memberships_read_at,
    terms.plan_id AS licence_plan,
    terms.cost_per_seat_monthly AS monthly_cost,
    CASE WHEN terms.cost_per_seat_monthly IS NOT NULL THEN terms.currency END AS currency
FROM people
JOIN kinds ON kinds.user_id = people.user_id
JOIN judged ON judged.user_id = people.user_id
CROSS JOIN ground
CROSS JOIN thinned_logins
LEFT JOIN last_nights ON last_nights.run_number = people.gone_in_run_number
LEFT JOIN first_seen ON first_seen.user_id = people.user_id
LEFT JOIN statuses ON statuses.user_id = people.user_id
LEFT JOIN group_counts ON group_counts.user_id = people.user_id
LEFT JOIN alias_counts ON alias_counts.user_id = people.user_id
LEFT JOIN plans ON plans.user_id = people.user_id
-- Only a seat has a plan. With these conditions in the join above, DuckDB 1.5 compares every pair of rows.
LEFT JOIN licence_rules AS terms
    ON terms.rule_order
    = CASE WHEN kinds.seat_kind IN ('managed_user', 'likely_machine') AND NOT people.is_gone THEN plans.rule_order END
ORDER BY people.user_id
