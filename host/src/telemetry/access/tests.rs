use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;

use super::clock::Clock;
use super::*;
use crate::config::model::Redact;
use crate::exchange::Target;

fn log(format: AccessFormat, fields: &[&str]) -> AccessLog {
    AccessLog {
        enabled: true,
        format,
        file: None,
        fields: fields.iter().map(|name| AccessField::named(name).unwrap()).collect(),
        sample: Share::ALL,
        slow: Duration::from_secs(1),
        redact: Redact::default(),
    }
}

fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())).collect()
}

fn exchange(target: &str, headers: HeaderMap) -> Box<Exchange> {
    let mut exchange = Exchange::sample(headers);
    exchange.request.target = Target::new(Some(target.parse().unwrap()), None);
    exchange
}

fn write(plan: &AccessPlan, exchange: &Exchange, response: &HeaderMap) -> String {
    let line = AccessLine {
        received: UNIX_EPOCH + Duration::from_millis(971_186_136_250),
        duration: Duration::from_micros(1_234),
        request_id: exchange.id.to_str().unwrap(),
        trace_id: exchange.trace_id().unwrap(),
        method: "GET",
        status: 200,
        route: Some(&exchange.route),
        endpoint: Some("http://127.0.0.1:1"),
        request_bytes: 0,
        response_bytes: 2326,
        fault: None,
        exchange: Some(exchange),
        protocol: Protocol::Http11,
        request_headers: &plan.keep_request(&exchange.request.headers),
        response_headers: &plan.keep_response(response),
    };
    let mut out = Vec::new();
    plan.write(&line, &mut Clock::default(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn apaches_formats_are_written_as_apache_documents_them() {
    let request = headers(&[("referer", b"http://www.example.com/start.html"), ("user-agent", b"Mozilla/4.08 [en] (Win98; I ;Nav)")]);
    let exchange = exchange("/apache_pb.gif?a=1&token=s3cret", request);
    let common = r#"192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /apache_pb.gif?a=1&token=[redacted] HTTP/1.1" 200 2326"#;
    assert_eq!(write(&AccessPlan::new(&log(AccessFormat::Common, &[])), &exchange, &HeaderMap::new()), format!("{common}\n"));
    let combined = format!("{common} \"http://www.example.com/start.html\" \"Mozilla/4.08 [en] (Win98; I ;Nav)\"\n");
    assert_eq!(write(&AccessPlan::new(&log(AccessFormat::Combined, &[])), &exchange, &HeaderMap::new()), combined);
}

#[test]
fn a_json_line_has_the_chosen_fields_in_their_order_and_leaves_out_what_is_not_there() {
    let fields = ["status", "query", "consumer", "request.User-Agent", "request.authorization", "response.x-a", "route", "duration_us"];
    let exchange = exchange("/a?b=1&api_key=s3cret", headers(&[("authorization", b"Bearer s3cret"), ("user-agent", b"me\xff")]));
    let written = write(&AccessPlan::new(&log(AccessFormat::Json, &fields)), &exchange, &headers(&[("x-a", b"\"1\"")]));
    assert_eq!(
        written,
        "{\"timestamp\":\"2000-10-10T13:55:36.250000Z\",\"target\":\"access\",\"status\":200,\"query\":\"b=1&api_key=[redacted]\",\
         \"request.user-agent\":\"me\u{fffd}\",\"request.authorization\":\"[redacted]\",\"response.x-a\":\"\\\"1\\\"\",\
         \"route\":\"orders\",\"duration_us\":1234}\n"
    );
}

#[test]
fn no_byte_of_a_client_ends_a_line_or_a_field() {
    for byte in (0x20..=0xff_u8).chain([b'\t']).filter(|byte| *byte != 0x7f) {
        let value = [b'a', byte, b'b'];
        let exchange = exchange("/", headers(&[("user-agent", &value), ("referer", &value)]));
        let combined = write(&AccessPlan::new(&log(AccessFormat::Combined, &[])), &exchange, &HeaderMap::new());
        assert_eq!(combined.matches('\n').count(), 1, "{combined:?}");
        assert!(combined.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{combined:?}");
        // Quotes that are not escaped: three fields.
        let bare = combined.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        assert_eq!(bare, 6, "{combined:?}");
        let json = write(&AccessPlan::new(&log(AccessFormat::Json, &["request.user-agent"])), &exchange, &HeaderMap::new());
        assert_eq!(json.matches('\n').count(), 1, "{json:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["request.user-agent"].is_string());
    }
}

#[test]
fn a_consumer_is_one_field_whatever_its_name() {
    let mut exchange = exchange("/", HeaderMap::new());
    let subject = "Ann \"\n Other".to_owned();
    exchange.identity = Some(Arc::new(crate::exchange::Identity { subject, ..Default::default() }));
    let line = write(&AccessPlan::new(&log(AccessFormat::Common, &[])), &exchange, &HeaderMap::new());
    assert!(line.starts_with("192.0.2.7 - Ann\\x20\\\"\\x0a\\x20Other ["), "{line}");
    // Wherever in a long text it stands.
    for (byte, at) in (0..0x20_u8).chain(*b"\"\\").flat_map(|byte| [0, 7, 33, 63].map(|at| (byte, at))) {
        let mut subject = "n".repeat(64);
        subject.insert(at, char::from(byte));
        exchange.identity = Some(Arc::new(crate::exchange::Identity { subject: subject.clone(), ..Default::default() }));
        let line = write(&AccessPlan::new(&log(AccessFormat::Json, &["consumer"])), &exchange, &HeaderMap::new());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["consumer"], subject, "{line:?}");
    }
}

#[test]
fn what_failed_or_was_slow_always_has_a_line_and_of_the_rest_so_many_do() {
    let plan = AccessPlan::new(&AccessLog { sample: Share(100_000), ..log(AccessFormat::Json, &["status"]) });
    let quick = Duration::from_millis(1);
    assert!((0..1_000).all(|_| plan.wants(200, None, Duration::from_secs(1), false)));
    assert!((0..1_000).all(|_| plan.wants(500, None, quick, false)));
    assert!((0..1_000).all(|_| plan.wants(404, Some(Fault::NoRoute), quick, false)));
    assert!((0..1_000).all(|_| plan.wants(200, None, quick, true)));
    fastrand::seed(7);
    let lines = (0..10_000).filter(|_| plan.wants(200, None, quick, false)).count();
    assert!((800..1_200).contains(&lines), "{lines} of 10,000 at 10 %");
    let none = AccessPlan::new(&AccessLog { sample: Share(0), ..log(AccessFormat::Json, &["status"]) });
    assert!((0..1_000).all(|_| !none.wants(404, None, quick, false)));
}

#[test]
fn every_field_has_one_name() {
    for (name, field) in AccessField::FACTS {
        assert_eq!(AccessField::named(name), Some(field.clone()));
        assert_eq!(field.name(), name);
    }
    for bad in ["", "request", "request.", "response.a b", "attribute.a", "attribute..b", "attribute.a.", "timestamp", "Status"] {
        assert_eq!(AccessField::named(bad), None, "{bad}");
    }
    assert_eq!(AccessField::named("attribute.a.b.c").unwrap().name(), "attribute.a.b.c");
}
