//! Traces as a receiver sees them: spans that join those of the client and of the upstream, who is sampled, and what happens when
//! the receiver does not keep up.

mod pushed;

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use plugway_harness::ca::Authority;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::otlp::{Receiver, integer, text};
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, Refusing, ask, json, metric, one_route, one_upstream, start, status, until};
use crate::guest::{config, filters, plugin, route};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// `[otlp]` towards a receiver.
fn otlp(receiver: &Receiver, more: &str) -> String {
    format!("[otlp]\nendpoint = \"{}\"\n{more}\n", receiver.url())
}

/// One GET of a client that recorded its own span.
fn traced(gateway: &Gateway, path: &str) -> RawResponse {
    let head =
        format!("GET {path} HTTP/1.1\nhost: shop.example\nuser-agent: me/1\ntraceparent: 00-{TRACE}-{PARENT}-01\ntracestate: rojo=1\n");
    ask(gateway, &format!("{head}baggage: tenant=acme%20co,other=1\n\n"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of a receiver, once there are so many.
fn spans(receiver: &Receiver, count: usize) -> Vec<Span> {
    until(&format!("{count} spans"), || receiver.spans().len() >= count);
    let spans = receiver.spans();
    assert_eq!(spans.len(), count, "{spans:#?}");
    spans
}

fn of_kind(spans: &[Span], kind: SpanKind) -> Vec<&Span> {
    spans.iter().filter(|span| span.kind == i32::from(kind)).collect()
}

/// The `traceparent` an upstream was sent.
fn sent_parent(answer: &RawResponse) -> String {
    plugway_harness::client::reported(&json(answer), "traceparent").first().map(|value| (*value).to_owned()).unwrap()
}

fn joins_client_and_upstream(protocol: &str) {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let gateway = start(&config(
        &upstream,
        &[
            &plugin("misbehaving", filters(), "mode = \"pass\"", ""),
            &route("public = true\nplugins = [\"misbehaving\"]"),
            &otlp(&receiver, &format!("protocol = \"{protocol}\"")),
            "[tracing]\nbaggage = [\"tenant\"]",
        ],
    ));
    let answer = traced(&gateway, "/a/b?x=1&token=s3cret");
    let spans = spans(&receiver, 4);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:#?}");

    let server = of_kind(&spans, SpanKind::Server)[0];
    assert_eq!((hex(&server.parent_span_id).as_str(), server.name.as_str()), (PARENT, "GET all"));
    assert_eq!(server.trace_state, "rojo=1");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "http"),
        ("url.path", "/a/b"),
        ("url.query", "x=1&token=[redacted]"),
        ("http.route", "all"),
        ("server.address", "shop.example"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "me/1"),
        ("tenant", "acme co"),
    ] {
        assert_eq!(text(&server.attributes, key), Some(value), "{key} of {server:#?}");
    }
    assert_eq!(integer(&server.attributes, "http.response.status_code"), Some(200));
    assert_eq!(integer(&server.attributes, "server.port"), Some(80));
    assert_eq!(integer(&server.attributes, "http.response.body.size"), i64::try_from(answer.body.len()).ok());
    assert!(server.status.is_none() && !format!("{spans:?}").contains("s3cret"));

    let attempt = of_kind(&spans, SpanKind::Client)[0];
    assert_eq!(attempt.parent_span_id, server.span_id);
    assert_eq!(sent_parent(&answer), format!("00-{TRACE}-{}-01", hex(&attempt.span_id)), "the upstream hangs its spans on the attempt");
    let sent = json(&answer);
    for (name, value) in [("tracestate", "rojo=1"), ("baggage", "tenant=acme%20co,other=1")] {
        assert_eq!(plugway_harness::client::reported(&sent, name), [value], "{name} goes with the trace");
    }
    assert_eq!(text(&attempt.attributes, "server.address"), Some("127.0.0.1"));
    assert_eq!(text(&attempt.attributes, "url.full"), Some(&*format!("{}/a/b?x=1&token=[redacted]", upstream.url())));
    assert_eq!(integer(&attempt.attributes, "http.response.status_code"), Some(200));

    let digest = status(&gateway)["plugins"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:")[..12].to_owned();
    let hooks = of_kind(&spans, SpanKind::Internal);
    assert_eq!(hooks.len(), 2, "{spans:#?}");
    for hook in &hooks {
        assert_eq!(hook.parent_span_id, server.span_id);
        assert_eq!(text(&hook.attributes, "plugway.plugin.version"), Some(&*digest));
        assert_eq!(text(&hook.attributes, "plugway.result"), Some("next"));
    }
    assert_eq!((hooks[0].name.as_str(), hooks[1].name.as_str()), ("misbehaving request-filter", "misbehaving response-filter"));
    for span in &spans {
        assert!(server.start_time_unix_nano <= span.start_time_unix_nano && span.start_time_unix_nano <= span.end_time_unix_nano);
        assert!(span.end_time_unix_nano <= server.end_time_unix_nano, "{span:#?}");
    }
    assert!(hooks[0].end_time_unix_nano <= attempt.start_time_unix_nano && attempt.end_time_unix_nano <= hooks[1].start_time_unix_nano);
    let resource = receiver.resource().unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), Some("plugway"));
    assert_eq!(text(&resource.attributes, "service.instance.id").map(str::len), Some(36));
    until("they are counted", || metric(&gateway, "plugway_spans_sent_total", &[]) == 4.0);
}

#[test]
fn spans_join_those_of_the_client_and_of_the_upstream_over_http() {
    joins_client_and_upstream("http");
}

#[test]
fn spans_join_those_of_the_client_and_of_the_upstream_over_grpc() {
    joins_client_and_upstream("grpc");
}

#[test]
fn a_gateway_behind_a_gateway_hangs_its_span_on_the_attempt() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let traced = |name: &str, sample: &str| {
        let settings = format!("metrics = false\nresource = {{ \"service.name\" = \"{name}\" }}\n[tracing]\nsample = \"{sample}\"");
        otlp(&receiver, &settings)
    };
    // The one behind follows the one in front, whatever its own share is.
    let behind = start(&one_route(&upstream, &traced("behind", "0%")));
    let url = format!("http://{}", behind.address("web").unwrap());
    let front = start(&one_upstream(&[url], "", &traced("front", "50%")));
    let parents: Vec<_> = (0..40).map(|_| sent_parent(&ask(&front, "GET / HTTP/1.1\nhost: a\n\n"))).collect();
    let sampled = parents.iter().filter(|parent| parent.ends_with("-01")).count();
    assert!((1..40).contains(&sampled), "{sampled} of 40, of which half are expected");
    let spans = spans(&receiver, 4 * sampled);
    let servers = of_kind(&spans, SpanKind::Server);
    let attempts = of_kind(&spans, SpanKind::Client);
    for parent in parents.iter().filter(|parent| parent.ends_with("-01")) {
        let (trace, last) = (&parent[3..35], &parent[36..52]);
        let find =
            |spans: &[&Span], is_it: &dyn Fn(&Span) -> bool| spans.iter().find(|span| is_it(span)).map(|span| (*span).clone()).unwrap();
        let second = find(&attempts, &|span| hex(&span.span_id) == last);
        let inner = find(&servers, &|span| span.span_id == second.parent_span_id);
        let first = find(&attempts, &|span| span.span_id == inner.parent_span_id);
        let outer = find(&servers, &|span| span.span_id == first.parent_span_id);
        assert!(outer.parent_span_id.is_empty(), "the front began it: {outer:#?}");
        assert!([&outer, &first, &inner, &second].iter().all(|span| hex(&span.trace_id) == trace));
        assert!(outer.start_time_unix_nano <= inner.start_time_unix_nano, "{outer:#?} {inner:#?}");
    }
}

#[test]
fn a_receiver_with_tls_is_shown_a_certificate_and_must_be_who_it_should_be() {
    let (authority, upstream) = (Authority::new("otlp CA").unwrap(), Upstream::plain("up").unwrap());
    let server = authority.server(&["otlp.internal"]).unwrap();
    let started = |receiver: &Receiver, protocol: &str, name: &str| {
        let launch = Launch::new(BINARY).unwrap();
        authority.write(launch.directory(), "ca").unwrap();
        authority.client("gateway").unwrap().write(launch.directory(), "gateway").unwrap();
        let tls = format!(
            "ca = \"ca.pem\"\nserver_name = \"{name}\"\nclient_certificate = {{ certificate = \"gateway.pem\", key = \"gateway.key\" }}"
        );
        let sent = format!("metrics = false\nprotocol = \"{protocol}\"\n[otlp.tls]\n{tls}\n[tracing]\nsample = \"100%\"");
        let gateway = launch.start(&one_route(&upstream, &otlp(receiver, &sent))).unwrap();
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
        gateway
    };
    for protocol in ["http", "grpc"] {
        let receiver = Receiver::start_tls(&server, Some(&authority)).unwrap();
        let _gateway = started(&receiver, protocol, "otlp.internal");
        spans(&receiver, 2);
        let stranger = Receiver::start_tls(&server, Some(&authority)).unwrap();
        let gateway = started(&stranger, protocol, "other.internal");
        until("it was tried", || metric(&gateway, "plugway_otlp_failures_total", &[]) >= 1.0);
        assert_eq!(stranger.requests(), 0, "{protocol}: it is told nothing");
    }
}

#[test]
fn what_is_not_sampled_is_sent_on_as_it_came_and_leaves_no_span() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let gateway = start(&one_route(&upstream, &format!("{}[tracing]\nsample = \"0%\"", otlp(&receiver, "metrics_interval = \"100ms\""))));
    let parent = format!("00-{TRACE}-{PARENT}-00");
    let answer = ask(&gateway, &format!("GET / HTTP/1.1\nhost: a\ntraceparent: {parent}\ntracestate: rojo=1\nbaggage: a=b\n\n"));
    assert_eq!(sent_parent(&answer), parent);
    let sent = json(&answer);
    let header = |name: &str| plugway_harness::client::reported(&sent, name).first().map(|value| (*value).to_owned());
    assert_eq!((header("tracestate").as_deref(), header("baggage").as_deref()), (Some("rojo=1"), Some("a=b")));
    // A state without a trace is of another one, and a state that is none cannot be sent on.
    for lines in ["tracestate: rojo=1\n".to_owned(), format!("traceparent: {parent}\ntracestate: no state\n")] {
        let answer = ask(&gateway, &format!("GET / HTTP/1.1\nhost: a\n{lines}\n"));
        assert!(plugway_harness::client::reported(&json(&answer), "tracestate").is_empty(), "{lines}");
    }
    let made = sent_parent(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"));
    assert!(made.ends_with("-00"), "{made}");
    until("metrics came", || !receiver.metrics().is_empty());
    assert!(receiver.spans().is_empty());
}

#[test]
fn a_share_is_sampled_and_no_more_than_allowed() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let gateway =
        start(&one_route(&upstream, &format!("{}[tracing]\nsample = \"100%\"\nmax_per_second = 3", otlp(&receiver, "metrics = false"))));
    let began = Instant::now();
    let answers: Vec<_> = (0..40).map(|_| sent_parent(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"))).collect();
    let sampled = answers.iter().filter(|parent| parent.ends_with("-01")).count();
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert!((3..=3 * seconds).contains(&sampled), "{sampled} in {seconds} seconds");
    spans(&receiver, 2 * sampled);
}

#[test]
fn a_caller_is_not_followed_where_it_is_ignored() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let gateway =
        start(&one_route(&upstream, &format!("{}[tracing]\nsample = \"0%\"\ncallers = \"ignore\"", otlp(&receiver, "metrics = false"))));
    assert_eq!(sent_parent(&traced(&gateway, "/")), format!("00-{TRACE}-{PARENT}-01"), "it is sent on as it came");
    drop(gateway);
    assert!(receiver.spans().is_empty());
}

#[test]
fn failures_and_further_attempts_are_spans_with_errors() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let gone = Refusing::new();
    let endpoints = [gone.url(), upstream.url()];
    let gateway = start(&one_upstream(&endpoints, "", &format!("{}[tracing]\nsample = \"100%\"", otlp(&receiver, "metrics = false"))));
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
    }
    assert_eq!(ask(&gateway, "GET /status/503 HTTP/1.1\nhost: a\n\n").status, 503);
    until("the spans of three requests", || of_kind(&receiver.spans(), SpanKind::Server).len() == 3);
    let spans = receiver.spans();
    let attempts = of_kind(&spans, SpanKind::Client);
    let failed = attempts.iter().find(|span| text(&span.attributes, "error.type") == Some("upstream-connect-failed")).unwrap();
    assert_eq!(failed.status.as_ref().unwrap().code, 2);
    let again = attempts.iter().find(|span| integer(&span.attributes, "http.request.resend_count") == Some(1)).unwrap();
    assert_eq!(again.parent_span_id, failed.parent_span_id);
    let unavailable = of_kind(&spans, SpanKind::Server).into_iter().find(|span| span.status.is_some()).unwrap();
    assert_eq!(text(&unavailable.attributes, "error.type"), Some("503"));
}

#[test]
fn a_receiver_that_is_gone_costs_requests_nothing_and_what_is_lost_is_counted() {
    let (gone, upstream) = (Refusing::new(), Upstream::plain("up").unwrap());
    let more = format!(
        "[otlp]\nendpoint = \"{}\"\nmetrics = false\nmax_queued = 4\n[tracing]\nsample = \"100%\"\nmax_per_second = 100000\n",
        gone.url()
    );
    let gateway = start(&one_route(&upstream, &more));
    for _ in 0..50 {
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
    }
    // What the queue could not hold is counted at once, the rest when it was tried often enough or the gateway ends.
    until("spans are lost", || metric(&gateway, "plugway_spans_lost_total", &[]) >= 2.0);
    until("it was tried again", || metric(&gateway, "plugway_otlp_failures_total", &[]) >= 2.0);
    let began = Instant::now();
    let lines = gateway.stop().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "a receiver that is gone does not keep the gateway");
    assert!(lines.iter().any(|line| line.message() == "Spans could not be sent by OTLP" && line.field("why").is_some()));
}

#[test]
fn a_receiver_that_is_busy_gets_everything_later() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    receiver.answer(503);
    let gateway = start(&one_route(&upstream, &format!("{}[tracing]\nsample = \"100%\"", otlp(&receiver, "metrics = false"))));
    for _ in 0..10 {
        ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n");
    }
    until("it was asked twice", || receiver.requests() >= 2);
    receiver.answer(200);
    spans(&receiver, 20);
    assert_eq!(metric(&gateway, "plugway_spans_lost_total", &[]), 0.0);
}

#[test]
fn what_was_sampled_last_is_sent_before_the_gateway_has_ended() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let gateway = start(&one_route(&upstream, &format!("{}[tracing]\nsample = \"100%\"", otlp(&receiver, ""))));
    ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n");
    gateway.stop().unwrap();
    assert_eq!(receiver.spans().len(), 2);
    // Metrics are pushed once more, long before they are due: the request that was the last one is in them.
    let requests = receiver.metrics().into_iter().find(|metric| metric.name == "plugway.requests").expect("the last push");
    let Some(Data::Sum(sum)) = requests.data else { panic!("requests are a sum") };
    let counts: Vec<_> = sum.data_points.iter().map(|point| format!("{:?}", point.value)).collect();
    assert_eq!(counts, ["Some(AsDouble(1.0))"]);
}

#[test]
fn what_a_plugin_notes_stands_in_the_span_of_its_hook_and_is_bounded() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let gateway = start(&config(
        &upstream,
        &[
            &plugin("noting", filters(), "mode = \"by-header\", hook = \"request-filter\"", ""),
            &route("public = true\nplugins = [\"noting\"]"),
            &otlp(&receiver, "metrics = false"),
            "[tracing]\nsample = \"0%\"",
        ],
    ));
    let note = |count: usize, flags: &str| {
        let head = format!("GET / HTTP/1.1\nhost: a\nx-misbehave: notes:{count}\ntraceparent: 00-{TRACE}-{PARENT}-{flags}\n\n");
        assert_eq!(ask(&gateway, &head).status, 200);
    };
    // Where the request is not sampled a note is nothing, however many there are.
    note(100, "00");
    note(3, "01");
    let noted = |spans: &[Span]| spans.iter().find(|span| span.name == "noting request-filter").unwrap().clone();
    let span = noted(&spans(&receiver, 4));
    assert_eq!(integer(&span.attributes, "note.2"), Some(2));
    let names: Vec<_> = span.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["event 0", "event 1", "event 2"]);
    assert!(format!("{:?}", span.events[0].attributes).contains("BoolValue(true)"), "{:?}", span.events);
    assert!(span.events.iter().all(|event| (span.start_time_unix_nano..=span.end_time_unix_nano).contains(&event.time_unix_nano)));

    note(40, "01");
    until("four more", || receiver.spans().len() == 8);
    let span = noted(&receiver.spans()[4..]);
    assert_eq!((span.events.len(), span.dropped_events_count, span.dropped_attributes_count), (32, 8, 8));
}
