//! A response's body on its way down: streamed, counted, and tied to the ending of its exchange.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::ending::Ending;
use super::request_body::{BodyFailed, Pause, RequestBody};
use crate::fault::Fault;
use crate::http::connection_headers::strip_trailers;

/// What an upstream answers with.
pub(super) type UpstreamBody = crate::upstream::ResponseBody<RequestBody>;

/// The body a client gets.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    pause: Pause,
    /// Concluded when this body has ended or was given up.
    ending: Box<Ending>,
}

#[derive(Debug)]
enum Source {
    Own(Option<Bytes>),
    Upstream(UpstreamBody),
}

impl ResponseBody {
    /// A body the gateway or a plugin made.
    pub(super) fn own(bytes: Bytes, ending: Box<Ending>) -> Self {
        Self::new(Source::Own(Some(bytes).filter(|bytes| !bytes.is_empty())), Duration::MAX, ending)
    }

    /// An upstream's body.
    pub(super) fn upstream(body: UpstreamBody, longest_pause: Duration, ending: Box<Ending>) -> Self {
        Self::new(Source::Upstream(body), longest_pause, ending)
    }

    fn new(source: Source, longest_pause: Duration, ending: Box<Ending>) -> Self {
        let mut body = Self { source, pause: Pause::new(longest_pause), ending };
        if body.is_end_stream() {
            // hyper never asks an empty body for its end.
            body.ending.complete();
        }
        body
    }
}

/// Trailers without what none may have.
fn legal(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            strip_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let this = &mut *self;
        this.ending.asked();
        let body = match &mut this.source {
            Source::Own(bytes) => {
                let bytes = bytes.take();
                this.ending.sent(bytes.as_ref().map_or(0, Bytes::len));
                this.ending.complete();
                return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
            }
            Source::Upstream(body) => body,
        };
        match Pin::new(&mut *body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let frame = if frame.is_trailers() { legal(frame) } else { frame };
                this.pause.ended();
                this.ending.sent(frame.data_ref().map_or(0, Bytes::len));
                if body.is_end_stream() {
                    this.ending.complete();
                } else {
                    this.ending.handed();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.ending.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "A response body broke off");
                // An upstream that answers while the request's body still comes loses its connection with that body.
                let fault = this.ending.body_fault().unwrap_or(Fault::UpstreamBodyFailed);
                this.ending.broke_off(fault);
                Poll::Ready(Some(Err(BodyFailed(fault))))
            }
            Poll::Pending => match this.pause.poll(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    this.ending.broke_off(Fault::UpstreamTimeout);
                    Poll::Ready(Some(Err(BodyFailed(Fault::UpstreamTimeout))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_none(),
            Source::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Source::Upstream(body) => body.size_hint(),
        }
    }
}
