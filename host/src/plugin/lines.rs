//! Header lines of one guest that have a number: it writes them in request after request, and neither name nor value crosses the border
//! again, is checked again, or is copied.

use http::{HeaderName, HeaderValue};

use crate::exchange::Line;

/// Lines a guest can have.
const MOST: usize = 256;
/// Bytes of their names and values.
const MOST_BYTES: usize = 64 << 10;

/// The lines of one guest, by number.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    bytes: usize,
}

impl Lines {
    /// The number of that line, a new one if it has none yet; `None` where there are too many.
    pub(super) fn number(&mut self, name: HeaderName, value: HeaderValue) -> Option<u16> {
        let line = Line::new(name, value);
        let at = match self.lines.iter().position(|known| *known == line) {
            Some(at) => at,
            None if self.lines.len() < MOST && self.bytes + line.size() <= MOST_BYTES => {
                self.bytes += line.size();
                self.lines.push(line);
                self.lines.len() - 1
            }
            None => return None,
        };
        u16::try_from(at).ok()
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all(&self) -> &[Line] {
        &self.lines
    }

    /// The line of that number, if it is one.
    pub(super) fn get(&self, number: u16) -> Option<&Line> {
        self.lines.get(usize::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(lines: &mut Lines, name: &str, value: &str) -> Option<u16> {
        lines.number(name.parse().unwrap(), value.parse().unwrap())
    }

    #[test]
    fn numbers_are_stable_and_bounded() {
        let mut lines = Lines::default();
        let first = number(&mut lines, "x-plugin", "on").unwrap();
        assert_ne!(number(&mut lines, "x-plugin", "off"), Some(first));
        assert_ne!(number(&mut lines, "x-other", "on"), Some(first));
        assert_eq!(lines.get(3), None);
        assert_eq!(lines.all().get(usize::from(first)), lines.get(first));
        for more in 3..MOST {
            assert_eq!(number(&mut lines, "x-plugin", &more.to_string()).map(usize::from), Some(more));
        }
        assert_eq!(number(&mut lines, "x-plugin", "one more"), None);
        assert_eq!(number(&mut lines, "x-plugin", "on"), Some(first));
        assert_eq!(lines.get(first), Some(&Line::new("x-plugin".parse().unwrap(), HeaderValue::from_static("on"))));
    }

    #[test]
    fn their_bytes_are_bounded_too() {
        let mut lines = Lines::default();
        let half = "v".repeat(MOST_BYTES / 2 - 1);
        assert!(number(&mut lines, "a", &half).is_some() && number(&mut lines, "b", &half).is_some());
        assert_eq!(number(&mut lines, "c", ""), None);
        assert_eq!(number(&mut lines, "a", &half), Some(0));
    }
}
