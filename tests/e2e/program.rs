//! The program itself: its manual pages.

use std::collections::BTreeSet;

use crate::support::{bare, finish};

#[test]
fn man_writes_a_page_for_every_command() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| finish(bare(args, directory.path()).output().unwrap());
    for _ in 0..2 {
        assert_eq!(run(&["man", "man1"]).code, 0);
    }
    let pages: BTreeSet<String> = std::fs::read_dir(directory.path().join("man1"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for prefix in ["", "reclaim"] {
        let help = run(&[prefix, "--help"][usize::from(prefix.is_empty())..]).stdout;
        let (_, commands) = help.split_once("Commands:\n").unwrap();
        let commands = commands.lines().take_while(|line| !line.is_empty());
        let names = commands
            .filter(|line| !line.starts_with("   "))
            .map(|line| line.split_whitespace().next().unwrap());
        let dash = if prefix.is_empty() { "" } else { "-" };
        for name in names.filter(|name| *name != "help") {
            assert!(pages.contains(&format!("boxseat{dash}{prefix}-{name}.1")), "no page of {prefix} {name}");
        }
    }
    let page = directory.path().join("man1/boxseat.1");
    // Other users read manual pages.
    assert_eq!(std::fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o644);
    let text = std::fs::read_to_string(page).unwrap();
    // Columns of the notes stay columns.
    assert!(text.contains(".SH NOTES\n.nf\n\\&Credentials come from"), "{text}");
    assert_eq!(run(&["man", "missing/man1"]).code, 1);
}
