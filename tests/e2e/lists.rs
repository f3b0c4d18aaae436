//! Leave lists, lists of holds and receiver maps as spreadsheets and boxseat's own CSV write them.

use boxseat_simulator::Config;

use crate::support::World;

fn world() -> World {
    let world = World::new(Config { users: 60, groups: 4, seed: 5, ..Config::default() });
    world.ok(&["sync"]);
    world
}

fn some_users(world: &World) -> Vec<String> {
    let rows = world
        .rows("SELECT user_id FROM users WHERE role = 'user' AND status = 'active' ORDER BY user_id LIMIT 2");
    rows.iter().map(|row| row["user_id"].as_str().unwrap().to_owned()).collect()
}

/// Why: a leave list with semicolons stopped the run, and the licence manager had no other program to write it.
#[test]
fn a_leave_list_is_read_as_spreadsheets_and_our_own_csv_write_it() {
    let world = world();
    std::fs::write(world.directory().join("boxseat.toml"), "[idle]\nleave_file = \"leave.csv\"\n").unwrap();
    let list = world.directory().join("leave.csv");
    let [first, second] = &some_users(&world)[..] else { panic!("two users") };
    for text in [
        format!("user_id,from,to\n{first},2026-02-01,\n{second},2026-02-01,2027-01-01\n"),
        format!(
            "\u{feff}User_ID; From ;To\r\n'{first};2026-02-01;\r\n=\"{second}\";2026/02/01;2027-01-01\r\n;;\r\n\r\n"
        ),
        format!(
            "user_id\tfrom\tto\tremark\n{first}\t2026-02-01\n{second}\t2026-02-01\t2027-01-01\t\"a\nb\"\n"
        ),
        format!("sep=;\nuser_id;from;to\n{first};2026-02-01;\n{second};2026-02-01 00:00:00;2027-01-01\n"),
    ] {
        std::fs::write(&list, &text).unwrap();
        let done = world.run(&["check"]);
        assert!(done.stdout.contains("2 leaves") && done.code == 0, "{text}\n{}", done.stdout);
    }
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let paused = format!(
        "SELECT count(*) FROM accounts WHERE seat_state = 'paused' AND user_id IN ('{first}', '{second}')"
    );
    assert_eq!(world.value(&paused), 2);
    for (bytes, reason) in [
        (&b"user_id,from,to\n1,2026-02-01,\n\n2,2.1.2026,\n"[..], "line 4: \"2.1.2026\" is not a date"),
        (
            b"user_id,from,to\n1,\"2026-02-01,\n2,2026-02-01,\n",
            "line 2: a quotation mark is opened and never closed",
        ),
        (b"user_id,from,to\n1,2026-02-01,,x\n", "line 2: it has more cells than the heading"),
        (b"user_id,from\n1,2026-02-01\n", "it has no column to"),
        (b"\xff\xfeu\0s\0", "it is UTF-16 and not UTF-8"),
        (b"PK\x03\x04xl", "it is an archive or a workbook and not CSV"),
    ] {
        std::fs::write(&list, bytes).unwrap();
        let done = world.run(&["sync"]);
        assert_eq!(done.code, 2, "{reason}: {}", done.stderr);
        assert!(
            done.stderr.contains("leave.csv") && done.stderr.contains(reason),
            "{reason}: {}",
            done.stderr
        );
    }
}

/// R3, R4, R5: a list with a row that matches no user refuses, and the row is named.
#[test]
fn holds_and_receivers_are_read_alike_and_an_unknown_row_refuses() {
    let world = world();
    let directory = world.directory();
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    let [first, second] = &some_users(&world)[..] else { panic!("two users") };
    write("boxseat.toml", "[reclaim]\npolicy = \"policy.toml\"\n");
    write(
        "policy.toml",
        "evidence = \"login_only\"\n[holds]\nfile = \"holds.csv\"\n[leave]\nfile = \"leave.csv\"\n",
    );
    write("leave.csv", "user_id;from;to\n;;\n");
    let plan = |holds: &str| {
        write("holds.csv", holds);
        world.run(&["reclaim", "plan"])
    };
    let good = plan(&format!("Login;Reason\r\n'{first};\"a; b\"\r\n=\"{second}\";\r\n;\r\n"));
    assert_eq!(good.code, 0, "{}", good.stderr);
    let unknown = plan(&format!("user_id\treason\n\n{first}\tx\n'999\ty\n"));
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("names 999 in line 4"), "{}", unknown.stderr);
    let broken = plan(&format!("user_id,reason\n{first},\"x\n{second},y\n"));
    assert_eq!(broken.code, 2, "{}", broken.stderr);
    assert!(
        broken.stderr.contains("holds.csv") && broken.stderr.contains("line 2: a quotation mark"),
        "{}",
        broken.stderr
    );
    write("leave.csv", "user_id;from;to\n\n999;2026-02-01;\n");
    let unknown = plan("user_id,reason\n");
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("the leave list names 999 in line 3"), "{}", unknown.stderr);
}
