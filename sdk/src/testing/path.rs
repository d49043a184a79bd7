//! The one form of a path that the gateway works with, as far as it takes to refuse any other.

use crate::forwarding::Plan;

/// Longest path that is set, and longest query, bytes.
pub(crate) const LONGEST_PATH: usize = Plan::LONGEST_PATH;

/// Whether a path is in normal form: no dot segments, no `//`, percent-encoding only where it is needed and in upper case, and
/// nothing that two parsers could read differently.
pub(crate) fn is_normal_path(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment == "." || segment == ".." || (segment.is_empty() && !is_last) || !is_normal_segment(segment) {
            return false;
        }
    }
    true
}

/// Whether every byte may stand in a query as it is.
pub(crate) fn may_be_query(query: &str) -> bool {
    query.bytes().all(|byte| matches!(byte, 0x21 | 0x24..=0x3B | 0x3D | 0x3F..=0x7E))
}

fn is_normal_segment(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    // What it stands for, each character whole: two halves of one with something between them are none.
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let legal = match byte {
            b'%' => match escape(tail, upper_hex) {
                Some((value, tail)) => {
                    rest = tail;
                    decoded.push(value);
                    !(is_unreserved(value) || is_structure(value) || value == b'%' && is_double_escape(tail))
                }
                None => false,
            },
            _ => {
                decoded.push(byte);
                is_unreserved(byte) || b"!$&'()*+,=:@".contains(&byte)
            }
        };
        if !legal {
            return false;
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// Whether an escaped `%` would begin another escape that means something, if it were decoded once more.
fn is_double_escape(after: &[u8]) -> bool {
    let any_hex = |digit: u8| upper_hex(digit.to_ascii_uppercase());
    escape(after, any_hex).is_some_and(|(value, _)| is_structure(value) || matches!(value, b'.' | b'%'))
}

/// What separates segments, or cuts one short, for some server.
fn is_structure(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\' | b';') || byte.is_ascii_control()
}

/// The byte two hexadecimal digits spell, and what follows them.
fn escape(digits: &[u8], hex: impl Fn(u8) -> Option<u8>) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = digits.split_first_chunk::<2>()?;
    Some((hex(high)? * 16 + hex(low)?, rest))
}

fn upper_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_normal_where_the_gateway_says_so() {
        for path in ["/", "/a", "/a/", "/a/b%20c", "/%C3%A9", "/%2541", "/%25", "/%25zz", "/.well-known", "/a..b", "/a!$&'()*+,=:@-~"] {
            assert!(is_normal_path(path), "{path}");
        }
        for path in [
            "",
            "a",
            "//",
            "/a//b",
            "/./a",
            "/a/..",
            "/%41",
            "/%2e",
            "/%2E",
            "/%c3%a9",
            "/é",
            "/a b",
            "/a?b",
            "/a#b",
            "/%",
            "/%4",
            "/%zz",
            // Structure, raw or escaped, for some server.
            "/a;b",
            "/%3B",
            "/%2F",
            "/%5C",
            "/a\\b",
            "/%00",
            "/%1F",
            "/%7F",
            // No UTF-8.
            "/%C3",
            "/%A9",
            "/%C3/%A9",
            "/%C3a%A9",
            "/%C0%AF",
            "/%ED%A0%80",
            // Structure once it is decoded again.
            "/%252E",
            "/%252e",
            "/%252F",
            "/%255c",
            "/%253B",
            "/%2525",
            "/%2500",
            "/%257f",
            // To be escaped.
            "/\"",
            "/<",
            "/>",
            "/[",
            "/]",
            "/^",
            "/`",
            "/{",
            "/|",
            "/}",
        ] {
            assert!(!is_normal_path(path), "{path}");
        }
    }
}
