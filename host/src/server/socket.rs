//! What a client's socket tells without a buffer to read into.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A client's stream, which can be waited for without a buffer.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Whether [`poll_end`](Self::poll_end) shows a client that leaves.
    const SHOWS_END: bool;

    /// Ready when there is something to read, or to be told.
    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when the client has closed its side, or has sent something that nobody read yet.
    ///
    /// # Errors
    /// When the connection is broken.
    fn poll_end(&self, task: &mut Context<'_>) -> Poll<io::Result<Unread>>;
}

/// What comes next from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nothing any more.
    End,
    /// Bytes, and the end perhaps after them.
    Bytes,
}

impl Socket for TcpStream {
    const SHOWS_END: bool = true;

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(task)
    }

    fn poll_end(&self, task: &mut Context<'_>) -> Poll<io::Result<Unread>> {
        let bytes = ready!(self.poll_peek(task, &mut ReadBuf::new(&mut [0])))?;
        Poll::Ready(Ok(if bytes == 0 { Unread::End } else { Unread::Bytes }))
    }
}

/// Boxed: it is handed on more than once, and every future it passes through has room for it.
impl Socket for Box<TlsStream<TcpStream>> {
    /// What says so is a record like any other, until it is read.
    const SHOWS_END: bool = false;

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (socket, session) = self.get_ref();
        // A session that wants nothing has something that nobody read, or was told that no more comes.
        if session.wants_read() { socket.poll_read_ready(task) } else { Poll::Ready(Ok(())) }
    }

    fn poll_end(&self, _task: &mut Context<'_>) -> Poll<io::Result<Unread>> {
        Poll::Pending
    }
}
