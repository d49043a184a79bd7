//! A response body on its way through: it drives its connection, and hands it back when the body has ended.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::endpoint::InFlight;
use super::http1::{Driven, Http1, Http1Error};
use super::http2::StreamGuard;
use super::lane::Lane;
use crate::http::present::Present;

/// The body of an upstream's response. Dropped before its end, it closes an HTTP/1.1 connection and resets an HTTP/2
/// stream; the request counts as in flight until then.
pub struct ResponseBody<B: Body + 'static> {
    source: Source<B>,
    in_flight: Option<InFlight>,
    kept: Kept,
}

/// What is kept of a response's head: how long it took, in nanoseconds since every response carries it, and what it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// From sending the request on.
    answering: u64,
    /// From being asked to send it on, a new connection included.
    whole: u64,
    /// Which headers it has.
    present: Present,
}

/// Why a body broke off.
#[derive(Debug)]
pub enum BodyError {
    /// Its connection, which speaks HTTP/1.1.
    Http1(Http1Error),
    /// Its stream, as hyper says it.
    Http2(hyper::Error),
}

/// Where the body comes from.
enum Source<B: Body + 'static> {
    /// Nothing more comes.
    Ended,
    /// All of it came with its head, the common case.
    Whole(Bytes),
    /// A connection, which is read as the body is.
    Connection(Box<Http1<B>>, Rc<Lane<B>>),
    /// The same, and a task is sending the rest of the request.
    Driven(Driven<B>, Rc<Lane<B>>),
    /// A stream of a shared connection.
    Stream {
        incoming: Incoming,
        /// Held, never read.
        _guard: StreamGuard<B>,
    },
}

// === impl Kept ===

impl Kept {
    /// Of a head that has come, between moments.
    pub(super) fn of(present: Present, asked: Instant, sent: Instant, answered: Instant) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { answering: nanos(answered - sent), whole: nanos(answered - asked), present }
    }
}

// === impl ResponseBody ===

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The body of a response that came on a stream of a shared connection.
    pub(super) fn on_stream(incoming: Incoming, guard: StreamGuard<B>, in_flight: InFlight, kept: Kept) -> Self {
        Self::new(Source::Stream { incoming, _guard: guard }, in_flight, kept)
    }

    /// The body of a response whose head has come on a connection, with which it goes on as it must.
    pub(super) fn on_connection(mut connection: Box<Http1<B>>, lane: Rc<Lane<B>>, in_flight: InFlight, kept: Kept, now: Instant) -> Self {
        let source = if let Some(bytes) = connection.whole() {
            // The next request can have the connection already.
            lane.park(connection, &in_flight.endpoint().limits, now);
            Source::Whole(bytes)
        } else if connection.is_sent() || connection.has_ended() {
            // Of a response that has ended before its request, the rest of that is not sent: the connection is closed.
            Source::Connection(connection, lane)
        } else {
            Source::Driven(connection.drive(), lane)
        };
        Self::new(source, in_flight, kept)
    }

    fn new(source: Source<B>, in_flight: InFlight, kept: Kept) -> Self {
        let mut body = Self { source, in_flight: Some(in_flight), kept };
        if body.source.has_ended() {
            body.end();
        }
        body
    }

    /// Time from sending the request to the response head.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(self.kept.answering)
    }

    /// The same with what came before: a connection that had to be made, or one that was found closed.
    pub fn took_in_all(&self) -> Duration {
        Duration::from_nanos(self.kept.whole)
    }

    /// Which of the headers that the gateway asks for the response's head has.
    pub fn present(&self) -> Present {
        self.kept.present
    }

    fn end(&mut self) {
        let endpoint = self.in_flight.take();
        let limits = endpoint.as_ref().map(|in_flight| &in_flight.endpoint().limits);
        match (std::mem::replace(&mut self.source, Source::Ended), limits) {
            (Source::Connection(connection, lane), Some(limits)) => lane.park(connection, limits, Instant::now()),
            (Source::Driven(driven, lane), Some(limits)) => {
                if let Some(connection) = driven.take() {
                    lane.park(connection, limits, Instant::now());
                }
            }
            _ => {}
        }
    }
}

// === impl Source ===

impl<B> Source<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Whether nothing more comes.
    fn has_ended(&self) -> bool {
        match self {
            Self::Ended => true,
            Self::Whole(_) => false,
            Self::Connection(connection, _) => connection.has_ended(),
            Self::Driven(driven, _) => driven.with(|connection| connection.has_ended()).unwrap_or(true),
            Self::Stream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let of_connection = |frame: Poll<Option<Result<_, _>>>| frame.map_err(BodyError::Http1);
        match self {
            Self::Ended => Poll::Ready(None),
            Self::Whole(_) => match std::mem::replace(self, Self::Ended) {
                Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
            Self::Connection(connection, _) => of_connection(connection.poll_frame(cx)),
            Self::Driven(driven, _) => of_connection(driven.with(|connection| connection.poll_frame(cx)).unwrap_or(Poll::Ready(None))),
            Self::Stream { incoming, .. } => Pin::new(incoming).poll_frame(cx).map_err(BodyError::Http2),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ended => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Connection(connection, _) => connection.size_hint(),
            Self::Driven(driven, _) => driven.with(|connection| connection.size_hint()).unwrap_or_default(),
            Self::Stream { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = ready!(this.source.poll_frame(cx));
        match &frame {
            Some(Ok(_)) if !this.source.has_ended() => {}
            Some(Err(_)) => {
                this.source = Source::Ended;
                this.in_flight = None;
            }
            _ => this.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

// Nothing in it is pinned: everything inside is boxed or can be moved.
impl<B: Body + 'static> Unpin for ResponseBody<B> {}

impl<B: Body + 'static> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("in_flight", &self.in_flight.is_some()).finish_non_exhaustive()
    }
}

// === impl BodyError ===

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1(error) => error.fmt(f),
            Self::Http2(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Http1(error) => error.source(),
            Self::Http2(error) => error.source(),
        }
    }
}
