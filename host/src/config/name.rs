//! Names that an operator chooses: of plugins, routes, upstreams.

/// Longest name: it stands in logs, metrics and file names.
pub(super) const LONGEST: usize = 64;

/// Whether configurations may have it: `a` to `z`, `0` to `9`, `-` and `_`, and none of the last two at the beginning.
pub fn is_name(text: &str) -> bool {
    let may_begin = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let begins = text.bytes().next().is_some_and(may_begin);
    begins && text.len() <= LONGEST && text.bytes().all(|byte| may_begin(byte) || byte == b'-' || byte == b'_')
}
