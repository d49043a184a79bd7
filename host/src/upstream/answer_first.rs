//! An upstream may answer before it has read the whole request, and close: a 413 is the usual case. Writing then fails while
//! the answer waits to be read, and hyper gives up at the first error of either. So a failed write is held back until
//! reading has ended too (RFC 9112, section 9.5: a client that is still sending should watch for an answer).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose reading side has the last word.
#[derive(Debug)]
pub(super) struct AnswerFirst<S> {
    inner: S,
    /// Why no more can be written.
    failed: Option<io::ErrorKind>,
    /// Whether nothing more can be read.
    ended: bool,
}

impl<S> AnswerFirst<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, failed: None, ended: false }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.inner
    }

    fn held<T>(&mut self, written: Poll<io::Result<T>>, cx: &Context<'_>) -> Poll<io::Result<T>> {
        match ready!(written) {
            Err(error) if !self.ended && is_gone(error.kind()) => {
                self.failed = Some(error.kind());
                // What made writing fail makes reading ready; whoever waits has to look once more.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    /// What writing came to, if it has failed.
    fn failure<T>(&self) -> Option<Poll<io::Result<T>>> {
        self.failed.map(|kind| if self.ended { Poll::Ready(Err(kind.into())) } else { Poll::Pending })
    }
}

/// Whether the other side takes no more bytes.
fn is_gone(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted)
}

impl<S: AsyncRead + Unpin> AsyncRead for AnswerFirst<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.remaining();
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        self.ended |= read.is_err() || (before > 0 && buffer.remaining() == before);
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnswerFirst<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(failure) = self.failure() {
            return failure;
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.held(written, cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(failure) = self.failure() {
            return failure;
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.held(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(failure) = self.failure() {
            return failure;
        }
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.held(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
