//! A response whose end two parsers could see in different places is refused, and its connection closed.
//!
//! Forwarding it would let whoever reads next see another end (RFC 9112, section 6.3, RFC 9110, section 8.6). So exactly two forms pass: one
//! `Content-Length` of digits, or a `Transfer-Encoding` that is `chunked` and nothing else. Other transfer codings were not
//! asked for (the gateway sends no `TE` that names any) and cannot be forwarded. Nor can a status that means nothing.

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http::connection_headers::members;

/// What a response's headers say of where it ends, and of its connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub(super) is_chunked: bool,
    /// `Connection: close`.
    pub(super) closes: bool,
    /// `Connection: keep-alive`.
    pub(super) keeps_alive: bool,
}

impl Framing {
    /// What one more line says.
    ///
    /// # Errors
    /// Why it cannot be trusted.
    pub(super) fn learn(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), &'static str> {
        if *name == CONTENT_LENGTH {
            if self.length.is_some() {
                return Err("more than one Content-Length");
            }
            self.length = Some(number(value.as_bytes(), 10).ok_or("a Content-Length that is no number")?);
        } else if *name == CONNECTION {
            for option in members(value) {
                self.closes |= option.eq_ignore_ascii_case(b"close");
                self.keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if *name == TRANSFER_ENCODING {
            if self.is_chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err("a Transfer-Encoding other than chunked");
            }
            self.is_chunked = true;
        }
        Ok(())
    }

    /// What all lines come to, of a response with that status.
    ///
    /// # Errors
    /// Why it cannot be trusted.
    pub(super) fn check(&self, status: StatusCode) -> Result<(), &'static str> {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err("the upstream switched protocols without being asked");
        }
        // RFC 9110, section 15: valid ones are 100 to 599. Of another nobody could tell whose fault it was.
        if status.as_u16() >= 600 {
            return Err("a status that is of no class");
        }
        if self.is_chunked && self.length.is_some() {
            return Err("Content-Length beside Transfer-Encoding");
        }
        // RFC 9112, section 6.1: never in a 204, and such a body would be read as the next response.
        if self.is_chunked && status == StatusCode::NO_CONTENT {
            return Err("a Transfer-Encoding in a 204");
        }
        Ok(())
    }
}

/// Why a response's framing cannot be trusted.
pub(super) fn problem(status: StatusCode, headers: &HeaderMap) -> Option<&'static str> {
    let mut framing = Framing::default();
    let learned = headers.iter().try_for_each(|(name, value)| framing.learn(name, value));
    learned.and_then(|()| framing.check(status)).err()
}

/// What digits say, and nothing but digits, if it is not too much.
pub(super) fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digit = |number: u64, byte: &u8| number.checked_mul(radix.into())?.checked_add(char::from(*byte).to_digit(radix)?.into());
    digits.iter().try_fold(0, digit).filter(|_| !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        problem(StatusCode::from_u16(status).unwrap(), &map).is_some()
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
        assert!(
            refused(200, &[("content-length", "18446744073709551616")]) && !refused(200, &[("content-length", "18446744073709551615")])
        );
        for coding in ["gzip, chunked", "chunked, chunked", "identity", "chunked;q=1", "xchunked", ""] {
            assert!(refused(200, &[("transfer-encoding", coding)]), "{coding}");
        }
        assert!(refused(200, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]));
        assert!(refused(204, &[("transfer-encoding", "chunked")]));
        assert!(refused(101, &[]));
    }
}
