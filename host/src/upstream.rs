//! Upstreams: their endpoints and how they fare, TLS towards them, and the connections each worker keeps.
//!
//! [`Registry`] lives on the control side and turns configuration into [`Upstream`]s; what an endpoint has learned
//! ([`EndpointState`]) outlives a reload. A worker has its own [`Endpoint`]s ([`Upstream::for_worker`]) and one [`Pool`]: it picks an endpoint ([`RoundRobin`], or a
//! plugin), makes a [`Plan`] and calls [`Pool::send`]. Nothing here knows of plugins or routes, and nothing on a request's
//! path takes a lock.

mod availability;
mod body;
mod connect;
mod deadline;
mod directory;
mod endpoint;
mod failure;
mod framing;
mod http1;
mod http2;
mod lane;
mod lanes;
mod patience;
mod permit;
mod plan;
mod pool;
mod profile;
mod registry;
mod round_robin;
mod state;
mod stream;
mod wakeups;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls::pki_types::ServerName;

use crate::config::model::{Protocol, RetryOn};

pub use body::ResponseBody;
pub use connect::is_for_want_of_room;
pub use directory::Directory;
pub use endpoint::{Endpoint, EndpointFacts, EndpointId, InFlight};
pub use failure::SendError;
pub use patience::{Turn, Turns};
pub use plan::Plan;
pub use pool::{Answer, Pool};
pub use profile::Profile;
pub use registry::Registry;
pub use round_robin::{RoundRobin, RoundRobins};
pub use state::{EndpointState, UpstreamState};

/// One `[upstreams.NAME]`, ready to be used: names resolved, files read, immutable.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Which of its memberships this is: it grows where the members, their weights or labels are others than before.
    pub version: u64,
    /// Its members, as written.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Application protocol where a plan names none.
    pub protocol: Protocol,
    /// The `Host` that is sent.
    pub host: HostHeader,
    /// Connecting, TLS included.
    pub connect_timeout: Duration,
    /// From sending the request, the last of its body that was taken, to the complete response head.
    pub response_timeout: Duration,
    /// Longest pause while a body is streamed either way.
    pub stream_timeout: Duration,
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// What another attempt follows.
    pub retry_on: RetryOn,
    /// What all its endpoints together have learned.
    pub state: Arc<UpstreamState>,
    by_id: Arc<IdMap<usize>>,
    /// `None` where nothing is said of TLS.
    default_profile: Option<Arc<Profile>>,
    profiles: Vec<Arc<Profile>>,
    server_names: Vec<(String, Arc<ServerName<'static>>)>,
}

/// Which `Host` an upstream sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// The one the client asked for.
    Client,
    /// The endpoint's own: [`EndpointFacts::authority`].
    Endpoint,
    /// Always this one.
    Fixed(HeaderValue),
}

// === impl Upstream ===

impl Upstream {
    /// The same as that worker has it: what its requests count at endpoints, no other worker waits for.
    pub fn for_worker(&self, worker: usize) -> Self {
        let endpoints = self.endpoints.iter().map(|endpoint| Arc::new(endpoint.for_worker(worker))).collect();
        Self { endpoints, ..self.clone() }
    }

    /// The endpoint with that id; `None` for an id of another upstream or of an endpoint that has left.
    pub fn find(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(*self.by_id.get(&id)?)
    }

    /// Whether anything says how to verify its endpoints: it has TLS endpoints, or TLS settings of its own.
    pub fn has_tls(&self) -> bool {
        self.default_profile.is_some()
    }

    /// The TLS profile of that name (`[upstreams.NAME.tls_profiles.PROFILE]`), by index.
    pub fn profile(&self, name: &str) -> Option<usize> {
        self.profiles.iter().position(|profile| profile.name.as_deref() == Some(name))
    }

    /// A server name a forwarder may choose, if it is in the upstream's list (ASCII case does not matter).
    pub fn server_name(&self, name: &str) -> Option<&Arc<ServerName<'static>>> {
        self.server_names.iter().find(|(allowed, _)| allowed.eq_ignore_ascii_case(name)).map(|(_, parsed)| parsed)
    }
}

/// A map keyed by numbers this process hands out itself: one multiplication is hash enough, nobody can choose them.
pub(crate) type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

/// Fibonacci hashing of one `u64`.
#[derive(Default, Clone, Copy)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl fmt::Debug for IdHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdHasher").finish()
    }
}
