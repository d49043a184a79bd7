//! Message bodies: the few shapes that tests send and upstreams answer with.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Channel, Full};

use crate::error::Error;

/// Any body; its errors end the message midway.
pub type Body = UnsyncBoxBody<Bytes, Error>;

/// The far end of [`channel`].
pub type Sender = http_body_util::channel::Sender<Bytes, Error>;

/// Bytes of one frame of [`pattern`].
pub const CHUNK: usize = 16 * 1024;

/// No body.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// These bytes, with their length announced.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// These bytes in one chunk, then trailers; the length is not announced.
pub fn with_trailers(bytes: impl Into<Bytes>, trailers: HeaderMap) -> Body {
    Pieces { frames: vec![Frame::trailers(trailers), Frame::data(bytes.into())] }.boxed_unsync()
}

/// `length` bytes of letters, made as they are read; the length is announced when `announced`.
pub fn pattern(length: u64, announced: bool) -> Body {
    let chunk: Vec<u8> = (b'a'..=b'z').cycle().take(CHUNK).collect();
    Pattern { left: length, announced, chunk: chunk.into() }.boxed_unsync()
}

/// A body that is sent piece by piece; the sender waits while `capacity` frames are unread, and can abort.
pub fn channel(capacity: usize) -> (Sender, Body) {
    let (sender, body) = Channel::new(capacity);
    (sender, body.boxed_unsync())
}

/// Frames, last one first.
struct Pieces {
    frames: Vec<Frame<Bytes>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.frames.pop().map(Ok))
    }
}

struct Pattern {
    left: u64,
    announced: bool,
    chunk: Bytes,
}

impl http_body::Body for Pattern {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.announced { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}
