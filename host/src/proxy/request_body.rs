//! A request's body on its way up: streamed, counted, bounded, never buffered. The next part is asked for only when
//! the upstream takes it, so back-pressure reaches the client by itself.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::request_trailers::Barred;
use crate::fault::Fault;
use crate::upstream::{Turn, Turns};

/// A body that is streamed from a client. As small as can be: connections keep room for dozens of requests with theirs.
#[derive(Debug)]
pub struct RequestBody {
    streamed: Option<Rc<Streamed>>,
}

/// A body on its way, and what is known of it while, and after, it is sent.
#[derive(Debug)]
pub(super) struct Streamed {
    bytes: Cell<u64>,
    fault: Cell<Option<Fault>>,
    /// When the upstream last took a part of it, or its end.
    taken: Cell<Option<Instant>>,
    /// Whether the upstream waits for the client to send more.
    waits: Cell<bool>,
    /// Gone with the [`RequestBody`]: then the client is told that nobody wants the rest.
    stream: RefCell<Option<Stream>>,
}

#[derive(Debug)]
struct Stream {
    incoming: Incoming,
    limit: Option<u64>,
    pause: Pause,
    barred: Barred,
}

/// Why a body broke off. What the client is told comes from the fault.
#[derive(Debug)]
pub struct BodyFailed(pub(super) Fault);

/// The longest pause allowed between two parts. The timer is made only when there is a pause at all.
#[derive(Debug)]
pub(super) struct Pause {
    longest: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

// === impl RequestBody ===

impl RequestBody {
    /// A body of nothing.
    pub(super) fn empty() -> Self {
        Self { streamed: None }
    }

    /// A client's body.
    pub(super) fn new(incoming: Incoming, limit: Option<u64>, longest_pause: Duration, barred: Barred) -> Self {
        if incoming.is_end_stream() {
            return Self::empty();
        }
        let stream = RefCell::new(Some(Stream { incoming, limit, pause: Pause::new(longest_pause), barred }));
        let (bytes, fault, taken, waits) = (Cell::new(0), Cell::new(None), Cell::new(None), Cell::new(false));
        Self { streamed: Some(Rc::new(Streamed { bytes, fault, taken, waits, stream })) }
    }

    /// How it is getting on; of a body of nothing there is nothing to know.
    pub(super) fn streamed(&self) -> Option<&Rc<Streamed>> {
        self.streamed.as_ref()
    }

    /// Its trailers may not have these names either.
    pub(super) fn bar<'n>(&self, names: impl Iterator<Item = &'n HeaderName>) {
        let Some(streamed) = &self.streamed else { return };
        if let Some(stream) = &mut *streamed.stream.borrow_mut() {
            stream.barred.add(names);
        }
    }

    /// Whether there is nothing in it, so that it can be sent again.
    pub(super) fn is_empty(&self) -> bool {
        self.streamed.is_none()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(streamed) = &self.streamed {
            drop(streamed.stream.take());
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let Some(streamed) = &self.streamed else { return Poll::Ready(None) };
        let mut stream = streamed.stream.borrow_mut();
        let Some(Stream { incoming, limit, pause, barred }) = &mut *stream else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                pause.ended();
                streamed.is_taken();
                let Some(data) = frame.data_ref() else {
                    let left = frame.into_trailers().ok().and_then(|trailers| barred.pass(trailers));
                    return Poll::Ready(left.map(|trailers| Ok(Frame::trailers(trailers))));
                };
                let bytes = streamed.bytes.get() + data.len() as u64;
                streamed.bytes.set(bytes);
                if limit.is_some_and(|limit| bytes > limit) {
                    return Poll::Ready(Some(Err(streamed.fail(Fault::BodyTooLarge))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let fault = if error.is_parse() || error.is_user() { Fault::MalformedRequest } else { Fault::ClientGone };
                Poll::Ready(Some(Err(streamed.fail(fault))))
            }
            Poll::Ready(None) => {
                streamed.is_taken();
                Poll::Ready(None)
            }
            Poll::Pending => {
                streamed.waits.set(true);
                pause.poll(context).map(|()| Some(Err(streamed.fail(Fault::ClientTimeout))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.streamed.as_ref().is_none_or(|streamed| streamed.of_incoming(Body::is_end_stream, true))
    }

    fn size_hint(&self) -> SizeHint {
        let nothing = || SizeHint::with_exact(0);
        self.streamed.as_ref().map_or_else(nothing, |streamed| streamed.of_incoming(Body::size_hint, nothing()))
    }
}

// === impl Streamed ===

impl Streamed {
    /// Bytes received.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Why it broke off, if it did: then the client is to blame and not the upstream.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    fn is_taken(&self) {
        self.taken.set(Some(Instant::now()));
        self.waits.set(false);
    }

    fn fail(&self, fault: Fault) -> BodyFailed {
        self.fault.set(Some(fault));
        BodyFailed(fault)
    }

    fn of_incoming<R>(&self, what: impl FnOnce(&Incoming) -> R, gone: R) -> R {
        self.stream.borrow().as_ref().map_or(gone, |stream| what(&stream.incoming))
    }
}

/// Of a body of nothing it is the upstream's from the beginning.
impl Turns for Option<Rc<Streamed>> {
    fn turn(&self) -> Turn {
        match self {
            Some(streamed) if streamed.waits.get() => Turn::Sender,
            Some(streamed) => Turn::Upstream(streamed.taken.get()),
            None => Turn::Upstream(None),
        }
    }
}

// === impl Pause ===

impl Pause {
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, timer: None }
    }

    /// Something came: the next pause is counted anew.
    pub(super) fn ended(&mut self) {
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(Instant::now() + self.longest);
        }
    }

    /// Nothing came: ready when the pause was too long.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let longest = self.longest;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(longest)));
        timer.as_mut().poll(context)
    }
}

impl fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request's body broke off: {}", self.0.code())
    }
}

impl std::error::Error for BodyFailed {}
