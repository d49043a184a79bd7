//! A response body on its way through: it drives its connection, and hands it back when the body has ended.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::endpoint::InFlight;
use super::http1::{Driven, Http1};
use super::http2::StreamGuard;
use super::lane::Lane;
use crate::http::present::Present;

/// The body of an upstream's response. Dropped before its end, it closes an HTTP/1.1 connection and resets an HTTP/2
/// stream; the request counts as in flight until then.
pub struct ResponseBody<B: Body + 'static> {
    incoming: Incoming,
    carrier: Carrier<B>,
    in_flight: Option<InFlight>,
    head: Head,
}

/// What is kept of a response's head: how long it took, in nanoseconds since every response carries it, and what it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// From sending the request on.
    answering: u64,
    /// From being asked to send it on, a new connection included.
    whole: u64,
    /// Which headers it has.
    present: Present,
}

impl Head {
    /// One that has come, between moments.
    pub(super) fn of(present: Present, asked: Instant, sent: Instant, answered: Instant) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { answering: nanos(answered - sent), whole: nanos(answered - asked), present }
    }
}

/// What the body comes on.
enum Carrier<B: Body + 'static> {
    /// Nothing more is needed: all of it is here, or its connection has ended.
    None,
    /// The same, and this was read of it already. Of a body that came with its head it is all; small, since responses are moved often.
    Data(Bytes),
    /// As `Data`, of what is none.
    Other(Box<Result<Frame<Bytes>, hyper::Error>>),
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
    /// The body of a response that came on a stream of a shared connection.
    pub(super) fn on_stream(incoming: Incoming, guard: StreamGuard<B>, in_flight: InFlight, head: Head) -> Self {
        Self::new(incoming, Carrier::Stream { _guard: guard }, in_flight, head)
    }

    /// The body of a response whose head has come on a connection, with which it goes on as it must.
    pub(super) fn on_connection(
        connection: Box<Http1<B>>,
        lane: Rc<Lane<B>>,
        has_body: bool,
        mut incoming: Incoming,
        in_flight: InFlight,
        head: Head,
        now: Instant,
    ) -> Self {
        if connection.is_ready() {
            // Head and body came in one piece, the common case: the next request can have the connection already. What is read of the body
            // wakes whoever has the connection, so that is done while nobody else has.
            let carrier = match connection.arrived(&mut incoming) {
                Poll::Ready(Some(Ok(frame))) => frame.into_data().map_or_else(|other| Carrier::Other(Box::new(Ok(other))), Carrier::Data),
                Poll::Ready(Some(failed)) => Carrier::Other(Box::new(failed)),
                Poll::Ready(None) | Poll::Pending => Carrier::None,
            };
            lane.park(connection, &in_flight.endpoint().limits, now);
            return Self::new(incoming, carrier, in_flight, head);
        }
        let carrier = if has_body { Carrier::Driven(connection.drive(), lane) } else { Carrier::Read(connection, lane) };
        Self::new(incoming, carrier, in_flight, head)
    }

    fn new(incoming: Incoming, carrier: Carrier<B>, in_flight: InFlight, head: Head) -> Self {
        let mut body = Self { incoming, carrier, in_flight: Some(in_flight), head };
        if body.is_end_stream() {
            body.end();
        }
        body
    }

    /// Time from sending the request to the response head.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(self.head.answering)
    }

    /// The same with what came before: a connection that had to be made, or one that was found closed.
    pub fn took_in_all(&self) -> Duration {
        Duration::from_nanos(self.head.whole)
    }

    /// Which of the headers that the gateway asks for the response's head has.
    pub fn present(&self) -> Present {
        self.head.present
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

    /// What was read before anybody asked for it.
    fn early(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        match std::mem::replace(&mut self.carrier, Carrier::None) {
            Carrier::Data(data) => Some(Ok(Frame::data(data))),
            Carrier::Other(frame) => Some(*frame),
            _ => None,
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let connection = match &mut self.carrier {
            Carrier::Read(connection, _) => connection,
            Carrier::Data(_) | Carrier::Other(_) => return Poll::Ready(self.early()),
            _ => return Pin::new(&mut self.incoming).poll_frame(cx),
        };
        if let Poll::Ready(frame) = connection.arrived(&mut self.incoming) {
            return Poll::Ready(frame);
        }
        if connection.poll(cx).is_ready() {
            self.carrier = Carrier::None;
            return Pin::new(&mut self.incoming).poll_frame(cx);
        }
        connection.arrived(&mut self.incoming)
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
        !matches!(self.carrier, Carrier::Data(_) | Carrier::Other(_)) && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.incoming.size_hint();
        if let Carrier::Data(data) = &self.carrier {
            let more = data.len() as u64;
            let (lower, upper) = (hint.lower() + more, hint.upper().map(|upper| upper + more));
            upper.into_iter().for_each(|upper| hint.set_upper(upper));
            hint.set_lower(lower);
        }
        hint
    }
}

// Nothing in it is pinned: everything inside is boxed or can be moved.
impl<B: Body + 'static> Unpin for ResponseBody<B> {}

impl<B: Body + 'static> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
