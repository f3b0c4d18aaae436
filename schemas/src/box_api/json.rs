//! Repairs JSON text that a parser rejects. The repair loses the damaged characters.
//!
//! One byte that is not UTF-8, half of a surrogate pair or a raw control character makes a whole page unreadable, for every parser and in
//! every run. Each of them is replaced by U+FFFD. Nothing outside strings is changed. A body that is cut off or is not JSON stays
//! unreadable.

use std::borrow::Cow;

/// The replacement for a damaged character.
pub const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Returns the body with every damaged character replaced, and the number of replacements. A byte order mark at the beginning is removed.
///
/// These count as damaged: bytes that are not UTF-8, raw control characters inside a string, `\u` escapes of a lone surrogate, and escapes
/// that JSON does not have.
pub fn repaired(body: &[u8]) -> (Cow<'_, [u8]>, u64) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let (text, bad_bytes) = utf8(body);
    let (text, bad_characters) = match text {
        Cow::Borrowed(text) => strings(text),
        Cow::Owned(text) => {
            let (repaired, count) = strings(&text);
            (Cow::Owned(repaired.into_owned()), count)
        }
    };
    let bytes = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    (bytes, bad_bytes + bad_characters)
}

fn utf8(body: &[u8]) -> (Cow<'_, str>, u64) {
    if let Ok(text) = std::str::from_utf8(body) {
        return (Cow::Borrowed(text), 0);
    }
    let (mut text, mut count) = (String::with_capacity(body.len()), 0);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(REPLACEMENT);
            count += 1;
        }
    }
    (Cow::Owned(text), count)
}

/// Repairs the strings of a JSON text. Copies the text only if a string needs a repair.
fn strings(text: &str) -> (Cow<'_, str>, u64) {
    let bytes = text.as_bytes();
    let (mut out, mut copied, mut count) = (String::new(), 0, 0);
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = bytes.get(at) {
        let damaged = match byte {
            b'"' => {
                in_string = !in_string;
                at += 1;
                continue;
            }
            _ if !in_string => 0,
            b'\\' => match escape(&bytes[at..]) {
                Escape::Whole(length) => {
                    at += length;
                    continue;
                }
                Escape::Damaged(length) => length,
            },
            ..b' ' => 1,
            _ => 0,
        };
        if damaged == 0 {
            at += 1;
            continue;
        }
        out.push_str(&text[copied..at]);
        out.push(REPLACEMENT);
        count += 1;
        at += damaged;
        copied = at;
    }
    if count == 0 {
        return (Cow::Borrowed(text), 0);
    }
    out.push_str(&text[copied..]);
    (Cow::Owned(out), count)
}

enum Escape {
    /// Number of bytes that form a character.
    Whole(usize),
    /// Number of bytes, all of them ASCII, that form no character.
    Damaged(usize),
}

/// The escape at the beginning of `bytes`, which is a backslash.
fn escape(bytes: &[u8]) -> Escape {
    match bytes.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::Whole(2),
        Some(b'u') => match code_unit(bytes) {
            Some(0xD800..0xDC00) => match bytes.get(ESCAPED_UNIT..).and_then(code_unit) {
                Some(0xDC00..0xE000) => Escape::Whole(2 * ESCAPED_UNIT),
                _ => Escape::Damaged(ESCAPED_UNIT),
            },
            Some(0xDC00..0xE000) => Escape::Damaged(ESCAPED_UNIT),
            Some(_) => Escape::Whole(ESCAPED_UNIT),
            None => Escape::Damaged(2),
        },
        _ => Escape::Damaged(1),
    }
}

/// Length of `\u` and four hexadecimal digits.
const ESCAPED_UNIT: usize = 6;

fn code_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repaired_text(body: &[u8]) -> (String, u64) {
        let (bytes, count) = repaired(body);
        (String::from_utf8(bytes.into_owned()).unwrap(), count)
    }

    #[test]
    fn one_damaged_character_replaces_one_character() {
        for (body, text, count) in [
            (&b"{\"name\":\"Ren\xe9\"}"[..], "{\"name\":\"Ren\u{fffd}\"}", 1),
            (b"{\"name\":\"\xe6\x97\"}", "{\"name\":\"\u{fffd}\"}", 1),
            (b"{\"name\":\"a\nb\tc\"}", "{\"name\":\"a\u{fffd}b\u{fffd}c\"}", 2),
            (br#"{"name":"Bot \ud83d"}"#, "{\"name\":\"Bot \u{fffd}\"}", 1),
            (br#"{"name":"\ude00\ud83d\u0041"}"#, "{\"name\":\"\u{fffd}\u{fffd}\\u0041\"}", 2),
            (br#"{"name":"\x \u12 \u+123"}"#, "{\"name\":\"\u{fffd}x \u{fffd}12 \u{fffd}+123\"}", 3),
            (b"\xef\xbb\xbf{}", "{}", 0),
        ] {
            assert_eq!(repaired_text(body), (text.to_owned(), count), "{text}");
            assert!(serde_json::from_slice::<serde_json::Value>(&repaired(body).0).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_good_body_is_not_copied() {
        let body = "{\n\t\"name\": \"Ann \\ud83d\\ude00 \\\"A\\\" \\\\\", \"ünï\": \"🙂\"\r\n}".as_bytes();
        let (same, count) = repaired(body);
        assert!(matches!(same, Cow::Borrowed(_)));
        assert_eq!((&*same, count), (body, 0));
    }

    #[test]
    fn a_body_that_is_cut_off_stays_cut_off() {
        for body in
            [&br#"{"name":"a"#[..], br#"{"name":"\"#, br#"{"name":"\u12"#, b"<html>", b"", b"\xff\xfe{"]
        {
            assert!(serde_json::from_slice::<serde_json::Value>(&repaired(body).0).is_err(), "{body:?}");
        }
    }
}
