//! One attempt that its router wants to know the end of, and the bell that says a batch of them waits.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use tokio::time::Instant;

use super::snapshot::{Generation, Worker};
use crate::exchange::Outcome;
use crate::fault::Fault;
use crate::pipeline::{Ended, Place};

/// An attempt under way. However it ends, its router learns of it, once: a client that leaves drops this with all the rest.
#[derive(Debug)]
pub(super) struct Attempted<'a> {
    worker: &'a Worker,
    generation: &'a Generation,
    router: &'a Place,
    started: Instant,
    outcome: Outcome,
}

/// Wakes one task of the same thread, so it needs no lock.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

impl<'a> Attempted<'a> {
    /// An attempt begins. `None` where nobody wants to know.
    pub(super) fn begin(
        worker: &'a Worker,
        generation: &'a Generation,
        router: Option<&'a Place>,
        endpoint: u64,
        started: Instant,
    ) -> Option<Self> {
        let router = router.filter(|router| generation.plugins.learns(router))?;
        let outcome = Outcome { endpoint, status: None, fault: Some(Fault::ClientGone) };
        Some(Self { worker, generation, router, started, outcome })
    }

    /// It ended.
    pub(super) fn ended(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Attempted<'_> {
    fn drop(&mut self) {
        let latency_us = u32::try_from(self.started.elapsed().as_micros()).unwrap_or(u32::MAX);
        if self.generation.plugins.learn(self.router, Ended { outcome: self.outcome, latency_us }) {
            self.worker.outcomes.ring();
        }
    }
}

impl Bell {
    fn ring(&self) {
        self.rung.set(true);
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Until it rings, or at once if it rang since.
    pub(super) async fn rung(&self) {
        poll_fn(|context| {
            if self.rung.take() {
                return Poll::Ready(());
            }
            self.task.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests;
