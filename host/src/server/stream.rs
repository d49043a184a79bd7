//! A client's bytes on their way to hyper: scanned for ambiguous framing first, since hyper repairs some of it silently.
//!
//! When the scanner refuses something, hyper gets what came before it and then a byte no head may hold, so that it answers
//! what was asked before, then 400, and closes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::framing::{FramingFault, Scanner};
use crate::proxy::Connection;

/// What the connection's task wants to know when hyper is done.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What the scanner refused.
    pub(super) fault: Cell<Option<FramingFault>>,
    /// Whether the client closed its side.
    pub(super) end: Cell<bool>,
    /// Whether the client stopped reading.
    pub(super) stalled: Cell<bool>,
}

/// A client's stream under hyper.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    inner: S,
    connection: Rc<Connection>,
    scanner: Option<Scanner>,
    seen: Rc<Seen>,
    refused: Refused,
    stall: Duration,
    /// Made when the client first stops reading.
    stalling: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Nothing yet.
    No,
    /// The poisoned byte comes next.
    Poison,
    /// Nothing more comes.
    Done,
}

/// No method, target, header or chunk size may hold it.
const POISON: u8 = 0;

impl<S> ClientStream<S> {
    /// A stream whose bytes `scanner` sees first; HTTP/2 has its own framing and needs none.
    pub(super) fn new(inner: S, connection: Rc<Connection>, scanner: Option<Scanner>, stall: Duration) -> Self {
        Self { inner, connection, scanner, seen: Rc::default(), refused: Refused::No, stall, stalling: None }
    }

    /// What it has seen, also after hyper took it.
    pub(super) fn seen(&self) -> Rc<Seen> {
        Rc::clone(&self.seen)
    }

    fn stalled<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalling = None;
            return written;
        }
        let stall = self.stall;
        let timer = self.stalling.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(Future::poll(timer.as_mut(), context));
        self.seen.stalled.set(true);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match this.refused {
            Refused::No => {}
            Refused::Poison => {
                buffer.put_slice(&[POISON]);
                this.refused = Refused::Done;
                return Poll::Ready(Ok(()));
            }
            Refused::Done => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            this.seen.end.set(true);
            return Poll::Ready(Ok(()));
        }
        this.connection.received();
        if let Some(Err((good, fault))) = this.scanner.as_mut().map(|scanner| scanner.scan(fresh)) {
            this.seen.fault.set(Some(fault));
            buffer.set_filled(before + good);
            this.refused = Refused::Poison;
            if good == 0 {
                // An empty read would mean the end of the stream.
                buffer.put_slice(&[POISON]);
                this.refused = Refused::Done;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.stalled(written, context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.stalled(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.stalled(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.stalled(shut, context)
    }
}
