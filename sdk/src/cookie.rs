//! Reading `Cookie` (RFC 6265, section 4.2.1).

/// The value of the first cookie with that name in one header line.
pub(crate) fn find(line: &[u8], name: &str) -> Option<String> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = pair.split_at_checked(equals)?;
        let value = value.get(1..)?.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value);
        (key.trim_ascii() == name.as_bytes()).then(|| String::from_utf8(value.to_vec()).ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_a_cookie_by_its_whole_name() {
        let line = b"a=1; session=\"x y\";session2=no; b=; c=d=e";
        assert_eq!(find(line, "a").as_deref(), Some("1"));
        assert_eq!(find(line, "session").as_deref(), Some("x y"));
        assert_eq!(find(line, "b").as_deref(), Some(""));
        assert_eq!(find(line, "c").as_deref(), Some("d=e"));
        assert_eq!(find(line, "sess"), None);
        assert_eq!(find(b"\xff=1;;=;broken", "broken"), None);
    }
}
