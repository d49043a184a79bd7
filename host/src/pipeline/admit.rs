//! The way in: authorizers and request filters where they stand.

use std::rc::Rc;

use super::called::{self, Holds};
use super::{Chain, StepKind, Verdict};
use crate::config::model::FailurePolicy;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::plugin::{Decision, Flow, Hook};

impl Chain {
    /// Runs the way in. The first authorizer that allows or answers decides; when all abstain the request is denied
    /// unless the route is public. A failing authorizer always rejects: failing open is how other gateways let people in.
    pub async fn admit<H: Holds>(&self, plugins: &Rc<H>, mut exchange: Box<Exchange>) -> (Box<Exchange>, Verdict) {
        let mut allowed = self.public;
        let mut decided = false;
        for step in &self.incoming {
            match step.kind {
                StepKind::Authorize { .. } if decided => {}
                StepKind::Authorize { last } => {
                    let shadowed = step.place.shadowed(plugins.plugins(), &exchange);
                    step.place.begin(Hook::Authorizer, &mut exchange);
                    let (back, decision) = called::authorize(plugins, step.place.at(), exchange).await;
                    exchange = back;
                    step.place.tell(Hook::Authorizer, &mut exchange, &decision);
                    if let Some(shadowed) = shadowed {
                        Box::pin(shadowed.authorize(plugins, &exchange, &decision)).await;
                    }
                    match decision {
                        Ok(Decision::Allow) => (allowed, decided) = (true, true),
                        Ok(Decision::Abstain) if last && !allowed => return (exchange, Verdict::Fault(Fault::Denied)),
                        Ok(Decision::Abstain) => {}
                        Ok(Decision::Respond(response)) => return (exchange, Verdict::Answer { by: step.place.name.clone(), response }),
                        Ok(Decision::Unavailable(retry_after)) => {
                            exchange.retry_after = retry_after.map(u64::from);
                            return (exchange, Verdict::Fault(Fault::AuthorizerUnavailable));
                        }
                        Err(fault) => return (exchange, Verdict::Fault(fault)),
                    }
                }
                StepKind::Filter => {
                    let shadowed = step.place.shadowed(plugins.plugins(), &exchange);
                    step.place.begin(Hook::RequestFilter, &mut exchange);
                    let (back, flow) = called::on_request(plugins, step.place.at(), exchange).await;
                    exchange = back;
                    step.place.tell(Hook::RequestFilter, &mut exchange, &flow);
                    if let Some(shadowed) = shadowed {
                        Box::pin(shadowed.on_request(plugins, &exchange, &flow)).await;
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
