//! The hooks, one function each: what goes in, what may come out.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::bindings::exports::plugway::gateway as exports;
use super::bindings::plugway::gateway::types;
use super::guest::ONLY;
use super::instance::Failure;
use super::output::local_response;
use super::plan::{PlanDraft, PlanEdits};
use super::rights::Hook;
use super::slot::{Called, Slot};
use crate::exchange::{Exchange, LocalResponse, Phase};

pub use super::bindings::exports::plugway::gateway::observer::ExchangeRecord;

/// What an authorizer says.
#[derive(Debug)]
pub enum Decision {
    /// The request may pass; the identity is on the exchange.
    Allow,
    /// Ask the next one.
    Abstain,
    /// Answer this.
    Respond(LocalResponse),
    /// It cannot say now; seconds until a retry makes sense.
    Unavailable(Option<u32>),
}

/// What a filter says.
#[derive(Debug)]
pub enum Flow {
    /// Go on.
    Next,
    /// Answer this.
    Respond(LocalResponse),
}

/// What a router says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routed {
    /// This endpoint.
    To(u64),
    /// None is available.
    NoEndpoint,
}

/// What a forwarder says.
#[derive(Debug)]
pub enum Forwarded {
    /// This plan.
    Planned(Box<PlanEdits>),
    /// Not to this endpoint.
    Refused,
}

/// The hook is called only where the component exports it, so this is a fault of ours, and still no panic.
fn missing(hook: Hook) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the component does not export {hook}"))
}

impl Slot {
    /// Asks an authorizer.
    pub fn authorize(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Decision> {
        let budget = Arc::clone(&self.recipe().budget);
        self.call(
            (Hook::Authorizer, config),
            Phase::Authorize,
            exchange,
            |hooks, store| {
                hooks.authorizer.as_ref().ok_or_else(|| missing(Hook::Authorizer))?.call_authorize(
                    store,
                    config,
                    Resource::new_borrow(ONLY),
                )
            },
            |answer, store| match answer {
                Ok(exports::authorizer::Decision::Allow(handle)) => {
                    let guest = store.data_mut();
                    let identity = guest
                        .take_identity(handle)
                        .map_err(|error| Failure::output(format!("gave an identity it does not own: {error}")))?;
                    if identity.size() > guest.limits.attribute_bytes {
                        return Err(Failure::output(format!(
                            "gave an identity of {} bytes; max_attribute_bytes is {}",
                            identity.size(),
                            guest.limits.attribute_bytes
                        )));
                    }
                    if let Some(exchange) = &mut guest.exchange {
                        exchange.set_identity(identity);
                    }
                    Ok(Decision::Allow)
                }
                Ok(exports::authorizer::Decision::Abstain) => Ok(Decision::Abstain),
                Ok(exports::authorizer::Decision::Respond(response)) => Ok(Decision::Respond(local_response(response, &budget)?)),
                Err(exports::authorizer::AuthError::Unavailable(retry_after)) => Ok(Decision::Unavailable(retry_after)),
                Err(exports::authorizer::AuthError::Failed(why)) => Err(Failure::refused(why)),
            },
        )
    }

    /// Shows a request filter the request.
    pub fn on_request(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
        let budget = Arc::clone(&self.recipe().budget);
        self.call(
            (Hook::RequestFilter, config),
            Phase::Request,
            exchange,
            |hooks, store| {
                hooks.request_filter.as_ref().ok_or_else(|| missing(Hook::RequestFilter))?.call_on_request(
                    store,
                    config,
                    Resource::new_borrow(ONLY),
                )
            },
            |answer, _| flow(answer, &budget),
        )
    }

    /// Shows a response filter the response.
    pub fn on_response(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
        let budget = Arc::clone(&self.recipe().budget);
        self.call(
            (Hook::ResponseFilter, config),
            Phase::Response,
            exchange,
            |hooks, store| {
                let filter = hooks.response_filter.as_ref().ok_or_else(|| missing(Hook::ResponseFilter))?;
                filter.call_on_response(store, config, Resource::new_borrow(ONLY), Resource::new_borrow(ONLY))
            },
            |answer, _| flow(answer, &budget),
        )
    }

    /// Asks a router for an endpoint.
    pub fn route(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Routed> {
        self.call(
            (Hook::Router, config),
            Phase::Route,
            exchange,
            |hooks, store| {
                hooks.router.as_ref().ok_or_else(|| missing(Hook::Router))?.call_route(
                    store,
                    config,
                    Resource::new_borrow(ONLY),
                    Resource::new_borrow(ONLY),
                )
            },
            |answer, _| match answer {
                Ok(endpoint) => Ok(Routed::To(endpoint)),
                Err(exports::router::RouteError::NoEndpoint) => Ok(Routed::NoEndpoint),
                Err(exports::router::RouteError::Failed(why)) => Err(Failure::refused(why)),
            },
        )
    }

    /// Lets a forwarder write on the plan.
    pub fn forward(&mut self, config: u32, exchange: Box<Exchange>, endpoint: u64, plan: PlanDraft) -> Called<Forwarded> {
        self.call(
            (Hook::Forwarder, config),
            Phase::Forward,
            exchange,
            |hooks, store| {
                let forwarder = hooks.forwarder.as_ref().ok_or_else(|| missing(Hook::Forwarder))?;
                store.data_mut().plan = Some(plan);
                let answer =
                    forwarder.call_forward(&mut *store, config, Resource::new_borrow(ONLY), endpoint, Resource::new_borrow(ONLY))?;
                Ok((answer, store.data_mut().plan.take()))
            },
            |(answer, plan), _| match answer {
                Ok(()) => Ok(Forwarded::Planned(Box::new(plan.map(|plan| plan.edits).unwrap_or_default()))),
                Err(exports::forwarder::ForwardError::Refused) => Ok(Forwarded::Refused),
                Err(exports::forwarder::ForwardError::Failed(why)) => Err(Failure::refused(why)),
            },
        )
    }

    /// Hands an observer a batch of finished exchanges.
    ///
    /// # Errors
    /// When the observer fails; the batch is lost to it.
    pub fn on_complete(&mut self, records: &[ExchangeRecord]) -> Result<(), Failure> {
        self.call_aside(Hook::Observer, |hooks, store| {
            hooks.observer.as_ref().ok_or_else(|| missing(Hook::Observer))?.call_on_complete(store, records)
        })
    }
}

fn flow(answer: types::Flow, budget: &crate::config::model::Budget) -> Result<Flow, Failure> {
    Ok(match answer {
        types::Flow::Next => Flow::Next,
        types::Flow::Respond(response) => Flow::Respond(local_response(response, budget)?),
    })
}
