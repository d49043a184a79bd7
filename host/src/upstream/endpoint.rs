//! One member of an upstream: what was configured, and what the whole gateway has learned about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::HeaderValue;
use rustls::pki_types::ServerName;

use super::availability::Availability;

/// Stays the same for one (upstream, URL) across reloads and is never given to another while the process runs.
pub type EndpointId = u64;

/// One member of an upstream.
#[derive(Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// `scheme://host:port`
    pub url: String,
    /// Host name or address literal, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// 1 to 65535.
    pub weight: u16,
    /// Free text for routers.
    pub labels: BTreeMap<String, String>,
    /// `host:port` for a `Host` header, the port only where it is not the scheme's own.
    pub authority: HeaderValue,
    /// What the gateway has learned about it; outlives this endpoint when the configuration is loaded anew.
    pub state: Arc<EndpointState>,
    pub(super) upstream_state: Arc<UpstreamState>,
    /// `None` without TLS.
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) limits: ConnectionLimits,
}

/// Bounds on connections to one endpoint, for all workers together.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    /// How long an unused connection is kept.
    pub(super) idle_timeout: Duration,
    /// Unused connections kept.
    pub(super) max_idle: usize,
    /// Connections open at once.
    pub(super) max_open: usize,
}

/// What the gateway knows about one endpoint, written by every worker. On a cache line of its own (two, as CPUs fetch
/// them in pairs), so that workers busy with different endpoints do not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
pub struct EndpointState {
    in_flight: AtomicUsize,
    latency: AtomicU64,
    connections: AtomicUsize,
    idle: AtomicUsize,
    /// Some request was refused for want of a connection since one was last given up for it.
    wanted: AtomicBool,
    pub(super) availability: Availability,
}

/// What the gateway knows about one upstream.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct UpstreamState {
    in_flight: AtomicUsize,
}

/// Counts a request as in flight until dropped, which is when its response body has ended.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
}

/// Leave to have one connection open; given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    state: Arc<EndpointState>,
    idle: bool,
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether it may be sent to now; the rule is in `availability.rs`.
    pub fn is_available(&self, now: Instant) -> bool {
        self.state.availability.is_available(now)
    }

    /// Leave for one more connection, or `None` at the limit.
    pub(super) fn open_connection(&self) -> Option<ConnectionPermit> {
        let state = &self.state;
        if state.connections.fetch_add(1, Relaxed) >= self.limits.max_open {
            state.connections.fetch_sub(1, Relaxed);
            state.wanted.store(true, Relaxed);
            return None;
        }
        Some(ConnectionPermit { state: Arc::clone(state), idle: false })
    }
}

// === impl ConnectionPermit ===

impl ConnectionPermit {
    /// Counts the connection as unused, unless there are as many of those as may be kept: then it is to be closed.
    pub(super) fn enter_idle(&mut self, limits: &ConnectionLimits) -> bool {
        let state = &self.state;
        // One worker's unused connections must not starve another at the limit: a refusal costs one of them.
        if state.wanted.load(Relaxed) && state.wanted.swap(false, Relaxed) {
            return false;
        }
        if state.idle.fetch_add(1, Relaxed) >= limits.max_idle {
            state.idle.fetch_sub(1, Relaxed);
            return false;
        }
        self.idle = true;
        true
    }

    /// The connection is used again.
    pub(super) fn leave_idle(&mut self) {
        if std::mem::take(&mut self.idle) {
            self.state.idle.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.leave_idle();
        self.state.connections.fetch_sub(1, Relaxed);
    }
}

// === impl EndpointState ===

impl EndpointState {
    /// Nothing known yet.
    pub fn new(now: Instant) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            latency: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            availability: Availability::new(now),
        }
    }

    /// Requests whose response has not ended.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// Time to the response head, microseconds, exponentially weighted (each answer counts one eighth); 0 before the first.
    pub fn latency_us(&self) -> u64 {
        self.latency.load(Relaxed)
    }

    /// Open connections, used or not.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Open connections no request uses. HTTP/2 connections are not counted here.
    pub fn idle_connections(&self) -> usize {
        self.idle.load(Relaxed)
    }

    /// One more answer. Two workers at once may lose one of theirs: an average does not mind.
    pub(super) fn answered_in(&self, time: Duration) {
        let sample = time.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(time.subsec_micros()));
        let old = self.latency.load(Relaxed);
        // Never back to 0, which means "unknown".
        let new = if old == 0 { sample } else { old - old / 8 + sample / 8 };
        self.latency.store(new.max(1), Relaxed);
    }
}

// === impl UpstreamState ===

impl UpstreamState {
    /// Requests whose response has not ended, of all endpoints together.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }
}

// === impl InFlight ===

impl InFlight {
    /// One more request to that endpoint.
    pub fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.state.in_flight.fetch_add(1, Relaxed);
        endpoint.upstream_state.in_flight.fetch_add(1, Relaxed);
        Self { endpoint: Arc::clone(endpoint) }
    }

    /// Where it went.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.state.in_flight.fetch_sub(1, Relaxed);
        self.endpoint.upstream_state.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_follows_the_answers_slowly_and_is_never_unknown_again() {
        let state = EndpointState::new(Instant::now());
        state.answered_in(Duration::from_micros(800));
        assert_eq!(state.latency_us(), 800);
        state.answered_in(Duration::from_micros(1_600));
        assert_eq!(state.latency_us(), 900);
        (0..200).for_each(|_| state.answered_in(Duration::ZERO));
        assert!(state.latency_us() >= 1);
    }
}
