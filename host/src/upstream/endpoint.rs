//! One member of an upstream, as one worker has it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use rustls::pki_types::ServerName;

use super::state::{EndpointShare, EndpointState, UpstreamShare, UpstreamState};
use crate::places::Quota;

/// Stays the same for one (upstream, URL) across reloads and is never given to another while the process runs.
pub type EndpointId = u64;

/// One member of an upstream. Each worker has one of its own, with a count of its own of who holds it, on a cache line of its own: every request
/// counts there.
#[derive(Debug)]
#[repr(align(128))]
pub struct Endpoint {
    facts: Arc<EndpointFacts>,
    /// What the gateway has learned about it; outlives this endpoint when the configuration is loaded anew.
    pub state: Arc<EndpointState>,
    upstream_state: Arc<UpstreamState>,
    /// Where its worker counts; where others do, if it is no worker's.
    share: Arc<EndpointShare>,
    upstream_share: Arc<UpstreamShare>,
}

/// What was configured of an endpoint.
#[derive(Debug)]
pub struct EndpointFacts {
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
    pub(super) idle: Quota,
    /// Connections open at once.
    pub(super) max_open: usize,
}

/// Counts a request as in flight until dropped, which is when its response body has ended.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
}

// === impl Endpoint ===

impl Endpoint {
    /// One that belongs to no worker.
    pub(super) fn new(facts: EndpointFacts, state: Arc<EndpointState>, upstream_state: Arc<UpstreamState>) -> Self {
        Self::of(Arc::new(facts), state, upstream_state, usize::MAX)
    }

    fn of(facts: Arc<EndpointFacts>, state: Arc<EndpointState>, upstream_state: Arc<UpstreamState>, worker: usize) -> Self {
        let (share, upstream_share) = (Arc::clone(state.of(worker)), Arc::clone(upstream_state.of(worker)));
        Self { facts, state, upstream_state, share, upstream_share }
    }

    /// The same as that worker has it.
    pub(super) fn for_worker(&self, worker: usize) -> Self {
        let Self { facts, state, upstream_state, .. } = self;
        Self::of(Arc::clone(facts), Arc::clone(state), Arc::clone(upstream_state), worker)
    }

    /// Whether it may be sent to now; the rule is in `availability.rs`.
    pub fn is_available(&self, now: Instant) -> bool {
        self.state.availability.is_available(now)
    }

    /// Gives back places that its worker kept by another limit. To be called on that worker.
    pub fn trim(&self) {
        self.state.common.places.trim(&self.share().kept, self.limits.idle);
    }

    /// An answer came, after so long.
    pub(super) fn answered_in(&self, time: Duration, now: Instant) {
        self.share().answered_in(time, self.state.second(now));
    }

    /// Where it counts.
    pub(super) fn share(&self) -> &EndpointShare {
        &self.share
    }
}

impl Deref for Endpoint {
    type Target = EndpointFacts;

    fn deref(&self) -> &EndpointFacts {
        &self.facts
    }
}

// === impl InFlight ===

impl InFlight {
    /// One more request to that endpoint.
    pub fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.share().begin();
        endpoint.upstream_share.begin();
        Self { endpoint: Arc::clone(endpoint) }
    }

    /// Where it went.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.share().end();
        self.endpoint.upstream_share.end();
    }
}
