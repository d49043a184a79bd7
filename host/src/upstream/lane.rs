//! Connections that can stand in for each other, and those of them that no request uses now.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use http_body::Body;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::endpoint::ConnectionLimits;
use super::http1::Http1;
use super::http2::{Http2, Shared};
use super::{EndpointState, Plan};
use crate::config::model::Protocol;

/// Connections that can stand in for each other: to one endpoint, with one TLS profile, server name and protocol.
pub(super) struct Lane<B: Body + 'static> {
    key: Key,
    endpoint: Arc<EndpointState>,
    /// Unused HTTP/1.1 connections, the one used last on top: it is the one most surely alive and warm.
    idle: RefCell<Vec<Idle<B>>>,
    pub(super) shared: RefCell<Shared<B>>,
}

#[derive(PartialEq, Eq)]
struct Key {
    /// 0 is no TLS.
    profile: u64,
    server_name: Option<Arc<ServerName<'static>>>,
    protocol: Protocol,
}

struct Idle<B: Body + 'static> {
    connection: Box<Http1<B>>,
    expires: Instant,
    /// Whether it was unused already when it was looked at before.
    is_old: bool,
}

// === impl Lane ===

impl<B> Lane<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// No connections yet, of the kind that a plan wants.
    pub(super) fn new(plan: &Plan<'_>) -> Self {
        let profile = plan.profile().map_or(0, |profile| profile.id);
        let key = Key { profile, server_name: plan.server_name.clone(), protocol: plan.protocol };
        let endpoint = Arc::clone(&plan.endpoint.state);
        Self { key, endpoint, idle: RefCell::default(), shared: RefCell::new(Shared::Closed) }
    }

    /// Whether its connections are what a plan wants.
    pub(super) fn fits(&self, plan: &Plan<'_>) -> bool {
        let Key { profile, server_name, protocol } = &self.key;
        *profile == plan.profile().map_or(0, |profile| profile.id) && *protocol == plan.protocol && *server_name == plan.server_name
    }

    /// An unused connection that is still open.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Http1<B>>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut connection, expires, .. }) = idle.pop() {
            if expires <= now {
                // Those below have waited even longer.
                idle.clear();
                return None;
            }
            connection.permit.leave_idle();
            if connection.settle() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, if it can take one and there is room.
    pub(super) fn park(&self, mut connection: Box<Http1<B>>, limits: &ConnectionLimits, now: Instant) {
        if connection.is_ready() && connection.permit.enter_idle(limits) {
            let expires = now + limits.idle_timeout;
            self.idle.borrow_mut().push(Idle { connection, expires, is_old: false });
        }
    }

    /// Closes so many of those that were unused longest, or all there are; says how many.
    pub(super) fn give_up(&self, most: usize) -> usize {
        let mut idle = self.idle.borrow_mut();
        let few = most.min(idle.len());
        idle.drain(..few);
        let mut shared = self.shared.borrow_mut();
        if few < most && matches!(&*shared, Shared::Open(connection) if connection.is_unused()) {
            *shared = Shared::Closed;
            return few + 1;
        }
        few
    }

    /// The same, of as many as requests wait for.
    pub(super) fn give_up_what_is_asked_for(&self) {
        self.give_up(self.endpoint.common.waiting.load(SeqCst));
    }

    /// Closes what was unused for too long, or closed by the other side, and lets rest what was unused when it was called before.
    pub(super) fn reap(&self, now: Instant) {
        self.give_up_what_is_asked_for();
        self.idle.borrow_mut().retain_mut(|idle| {
            let is_old = std::mem::replace(&mut idle.is_old, true);
            idle.connection.leave();
            let is_open = idle.expires > now && idle.connection.settle();
            if is_open && is_old {
                idle.connection.rest();
            }
            is_open
        });
        let mut shared = self.shared.borrow_mut();
        if matches!(&*shared, Shared::Open(connection) if connection.is_closed() || connection.is_expired(now)) {
            *shared = Shared::Closed;
        }
    }

    /// Connections that rest.
    #[cfg(test)]
    pub(super) fn resting(&self) -> usize {
        self.idle.borrow().iter().filter(|idle| idle.connection.is_resting()).count()
    }

    /// Whether there is nothing to keep it for.
    pub(super) fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && matches!(*self.shared.borrow(), Shared::Closed)
    }

    /// Sends no further requests on that shared connection.
    pub(super) fn forget(&self, connection: &Rc<Http2<B>>) {
        let mut shared = self.shared.borrow_mut();
        if matches!(&*shared, Shared::Open(current) if Rc::ptr_eq(current, connection)) {
            *shared = Shared::Closed;
        }
    }
}

#[cfg(test)]
mod tests;
