//! Instances for calls that need not wait. A call that waits for another server keeps its instance meanwhile; could such calls have all of
//! them, a server that is slow would hold up even those that need nothing of it, as the bearers of tokens that are known already. So one
//! instance in four is never waited on: what it asks for is answered from what is here, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The calls of one plugin that wait on one thread.
#[derive(Debug)]
pub struct Reserve {
    most: usize,
    /// Of that thread alone; a store with it may be made on another.
    waiting: AtomicUsize,
}

/// A call that waits, for as long as it does.
#[derive(Debug)]
pub(super) struct Waits(Arc<Reserve>);

impl Reserve {
    /// For a plugin that has at most so many instances on the thread.
    pub fn of(instances: usize) -> Arc<Self> {
        Arc::new(Self { most: instances - instances / 4, waiting: AtomicUsize::new(0) })
    }

    /// Begins to wait; `None` where as many do as may.
    pub(super) fn wait(self: &Arc<Self>) -> Option<Waits> {
        let is_one_more = |waiting| (waiting < self.most).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_one_more).ok()?;
        Some(Waits(Arc::clone(self)))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_four_is_never_waited_on_and_who_is_done_makes_room() {
        for (instances, most) in [(1, 1), (2, 2), (3, 3), (4, 3), (64, 48), (512, 384)] {
            let reserve = Reserve::of(instances);
            let mut waiting: Vec<_> = (0..most).map(|_| reserve.wait().unwrap()).collect();
            assert!(reserve.wait().is_none(), "{instances}");
            waiting.pop();
            waiting.push(reserve.wait().unwrap());
            assert!(reserve.wait().is_none());
        }
    }
}
