//! Which requests are recorded, and what is told of those that were, that failed or that were slow.

use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;

use super::ids::TRACESTATE;
use crate::config::model;
use crate::exchange::Exchange;
use crate::telemetry::Redaction;
use crate::trace::{Parent, Recording, Sampler, TRACEPARENT, baggage};

/// `baggage` (W3C Baggage): it is sent on as it came.
const BAGGAGE: http::HeaderName = http::HeaderName::from_static("baggage");

/// What a configuration wants of tracing, for one worker.
#[derive(Debug)]
pub struct Tracing {
    /// `None` where nobody would take the spans.
    sampler: Option<Sampler>,
    baggage: Vec<String>,
    /// What took as long is told of.
    pub(super) slow: Duration,
    pub(super) redaction: Redaction,
}

impl Tracing {
    /// What a configuration wants; `sampler` where spans are exported.
    pub fn new(config: &model::Config, sampler: Option<Sampler>) -> Self {
        let model::Tracing { baggage, slow, .. } = config.tracing.clone();
        Self { sampler, baggage, slow, redaction: Redaction::new(&config.access_log.redact) }
    }

    /// Records a request from here on, if it is sampled. Where it is not, this is a comparison.
    pub(super) fn begin(&self, exchange: &mut Exchange, trace: u128, caller: Option<Parent>) {
        if let Some(sampler) = &self.sampler
            && sampler.samples(caller.as_ref(), trace, exchange.started)
        {
            self.record(exchange, trace, caller);
        }
    }

    /// Whoever is asked next is called in the request's own span.
    #[cold]
    fn record(&self, exchange: &mut Exchange, trace: u128, caller: Option<Parent>) {
        let span = Parent { trace, span: fastrand::u64(1..), sampled: true };
        let mut recording = Recording::new(span, caller.map(|caller| caller.span));
        let headers = &mut exchange.request.headers;
        recording.state = headers.get(TRACESTATE).cloned();
        recording.user_agent = headers.get(USER_AGENT).cloned();
        let carried = || headers.get_all(BAGGAGE).iter().filter_map(|header| header.to_str().ok());
        for key in &self.baggage {
            if let Some(value) = carried().find_map(|header| baggage(header, key)) {
                recording.baggage.push((key.clone(), value));
            }
        }
        exchange.trace_parent = span.header();
        headers.insert(TRACEPARENT, exchange.trace_parent.clone());
        exchange.steps.record(recording);
    }
}

/// The `traceparent` of an attempt that is recorded.
pub(super) fn attempt_parent(exchange: &Exchange, span: u64) -> Option<HeaderValue> {
    exchange.steps.recording().map(|recording| Parent { span, ..recording.span }.header())
}
