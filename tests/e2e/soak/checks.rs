//! What must hold after a failed start, and over all runs.

use boxseat_output::lake::Lake;

use crate::support::World;

/// The published file opens and shows a finished snapshot, complete; returns its run.
#[track_caller]
pub(super) fn assert_published_is_whole(world: &World) -> i64 {
    let whole = "SELECT (SELECT run_number FROM report_settings) AS night, \
        (SELECT status FROM sync_runs WHERE run_number = (SELECT run_number FROM report_settings)) AS status, \
        (SELECT rows_in_lake FROM run_rows JOIN sync_runs USING (run_id) WHERE table_name = 'users' \
            AND run_number = (SELECT run_number FROM report_settings)) AS counted, \
        (SELECT count(*) FROM users) AS users, \
        (SELECT count(*) FROM accounts WHERE account_status <> 'deprovisioned') AS accounts";
    let row = world.rows(whole).remove(0);
    assert_eq!((&row["status"], &row["counted"]), (&"complete".into(), &row["users"]), "{row:?}");
    assert_eq!(row["users"], row["accounts"], "{row:?}");
    row["night"].as_i64().unwrap()
}

/// Every version of a user follows the one before it, the last is current, and it equals `users`.
#[track_caller]
pub(crate) fn assert_histories_chain(world: &World) {
    let broken = "SELECT user_id, version_no FROM (SELECT *, lead(valid_from) OVER person AS next_from, \
        row_number() OVER person AS place, lag(is_deleted) OVER person AS was_deleted FROM users_history \
        WINDOW person AS (PARTITION BY user_id ORDER BY version_no)) \
        WHERE version_no <> place OR valid_to IS DISTINCT FROM next_from OR is_current <> (next_from IS NULL) \
        OR valid_to < valid_from OR (is_deleted AND (was_deleted IS NULL OR was_deleted))";
    assert!(world.rows(broken).is_empty(), "histories with a gap: {:?}", world.rows(broken));
    let apart = "SELECT coalesce(h.user_id, u.user_id) AS user_id FROM \
        (SELECT * FROM users_history WHERE is_current AND NOT is_deleted) h FULL JOIN users u USING (user_id) \
        WHERE h.user_id IS NULL OR u.user_id IS NULL OR (h.login, h.name, h.status, h.role, h.job_title, h.tracking_codes) \
            IS DISTINCT FROM (u.login, u.name, u.status, u.role, u.job_title, u.tracking_codes)";
    assert!(world.rows(apart).is_empty(), "the newest version is not the user: {:?}", world.rows(apart));
}

/// What must hold over the whole life of a store. `lost` is how many calls may be missing in the ledger; returns how many are.
#[track_caller]
pub(super) fn assert_whole_life(world: &World, lost: u64) -> u64 {
    assert_histories_chain(world);
    for (what, sql) in [
        (
            "events that are there twice",
            "SELECT count(*) - count(DISTINCT event_id) FROM (SELECT event_id FROM login_events UNION ALL SELECT event_id FROM admin_events)",
        ),
        (
            "rows that do not add up",
            "SELECT count(*) FROM run_rows WHERE rows_from_box + rows_carried - rows_duplicate - rows_rejected - rows_dropped <> rows_in_lake \
                OR rows_in_lake <> rows_in_warehouse",
        ),
        (
            "complete runs, replayed ones aside, without an account of each of their tables",
            "SELECT count(*) FROM (SELECT run_id, count(table_name) AS tables FROM sync_runs LEFT JOIN run_rows USING (run_id) \
                WHERE status = 'complete' AND run_number NOT IN (SELECT replaces_run_number FROM sync_runs WHERE replaces_run_number IS NOT NULL) GROUP BY run_id HAVING tables <> 5)",
        ),
        (
            "run numbers without exactly one row",
            "SELECT count(*) FROM (SELECT number FROM generate_series(1, (SELECT max(run_number) FROM sync_runs)) AS n(number) \
                LEFT JOIN sync_runs ON run_number = number GROUP BY number HAVING count(run_number) <> 1)",
        ),
        (
            "runs whose calls are not those of their ledger",
            "SELECT count(*) FROM (SELECT run_id, any_value(s.calls_count) AS said, coalesce(sum(c.calls_count), 0) AS noted \
                FROM sync_runs s LEFT JOIN run_calls c USING (run_id) WHERE kind = 'sync' GROUP BY run_id HAVING said <> noted)",
        ),
        ("changes of unknown users", "SELECT count(*) FROM user_changes ANTI JOIN accounts USING (user_id)"),
        (
            "changes that a run tells twice",
            "SELECT count(*) FROM (SELECT user_id, run_number, change, attribute, object_id, new_value FROM user_changes \
                GROUP BY ALL HAVING count(*) > 1)",
        ),
    ] {
        assert_eq!(world.value(sql), 0, "{what}");
    }
    let lake = Lake::open(&world.store().join("lake"), 0o640).unwrap();
    let (reserved, ended) = (lake.reservations().unwrap(), lake.sync_runs().unwrap());
    let reserved: Vec<u64> = reserved.iter().map(|run| run.run_number.0).collect();
    let mut ended: Vec<u64> = ended.iter().map(|run| run.run_number.0).collect();
    ended.sort_unstable();
    assert_eq!(reserved, ended, "every number that was reserved has one row in the lake");
    let noted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
    let made = world.simulator.counts().calls;
    assert!(noted <= made && made - noted <= lost, "{noted} calls noted, {made} made, at most {lost} lost");
    made - noted
}
