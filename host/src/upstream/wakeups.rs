//! Who is woken by a connection, and when.
//!
//! A connection is used by one task after another, and its stream and its timer know none of them: they wake the connection, and that wakes who has it.
//! It counts how often, so that nobody has to ask the runtime again for what has not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Wake, Waker};

use atomic_waker::AtomicWaker;

/// Whom one connection wakes. All that does so is of the thread that has the pool; that it is atomic is for the type's sake.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    task: AtomicWaker,
    woken: AtomicU32,
}

/// How often a connection had woken somebody, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Woken(u32);

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
    pub(super) fn count(&self) {
        self.woken.store(self.woken.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

impl Wake for Wakeups {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.count();
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

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
    fn it_wakes_who_listens_and_counts() {
        let (first, second) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let wakeups = Arc::new(Wakeups::default());
        let waker = Waker::from(Arc::clone(&wakeups));
        let before = wakeups.woken();
        wakeups.wakes(&Waker::from(Arc::clone(&first)));
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
}
