//! The operator: the name recorded in plans, approvals and actions (R9).

use boxseat_schemas::reclaim::plan::Operator;
use boxseat_schemas::text::is_hidden;
use nix::unistd::{Uid, User};

use boxseat_storage::host;

/// The operating system's user of this process, by the system's list of users, and the machine.
///
/// `USER` and `LOGNAME` are not read: the user who runs the program sets them.
pub(crate) fn operator() -> Operator {
    let uid = Uid::effective();
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    Operator { os_user: name.unwrap_or_else(|| format!("uid {uid}")), host: host() }
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
