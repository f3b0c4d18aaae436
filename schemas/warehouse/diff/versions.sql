-- Question: which versions of users does the run add to users_history?
-- Grain:    one row per user that is new or differs from the base in a tracked column, and one per user that is gone.
-- Columns:  user_id, valid_from, is_deleted, deprovision_reason, run_number, then the tracked columns.
--
-- Reads this_run, tracked and base_tracked (user_id and the tracked columns, of the run's snapshot and of its base),
-- seen_versions and departures. Without a base, base_tracked is empty and all users are new.

SELECT
    tracked.user_id,
    this_run.started_at AS valid_from,
    FALSE AS is_deleted,
    CAST(NULL AS VARCHAR) AS deprovision_reason,
    this_run.run_number,
    tracked.* EXCLUDE (user_id)
FROM tracked
CROSS JOIN this_run
LEFT JOIN base_tracked ON base_tracked.user_id = tracked.user_id
LEFT JOIN (
    SELECT user_id, arg_max(is_deleted, run_number) AS is_deleted FROM seen_versions GROUP BY user_id
) AS seen ON seen.user_id = tracked.user_id
-- Whole rows are compared, so that no column can be missed here. A base that is older than the history has no versions, so each
-- user gets a first version.
WHERE tracked IS DISTINCT FROM base_tracked OR coalesce(seen.is_deleted, TRUE)

UNION ALL

SELECT
    base_tracked.user_id,
    this_run.started_at,
    TRUE,
    departures.reason,
    this_run.run_number,
    base_tracked.* EXCLUDE (user_id) REPLACE (CAST(NULL AS VARCHAR) AS status)
FROM base_tracked
CROSS JOIN this_run
LEFT JOIN departures ON departures.user_id = base_tracked.user_id
WHERE base_tracked.user_id NOT IN (SELECT user_id FROM tracked)
ORDER BY user_id
