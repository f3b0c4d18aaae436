//! The only path by which a value enters the page.

use std::fmt::Write as _;

use maud::Render;

use boxseat_schemas::text::visible_line;

/// Text that is safe wherever the page contains a value: between tags and inside a quoted attribute.
///
/// Only this type creates it, so data from Box is escaped once, at this place. Invisible characters are first replaced by codes. Line
/// breaks are replaced too, because a name is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Escaped(String);

impl Escaped {
    pub(super) fn of(text: &str) -> Self {
        let mut escaped = String::with_capacity(text.len());
        for c in visible_line(text).chars() {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                c => escaped.push(c),
            }
        }
        Self(escaped)
    }

    /// A number, which needs no escaping. A table has ten thousand of them.
    pub(super) fn number(number: i64) -> Self {
        let mut text = String::new();
        write!(text, "{number}").expect("writing to a String cannot fail");
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Render for Escaped {
    fn render_to(&self, page: &mut String) {
        page.push_str(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_value_never_leaves_its_quotes_or_hides() {
        assert_eq!(
            Escaped::of("\"'><script>&\u{202e}\u{0}\n").as_str(),
            "&quot;&#39;&gt;&lt;script&gt;&amp;\\u{202e}\\u{0}\\n"
        );
    }
}
