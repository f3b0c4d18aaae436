//! The reason codes of denials in tables, each with its rule and meaning.

/// Reason code, rule, meaning.
pub(crate) const WORDS: &[(&str, &str, &str)] = &[
    ("admin", "R1", "admins and co-admins are never acted on"),
    ("unknown_role", "R1", "the role is not known"),
    ("no_person", "R1", "the account looks like a machine"),
    ("not_listed", "R1", "the account is missing in the latest listing"),
    ("restricted", "R1", "the status is restricted"),
    ("unknown_status", "R1", "the status is not known"),
    ("other_enterprise", "R1", "of another enterprise, or the enterprise is not known"),
    ("no_login", "R1", "the account has no login"),
    ("unproven", "R2", "sign-ins are not covered, so no idle day is proved"),
    ("not_long_enough", "R2", "fewer proven idle days than the policy requires"),
    ("activity_not_watched", "R2", "activity events do not cover enough days"),
    ("active_since", "R2", "used after the suspension"),
    ("suspended_by_other", "R3", "another actor suspended the account"),
    ("on_hold", "R3", "on the list of holds"),
    ("changed", "R3", "not as boxseat left it after the suspension"),
    ("edited_by_other", "R3", "another actor edited the account since the suspension"),
    ("edits_not_watched", "R3", "edits since the suspension are not covered without a gap"),
    ("protected", "R4", "protected by the policy"),
    ("aliases_unknown", "R4", "aliases were never read, and one may be protected"),
    ("groups_unknown", "R4", "groups were never read, and one may decide"),
    ("receiver", "R4", "receives content of other users, or did within 365 days"),
    ("no_receiver", "R4", "no receiver can take the content"),
    ("young", "R5", "new, or the creation or first-seen date is not known"),
    ("returned", "R5", "returned too recently"),
    ("undone", "R5", "given back by undo too recently"),
    ("on_leave", "R5", "on leave"),
    ("owns_shared_content", "R6", "owns shared folders"),
    ("in_open_plan", "R8", "in another open plan"),
    ("suspended_since", "R8", "suspended by boxseat after the snapshot was read"),
    ("waiting", "R8", "the previous stage is too recent"),
    ("over_cap", "R8", "the cap for any 30 days is reached"),
    ("late_login", "R11", "used before the suspension; this became known later"),
    ("late_logins_not_watched", "R11", "sign-ins not covered until 48 hours after the suspension"),
    ("unfinished", "R13", "the outcome of the last action is not known yet"),
    ("transfer_refused", "R14", "Box moves no content of inactive accounts"),
    ("reactivated", "R14", "active for its transfer when the snapshot was read"),
    ("content_unreadable", "R15", "content not counted before the suspension"),
    ("not_verified", "R15", "not yet read as empty twice"),
    ("not_empty", "R15", "content is still there"),
    ("unverifiable", "R15", "it cannot be proved that the account is empty"),
    ("refused_by_box", "R16", "Box refused within the last 30 days"),
    ("offboarded", "R19", "offboarded by a plan of its own"),
    ("reverted_by_other", "R20", "another actor undid the suspension by boxseat"),
];

/// The meaning of a reason code; for a code of another version, the code.
pub(crate) fn meaning(word: &str) -> &str {
    WORDS.iter().find(|(known, ..)| *known == word).map_or(word, |(_, _, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SOURCES: [&str; 6] = [
        include_str!("evaluator.rs"),
        include_str!("evaluator/protection.rs"),
        include_str!("evaluator/lists.rs"),
        include_str!("evaluator/evidence.rs"),
        include_str!("evaluator/caps.rs"),
        include_str!("receivers.rs"),
    ];
    const PAGE: &str = include_str!("../../../docs/reclamation.md");

    /// Why: a reason code without an explanation in a table does not help a licence manager.
    #[test]
    fn every_reason_code_is_explained() {
        for source in SOURCES {
            let calls = source.split("Denial::new(").skip(1).chain(source.split("return no(").skip(1));
            for call in calls {
                // The rule comes first where it is given; a reason code in a variable is given elsewhere.
                let rest = call.trim_start();
                let rest = rest
                    .strip_prefix("\"R")
                    .and_then(|rest| rest.split_once(','))
                    .map_or(rest, |(_, rest)| rest);
                let Some(word) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                else {
                    continue;
                };
                assert!(WORDS.iter().any(|(known, ..)| *known == word), "{word} is not explained");
            }
        }
        for (word, rule, meaning) in WORDS {
            assert!(
                SOURCES.iter().any(|source| source.contains(&format!("\"{word}\""))),
                "no source uses {word}"
            );
            assert!(PAGE.contains(&format!("`{word}`")), "docs/reclamation.md lacks {word}");
            assert!(rule.starts_with('R') && meaning.len() <= 58, "{word}: {meaning}");
        }
    }

    /// Why: licence managers read the rules on that page, and each rule needs a test.
    #[test]
    fn every_rule_is_on_the_page() {
        for number in 1..=22 {
            assert!(PAGE.contains(&format!("**R{number}**")), "docs/reclamation.md lacks R{number}");
        }
    }

    /// Why: a rule without a test may be broken without notice.
    #[test]
    fn every_rule_has_a_test_that_bears_its_number() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let sources: String =
            ["jobs/src", "tests/e2e", "pipeline/src"].iter().map(|room| sources(&root.join(room))).collect();
        for number in 1..=22 {
            assert!(sources.contains(&format!("fn r{number}_")), "no test is named r{number}_…");
        }
    }

    /// R22: the scheduled job has neither the type nor the credentials that change accounts.
    #[test]
    fn r22_sync_has_no_code_that_changes_accounts() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let nightly = sources(&root.join("jobs/src/sync"))
            + &std::fs::read_to_string(root.join("pipeline/src/client/reader.rs")).unwrap();
        for word in
            ["BoxActor", "actions_credentials", "Method::PUT", "Method::DELETE", "set_status", "terminate"]
        {
            assert!(!nightly.contains(word), "{word}");
        }
    }

    /// Every Rust file below a directory, one after the other.
    fn sources(directory: &Path) -> String {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| match path.extension() {
                _ if path.is_dir() => sources(&path),
                Some(ending) if ending == "rs" => std::fs::read_to_string(&path).unwrap(),
                _ => String::new(),
            })
            .collect()
    }
}
