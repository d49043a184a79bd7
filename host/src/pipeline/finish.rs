//! The way back: response filters in reverse, once, on the final response, the gateway's own included.

use std::rc::Rc;

use bytes::Bytes;

use super::Chain;
use super::called::{self, Holds};
use crate::config::model::FailurePolicy;
use crate::exchange::{Exchange, LocalResponse, Origin, ResponseHead};
use crate::fault::Fault;
use crate::plugin::{Flow, Hook};
use crate::problem;

/// What became of the response's body.
#[derive(Debug)]
pub enum Finished {
    /// It is still the one the response came with.
    SameBody,
    /// A plugin or a fault put another in its place.
    NewBody(Bytes),
}

impl Chain {
    /// Runs the way back on `exchange.response`.
    pub async fn finish<H: Holds>(&self, plugins: &Rc<H>, mut exchange: Box<Exchange>) -> (Box<Exchange>, Finished) {
        let mut finished = Finished::SameBody;
        for place in &self.outgoing {
            let shadowed = place.shadowed(plugins.plugins(), &exchange);
            place.begin(Hook::ResponseFilter, &mut exchange);
            let (back, flow) = called::on_response(plugins, place.at(), exchange).await;
            exchange = back;
            place.tell(Hook::ResponseFilter, &mut exchange, &flow);
            if let Some(shadowed) = shadowed {
                Box::pin(shadowed.on_response(plugins, &exchange, &flow)).await;
            }
            match (flow, place.on_failure) {
                (Ok(Flow::Next), _) | (Err(_), FailurePolicy::Skip) => {}
                (Ok(Flow::Respond(response)), _) => {
                    let (head, body) = local(response, Origin::Plugin(place.name.clone()));
                    exchange.answer(head);
                    finished = Finished::NewBody(body);
                }
                // A plugin that ended the request by a fault may have no instance on the way back: what it did is what is told.
                (Err(Fault::PluginUnavailable), FailurePolicy::Reject) if is_refusal(&exchange) => {}
                (Err(fault), FailurePolicy::Reject) => {
                    let (head, body) = problem::respond(fault, Some(&exchange.id));
                    exchange.answer(head);
                    finished = Finished::NewBody(body);
                }
            }
        }
        (exchange, finished)
    }
}

/// Whether the response is the gateway's own answer to a fault.
fn is_refusal(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|response| matches!(response.origin, Origin::Gateway(_)))
}

/// A plugin's answer as a response.
pub(super) fn local(response: LocalResponse, origin: Origin) -> (ResponseHead, Bytes) {
    let mut headers = http::HeaderMap::with_capacity(response.headers.len() + 4);
    for (name, value) in response.headers {
        headers.append(name, value);
    }
    (ResponseHead { status: response.status, headers, origin }, response.body)
}

impl super::Verdict {
    /// The response a verdict stands for; `None` when the request passes.
    pub fn into_response(self, request_id: &http::HeaderValue) -> Option<(ResponseHead, Bytes)> {
        match self {
            Self::Pass => None,
            Self::Answer { by, response } => Some(local(response, Origin::Plugin(by))),
            Self::Fault(fault) => Some(problem::respond(fault, Some(request_id))),
        }
    }
}

#[cfg(test)]
mod tests;
