//! The evaluation of a snapshot by the reclamation policy, and a policy that cannot be evaluated.

use std::cell::RefCell;

use boxseat_schemas::table::SEAT_USAGE_DAILY;

use super::*;

/// Reclaims the seats of the users that are named here, reads the users of the snapshot, and records them.
#[derive(Debug)]
struct Of {
    answer: std::result::Result<Vec<Candidate>, String>,
    people: RefCell<usize>,
}

impl Candidates for Of {
    fn policy_digest(&self) -> Option<String> {
        Some("sha256:7".to_owned())
    }

    fn evaluate(&self, snapshot: &SnapshotRows<'_>) -> std::result::Result<Vec<Candidate>, String> {
        let people = snapshot.ask("SELECT user_id FROM accounts JOIN users USING (user_id)").unwrap();
        *self.people.borrow_mut() = people.iter().map(RecordBatch::num_rows).sum();
        self.answer.clone()
    }
}

fn of(answer: std::result::Result<Vec<Candidate>, String>) -> Option<Box<dyn Candidates>> {
    Some(Box::new(Of { answer, people: RefCell::new(0) }))
}

const USAGE: &str = "SELECT reclaimable_count, policy_digest FROM seat_usage_daily ORDER BY run_number";
const CHECK: &str = "SELECT failing_rows_count, example FROM data_checks WHERE check_name = 'policy_usable'";

/// Why: the view was empty whatever the policy returned. The count of a snapshot must also be in the lake.
#[test]
fn candidates_are_evaluated_during_the_build() {
    let candidate =
        |id: &str, left_out_reason| Candidate { user_id: id.to_owned(), stage: "suspend", left_out_reason };
    let mut store = Store::new();
    let first = store.commit(1, DATE, &Rows::users(&["1", "2", "3"]));
    store.finish(&first);
    assert_eq!(store.lines(USAGE), ["-|-"], "no policy, no count");
    assert_eq!(store.lines(CHECK), ["0|-"]);

    store.candidates = of(Ok(vec![candidate("1", None), candidate("2", Some("protected"))]));
    let second = store.commit_after(2, "2026-03-03", &Rows::users(&["1", "2", "3"]));
    store.finish(&second);
    assert_eq!(store.lines("SELECT user_id, stage FROM reclaimable_seats"), ["1|suspend"]);
    assert_eq!(
        store.lines("SELECT user_id, left_out_reason FROM reclaim_candidates ORDER BY 1"),
        ["1|-", "2|protected"]
    );
    assert_eq!(store.lines(USAGE), ["-|-", "1|sha256:7"], "the earlier snapshot is unchanged");

    // A snapshot that is kept and not published has the same count.
    store.candidates = of(Ok(vec![candidate("1", None), candidate("3", None)]));
    let third = store.commit_after(3, "2026-03-04", &Rows::users(&["1", "2", "3"]));
    let private = store.build(Some(&third), Purpose::Private).unwrap().check().unwrap();
    private.commit(&store.lake, &SEAT_USAGE_DAILY).unwrap();
    assert_eq!(lines_of_lake(&store), ["-", "1", "2"]);
}

/// Why: the policy is the licence manager's file. An error in it must not cost the operator the snapshot.
#[test]
fn unusable_policy_does_not_stop_the_snapshot() {
    let mut store = Store::new();
    store.candidates = of(Err("[protect] login jo@acme.test matches no user".to_owned()));
    let pending = store.commit(1, DATE, &Rows::users(&["1"]));
    store.finish(&pending);
    assert_eq!(store.lines("SELECT count(*) FROM reclaim_candidates"), ["0"]);
    assert_eq!(store.lines(USAGE), ["-|sha256:7"], "unknown is not zero");
    let said = store.lines(CHECK).remove(0);
    assert_eq!(said, "1|[protect] login jo@acme.test matches no user");
}

fn lines_of_lake(store: &Store) -> Vec<String> {
    let runs: Vec<_> = store.runs.iter().map(|run| run.run_number).collect();
    let batches =
        store.lake.scan(&SEAT_USAGE_DAILY, &runs, Some(&["run_number", "reclaimable_count"])).unwrap();
    let mut rows: Vec<String> = batches.flat_map(|batch| lines(&batch.unwrap())).collect();
    rows.sort();
    rows.into_iter().map(|row| row.split('|').nth(1).unwrap().to_owned()).collect()
}
