//! A response body on its way through: it drives its connection, and hands it back when the body has ended.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::endpoint::InFlight;
use super::http1::{Driven, Http1};
use super::http2::StreamGuard;
use super::lane::Lane;

/// The body of an upstream's response. Dropped before its end, it closes an HTTP/1.1 connection and resets an HTTP/2
/// stream; the request counts as in flight until then.
pub struct ResponseBody<B: Body + 'static> {
    incoming: Incoming,
    carrier: Carrier<B>,
    in_flight: Option<InFlight>,
    took: Took,
}

/// How long a response head took. In nanoseconds, since every response carries it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    /// From sending the request on.
    answering: u64,
    /// From being asked to send it on, a new connection included.
    whole: u64,
}

impl Took {
    /// Between moments.
    pub(super) fn of(asked: Instant, sent: Instant, answered: Instant) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { answering: nanos(answered - sent), whole: nanos(answered - asked) }
    }
}

/// What the body comes on.
pub(super) enum Carrier<B: Body + 'static> {
    /// Nothing more is needed: all of it is here, or its connection has ended.
    None,
    /// A connection that is driven by reading the body.
    Read(Box<Http1<B>>, Rc<Lane<B>>),
    /// A connection that a task drives, since the request is still being sent.
    Driven(Driven<B>, Rc<Lane<B>>),
    /// A stream of a shared connection.
    Stream {
        /// Held, never read.
        _guard: StreamGuard<B>,
    },
}

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new(incoming: Incoming, carrier: Carrier<B>, in_flight: InFlight, took: Took) -> Self {
        let mut body = Self { incoming, carrier, in_flight: Some(in_flight), took };
        if body.incoming.is_end_stream() {
            body.end();
        }
        body
    }

    /// Time from sending the request to the response head.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(self.took.answering)
    }

    /// The same with what came before: a connection that had to be made, or one that was found closed.
    pub fn took_in_all(&self) -> Duration {
        Duration::from_nanos(self.took.whole)
    }

    fn end(&mut self) {
        let endpoint = self.in_flight.take();
        let limits = endpoint.as_ref().map(|in_flight| &in_flight.endpoint().limits);
        match (std::mem::replace(&mut self.carrier, Carrier::None), limits) {
            (Carrier::Read(connection, lane), Some(limits)) => lane.park(connection, limits, Instant::now()),
            (Carrier::Driven(driven, lane), Some(limits)) => {
                if let Some(connection) = driven.take() {
                    lane.park(connection, limits, Instant::now());
                }
            }
            _ => {}
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Carrier::Read(connection, _) = &mut self.carrier else {
            return Pin::new(&mut self.incoming).poll_frame(cx);
        };
        // Only driving the connection makes more of the body arrive, so the body itself need not wake anybody.
        let mut silent = Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(&mut silent) {
            return Poll::Ready(frame);
        }
        if connection.poll(cx).is_ready() {
            self.carrier = Carrier::None;
            return Pin::new(&mut self.incoming).poll_frame(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(&mut silent)
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = std::task::ready!(this.poll_incoming(cx));
        match &frame {
            Some(Ok(_)) if !this.incoming.is_end_stream() => {}
            Some(Err(_)) => {
                this.carrier = Carrier::None;
                this.in_flight = None;
            }
            _ => this.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

// Nothing in it is pinned: everything inside is boxed or can be moved.
impl<B: Body + 'static> Unpin for ResponseBody<B> {}

impl<B: Body + 'static> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
