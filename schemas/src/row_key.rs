//! A row key that survives a spreadsheet: a letter, the digits of the Box id, and a check character.
//!
//! Spreadsheets convert a long id to a float and sort one column without the others, and users retype cells. A key that begins with a
//! letter stays text. Its last character detects typing and scanning errors: every single wrong character, and 99 of 100 swaps of two
//! adjacent characters (ISO 7064, MOD 37,36). Code that reads a sheet back therefore also compares login and id.
//!
//! ```
//! use boxseat_schemas::row_key::{self, Subject};
//!
//! let key = row_key::of(Subject::User, "33290876054").unwrap();
//! assert_eq!(row_key::read(&key), Ok((Subject::User, "33290876054")));
//! assert!(row_key::read("U33290876045E").is_err());
//! ```

/// The subject of a row. It determines the first letter of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user: `U`.
    User,
    /// A group: `G`.
    Group,
}

impl Subject {
    fn letter(self) -> char {
        match self {
            Self::User => 'U',
            Self::Group => 'G',
        }
    }
}

/// The key of a Box id; `None` for an id with a character that is not a digit, such as `box_support`.
pub fn of(subject: Subject, id: &str) -> Option<String> {
    if !is_digits(id) {
        return None;
    }
    let mut key = format!("{}{id}", subject.letter());
    key.push(check_character(&key)?);
    Some(key)
}

/// Subject and Box id of a key. Blanks around the key and lower-case letters are accepted, because spreadsheets and users produce them.
///
/// # Errors
/// What is wrong with the key, as text.
pub fn read(key: &str) -> Result<(Subject, &str), String> {
    let trimmed = key.trim();
    let wrong = |why: &str| format!("{key:?} is not a row key: {why}");
    let subject = match trimmed.chars().next() {
        Some('U' | 'u') => Subject::User,
        Some('G' | 'g') => Subject::Group,
        _ => return Err(wrong("it does not start with U or G")),
    };
    let (body, check) = match trimmed.char_indices().next_back() {
        Some((at, check)) if at > 1 => (&trimmed[..at], check),
        _ => return Err(wrong("it is too short")),
    };
    let id = &body[1..];
    if !is_digits(id) {
        return Err(wrong("the characters between the first and the last must be digits"));
    }
    if check_character(&body.to_ascii_uppercase()) != Some(check.to_ascii_uppercase()) {
        return Err(wrong("its last character does not fit the others, so one of them was changed"));
    }
    Ok((subject, id))
}

fn is_digits(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// ISO 7064 MOD 37,36 of digits and capital letters; `None` if the text has any other character.
fn check_character(text: &str) -> Option<char> {
    const MODULUS: u32 = 36;
    let mut product = MODULUS;
    for character in text.chars() {
        let sum = (product + character.to_digit(MODULUS)?) % MODULUS;
        product = (if sum == 0 { MODULUS } else { sum }) * 2 % (MODULUS + 1);
    }
    char::from_digit((MODULUS + 1 - product) % MODULUS, MODULUS).map(|c| c.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the standard, so that other programs can check boxseat's keys.
    #[test]
    fn the_check_character_is_that_of_the_standard() {
        assert_eq!(check_character("A12425GABC1234002"), Some('M'));
    }

    /// Why: a mistyped key must not name another user.
    #[test]
    fn every_single_wrong_character_is_detected() {
        for id in ["0", "7", "33290876054", "12345678901234567890"] {
            let key = of(Subject::User, id).unwrap();
            assert_eq!(read(&key), Ok((Subject::User, id)));
            assert_eq!(read(&format!(" {} ", key.to_lowercase())), Ok((Subject::User, id)));
            let letters: Vec<char> = key.chars().collect();
            for place in 0..letters.len() {
                for other in ('0'..='9').chain('A'..='Z').filter(|other| *other != letters[place]) {
                    let mut changed = letters.clone();
                    changed[place] = other;
                    let changed: String = changed.into_iter().collect();
                    assert!(read(&changed).is_err(), "{changed} for {key}");
                }
            }
        }
    }

    /// Why: the standard detects nearly all swaps, but not all. A higher rate of undetected swaps would be an error in this code.
    #[test]
    fn at_most_one_percent_of_adjacent_swaps_is_undetected() {
        let (mut swaps, mut unnoticed) = (0, 0);
        for id in 33_290_870_000_u64..33_290_872_000 {
            let key = of(Subject::User, &id.to_string()).unwrap();
            for place in 1..key.len() - 1 {
                let mut swapped = key.clone().into_bytes();
                swapped.swap(place, place + 1);
                let swapped = String::from_utf8(swapped).unwrap();
                swaps += u32::from(swapped != key);
                unnoticed += u32::from(swapped != key && read(&swapped).is_ok());
            }
        }
        assert!(swaps > 10_000 && unnoticed * 100 <= swaps, "{unnoticed} of {swaps}");
    }

    #[test]
    fn rejected_key_states_the_reason() {
        assert_eq!(of(Subject::User, "box_support"), None);
        assert_eq!(of(Subject::Group, ""), None);
        for (key, why) in [
            ("", "does not start with U or G"),
            ("33290876054", "does not start with U or G"),
            ("3.33E+10", "does not start with U or G"),
            ("U", "too short"),
            ("U1", "too short"),
            ("U12x4Z", "must be digits"),
        ] {
            assert!(read(key).unwrap_err().contains(why), "{key}");
        }
    }
}
