//! A request's head as it goes over the wire (RFC 9112, sections 3 and 5), and how what follows is framed (section 6).

use std::io::Write;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Body;

use super::MAX_LINES;
use crate::http::connection_headers::{members, strip_trailers};

/// How a request's body is framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is none.
    Empty,
    /// So many bytes are still to come, at least one.
    Length(u64),
    /// In chunks, with trailers of these names.
    Chunked(Vec<HeaderName>),
}

impl Coding {
    /// What a body says of itself: its length where it knows that, chunks otherwise.
    pub(super) fn of<B: Body>(request: &Request<B>) -> Self {
        if request.body().is_end_stream() {
            return Self::Empty;
        }
        match request.body().size_hint().exact() {
            Some(0) => Self::Empty,
            Some(length) => Self::Length(length),
            None => Self::Chunked(announced(request.headers())),
        }
    }

    /// The trailers that may be sent, as they are written behind the last chunk; nothing where there are none.
    pub(super) fn trailers(&self, mut trailers: HeaderMap) -> Vec<u8> {
        let mut written = Vec::new();
        let Self::Chunked(names) = self else { return written };
        strip_trailers(&mut trailers);
        for (name, value) in trailers.iter().filter(|(name, _)| names.contains(name)) {
            put_line(&mut written, name, value);
        }
        written
    }
}

/// Names in `Trailer`. What was not announced is not sent: an upstream may have decided by them what it keeps.
fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = headers.get_all(TRAILER).iter().flat_map(members);
    // Each trailer is looked for among them.
    names.take(MAX_LINES).filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// Writes a head; says whether the connection is to be closed behind its response. A `Content-Length` or `Transfer-Encoding` among the
/// headers gives way to what fits the body.
pub(super) fn head<B>(request: &Request<B>, coding: &Coding, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    // A query may follow the authority at once (`http://host?x`); its path is `/` (RFC 9110, section 4.2.3).
    if !target.starts_with(['/', '*']) {
        out.push(b'/');
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let (mut closes, mut has_length) = (false, false);
    for (name, value) in request.headers() {
        if *name == CONTENT_LENGTH {
            has_length = true;
            continue;
        }
        if *name == TRANSFER_ENCODING {
            continue;
        }
        closes |= *name == CONNECTION && members(value).any(|option| option.eq_ignore_ascii_case(b"close"));
        put_line(out, name, value);
    }
    match coding {
        // Said only where the request said it.
        Coding::Empty if has_length => out.extend_from_slice(b"content-length: 0\r\n"),
        Coding::Empty => {}
        // Nothing fails that is written to memory.
        Coding::Length(length) => drop(write!(out, "content-length: {length}\r\n")),
        Coding::Chunked(_) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
    closes
}

fn put_line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The line before a chunk of so many bytes; the chunk before it has no end of its own line yet where there `is_first` not.
pub(super) fn chunk_line(length: usize, is_first: bool) -> Bytes {
    Bytes::from(format!("{}{length:X}\r\n", if is_first { "" } else { "\r\n" }))
}

#[cfg(test)]
pub(super) mod tests;
