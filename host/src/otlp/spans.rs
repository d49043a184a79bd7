//! From stories to spans, by OpenTelemetry's semantic conventions for HTTP: a server span for the request, in it an internal span
//! for each hook and a client span for each attempt, and one for each request that a plugin made in its hook.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::metrics::OTHER_METHOD;
use super::parts::{MOST, parts};
use super::resource::{attribute, integer, nanos, nanos_after, scope, text};
use crate::fault::{ErrorCause, Fault};
use crate::telemetry::is_known_method;
use crate::trace::{Asked, NoteValue, Notes, StepResult, Story, StorySpan, StoryStep, StoryTime, StoryTrace, What};

/// Version of the conventions the names below are of.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.30.0";
/// The W3C flags of a span: sampled; whether the parent is remote is known, and it is (`SpanFlags` of the protocol).
const SAMPLED: u32 = 1;
const KNOWN_LOCAL: u32 = 0x100;
const KNOWN_REMOTE: u32 = 0x300;

/// The longest text of a client's in an attribute, bytes: a request's target may be as long as its head.
const LONGEST: usize = 4 << 10;

/// Everything there is of some stories, in as many messages as it takes, and how many spans each has.
pub(super) fn requests(stories: &[Arc<Story>], resource: &Resource) -> impl Iterator<Item = (ExportTraceServiceRequest, u64)> {
    let spans: Vec<_> = stories.iter().flat_map(|story| spans(story)).collect();
    parts(spans, MOST).into_iter().map(|spans| {
        let count = spans.len() as u64;
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, schema_url: SCHEMA.to_owned() }];
        let resource_spans = ResourceSpans { resource: Some(resource.clone()), scope_spans, schema_url: SCHEMA.to_owned() };
        (ExportTraceServiceRequest { resource_spans: vec![resource_spans] }, count)
    })
}

fn spans(story: &Story) -> Vec<Span> {
    let Some(trace) = &story.trace else { return Vec::new() };
    let mut spans = Vec::with_capacity(1 + story.steps.len());
    spans.push(server(story, trace));
    for step in &story.steps {
        if let (Some(time), Some(own)) = (step.time, &step.span) {
            spans.push(child(story, trace, step, time, own));
            let requests = own.notes.requests.iter().zip(&own.requests_after);
            spans.extend(requests.map(|(request, after)| asked(story, trace, own.id, request, *after)));
        }
    }
    spans
}

/// A request that a plugin made while its hook ran: in the hook's span.
fn asked(story: &Story, trace: &StoryTrace, hook: u64, asked: &Asked, after: Duration) -> Span {
    let (scheme, rest) = asked.url.split_once("://").unwrap_or(("http", &asked.url));
    let (host, port) = address(rest.split('/').next().unwrap_or_default(), scheme);
    let mut attributes = vec![text("url.full", cut(&asked.url)), text("server.address", host)];
    attributes.extend(methods(&asked.method));
    attributes.extend(port.map(|port| integer("server.port", port.into())));
    let error = match asked.outcome {
        Ok((status, source)) => {
            attributes.extend([integer("http.response.status_code", status.into()), text("plugway.source", source)]);
            (status >= 400).then(|| status.to_string())
        }
        Err(error) => Some(error.to_owned()),
    };
    attributes.extend(error.as_deref().map(|error| text("error.type", error)));
    Span {
        trace_id: trace.trace.to_be_bytes().to_vec(),
        span_id: asked.span.to_be_bytes().to_vec(),
        trace_state: trace.state.clone(),
        parent_span_id: hook.to_be_bytes().to_vec(),
        flags: SAMPLED | KNOWN_LOCAL,
        name: method(&asked.method).to_owned(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanos_after(story.received, after),
        end_time_unix_nano: nanos_after(story.received, after + asked.took),
        attributes,
        status: error.map(|_| failed("")),
        ..Default::default()
    }
}

fn server(story: &Story, trace: &StoryTrace) -> Span {
    let (host, port) = address(&story.authority, story.scheme);
    let mut attributes = vec![
        text("url.scheme", story.scheme),
        text("url.path", cut(&story.path)),
        text("server.address", host),
        text("client.address", &story.client.to_string()),
        text("network.peer.address", &story.peer.ip().to_string()),
        integer("network.peer.port", story.peer.port().into()),
        text("network.protocol.name", "http"),
        text("network.protocol.version", story.protocol),
        integer("http.response.status_code", story.status.into()),
        integer("http.request.body.size", story.request_bytes),
        integer("http.response.body.size", story.response_bytes),
        text("plugway.request_id", story.id.to_str().unwrap_or_default()),
    ];
    attributes.extend(methods(&story.method));
    attributes.extend(port.map(|port| integer("server.port", port.into())));
    let optional = [
        ("url.query", story.query.as_deref().map(cut)),
        ("http.route", story.route.as_deref()),
        ("plugway.api", story.api.as_deref()),
        ("plugway.api.version", story.version.as_deref()),
        ("plugway.consumer", story.consumer.as_deref()),
        ("user_agent.original", trace.user_agent.as_deref().map(cut)),
        ("plugway.fault", story.fault.map(ErrorCause::code)),
        ("plugway.blame", story.fault.map(|fault| fault.blame(story.status).as_str())),
    ];
    attributes.extend(optional.into_iter().filter_map(|(key, value)| Some(text(key, value?))));
    attributes.extend(trace.baggage.iter().map(|(key, value)| text(key, value)));
    // A server is at fault by 500 and above, or where it broke off; what a client did wrong is no error of the server's span.
    let status = story.status.to_string();
    let error = match story.fault {
        Some(ErrorCause::Fault(fault)) if story.status >= 500 || story.status < 400 => Some((fault.code(), fault.title())),
        _ if story.status >= 500 => Some((status.as_str(), "")),
        _ => None,
    };
    attributes.extend(error.map(|(kind, _)| text("error.type", kind)));
    let name = match &story.route {
        Some(route) => format!("{} {route}", method(&story.method)),
        None => method(&story.method).to_owned(),
    };
    Span {
        trace_id: trace.trace.to_be_bytes().to_vec(),
        span_id: trace.span.to_be_bytes().to_vec(),
        trace_state: trace.state.clone(),
        parent_span_id: trace.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED | KNOWN_REMOTE,
        name,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(story.received),
        end_time_unix_nano: nanos_after(story.received, story.duration),
        attributes,
        status: error.map(|(_, message)| failed(message)),
        ..Default::default()
    }
}

fn child(story: &Story, trace: &StoryTrace, step: &StoryStep, time: StoryTime, own: &StorySpan) -> Span {
    let (name, kind, attributes) = match &step.what {
        What::Hook { hook, plugin, version } => {
            let attributes = vec![
                text("plugway.plugin", plugin),
                text("plugway.plugin.version", version),
                text("plugway.hook", hook),
                text("plugway.result", step.result.map_or("client-gone", StepResult::as_str)),
            ];
            (format!("{plugin} {hook}"), SpanKind::Internal, attributes)
        }
        What::Attempt { number, upstream, endpoint } => {
            (method(&story.method).to_owned(), SpanKind::Client, attempt(story, *number, upstream, endpoint))
        }
    };
    let mut span = Span {
        trace_id: trace.trace.to_be_bytes().to_vec(),
        span_id: own.id.to_be_bytes().to_vec(),
        trace_state: trace.state.clone(),
        parent_span_id: trace.span.to_be_bytes().to_vec(),
        flags: SAMPLED | KNOWN_LOCAL,
        name,
        kind: kind.into(),
        start_time_unix_nano: nanos_after(story.received, time.after),
        end_time_unix_nano: nanos_after(story.received, time.after + time.took),
        attributes,
        ..Default::default()
    };
    let is_client = kind == SpanKind::Client;
    if let Some(status) = step.result.and_then(StepResult::status) {
        span.attributes.push(integer("http.response.status_code", status.into()));
        // What came back to a client is an error from 400 on.
        if is_client && status >= 400 {
            span.attributes.push(text("error.type", &status.to_string()));
            span.status = Some(failed(""));
        }
    }
    let fault = step.result.and_then(StepResult::fault).or(step.result.is_none().then_some(Fault::ClientGone));
    if let Some(fault) = fault {
        span.attributes.push(text("error.type", fault.code()));
        span.status = Some(failed(fault.title()));
    }
    note(&mut span, story, &own.notes, &own.events_after);
    span
}

fn attempt(story: &Story, number: u32, upstream: &str, endpoint: &str) -> Vec<KeyValue> {
    let (scheme, authority) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let (host, port) = address(authority, scheme);
    let query = story.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let mut attributes = vec![
        // As received: what a plugin made of it is not kept.
        text("url.full", cut(&format!("{endpoint}{}{query}", story.path))),
        text("server.address", host),
        text("plugway.upstream", upstream),
    ];
    attributes.extend(methods(&story.method));
    attributes.extend(port.map(|port| integer("server.port", port.into())));
    if number > 1 {
        attributes.push(integer("http.request.resend_count", u64::from(number - 1)));
    }
    attributes
}

fn note(span: &mut Span, story: &Story, notes: &Notes, after: &[Duration]) {
    span.attributes.extend(noted(&notes.attributes));
    span.dropped_attributes_count = notes.attributes_lost;
    span.dropped_events_count = notes.events_lost;
    span.events = notes
        .events
        .iter()
        .zip(after)
        .map(|(event, after)| Event {
            time_unix_nano: nanos_after(story.received, *after),
            name: event.name.clone(),
            attributes: noted(&event.attributes).collect(),
            ..Default::default()
        })
        .collect();
}

fn noted(attributes: &[(String, NoteValue)]) -> impl Iterator<Item = KeyValue> + '_ {
    attributes.iter().map(|(key, value)| {
        attribute(
            key,
            match value {
                NoteValue::Text(text) => Value::StringValue(text.clone()),
                NoteValue::Integer(integer) => Value::IntValue(*integer),
                NoteValue::Number(number) => Value::DoubleValue(*number),
                NoteValue::Boolean(boolean) => Value::BoolValue(*boolean),
            },
        )
    })
}

fn failed(message: &str) -> Status {
    Status { message: message.to_owned(), code: StatusCode::Error.into() }
}

/// A span's name must not have what anybody may write: methods that are not known are `HTTP`.
fn method(method: &str) -> &str {
    if is_known_method(method) { method } else { "HTTP" }
}

/// A method as attributes have it, and as metrics do: one of the few that are known, or that it is another, and which.
fn methods(method: &str) -> impl Iterator<Item = KeyValue> + '_ {
    let known = is_known_method(method);
    let original = (!known).then(|| text("http.request.method_original", cut(method)));
    std::iter::once(text("http.request.method", if known { method } else { OTHER_METHOD })).chain(original)
}

/// As much of what a client may write as a span keeps, in whole characters.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default()
}

/// Host and port of an authority; the scheme's own port where it names none.
fn address<'a>(authority: &'a str, scheme: &str) -> (&'a str, Option<u16>) {
    let host = crate::exchange::host_of(authority);
    let named = authority.get(host.len()..).and_then(|port| port.strip_prefix(':')?.parse().ok());
    let own = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    (host.trim_start_matches('[').trim_end_matches(']'), named.or(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_host_and_port() {
        for (authority, scheme, host, port) in [
            ("a.example", "https", "a.example", Some(443)),
            ("a.example:8443", "https", "a.example", Some(8443)),
            ("[::1]:80", "http", "::1", Some(80)),
            ("[::1]", "http", "::1", Some(80)),
            ("", "http", "", Some(80)),
        ] {
            assert_eq!(address(authority, scheme), (host, port), "{authority}");
        }
    }

    #[test]
    fn names_of_spans_are_few() {
        assert_eq!((method("GET"), method("BREW"), method("other")), ("GET", "HTTP", "HTTP"));
    }

    #[test]
    fn methods_are_those_that_metrics_know() {
        let of = |method: &str| methods(method).collect::<Vec<_>>();
        assert_eq!(of("PATCH"), [text("http.request.method", "PATCH")]);
        for unknown in ["BREW", "QUERY", "get", "other"] {
            assert_eq!(of(unknown), [text("http.request.method", "_OTHER"), text("http.request.method_original", unknown)]);
        }
    }

    #[test]
    fn what_a_client_wrote_is_cut_between_characters() {
        assert_eq!(cut("/orders/ö"), "/orders/ö");
        let long = "ö".repeat(LONGEST);
        assert_eq!(cut(&long).len(), LONGEST);
        let odd = format!("/{long}");
        assert_eq!(cut(&odd).len(), LONGEST - 1);
    }
}
