//! What one try at an upstream will do.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::{Endpoint, Profile, Upstream};
use crate::config::model::Protocol;

/// Where and how one try goes. Starts as the upstream's own settings; a forwarder changes what differs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// One of its endpoints.
    pub endpoint: Arc<Endpoint>,
    /// Index of a TLS profile ([`Upstream::profile`]); the upstream's own where `None`. Means nothing for an endpoint
    /// without TLS: a plan cannot add or take TLS.
    pub tls: Option<usize>,
    /// Name sent (SNI) and verified ([`Upstream::server_name`]); the profile's or the endpoint's own where `None`.
    pub server_name: Option<Arc<ServerName<'static>>>,
    /// Application protocol.
    pub protocol: Protocol,
    /// Connecting, TLS included.
    pub connect_timeout: Duration,
    /// From sending the request to the complete response head.
    pub response_timeout: Duration,
}

impl Plan {
    /// The upstream's own settings.
    pub fn default_for(upstream: &Arc<Upstream>, endpoint: &Arc<Endpoint>) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            endpoint: Arc::clone(endpoint),
            tls: None,
            server_name: None,
            protocol: upstream.protocol,
            connect_timeout: upstream.connect_timeout,
            response_timeout: upstream.response_timeout,
        }
    }
}

impl Plan {
    /// The TLS profile it uses; `None` for an endpoint without TLS.
    pub(super) fn profile(&self) -> Option<&Profile> {
        if !self.endpoint.tls {
            return None;
        }
        match self.tls {
            Some(index) => self.upstream.profiles.get(index).map(|profile| &**profile),
            None => self.upstream.default_profile.as_deref(),
        }
    }
}
