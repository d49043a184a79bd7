//! The way out to an upstream: which endpoint, and how.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use super::{Chain, Plugins};
use crate::config::model::FailurePolicy;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::plugin::{Forwarded, Hook, PlanDraft, PlanEdits, Routed};
use crate::trace::StepResult;
use crate::upstream::{Endpoint, RoundRobin, Upstream};

/// An endpoint, and whether the router named one that is no member.
#[derive(Debug)]
pub struct Selected {
    /// Where to.
    pub endpoint: Arc<Endpoint>,
    /// The router named an endpoint that is gone, and the gateway picked for itself.
    pub stale: bool,
}

impl Chain {
    /// Picks the endpoint of one attempt.
    pub fn select(
        &self,
        plugins: &Plugins,
        mut exchange: Box<Exchange>,
        upstream: &Upstream,
        native: Option<&RoundRobin>,
    ) -> (Box<Exchange>, Result<Selected, Fault>) {
        let mut stale = false;
        if let Some(place) = &self.router {
            let mut slot = match plugins.slot(place) {
                Ok(slot) => slot,
                Err(fault) => return (exchange, Err(fault)),
            };
            let shadowed = place.shadowed(plugins, &exchange);
            place.begin(Hook::Router, &mut exchange);
            let (back, routed) = slot.route(place.config, exchange);
            exchange = back;
            let member = if let Ok(Routed::To(id)) = routed { upstream.find(id) } else { None };
            match (&routed, member) {
                (Ok(Routed::To(_)), None) => exchange.steps.end(StepResult::Stale),
                _ => place.tell(Hook::Router, &mut exchange, &routed),
            }
            if let Some(shadowed) = shadowed {
                shadowed.route(&exchange, &routed);
            }
            match (routed, place.on_failure) {
                (Ok(Routed::To(_)), _) => {
                    if let Some(endpoint) = member {
                        let endpoint = Arc::clone(endpoint);
                        return (exchange, Ok(Selected { endpoint, stale: false }));
                    }
                    stale = true;
                }
                (Ok(Routed::NoEndpoint), _) => return (exchange, Err(Fault::NoEndpoint)),
                (Err(fault), FailurePolicy::Reject) => return (exchange, Err(fault)),
                (Err(_), FailurePolicy::Skip) => {}
            }
        }
        let tried = exchange.attempts.tried.as_slice();
        // A first attempt may have taken its time, in which others have become available; the clock is not read for each request.
        let now = if tried.is_empty() { exchange.started } else { Instant::now() };
        let picked = native.and_then(|native| native.pick(tried, now)).ok_or(Fault::NoEndpoint);
        (exchange, picked.map(|endpoint| Selected { endpoint: Arc::clone(endpoint), stale }))
    }

    /// Lets the forwarder write the plan of one attempt. `None` is the upstream's own settings.
    pub fn plan(
        &self,
        plugins: &Plugins,
        mut exchange: Box<Exchange>,
        upstream: &Arc<Upstream>,
        endpoint: &Arc<Endpoint>,
        host: &HeaderValue,
    ) -> (Box<Exchange>, Result<Option<Arc<PlanEdits>>, Fault>) {
        let Some(place) = &self.forwarder else { return (exchange, Ok(None)) };
        let mut slot = match plugins.slot(place) {
            Ok(slot) => slot,
            Err(fault) => return (exchange, Err(fault)),
        };
        if let (false, Some(kept)) = (self.compared, slot.kept_plan(place.config, endpoint.id)) {
            place.begin(Hook::Forwarder, &mut exchange);
            exchange.steps.end(StepResult::Kept);
            return (exchange, Ok(Some(kept)));
        }
        let host = host.to_str().unwrap_or_default();
        let draft = PlanDraft::new(Arc::clone(upstream), Arc::clone(endpoint), exchange.request.path(), host);
        let shadowed = place.shadowed(plugins, &exchange);
        place.begin(Hook::Forwarder, &mut exchange);
        let (mut exchange, forwarded) = slot.forward(place.config, exchange, endpoint.id, draft);
        place.tell(Hook::Forwarder, &mut exchange, &forwarded);
        if let Some(shadowed) = shadowed {
            let draft = PlanDraft::new(Arc::clone(upstream), Arc::clone(endpoint), exchange.request.path(), host);
            shadowed.forward(&exchange, endpoint.id, draft, &forwarded);
        }
        let plan = match (forwarded, place.on_failure) {
            (Ok(Forwarded::Planned(edits) | Forwarded::Kept(edits)), _) => Ok(Some(edits)),
            (Ok(Forwarded::Refused), _) => Err(Fault::EndpointRefused),
            (Ok(Forwarded::UriTooLong), _) => Err(Fault::UriTooLong),
            (Err(fault), FailurePolicy::Reject) => Err(fault),
            (Err(_), FailurePolicy::Skip) => Ok(None),
        };
        (exchange, plan)
    }
}
