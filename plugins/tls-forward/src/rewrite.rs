//! Rewriting the path. Everything here is in the gateway's normal form, which leaves reserved characters as they were written: prefixes are compared by
//! what they stand for, as routes are.

use plugway_sdk::Plan;

/// What becomes of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// This path, whatever it was.
    Whole(String),
    /// Without the first prefix, with the second. Neither ends in `/`; either may be empty.
    Prefix { strip: String, add: String },
}

impl Rewrite {
    pub(crate) fn whole(path: String) -> Result<Self, String> {
        check_normal(&path).map_err(|why| format!("`path.replace` = {path:?}: {why}"))?;
        Ok(Self::Whole(path))
    }

    pub(crate) fn prefix(strip: Option<String>, add: Option<String>) -> Result<Self, String> {
        let strip = checked_prefix("strip_prefix", strip)?;
        let add = checked_prefix("add_prefix", add)?;
        Ok(Self::Prefix { strip, add })
    }

    /// The new path; `None` where it stays as it is. A prefix is stripped as whole segments: `/v1` of `/v1/a` and of
    /// `/v1`, not of `/v10`. A path without it keeps all its segments.
    pub(crate) fn apply(&self, path: &str) -> Option<String> {
        let (strip, add) = match self {
            Self::Whole(new) => return (new != path).then(|| new.clone()),
            Self::Prefix { strip, add } => (strip, add),
        };
        let rest = behind(strip, path).unwrap_or(path);
        let new = if add.is_empty() && rest.is_empty() { "/".to_owned() } else { [add, rest].concat() };
        (new != path).then_some(new)
    }
}

/// What of a path stands behind a prefix of whole segments. `%3A` is `:` there, or a client could get past the prefix of a route that it has matched.
fn behind<'p>(mut prefix: &str, mut path: &'p str) -> Option<&'p str> {
    while let Some((wanted, prefix_left)) = byte(prefix) {
        let (found, path_left) = byte(path)?;
        if found != wanted {
            return None;
        }
        (prefix, path) = (prefix_left, path_left);
    }
    Some(path).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The first byte that a path stands for, and what is left of it.
fn byte(path: &str) -> Option<(u8, &str)> {
    let first = path.bytes().next()?;
    match path.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        Some(escaped) if first == b'%' => Some((escaped, path.get(3..)?)),
        _ => Some((first, path.get(1..)?)),
    }
}

fn checked_prefix(key: &str, prefix: Option<String>) -> Result<String, String> {
    let Some(prefix) = prefix else { return Ok(String::new()) };
    match check_normal(&prefix) {
        Err(why) => Err(format!("`path.{key}` = {prefix:?}: {why}")),
        Ok(()) if prefix.ends_with('/') => {
            Err(format!("`path.{key}` = {prefix:?}: a prefix does not end in `/`; it is taken as whole segments"))
        }
        Ok(()) => Ok(prefix),
    }
}

/// Whether a path is as the gateway's normalisation leaves it (`docs/paths.md`). What would only be a doubtful escape in a
/// request (`%2F`, `%25` before two digits) is refused outright: nobody needs it in a configuration.
fn check_normal(path: &str) -> Result<(), &'static str> {
    let segments = path.strip_prefix('/').ok_or("a path begins with `/`")?;
    if path.len() > Plan::LONGEST_PATH {
        return Err("longer than the 32766 bytes that a path can have");
    }
    if path.contains("//") {
        return Err("`//` is not in normal form");
    }
    for segment in segments.split('/') {
        if segment == "." || segment == ".." {
            return Err("`.` and `..` are not in normal form");
        }
        check_segment(segment)?;
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !is_unreserved(byte) && !b"!$&'()*+,=:@".contains(&byte) {
                return Err("holds a character that must be percent-encoded, or is refused in paths (`;`)");
            }
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(upper_hex), bytes.next().and_then(upper_hex)) else {
            return Err("`%` needs two hexadecimal digits in upper case");
        };
        match high * 16 + low {
            byte if is_unreserved(byte) => return Err("letters, digits and `-._~` are not escaped in normal form"),
            0..0x20 | 0x7f | b'/' | b'\\' | b';' => return Err("`%2F`, `%5C`, `%3B` and control characters are refused in paths"),
            b'%' if bytes.clone().take(2).filter(u8::is_ascii_hexdigit).count() == 2 => {
                return Err("`%25` before two digits would be decoded twice by some servers");
            }
            byte => decoded.push(byte),
        }
    }
    if std::str::from_utf8(&decoded).is_ok() { Ok(()) } else { Err("the escapes are not UTF-8") }
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

    fn rewritten(strip: &str, add: &str, path: &str) -> String {
        let given = |prefix: &str| (!prefix.is_empty()).then(|| prefix.to_owned());
        Rewrite::prefix(given(strip), given(add)).unwrap().apply(path).unwrap_or_else(|| path.to_owned())
    }

    #[test]
    fn strips_and_adds_whole_segments() {
        for (strip, add, path, expected) in [
            ("/v1", "/api", "/v1/a/b", "/api/a/b"),
            ("/v1", "/api", "/v1", "/api"),
            ("/v1", "/api", "/v1/", "/api/"),
            ("/v1", "", "/v1", "/"),
            ("/v1", "", "/v1/", "/"),
            ("/v1", "", "/v1/a", "/a"),
            ("/v1", "", "/v10/a", "/v10/a"),
            ("/v1", "", "/a/v1", "/a/v1"),
            ("/v1", "/api", "/other", "/api/other"),
            ("", "/api", "/", "/api/"),
            ("", "/api", "/a", "/api/a"),
            ("/a", "/a", "/a/b", "/a/b"),
            ("/%C3%BC", "", "/%C3%BC/x", "/x"),
            ("/a:b", "", "/a%3Ab/x,%2C", "/x,%2C"),
            ("/a%2Cb", "/api", "/a,b", "/api"),
            ("/a:b", "", "/a%3Abc", "/a%3Abc"),
            ("/a:b", "", "/a%3A", "/a%3A"),
            ("/100%25", "", "/100%25/x", "/x"),
        ] {
            assert_eq!(rewritten(strip, add, path), expected, "{strip} {add} {path}");
        }
    }

    #[test]
    fn says_nothing_when_nothing_changes() {
        assert_eq!(Rewrite::whole("/a".to_owned()).unwrap().apply("/a"), None);
        assert_eq!(Rewrite::whole("/a".to_owned()).unwrap().apply("/b").as_deref(), Some("/a"));
        assert_eq!(Rewrite::prefix(Some("/v1".to_owned()), None).unwrap().apply("/v2"), None);
    }

    #[test]
    fn refuses_what_is_not_in_normal_form() {
        let bad = [
            "", "v1", "//", "/a//b", "/.", "/a/..", "/a b", "/ü", "/a?b", "/a#b", "/a;b", "/%", "/%2", "/%2f", "/%41", "/%2F", "/%00",
            "/%252E", "/%C3",
        ];
        let long = "/".to_owned() + &"a".repeat(Plan::LONGEST_PATH);
        for path in bad.into_iter().chain([&*long]) {
            assert!(Rewrite::whole(path.to_owned()).is_err(), "{path}");
        }
        for prefix in ["/", "/v1/", "v1", "/../a"] {
            assert!(Rewrite::prefix(Some(prefix.to_owned()), None).is_err(), "{prefix}");
            assert!(Rewrite::prefix(None, Some(prefix.to_owned())).is_err(), "{prefix}");
        }
        for path in ["/", "/a/", "/a:b@c!$&'()*+,=", "/%C3%BC", "/100%25", "/%25zz"] {
            assert!(Rewrite::whole(path.to_owned()).is_ok(), "{path}");
        }
    }
}
