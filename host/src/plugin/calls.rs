//! The hooks, one function each: what goes in, what may come out.

use std::sync::Arc;

use wasmtime::Store;

use super::batch::EndedBatch;
use super::bindings::exports::plugway::gateway as exports;
use super::bindings::plugway::gateway::{routing, types};
use super::failure::Failure;
use super::guest::Guest;
use super::hooks::{Answered, Decided, Hooks, Ticked, there};
use super::host::why;
use super::plan::{PlanDraft, PlanEdits};
use super::record::ToldRecord;
use super::rights::Hook;
use super::slot::{Called, Slot};
use super::waiting::{self, Holder};
use crate::exchange::{Exchange, LocalResponse, Outcome, Phase};
use crate::fault::Fault;

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
    Planned(Arc<PlanEdits>),
    /// This plan, for every request of this configuration to this endpoint.
    Kept(Arc<PlanEdits>),
    /// Not to this endpoint.
    Refused,
    /// Nowhere: the path that it would write is longer than can be sent.
    UriTooLong,
}

/// The configuration of hooks that are called for all of them at once.
const EVERY: u32 = 0;

impl Slot {
    /// Asks an authorizer.
    pub fn authorize(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Decision> {
        self.call(
            (Hook::Authorizer, config),
            Phase::Authorize,
            exchange,
            |hooks, store| there(hooks.authorizer.as_ref(), Hook::Authorizer)?.call_authorize(store, config),
            decision,
        )
    }

    /// Shows a request filter the request.
    pub fn on_request(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
        self.call(
            (Hook::RequestFilter, config),
            Phase::Request,
            exchange,
            |hooks, store| {
                let prefetched = store.data().prefetched(config);
                there(hooks.request_filter.as_ref(), Hook::RequestFilter)?.call_on_request(store, config, prefetched)
            },
            flow,
        )
    }

    /// Shows a response filter the response.
    pub fn on_response(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
        self.call(
            (Hook::ResponseFilter, config),
            Phase::Response,
            exchange,
            |hooks, store| there(hooks.response_filter.as_ref(), Hook::ResponseFilter)?.call_on_response(store, config),
            flow,
        )
    }

    /// Asks a router for an endpoint.
    pub fn route(&mut self, config: u32, exchange: Box<Exchange>) -> Called<Routed> {
        self.call(
            (Hook::Router, config),
            Phase::Route,
            exchange,
            |hooks, store| hooks.route(store, config),
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
            let told = hooks.on_outcomes(store, outcomes)?;
            Ok(done(told, store)?)
        })
    }

    /// Lets a forwarder write on the plan.
    pub fn forward(&mut self, config: u32, exchange: Box<Exchange>, endpoint: u64, plan: PlanDraft) -> Called<Forwarded> {
        let (exchange, forwarded) = self.call(
            (Hook::Forwarder, config),
            Phase::Forward,
            exchange,
            |hooks, store| {
                store.data_mut().plan = Some(plan);
                let answer = hooks.forward(store, config, endpoint)?;
                let plan = store.data_mut().plan.take();
                if let Some(plan) = &plan {
                    store.data().count_refused(plan.refused());
                }
                Ok((answer, plan))
            },
            |(answer, plan), store| match answer {
                Ok(()) => plan.map_or_else(|| Ok(Forwarded::Planned(Arc::default())), planned),
                Err(exports::forwarder::ForwardError::Refused) => Ok(Forwarded::Refused),
                Err(exports::forwarder::ForwardError::UriTooLong) => Ok(Forwarded::UriTooLong),
                Err(exports::forwarder::ForwardError::Failed(why)) => Err(given(store, |guest| guest.take_failure(why))?),
            },
        );
        // Where each request has an instance of its own, none leaves anything to the next.
        if let Ok(Forwarded::Kept(plan)) = &forwarded
            && self.keeps()
        {
            self.plans.keep(config, endpoint, plan);
        }
        (exchange, forwarded)
    }

    /// What a forwarder said of that endpoint for every request.
    pub fn kept_plan(&self, config: u32, endpoint: u64) -> Option<Arc<PlanEdits>> {
        self.plans.get(config, endpoint)
    }

    /// Hands an observer a batch of finished exchanges.
    ///
    /// # Errors
    /// When the observer fails; the batch is lost to it.
    pub fn on_complete(&mut self, records: &[ToldRecord<'_>]) -> Result<(), Failure> {
        let limit = self.recipe().budget.setup_cpu;
        self.call_aside((Hook::Observer, EVERY), limit, |hooks, store| {
            let told = hooks.on_complete(store, records)?;
            Ok(done(told, store)?)
        })
    }

    /// Lets an observer of batches ask for what has ended of one of its configurations.
    ///
    /// # Errors
    /// When the observer fails; the batch is lost to it.
    pub fn on_batch(&mut self, config: u32, ended: EndedBatch) -> Result<(), Failure> {
        let limit = self.recipe().budget.setup_cpu;
        self.call_aside((Hook::BatchObserver, config), limit, |hooks, store| {
            let count = u32::try_from(ended.rows.len()).unwrap_or(u32::MAX);
            store.data_mut().batch = Some(ended);
            let told = hooks.on_batch(store, config, count);
            store.data_mut().batch = None;
            Ok(done(told?, store)?)
        })
    }

    /// Ticks the timer of a configuration.
    ///
    /// # Errors
    /// When the timer fails.
    pub fn on_tick(&mut self, config: u32) -> Result<(), Failure> {
        let limit = self.recipe().budget.setup_cpu;
        self.call_aside((Hook::Timer, config), limit, |hooks, store| {
            let ticked = there(hooks.timer.as_ref(), Hook::Timer)?.call_on_tick(&mut *store, config)?;
            Ok(done(ticked, store)?)
        })
    }
}

/// Asks an authorizer that may wait.
pub async fn authorize<H: Holder>(holder: H, config: u32, exchange: Box<Exchange>) -> Called<Decision> {
    let authorize = async move |hooks: &Hooks, store: &mut Store<Guest>| hooks.authorize_in_turns(store, config).await;
    waiting::call(holder, (Hook::Authorizer, config), Phase::Authorize, exchange, authorize, decision).await
}

/// Shows the request to a request filter that may wait.
pub async fn on_request<H: Holder>(holder: H, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
    let on_request = async move |hooks: &Hooks, store: &mut Store<Guest>| hooks.on_request_in_turns(store, config).await;
    waiting::call(holder, (Hook::RequestFilter, config), Phase::Request, exchange, on_request, flow).await
}

/// Shows the response to a response filter that may wait.
pub async fn on_response<H: Holder>(holder: H, config: u32, exchange: Box<Exchange>) -> Called<Flow> {
    let on_response = async move |hooks: &Hooks, store: &mut Store<Guest>| hooks.on_response_in_turns(store, config).await;
    waiting::call(holder, (Hook::ResponseFilter, config), Phase::Response, exchange, on_response, flow).await
}

/// Ticks the timer of a configuration of a plugin that may wait.
///
/// # Errors
/// When the timer fails.
pub async fn on_tick<H: Holder>(holder: H, config: u32) -> Result<(), Failure> {
    let cpu = holder.with(|slot| slot.recipe().budget.setup_cpu);
    let on_tick = async move |hooks: &Hooks, store: &mut Store<Guest>| hooks.on_tick_in_turns(store, config).await;
    waiting::run(holder, (Hook::Timer, config), (Phase::Aside, cpu), None, on_tick, done).await.1
}

impl Forwarded {
    /// The plan.
    ///
    /// # Errors
    /// What becomes of a request that has none.
    pub fn plan(&self) -> Result<&Arc<PlanEdits>, Fault> {
        match self {
            Self::Planned(plan) | Self::Kept(plan) => Ok(plan),
            Self::Refused => Err(Fault::EndpointRefused),
            Self::UriTooLong => Err(Fault::UriTooLong),
        }
    }
}

impl From<Outcome> for routing::Outcome {
    fn from(outcome: Outcome) -> Self {
        Self { endpoint: outcome.endpoint, status: outcome.status, fault: outcome.fault.map(|fault| fault.code().to_owned()) }
    }
}

fn decision(answer: Decided, store: &mut Store<Guest>) -> Result<Decision, Failure> {
    match answer {
        Ok(exports::authorizer::Decision::Allow(handle)) => {
            let identity = given(store, |guest| guest.take_identity(handle))?;
            if let Some(exchange) = &mut store.data_mut().exchange {
                exchange.set_identity(identity);
            }
            Ok(Decision::Allow)
        }
        Ok(exports::authorizer::Decision::AllowBy(number)) => store.data_mut().admit_by(number).map(|()| Decision::Allow),
        Ok(exports::authorizer::Decision::Abstain) => Ok(Decision::Abstain),
        Ok(exports::authorizer::Decision::Respond(response)) => {
            Ok(Decision::Respond(given(store, |guest| guest.take_local_response(response))?))
        }
        Err(exports::authorizer::AuthError::Unavailable(retry_after)) => Ok(Decision::Unavailable(retry_after)),
        Err(exports::authorizer::AuthError::Failed(why)) => Err(given(store, |guest| guest.take_failure(why))?),
    }
}

fn done(answer: Ticked, store: &mut Store<Guest>) -> Result<(), Failure> {
    match answer {
        Ok(()) => Ok(()),
        Err(why) => Err(given(store, |guest| guest.take_failure(why))?),
    }
}

fn flow(answer: Answered, store: &mut Store<Guest>) -> Result<Flow, Failure> {
    match answer {
        Ok(types::Flow::Next) => Ok(Flow::Next),
        Ok(types::Flow::NextWith(line)) => match store.data_mut().set_line_at_end(line) {
            Ok(()) => Ok(Flow::Next),
            Err(refused) => Err(Failure::refused(format!("set line {line} with its answer: {}", why(refused)))),
        },
        Ok(types::Flow::Respond(response)) => Ok(Flow::Respond(given(store, |guest| guest.take_local_response(response))?)),
        Err(why) => Err(given(store, |guest| guest.take_failure(why))?),
    }
}

/// A plan as its forwarder left it. What it chose of TLS it counts on, so it is a mistake where none would be spoken.
fn planned(plan: PlanDraft) -> Result<Forwarded, Failure> {
    if let Some(choice) = plan.chosen_in_vain() {
        return Err(Failure::output(format!("chose a {choice} for an endpoint without TLS, and not the scheme `https`")));
    }
    let edits = Arc::new(plan.edits);
    Ok(if plan.keep { Forwarded::Kept(edits) } else { Forwarded::Planned(edits) })
}

/// What a guest gave away with its answer.
fn given<R>(store: &mut Store<Guest>, take: impl FnOnce(&mut Guest) -> wasmtime::Result<R>) -> Result<R, Failure> {
    take(store.data_mut()).map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => Failure::output(format!("gave away what it does not own: {error}")),
    })
}
