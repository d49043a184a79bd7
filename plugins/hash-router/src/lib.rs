//! `hash-router`: consistent hashing. The same key goes to the same endpoint for as long as that endpoint can take it.
//!
//! This file is glue: configuration in, an endpoint out. The logic is in pure modules beside it: [`key`] reads a request,
//! [`hash`] makes a number of it, [`placement`] puts members into the order a number prefers, and [`select`] takes the
//! first of them that may be used now.

pub mod config;
pub mod hash;
pub mod key;
pub mod placement;
pub mod select;

use plugway_sdk::{Attempt, Endpoint, EndpointId, Error, Plugin, Request, RouteError, Router, random};

use crate::config::{Checked, Config, MissingKey};
use crate::placement::{Member, Placement};

/// The router of one place.
#[derive(Debug)]
pub struct HashRouter {
    config: Checked,
    /// `None` before the first membership, and while the upstream has no members.
    upstream: Option<Upstream>,
}

/// What is built once per membership. The vectors are in the order of the gateway's list, as the placement's indices are.
#[derive(Debug)]
struct Upstream {
    ids: Vec<EndpointId>,
    weights: Vec<u16>,
    placement: Placement,
}

impl Plugin for HashRouter {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(Self { config: config.check()?, upstream: None })
    }
}

impl Router for HashRouter {
    fn on_endpoints(&mut self, _: u64, endpoints: Vec<Endpoint>) -> Result<(), Error> {
        self.upstream = if endpoints.is_empty() {
            None
        } else {
            let placement = Placement::build(self.config.placement, &Member::of(&endpoints))?;
            let (ids, weights) = endpoints.iter().map(|endpoint| (endpoint.id, endpoint.weight)).unzip();
            Some(Upstream { ids, weights, placement })
        };
        Ok(())
    }

    fn route(&self, request: &Request<'_>, attempt: &Attempt<'_>) -> Result<EndpointId, RouteError> {
        let Some(upstream) = &self.upstream else { return Err(RouteError::NoEndpoint) };
        let hash = match self.config.key.read(request) {
            Some(key) => self.config.hash.of(&key),
            None => match self.config.missing_key {
                MissingKey::Spread => random::number(),
                // Not `failed`: whether a key is there is the client's doing and must not open the plugin's breaker.
                MissingKey::Reject => return Err(RouteError::NoEndpoint),
            },
        };
        // The list is another, dearer call into the gateway, and the first attempt has none.
        let tried = if attempt.number() > 1 { attempt.tried() } else { Vec::new() };
        let candidates = Gateway { upstream, tried: &tried };
        let order = || upstream.placement.order(hash);
        let index = match self.config.bounded_load {
            None => select::first(order(), &candidates),
            Some(factor) => select::bounded(order, &candidates, factor, &upstream.weights),
        };
        index.and_then(|index| upstream.ids.get(index).copied()).ok_or(RouteError::NoEndpoint)
    }
}

/// The members of an upstream as the gateway sees them at this moment.
struct Gateway<'a> {
    upstream: &'a Upstream,
    tried: &'a [EndpointId],
}

impl select::Candidates for Gateway<'_> {
    fn available(&self, member: usize) -> bool {
        self.upstream.ids.get(member).is_some_and(|id| plugway_sdk::endpoints::available(*id))
    }

    fn tried(&self, member: usize) -> bool {
        !self.tried.is_empty() && self.upstream.ids.get(member).is_some_and(|id| self.tried.contains(id))
    }

    fn in_flight(&self, member: usize) -> u32 {
        self.upstream.ids.get(member).map_or(0, |id| plugway_sdk::endpoints::in_flight(*id))
    }

    fn all_in_flight(&self) -> u32 {
        self.upstream.ids.first().map_or(0, |id| plugway_sdk::endpoints::upstream_in_flight(*id))
    }
}

plugway_sdk::export!(HashRouter: Router);

#[cfg(test)]
mod tests;
