//! The body of a response, taken out of what was read (RFC 9112, sections 6 and 7.1).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use super::MAX_LINES;
use super::error::Http1Error;
use super::input::Input;
use crate::upstream::framing::number;

/// Most bytes of chunk extensions in a body: they are read over, and mean nothing to anybody.
const MAX_EXTENSIONS: usize = 16 << 10;
/// Most bytes of trailers.
const MAX_TRAILERS: usize = 16 << 10;
/// What most chunked bodies end with, the end of a chunk's line included.
const LAST: &[u8] = b"\r\n0\r\n\r\n";

/// How much of a body is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoder {
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// All until the connection is closed.
    UntilClosed,
    /// Nothing.
    Ended,
}

/// Where in a chunked body it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    next: Next,
    /// Bytes of extensions so far.
    extensions: usize,
}

/// What comes next of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A chunk's size.
    Size,
    /// So many bytes of a chunk, at least one.
    Data(u64),
    /// The end of a chunk's line.
    LineEnd,
    /// Trailers, or the empty line that ends the body.
    Trailers,
}

/// What a look at a chunked body came to.
enum Step {
    Data(Bytes),
    /// With trailers, if there are any.
    End(Option<HeaderMap>),
    /// More has to be read.
    More,
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn of_length(length: u64) -> Self {
        if length == 0 { Self::Ended } else { Self::Length(length) }
    }

    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunks { next: Next::Size, extensions: 0 })
    }

    pub(super) fn is_ended(&self) -> bool {
        *self == Self::Ended
    }

    /// Whether what was read is all of the body, in one piece, and nothing else.
    pub(super) fn is_all_of(&self, input: &Input) -> bool {
        matches!(self, Self::Length(length) if *length == input.len() as u64)
    }

    /// What is there of the body; none where more has to be read, or nothing comes any more.
    pub(super) fn decode(&mut self, input: &mut Input) -> Result<Option<Frame<Bytes>>, Http1Error> {
        match self {
            Self::Ended => Ok(None),
            Self::UntilClosed => Ok(Some(input.take(usize::MAX)).filter(|bytes| !bytes.is_empty()).map(Frame::data)),
            Self::Length(left) => {
                let bytes = take(input, left);
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(bytes.map(Frame::data))
            }
            Self::Chunked(chunks) => match chunks.step(input)? {
                Step::Data(bytes) => {
                    // Where the body ends behind these bytes, whoever gets them should know.
                    if chunks.next == Next::LineEnd && input.as_slice().starts_with(LAST) {
                        input.skip(LAST.len());
                        *self = Self::Ended;
                    }
                    Ok(Some(Frame::data(bytes)))
                }
                Step::End(trailers) => {
                    *self = Self::Ended;
                    Ok(trailers.map(Frame::trailers))
                }
                Step::More => Ok(None),
            },
        }
    }

    /// The connection was closed: whether that is the body's end.
    pub(super) fn closed(&mut self) -> Result<(), Http1Error> {
        match self {
            Self::UntilClosed | Self::Ended => {
                *self = Self::Ended;
                Ok(())
            }
            Self::Length(_) | Self::Chunked(_) => Err(Http1Error::Incomplete),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Ended => SizeHint::with_exact(0),
            Self::Chunked(_) | Self::UntilClosed => SizeHint::default(),
        }
    }
}

/// As much as there is of so many bytes, which become fewer.
fn take(input: &mut Input, left: &mut u64) -> Option<Bytes> {
    let bytes = input.take(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= bytes.len() as u64;
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

// === impl Chunks ===

impl Chunks {
    fn step(&mut self, input: &mut Input) -> Result<Step, Http1Error> {
        loop {
            self.next = match &mut self.next {
                Next::Size => match self.size(input)? {
                    Some(0) => Next::Trailers,
                    Some(size) => Next::Data(size),
                    None => return Ok(Step::More),
                },
                Next::Data(left) => {
                    let bytes = take(input, left);
                    if *left == 0 {
                        self.next = Next::LineEnd;
                    }
                    return Ok(bytes.map_or(Step::More, Step::Data));
                }
                Next::LineEnd => match input.as_slice() {
                    [b'\r', b'\n', ..] => {
                        input.skip(2);
                        Next::Size
                    }
                    [] | [b'\r'] => return Ok(Step::More),
                    _ => return Err(Http1Error::Body("a chunk that is longer than its size")),
                },
                Next::Trailers => return trailers(input),
            };
        }
    }

    /// The size of the next chunk, if its line is there: hexadecimal digits, and extensions that nobody reads (RFC 9112, section 7.1.1).
    fn size(&mut self, input: &mut Input) -> Result<Option<u64>, Http1Error> {
        let bytes = input.as_slice();
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            return if bytes.len() < MAX_EXTENSIONS { Ok(None) } else { Err(Http1Error::Body("chunk extensions that are too long")) };
        };
        let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"));
        let line = line.ok_or(Http1Error::Body("a chunk's line that does not end with CRLF"))?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, rest) = line.split_at(digits);
        let size = number(digits, 16).ok_or(Http1Error::Body("a chunk's size that is no number"))?;
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !matches!(rest.get(blanks..), Some([] | [b';', ..])) || rest.contains(&b'\r') {
            return Err(Http1Error::Body("a chunk's size with something behind it"));
        }
        // Of blanks there are some behind each size where a server makes sizes as wide as each other.
        self.extensions += rest.len() - blanks;
        if self.extensions >= MAX_EXTENSIONS {
            return Err(Http1Error::Body("chunk extensions that are too long"));
        }
        input.skip(end + 1);
        Ok(Some(size))
    }
}

/// What is behind the last chunk.
fn trailers(input: &mut Input) -> Result<Step, Http1Error> {
    match input.as_slice() {
        [b'\r', b'\n', ..] => {
            input.skip(2);
            return Ok(Step::End(None));
        }
        [] | [b'\r'] => return Ok(Step::More),
        _ => {}
    }
    let bytes = input.as_slice().get(..MAX_TRAILERS).unwrap_or(input.as_slice());
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() < MAX_TRAILERS { Ok(Step::More) } else { Err(Http1Error::Body("trailers that are too long")) };
    };
    let section = input.take(end + 4);
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let lines = match httparse::parse_headers(&section, &mut lines) {
        Ok(httparse::Status::Complete((length, lines))) if length == section.len() => lines,
        Ok(_) => return Err(Http1Error::Body("trailers with an end in them")),
        Err(_) => return Err(Http1Error::Body("trailers that are none")),
    };
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Http1Error::Body("a trailer's name that is too long"))?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| Http1Error::Body("a trailer's value that is none"))?;
        trailers.append(name, value);
    }
    Ok(Step::End(Some(trailers)))
}

#[cfg(test)]
mod tests;
