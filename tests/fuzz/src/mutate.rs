//! Mutations of bytes, lines, JSON values and frames.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Longest result. Mutations that repeat would otherwise grow without bound.
const MAX_LEN: usize = 64 * 1024;
/// Length of a file header and of a frame's fixed part; `boxseat_schemas::spool` has the format.
const HEADER_LEN: usize = 16;

/// Texts that parsers treat specially.
const TOKENS: &[&str] = &[
    "null",
    "true",
    "-0",
    "1e999",
    "9223372036854775808",
    "18446744073709551616",
    "NaN",
    "\"",
    "\\",
    "\\u0000",
    "\\ud83d",
    "{}",
    "[]",
    "[",
    "{\"a\":",
    "}",
    ",",
    ":",
    "\n",
    "\r\n",
    "\t",
    ";",
    "=",
    "#",
    "'",
    "'''",
    "\u{feff}",
    "\u{202e}",
    "\0",
    "1970-01-01",
    "9999-12-31T23:59:60Z",
    "0000-00-00",
    "+1000000-01-01T00:00:00Z",
    "%",
    "..",
    "/",
    "sep=;\n",
    "entries",
    "type",
    "error",
    "format",
];

/// Applies one to four mutations. The flag is true if checksums were computed again.
pub(crate) fn mutate(random: &mut ChaCha8Rng, original: &[u8], corpus: &[Vec<u8>]) -> (Vec<u8>, bool) {
    let mut bytes = original.to_vec();
    let mut is_forged = false;
    let is_framed = bytes.starts_with(b"BX");
    for _ in 0..random.random_range(1..=4) {
        match random.random_range(0..16) {
            0 if is_framed => is_forged |= reframe(random, &mut bytes),
            0..=2 => change_json(random, &mut bytes),
            3..=4 => change_lines(random, &mut bytes),
            5 => splice(random, &mut bytes, corpus),
            _ => change_bytes(random, &mut bytes),
        }
        bytes.truncate(MAX_LEN);
    }
    (bytes, is_forged)
}

fn change_bytes(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let range = range(random, bytes.len());
    match random.random_range(0..11) {
        0 | 1 if !bytes.is_empty() => {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
        }
        2 if !bytes.is_empty() => {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        3 => change_digit(random, bytes),
        4 => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            bytes.splice(range.start..range.start, token.bytes());
        }
        5 => _ = bytes.drain(range),
        6 => bytes.truncate(range.start),
        7 => {
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
        8 => bytes[range].fill(0),
        9 => {
            let count = random.random_range(1..200);
            bytes.extend((0..count).map(|_| random.random::<u8>()));
        }
        _ => nest(random, bytes, range.start),
    }
}

/// Many opening brackets: parsers that recurse without a limit overflow the stack.
fn nest(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>, at: usize) {
    if random.random_range(0..50) == 0 {
        let open = ["[", "{\"a\":", "{a=", "("][random.random_range(0..4)];
        bytes.splice(at..at, open.repeat(5_000).bytes());
    } else if let Some(byte) = bytes.get_mut(at) {
        *byte = b"\"{}[],:\n\0\xff09-"[random.random_range(0..13)];
    }
}

/// Replaces a digit by another one. The result is well formed and has another value.
fn change_digit(random: &mut ChaCha8Rng, bytes: &mut [u8]) {
    let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
    if !digits.is_empty() {
        bytes[digits[random.random_range(0..digits.len())]] = b'0' + random.random_range(0..10);
    }
}

fn change_lines(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.len() < 2 {
        return change_bytes(random, bytes);
    }
    let (one, other) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
    match random.random_range(0..3) {
        0 => _ = lines.remove(one),
        1 => {
            let line = lines[one].clone();
            lines.insert(other, line);
        }
        _ => lines.swap(one, other),
    }
    *bytes = lines.concat();
}

fn splice(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let other = &corpus[random.random_range(0..corpus.len())];
    let (to, from) = (range(random, bytes.len()), range(random, other.len()));
    bytes.splice(to, other[from].iter().copied());
}

fn change_json(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut value) if value.is_object() || value.is_array() => {
            change_value(random, &mut value);
            *bytes = if random.random() { value.to_string() } else { format!("{value:#}") }.into_bytes();
        }
        _ => change_bytes(random, bytes),
    }
}

/// Changes one value of a tree, found by a random walk from the root.
fn change_value(random: &mut ChaCha8Rng, value: &mut Value) {
    let goes_deeper = random.random_range(0..4) > 0;
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let name =
                fields.keys().nth(random.random_range(0..fields.len())).expect("it is one of them").clone();
            match random.random_range(0..4) {
                0 if !goes_deeper => _ = fields.remove(&name),
                1 if !goes_deeper => {
                    let field = fields[&name].clone();
                    fields.insert(format!("{name}_"), field);
                }
                _ => change_value(random, &mut fields[&name]),
            }
        }
        Value::Array(values) if !values.is_empty() => {
            let at = random.random_range(0..values.len());
            match random.random_range(0..4) {
                0 if !goes_deeper => _ = values.remove(at),
                1 if !goes_deeper => {
                    let one = values[at].clone();
                    values.push(one);
                }
                _ => change_value(random, &mut values[at]),
            }
        }
        value => *value = other_value(random, value),
    }
}

fn other_value(random: &mut ChaCha8Rng, value: &Value) -> Value {
    match random.random_range(0..10) {
        0 => Value::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random::<i64>()),
        3 => json!(random.random::<u64>()),
        4 => json!(-1.5e300),
        5 => json!([]),
        6 => json!({ "a": [null] }),
        7 => json!(TOKENS[random.random_range(0..TOKENS.len())]),
        8 => json!("x".repeat(random.random_range(0..2_000))),
        _ => match value {
            Value::String(text) => {
                let mut bytes = text.clone().into_bytes();
                change_digit(random, &mut bytes);
                json!(String::from_utf8_lossy(&bytes))
            }
            Value::Number(number) => json!(number.to_string()),
            _ => json!(0),
        },
    }
}

/// Drops, repeats or swaps whole frames, or changes the JSON of one and computes its checksum again. False: there is no frame.
fn reframe(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) -> bool {
    let mut frames = frames(bytes);
    if frames.is_empty() {
        return false;
    }
    let (one, other) = (random.random_range(0..frames.len()), random.random_range(0..frames.len()));
    match random.random_range(0..6) {
        0 => _ = frames.remove(one),
        1 => {
            let frame = frames[one].clone();
            frames.insert(other, frame);
        }
        2 => frames.swap(one, other),
        _ => change_json(random, &mut frames[one].header),
    }
    bytes.truncate(HEADER_LEN);
    frames.iter().for_each(|frame| frame.write(bytes));
    true
}

#[derive(Clone)]
struct Frame {
    header: Vec<u8>,
    stored: Vec<u8>,
    body_len: u32,
}

impl Frame {
    fn write(&self, bytes: &mut Vec<u8>) {
        let len = |part: &[u8]| u32::try_from(part.len()).expect("mutations are bounded").to_le_bytes();
        let lengths = [len(&self.header), len(&self.stored), self.body_len.to_le_bytes()].concat();
        let mut checksum = crc32fast::Hasher::new();
        [&lengths, &self.header, &self.stored].iter().for_each(|part| checksum.update(part));
        bytes.extend_from_slice(&lengths);
        bytes.extend_from_slice(&checksum.finalize().to_le_bytes());
        bytes.extend_from_slice(&self.header);
        bytes.extend_from_slice(&self.stored);
    }
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = bytes.get(HEADER_LEN..).unwrap_or_default();
    while let Some((fixed, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        let value = |at: usize| u32::from_le_bytes(fixed[at * 4..at * 4 + 4].try_into().expect("four bytes"));
        let (header_len, stored_len) = (value(0) as usize, value(1) as usize);
        let Some((header, after)) = after.split_at_checked(header_len) else { break };
        let Some((stored, after)) = after.split_at_checked(stored_len) else { break };
        frames.push(Frame { header: header.to_vec(), stored: stored.to_vec(), body_len: value(2) });
        rest = after;
    }
    frames
}

/// A range within a length, short ones more often than long ones.
fn range(random: &mut ChaCha8Rng, len: usize) -> std::ops::Range<usize> {
    let start = random.random_range(0..=len);
    let most = if random.random() { 16 } else { len };
    start..(start + random.random_range(0..=most)).min(len)
}
