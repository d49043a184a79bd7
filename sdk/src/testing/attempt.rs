//! Attempts and endpoints of the double.

use super::handle::Handle;
use crate::bindings::imports::plugway::gateway::routing::{Endpoint, Outcome};
use crate::routing::EndpointId;

/// Builds an attempt: `testing::Attempt::first()`, or one after failures.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    tried: Vec<EndpointId>,
    last_outcome: Option<Outcome>,
}

impl Attempt {
    /// The first try.
    pub fn first() -> crate::Attempt<'static> {
        Self::default().build()
    }

    /// Another try after one endpoint failed with this fault code, e.g. `upstream-connect-failed`.
    #[must_use]
    pub fn after(mut self, endpoint: EndpointId, fault: &str) -> Self {
        self.tried.push(endpoint);
        self.last_outcome = Some(Outcome { endpoint, status: None, fault: Some(fault.to_owned()) });
        self
    }

    /// The attempt as a hook gets it.
    pub fn build(self) -> crate::Attempt<'static> {
        let number = u32::try_from(self.tried.len()).unwrap_or(u32::MAX).saturating_add(1);
        crate::Attempt::new(Handle::new(FakeAttempt { tried: self.tried, last_outcome: self.last_outcome }), number)
    }
}

/// What stands in for the gateway's attempt. Its methods have the shape of the generated ones.
#[derive(Debug)]
pub(crate) struct FakeAttempt {
    tried: Vec<EndpointId>,
    last_outcome: Option<Outcome>,
}

impl FakeAttempt {
    pub(crate) fn tried(&self) -> Vec<EndpointId> {
        self.tried.clone()
    }

    pub(crate) fn last_outcome(&self) -> Option<Outcome> {
        self.last_outcome.clone()
    }
}

/// A member of an upstream, `scheme://host:port`, with weight 1 and no labels.
pub fn endpoint(id: EndpointId, url: &str) -> Endpoint {
    let authority = url.split_once("://").map_or(url, |(_, authority)| authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let default = if url.starts_with("https:") { 443 } else { 80 };
    Endpoint {
        id,
        url: url.to_owned(),
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: port.unwrap_or(default),
        weight: 1,
        labels: Vec::new(),
    }
}
