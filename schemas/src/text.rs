//! Makes text from outside safe to display.

/// Text without characters that move the cursor, or that hide or reverse other text: control and bidirectional characters are replaced by
/// their code. A line end is unchanged.
pub fn visible(text: &str) -> String {
    if text.bytes().all(is_plain) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match c {
            '\n' => shown.push(c),
            c if is_hidden(c) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => shown.push(c),
        }
        shown
    })
}

/// As [`visible`], in one line: a line end is shown as `\n`.
pub fn visible_line(text: &str) -> String {
    let shown = visible(text);
    if shown.contains('\n') { shown.replace('\n', "\\n") } else { shown }
}

/// Text from outside in a message, in quotation marks and on one line: control and bidirectional characters are escaped. A text of more
/// than 200 characters is cut after them, and its length is added.
pub fn quoted(text: &str) -> String {
    let (shown, cut) = cut(text, QUOTED);
    format!("{shown:?}{cut}")
}

/// As [`quoted`], without quotation marks.
pub fn excerpt(text: &str) -> String {
    let (shown, cut) = cut(text, QUOTED);
    format!("{}{cut}", visible_line(shown))
}

/// A message as [`visible`], cut after ten thousand characters: a cell, a line or a response of some megabytes must not fill a terminal or
/// a log.
pub fn visible_message(text: &str) -> String {
    let (shown, cut) = cut(text, MESSAGE);
    format!("{}{cut}", visible(shown))
}

/// Characters of a quoted text, and of a whole message.
const QUOTED: usize = 200;
const MESSAGE: usize = 10_000;

/// The beginning of a text, and the note about its length if the text was cut.
fn cut(text: &str, characters: usize) -> (&str, String) {
    match text.char_indices().nth(characters) {
        None => (text, String::new()),
        Some((end, _)) => (&text[..end], format!("… ({} characters)", grouped(text.chars().count()))),
    }
}

/// `1234567` is `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Printable ASCII, which is nearly all text.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Control characters, marks without width, and all characters that change the direction of text (UAX 9).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_moves_the_cursor_or_reverses_the_line() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c\nd"), "a\\u{1b}[2Jb\\u{202e}c\nd");
        assert_eq!(visible_line("a\r\nb\u{2028}"), "a\\u{d}\\nb\\u{2028}");
        assert_eq!(visible("Zoë 王\u{301} 👩\u{fe0f}"), "Zoë 王\u{301} 👩\u{fe0f}");
    }

    /// Why: a cell of 2 MB in a list made a message of 2 MB.
    #[test]
    fn long_text_from_outside_is_cut_in_messages() {
        let long = "é".repeat(2_097_152);
        assert_eq!(quoted(&long), format!("\"{}\"… (2,097,152 characters)", "é".repeat(200)));
        assert_eq!(excerpt(&long), format!("{}… (2,097,152 characters)", "é".repeat(200)));
        assert_eq!(
            visible_message(&long).chars().count(),
            10_000 + "… (2,097,152 characters)".chars().count()
        );
        let exact = "x".repeat(200);
        assert_eq!((quoted(&exact), excerpt(&exact)), (format!("{exact:?}"), exact.clone()));
        assert_eq!(
            (quoted("a\n\u{202e}"), excerpt("a\n\u{202e}")),
            ("\"a\\n\\u{202e}\"".to_owned(), "a\\n\\u{202e}".to_owned())
        );
        assert_eq!(visible_message("a\nb"), "a\nb");
    }
}
