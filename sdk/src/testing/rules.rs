//! The rules of the contract on what a plugin may change, as the gateway applies them.

use std::cell::Cell;

use crate::bindings::imports::plugway::gateway::types::ChangeError;

/// Which hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// None that the double knows of: the plugin's own functions, called by the test. Everything may change.
    Unknown,
    /// `configure` and `on_endpoints`.
    Setup,
    /// `authorize`
    Authorize,
    /// `on_request`
    Request,
    /// `route`, `forward`, `on_complete` and `on_batch`.
    Other,
    /// `on_response`
    Response,
    /// `on_tick`
    Tick,
}

thread_local! {
    static PHASE: Cell<Phase> = const { Cell::new(Phase::Unknown) };
    static HEADERS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Header lines one hook may set; the gateway's default.
pub(crate) const MAX_HEADERS: usize = 64;
/// Bytes of their names and values; the gateway's default.
pub(crate) const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Bytes of attributes of one plugin, and of one identity; the gateway's default.
pub(crate) const MAX_ATTRIBUTE_BYTES: usize = 16 * 1024;

/// The hook that runs.
pub(crate) fn phase() -> Phase {
    PHASE.get()
}

/// Runs a hook under the rules of its phase, which end when it does, a panic included.
pub(crate) fn during<R>(phase: Phase, hook: impl FnOnce() -> R) -> R {
    struct Restore(Phase);
    impl Drop for Restore {
        fn drop(&mut self) {
            PHASE.set(self.0);
        }
    }
    let _restore = Restore(PHASE.replace(phase));
    HEADERS.set((0, 0));
    hook()
}

pub(crate) fn request_headers_change() -> Result<(), ChangeError> {
    allowed(&[Phase::Authorize, Phase::Request])
}

pub(crate) fn request_line_changes() -> Result<(), ChangeError> {
    allowed(&[Phase::Request])
}

pub(crate) fn response_changes() -> Result<(), ChangeError> {
    allowed(&[Phase::Response])
}

fn allowed(phases: &[Phase]) -> Result<(), ChangeError> {
    let phase = phase();
    if phase == Phase::Unknown || phases.contains(&phase) { Ok(()) } else { Err(ChangeError::Immutable) }
}

/// The name of a header that may be set to a value, once it is.
pub(crate) fn unwritten_line(name: &str, value: &[u8], reserved: fn(&str) -> bool) -> Result<String, ChangeError> {
    let name = header_name(name, reserved)?;
    if !is_header_value(value) {
        return Err(ChangeError::Invalid("the value holds a control character".to_owned()));
    }
    Ok(name)
}

/// A legal header line within the limits of the hook that runs; the name in lower case.
pub(crate) fn header_line(name: &str, value: &[u8], reserved: fn(&str) -> bool) -> Result<String, ChangeError> {
    let name = unwritten_line(name, value, reserved)?;
    one_more_line(name.len() + value.len())?;
    Ok(name)
}

/// Room for one more line of so many bytes, by the hook that runs.
pub(crate) fn one_more_line(bytes: usize) -> Result<(), ChangeError> {
    let (lines, before) = HEADERS.get();
    if lines >= MAX_HEADERS || before + bytes > MAX_HEADER_BYTES {
        return Err(ChangeError::TooLarge);
    }
    HEADERS.set((lines + 1, before + bytes));
    Ok(())
}

/// Whether it may stand in a header (RFC 9110, section 5.5).
pub(crate) fn is_header_value(value: &[u8]) -> bool {
    !value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
}

/// A legal header name that plugins may touch, in lower case.
pub(crate) fn header_name(name: &str, reserved: fn(&str) -> bool) -> Result<String, ChangeError> {
    if !is_token(name) {
        return Err(ChangeError::Invalid("not a header name".to_owned()));
    }
    let name = name.to_ascii_lowercase();
    if reserved(&name) { Err(ChangeError::Forbidden) } else { Ok(name) }
}

/// A token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The first parameter of that name in a query.
pub(crate) fn query_parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_query(key) == name).then(|| decode_query(value))
    })
}

/// Percent-decodes a query component; `+` is a space. Malformed sequences stay and invalid UTF-8 becomes U+FFFD.
fn decode_query(text: &str) -> String {
    decode(text, true)
}

/// Percent-decodes a path segment.
pub(crate) fn decode_segment(text: &str) -> String {
    decode(text, false)
}

fn decode(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let pair = if byte == b'%' { tail.split_first_chunk::<2>() } else { None };
        let decoded = pair.and_then(|(pair, after)| {
            let text = std::str::from_utf8(pair).ok()?;
            Some((u8::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))?, after))
        });
        match decoded {
            Some((decoded, after)) => {
                bytes.push(decoded);
                rest = after;
            }
            None if byte == b'+' && plus_is_space => bytes.push(b' '),
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Bytes a value counts for.
pub(crate) fn value_size(value: &crate::value::Value) -> usize {
    use crate::value::Value;
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Integer(_) | Value::Number(_) => 8,
        Value::Boolean(_) => 1,
    }
}
