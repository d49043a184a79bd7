//! Text that others wrote, such as a plugin's error, as a terminal or a file of lines may have it.

use std::fmt::{self, Display, Write};

/// Shows a text without what a terminal would obey: control characters are written as escapes, and what stands after a line break is
/// indented, so that nobody's words can look like a line of the gateway's own.
pub fn plain(text: impl Display) -> impl Display {
    Plain(text)
}

/// A character of a text that is to stay in its line: in the place of what a terminal would obey, and of what makes a text look like another, `instead`.
pub fn in_line(char: char, instead: char) -> char {
    if char.is_control() || is_unsafe(char) { instead } else { char }
}

struct Plain<T>(T);

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl<T: Display> Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly every text has nothing to escape.
        for part in text.split_inclusive(is_unsafe) {
            let (clean, escaped) = match part.char_indices().next_back().filter(|(_, last)| is_unsafe(*last)) {
                Some((at, last)) => (part.get(..at).unwrap_or_default(), Some(last)),
                None => (part, None),
            };
            self.0.write_str(clean)?;
            match escaped {
                Some('\n') => self.0.write_str("\n    ")?,
                Some(other) => write!(self.0, "{}", other.escape_default())?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Control characters, and those that turn the direction of what stands around them (UAX 9), by which a text can look like another.
fn is_unsafe(char: char) -> bool {
    (char.is_control() && char != '\t') || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, shown) in [
            ("", ""),
            ("as it is, umlauts äöü and tabs\tincluded", "as it is, umlauts äöü and tabs\tincluded"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("over\rwritten\u{7}", "over\\rwritten\\u{7}"),
            ("c1 \u{9b}31m", "c1 \\u{9b}31m"),
            ("one\nplugway.toml:1:1: two", "one\n    plugway.toml:1:1: two"),
            ("\u{202e}cba", "\\u{202e}cba"),
        ] {
            assert_eq!(plain(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_in_a_line_stays_there() {
        let line: String = "a\nb\tc\u{202e}d ö\u{9b}".chars().map(|char| in_line(char, '?')).collect();
        assert_eq!(line, "a?b?c?d ö?");
    }
}
