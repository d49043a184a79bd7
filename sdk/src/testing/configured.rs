//! A plugin under test, called as the gateway calls it.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, RangeInclusive};
use std::time::Duration;

use serde_json::Value as Json;

use super::rules::{Phase, during};
use super::{batch, output};
use crate::batch::Batch;
use crate::config;
use crate::error::Error;
use crate::flow::Flow;
use crate::forwarding::Plan;
use crate::plugin::{
    AuthError, Authorizer, BatchObserver, Decision, ForwardError, Forwarder, Observer, OutcomeObserver, Plugin, RequestFilter,
    ResponseFilter, RouteError, Router, Timer,
};
use crate::record::ExchangeRecord;
use crate::request::Request;
use crate::response::Response;
use crate::routing::{Attempt, Endpoint, EndpointId, EndpointOutcome};

/// The gateway's limits on the period of a timer.
const PERIODS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30 * 24 * 60 * 60);

/// Configures a plugin as the gateway does: from JSON, with `deny_unknown_fields` and the plugin's own checks at work.
/// The error is what the operator would read.
pub fn configure<P: Plugin>(json: Json) -> Result<Configured<P>, String> {
    let plugin = during(Phase::Setup, || config::configure(&json.to_string()));
    plugin.map(|plugin| Configured { plugin }).map_err(|error| error.to_string())
}

/// Runs something as if in `configure`, e.g. declaring an instrument on its own.
pub fn in_configure<R>(setup: impl FnOnce() -> R) -> R {
    during(Phase::Setup, setup)
}

/// A configured plugin. Its hooks are called under the rules of their phase, what they answer is held against what the gateway takes,
/// and a hook that fails changes nothing; the plugin itself is reached by dereferencing.
#[derive(Debug)]
pub struct Configured<P> {
    plugin: P,
}

impl<P> Deref for Configured<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.plugin
    }
}

impl<P> DerefMut for Configured<P> {
    fn deref_mut(&mut self) -> &mut P {
        &mut self.plugin
    }
}

impl<P: Authorizer> Configured<P> {
    /// Calls the hook. On `Allow` the request has the identity afterwards; `AllowBy` has become one, and the changes of its headers are made.
    pub fn authorize(&self, request: &mut Request<'_>) -> Result<Decision, AuthError> {
        let before = request.fake().save();
        let result = during(Phase::Authorize, || {
            let decision = self.plugin.authorize(request)?;
            Ok(output::decision(decision, request.fake())?)
        });
        match &result {
            Ok(Decision::Allow(identity)) => request.fake().set_identity(identity.fake().facts()),
            Err(AuthError::Failed(_)) => request.fake().restore(before),
            _ => {}
        }
        result
    }
}

impl<P: RequestFilter> Configured<P> {
    /// Calls the hook. A line that was left for the answer is set afterwards, and what follows is [`Flow::Next`].
    pub fn on_request(&self, request: &mut Request<'_>) -> Result<Flow, Error> {
        let before = request.fake().save();
        let result = during(Phase::Request, || {
            let flow = self.plugin.on_request(request)?;
            Ok(output::flow(flow, |line| request.set_numbered(line))?)
        });
        if result.is_err() {
            request.fake().restore(before);
        }
        result
    }
}

impl<P: Router> Configured<P> {
    /// Calls the hook.
    pub fn on_endpoints(&mut self, version: u64, endpoints: Vec<Endpoint>) -> Result<(), Error> {
        during(Phase::Setup, || self.plugin.on_endpoints(version, endpoints))
    }

    /// Calls the hook.
    pub fn route(&self, request: &Request<'_>, attempt: &Attempt<'_>) -> Result<EndpointId, RouteError> {
        let before = request.fake().save();
        let result = during(Phase::Other, || self.plugin.route(request, attempt));
        if matches!(result, Err(RouteError::Failed(_))) {
            request.fake().restore(before);
        }
        result
    }
}

impl<P: OutcomeObserver> Configured<P> {
    /// Calls the hook.
    pub fn on_outcomes(&mut self, outcomes: &[EndpointOutcome]) -> Result<(), Error> {
        during(Phase::Other, || self.plugin.on_outcomes(outcomes))
    }
}

impl<P: Forwarder> Configured<P> {
    /// Calls the hook.
    pub fn forward(&self, request: &Request<'_>, endpoint: EndpointId, plan: &mut Plan<'_>) -> Result<(), ForwardError> {
        let (before, asked) = (plan.fake().planned(), request.fake().save());
        let result = during(Phase::Other, || self.plugin.forward(request, endpoint, plan)).and_then(|()| plan.fake().finished());
        if result.is_err() {
            plan.fake().restore(before);
        }
        if matches!(result, Err(ForwardError::Failed(_))) {
            request.fake().restore(asked);
        }
        result
    }
}

impl<P: ResponseFilter> Configured<P> {
    /// Calls the hook. A line that was left for the answer is set afterwards, and what follows is [`Flow::Next`].
    pub fn on_response(&self, request: &Request<'_>, response: &mut Response<'_>) -> Result<Flow, Error> {
        let (before, asked) = (response.fake().save(), request.fake().save());
        let result = during(Phase::Response, || {
            let flow = self.plugin.on_response(request, response)?;
            Ok(output::flow(flow, |line| response.set_numbered(line))?)
        });
        if result.is_err() {
            response.fake().restore(before);
            request.fake().restore(asked);
        }
        result
    }
}

impl<P: Observer> Configured<P> {
    /// Calls the hook.
    pub fn on_complete(&self, records: &[ExchangeRecord]) -> Result<(), Error> {
        during(Phase::Other, || self.plugin.on_complete(records))
    }
}

impl<P: BatchObserver> Configured<P> {
    /// Calls the hook with the columns of those records.
    pub fn on_batch(&self, records: &[ExchangeRecord]) -> Result<(), Error> {
        let batch = Batch::new(records.len(), PhantomData);
        during(Phase::Other, || batch::told(records, || self.plugin.on_batch(&batch)))
    }
}

impl<P: Timer> Configured<P> {
    /// Calls the hook. `Err` is what the operator would read of a period the gateway does not take.
    pub fn period(&self) -> Result<Option<Duration>, String> {
        match during(Phase::Setup, || self.plugin.period()) {
            Some(period) if !PERIODS.contains(&period) => Err(format!("a period has 100 ms to 30 days, and not {period:?}")),
            period => Ok(period),
        }
    }

    /// Calls the hook.
    pub fn on_tick(&mut self) -> Result<(), Error> {
        during(Phase::Tick, || self.plugin.on_tick())
    }
}
