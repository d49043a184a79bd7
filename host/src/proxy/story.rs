//! From an exchange that has ended to its story.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ending::Ending;
use super::snapshot::RoutePlan;
use crate::exchange::Exchange;
use crate::fault::{ErrorCause, Fault};
use crate::pipeline::Place;
use crate::plugin::Hook;
use crate::trace::{At, Recording, StepResult, Story, StorySpan, StoryStep, StoryTime, StoryTrace, Timed, What};

impl Ending {
    /// What is told of it.
    pub(super) fn story(&self, exchange: &Exchange, duration: Duration) -> Story {
        let target = exchange.request.target.received();
        let recording = exchange.steps.recording();
        let route = self.route().map(|route| &route.facts);
        Story {
            id: exchange.id.clone(),
            trace_id: exchange.trace_id().unwrap_or_default().to_owned(),
            received: exchange.received_at(),
            duration,
            method: self.method().as_str().to_owned(),
            scheme: exchange.request.scheme(),
            authority: Arc::clone(&exchange.request.authority),
            path: exchange.request.raw_path().to_owned(),
            query: target.and_then(|target| target.query()).map(|query| self.tracing().redaction.query(query).into_owned()),
            protocol: self.protocol().version(),
            status: self.status(),
            fault: self.cause(),
            route: route.map(|route| Arc::clone(&route.name)),
            api: route.and_then(|route| route.api.clone()),
            version: route.and_then(|route| route.version.clone()),
            client: exchange.client,
            peer: exchange.connection.peer,
            consumer: exchange.identity.as_ref().map(|identity| identity.subject.clone()),
            request_bytes: self.request_bytes(),
            response_bytes: self.response_bytes(),
            trace: recording.map(of_trace),
            steps: self.route().map(|route| steps(route, exchange, recording, self.stopped())).unwrap_or_default(),
        }
    }

    /// What came of a step that was under way, where it is not that the client left.
    fn stopped(&self) -> Option<StepResult> {
        let stopped = Fault::GatewayStopped;
        (self.cause() == Some(ErrorCause::Fault(stopped))).then_some(StepResult::Failed(stopped))
    }
}

fn of_trace(recording: &Recording) -> StoryTrace {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    StoryTrace {
        trace: recording.span.trace,
        span: recording.span.span,
        parent: recording.parent,
        state: recording.state.as_ref().map(text).unwrap_or_default(),
        user_agent: recording.user_agent.as_ref().map(text),
        baggage: recording.baggage.clone(),
    }
}

fn steps(route: &RoutePlan, exchange: &Exchange, recording: Option<&Recording>, stopped: Option<StepResult>) -> Vec<StoryStep> {
    let mut attempts = 0;
    let mut step = |at: At, result: Option<StepResult>, took: Option<Duration>, timed: Option<&Timed>| {
        if matches!(at, At::Attempt { .. }) {
            attempts += 1;
        }
        let known = || at.after().zip(took).map(|(after, took)| StoryTime { after, took });
        let time = timed.map(|timed| time(timed, exchange.started)).or_else(known);
        StoryStep { what: what(route, at, attempts), result, time, span: timed.map(|timed| span(timed, exchange.started)) }
    };
    let times = recording.map(Recording::steps).unwrap_or_default();
    let ended = exchange.steps.iter().enumerate();
    let mut steps: Vec<_> = ended.map(|(number, ended)| step(ended.at, Some(ended.result), ended.took(), times.get(number))).collect();
    // What was waited for when the client left, or the gateway ended.
    if let Some(at) = exchange.steps.under_way() {
        let mut last = step(at, stopped, Some(Duration::ZERO), recording.and_then(Recording::under_way));
        if let Some(time) = &mut last.time {
            time.took = exchange.started.elapsed().saturating_sub(time.after);
        }
        steps.push(last);
    }
    steps
}

fn what(route: &RoutePlan, at: At, number: u32) -> What {
    match at {
        At::Hook { slot, hook, .. } => {
            let hook = Hook::NAMES.get(usize::from(hook)).copied().unwrap_or_default();
            let place = place(route, usize::from(slot));
            let text = |text: Option<&Arc<str>>| text.map_or_else(|| Arc::from("unknown"), Arc::clone);
            What::Hook { hook, plugin: text(place.map(|place| &place.name)), version: text(place.map(|place| &place.version)) }
        }
        At::Attempt { endpoint, .. } => What::Attempt {
            number,
            upstream: Arc::clone(&route.upstream.name),
            endpoint: route.upstream.find(endpoint).map(|endpoint| endpoint.url.clone()).unwrap_or_default(),
        },
    }
}

/// A place of that slot: all of one slot have its name and version in common.
fn place(route: &RoutePlan, slot: usize) -> Option<&Place> {
    let chain = &route.chain;
    let incoming = chain.incoming.iter().map(|step| &step.place);
    incoming.chain(&chain.outgoing).chain(&chain.router).chain(&chain.forwarder).find(|place| place.slot == slot)
}

fn time(timed: &Timed, started: Instant) -> StoryTime {
    StoryTime { after: timed.began.saturating_duration_since(started), took: timed.took }
}

fn span(timed: &Timed, started: Instant) -> StorySpan {
    let events_after = timed.notes.events.iter().map(|event| event.at.saturating_duration_since(started)).collect();
    let requests_after = timed.notes.requests.iter().map(|asked| asked.began.saturating_duration_since(started)).collect();
    StorySpan { id: timed.span, notes: timed.notes.clone(), events_after, requests_after }
}
