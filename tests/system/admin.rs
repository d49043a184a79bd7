//! What operators see: the admin listener, the access log.

use std::collections::BTreeMap;
use std::time::Duration;

use plugway_harness::gateway::{Gateway, Line};
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;

use crate::common::{admin, ask, metric, one_route, start, status, two_workers, until, web, wire};

fn page(gateway: &Gateway, method: &str, path: &str) -> RawResponse {
    let mut raw = Raw::connect(gateway.admin().unwrap()).unwrap();
    raw.send(wire(&format!("{method} {path} HTTP/1.1\nhost: admin\nconnection: close\n\n"))).unwrap();
    raw.response_to(method).unwrap()
}

#[test]
fn health_readiness_and_what_is_not_there() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    for path in ["/healthz", "/readyz", "/metrics", "/status"] {
        assert_eq!(page(&gateway, "GET", path).status, 200, "{path}");
        let head = page(&gateway, "HEAD", path);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let refused = page(&gateway, "POST", path);
        assert_eq!(refused.status, 405, "{path}");
        assert_eq!(refused.header("allow"), Some(&b"GET, HEAD"[..]), "{path}");
    }
    assert_eq!(page(&gateway, "GET", "/").status, 404);
    assert_eq!(page(&gateway, "GET", "/metrics/").status, 404);
    // It is not a way to the upstreams, and the listeners are not a way to it.
    assert_eq!(ask(&gateway, "GET /status HTTP/1.1\nhost: a\n\n").header("x-upstream"), Some(&b"up"[..]));
}

/// Every series of a text in the Prometheus format, by name and labels; panics at a line that is not in that format.
fn series(text: &str) -> BTreeMap<String, f64> {
    let name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':');
    let mut types = BTreeMap::new();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.splitn(3, ' ').collect();
            assert!(matches!(words[0], "HELP" | "TYPE") && words.len() == 3, "{line}");
            if words[0] == "TYPE" {
                assert_eq!(types.insert(words[1].to_owned(), words[2].to_owned()), None, "two types: {line}");
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let bare = key.split('{').next().unwrap();
        assert!(name(bare), "{line}");
        assert!(key == bare || key.ends_with('}'), "{line}");
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| bare.strip_suffix(end)).filter(|family| types.contains_key(*family));
        assert!(types.contains_key(family.unwrap_or(bare)), "no type: {line}");
        assert_eq!(found.insert(key.to_owned(), value.parse().unwrap()), None, "twice: {line}");
    }
    found
}

#[test]
fn metrics_count_exactly_what_was_sent() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_route(&upstream, "").replace("\"/*\"", "\"/a/*\"")));
    for number in 0..30 {
        let (request, status) = match number % 3 {
            0 => (format!("GET /a/{number} HTTP/1.1\nhost: a\n\n"), 200),
            1 => ("POST /a/status/503 HTTP/1.1\nhost: a\nx-behave: /status/503\ncontent-length: 2\n\nhi".to_owned(), 503),
            _ => (format!("GET /missing/{number} HTTP/1.1\nhost: a\n\n"), 404),
        };
        assert_eq!(ask(&gateway, &request).status, status);
    }
    assert_eq!(ask(&gateway, "BREW /a HTTP/1.1\nhost: a\n\n").status, 200);
    let requests = "plugway_requests_total";
    until("all requests are counted", || metric(&gateway, requests, &[]) == 31.0);
    for (labels, count) in [
        (vec!["route=\"all\"", "method=\"GET\"", "status=\"200\""], 10.0),
        (vec!["route=\"all\"", "method=\"POST\"", "status=\"503\""], 10.0),
        // Methods nobody knows are one series, whatever they are called.
        (vec!["route=\"all\"", "method=\"other\"", "status=\"200\""], 1.0),
        (vec!["route=\"all\""], 21.0),
        (vec!["status=\"404\""], 10.0),
    ] {
        assert_eq!(metric(&gateway, requests, &labels), count, "{labels:?}");
    }
    assert_eq!(metric(&gateway, "plugway_worker_requests_total", &[]), 31.0);
    assert_eq!(metric(&gateway, "plugway_faults_total", &["fault=\"no-route\""]), 10.0);
    assert_eq!(metric(&gateway, "plugway_faults_total", &[]), 10.0);
    assert_eq!(metric(&gateway, "plugway_upstream_attempts_total", &["upstream=\"up\"", "fault=\"\""]), 21.0);
    assert_eq!(metric(&gateway, "plugway_connections_total", &["listener=\"web\""]), 31.0);
    assert_eq!(metric(&gateway, "plugway_requests_in_flight", &[]), 0.0);

    let found = series(&admin(&gateway, "/metrics"));
    let duration = "plugway_request_duration_seconds";
    let total: f64 = found.iter().filter(|(key, _)| key.starts_with(&format!("{duration}_count"))).map(|(_, value)| value).sum();
    assert_eq!(total, 31.0);
    let endless: f64 = found
        .iter()
        .filter(|(key, _)| key.starts_with(&format!("{duration}_bucket")) && key.contains("le=\"+Inf\""))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(endless, 31.0);
    for name in ["plugway_worker_event_loop_lag_seconds_bucket", "plugway_worker_event_loop_busy_seconds_bucket"] {
        assert!(found.keys().any(|key| key.starts_with(name)), "{:?}", found.keys());
    }
}

#[test]
fn status_tells_what_serves_and_how_it_is_doing() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_route(&upstream, "")));
    for _ in 0..10 {
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
    }
    until("all requests are counted", || metric(&gateway, "plugway_requests_total", &[]) == 10.0);
    let status = status(&gateway);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["draining"], false);
    assert!(status["uptime_seconds"].is_u64(), "{status:#}");
    assert_eq!(status["listeners"][0]["address"], gateway.address("web").unwrap().to_string());
    let route = &status["routes"][0];
    assert_eq!((&route["name"], &route["upstream"], &route["public"]), (&"all".into(), &"up".into(), &true.into()), "{status:#}");
    assert_eq!(status["plugins"], serde_json::json!([]));
    let endpoint = &status["upstreams"][0]["endpoints"][0];
    assert_eq!(endpoint["url"], upstream.url());
    assert_eq!((&endpoint["available"], &endpoint["in_flight"]), (&true.into(), &0.into()), "{status:#}");
    assert!(endpoint["latency_us"].as_u64().unwrap() > 0, "{status:#}");
    assert!((1..=2).contains(&endpoint["connections"].as_u64().unwrap()), "one a worker: {status:#}");
    let workers = status["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2);
    assert_eq!(workers.iter().map(|worker| worker["requests"].as_u64().unwrap()).sum::<u64>(), 10);
    assert_eq!(workers.iter().map(|worker| worker["connections"].as_u64().unwrap()).sum::<u64>(), 10);
    assert!(
        workers.iter().all(|worker| worker["event_loop_busy_max_us"].as_u64() <= worker["event_loop_lag_max_us"].as_u64()),
        "{status:#}"
    );
    // Ten times a second somebody looks.
    until("each worker has a longest stall", || {
        let status = crate::common::status(&gateway);
        status["workers"].as_array().unwrap().iter().all(|worker| {
            let stall = &worker["longest_stall"];
            stall["busy_us"] == worker["event_loop_busy_max_us"]
                && stall["busy_us"].as_u64() <= stall["lag_us"].as_u64()
                && stall["at"].as_f64().is_some_and(|at| at > 1e9)
                && matches!(stall["during"].as_str(), Some("requests" | "housekeeping"))
        })
    });
}

fn access(gateway: &Gateway, path: &str) -> Line {
    let wanted = |line: &Line| line.field("target") == Some("access") && line.field("path") == Some(path);
    gateway.log().wait(Duration::from_secs(10), wanted).unwrap_or_else(|| panic!("no line of {path} in {}", gateway.log().text()))
}

#[test]
fn every_request_is_one_line_without_its_query() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "").replace("\"/*\"", "\"/a/*\""));
    let answer = ask(
        &gateway,
        "POST /a/b?token=s3cret HTTP/1.1\nhost: Shop.Example\ncookie: c00kie\nauthorization: Bearer s3cret\ncontent-length: 5\n\nhello",
    );
    let line = access(&gateway, "/a/b");
    for (field, value) in
        [("method", "POST"), ("host", "shop.example"), ("route", "all"), ("protocol", "http/1.1"), ("client", "127.0.0.1")]
    {
        assert_eq!(line.field(field), Some(value), "{}", line.text);
    }
    assert_eq!(line.field("endpoint"), Some(upstream.url().as_str()));
    for (field, value) in [("status", 200), ("attempts", 1), ("request_bytes", 5), ("response_bytes", answer.body.len() as u64)] {
        assert_eq!(line.value(field).and_then(serde_json::Value::as_u64), Some(value), "{field} in {}", line.text);
    }
    assert!(line.value("duration_us").is_some_and(serde_json::Value::is_u64), "{}", line.text);
    assert_eq!(line.field("fault"), None, "{}", line.text);

    ask(&gateway, "GET /missing?token=s3cret HTTP/1.1\nhost: a\n\n");
    let line = access(&gateway, "/missing");
    assert_eq!((line.field("fault"), line.field("blame"), line.field("route")), (Some("no-route"), Some("client"), None), "{}", line.text);
    assert_eq!(line.value("attempts").and_then(serde_json::Value::as_u64), Some(0));
    let lines = gateway.stop().unwrap();
    assert_eq!(lines.iter().filter(|line| line.field("target") == Some("access")).count(), 2);
    assert!(lines.iter().all(|line| line.json.is_some()), "every line is JSON");
    assert!(!lines.iter().any(|line| line.text.contains("s3cret") || line.text.contains("c00kie") || line.text.contains("token")));
}

#[test]
fn a_request_whose_client_left_is_a_line_like_every_other() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire("GET /hang HTTP/1.1\nhost: shop.example\n\n")).unwrap();
    until("it is with the upstream", || upstream.requests() == 1);
    drop(client);
    let line = access(&gateway, "/hang");
    for (field, value) in [("method", "GET"), ("host", "shop.example"), ("route", "all"), ("client", "127.0.0.1"), ("fault", "client-gone")]
    {
        assert_eq!(line.field(field), Some(value), "{}", line.text);
    }
    for (field, value) in [("status", 499), ("attempts", 1)] {
        assert_eq!(line.value(field).and_then(serde_json::Value::as_u64), Some(value), "{}", line.text);
    }
    let lines = gateway.stop().unwrap();
    assert_eq!(lines.iter().filter(|line| line.field("target") == Some("access")).count(), 1);
}

#[test]
fn a_line_cannot_be_forged() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    ask(&gateway, "GET /a%0A{%22message%22:%22forged%22} HTTP/1.1\nhost: a\n\n");
    ask(&gateway, "GET /\"quoted\" HTTP/1.1\nhost: a\n\n");
    access(&gateway, "/\"quoted\"");
    let lines = gateway.stop().unwrap();
    assert!(lines.iter().all(|line| line.json.is_some() && line.message() != "forged"));
}

#[test]
fn the_access_log_can_be_switched_off() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[access_log]\nenabled = false"));
    assert_eq!(ask(&gateway, "GET /a HTTP/1.1\nhost: a\n\n").status, 200);
    let lines = gateway.stop().unwrap();
    assert!(lines.iter().any(|line| line.message() == "Stopped"));
    assert!(!lines.iter().any(|line| line.field("target") == Some("access")));
}
