//! Request ids and trace context: accepted where that is safe, made otherwise.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest id that is accepted.
const MAX_ID: usize = 128;

/// Length of an id made here.
const ID: usize = 32;
/// Length of a `traceparent` made here.
const PARENT: usize = 55;

/// What a request is known by.
#[derive(Debug)]
pub(super) struct Ids {
    /// `x-request-id`
    pub(super) request: HeaderValue,
    /// `traceparent`
    pub(super) trace_parent: HeaderValue,
}

impl Ids {
    /// Those the request brings where they may be believed, else new ones: 128 random bits for the request, and a new,
    /// unsampled trace.
    pub(super) fn of(headers: &HeaderMap, trusted: bool) -> Self {
        match (accepted_id(headers, trusted).cloned(), accepted_parent(headers).cloned()) {
            (Some(request), Some(trace_parent)) => Self { request, trace_parent },
            (request, trace_parent) => {
                // One piece for both: headers and exchange share them, and each shared piece has a count that is allocated too.
                let mut text = Vec::with_capacity(ID + PARENT);
                write_id(&mut text);
                write_parent(&mut text);
                let text = Bytes::from(text);
                Self {
                    request: request.unwrap_or_else(|| value(text.slice(..ID))),
                    trace_parent: trace_parent.unwrap_or_else(|| value(text.slice(ID..))),
                }
            }
        }
    }
}

/// The id a trusted proxy sent. Ids end up in logs and commands, so only plain text is believed.
fn accepted_id(headers: &HeaderMap, trusted: bool) -> Option<&HeaderValue> {
    let is_plain = |id: &&HeaderValue| id.len() <= MAX_ID && !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic);
    headers.get(X_REQUEST_ID).filter(|_| trusted).filter(is_plain)
}

/// The `traceparent` the request came with, if it is valid (W3C Trace Context, section 3.2): it is kept as it is, since the
/// gateway makes no span of its own.
fn accepted_parent(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(TRACEPARENT).filter(|parent| is_trace_parent(parent.as_bytes()))
}

fn write_id(text: &mut Vec<u8>) {
    hexadecimal(text, &fastrand::u128(..).to_be_bytes());
}

fn write_parent(text: &mut Vec<u8>) {
    // Neither id may be zero.
    text.extend_from_slice(b"00-");
    hexadecimal(text, &fastrand::u128(1..).to_be_bytes());
    text.push(b'-');
    hexadecimal(text, &fastrand::u64(1..).to_be_bytes());
    text.extend_from_slice(b"-00");
}

/// The trace id of a valid `traceparent`.
pub(super) fn trace_id(parent: &HeaderValue) -> &str {
    parent.to_str().ok().and_then(|parent| parent.get(3..35)).unwrap_or_default()
}

fn is_trace_parent(value: &[u8]) -> bool {
    let lower_hex = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = value.splitn(4, |byte| *byte == b'-');
    let (Some(version), Some(trace), Some(span), Some(rest)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    // Later versions may append fields; version 00 may not.
    let flags = rest.get(..2).unwrap_or_default();
    let tail = rest.get(2..).unwrap_or_default();
    version.len() == 2
        && lower_hex(version)
        && version != b"ff"
        && trace.len() == 32
        && lower_hex(trace)
        && trace.iter().any(|byte| *byte != b'0')
        && span.len() == 16
        && lower_hex(span)
        && span.iter().any(|byte| *byte != b'0')
        && flags.len() == 2
        && lower_hex(flags)
        && (tail.is_empty() || (version != b"00" && tail.first() == Some(&b'-')))
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two lower-case digits for each byte.
fn hexadecimal(text: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        text.extend([digit(byte >> 4), digit(byte & 0xf)]);
    }
}

/// Digits and dashes are always legal.
fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_believed_from_a_trusted_proxy_only() {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, "abc-1".parse().unwrap());
        assert_eq!(Ids::of(&headers, true).request, "abc-1");
        assert_ne!(Ids::of(&headers, false).request, "abc-1");
        headers.insert(X_REQUEST_ID, "has space".parse().unwrap());
        assert_ne!(Ids::of(&headers, true).request, "has space");
        assert_eq!(Ids::of(&headers, false).request.len(), 32);
    }

    #[test]
    fn trace_context_is_kept_or_made() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, good.parse().unwrap());
        assert_eq!(Ids::of(&headers, false).trace_parent, good);
        for bad in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "x",
        ] {
            headers.insert(TRACEPARENT, bad.parse().unwrap());
            let made = Ids::of(&headers, true).trace_parent;
            assert!(is_trace_parent(made.as_bytes()), "{made:?} for {bad}");
            assert_eq!(trace_id(&made).len(), 32);
        }
    }
}
