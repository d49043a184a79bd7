//! Leave to have one connection open.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::Endpoint;
use super::endpoint::ConnectionLimits;
use crate::places::Quota;

/// Leave to have one connection open; given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    endpoint: Arc<Endpoint>,
    /// By which quota it has a place among the unused ones.
    idle: Option<Quota>,
}

/// Leave to have one of HTTP/2, which is counted as such.
pub(super) struct Http2Permit(ConnectionPermit);

/// Counts who waits for a connection to be given up.
struct Waiting<'c>(&'c AtomicUsize);

impl ConnectionPermit {
    /// Leave for one more connection, or `None` at the limit.
    pub(super) fn take(endpoint: &Arc<Endpoint>) -> Option<Self> {
        let more = |open: usize| (open < endpoint.limits.max_open).then(|| open + 1);
        // Never more for a moment: who looks just then would wait for a place that is free.
        endpoint.state.common.connections.fetch_update(SeqCst, SeqCst, more).ok()?;
        Some(Self { endpoint: Arc::clone(endpoint), idle: None })
    }

    /// Leave in place of an unused connection, which every worker is asked to give up. To be waited for no longer than is worth it: there may be none.
    pub(super) async fn in_place_of_another(endpoint: &Arc<Endpoint>) -> Self {
        let common = &endpoint.state.common;
        common.waiting.fetch_add(1, SeqCst);
        let _waiting = Waiting(&common.waiting);
        endpoint.state.ask();
        loop {
            // Listens before it looks, so that nothing comes between.
            let mut freed = pin!(common.freed.notified());
            freed.as_mut().enable();
            if let Some(permit) = Self::take(endpoint) {
                return permit;
            }
            freed.await;
        }
    }

    /// For a connection that speaks HTTP/2: whether it is unused is not known here.
    pub(super) fn of_http2(self) -> Http2Permit {
        self.endpoint.state.common.http2.fetch_add(1, Relaxed);
        Http2Permit(self)
    }

    /// Counts the connection as unused, unless there are as many of those as may be kept: then it is to be closed.
    pub(super) fn enter_idle(&mut self, limits: &ConnectionLimits) -> bool {
        let (common, share) = (&self.endpoint.state.common, self.endpoint.share());
        // What is unused now is as good for another worker.
        if common.waiting.load(Relaxed) > 0 {
            return false;
        }
        if !common.places.take(&share.kept, limits.idle) {
            return false;
        }
        share.enter_idle();
        self.idle = Some(limits.idle);
        true
    }

    /// The connection is used again.
    pub(super) fn leave_idle(&mut self) {
        if let Some(quota) = self.idle.take() {
            let share = self.endpoint.share();
            share.leave_idle();
            // Several threads are no worker: what they would keep has no owner.
            let quota = if share.is_a_workers() { quota } else { Quota::new(quota.limit, 0) };
            self.endpoint.state.common.places.give_back(&share.kept, quota);
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.leave_idle();
        let common = &self.endpoint.state.common;
        common.connections.fetch_sub(1, SeqCst);
        // Whoever began to wait later sees that there is room.
        if common.waiting.load(SeqCst) > 0 {
            common.freed.notify_waiters();
        }
    }
}

impl Drop for Http2Permit {
    fn drop(&mut self) {
        self.0.endpoint.state.common.http2.fetch_sub(1, Relaxed);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
