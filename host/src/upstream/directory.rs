//! Every endpoint of a configuration by id: what the `endpoints` capability answers from.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Endpoint, EndpointId, Upstream};

/// Endpoints and their upstreams by id.
#[derive(Debug, Default)]
pub struct Directory {
    // Ids are small numbers the registry hands out, so nobody outside can make them collide.
    entries: HashMap<EndpointId, (Arc<Endpoint>, Arc<Upstream>)>,
}

impl Directory {
    /// The directory of some upstreams.
    pub fn new<'a>(upstreams: impl IntoIterator<Item = &'a Arc<Upstream>>) -> Self {
        let members = upstreams.into_iter().flat_map(|upstream| upstream.endpoints.iter().map(move |endpoint| (endpoint, upstream)));
        Self { entries: members.map(|(endpoint, upstream)| (endpoint.id, (Arc::clone(endpoint), Arc::clone(upstream)))).collect() }
    }

    /// The endpoint with that id.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.entries.get(&id).map(|(endpoint, _)| endpoint)
    }

    /// The upstream it is a member of.
    pub fn upstream_of(&self, id: EndpointId) -> Option<&Arc<Upstream>> {
        self.entries.get(&id).map(|(_, upstream)| upstream)
    }
}
