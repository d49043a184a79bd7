//! Reads along on an HTTP/1.x client connection, under hyper, and refuses what two parsers could frame differently: the
//! stuff of request smuggling. hyper repairs some of it silently (it drops `Content-Length` beside `Transfer-Encoding`,
//! merges repeated lengths, passes on `chunked, chunked` and two `Host` headers, takes a bare LF for a line's end).
//!
//! [`Scanner::scan`] gets every run of bytes before hyper does. It follows the connection over pipelined requests: head,
//! body by length or chunks, trailers, next head. It copies nothing it need not, allocates nothing, and gives the same
//! verdict at the same byte however the bytes were split. `Upgrade` and `CONNECT` are never honoured by the gateway, so
//! framing goes on after them. HTTP/2 is recognised by the caller before.
//!
//! Where RFC 9112 lets a recipient choose between repair and refusal, this refuses.

mod bytes;
mod chunked;
mod fault;
mod head;
mod known_host;
mod target;
mod value;

use self::chunked::{ChunkEvent, Chunked};
pub use self::fault::FramingFault;
use self::head::{Head, HeadEvent};

/// What one head or trailer section may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, request line and line ends included; of a trailer section, too.
    pub head_bytes: usize,
    /// Header lines of a head; of a trailer section, too.
    pub headers: usize,
}

/// The framing of one connection, as far as it was read.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    state: State,
    head: Head,
    requests: u64,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    /// A head, or nothing yet.
    Head,
    /// A body of which this many bytes are to come.
    Sized(u64),
    /// A chunked body.
    Chunked(Chunked),
    /// The trailer section of a chunked body.
    Trailers,
}

impl Scanner {
    /// A scanner for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head, head: Head::request(limits), requests: 0 }
    }

    /// Reads the next bytes of the connection. On a fault: how many bytes of this run come before the one that shows it,
    /// and the fault. Those bytes may still be passed on; they never complete a faulty head, chunk header or trailer
    /// section. After a fault the connection is lost: nothing else of it may be read.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<(), (usize, FramingFault)> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let step = match &mut self.state {
                State::Head | State::Trailers => self.head.read(rest),
                State::Sized(left) => {
                    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= skipped as u64;
                    if *left == 0 {
                        self.expect_head();
                    }
                    Ok((skipped, None))
                }
                State::Chunked(chunked) => chunked.read(rest).map(|(read, event)| {
                    if let Some(ChunkEvent::Last) = event {
                        self.head.expect_trailers(self.limits);
                        self.state = State::Trailers;
                    }
                    (read, None)
                }),
            };
            let before = bytes.len() - rest.len();
            let (read, event) = step.map_err(|(read, fault)| (before + read, fault))?;
            rest = rest.get(read..).unwrap_or_default();
            match event {
                Some(HeadEvent::Sized(0)) => {
                    self.requests += 1;
                    self.expect_head();
                }
                Some(HeadEvent::Sized(length)) => {
                    self.requests += 1;
                    self.state = State::Sized(length);
                }
                Some(HeadEvent::Chunked) => {
                    self.requests += 1;
                    self.state = State::Chunked(Chunked::default());
                }
                Some(HeadEvent::EndOfTrailers) => self.expect_head(),
                None => {}
            }
        }
        Ok(())
    }

    /// Complete heads read so far: as many requests hyper has seen or will see.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Whether the next byte belongs to a request's head: after a fault, whether it was the head's (there is no request to
    /// answer) or a body's (its request is being answered already).
    pub fn in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Whether the connection stands between two requests.
    pub fn is_between_requests(&self) -> bool {
        self.in_head() && self.head.is_untouched()
    }

    fn expect_head(&mut self) {
        self.head.expect_request(self.limits);
        self.state = State::Head;
    }
}

#[cfg(test)]
mod tests;
