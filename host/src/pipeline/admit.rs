//! The way in: authorizers and request filters where they stand.

use super::{Chain, Plugins, StepKind, Verdict};
use crate::config::model::FailurePolicy;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::plugin::{Decision, Flow, Hook};

impl Chain {
    /// Runs the way in. The first authorizer that allows or answers decides; when all abstain the request is denied
    /// unless the route is public. A failing authorizer always rejects: failing open is how other gateways let people in.
    pub fn admit(&self, plugins: &Plugins, mut exchange: Box<Exchange>) -> (Box<Exchange>, Verdict) {
        let mut allowed = self.public;
        let mut decided = false;
        for step in &self.incoming {
            let mut slot = match plugins.slot(&step.place) {
                Ok(slot) => slot,
                Err(fault) => return (exchange, Verdict::Fault(fault)),
            };
            match step.kind {
                StepKind::Authorize { .. } if decided => {}
                StepKind::Authorize { last } => {
                    let shadowed = step.place.shadowed(plugins, &exchange);
                    step.place.begin(Hook::Authorizer, &mut exchange);
                    let (back, decision) = slot.authorize(step.place.config, exchange);
                    exchange = back;
                    step.place.tell(Hook::Authorizer, &mut exchange, &decision);
                    if let Some(shadowed) = shadowed {
                        shadowed.authorize(&exchange, &decision);
                    }
                    match decision {
                        Ok(Decision::Allow) => (allowed, decided) = (true, true),
                        Ok(Decision::Abstain) if last && !allowed => return (exchange, Verdict::Fault(Fault::Denied)),
                        Ok(Decision::Abstain) => {}
                        Ok(Decision::Respond(response)) => return (exchange, Verdict::Answer { by: step.place.name.clone(), response }),
                        Ok(Decision::Unavailable(retry_after)) => {
                            if let Some(seconds) = retry_after {
                                exchange.response_headers.push((http::header::RETRY_AFTER, seconds.into()));
                            }
                            return (exchange, Verdict::Fault(Fault::AuthorizerUnavailable));
                        }
                        Err(fault) => return (exchange, Verdict::Fault(fault)),
                    }
                }
                StepKind::Filter => {
                    let shadowed = step.place.shadowed(plugins, &exchange);
                    step.place.begin(Hook::RequestFilter, &mut exchange);
                    let (back, flow) = slot.on_request(step.place.config, exchange);
                    exchange = back;
                    step.place.tell(Hook::RequestFilter, &mut exchange, &flow);
                    if let Some(shadowed) = shadowed {
                        shadowed.on_request(&exchange, &flow);
                    }
                    match (flow, step.place.on_failure) {
                        (Ok(Flow::Next), _) | (Err(_), FailurePolicy::Skip) => {}
                        (Ok(Flow::Respond(response)), _) => return (exchange, Verdict::Answer { by: step.place.name.clone(), response }),
                        (Err(fault), FailurePolicy::Reject) => return (exchange, Verdict::Fault(fault)),
                    }
                }
            }
        }
        let verdict = if allowed { Verdict::Pass } else { Verdict::Fault(Fault::Denied) };
        (exchange, verdict)
    }
}
