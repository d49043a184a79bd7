//! Request ids and trace context: accepted where that is safe, made otherwise.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::present::Present;
use crate::trace::{Parent, TRACEPARENT};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest id that is accepted.
const MAX_ID: usize = 128;

/// Length of an id made here.
const ID: usize = 32;
/// Length of a `traceparent` made here.
const PARENT: usize = 55;
/// Length of the trace in it.
const TRACE: usize = 32;

/// What a request is known by.
#[derive(Debug)]
pub(super) struct Ids {
    /// `x-request-id`
    pub(super) request: HeaderValue,
    /// `traceparent`
    pub(super) trace_parent: HeaderValue,
    /// The trace it names.
    pub(super) trace: u128,
    /// What the request came with.
    pub(super) caller: Option<Parent>,
}

/// A request's id for what may outlive its exchange. One that is as long as those made here is copied, which costs less than to share it.
#[derive(Debug)]
pub(super) enum KeptId {
    Copied([u8; ID]),
    Shared(HeaderValue),
}

impl Ids {
    /// Those the request brings where they may be believed, else new ones: 128 random bits for the request, and a new,
    /// unsampled trace.
    pub(super) fn of(headers: &HeaderMap, present: Present, trusted: bool) -> Self {
        let caller = accepted_parent(headers, present);
        match (accepted_id(headers, trusted).cloned(), caller) {
            (Some(request), Some((trace_parent, parent))) => {
                Self { request, trace_parent: trace_parent.clone(), trace: parent.trace, caller: Some(parent) }
            }
            (request, caller) => {
                let (mut text, made) = make();
                let id = text.split_to(ID);
                Self {
                    request: request.unwrap_or_else(|| value(id)),
                    trace_parent: caller.map_or_else(|| value(text), |(trace_parent, _)| trace_parent.clone()),
                    trace: caller.map_or(made, |(_, parent)| parent.trace),
                    caller: caller.map(|(_, parent)| parent),
                }
            }
        }
    }
}

impl KeptId {
    pub(super) fn of(id: &HeaderValue) -> Self {
        <[u8; ID]>::try_from(id.as_bytes()).map_or_else(|_| Self::Shared(id.clone()), Self::Copied)
    }

    /// As text, which every id is that is made or accepted here.
    pub(super) fn as_str(&self) -> &str {
        let bytes = match self {
            Self::Copied(bytes) => bytes.as_slice(),
            Self::Shared(id) => id.as_bytes(),
        };
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// The id a trusted proxy sent. Ids end up in logs and commands, so only plain text is believed.
fn accepted_id(headers: &HeaderMap, trusted: bool) -> Option<&HeaderValue> {
    let is_plain = |id: &&HeaderValue| id.len() <= MAX_ID && !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic);
    if trusted { headers.get(X_REQUEST_ID).filter(is_plain) } else { None }
}

/// The `traceparent` the request came with, if it is valid: it is sent on as it is, unless the request is sampled here.
fn accepted_parent(headers: &HeaderMap, present: Present) -> Option<(&HeaderValue, Parent)> {
    let value = if present.has(Present::TRACEPARENT) { headers.get(TRACEPARENT)? } else { return None };
    Some((value, Parent::parse(value.as_bytes())?))
}

/// A new id, with a new `traceparent` after it, and the trace that this names. One piece for both and for the count of who shares it, which
/// headers and exchange do.
fn make() -> (Bytes, u128) {
    // One visit to this thread's generator for all.
    let mut random = [[0; 8]; 5];
    fastrand::fill(random.as_flattened_mut());
    let [id, id_rest, trace, trace_rest, span] = random.map(u64::from_be_bytes);
    // Neither may be zero.
    let (trace_rest, span) = (trace_rest.max(1), span.max(1));
    let text = written([id, id_rest, trace, trace_rest, span]);
    (Bytes::from_owner(text), (u128::from(trace) << 64) | u128::from(trace_rest))
}

/// An id of the first two words, and a `traceparent` of the others.
fn written(words: [u64; 5]) -> [u8; ID + PARENT] {
    let bytes = words.map(u64::to_be_bytes);
    // All in one go and without a table, which takes a few vector instructions.
    let mut digits = [[0; 2]; 40];
    for (pair, byte) in digits.iter_mut().zip(bytes.as_flattened()) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    let (id, rest) = digits.as_flattened().split_at(ID);
    let (trace, span) = rest.split_at(TRACE);
    let mut text = [0; ID + PARENT];
    let mut left = text.as_mut_slice();
    for piece in [id, b"00-", trace, b"-", span, b"-00"] {
        let Some((place, rest)) = std::mem::take(&mut left).split_at_mut_checked(piece.len()) else { break };
        place.copy_from_slice(piece);
        left = rest;
    }
    text
}

/// Lower case.
fn digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
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
        assert_eq!(Ids::of(&headers, Present::of(&headers), true).request, "abc-1");
        assert_ne!(Ids::of(&headers, Present::of(&headers), false).request, "abc-1");
        headers.insert(X_REQUEST_ID, "has space".parse().unwrap());
        assert_ne!(Ids::of(&headers, Present::of(&headers), true).request, "has space");
        assert_eq!(Ids::of(&headers, Present::of(&headers), false).request.len(), 32);
    }

    #[test]
    fn an_id_is_kept_whatever_its_length() {
        let own = Ids::of(&HeaderMap::new(), Present::default(), false).request;
        assert!(matches!(KeptId::of(&own), KeptId::Copied(_)));
        assert_eq!(KeptId::of(&own).as_str(), own);
        for length in [1, ID - 1, ID, ID + 1, MAX_ID] {
            let id = "i".repeat(length);
            assert_eq!(KeptId::of(&HeaderValue::from_str(&id).unwrap()).as_str(), id);
        }
    }

    #[test]
    fn trace_context_is_kept_or_made() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, good.parse().unwrap());
        let ids = Ids::of(&headers, Present::of(&headers), false);
        assert_eq!(ids.trace_parent, good);
        assert_eq!(
            (ids.trace, ids.caller.map(|caller| caller.span)),
            (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, Some(0x00f0_67aa_0ba9_02b7))
        );
        for bad in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "x",
        ] {
            headers.insert(TRACEPARENT, bad.parse().unwrap());
            let ids = Ids::of(&headers, Present::of(&headers), true);
            let made = Parent::parse(ids.trace_parent.as_bytes()).unwrap();
            assert_eq!((made.trace, made.sampled, ids.caller), (ids.trace, false, None), "for {bad}");
        }
    }

    #[test]
    fn every_digit_is_written_where_it_belongs() {
        let words = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 0x4bf9_2f35_77b3_4da6, 0xa3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7];
        assert_eq!(
            std::str::from_utf8(&written(words)).unwrap(),
            "0123456789abcdeffedcba987654321000-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
        );
        for byte in 0..=u8::MAX {
            let [high, low] = [digit(byte >> 4), digit(byte & 0xf)].map(char::from);
            assert_eq!(format!("{high}{low}"), format!("{byte:02x}"));
        }
    }

    #[test]
    fn what_is_made_is_as_long_as_it_should_be_and_never_made_twice() {
        let (headers, mut seen) = (HeaderMap::new(), std::collections::HashSet::new());
        for _ in 0..1_000 {
            let ids = Ids::of(&headers, Present::of(&headers), false);
            let parent = Parent::parse(ids.trace_parent.as_bytes()).unwrap();
            assert_eq!((ids.request.len(), ids.trace_parent.len(), parent.trace), (ID, PARENT, ids.trace));
            assert!(ids.request.as_bytes().iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{:?}", ids.request);
            assert!(seen.insert(ids.request.clone()) && seen.insert(ids.trace_parent.clone()), "{ids:?}");
        }
    }
}
