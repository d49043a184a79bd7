//! One HTTP/1.1 connection to an upstream, driven by whoever uses it (RFC 9112).
//!
//! There is no task per connection, and nothing between it and the request: the request's own task writes it and reads the head of its response, and
//! the response body reads on while it streams. A request that is dropped closes its connection at once. While a
//! connection is unused nobody polls it; that it was closed meanwhile is seen when it is taken again. One that stays unused rests: it gives up its
//! buffers, which are most of what it takes, until the next request.
//!
//! Why this is not hyper's client: docs/adr/0047.

mod decode;
mod encode;
mod error;
mod head;
mod input;
mod outgoing;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body::{Body, Frame, SizeHint};
use tokio::task::coop::has_budget_remaining;
use tokio::task::{AbortHandle, spawn_local, unconstrained};
use tokio::time::Instant;

use super::deadline::Deadline;
use super::permit::ConnectionPermit;
use super::stream::Stream;
use super::wakeups::{Wakeups, Woken};
use decode::Decoder;
pub(super) use error::Http1Error;
pub(super) use head::Head;
use head::HeadReader;
use input::Input;
use outgoing::{Outgoing, Unsent};

/// Most lines of a head, and of trailers.
const MAX_LINES: usize = 100;

/// An open connection.
pub(super) struct Http1<B> {
    stream: Stream,
    input: Input,
    outgoing: Outgoing<B>,
    /// What is still to come of a response's body.
    decoder: Decoder,
    /// Whether another request may follow.
    keeps_open: bool,
    /// Headers of a request that was sent: their memory is the next response's.
    spare: HeaderMap,
    wakeups: Arc<Wakeups>,
    /// The same, as the stream and the timer have it.
    waker: Waker,
    /// Nothing was there to read when so many wake-ups had been.
    nothing_at: Option<Woken>,
    /// Why no more can be written, while a response may still be read.
    unsent: Option<io::Error>,
    /// Why nothing more comes.
    failed: Option<Http1Error>,
    deadline: Deadline,
    pub(super) permit: ConnectionPermit,
}

/// How an exchange ended without a response.
pub(super) enum Broken {
    /// The connection failed, when something of a response had come or before.
    Failed { error: Http1Error, began: bool },
    /// The deadline came first.
    TimedOut,
    /// There was none to send.
    NoRequest,
}

/// A connection whose response has begun while the request's body was still being sent: a task of its own keeps sending,
/// even while nobody asks for the response.
pub(super) struct Driven<B> {
    connection: Rc<RefCell<Option<Box<Http1<B>>>>>,
    task: AbortHandle,
}

// === impl Http1 ===

impl<B> Http1<B> {
    pub(super) fn new(stream: Stream, permit: ConnectionPermit) -> Box<Self> {
        let wakeups = Arc::<Wakeups>::default();
        let (waker, deadline) = (Waker::from(Arc::clone(&wakeups)), Deadline::new(&wakeups));
        Box::new(Self {
            stream,
            input: Input::new(),
            outgoing: Outgoing::new(),
            decoder: Decoder::Ended,
            keeps_open: true,
            spare: HeaderMap::new(),
            wakeups,
            waker,
            nothing_at: None,
            unsent: None,
            failed: None,
            deadline,
            permit,
        })
    }

    /// Whether another request can be sent: request and response have both ended, and neither side wants to close or has spoken unasked.
    pub(super) fn is_ready(&self) -> bool {
        self.keeps_open && self.outgoing.is_done() && self.decoder.is_ended() && self.input.is_empty()
    }

    /// Whether all of the request is written.
    pub(super) fn is_sent(&self) -> bool {
        self.outgoing.is_done()
    }

    /// Looks whether the other side has closed or spoken unasked meanwhile, as far as the runtime knows: not since it last asked the kernel. Says whether
    /// another request can be sent.
    pub(super) fn settle(&mut self) -> bool {
        if self.is_ready() {
            // Whatever the task has left of its turn: who does not look would send the next request where something else is the answer.
            let mut look = pin!(unconstrained(std::future::poll_fn(|_| Poll::Ready(self.poll_fill().is_ready()))));
            if look.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(true) {
                self.keeps_open = false;
            }
        }
        self.is_ready()
    }

    /// Wakes nobody from now on: not the task that used it last.
    pub(super) fn leave(&self) {
        self.wakeups.wakes_nobody();
    }

    /// Gives up its buffers, of a connection that [is ready](Self::is_ready).
    pub(super) fn rest(&mut self) {
        self.input.rest();
        self.outgoing.rest();
        self.spare = HeaderMap::new();
    }

    /// Whether it has none.
    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        self.input.is_resting()
    }

    /// What is there of a response's body without reading more, where that is all of it.
    pub(super) fn whole(&mut self) -> Option<Bytes> {
        let is_whole = self.outgoing.is_done() && self.decoder.is_all_of(&self.input);
        is_whole.then(|| {
            self.decoder = Decoder::Ended;
            self.input.take(usize::MAX)
        })
    }

    /// Whether nothing more comes of the response.
    pub(super) fn has_ended(&self) -> bool {
        self.decoder.is_ended()
    }

    /// How much of the response's body is still to come.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// Reads more. Where nothing was there, there is nothing until somebody was woken.
    fn poll_fill(&mut self) -> Poll<io::Result<usize>> {
        let woken = self.wakeups.woken();
        if self.nothing_at == Some(woken) {
            return Poll::Pending;
        }
        let read = self.input.poll_fill(&mut self.stream, &mut Context::from_waker(&self.waker));
        self.nothing_at = read.is_pending().then_some(woken);
        if read.is_pending() && !has_budget_remaining() {
            // The runtime held the task back and did not look: something may be there.
            self.wakeups.count();
        }
        read
    }

    /// Wakes the task when there is something to do, also where that came since the look at `seen`.
    fn wait(&self, cx: &Context<'_>, seen: Woken) {
        self.wakeups.wakes(cx.waker());
        if self.wakeups.woken() != seen {
            cx.waker().wake_by_ref();
        }
    }
}

impl<B> Http1<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Sends the request and waits for the response head until the deadline, and where that has come until the one that `later` names. The
    /// request is there again where nothing of it was used.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Option<Request<B>>,
        answer: &mut Option<Head>,
        mut deadline: Instant,
        later: impl Fn() -> Option<Instant>,
    ) -> Result<(), Broken> {
        let Some(sent) = request else { return Err(Broken::NoRequest) };
        let is_of_head = *sent.method() == Method::HEAD;
        self.keeps_open = !self.outgoing.begin(sent);
        if !self.outgoing.is_empty() {
            let body = self.used(request).ok_or(Broken::NoRequest)?;
            self.outgoing.body(body);
        }
        let mut reader = HeadReader::default();
        std::future::poll_fn(|cx| {
            let seen = self.wakeups.woken();
            if let Err(error) = self.send_on() {
                return Poll::Ready(Err(Broken::Failed { error, began: reader.has_begun(&self.input) }));
            }
            if self.outgoing.has_begun() && request.is_some() {
                drop(self.used(request));
            }
            match self.poll_head(&mut reader, is_of_head) {
                Poll::Ready(Ok(mut head)) => {
                    self.keeps_open &= head.keeps_open;
                    self.decoder = std::mem::replace(&mut head.decoder, Decoder::Ended);
                    *answer = Some(head);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Failed { error, began: reader.has_begun(&self.input) })),
                Poll::Pending => {}
            }
            while self.deadline.poll(deadline).is_ready() {
                match later() {
                    Some(moved) => deadline = moved,
                    None => return Poll::Ready(Err(Broken::TimedOut)),
                }
            }
            self.wait(cx, seen);
            Poll::Pending
        })
        .await
    }

    /// The body of a request that is taken from who sent it; the memory of its headers is kept.
    fn used(&mut self, request: &mut Option<Request<B>>) -> Option<B> {
        let mut request = request.take()?;
        std::mem::swap(request.headers_mut(), &mut self.spare);
        self.spare.clear();
        Some(request.into_body())
    }

    /// Writes what can be written. A side that takes no more may have answered already, a 413 is the usual case, and its answer waits to be read
    /// (RFC 9112, section 9.5): that writing failed is known once reading has.
    fn send_on(&mut self) -> Result<(), Http1Error> {
        if self.outgoing.is_done() || self.unsent.is_some() {
            return Ok(());
        }
        match self.outgoing.poll_write(&mut self.stream, &mut Context::from_waker(&self.waker)) {
            Poll::Ready(Err(Unsent::Failed(error))) => Err(error),
            Poll::Ready(Err(Unsent::Gone(error))) => {
                self.unsent = Some(error);
                // What made writing fail makes reading ready.
                self.wakeups.count();
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn poll_head(&mut self, reader: &mut HeadReader, is_of_head: bool) -> Poll<Result<Head, Http1Error>> {
        loop {
            if let Some(head) = reader.read(&mut self.input, &mut self.spare, is_of_head)? {
                return Poll::Ready(Ok(head));
            }
            match self.poll_fill() {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(self.unsent.take().map_or(Http1Error::Closed, Http1Error::Io)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Http1Error::Io(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// What comes next of the response's body. What is left of the request is for a task that [drives](Self::drive) it.
    pub(super) fn poll_frame(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        loop {
            let seen = self.wakeups.woken();
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Some(Err(error)));
            }
            match self.decoder.decode(&mut self.input) {
                Ok(None) if self.decoder.is_ended() => return Poll::Ready(None),
                Ok(None) => {}
                decoded => return Poll::Ready(decoded.transpose()),
            }
            match self.poll_fill() {
                Poll::Ready(Ok(0)) => return Poll::Ready(self.decoder.closed().err().map(Err)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(Http1Error::Io(error)))),
                Poll::Pending => {
                    self.wait(cx, seen);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Lets a task of its own send what is left of the request.
    pub(super) fn drive(self: Box<Self>) -> Driven<B> {
        let connection = Rc::new(RefCell::new(Some(self)));
        let driven = Rc::clone(&connection);
        let drive =
            std::future::poll_fn(move |cx| driven.borrow_mut().as_mut().map_or(Poll::Ready(()), |connection| connection.poll_rest(cx)));
        Driven { connection, task: spawn_local(drive).abort_handle() }
    }

    /// Writes what can be written; ready when there is nothing more to do.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match std::task::ready!(self.outgoing.poll_write(&mut self.stream, cx)) {
            Ok(()) => {}
            Err(Unsent::Gone(error)) => self.unsent = Some(error),
            Err(Unsent::Failed(error)) => self.failed = Some(error),
        }
        // Who reads the response looks again.
        self.waker.wake_by_ref();
        Poll::Ready(())
    }
}

// === impl Driven ===

impl<B> Driven<B> {
    /// What can be found out of the connection, while there is one.
    pub(super) fn with<R>(&self, what: impl FnOnce(&mut Http1<B>) -> R) -> Option<R> {
        self.connection.borrow_mut().as_mut().map(|connection| what(connection))
    }

    /// The connection, once its response has ended.
    pub(super) fn take(&self) -> Option<Box<Http1<B>>> {
        self.connection.borrow_mut().take()
    }
}

impl<B> Drop for Driven<B> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
