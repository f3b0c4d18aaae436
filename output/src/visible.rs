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

/// The characters of nearly all text.
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
}
