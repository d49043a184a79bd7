//! What one try at an upstream will do.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::{Endpoint, Profile, Upstream};
use crate::config::model::Protocol;

/// Where and how one try goes. Starts as the upstream's own settings; a forwarder changes what differs.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The upstream.
    pub upstream: &'a Upstream,
    /// One of its endpoints.
    pub endpoint: &'a Arc<Endpoint>,
    /// TLS to an endpoint configured without; the other way round there is nothing to say.
    pub force_tls: bool,
    /// Index of a TLS profile ([`Upstream::profile`]); the upstream's own where `None`. Means nothing without TLS.
    pub tls: Option<usize>,
    /// Name sent (SNI) and verified ([`Upstream::server_name`]); the profile's or the endpoint's own where `None`.
    pub server_name: Option<Arc<ServerName<'static>>>,
    /// Application protocol.
    pub protocol: Protocol,
    /// Connecting, TLS included.
    pub connect_timeout: Duration,
    /// From sending the request, the last of its body that was taken, to the complete response head.
    pub response_timeout: Duration,
}

impl<'a> Plan<'a> {
    /// The upstream's own settings.
    pub fn default_for(upstream: &'a Upstream, endpoint: &'a Arc<Endpoint>) -> Self {
        Self {
            upstream,
            endpoint,
            force_tls: false,
            tls: None,
            server_name: None,
            protocol: upstream.protocol,
            connect_timeout: upstream.connect_timeout,
            response_timeout: upstream.response_timeout,
        }
    }
}

impl Plan<'_> {
    /// Whether it says otherwise than the upstream how the endpoint is spoken to: what goes wrong with that says nothing of the endpoint, which others
    /// reach by the upstream's own words.
    pub(super) fn is_edited(&self) -> bool {
        self.force_tls || self.tls.is_some() || self.server_name.is_some() || self.protocol != self.upstream.protocol
    }

    /// Whether this try is made over TLS.
    pub(super) fn uses_tls(&self) -> bool {
        self.endpoint.tls || self.force_tls
    }

    /// The TLS profile it uses; `None` without TLS.
    pub(super) fn profile(&self) -> Option<&Profile> {
        if !self.uses_tls() {
            return None;
        }
        match self.tls {
            Some(index) => self.upstream.profiles.get(index).map(|profile| &**profile),
            None => self.upstream.default_profile.as_deref(),
        }
    }
}
