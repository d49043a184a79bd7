//! What a plugin asks is part of the trace of the request it is asked for.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use plugway_harness::otlp::{Receiver, integer, text};
use serde_json::Value;

use super::{LOOPBACK, World};
use crate::common::until;
use crate::guest::get;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the server was told, of a request with that `traceparent`.
fn asked(world: &World, told: &str, flags: &str) -> Value {
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
    let told = format!("POST {} accept=body body=x {told}", world.url("/b?token=s3cret"));
    let response = get(world.gateway.address("web").unwrap(), "/", &[("x-ask", &told), ("traceparent", &parent)]);
    serde_json::from_str(&response.text()).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

fn sent_parent(report: &Value) -> String {
    plugway_harness::client::reported(report, "traceparent").join(" ")
}

#[test]
fn what_a_plugin_asks_is_a_span_in_that_of_its_hook() {
    let receiver = Receiver::start().unwrap();
    let otlp = format!("\n[otlp]\nendpoint = \"{}\"\n", receiver.url());
    let world = World::with(|config| format!("{config}{otlp}"), LOOPBACK, "");
    // What the plugin says of it does not count.
    let report = asked(&world, "traceparent=00-11111111111111111111111111111111-2222222222222222-01", "01");
    until("the spans", || receiver.spans().len() >= 3);
    let spans = receiver.spans();
    let of = |kind: SpanKind| -> Vec<&Span> { spans.iter().filter(|span| span.kind == i32::from(kind)).collect() };
    let (server, hooks, clients) = (of(SpanKind::Server), of(SpanKind::Internal), of(SpanKind::Client));
    assert_eq!((server.len(), hooks.len(), clients.len()), (1, 1, 1), "the plugin answers itself: {spans:#?}");
    let client = clients[0];
    assert_eq!((&hooks[0].parent_span_id, &client.parent_span_id), (&server[0].span_id, &hooks[0].span_id));
    assert_eq!(client.trace_id, server[0].trace_id);
    let span: String = client.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sent_parent(&report), format!("00-{TRACE}-{span}-01"), "the server hangs its spans on this one");
    assert_eq!((client.name.as_str(), text(&client.attributes, "url.full")), ("POST", Some(&*world.url("/b"))));
    assert_eq!(text(&client.attributes, "server.address"), Some("127.0.0.1"));
    assert_eq!(integer(&client.attributes, "http.response.status_code"), Some(200));
    assert!(client.status.is_none() && !format!("{spans:?}").contains("s3cret"));
    assert!(hooks[0].start_time_unix_nano <= client.start_time_unix_nano && client.end_time_unix_nano <= hooks[0].end_time_unix_nano);
}

#[test]
fn a_request_that_is_not_recorded_hands_its_trace_on() {
    let world = World::new(LOOPBACK, "");
    assert_eq!(sent_parent(&asked(&world, "", "00")), format!("00-{TRACE}-00f067aa0ba902b7-00"));
}
