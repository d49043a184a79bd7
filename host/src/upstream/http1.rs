//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! There is no task per connection: the request's own task polls hyper's connection while it waits for the response, and
//! the response body polls it while it streams. That saves two wake-ups and two trips through the scheduler per request,
//! and a request that is dropped closes its connection at once. While a
//! connection is unused nobody polls it; that it was closed meanwhile is seen when it is taken again, which costs next to
//! nothing, because that was counted. One that stays unused rests: it leaves
//! hyper, whose buffers and channel are most of what it takes, and comes back to it with the next request.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::{AbortHandle, spawn_local, unconstrained};
use tokio::time::Instant;

use super::answer_first::AnswerFirst;
use super::deadline::Deadline;
use super::permit::ConnectionPermit;
use super::stream::Stream;
use super::wakeups::{Attentive, Wakeups, Woken};
use crate::http::MAX_BUFFER;

/// An open connection.
pub(super) struct Http1<B: Body + 'static> {
    connection: Connection<TokioIo<AnswerFirst<Attentive<Stream>>>, B>,
    sender: SendRequest<B>,
    wakeups: Arc<Wakeups>,
    /// The same, as hyper has it.
    waker: Waker,
    /// How often it had woken somebody when it was polled last.
    polled: Woken,
    deadline: Deadline,
    ended: bool,
    pub(super) permit: ConnectionPermit,
}

/// How an exchange ended without a response.
pub(super) enum Broken {
    /// hyper's error.
    Failed(hyper::Error),
    /// The deadline came first.
    TimedOut,
    /// There was none to send.
    NoRequest,
}

/// An open connection that nobody has used for a while.
pub(super) struct Resting {
    stream: AnswerFirst<Attentive<Stream>>,
    pub(super) permit: ConnectionPermit,
}

/// A connection whose response has begun while the request's body was still being sent: a task of its own keeps sending,
/// even while nobody asks for the response.
pub(super) struct Driven<B: Body + 'static> {
    connection: Rc<RefCell<Option<Box<Http1<B>>>>>,
    task: AbortHandle,
}

// === impl Http1 ===

impl<B> Http1<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) async fn open(stream: Stream, permit: ConnectionPermit) -> hyper::Result<Box<Self>> {
        Self::over(AnswerFirst::new(Attentive::new(stream)), permit).await
    }

    async fn over(stream: AnswerFirst<Attentive<Stream>>, permit: ConnectionPermit) -> hyper::Result<Box<Self>> {
        let wakeups = Arc::clone(stream.get_ref().wakeups());
        // The rest are hyper's defaults on purpose: headers parsed on the stack (`max_headers` would move them to the
        // heap), names written in lower case as they are stored, and vectored writes wherever the stream has them, so a
        // body chunk goes from one socket to the other without a copy. A response's head may be as long as the buffer.
        let (sender, connection) = Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(stream)).await?;
        let (waker, polled, deadline) = (Waker::from(Arc::clone(&wakeups)), wakeups.woken(), Deadline::new(&wakeups));
        Ok(Box::new(Self { connection, sender, wakeups, waker, polled, deadline, ended: false, permit }))
    }

    /// Does what can be done now. Ready when the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wakeups.wakes(cx.waker());
        self.go_on();
        if self.ended { Poll::Ready(()) } else { Poll::Pending }
    }

    fn go_on(&mut self) {
        self.polled = self.wakeups.woken();
        if !self.ended && Pin::new(&mut self.connection).poll(&mut Context::from_waker(&self.waker)).is_ready() {
            // Errors were given to the request or the body they concern.
            self.ended = true;
        }
    }

    /// What has arrived of a response's body. Only driving the connection makes more of it arrive.
    pub(super) fn arrived(&self, body: &mut Incoming) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.wakeups.hushed(|| Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())))
    }

    /// Whether another request can be sent: request and response have both ended and neither side wants to close.
    pub(super) fn is_ready(&self) -> bool {
        !self.ended && self.sender.is_ready()
    }

    /// Looks whether the other side has closed or spoken unasked meanwhile, and whether another request can be sent.
    pub(super) fn settle(&mut self) -> bool {
        if !self.ended && (self.wakeups.woken() != self.polled || !self.sender.is_ready()) {
            let mut looked = pin!(unconstrained(std::future::poll_fn(|_| {
                self.go_on();
                Poll::Ready(())
            })));
            let _ = looked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        self.is_ready()
    }

    /// Wakes nobody from now on: not the task that used it last.
    pub(super) fn leave(&self) {
        self.wakeups.wakes_nobody();
    }

    /// Gives up hyper and its buffers, of a connection that [is ready](Self::is_ready); `None` where the other side has spoken unasked.
    pub(super) fn rest(self: Box<Self>) -> Option<Resting> {
        let Self { connection, permit, .. } = *self;
        let parts = connection.into_parts();
        parts.read_buf.is_empty().then(|| Resting { stream: parts.io.into_inner(), permit })
    }

    /// The connection of one that rested.
    pub(super) async fn wake(resting: Resting) -> hyper::Result<Box<Self>> {
        Self::over(resting.stream, resting.permit).await
    }

    /// Sends the request and waits for the response head until the deadline, and where that has come until the one that `later` names. The
    /// request is there again where nothing of it was used.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Option<Request<B>>,
        head: &mut Option<Response<Incoming>>,
        mut deadline: Instant,
        later: impl Fn() -> Option<Instant>,
    ) -> Result<(), Broken> {
        let sent = {
            // In a block of its own, so that no room is kept for it while it is waited for.
            let Some(mut sent) = request.take() else { return Err(Broken::NoRequest) };
            *sent.version_mut() = Version::HTTP_11;
            self.wakeups.hushed(|| self.sender.try_send_request(sent))
        };
        let mut response = pin!(sent);
        std::future::poll_fn(|cx| {
            self.go_on();
            // Only the poll above can complete this future, so it need not wake anybody (and is not held back by the
            // task's budget, which would be a wake-up lost).
            match Pin::new(&mut unconstrained(response.as_mut())).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(response)) => {
                    *head = Some(response);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(mut error)) => {
                    *request = error.take_message();
                    return Poll::Ready(Err(Broken::Failed(error.into_error())));
                }
                Poll::Pending => {}
            }
            while self.ended || self.deadline.poll(deadline).is_ready() {
                match later().filter(|_| !self.ended) {
                    Some(moved) => deadline = moved,
                    None => return Poll::Ready(Err(Broken::TimedOut)),
                }
            }
            // Who has its answer is not woken any more, so whom to wake is said by those that wait. What woke somebody meanwhile did not know whom.
            self.wakeups.wakes(cx.waker());
            if self.wakeups.woken() != self.polled {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// Lets a task of its own drive the connection.
    pub(super) fn drive(self: Box<Self>) -> Driven<B> {
        let connection = Rc::new(RefCell::new(Some(self)));
        let driven = Rc::clone(&connection);
        let drive = std::future::poll_fn(move |cx| driven.borrow_mut().as_mut().map_or(Poll::Ready(()), |connection| connection.poll(cx)));
        Driven { connection, task: spawn_local(drive).abort_handle() }
    }
}

// === impl Resting ===

impl Resting {
    /// Looks whether the other side has closed or spoken unasked; see [`Http1::settle`].
    pub(super) fn settle(&mut self) -> bool {
        let mut byte = [0];
        let waker = Waker::from(Arc::clone(self.stream.get_ref().wakeups()));
        let mut cx = Context::from_waker(&waker);
        pin!(unconstrained(std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)))))
            .poll(&mut cx)
            .is_pending()
    }
}

// === impl Driven ===

impl<B: Body + 'static> Driven<B> {
    /// The connection, once its response has ended.
    pub(super) fn take(&self) -> Option<Box<Http1<B>>> {
        self.connection.borrow_mut().take()
    }
}

impl<B: Body + 'static> Drop for Driven<B> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
