//! Leave to have one connection open.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

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

impl ConnectionPermit {
    /// Leave for one more connection, or `None` at the limit.
    pub(super) fn take(endpoint: &Arc<Endpoint>) -> Option<Self> {
        let common = &endpoint.state.common;
        if common.connections.fetch_add(1, Relaxed) >= endpoint.limits.max_open {
            common.connections.fetch_sub(1, Relaxed);
            common.wanted.store(true, Relaxed);
            return None;
        }
        Some(Self { endpoint: Arc::clone(endpoint), idle: None })
    }

    /// Counts the connection as unused, unless there are as many of those as may be kept: then it is to be closed.
    pub(super) fn enter_idle(&mut self, limits: &ConnectionLimits) -> bool {
        let (common, share) = (&self.endpoint.state.common, self.endpoint.share());
        // One worker's unused connections must not starve another at the limit: a refusal costs one of them.
        if common.wanted.load(Relaxed) && common.wanted.swap(false, Relaxed) {
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
        self.endpoint.state.common.connections.fetch_sub(1, Relaxed);
    }
}
