//! The hooks, one function each: what goes in, what may come out.

use wasmtime::Store;
use wasmtime::component::Resource;

use super::bindings::exports::plugway::gateway as exports;
use super::bindings::plugway::gateway::{routing, types};
use super::guest::{FailureHandle, Guest};
use super::instance::Failure;
use super::plan::{PlanDraft, PlanEdits};
use super::rights::Hook;
use super::slot::{Called, Slot};
use crate::exchange::{Exchange, LocalResponse, Outcome, Phase};

pub use super::bindings::exports::plugway::gateway::observer::ExchangeRecord;
pub use super::bindings::exports::plugway::gateway::outcome_observer::EndpointOutcome;

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

/// The configuration of hooks that are called for all of them at once.
const EVERY: u32 = 0;

/// The hook is called only where the component exports it, so this is a fault of ours, and still no panic.
fn missing(hook: Hook) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the component does not export {hook}"))
}

impl Slot {
    /// Asks an authorizer.
    pub fn authorize(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Decision> {
        self.call(
            (Hook::Authorizer, config),
            Phase::Authorize,
            exchange,
            |hooks, store| hooks.authorizer.as_ref().ok_or_else(|| missing(Hook::Authorizer))?.call_authorize(store, config),
            |answer, store| match answer {
                Ok(exports::authorizer::Decision::Allow(handle)) => {
                    let identity = given(store, |guest| guest.take_identity(handle))?;
                    if let Some(exchange) = &mut store.data_mut().exchange {
                        exchange.set_identity(identity);
                    }
                    Ok(Decision::Allow)
                }
                Ok(exports::authorizer::Decision::Abstain) => Ok(Decision::Abstain),
                Ok(exports::authorizer::Decision::Respond(response)) => {
                    Ok(Decision::Respond(given(store, |guest| guest.take_local_response(response))?))
                }
                Err(exports::authorizer::AuthError::Unavailable(retry_after)) => Ok(Decision::Unavailable(retry_after)),
                Err(exports::authorizer::AuthError::Failed(why)) => Err(given(store, |guest| guest.take_failure(why))?),
            },
        )
    }

    /// Shows a request filter the request.
    pub fn on_request(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
        self.call(
            (Hook::RequestFilter, config),
            Phase::Request,
            exchange,
            |hooks, store| hooks.request_filter.as_ref().ok_or_else(|| missing(Hook::RequestFilter))?.call_on_request(store, config),
            flow,
        )
    }

    /// Shows a response filter the response.
    pub fn on_response(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
        self.call(
            (Hook::ResponseFilter, config),
            Phase::Response,
            exchange,
            |hooks, store| {
                let filter = hooks.response_filter.as_ref().ok_or_else(|| missing(Hook::ResponseFilter))?;
                filter.call_on_response(store, config)
            },
            flow,
        )
    }

    /// Asks a router for an endpoint.
    pub fn route(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Routed> {
        self.call(
            (Hook::Router, config),
            Phase::Route,
            exchange,
            |hooks, store| hooks.router.as_ref().ok_or_else(|| missing(Hook::Router))?.call_route(store, config),
            |answer, store| match answer {
                Ok(endpoint) => Ok(Routed::To(endpoint)),
                Err(exports::router::RouteError::NoEndpoint) => Ok(Routed::NoEndpoint),
                Err(exports::router::RouteError::Failed(why)) => Err(given(store, |guest| guest.take_failure(why))?),
            },
        )
    }

    /// Tells a router how its attempts ended. Runs on the worker, so it gets no more time than a hook of a request.
    ///
    /// # Errors
    /// When the router fails; the batch is lost to it.
    pub fn on_outcomes(&mut self, outcomes: &[EndpointOutcome]) -> Result<(), Failure> {
        let limit = self.recipe().budget.cpu;
        self.call_aside((Hook::OutcomeObserver, EVERY), limit, |hooks, store| {
            let observer = hooks.outcome_observer.as_ref().ok_or_else(|| missing(Hook::OutcomeObserver))?;
            match observer.call_on_outcomes(&mut *store, outcomes)? {
                Ok(()) => Ok(()),
                Err(why) => Err(given(store, |guest| guest.take_failure(why))?.into()),
            }
        })
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
                let answer = forwarder.call_forward(&mut *store, config, endpoint)?;
                let plan = store.data_mut().plan.take();
                if let Some(plan) = &plan {
                    store.data().count_refused(plan.refused());
                }
                Ok((answer, plan))
            },
            |(answer, plan), store| match answer {
                Ok(()) => Ok(Forwarded::Planned(Box::new(plan.map(|plan| plan.edits).unwrap_or_default()))),
                Err(exports::forwarder::ForwardError::Refused) => Ok(Forwarded::Refused),
                Err(exports::forwarder::ForwardError::Failed(why)) => Err(given(store, |guest| guest.take_failure(why))?),
            },
        )
    }

    /// Hands an observer a batch of finished exchanges.
    ///
    /// # Errors
    /// When the observer fails; the batch is lost to it.
    pub fn on_complete(&mut self, records: &[ExchangeRecord]) -> Result<(), Failure> {
        let limit = self.recipe().budget.setup_cpu;
        self.call_aside((Hook::Observer, EVERY), limit, |hooks, store| {
            let observer = hooks.observer.as_ref().ok_or_else(|| missing(Hook::Observer))?;
            match observer.call_on_complete(&mut *store, records)? {
                Ok(()) => Ok(()),
                Err(why) => Err(given(store, |guest| guest.take_failure(why))?.into()),
            }
        })
    }

    /// Ticks the timer of a configuration.
    ///
    /// # Errors
    /// When the timer fails.
    pub fn on_tick(&mut self, config: u32) -> Result<(), Failure> {
        let limit = self.recipe().budget.setup_cpu;
        self.call_aside((Hook::Timer, config), limit, |hooks, store| {
            let timer = hooks.timer.as_ref().ok_or_else(|| missing(Hook::Timer))?;
            match timer.call_on_tick(&mut *store, config)? {
                Ok(()) => Ok(()),
                Err(why) => Err(given(store, |guest| guest.take_failure(why))?.into()),
            }
        })
    }
}

impl From<Outcome> for routing::Outcome {
    fn from(outcome: Outcome) -> Self {
        Self { endpoint: outcome.endpoint, status: outcome.status, fault: outcome.fault.map(|fault| fault.code().to_owned()) }
    }
}

fn flow(answer: Result<types::Flow, Resource<FailureHandle>>, store: &mut Store<Guest>) -> Result<Flow, Failure> {
    match answer {
        Ok(types::Flow::Next) => Ok(Flow::Next),
        Ok(types::Flow::Respond(response)) => Ok(Flow::Respond(given(store, |guest| guest.take_local_response(response))?)),
        Err(why) => Err(given(store, |guest| guest.take_failure(why))?),
    }
}

/// What a guest gave away with its answer.
fn given<R>(store: &mut Store<Guest>, take: impl FnOnce(&mut Guest) -> wasmtime::Result<R>) -> Result<R, Failure> {
    take(store.data_mut()).map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => Failure::output(format!("gave away what it does not own: {error}")),
    })
}
