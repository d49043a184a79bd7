//! What of a request is still to be written. The body is asked for more only when there is room, so that back-pressure reaches who sends it by itself.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use super::encode::{self, Coding};
use super::error::Http1Error;
use crate::http::MAX_BUFFER;

/// Most pieces of a body that are written at once.
const MAX_PIECES: usize = 16;

/// A request on its way out.
pub(super) struct Outgoing<B> {
    /// The head, and how much of it is written. Its memory is used by the next one.
    head: Vec<u8>,
    written: usize,
    /// What is left of the body, while it is.
    body: Option<B>,
    coding: Coding,
    /// Whether a chunk was queued.
    has_chunk: bool,
    queue: VecDeque<Bytes>,
    /// Bytes in it.
    queued: usize,
    is_flushed: bool,
}

/// Why a request was not written to its end.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The other side takes no more; it may have answered.
    Gone(io::Error),
    /// Nothing more can be done with the connection.
    Failed(Http1Error),
}

// === impl Outgoing ===

impl<B> Outgoing<B> {
    /// Nothing to write.
    pub(super) fn new() -> Self {
        Self {
            head: Vec::new(),
            written: 0,
            body: None,
            coding: Coding::Empty,
            has_chunk: false,
            queue: VecDeque::new(),
            queued: 0,
            is_flushed: true,
        }
    }

    /// Whether all of it is written.
    pub(super) fn is_done(&self) -> bool {
        self.is_flushed
    }

    /// Whether a byte of it may have reached the other side.
    pub(super) fn has_begun(&self) -> bool {
        self.written > 0
    }

    /// Gives up its memory.
    pub(super) fn rest(&mut self) {
        self.head = Vec::new();
        self.queue = VecDeque::new();
    }
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Begins with a request, whose body has to be given to [`body`](Self::body) where it is not empty; says whether the connection is to be closed
    /// behind its response.
    pub(super) fn begin(&mut self, request: &Request<B>) -> bool {
        self.head.clear();
        self.queue.clear();
        (self.written, self.queued, self.has_chunk, self.is_flushed) = (0, 0, false, false);
        self.body = None;
        self.coding = Coding::of(request);
        encode::head(request, &self.coding, &mut self.head)
    }

    /// Whether what was begun with has no body.
    pub(super) fn is_empty(&self) -> bool {
        self.coding == Coding::Empty
    }

    /// What follows the head.
    pub(super) fn body(&mut self, body: B) {
        self.body = Some(body);
    }
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Writes what can be written. Ready when that is all.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        while !self.is_flushed {
            self.fill(cx).map_err(Unsent::Failed)?;
            if self.is_written() {
                ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(unsent)?;
                if self.body.is_some() {
                    return Poll::Pending;
                }
                self.is_flushed = true;
                return Poll::Ready(Ok(()));
            }
            let written = ready!(self.poll_write_some(stream, cx)).map_err(unsent)?;
            if written == 0 {
                return Poll::Ready(Err(unsent(io::ErrorKind::WriteZero.into())));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_some<S: AsyncWrite + Unpin>(&self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let head = self.head.get(self.written..).unwrap_or_default();
        if self.queue.is_empty() {
            return Pin::new(stream).poll_write(cx, head);
        }
        let mut slices = [IoSlice::new(&[]); MAX_PIECES + 8];
        let pieces = std::iter::once(head).chain(self.queue.iter().map(|piece| &**piece)).filter(|piece| !piece.is_empty());
        let count = slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count();
        Pin::new(stream).poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
    }

    fn is_written(&self) -> bool {
        self.written == self.head.len() && self.queue.is_empty()
    }

    fn advance(&mut self, mut written: usize) {
        let of_head = written.min(self.head.len() - self.written);
        self.written += of_head;
        written -= of_head;
        self.queued = self.queued.saturating_sub(written);
        while let Some(piece) = self.queue.front_mut().filter(|_| written > 0) {
            let of_piece = written.min(piece.len());
            piece.advance(of_piece);
            written -= of_piece;
            if piece.is_empty() {
                self.queue.pop_front();
            }
        }
    }

    /// Asks the body for as much as there is room for.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        while self.queued < MAX_BUFFER && self.queue.len() < MAX_PIECES {
            let Some(body) = &mut self.body else { return Ok(()) };
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let is_last = body.is_end_stream();
                    let trailers = self.queue_frame(frame);
                    // Who has sent as much as was said may leave the end open for a while: HTTP/2 says it in a frame of its own.
                    if is_last || trailers.is_some() || self.coding == Coding::Length(0) {
                        self.end(trailers)?;
                    }
                }
                Poll::Ready(Some(Err(error))) => return Err(Http1Error::Request(error.into())),
                Poll::Ready(None) => self.end(None)?,
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// Queues data; trailers are given back.
    fn queue_frame(&mut self, frame: Frame<Bytes>) -> Option<HeaderMap> {
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return frame.into_trailers().ok(),
        };
        match &mut self.coding {
            Coding::Empty => return None,
            Coding::Length(left) => {
                // More than was said would be read as another request.
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
            }
            Coding::Chunked(_) if data.is_empty() => {}
            Coding::Chunked(_) => {
                let is_first = !std::mem::replace(&mut self.has_chunk, true);
                self.queue(encode::chunk_line(data.len(), is_first));
            }
        }
        self.queue(data);
        None
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Http1Error> {
        self.body = None;
        match &self.coding {
            Coding::Empty | Coding::Length(0) => {}
            Coding::Length(_) => return Err(Http1Error::Request("the request's body is shorter than its length".into())),
            Coding::Chunked(_) => {
                if self.has_chunk {
                    self.queue(Bytes::from_static(b"\r\n"));
                }
                let written = trailers.map(|trailers| self.coding.trailers(trailers)).unwrap_or_default();
                self.queue(Bytes::from_static(b"0\r\n"));
                self.queue(Bytes::from(written));
                self.queue(Bytes::from_static(b"\r\n"));
            }
        }
        Ok(())
    }

    fn queue(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        if !bytes.is_empty() {
            self.queue.push_back(bytes);
        }
    }
}

fn unsent(error: io::Error) -> Unsent {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Unsent::Gone(error),
        _ => Unsent::Failed(Http1Error::Io(error)),
    }
}

#[cfg(test)]
mod tests;
