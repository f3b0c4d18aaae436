use super::*;
use std::time::Instant;
use boxseat_schemas::table::EVENTS;
use chrono::TimeDelta;
use boxseat_schemas::table::Rows as TableRowsBuilder;

#[test]
fn scratch_small() {
    let path = Path::new("/tmp/out-check");
    let _ = std::fs::remove_dir_all(path);
    std::fs::create_dir_all(path).unwrap();
    let mut store = Store::new();
    store.lake = Lake::open(&path.join("lake"), 0o640).unwrap();
    std::fs::remove_dir_all(store.path()).unwrap();
    std::os::unix::fs::symlink(path, store.path()).unwrap();
    for n in 1..=42u64 {
        let date = (at("2026-01-20T00:00:00Z") + TimeDelta::days(n as i64)).date_naive().to_string();
        let mut night = Rows::users(&["1", "2", "3"]);
        night.users[0]["tracking_codes"] = json!({"cost": "ü"});
        night.users[0]["created_at"] = json!("2025-10-01T00:00:00Z");
        night.groups = vec![json!({"group_id": "g", "name": "it's"})];
        night.memberships = vec![json!({"membership_id": "m", "user_id": "1", "group_id": "g"})];
        night.events = vec![json!({"event_id": format!("e{n}"), "event_type": if n % 2 == 0 {"LOGIN"} else {"NEW_USER"}, "user_id": "1", "created_at": format!("{date}T01:00:00Z")})];
        night.coverage = vec![json!({"event_type": "LOGIN", "covered_from_at": (at(&format!("{date}T01:45:00Z")) - TimeDelta::days(1)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true), "covered_to_at": format!("{date}T01:45:00Z")})];
        let pending = store.commit(n, &date, &night);
        if n >= 41 { store.finish(&pending) } else {
            let checked = store.build(Some(&pending), Purpose::Private).unwrap().check().unwrap();
            store.lake.commit(&RUN_ROWS, RunNumber(n), &mut once(checked.run_rows().unwrap().clone())).unwrap();
            store.lake.commit(&SYNC_RUNS, RunNumber(n), &mut once(SyncRun::to_batch(&store.runs[n as usize - 1..], ENTERPRISE))).unwrap();
        }
    }
    std::fs::remove_file(store.path()).unwrap();
    std::mem::forget(store.directory);
}

#[test]
fn scratch_big() {
    let mut store = Store::new();
    let n: i64 = std::fs::read_to_string("/tmp/out-n").unwrap().trim().parse().unwrap();
    let run = run(1, DATE, RunStatus::Complete);
    let mut night = Rows::users(&[]);
    night.users = (0..20_000).map(|i| json!({"user_id": i.to_string(), "login": format!("u{i}@example.com"), "status": "active"})).collect();
    let start = run.started_at - TimeDelta::days(183);
    let mut made = 0i64;
    let run2 = run.clone();
    let mut batches = std::iter::from_fn(|| {
        if made >= n { return None }
        let mut rows = TableRowsBuilder::new(EVENTS.lake_schema());
        for _ in 0..10_000 {
            let t = start + TimeDelta::milliseconds(made * 183 * 86_400_000 / n);
            let u = ((made * 7919) % 20_000).to_string();
            rows.text(Some(&format!("{:08x}-{:04x}-4e2b-9f1a-{:012x}", made as u32, made & 0xffff, made.wrapping_mul(0x9E3779B97F4A7C15u64 as i64) as u64 & 0xffffffffffff)))
              .text(Some(if made % 50 == 0 {"EDIT_USER"} else {"LOGIN"})).text(Some(&u)).text(Some(&format!("u{u}@example.com"))).time(Some(t)).time(None).text(None).text(None).text(Some(&u)).text(Some("user")).text(Some(&u)).text(None).text(None).text(None)
              .text(Some(ENTERPRISE)).big(Some(1)).date(Some(chrono::Datelike::with_day(&t.date_naive(), 1).unwrap())).end();
            made += 1;
        }
        Some(Ok::<_, String>(rows.take_batch()))
    });
    let t = Instant::now();
    let c = store.lake.commit(&EVENTS, RunNumber(1), &mut batches).unwrap();
    println!("commit {c:?} {:?}", t.elapsed());
    let pending = store.commit(1, DATE, &night);
    let t = Instant::now();
    let mut pending = pending;
    for l in &mut pending.tables { if l.counted.table_name == "events" { l.counted.rows_from_box = c.rows; } }
    let built = store.build(Some(&pending), Purpose::Publish).unwrap();
    println!("build {:?}", t.elapsed());
    let t = Instant::now();
    let checked = built.check().unwrap();
    println!("check {:?} size {}", t.elapsed(), std::fs::metadata(checked.path()).unwrap().len());
    let t = Instant::now();
    let m = store.lake.events_since(run2.started_at - TimeDelta::days(2), &[RunNumber(1)]).unwrap().map(|b| b.unwrap().num_rows()).sum::<usize>();
    println!("since {m} {:?}", t.elapsed());
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")).collect::<String>());
}
use crate::testing::at;
