//! A response whose end two parsers could see in different places is refused, and its connection closed.
//!
//! hyper's client reads such responses one way and hands the headers on as they came; forwarding them would let whoever
//! reads next see another end (RFC 9112, section 6.3, RFC 9110, section 8.6). So exactly two forms pass: one
//! `Content-Length` of digits, or a `Transfer-Encoding` that is `chunked` and nothing else. Other transfer codings were not
//! asked for (the gateway sends no `TE` that names any) and cannot be forwarded. Nor can a status that means nothing.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use crate::http::present::Present;

/// Why a response's framing cannot be trusted; `present` is what [`Present::of`] finds in its headers.
pub(super) fn problem(status: StatusCode, headers: &HeaderMap, present: Present) -> Option<&'static str> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Some("the upstream switched protocols without being asked");
    }
    // RFC 9110, section 15: valid ones are 100 to 599. Of another nobody could tell whose fault it was.
    if status.as_u16() >= 600 {
        return Some("a status that is of no class");
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Some("more than one Content-Length");
    }
    if length.is_some_and(|value| value.is_empty() || !value.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Some("a Content-Length that is no number");
    }
    // Hardly any has one, and to look for it costs a hash.
    if !present.has(Present::TRANSFER_ENCODING) {
        return None;
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next()?;
    if length.is_some() {
        return Some("Content-Length beside Transfer-Encoding");
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Some("a Transfer-Encoding other than chunked");
    }
    // RFC 9112, section 6.1: never in a 204, and such a body would be read as the next response.
    (status == StatusCode::NO_CONTENT).then_some("a Transfer-Encoding in a 204")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        problem(StatusCode::from_u16(status).unwrap(), &map, Present::of(&map)).is_some()
    }

    #[test]
    fn takes_the_two_plain_forms_and_none() {
        assert!(!refused(200, &[]));
        assert!(!refused(200, &[("content-length", "0")]));
        assert!(!refused(304, &[("content-length", "17")]));
        assert!(!refused(200, &[("transfer-encoding", "chunked")]));
        assert!(!refused(200, &[("transfer-encoding", "Chunked")]));
    }

    #[test]
    fn refuses_a_status_that_is_of_no_class() {
        assert_eq!([200, 599, 600, 999].map(|status| refused(status, &[])), [false, false, true, true]);
    }

    #[test]
    fn refuses_what_two_parsers_could_read_differently() {
        assert!(refused(200, &[("content-length", "5"), ("transfer-encoding", "chunked")]));
        assert!(refused(200, &[("content-length", "5"), ("content-length", "5")]));
        assert!(refused(200, &[("content-length", "5, 5")]));
        assert!(refused(200, &[("content-length", "+5")]));
        assert!(refused(200, &[("content-length", "")]));
        for coding in ["gzip, chunked", "chunked, chunked", "identity", "chunked;q=1", "xchunked", ""] {
            assert!(refused(200, &[("transfer-encoding", coding)]), "{coding}");
        }
        assert!(refused(200, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]));
        assert!(refused(204, &[("transfer-encoding", "chunked")]));
        assert!(refused(101, &[]));
    }
}
