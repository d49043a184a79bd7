//! What was read from a connection and not used yet.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::allocator::BUFFER;
use crate::http::MAX_BUFFER;

/// Room for the first read, bytes: most messages fit into it, and the allocator keeps blocks of that size.
const FIRST: usize = BUFFER;

/// Bytes in the order they came, in memory that is used again once nobody holds a piece of it.
pub(super) struct Input {
    bytes: BytesMut,
    /// Room for the next read. It doubles when a read fills it, and halves when two in a row would have had enough of half.
    next: usize,
    was_small: bool,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::new(), next: FIRST, was_small: false }
    }

    /// What is there.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes so many bytes, or all where there are fewer.
    ///
    /// Large memory goes with the last of them: a connection that nobody uses need not keep a body's worth of it.
    pub(super) fn take(&mut self, most: usize) -> Bytes {
        if most >= self.bytes.len() && self.next > FIRST {
            return std::mem::take(&mut self.bytes).freeze();
        }
        self.bytes.split_to(most.min(self.bytes.len())).freeze()
    }

    /// Forgets so many bytes, or all where there are fewer.
    pub(super) fn skip(&mut self, most: usize) {
        self.bytes.advance(most.min(self.bytes.len()));
    }

    /// Reads more; zero bytes are the end.
    pub(super) fn poll_fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.bytes.capacity() - self.bytes.len() < self.next {
            self.bytes.reserve(self.next);
        }
        // It keeps nothing between polls.
        let read = ready!(Pin::new(&mut pin!(stream.read_buf(&mut self.bytes))).poll(cx))?;
        self.adapt(read);
        Poll::Ready(Ok(read))
    }

    /// Gives up its memory, which has to be [empty](Self::is_empty).
    pub(super) fn rest(&mut self) {
        *self = Self::new();
    }

    /// One that has these bytes.
    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), ..Self::new() }
    }

    /// What came.
    #[cfg(test)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether it has given up its memory.
    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        self.bytes.capacity() == 0
    }

    fn adapt(&mut self, read: usize) {
        if read >= self.next {
            self.next = (self.next * 2).min(MAX_BUFFER);
            self.was_small = false;
        } else if read >= self.next / 2 {
            self.was_small = false;
        } else if self.was_small {
            self.next = (self.next / 2).max(FIRST);
            self.was_small = false;
        } else {
            self.was_small = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[test]
    fn room_grows_with_what_comes_and_shrinks_when_little_does() {
        let mut input = Input::new();
        let mut after = |read| {
            input.adapt(read);
            input.next
        };
        assert_eq!(
            [8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10].map(&mut after),
            [16 << 10, 32 << 10, 64 << 10, MAX_BUFFER, MAX_BUFFER]
        );
        assert_eq!([10, 10, 10, 40 << 10, 10, 10].map(&mut after), [MAX_BUFFER, 64 << 10, 64 << 10, 64 << 10, 64 << 10, 32 << 10]);
        assert_eq!([10; 8].map(after).last(), Some(&FIRST));
    }

    #[tokio::test]
    async fn large_memory_goes_with_what_is_in_it() {
        let (mut stream, mut other) = duplex(64 << 10);
        let mut input = Input::new();
        other.write_all(&[b'x'; 32 << 10]).await.unwrap();
        while input.next == FIRST {
            assert!(std::future::poll_fn(|cx| input.poll_fill(&mut stream, cx)).await.unwrap() > 0);
        }
        let some = input.take(100);
        assert_eq!((some.len(), input.is_resting()), (100, false));
        assert!(!input.take(usize::MAX).is_empty() && input.is_resting() && input.is_empty());
    }

    #[tokio::test]
    async fn memory_is_used_again_once_nobody_holds_a_piece() {
        let (mut stream, mut other) = duplex(64 << 10);
        let mut input = Input::new();
        for _ in 0..100 {
            other.write_all(&[b'x'; 1000]).await.unwrap();
            assert_eq!(std::future::poll_fn(|cx| input.poll_fill(&mut stream, cx)).await.unwrap(), 1000);
            input.skip(10);
            assert_eq!((input.take(usize::MAX).len(), input.is_empty()), (990, true));
        }
        assert!(input.bytes.capacity() <= 2 * FIRST);
        input.rest();
        assert!(input.is_resting());
        drop(other);
        assert_eq!(std::future::poll_fn(|cx| input.poll_fill(&mut stream, cx)).await.unwrap(), 0);
    }
}
