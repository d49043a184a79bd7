//! Who is woken by a connection, and when.
//!
//! hyper's connection and the body of its response wake each other, and here one task polls both: most of those wake-ups would only make it
//! look again at what it is looking at. What hyper is given to wake stands between: it can be hushed while the task itself calls what wakes it, and
//! it counts, so that nobody has to ask the runtime again for what has not come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::has_budget_remaining;

/// Whom one connection wakes. All that does so is of the thread that has the pool; that it is atomic is for the type's sake.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    task: AtomicWaker,
    hushed: AtomicBool,
    woken: AtomicU32,
}

/// How often a connection had woken somebody, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Woken(u32);

/// A stream that is not read in vain: where nothing was there, there is nothing until somebody was woken.
#[derive(Debug)]
pub(super) struct Attentive<S> {
    inner: S,
    wakeups: Arc<Wakeups>,
    nothing_at: Option<Woken>,
}

// === impl Wakeups ===

impl Wakeups {
    /// The task to wake from now on.
    pub(super) fn wakes(&self, task: &Waker) {
        self.task.register(task);
    }

    /// There is nobody to wake from now on.
    pub(super) fn wakes_nobody(&self) {
        self.task.take();
    }

    pub(super) fn woken(&self) -> Woken {
        Woken(self.woken.load(Relaxed))
    }

    /// Counts what wakes nobody, but has to be looked at again.
    fn count(&self) {
        self.woken.store(self.woken.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Calls what would wake the caller, who looks afterwards at what it waits for.
    pub(super) fn hushed<T>(&self, call: impl FnOnce() -> T) -> T {
        self.hushed.store(true, Relaxed);
        let done = call();
        self.hushed.store(false, Relaxed);
        done
    }
}

impl Wake for Wakeups {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.hushed.load(Relaxed) {
            self.count();
            self.task.wake();
        }
    }
}

// === impl Attentive ===

impl<S> Attentive<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, wakeups: Arc::default(), nothing_at: None }
    }

    pub(super) fn wakeups(&self) -> &Arc<Wakeups> {
        &self.wakeups
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Attentive<S> {
    /// To be called with its own wakeups alone.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let woken = self.wakeups.woken();
        if self.nothing_at == Some(woken) {
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.nothing_at = read.is_pending().then_some(woken);
        if read.is_pending() && !has_budget_remaining() {
            // The runtime held the task back and did not look: something may be there.
            self.wakeups.count();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Attentive<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// A task that counts how often it was woken.
    #[derive(Debug, Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn times(task: &Arc<Task>) -> usize {
        task.0.load(Relaxed)
    }

    #[test]
    fn it_wakes_who_listens_unless_hushed() {
        let (first, second) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let wakeups = Arc::new(Wakeups::default());
        let waker = Waker::from(Arc::clone(&wakeups));
        let before = wakeups.woken();
        wakeups.wakes(&Waker::from(Arc::clone(&first)));
        wakeups.hushed(|| waker.wake_by_ref());
        assert_eq!((times(&first), wakeups.woken()), (0, before));
        waker.wake_by_ref();
        assert_ne!(wakeups.woken(), before);
        wakeups.wakes(&Waker::from(Arc::clone(&second)));
        waker.wake_by_ref();
        assert_eq!((times(&first), times(&second)), (1, 1));
        wakeups.wakes(&Waker::from(Arc::clone(&second)));
        wakeups.wakes_nobody();
        let counted = wakeups.woken();
        waker.wake_by_ref();
        assert_eq!(times(&second), 1);
        assert_ne!(wakeups.woken(), counted, "it counts all the same");
    }

    fn read(stream: &mut Attentive<DuplexStream>) -> Option<usize> {
        let waker = Waker::from(Arc::clone(stream.wakeups()));
        let mut bytes = [0; 16];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(stream).poll_read(&mut Context::from_waker(&waker), &mut buffer) {
            Poll::Ready(read) => read.ok().map(|()| buffer.filled().len()),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn what_was_not_there_is_read_once_it_has_come() {
        let (stream, mut other) = duplex(16);
        let mut stream = Attentive::new(stream);
        assert_eq!((read(&mut stream), read(&mut stream)), (None, None));
        // Hushed, it counts nothing.
        stream.wakeups().hushed(|| Waker::from(Arc::clone(stream.wakeups())).wake());
        assert!(stream.nothing_at.is_some());
        other.write_all(b"four").await.unwrap();
        assert_eq!((read(&mut stream), read(&mut stream)), (Some(4), None));
        drop(other);
        assert_eq!(read(&mut stream), Some(0), "its end wakes, too");
    }
    #[tokio::test]
    async fn what_the_runtime_did_not_look_at_is_looked_at_again() {
        let (stream, mut other) = duplex(16);
        let mut stream = Attentive::new(stream);
        other.write_all(b"four").await.unwrap();
        let looked = std::future::poll_fn(|cx| {
            while has_budget_remaining() {
                assert!(std::pin::pin!(tokio::task::coop::consume_budget()).poll(cx).is_ready());
            }
            let before = stream.wakeups().woken();
            assert_eq!(read(&mut stream), None);
            assert_ne!(stream.wakeups().woken(), before);
            Poll::Ready(())
        });
        looked.await;
        assert_eq!(tokio::task::unconstrained(async { read(&mut stream) }).await, Some(4));
    }
}
