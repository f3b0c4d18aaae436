-- An enterprise of 10,000 users for the test of the query plans: every table that a build loads has rows, with gaps, duplicates and
-- NULLs. Values are functions of the row's number, so every run of the test has the same rows.

CREATE TEMP MACRO mixed(number, bound) AS CAST((hash(number) >> 1) % bound AS BIGINT);
CREATE TEMP MACRO user_number(number) AS CAST(10000000000 + number AS VARCHAR);
CREATE TEMP MACRO group_number(number) AS CAST(500 + number AS VARCHAR);
CREATE TEMP MACRO days_ago(number) AS TIMESTAMPTZ '2026-03-02 02:00:00+00' - to_days(CAST(number AS INTEGER));

INSERT INTO report_settings BY NAME
SELECT
    DATE '2026-03-02' AS snapshot_date, 200 AS run_number, '900' AS enterprise_id, days_ago(0) AS now_at, 90 AS idle_after_days,
    45 AS new_user_grace_days, 183 AS login_window_days, 'UTC' AS time_zone, 50000 AS monthly_calls_count,
    60 AS returned_grace_days, 1 AS contract_version;

-- 11,000 users; the last 1,000 are gone.
CREATE TEMP TABLE everybody AS
SELECT
    number,
    user_number(number) AS user_id,
    'listed' AS listing,
    concat('user', number, '@example.com') AS login,
    CASE WHEN number % 997 > 0 THEN concat('Name ', number % 500) END AS name,
    CASE WHEN number % 12 = 0 THEN 'inactive' WHEN number % 200 <> 3 THEN 'active' END AS status,
    CASE WHEN number % 300 = 1 THEN 'coadmin' ELSE 'user' END AS role,
    CASE WHEN number % 7 > 0 THEN
        [{ 'name': 'Department', 'value': concat('D', number % 20) }, { 'name': 'Cost', 'value': NULL }]
    END AS tracking_codes,
    number % 100 = 9 AS is_platform_access_only,
    CASE WHEN number % 211 > 0 THEN days_ago(number % 4000) END AS created_at
FROM range(11000) AS numbers (number);

INSERT INTO users BY NAME
SELECT
    * EXCLUDE (number), days_ago(0) AS read_at, days_ago(number % 30) AS aliases_read_at, days_ago(number % 7) AS memberships_read_at,
    CASE WHEN number % 50 = 0 THEN '{"name_unreadable": 1}' END AS extra
FROM everybody
WHERE number < 10000;

INSERT INTO groups BY NAME
SELECT
    group_number(number) AS group_id, concat('Group ', number % 1900) AS name,
    CASE WHEN number = 0 THEN 'all_users_group' ELSE 'managed_group' END AS group_type,
    CASE WHEN number % 10 = 0 THEN 'directory' END AS provenance, days_ago(0) AS read_at,
    CASE WHEN number % 70 > 0 THEN days_ago(number % 7) END AS memberships_read_at
FROM range(2000) AS numbers (number);

INSERT INTO memberships BY NAME
SELECT
    concat('m', number) AS membership_id, user_number(number // 5) AS user_id,
    -- Every third membership is in one of ten large groups, so some users have two memberships of one group.
    group_number(CASE WHEN number % 3 = 0 THEN 1 + mixed(number, 10) ELSE 1 + mixed(number, 1900) END) AS group_id,
    CASE WHEN number % 40 = 0 THEN 'admin' WHEN number % 500 <> 3 THEN 'member' END AS role,
    days_ago(number % 1000) AS created_at, 'group' AS read_from, days_ago(0) AS read_at
FROM range(50000) AS numbers (number);

-- One user joined most groups since the base.
INSERT INTO memberships BY NAME
SELECT
    concat('joined', number) AS membership_id, user_number(4) AS user_id, group_number(number) AS group_id, 'member' AS role,
    days_ago(0) AS created_at, 'group' AS read_from, days_ago(0) AS read_at
FROM range(20, 1900) AS numbers (number);

INSERT INTO admin_events BY NAME
SELECT
    concat('joined', number) AS event_id, user_number(4) AS user_id, days_ago(0) - INTERVAL 1 HOUR AS created_at,
    group_number(number) AS group_id, 'GROUP_ADD_USER' AS event_type
FROM range(20, 1900) AS numbers (number);

INSERT INTO email_aliases BY NAME
SELECT
    concat('a', number) AS alias_id, user_number(mixed(number, 10000)) AS user_id, concat('alias', number, '@example.com') AS email,
    days_ago(0) AS read_at
FROM range(12000) AS numbers (number);

INSERT INTO login_events BY NAME
SELECT
    concat('login', number) AS event_id, CASE WHEN number % 1000 > 0 THEN user_number(mixed(number, 8000)) END AS user_id,
    days_ago(mixed(number * 3, 183)) AS created_at
FROM range(50000) AS numbers (number);

INSERT INTO admin_events BY NAME
SELECT
    concat('admin', number) AS event_id, CASE WHEN number % 100 > 0 THEN user_number(mixed(number, 10000)) END AS user_id,
    days_ago(number % 180) AS created_at, user_number(number % 20) AS actor_id, group_number(mixed(number, 2000)) AS group_id,
    (['EDIT_USER', 'NEW_USER', 'DELETE_USER', 'GROUP_ADD_USER', 'GROUP_REMOVE_USER', 'GROUP_DELETION'])[1 + number % 6] AS event_type
FROM range(20000) AS numbers (number);

INSERT INTO event_coverage BY NAME
SELECT
    event_type, days_ago(202 - run_number) AS covered_from_at, days_ago(200 - run_number) AS covered_to_at, run_number
FROM range(1, 201) AS runs (run_number)
CROSS JOIN (VALUES ('LOGIN'), ('NEW_USER'), ('DOWNLOAD'), ('UPLOAD'), ('PREVIEW'), ('ADD_TOKEN')) AS types (event_type)
WHERE run_number <> 25;

INSERT INTO sync_runs BY NAME
SELECT
    run_number, concat('run', run_number) AS run_id, 'sync' AS kind,
    CASE WHEN run_number % 37 = 5 THEN 'failed' ELSE 'complete' END AS status,
    DATE '2026-03-02' - CAST(200 - run_number AS INTEGER) AS snapshot_date,
    CASE WHEN run_number > 1 THEN run_number - 1 END AS base_run_number,
    CASE WHEN run_number % 53 = 10 THEN run_number - 1 END AS replaces_run_number,
    days_ago(200 - run_number) AS started_at, days_ago(200 - run_number) AS finished_at, days_ago(202 - run_number) AS window_from_at,
    days_ago(200 - run_number) AS window_to_at, 9 AS calls_count, 0 AS retries_count, 0 AS waited_seconds, 0 AS late_events_count,
    0 AS unknown_fields_count, 0 AS rejects_count, 'store' AS store_id, '0.1.0' AS version
FROM range(1, 201) AS runs (run_number);

INSERT INTO run_calls BY NAME
SELECT
    concat('run', run_number) AS run_id, DATE '2026-03-02' - CAST(200 - run_number AS INTEGER) AS call_date, endpoint,
    9 AS calls_count, 0 AS retries_count, 0 AS throttled_count, 0 AS errors_count
FROM range(1, 201) AS runs (run_number) CROSS JOIN (VALUES ('/users'), ('/groups'), ('/events')) AS endpoints (endpoint);

INSERT INTO run_rows BY NAME
SELECT
    concat('run', run_number) AS run_id, table_name, 1 AS rows_from_box, 0 AS rows_carried, 0 AS rows_duplicate, 0 AS rows_rejected,
    0 AS rows_dropped, 1 AS rows_in_lake
FROM range(1, 201) AS runs (run_number) CROSS JOIN (VALUES ('users'), ('groups'), ('events')) AS tables (table_name);

INSERT INTO imported_evidence BY NAME
SELECT
    user_number(mixed(number, 10500)) AS user_id, (['user_details', 'user_engagement'])[1 + number % 2] AS source,
    days_ago(mixed(number, 900)) AS evidence_at, days_ago(number % 5) AS imported_at, 'digest' AS file_digest
FROM range(10000) AS numbers (number);

-- 30 readings of a list of 500 leaves.
INSERT INTO leave_periods BY NAME
SELECT
    CASE WHEN number % 101 > 0 THEN user_number(mixed(number, 10000)) END AS user_id,
    DATE '2026-03-02' - CAST(number % 300 AS INTEGER) AS from_date,
    CASE WHEN number % 5 > 0 THEN DATE '2026-03-02' + CAST(mixed(number, 400) - 300 AS INTEGER) END AS to_date,
    days_ago(reading * 3) AS imported_at, 'digest' AS file_digest
FROM range(500) AS numbers (number) CROSS JOIN range(30) AS readings (reading)
WHERE (number + reading) % 4 > 0;

INSERT INTO user_changes BY NAME
SELECT
    concat('change', number) AS change_id, days_ago(number % 200) AS observed_at,
    CASE WHEN number % 3 > 0 THEN days_ago(number % 200) END AS event_at,
    CASE WHEN number % 3 > 0 THEN concat('admin', mixed(number, 20000)) END AS event_id, 200 - number % 200 AS run_number,
    user_number(mixed(number, 11000)) AS user_id, group_number(mixed(number, 2000)) AS object_id,
    (['joined', 'left', 'returned', 'suspended', 'reactivated', 'role_changed', 'group_added'])[1 + number % 7] AS change,
    CASE WHEN number % 7 IN (3, 4) THEN 'status' END AS attribute
FROM range(20000) AS numbers (number);

INSERT INTO seat_actions BY NAME
SELECT
    concat('action', number) AS action_id, user_number(mixed(number, 10000)) AS user_id,
    (['suspend', 'restore', 'delete'])[1 + number % 3] AS action, user_number(3) AS actor_user_id, days_ago(number % 90) AS requested_at,
    CASE WHEN number % 7 > 0 THEN days_ago(number % 90) END AS finished_at, 'done' AS outcome, 'hash' AS prev_hash
FROM range(2000) AS numbers (number);

INSERT INTO licence_terms BY NAME
SELECT 'enterprise' AS plan_id, 12000 AS seats_purchased, 35 AS cost_per_seat_monthly, 'EUR' AS currency, 'all' AS match_rule;

INSERT INTO reclaim_candidates BY NAME
SELECT
    user_number(number) AS user_id, 'suspend' AS stage, CASE WHEN number % 2 = 0 THEN 'protected' END AS left_out_reason
FROM range(9000) AS numbers (number);

-- Scratch tables of the build. The test creates `versions`, which has the columns of `users_history`.
CREATE TEMP TABLE service_accounts AS SELECT user_number(11) AS id_or_login;
CREATE TEMP TABLE thinned_logins AS SELECT CAST(NULL AS BIGINT) AS thinned_to_us;
CREATE TEMP TABLE reclaim_policy AS SELECT 'digest' AS policy_digest, CAST(NULL AS VARCHAR) AS refusal;
-- Terms of each kind. Most users match several of them.
CREATE TEMP TABLE licence_rules AS
SELECT * FROM (
    VALUES
        (0, 'tracking_code', 'Department', 'D3', 'suite', CAST(47.5 AS DECIMAL(18, 4)), 'EUR'),
        (1, 'group', NULL, '505', 'design', 20, 'EUR'),
        (2, 'tracking_code', 'Department', 'D4', 'without_cost', NULL, NULL),
        (3, 'group', NULL, '507', 'group', 21, 'EUR'),
        (4, 'all', NULL, NULL, 'enterprise', 35, 'EUR'),
        (5, 'all', NULL, NULL, 'never', 1, 'EUR')
) AS rules (rule_order, rule_kind, rule_name, rule_value, plan_id, cost_per_seat_monthly, currency);

CREATE TEMP TABLE activity_daily_rows AS
SELECT DISTINCT ON (user_id, activity_date, event_type, run_number)
    user_number(mixed(number, 7500)) AS user_id, DATE '2026-03-02' - CAST(mixed(number * 11, 180) AS INTEGER) AS activity_date,
    (['DOWNLOAD', 'UPLOAD', 'PREVIEW', 'ADD_TOKEN'])[1 + mixed(number * 13, 4)] AS event_type, 1 + number % 9 AS events_count,
    -- The newest run that covers the day, and the two before it.
    CAST(greatest(1, 201 - mixed(number * 11, 180) - number % 3) AS BIGINT) AS run_number
FROM range(60000) AS numbers (number);

-- One to three versions of each user, and a tombstone of those who are gone.
INSERT INTO versions BY NAME
SELECT
    everybody.user_id, days_ago(200 - run_number) AS valid_from, is_deleted,
    CASE WHEN is_deleted THEN 'deleted' END AS deprovision_reason, run_number, everybody.* EXCLUDE (number, user_id)
FROM everybody
JOIN (
    SELECT number, CAST(1 + step * 60 + mixed(number, 50) AS BIGINT) AS run_number, number >= 10000 AND step = 2 AS is_deleted
    FROM range(11000) AS numbers (number) CROSS JOIN range(3) AS steps (step)
    WHERE step = 0 OR number >= 10000 OR number % (step * 3) = 0
) AS seen ON seen.number = everybody.number;
