//! A client's bytes on their way to hyper: scanned for ambiguous framing first, since hyper repairs some of it silently.
//!
//! When the scanner refuses something, hyper gets what came before it and then bytes that make no head, chunk or trailer,
//! so that it answers what was asked before, then 400 (431 for a head over a limit, RFC 6585, section 5), and closes.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::framing::{FramingFault, Scanner};
use super::socket::{Socket, Unread};
use crate::http::gather::{MOST, gather};
use crate::proxy::Connection;

/// What the connection's task wants to know when hyper is done.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What the scanner refused in a head: no request will tell. One whose body it refused tells of itself.
    pub(super) fault: Cell<Option<FramingFault>>,
    /// Whether the client closed its side.
    pub(super) end: Cell<bool>,
    /// Whether the client stopped reading.
    pub(super) stalled: Cell<bool>,
    /// Whether part of a request has been read and the rest of it has not.
    amid: Cell<bool>,
    /// Whether something waits for the client to read.
    unsent: Cell<bool>,
}

/// A client's stream under hyper.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    inner: S,
    connection: Rc<Connection>,
    scanner: Option<Scanner>,
    seen: Rc<Seen>,
    refused: Refused,
    /// Whether its client has sent more while it is answered: then its end is not seen before that is read.
    ahead: bool,
    stall: Duration,
    /// Made when the client first stops reading.
    stalling: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Nothing yet.
    No,
    /// These bytes come next.
    Poison(&'static [u8]),
    /// A header goes on until hyper's own limit is reached.
    TooLong,
    /// Nothing more comes.
    Done,
}

/// Wherever hyper stands, it finds a fault in these, and does not wait for more before it looks: no request line, header,
/// trailer or chunk size may hold NUL, no chunk extension LF, and after two line ends a head or trailer section is parsed.
pub(super) const POISON: &[u8] = b"\0\n\r\n\r\n";

/// The header that is one too many for hyper as well. If it were not, the NUL keeps a head that was cut off from passing.
pub(super) const ONE_MORE: &[u8] = b"x: x\r\n\0\r\n\r\n";

impl Refused {
    /// What makes hyper give the right answer.
    fn by(fault: FramingFault) -> Self {
        match fault {
            FramingFault::HeadTooLarge => Self::TooLong,
            FramingFault::TooManyHeaders => Self::Poison(ONE_MORE),
            _ => Self::Poison(POISON),
        }
    }
}

impl Seen {
    /// Whether all that came was read as whole requests, and all that was written has gone.
    pub(super) fn is_quiet(&self) -> bool {
        !self.amid.get() && !self.unsent.get() && self.fault.get().is_none()
    }
}

impl<S> ClientStream<S> {
    /// A stream whose bytes `scanner` sees first; HTTP/2 has its own framing and needs none.
    pub(super) fn new(inner: S, connection: Rc<Connection>, scanner: Option<Scanner>, stall: Duration) -> Self {
        Self { inner, connection, scanner, seen: Rc::default(), refused: Refused::No, ahead: false, stall, stalling: None }
    }

    /// What it has seen, also after hyper took it.
    pub(super) fn seen(&self) -> Rc<Seen> {
        Rc::clone(&self.seen)
    }

    /// The client's stream.
    pub(super) fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The client's stream, scanned no longer.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    /// Gives hyper what follows a refusal, as much as it has room for.
    fn refuse(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        match self.refused {
            Refused::No => {}
            Refused::Poison(rest) => {
                let (now, later) = rest.split_at(rest.len().min(buffer.remaining()));
                buffer.put_slice(now);
                self.refused = if later.is_empty() { Refused::Done } else { Refused::Poison(later) };
            }
            Refused::TooLong => {
                buffer.initialize_unfilled().fill(b'x');
                buffer.set_filled(buffer.capacity());
            }
            Refused::Done => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(())
    }
}

impl<S: Socket> ClientStream<S> {
    fn stalled<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.seen.unsent.set(written.is_pending());
        if written.is_ready() {
            self.stalling = None;
            return written;
        }
        self.left(context)?;
        let stall = self.stall;
        let timer = self.stalling.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(Future::poll(timer.as_mut(), context));
        self.seen.stalled.set(true);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Fails where a client has left that is being answered. hyper flushes whenever it has done what it can, so this is asked, and waits for the end, whenever
    /// an answer waits for something (docs/adr/0045).
    fn left(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(scanner) = &self.scanner else { return Ok(()) };
        // What there is of a next request is hyper's to read, and whole ones that it has are answered first.
        let all_is_begun = self.connection.is_answering() && scanner.requests() <= self.connection.requests();
        if !S::SHOWS_END || self.ahead || !all_is_begun || self.seen.amid.get() {
            return Ok(());
        }
        match self.inner.poll_end(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(Unread::Bytes)) => {
                self.ahead = true;
                Ok(())
            }
            Poll::Ready(Ok(Unread::End)) => {
                self.seen.end.set(true);
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }
}

impl<S: Socket> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.refused != Refused::No {
            return Poll::Ready(this.refuse(buffer));
        }
        let before = buffer.filled().len();
        this.ahead = false;
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            this.seen.end.set(true);
            return Poll::Ready(Ok(()));
        }
        let Some(scanner) = &mut this.scanner else { return Poll::Ready(Ok(())) };
        // Only in HTTP/1.1 do bytes between requests begin a head: HTTP/2 has settings, pings and windows to talk about.
        this.connection.received();
        if let Err((good, fault)) = scanner.scan(fresh) {
            tracing::debug!(reason = %fault, "A connection is closed for its framing");
            if scanner.in_head() {
                this.seen.fault.set(Some(fault));
            }
            this.refused = Refused::by(fault);
            this.seen.amid.set(true);
            let mut good = fresh.get(..good).unwrap_or_default();
            if this.refused == Refused::TooLong {
                // Half a line end could not go on.
                good = good.trim_ascii_end();
            }
            let good = before + good.len();
            buffer.set_filled(good);
            return Poll::Ready(this.refuse(buffer));
        }
        this.seen.amid.set(!scanner.is_between_requests());
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.stalled(written, context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = match gather(bytes, &mut ReadBuf::uninit(&mut [MaybeUninit::uninit(); MOST])) {
            Some(together) => Pin::new(&mut self.inner).poll_write(context, together),
            None => Pin::new(&mut self.inner).poll_write_vectored(context, bytes),
        };
        self.stalled(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        ready!(self.stalled(flushed, context))?;
        Poll::Ready(self.left(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.stalled(shut, context)
    }
}
