//! A request's body on its way up: streamed, counted, bounded, never buffered. hyper asks for the next part only when
//! the upstream takes it, so back-pressure reaches the client by itself.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::fault::Fault;

/// A body that is streamed from a client.
#[derive(Debug)]
pub struct RequestBody {
    stream: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    incoming: Incoming,
    progress: Rc<Progress>,
    limit: Option<u64>,
    pause: Pause,
}

/// What is known of a body while, and after, it is sent.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes: Cell<u64>,
    fault: Cell<Option<Fault>>,
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
        Self { stream: None }
    }

    /// A client's body.
    pub(super) fn new(incoming: Incoming, limit: Option<u64>, longest_pause: Duration) -> Self {
        if incoming.is_end_stream() {
            return Self::empty();
        }
        Self { stream: Some(Stream { incoming, progress: Rc::default(), limit, pause: Pause::new(longest_pause) }) }
    }

    /// How it is getting on; of a body of nothing there is nothing to know.
    pub(super) fn progress(&self) -> Option<&Rc<Progress>> {
        self.stream.as_ref().map(|stream| &stream.progress)
    }

    /// Whether there is nothing in it, so that it can be sent again.
    pub(super) fn is_empty(&self) -> bool {
        self.stream.is_none()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        match Pin::new(&mut stream.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                stream.pause.ended();
                if let Some(data) = frame.data_ref() {
                    let bytes = stream.progress.bytes.get() + data.len() as u64;
                    stream.progress.bytes.set(bytes);
                    if stream.limit.is_some_and(|limit| bytes > limit) {
                        return Poll::Ready(Some(Err(stream.progress.fail(Fault::BodyTooLarge))));
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let fault = if error.is_parse() || error.is_user() { Fault::MalformedRequest } else { Fault::ClientGone };
                Poll::Ready(Some(Err(stream.progress.fail(fault))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match stream.pause.poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(stream.progress.fail(Fault::ClientTimeout)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.as_ref().map_or_else(|| SizeHint::with_exact(0), |stream| stream.incoming.size_hint())
    }
}

// === impl Progress ===

impl Progress {
    /// Bytes received.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Why it broke off, if it did: then the client is to blame and not the upstream.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    fn fail(&self, fault: Fault) -> BodyFailed {
        self.fault.set(Some(fault));
        BodyFailed(fault)
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
            timer.as_mut().reset(tokio::time::Instant::now() + self.longest);
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
