//! Leave to have one connection open.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Endpoint;
use super::endpoint::ConnectionLimits;

/// Leave to have one connection open; given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    endpoint: Arc<Endpoint>,
    idle: bool,
}

impl ConnectionPermit {
    /// Leave for one more connection, or `None` at the limit.
    pub(super) fn take(endpoint: &Arc<Endpoint>) -> Option<Self> {
        let state = &endpoint.state;
        if state.connections.fetch_add(1, Relaxed) >= endpoint.limits.max_open {
            state.connections.fetch_sub(1, Relaxed);
            state.wanted.store(true, Relaxed);
            return None;
        }
        Some(Self { endpoint: Arc::clone(endpoint), idle: false })
    }

    /// Counts the connection as unused, unless there are as many of those as may be kept: then it is to be closed.
    pub(super) fn enter_idle(&mut self, limits: &ConnectionLimits) -> bool {
        let (state, share) = (&self.endpoint.state, self.endpoint.share());
        // One worker's unused connections must not starve another at the limit: a refusal costs one of them.
        if state.wanted.load(Relaxed) && state.wanted.swap(false, Relaxed) {
            return false;
        }
        if !state.places.take(&share.kept, limits.max_idle) {
            return false;
        }
        share.enter_idle();
        self.idle = true;
        true
    }

    /// The connection is used again.
    pub(super) fn leave_idle(&mut self) {
        if std::mem::take(&mut self.idle) {
            let share = self.endpoint.share();
            share.leave_idle();
            // Several threads are no worker: what they would keep has no owner.
            let most = if self.endpoint.own().is_some() { self.endpoint.limits.most_kept } else { 0 };
            self.endpoint.state.places.give_back(&share.kept, most);
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.leave_idle();
        self.endpoint.state.connections.fetch_sub(1, Relaxed);
    }
}
