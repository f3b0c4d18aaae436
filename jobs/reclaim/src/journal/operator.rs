//! The operator: the name recorded in plans, approvals and actions (R9).

use std::io::ErrorKind;
use std::path::Path;

use boxseat_schemas::reclaim::plan::Operator;
use boxseat_schemas::text::is_hidden;
use boxseat_storage::host;
use nix::unistd::{Uid, User};

use crate::error::Error;

/// The operating system's user of this process, by the system's list of users, and the machine.
///
/// `USER` and `LOGNAME` are not read: the user who runs the program sets them.
pub fn operator() -> Operator {
    let uid = Uid::effective();
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    Operator { os_user: name.unwrap_or_else(|| format!("uid {uid}")), host: host() }
}

/// How many different operators an approval needs: as many as approve, and two where planner and approver differ.
pub fn operators_needed(is_two_person: bool, approvers: u32) -> u32 {
    approvers.max(if is_two_person { 2 } else { 1 })
}

/// How a rule depends on the user of the operating system that runs the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OsUserCounts {
    /// Signatures decide.
    No,
    /// The user is recorded.
    ByName,
    /// Two users are required, and their names distinguish them.
    ByDifference,
}

impl OsUserCounts {
    /// Of `users` different users that are required.
    pub fn of(users: u32, is_signed: bool) -> Self {
        match users {
            _ if is_signed => Self::No,
            0 | 1 => Self::ByName,
            _ => Self::ByDifference,
        }
    }

    /// Refuses a process in a user namespace where users are told apart, and warns where one is recorded: any user can start such
    /// a process under the id of another (`unshare --user --map-user`), and only in that namespace it has this id.
    ///
    /// # Errors
    /// `Refused` with the remedy.
    pub fn check_namespace(self) -> Result<(), Error> {
        self.check(is_initial_namespace())
    }

    fn check(self, is_initial: bool) -> Result<(), Error> {
        match self {
            Self::No => Ok(()),
            _ if is_initial => Ok(()),
            Self::ByName => {
                tracing::warn!(
                    "this process runs in a user namespace, so the recorded name of the operating system's user proves nothing"
                );
                Ok(())
            }
            Self::ByDifference => Err(Error::refused(
                "this process runs in a user namespace, where one user can have several names, and the policy requires \
                    different users",
            )
            .hint("run the command outside of the container or of `unshare`")
            .hint("or let keys tell users apart: [approval] kind = \"signed\" with allowed_signers")),
        }
    }
}

/// Whether user ids of this process are those of the system. A mapping that cannot be read counts as another one.
fn is_initial_namespace() -> bool {
    match std::fs::read_to_string("/proc/self/uid_map") {
        Ok(map) => is_initial_mapping(&map),
        // A kernel without user namespaces has no such file.
        Err(e) => e.kind() == ErrorKind::NotFound && Path::new("/proc/self/status").exists(),
    }
}

/// user_namespaces(7): the first namespace maps every id to itself.
fn is_initial_mapping(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// A form of a user's name in which names that look the same are equal: without case, blanks, hidden characters and accents, and with Latin
/// letters for letters of other alphabets that look like them. Where two users are required, two such names are one.
pub(crate) fn identity(name: &str) -> String {
    let is_dropped = |c: char| c.is_whitespace() || is_hidden(c) || ('\u{300}'..='\u{36f}').contains(&c);
    name.chars()
        .map(of_half_width)
        .flat_map(char::to_lowercase)
        .filter(|c| !is_dropped(*c))
        .map(|c| LOOK_ALIKES.iter().find(|(_, others)| others.contains(c)).map_or(c, |(latin, _)| *latin))
        .collect()
}

/// A letter of full width as the usual letter.
fn of_half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// Latin letters, and small letters that look like them: with accents, Cyrillic, Greek (Unicode's confusables.txt).
const LOOK_ALIKES: &[(char, &str)] = &[
    ('a', "àáâãäåāăąǎạảаα"),
    ('b', "ь"),
    ('c', "çćĉċčсϲ"),
    ('d', "ďđԁ"),
    ('e', "èéêëēĕėęěẹẻẽеё"),
    ('g', "ĝğġģɡ"),
    ('h', "ĥħһ"),
    ('i', "ìíîïĩīĭįıỉịіїι"),
    ('j', "ĵјϳ"),
    ('k', "ķкκ"),
    ('l', "ĺļľłӏ"),
    ('m', "м"),
    ('n', "ñńņňոη"),
    ('o', "òóôõöøōŏőơọỏоοօ"),
    ('p', "рρ"),
    ('q', "ԛ"),
    ('r', "ŕŗřг"),
    ('s', "śŝşšșѕ"),
    ('t', "ţťțŧтτ"),
    ('u', "ùúûüũūŭůűųưụủυս"),
    ('v', "νѵ"),
    ('w', "ŵԝω"),
    ('x', "хχ"),
    ('y', "ýÿŷуγ"),
    ('z', "źżž"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Why: `unshare -U --map-user=1 boxseat reclaim approve` made one user two.
    #[test]
    fn r9_a_user_namespace_makes_no_second_user() {
        assert!(is_initial_mapping("         0          0 4294967295\n"));
        for map in [
            "",
            "         1       1000          1\n",
            "         0       1000          1\n         1     100000      65536\n",
            "         0          0 4294967294\n",
        ] {
            assert!(!is_initial_mapping(map), "{map:?}");
        }
        for (users, is_signed, is_refused) in [(1, false, false), (2, false, true), (2, true, false)] {
            let counts = OsUserCounts::of(users, is_signed);
            assert_eq!(counts.check(false).is_err(), is_refused, "{counts:?}");
            assert!(counts.check(true).is_ok(), "{counts:?}");
        }
    }

    /// R9: a name that differs only for a program does not make a second approver.
    #[test]
    fn r9_names_that_look_the_same_are_one_person() {
        for name in [
            "Boss",
            "boss ",
            " BOSS",
            "b\u{200b}oss",
            "bоss",
            "ｂｏｓｓ",
            "bόss".replace('ό', "o\u{301}").as_str(),
        ] {
            assert_eq!(identity(name), "boss", "{name:?}");
        }
        assert_eq!(identity("J\u{fc}rgen"), identity("ju\u{308}rgen"));
        for name in ["bos", "boss1", "b0ss", "chief"] {
            assert_ne!(identity(name), "boss", "{name}");
        }
    }
}
