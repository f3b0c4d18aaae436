//! Loads a [`Snapshot`] by SQL: from the published file, or from the file being built while a snapshot is published. The evaluation is
//! the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use boxseat_output::query::CheckedReader;
use boxseat_output::warehouse::{Deciding, RowsDigest};
use boxseat_pipeline::normalise::EventDays;
use boxseat_schemas::RunNumber;
use boxseat_schemas::reclaim::plan::SnapshotId;

use arrow::array::RecordBatch;
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_reclaim::rules::snapshot::{Edit, OnLeave, Person};

use super::columns::{Columns, Unreadable};
use crate::error::CommandError;
use crate::store::Store;

/// Loads everything that the rules read. `ask` runs SQL against the snapshot's file.
///
/// # Errors
/// The errors of `ask`, and a file whose columns this version does not know.
pub(crate) fn load<E: From<Unreadable>>(
    mut ask: impl FnMut(&str) -> Result<Vec<RecordBatch>, E>,
) -> Result<Snapshot, E> {
    let mut snapshot = night(&ask(NIGHT)?)?;
    for batch in ask(COVERAGE)? {
        read_coverage(&mut snapshot, &batch)?;
    }
    for batch in ask(SOURCES)? {
        let row = Columns::of(&batch);
        for index in row.rows() {
            snapshot.evidence_sources.push(row.text(0, index)?);
        }
    }
    for batch in ask(EVENTS_BY_DAY)? {
        let row = Columns::of(&batch);
        for index in row.rows() {
            if let Some(day) = row.date(0, index)? {
                snapshot.events_by_day.all.insert(day, row.count(1, index)?);
                snapshot.events_by_day.logins.insert(day, row.count(2, index)?);
            }
        }
    }
    for batch in ask(GROUPS)? {
        let row = Columns::of(&batch);
        for index in row.rows() {
            let group_id = row.text(0, index)?;
            if row.time(2, index)?.is_none() {
                snapshot.unread_groups.insert(group_id.clone());
            }
            snapshot.groups.insert(group_id, row.optional_text(1, index)?.unwrap_or_default());
        }
    }
    for batch in ask(PEOPLE)? {
        read_people(&mut snapshot, &batch)?;
    }
    for (sql, take) in LISTS {
        for batch in ask(sql)? {
            read_list(&mut snapshot, &batch, *take)?;
        }
    }
    Ok(snapshot)
}

/// Reads the published file, and compares its rows with the rows of the build.
///
/// # Errors
/// Exit 3 for rows that are not those of the build; as [`load`].
pub(crate) fn read(reader: &CheckedReader, store: &Store) -> Result<Snapshot, CommandError> {
    let mut digest = RowsDigest::default();
    let snapshot = load(|sql: &str| {
        let rows = reader.query(sql)?.batches;
        digest
            .take(&rows)
            .map_err(|e| CommandError::failed("the rows of the published file have no digest", e))?;
        Ok::<_, CommandError>(rows)
    })?;
    store.compare_deciding_rows(&deciding().name, &digest.finish())?;
    Ok(snapshot)
}

fn night(batches: &[RecordBatch]) -> Result<Snapshot, Unreadable> {
    let batch = batches.iter().find(|batch| batch.num_rows() == 1);
    let batch = batch.ok_or_else(|| Unreadable("report_settings does not have one row".to_owned()))?;
    let row = Columns::of(batch);
    let missing = |what: &str| Unreadable(format!("the published snapshot does not have {what}"));
    let run_number = u64::try_from(row.number(1, 0)?.unwrap_or(-1)).map_err(|_| missing("its run"))?;
    Ok(Snapshot {
        store_id: row.text(8, 0)?.parse().map_err(|_| missing("its store"))?,
        enterprise_id: row.text(2, 0)?,
        night: SnapshotId {
            run_number: RunNumber(run_number),
            snapshot_date: row.date(0, 0)?.ok_or_else(|| missing("its date"))?,
            now_at: row.time(3, 0)?.ok_or_else(|| missing("its time"))?,
        },
        first_snapshot_time: row.time(6, 0)?,
        login_coverage: None,
        activity_coverage: BTreeMap::new(),
        evidence_sources: Vec::new(),
        new_user_grace_days: row.number(4, 0)?.unwrap_or(i64::MAX),
        returned_grace_days: row.number(5, 0)?.unwrap_or(i64::MAX),
        seats_assigned: row.count(7, 0)?,
        seats_purchased: row.number(9, 0)?,
        renewal_date: row.date(10, 0)?,
        events_by_day: EventDays::default(),
        groups: BTreeMap::new(),
        unread_groups: BTreeSet::new(),
        people: BTreeMap::new(),
    })
}

fn read_coverage(snapshot: &mut Snapshot, batch: &RecordBatch) -> Result<(), Unreadable> {
    let row = Columns::of(batch);
    for index in row.rows() {
        let (event_type, from, to) = (row.text(0, index)?, row.time(1, index)?, row.time(2, index)?);
        let Some(span) = from.zip(to) else { continue };
        if event_type == boxseat_schemas::event_types::LOGIN {
            snapshot.login_coverage = Some(span);
        } else {
            snapshot.activity_coverage.insert(event_type, span);
        }
    }
    Ok(())
}

fn read_people(snapshot: &mut Snapshot, batch: &RecordBatch) -> Result<(), Unreadable> {
    let row = Columns::of(batch);
    for index in row.rows() {
        let text = |column| row.optional_text(column, index);
        let time = |column| row.time(column, index);
        let person = Person {
            user_id: row.text(0, index)?,
            login: text(1)?,
            name: text(2)?,
            role: text(3)?,
            box_status: text(4)?,
            account_status: row.text(5, index)?,
            listing: text(6)?,
            seat_kind: row.text(7, index)?,
            consumes_seat: row.flag(8, index)?.unwrap_or(false),
            seat_state: text(9)?,
            enterprise_id: text(10)?,
            is_platform_access_only: row.flag(11, index)?,
            external_app_user_id: text(12)?,
            created_at: time(13)?,
            first_seen_at: time(14)?,
            returned_at: time(15)?,
            suspended_since: time(16)?,
            last_activity_at: time(17)?,
            last_activity_source: text(18)?,
            proven_idle_days: row.number(19, index)?,
            are_groups_known: time(20)?.is_some(),
            are_aliases_known: time(21)?.is_some(),
            space_used_bytes: row.number(22, index)?,
            space_amount_bytes: row.number(23, index)?,
            has_unlimited_space: row.flag(24, index)?,
            monthly_cost: row.money(25, index)?,
            currency: text(26)?,
            ..Person::default()
        };
        snapshot.people.insert(person.user_id.clone(), person);
    }
    Ok(())
}

fn read_list(snapshot: &mut Snapshot, batch: &RecordBatch, take: Take) -> Result<(), Unreadable> {
    let row = Columns::of(batch);
    for index in row.rows() {
        let user_id = row.text(0, index)?;
        let Some(person) = snapshot.people.get_mut(&user_id) else { continue };
        take(person, &row, index)?;
    }
    Ok(())
}

type Take = fn(&mut Person, &Columns<'_>, usize) -> Result<(), Unreadable>;

/// Lists and optional values of a user, as (user, value…) in their stored order.
const LISTS: &[(&str, Take)] = &[
    ("SELECT user_id, group_id FROM memberships GROUP BY ALL ORDER BY ALL", |person, row, index| {
        person.group_ids.push(row.text(1, index)?);
        Ok(())
    }),
    (
        "SELECT user_id, lower(email) FROM email_aliases WHERE email IS NOT NULL GROUP BY ALL ORDER BY ALL",
        |person, row, index| {
            person.aliases.push(row.text(1, index)?);
            Ok(())
        },
    ),
    (
        "SELECT user_id, lower(login) FROM users_history WHERE login IS NOT NULL \
         UNION SELECT user_id, lower(old_value) FROM user_changes WHERE change = 'alias_removed' AND old_value IS NOT NULL \
         ORDER BY 1, 2",
        |person, row, index| {
            person.former_addresses.push(row.text(1, index)?);
            Ok(())
        },
    ),
    (
        "SELECT user_id, code.name, code.\"value\" FROM (SELECT user_id, unnest(tracking_codes) AS code FROM users) AS codes \
         WHERE code.name IS NOT NULL ORDER BY 1, 2, 3",
        |person, row, index| {
            let value = row.optional_text(2, index)?.unwrap_or_default();
            person.tracking_codes.push((row.text(1, index)?, value));
            Ok(())
        },
    ),
    // A file published by an earlier version has no such column.
    (
        "SELECT COLUMNS(name -> name IN ('user_id', 'is_collaborated_content_available_when_owner_inactive')) FROM users",
        |person, row, index| {
            if row.count_columns() > 1 {
                person.is_content_available_when_inactive = row.flag(1, index)?;
            }
            Ok(())
        },
    ),
    (
        "SELECT admin_events.user_id, actor_id, epoch_us(max(admin_events.created_at)) FROM admin_events \
         JOIN accounts ON accounts.user_id = admin_events.user_id AND accounts.account_status = 'suspended' \
         WHERE event_type = 'EDIT_USER' GROUP BY ALL ORDER BY ALL",
        |person, row, index| {
            if let Some(at) = row.time(2, index)? {
                person.edits.push(Edit { actor_id: row.optional_text(1, index)?, at });
            }
            Ok(())
        },
    ),
    // The newest list is in force; an open end outranks every date.
    (
        "SELECT user_id, CASE WHEN count(*) = count(to_date) THEN CAST(max(to_date) AS VARCHAR) END FROM leave_periods, report_settings \
         WHERE imported_at = (SELECT max(imported_at) FROM leave_periods) AND user_id IS NOT NULL \
            AND from_date <= snapshot_date AND coalesce(to_date >= snapshot_date, TRUE) GROUP BY user_id",
        |person, row, index| {
            person.leave = Some(OnLeave { until: row.date(1, index)? });
            Ok(())
        },
    ),
];

/// Every query of [`load`], in order.
pub(crate) fn deciding() -> &'static Deciding {
    static DECIDING: LazyLock<Deciding> = LazyLock::new(|| {
        let first = [NIGHT, COVERAGE, SOURCES, EVENTS_BY_DAY, GROUPS, PEOPLE];
        Deciding::new(first.into_iter().chain(LISTS.iter().map(|(sql, _)| *sql)).collect())
    });
    &DECIDING
}

const NIGHT: &str = "
    SELECT CAST(settings.snapshot_date AS VARCHAR), settings.run_number, settings.enterprise_id, epoch_us(settings.now_at),
        CAST(settings.new_user_grace_days AS BIGINT), CAST(settings.returned_grace_days AS BIGINT),
        (SELECT epoch_us(min(valid_from)) FROM users_history),
        (SELECT count(*) FROM accounts WHERE consumes_seat),
        (SELECT store_id FROM sync_runs WHERE sync_runs.run_number = settings.run_number),
        terms.seats_purchased,
        CAST(terms.renewal_date AS VARCHAR)
    FROM report_settings AS settings
    CROSS JOIN (
        SELECT
            CASE WHEN count(*) = count(licence_terms.seats_purchased) THEN CAST(sum(licence_terms.seats_purchased) AS BIGINT) END AS seats_purchased,
            min(licence_terms.renewal_date) FILTER (WHERE licence_terms.renewal_date > report_settings.snapshot_date) AS renewal_date
        FROM licence_terms CROSS JOIN report_settings
        WHERE coalesce(licence_terms.valid_from_date <= report_settings.snapshot_date, TRUE)
            AND coalesce(licence_terms.valid_to_date >= report_settings.snapshot_date, TRUE)
    ) AS terms";

/// Of each event type its newest unbroken span: intervals that overlap or touch are one. Where several runs read the same time, the
/// newest reading says whether sign-ins are proved, as in `accounts`.
const COVERAGE: &str = "
    WITH readings AS (
        SELECT run_number,
            min(window_from_at) OVER (ORDER BY window_to_at, run_number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS again_from_at
        FROM sync_runs
        WHERE status = 'complete' AND run_number NOT IN (
            SELECT replaces_run_number FROM sync_runs WHERE status = 'complete' AND replaces_run_number IS NOT NULL
        )
    ),
    proved AS (
        SELECT event_type, covered_from_at,
            CASE WHEN event_type = 'LOGIN' THEN least(covered_to_at, again_from_at) ELSE covered_to_at END AS covered_to_at
        FROM event_coverage LEFT JOIN readings USING (run_number)
    ),
    reached AS (
        SELECT event_type, covered_from_at, covered_to_at,
            max(covered_to_at) OVER (
                PARTITION BY event_type ORDER BY covered_from_at, covered_to_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS reached_at
        FROM proved WHERE covered_from_at < covered_to_at
    ),
    islands AS (
        SELECT event_type, covered_from_at, covered_to_at,
            sum(CASE WHEN covered_from_at <= reached_at THEN 0 ELSE 1 END)
                OVER (PARTITION BY event_type ORDER BY covered_from_at, covered_to_at ROWS UNBOUNDED PRECEDING) AS island
        FROM reached
    ),
    spans AS (
        SELECT event_type, island, min(covered_from_at) AS from_at, max(covered_to_at) AS to_at FROM islands GROUP BY event_type, island
    )
    SELECT event_type, epoch_us(arg_max(from_at, island)), epoch_us(max(to_at)) FROM spans GROUP BY event_type ORDER BY event_type";

const SOURCES: &str = "
    SELECT source FROM (
        SELECT 'LOGIN' AS source, 1 AS place
        UNION SELECT event_type, 2 FROM activity_daily
        UNION SELECT source, 3 FROM imported_evidence
    ) AS sources ORDER BY place, source";

const EVENTS_BY_DAY: &str = "
    WITH span AS (
        SELECT epoch_us(now_at) - CAST(28 AS BIGINT) * 86400000000 AS from_us, epoch_us(now_at) AS to_us FROM report_settings
    ),
    every AS (
        SELECT epoch_us(created_at) AS created_us, 1 AS logins FROM login_events, span
        WHERE epoch_us(created_at) BETWEEN from_us AND to_us
        UNION ALL
        SELECT epoch_us(created_at), 0 FROM admin_events, span
        WHERE epoch_us(created_at) BETWEEN from_us AND to_us
    )
    SELECT CAST(CAST(make_timestamp(created_us) AS DATE) AS VARCHAR), count(*), CAST(sum(logins) AS BIGINT)
    FROM every GROUP BY ALL ORDER BY ALL";

const GROUPS: &str = "SELECT group_id, name, epoch_us(memberships_read_at) FROM groups ORDER BY group_id";

const PEOPLE: &str = "
    WITH returns AS (
        SELECT user_id, max(coalesce(event_at, observed_at)) AS returned_at FROM user_changes
        WHERE change IN ('returned', 'reactivated') GROUP BY user_id
    )
    SELECT accounts.user_id, accounts.login, accounts.name, accounts.role, accounts.box_status, accounts.account_status, users.listing,
        accounts.seat_kind, accounts.consumes_seat, accounts.seat_state, users.enterprise_id, users.is_platform_access_only,
        users.external_app_user_id, epoch_us(accounts.created_at), epoch_us(accounts.first_seen_at), epoch_us(returns.returned_at),
        epoch_us(accounts.suspended_since), epoch_us(accounts.last_activity_at), accounts.last_activity_source,
        CAST(accounts.proven_idle_days AS BIGINT), epoch_us(accounts.memberships_read_at), epoch_us(accounts.aliases_read_at),
        accounts.space_used_bytes, users.space_amount_bytes, users.has_unlimited_space, CAST(accounts.monthly_cost AS VARCHAR), accounts.currency
    FROM accounts
    LEFT JOIN users ON users.user_id = accounts.user_id
    LEFT JOIN returns ON returns.user_id = accounts.user_id";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
    use boxseat_reclaim::testing::{idler, snapshot};

    use super::*;

    /// Why: with the digest of other queries every published file would be refused.
    #[test]
    fn the_deciding_queries_are_those_that_are_read() {
        let mut read = Vec::new();
        let loaded = load(|sql: &str| {
            read.push(sql.to_owned());
            let night = if sql == NIGHT { night_row() } else { Vec::new() };
            Ok::<_, Unreadable>(night)
        });
        assert!(loaded.is_ok());
        assert_eq!(read, deciding().queries);
    }

    fn night_row() -> Vec<RecordBatch> {
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![Some(text)])) };
        let number = |number: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![Some(number)])) };
        let columns = [
            text("2026-03-01"),
            number(7),
            text("42"),
            number(1_772_500_000_000_000),
            number(45),
            number(60),
            number(1_772_500_000_000_000),
            number(3),
            text("00000000-0000-0000-0000-000000000007"),
            number(3),
            text("2026-12-31"),
        ];
        let named = columns.into_iter().enumerate().map(|(place, column)| (place.to_string(), column));
        vec![RecordBatch::try_from_iter(named).unwrap()]
    }

    /// R6: a file published by an earlier version leaves the field unknown, and a null is unknown, too.
    #[test]
    fn r6_a_file_without_the_column_leaves_the_field_unknown() {
        let field = "is_collaborated_content_available_when_owner_inactive";
        let (_, take) = LISTS.iter().find(|(sql, _)| sql.contains(field)).unwrap();
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["1", "2", "3"]));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
        let older = RecordBatch::try_from_iter([("user_id", Arc::clone(&ids))]).unwrap();
        let newer = RecordBatch::try_from_iter_with_nullable([("user_id", ids, false), (field, flags, true)])
            .unwrap();
        for (batch, expected) in [(older, [None; 3]), (newer, [Some(true), Some(false), None])] {
            let mut snapshot = snapshot(["1", "2", "3"].map(idler));
            read_list(&mut snapshot, &batch, *take).unwrap();
            let found = ["1", "2", "3"].map(|id| snapshot.people[id].is_content_available_when_inactive);
            assert_eq!(found, expected);
        }
    }
}
