//! The head of a response (RFC 9112, sections 4 and 6.3).

use std::mem::MaybeUninit;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{ParserConfig, Status};

use super::MAX_LINES;
use super::decode::Decoder;
use super::error::Http1Error;
use super::input::Input;
use crate::http::MAX_BUFFER;
use crate::http::present::Present;
use crate::upstream::framing::Framing;

/// Most interim responses, and empty lines, before a response.
const MAX_PASSED: usize = 100;

/// The head of a response, and what it says of what follows it.
#[derive(Debug)]
pub(in crate::upstream) struct Head {
    pub(in crate::upstream) status: StatusCode,
    pub(in crate::upstream) headers: HeaderMap,
    /// Which of the headers that the gateway asks for it has.
    pub(in crate::upstream) present: Present,
    /// How its body is read.
    pub(super) decoder: Decoder,
    /// Whether another request may follow on the connection.
    pub(super) keeps_open: bool,
}

/// Reads heads from what comes.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// How much of the input has no end of a head in it.
    looked_at: usize,
    /// Interim heads and empty lines before the one that is waited for.
    passed: usize,
}

// === impl HeadReader ===

impl HeadReader {
    /// The next head, if it is all there; interim ones (RFC 9110, section 15.2) are passed over. `spare` are headers whose memory is used again,
    /// and `is_of_head` whether the request was a `HEAD`.
    pub(super) fn read(&mut self, input: &mut Input, spare: &mut HeaderMap, is_of_head: bool) -> Result<Option<Head>, Http1Error> {
        loop {
            // Empty lines before a head are nothing (RFC 9112, section 2.2, which says so of requests alone).
            while let Some(length) = empty_line(input.as_slice()) {
                input.skip(length);
                self.looked_at = 0;
                self.pass()?;
            }
            let end = end_of_head(input.as_slice(), self.looked_at);
            if end.unwrap_or(input.len()) >= MAX_BUFFER {
                return Err(Http1Error::Head("a response head that is too long"));
            }
            let Some(end) = end else {
                if !may_begin(input.as_slice()) {
                    return Err(Http1Error::Parse(httparse::Error::Version));
                }
                self.looked_at = input.len();
                return Ok(None);
            };
            self.looked_at = 0;
            if let Some(head) = parse(input, end, spare, is_of_head)? {
                return Ok(Some(head));
            }
            self.pass()?;
        }
    }

    /// Whether anything of a response has come.
    pub(super) fn has_begun(&self, input: &Input) -> bool {
        self.passed > 0 || !input.is_empty()
    }

    /// A flood of what means nothing would keep the worker from everything else, its timers included.
    fn pass(&mut self) -> Result<(), Http1Error> {
        self.passed += 1;
        if self.passed > MAX_PASSED { Err(Http1Error::Head("too many interim responses")) } else { Ok(()) }
    }
}

fn empty_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// Whether a response may begin with this, of which not all has come. Who speaks something else may never send the end of a head.
fn may_begin(bytes: &[u8]) -> bool {
    bytes == b"\r" || bytes.iter().zip(b"HTTP/1.").all(|(one, other)| one == other)
}

/// Where the first head ends: behind an empty line. Of bytes that were looked at before, the last few may be the beginning of one.
fn end_of_head(bytes: &[u8], looked_at: usize) -> Option<usize> {
    let from = looked_at.saturating_sub(2);
    memchr::memchr_iter(b'\n', bytes.get(from..)?).find_map(|at| match bytes.get(from + at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// None of an interim response.
fn parse(input: &mut Input, end: usize, spare: &mut HeaderMap, is_of_head: bool) -> Result<Option<Head>, Http1Error> {
    let bytes = input.take(end);
    let mut lines = [const { MaybeUninit::uninit() }; MAX_LINES];
    let mut response = httparse::Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(&mut response, &bytes, &mut lines) {
        Ok(Status::Complete(length)) if length == end => {}
        Ok(_) => return Err(Http1Error::Head("a response head with an end in it")),
        Err(error) => return Err(Http1Error::Parse(error)),
    }
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Http1Error::Head("a status that is no number"))?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    let is_old = response.version == Some(0);
    let (mut headers, mut present, mut framing) = (std::mem::take(spare), Present::default(), Framing::default());
    headers.reserve(response.headers.len());
    for line in response.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Http1Error::Head("a header name that is too long"))?;
        let value =
            HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).map_err(|_| Http1Error::Head("a header value that is none"))?;
        present = present.and(Present::name(&name));
        framing.learn(&name, &value).map_err(Http1Error::Head)?;
        headers.append(name, value);
    }
    framing.check(status).map_err(Http1Error::Head)?;
    if is_old && framing.is_chunked {
        return Err(Http1Error::Head("a Transfer-Encoding in HTTP/1.0"));
    }
    let decoder = if is_of_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        Decoder::Ended
    } else if framing.is_chunked {
        Decoder::chunked()
    } else {
        framing.length.map_or(Decoder::UntilClosed, Decoder::of_length)
    };
    // It may have none (RFC 9110, section 8.6); who says that it has may send it, and it would be the next answer.
    let is_at_odds = status == StatusCode::NO_CONTENT && framing.length.is_some_and(|length| length > 0);
    let keeps_open = decoder != Decoder::UntilClosed && !is_at_odds && !framing.closes && (!is_old || framing.keeps_alive);
    Ok(Some(Head { status, headers, present, decoder, keeps_open }))
}

#[cfg(test)]
mod tests;
