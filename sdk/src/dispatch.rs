//! From the generated exports to the plugin's traits. Inside a component only.

use std::cell::Cell;
use std::marker::PhantomData;

use crate::answer::LocalResponse;
use crate::batch::Batch;
use crate::bindings::{
    authorizer, batch_observer, forwarder, imports, lifecycle, observer, outcome_observer, request_filter, response_filter, router, timer,
};
use crate::error::Error;
use crate::flow::Flow;
use crate::forwarding::Plan;
use crate::header::LineNumber;
use crate::log;
use crate::pass::Pass;
use crate::places::Places;
use crate::plugin::{
    AuthError, Authorizer, BatchObserver, Decision, ForwardError, Forwarder, Observer, OutcomeObserver, Plugin, RequestFilter,
    ResponseFilter, RouteError, Router, Timer,
};
use crate::prefetch::taken;
use crate::request::Request;
use crate::response::Response;
use crate::routing::{Attempt, Endpoint, EndpointId, EndpointOutcome};
use crate::sys::RequestHandle;
use imports::plugway::gateway::types as raw;

/// What `export!` implements: where the objects of a plugin are.
#[doc(hidden)]
pub trait Exported {
    /// The plugin.
    type Plugin: Plugin;

    /// Lends the objects.
    fn places<R>(hook: impl FnOnce(&Places<Self::Plugin>) -> R) -> R;
}

/// Runs a hook on the object of its place.
#[inline]
fn run<E: Exported, R>(id: u32, hook: impl FnOnce(&E::Plugin) -> R) -> R {
    match E::places(|places| places.with(id, hook)) {
        Some(result) => result,
        None => fail("the gateway named a configuration this instance was never given"),
    }
}

/// The request of a hook that gets nothing of it with the call.
#[inline]
fn request<'a>(id: u32) -> Request<'a> {
    Request::new(RequestHandle::new(id, raw::Prefetched::Unknown))
}

/// Ends a call that should never have come: the reason goes to the log.
#[cold]
fn fail(reason: &str) -> ! {
    log::write(log::Level::Error, reason);
    core::arch::wasm32::unreachable()
}

impl<E: Exported> lifecycle::exports::plugway::gateway::lifecycle::Guest for E {
    fn configure(id: u32, config: String) -> Result<(), String> {
        version::keep();
        let configured = taken::during(id, || crate::config::configure(&config));
        let plugin: E::Plugin = configured.map_err(|error: Error| error.to_string())?;
        plugin.leaves_out().iter().for_each(|filter| crate::sys::configuring::leave_out(*filter));
        if plugin.leaves_out_if_first() {
            crate::sys::configuring::leave_out_if_first();
        }
        for name in plugin.kept_from_clients() {
            let text = name.as_str().to_owned();
            let kept = crate::sys::configuring::keep_from_clients(name);
            kept.map_err(|error| format!("`{text}` cannot be kept from clients: {}", crate::ChangeError::from(error)))?;
        }
        E::places(|places| places.insert(id, plugin));
        Ok(())
    }

    fn unconfigure(id: u32) {
        E::places(|places| places.remove(id));
    }
}

thread_local! {
    /// The pass that was given last.
    static GIVEN: Cell<Option<Pass>> = const { Cell::new(None) };
}

impl<E: Exported<Plugin: Authorizer>> authorizer::exports::plugway::gateway::authorizer::Guest for E {
    fn authorize(
        id: u32,
    ) -> Result<authorizer::exports::plugway::gateway::authorizer::Decision, authorizer::exports::plugway::gateway::authorizer::AuthError>
    {
        use authorizer::exports::plugway::gateway::authorizer as contract;
        match run::<E, _>(id, |plugin| plugin.authorize(&mut request(id))) {
            Ok(Decision::Allow(identity)) => Ok(contract::Decision::Allow(identity.into_raw())),
            Ok(Decision::AllowBy(pass)) => {
                let number = pass.number();
                // The gateway looks for it when this call has ended, though the plugin may keep it no longer.
                GIVEN.set(Some(pass));
                Ok(contract::Decision::AllowBy(number))
            }
            Ok(Decision::Abstain) => Ok(contract::Decision::Abstain),
            Ok(Decision::Respond(answer)) => Ok(contract::Decision::Respond(answer.into())),
            Err(AuthError::Unavailable(seconds)) => Err(contract::AuthError::Unavailable(seconds)),
            Err(AuthError::Failed(why)) => Err(contract::AuthError::Failed(raw::Failure::new(&why))),
        }
    }
}

impl<E: Exported<Plugin: RequestFilter>> request_filter::exports::plugway::gateway::request_filter::Guest for E {
    fn on_request(id: u32, prefetched: raw::Prefetched) -> Result<raw::Flow, raw::Failure> {
        flow(run::<E, _>(id, |plugin| plugin.on_request(&mut Request::new(RequestHandle::new(id, prefetched)))))
    }
}

impl<E: Exported<Plugin: Router>> router::exports::plugway::gateway::router::Guest for E {
    fn on_endpoints(id: u32, version: u64, endpoints: Vec<Endpoint>) -> Result<(), String> {
        match E::places(|places| places.with_mut(id, |plugin| plugin.on_endpoints(version, endpoints))) {
            Some(result) => result.map_err(|error| error.to_string()),
            None => fail("the gateway named a configuration this instance was never given"),
        }
    }

    fn route(
        id: u32,
        number: u32,
        prefetched: raw::Prefetched,
    ) -> Result<EndpointId, router::exports::plugway::gateway::router::RouteError> {
        use router::exports::plugway::gateway::router as contract;
        run::<E, _>(id, |plugin| plugin.route(&Request::new(RequestHandle::new(id, prefetched)), &Attempt::new(PhantomData, number)))
            .map_err(|error| match error {
                RouteError::NoEndpoint => contract::RouteError::NoEndpoint,
                RouteError::Failed(why) => contract::RouteError::Failed(raw::Failure::new(&why)),
            })
    }
}

impl<E: Exported<Plugin: OutcomeObserver>> outcome_observer::exports::plugway::gateway::outcome_observer::Guest for E {
    fn on_outcomes(mut outcomes: Vec<EndpointOutcome>) -> Result<(), raw::Failure> {
        each_place(
            &mut outcomes,
            |outcome| outcome.config_id,
            |id, outcomes| E::places(|places| places.with_mut(id, |plugin| plugin.on_outcomes(outcomes))),
        )
    }
}

impl<E: Exported<Plugin: Forwarder>> forwarder::exports::plugway::gateway::forwarder::Guest for E {
    fn forward(id: u32, endpoint: EndpointId) -> Result<(), forwarder::exports::plugway::gateway::forwarder::ForwardError> {
        use forwarder::exports::plugway::gateway::forwarder as contract;
        run::<E, _>(id, |plugin| plugin.forward(&request(id), endpoint, &mut Plan::new(PhantomData))).map_err(|error| match error {
            ForwardError::Refused => contract::ForwardError::Refused,
            ForwardError::UriTooLong => contract::ForwardError::UriTooLong,
            ForwardError::Failed(why) => contract::ForwardError::Failed(raw::Failure::new(&why)),
        })
    }
}

impl<E: Exported<Plugin: ResponseFilter>> response_filter::exports::plugway::gateway::response_filter::Guest for E {
    fn on_response(id: u32) -> Result<raw::Flow, raw::Failure> {
        flow(run::<E, _>(id, |plugin| plugin.on_response(&request(id), &mut Response::new(PhantomData))))
    }
}

impl<E: Exported<Plugin: Observer>> observer::exports::plugway::gateway::observer::Guest for E {
    fn on_complete(mut records: Vec<observer::exports::plugway::gateway::observer::ExchangeRecord>) -> Result<(), raw::Failure> {
        each_place(
            &mut records,
            |record| record.config_id,
            |id, records| E::places(|places| places.with(id, |plugin| plugin.on_complete(records))),
        )
    }
}

impl<E: Exported<Plugin: BatchObserver>> batch_observer::exports::plugway::gateway::batch_observer::Guest for E {
    fn on_batch(id: u32, count: u32) -> Result<(), raw::Failure> {
        let batch = Batch::new(usize::try_from(count).unwrap_or_default(), PhantomData);
        match E::places(|places| places.with(id, |plugin| plugin.on_batch(&batch))) {
            Some(result) => result.map_err(|error| raw::Failure::new(&error.to_string())),
            // What ended can outlive the place it was made for: a reload may have taken it away meanwhile.
            None => Ok(()),
        }
    }
}

impl<E: Exported<Plugin: Timer>> timer::exports::plugway::gateway::timer::Guest for E {
    fn period(id: u32) -> Option<u64> {
        run::<E, _>(id, Timer::period).map(|period| u64::try_from(period.as_millis()).unwrap_or(u64::MAX))
    }

    fn on_tick(id: u32) -> Result<(), raw::Failure> {
        match E::places(|places| places.with_mut(id, Timer::on_tick)) {
            Some(result) => result.map_err(|error| raw::Failure::new(&error.to_string())),
            None => fail("the gateway named a configuration this instance was never given"),
        }
    }
}

/// Gives each place its part of a batch, in the order it came. An error of one place does not keep the others from theirs.
fn each_place<T>(
    batch: &mut [T],
    place: impl Fn(&T) -> u32,
    give: impl Fn(u32, &[T]) -> Option<Result<(), Error>>,
) -> Result<(), raw::Failure> {
    // Stable: what belongs to one place stays in its order.
    batch.sort_by_key(&place);
    let mut outcome = Ok(());
    for part in batch.chunk_by(|left, right| place(left) == place(right)) {
        let Some(id) = part.first().map(&place) else { continue };
        // It can outlive the place it was made for: a reload may have taken it away meanwhile.
        if let Some(Err(error)) = give(id, part) {
            outcome = Err(raw::Failure::new(&error.to_string()));
        }
    }
    outcome
}

fn flow(result: Result<Flow, Error>) -> Result<raw::Flow, raw::Failure> {
    match result {
        Ok(Flow::Next) => Ok(raw::Flow::Next),
        Ok(Flow::NextWith(LineNumber(line))) => Ok(raw::Flow::NextWith(line)),
        Ok(Flow::Respond(answer)) => Ok(raw::Flow::Respond(answer.into())),
        Err(error) => Err(raw::Failure::new(&error.to_string())),
    }
}

impl From<LocalResponse> for raw::LocalResponse {
    fn from(answer: LocalResponse) -> Self {
        Self::new(answer.status.0, &answer.headers.iter().collect::<Vec<_>>(), &answer.body)
    }
}

/// The SDK's version, readable from the file without running it.
mod version {
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[used]
    #[allow(unsafe_code, reason = "naming a section is how data gets into a custom section; nothing reads it here")]
    #[unsafe(link_section = "plugway-sdk")]
    static SECTION: [u8; VERSION.len()] = {
        let mut bytes = [0; VERSION.len()];
        let mut at = 0;
        while at < bytes.len() {
            #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler; iterators are not const")]
            {
                bytes[at] = VERSION.as_bytes()[at];
            }
            at += 1;
        }
        bytes
    };

    /// Makes the linker take the object file with the section.
    #[inline(never)]
    pub(super) fn keep() {}
}
