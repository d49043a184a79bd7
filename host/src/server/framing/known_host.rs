//! The `Host` line of a connection. Nearly every connection says the same one in each of its heads: one that is as it was is as good as it was.

use super::bytes::value_run;
use super::value::{HostValue, taken};

/// Bytes of a line that is remembered.
const LONGEST: usize = 63;

/// The last such line, where it is not too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownHost {
    line: [u8; LONGEST],
    length: u8,
}

impl Default for KnownHost {
    fn default() -> Self {
        Self { line: [0; LONGEST], length: 0 }
    }
}

impl KnownHost {
    /// Bytes of the line that is there from its first to its last, if it is a `Host` with nothing wrong.
    pub(super) fn line(&mut self, bytes: &[u8]) -> Option<usize> {
        let length = usize::from(self.length);
        match self.line.get(..length) {
            Some(line) if length > 0 && bytes.starts_with(line) => Some(length),
            _ => self.another(bytes),
        }
    }

    #[cold]
    fn another(&mut self, bytes: &[u8]) -> Option<usize> {
        let (name, rest) = bytes.split_at_checked(b"host".len())?;
        let value = rest.strip_prefix(b":").filter(|_| name.eq_ignore_ascii_case(b"host"))?;
        let (value, rest) = value.split_at_checked(value_run(value))?;
        rest.strip_prefix(b"\r\n")?;
        if !is_host(value) {
            return None;
        }
        let line = bytes.get(..name.len() + 1 + value.len() + 2)?;
        if let Some(place) = self.line.get_mut(..line.len()) {
            place.copy_from_slice(line);
            self.length = u8::try_from(line.len()).unwrap_or(0);
        }
        Some(line.len())
    }
}

fn is_host(value: &[u8]) -> bool {
    let mut host = HostValue::default();
    taken(value, |_, rest| host.read(rest)).is_ok_and(|read| read == value.len()) && host.end().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_again_byte_for_byte_and_nothing_else_passes_for_it() {
        let mut host = KnownHost::default();
        let line = b"Host: a.example:80\r\n";
        assert_eq!(host.line(&[&line[..], b"x: y\r\n\r\n"].concat()), Some(line.len()));
        assert_eq!(host.line(line), Some(line.len()));
        for other in [
            &b"Host: a.example:80\r"[..],
            b"Host: a.example:80",
            b"Host: a.example:8 0\r\n",
            b"Host : a\r\n",
            b"Host:\r\n",
            b"Hos: a\r\n",
            b"",
        ] {
            assert_eq!(host.line(other), None, "{other:?}");
        }
        // Another one is no fault: it is looked at as the first was.
        assert_eq!(host.line(b"host: b\r\n"), Some(9));
        assert_eq!(host.line(line), Some(line.len()));
    }

    #[test]
    fn one_that_is_too_long_to_be_remembered_is_looked_at_each_time() {
        let mut host = KnownHost::default();
        let line = format!("host: {}\r\n", "a".repeat(LONGEST));
        for _ in 0..2 {
            assert_eq!(host.line(line.as_bytes()), Some(line.len()));
        }
        assert_eq!(host.line(&line.as_bytes()[..LONGEST]), None);
        assert_eq!(host.line(b"host: a\r\n"), Some(9));
        assert_eq!(host.line(line.as_bytes()), Some(line.len()));
        assert_eq!(host.line(b"host: a\r\n"), Some(9));
    }
}
