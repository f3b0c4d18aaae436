//! Reports of the admin console in the forms in which consoles, languages and spreadsheets write them.

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::Config;

use crate::reclaim::stage::{Stage, small};
use crate::support::{Done, World};

fn world() -> World {
    let world = World::new(Config { users: 60, groups: 4, seed: 5, ..Config::default() });
    world.ok(&["sync"]);
    world
}

fn import(world: &World, name: &str, report: &[u8]) -> Done {
    let file = world.directory().join(name);
    std::fs::write(&file, report).unwrap();
    world.run(&["import", file.to_str().unwrap(), "--time-zone", "UTC"])
}

fn waiting(world: &World) -> usize {
    std::fs::read_dir(world.store().join("state/imports")).map_or(0, Iterator::count)
}

/// Why: a report with unreadable dates counted as imported, and a second import changed nothing.
#[test]
fn a_report_of_which_no_row_was_taken_can_be_imported_again() {
    let world = world();
    let login = world.value("SELECT login FROM users WHERE status = 'active' ORDER BY user_id LIMIT 1");
    let login = login.as_str().unwrap();
    for report in [
        format!("Email,Last Login\n{login},5th of October\n"),
        format!("Email,Last Login\n{login},2026-02-20 10:00:00 QQT\n"),
        format!("Email,Last Login\n{login},Never logged in\n"),
        "Email,Last Login\nnobody@acme.test,2026-02-20\n".to_owned(),
        "Email,Last Login\n".to_owned(),
    ] {
        for _ in 0..2 {
            let done = import(&world, "report.csv", report.as_bytes());
            assert_eq!(done.code, 4, "{report}\n{}", done.stderr);
            assert!(done.stderr.contains("Nothing was imported"), "{report}\n{}", done.stderr);
            assert_eq!(waiting(&world), 0);
        }
    }
    // When one of its users is listed later, the same file can be imported again.
    let known = world.rows("SELECT user_id FROM accounts");
    let is_new = |id: &String| known.iter().all(|row| row["user_id"] != id.as_str());
    let new = loop {
        world.simulator.step_days(1);
        if let Some(new) = world.simulator.truth().users.into_iter().map(|user| user.user_id).find(is_new) {
            break new;
        }
    };
    let day = world.simulator.now().date_naive();
    // A whole day later: the end of the present day is read as now, and every command here begins at the same time.
    world.simulator.step_days(1);
    let report = format!("User ID,Last Activity\n{new},{day}\n");
    assert_eq!(import(&world, "new.csv", report.as_bytes()).code, 4);
    world.ok(&["sync"]);
    let done = import(&world, "new.csv", report.as_bytes());
    assert_eq!((done.code, waiting(&world)), (0, 1), "{}", done.stderr);
    let done = import(&world, "new.csv", report.as_bytes());
    assert!(done.stderr.contains("was imported before"), "{}", done.stderr);
}

/// Why: a row that was rejected at the first import was lost permanently, because the file counted as imported.
#[test]
fn a_report_taken_in_part_can_be_completed() {
    let world = world();
    let users = world.rows("SELECT user_id FROM users WHERE status = 'active' ORDER BY user_id LIMIT 2");
    let id = |place: usize| users[place]["user_id"].as_str().unwrap();
    let report = format!("Id,Zuletzt,Last Login\n{},,2026-02-20\n{},2026-02-21,\n", id(0), id(1));
    let import = || import(&world, "report.csv", report.as_bytes());
    assert_eq!(import().code, 0);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert!(import().stderr.contains("was imported before"));
    let toml = world.directory().join("boxseat.toml");
    std::fs::write(&toml, "[imports.columns]\nlast_login = [\"Zuletzt\"]\n").unwrap();
    assert_eq!((import().code, waiting(&world)), (0, 1));
    world.simulator.step_days(1);
    // A kill after the commit: the import must neither be lost nor doubled.
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "visible").output().unwrap();
    assert!(died.status.code().is_none());
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let rows = "SELECT user_id, count(*) AS n FROM imported_evidence GROUP BY user_id ORDER BY user_id";
    let rows: Vec<_> =
        world.rows(rows).iter().map(|row| (row["user_id"].clone(), row["n"].clone())).collect();
    assert_eq!(rows, [(id(0).into(), 1.into()), (id(1).into(), 1.into())]);
    assert_eq!(waiting(&world), 0);
    assert!(import().stderr.contains("was imported before"));
}

#[test]
fn a_report_is_read_however_a_spreadsheet_saved_it() {
    let world = world();
    let login = world.value("SELECT login FROM users WHERE status = 'active' ORDER BY user_id LIMIT 1");
    let login = login.as_str().unwrap();
    let text = format!(
        "Name;Email;\"Last Login (date, time, zone)\"\nJ\u{fc}rgen;{login};2026/02/20 10:00:00.5 PST\n;;\n"
    );
    let utf16 =
        |bytes: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> { text.encode_utf16().flat_map(bytes).collect() };
    for (place, bytes) in [
        text.clone().into_bytes(),
        format!("sep=;\r\n{text}").into_bytes(),
        text.replace("\u{fc}", "\u{1}")
            .into_bytes()
            .iter()
            .map(|b| if *b == 1 { 0xfc } else { *b })
            .collect(),
        utf16(u16::to_le_bytes, &format!("\u{feff}{}", text.replace(';', "\t"))),
        utf16(u16::to_be_bytes, &text),
    ]
    .iter()
    .enumerate()
    {
        let done = import(&world, &format!("{place}.csv"), bytes);
        assert_eq!((done.code, waiting(&world)), (0, place + 1), "{place}: {}", done.stderr);
    }
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let at = "SELECT DISTINCT epoch_ms(evidence_at) FROM imported_evidence";
    assert_eq!(world.value(at), 1_771_610_400_500_i64, "2026-02-20 18:00:00.5 UTC");
}

#[test]
fn translated_headings_are_mapped_by_the_configuration() {
    let world = world();
    let login = world.value("SELECT login FROM users WHERE status = 'active' ORDER BY user_id LIMIT 1");
    let report = format!("Correo;Último inicio\n{};2026-02-20\n", login.as_str().unwrap());
    let done = import(&world, "report.csv", report.as_bytes());
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("[imports.columns]"), "{}", done.stderr);
    let toml = world.directory().join("boxseat.toml");
    std::fs::write(
        &toml,
        "[imports.columns]\nlogin = [\"E-Mail\", \"correo\"]\nlast_login = [\"Último inicio\"]\n",
    )
    .unwrap();
    let done = import(&world, "report.csv", report.as_bytes());
    assert_eq!(done.code, 0, "{}", done.stderr);
    for (text, reason) in [
        ("[imports.columns]\nlogon = [\"Correo\"]\n", "there is no key `logon`; the nearest one is `login`"),
        ("[imports.columns]\nlogin = [\"Correo\"]\nuser_id = [\"CORREO\"]\n", "both name the heading"),
    ] {
        std::fs::write(&toml, text).unwrap();
        let done = world.run(&["status"]);
        assert_eq!(done.code, 2, "{text}");
        assert!(done.stderr.contains(reason), "{}", done.stderr);
    }
}

/// Why: a value or a file name with a line end could look like a line of the log, and with an escape sequence like anything.
#[test]
fn what_is_rejected_is_named_with_line_and_value_in_one_line() {
    let world = world();
    let report = "Email,Last Login\n\
        \"x\u{1b}[2J\nWARN y@acme.test\",2026-02-20\n\
        p\u{202e}@acme.test,2026-02-20 08:14:05 IST\n\
        q@acme.test,\"so\u{1b}[31m\non\"\n\
        r@acme.test,30/2/2026\n\
        s@acme.test,1970-01-01\n";
    let done = import(&world, "re\nport\u{1b}[2J.csv", report.as_bytes());
    assert_eq!(done.code, 4, "{}", done.stderr);
    for wanted in [
        "line 2: x\\u{1b}[2j\\nwarn y@acme.test is not a user",
        "line 4: \"2026-02-20 08:14:05 IST\": \"IST\" means several time zones",
        "line 5: \"so\\u{1b}[31m on\" is not a date or time",
        "line 7: \"30/2/2026\" is not a day of the calendar",
        "line 8: 1970-01-01 is before Box existed",
    ] {
        assert!(done.stderr.contains(wanted), "{wanted}\n{}", done.stderr);
    }
    assert!(!done.stderr.contains(['\u{1b}', '\u{202e}']), "{:?}", done.stderr);
    assert!(
        done.stderr.lines().all(|line| line.contains("WARN") || line.starts_with("Nothing was imported")),
        "{}",
        done.stderr
    );
}

/// Why: with day and month in the wrong order a user looks idle.
#[test]
fn an_ambiguous_order_of_day_and_month_is_reported() {
    let world = world();
    let login = world.value("SELECT login FROM users WHERE status = 'active' ORDER BY user_id LIMIT 1");
    let report = format!("Email,Last Login\n{},2/1/2026\n", login.as_str().unwrap());
    let done = import(&world, "report.csv", report.as_bytes());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("Each date counts as the later of both"), "{}", done.stderr);
}

/// Why: a report that waited for its run was evidence of use. `plan` and `apply` did not read it, and a user was suspended.
#[test]
fn r11_an_import_that_waits_stops_plan_and_apply_until_a_run_took_it_in() {
    let stage = Stage::new(small(7), Intent::default());
    let idle = stage.idle(91);
    for user_id in &idle {
        stage.give(user_id, 3, 0);
    }
    let plan = stage.plan().remove(0);
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let truth = stage.simulator().truth_without_events();
    let used = truth.users.iter().find(|user| user.user_id == idle[0]).unwrap();
    let at = stage.simulator().now() - chrono::TimeDelta::days(3);
    let report =
        format!("Email,Last Login\n{},{}\n", used.login.clone().unwrap(), at.format("%F %H:%M:%S UTC"));
    std::fs::write(stage.world.directory().join("report.csv"), report).unwrap();
    stage.world.ok(&["import", "report.csv"]);
    for args in [
        &["reclaim", "plan"][..],
        &["reclaim", "apply", &plan],
        &["reclaim", "apply", &plan, "--yes"],
        &["reclaim", "nightly"],
    ] {
        let done = stage.expect(&[3], args);
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(said.contains("state/imports") && said.contains("boxseat sync"), "{args:?}\n{said}");
    }
    for args in [&["reclaim", "show", &plan][..], &["reclaim", "status"]] {
        let done = stage.expect(&[0], args);
        assert!(done.stderr.contains("Imported reports that wait for their run: 1"), "{}", done.stderr);
    }
    // In the lake, but not in the file that is read.
    stage.expect(&[0, 4], &["sync", "--no-publish"]);
    let done = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(done.stderr.contains("boxseat publish"), "{}", done.stderr);
    stage.expect(&[0, 4], &["publish"]);
    stage.expect(&[0, 4], &["reclaim", "apply", &plan, "--yes"]);
    let status = |id: &str| {
        let truth = stage.simulator().truth_without_events();
        truth.users.iter().find(|user| user.user_id == id).unwrap().status.clone()
    };
    assert_eq!(status(&idle[0]), "active");
    assert!(idle[1..].iter().any(|id| status(id) == "inactive"));
}
