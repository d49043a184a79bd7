//! Messages through the gateway, both ways: heads, methods, connections.

mod connection_limits;
mod faults;
mod http2;
mod leaving;
mod retries;

use std::io::Write;

use plugway_harness::client::reported;
use plugway_harness::upstream::Upstream;
use serde_json::json;

use crate::common::{Scripted, ask, assert_problem, json, metric, one_route, one_upstream, read_head, start, until, web, wire};

#[test]
fn a_request_goes_through_and_both_sides_see_what_they_should() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let response = ask(&gateway, "GET /a/../b?q=1 HTTP/1.1\nhost: example.com\nx-keep: 2\n\n");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-upstream"), Some(&b"up"[..]));
    let report = json(&response);
    assert_eq!(report["target"], "/b?q=1", "{report:#}");
    assert_eq!(report["version"], "HTTP/1.1");
    assert_eq!(reported(&report, "host"), ["example.com"]);
    assert_eq!(reported(&report, "x-keep"), ["2"]);
}

#[test]
fn a_target_that_is_too_long_in_normal_form_is_the_clients_fault() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    // Each becomes three: `%5B`.
    let response = ask(&gateway, &format!("GET /{} HTTP/1.1\nhost: a\n\n", "[".repeat(21_845)));
    assert_problem(&response, 414, "uri-too-long");
    assert_eq!(upstream.requests(), 0);
    let response = ask(&gateway, &format!("GET /{} HTTP/1.1\nhost: a\n\n", "[".repeat(10_000)));
    assert_eq!(json(&response)["target"].as_str().map(str::len), Some(30_001));
}

#[test]
fn connection_headers_of_a_request_end_at_the_gateway() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let response = ask(
        &gateway,
        "GET / HTTP/1.1\nhost: example.com\nconnection: X-Drop, keep-alive, upgrade\nx-drop: 1\nkeep-alive: timeout=9\nproxy-connection: x\n\
         proxy-authorization: Basic eA==\nte: gzip\nupgrade: h2c\nhttp2-settings: AAMAAABk\nx-keep: 2\n\n",
    );
    let report = json(&response);
    let gone = [
        "connection",
        "x-drop",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "http2-settings",
        "transfer-encoding",
    ];
    for name in gone {
        assert!(reported(&report, name).is_empty(), "{name} in {report:#}");
    }
    assert_eq!(reported(&report, "x-keep"), ["2"]);
}

#[test]
fn connection_headers_of_a_response_end_at_the_gateway() {
    let upstream = Scripted::start(|_, stream| {
        read_head(stream);
        let head = "HTTP/1.1 200 OK\nconnection: X-Drop, close\nx-drop: 1\nkeep-alive: timeout=9\nproxy-authenticate: Basic\nupgrade: h2c\nx-keep: 2\n";
        stream.write_all(&wire(&format!("{head}content-length: 2\n\nok"))).unwrap();
    });
    let gateway = start(&one_upstream(&[upstream.url()], "", ""));
    let response = ask(&gateway, "GET / HTTP/1.1\nhost: example.com\n\n");
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    for name in ["connection", "x-drop", "keep-alive", "proxy-authenticate", "upgrade"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.header("x-keep"), Some(&b"2"[..]));
}

#[test]
fn the_target_of_an_absolute_form_is_the_host() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let report = json(&ask(&gateway, "GET http://Other.Example:81/x?y=1 HTTP/1.1\nhost: example.com\n\n"));
    assert_eq!(report["target"], "/x?y=1");
    assert_eq!(reported(&report, "host"), ["other.example:81"]);
    let report = json(&ask(&gateway, "GET http://other.example HTTP/1.1\nhost: example.com\n\n"));
    assert_eq!(report["target"], "/");
}

#[test]
fn the_upstream_sees_the_host_that_was_configured() {
    let upstream = Upstream::plain("up").unwrap();
    let own = upstream.address().to_string();
    for (policy, wanted) in
        [(r#""client""#, "shop.example:8080"), (r#""endpoint""#, own.as_str()), (r#"{ fixed = "inner.example" }"#, "inner.example")]
    {
        let gateway = start(&one_upstream(&[upstream.url()], &format!("host = {policy}"), ""));
        for received in ["Shop.Example:8080", "shop.example:8080"] {
            let report = json(&ask(&gateway, &format!("GET / HTTP/1.1\nhost: {received}\n\n")));
            assert_eq!(reported(&report, "host"), [wanted], "{policy} {received}");
            assert_eq!(reported(&report, "x-forwarded-host"), ["shop.example:8080"], "{policy} {received}");
        }
    }
}

#[test]
fn options_of_the_whole_server_reaches_no_upstream() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    assert_problem(&ask(&gateway, "OPTIONS * HTTP/1.1\nhost: example.com\n\n"), 404, "no-route");
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn what_is_not_published_is_a_problem_without_internals() {
    let upstream = Upstream::plain("up").unwrap();
    let config = one_route(&upstream, "").replace(r#"{ path = "/*" }"#, r#"{ path = "/a", methods = ["GET", "POST"] }"#);
    let gateway = start(&config);
    let missing = ask(&gateway, "GET /b HTTP/1.1\nhost: example.com\n\n");
    assert_problem(&missing, 404, "no-route");
    assert_eq!(missing.header("cache-control"), Some(&b"no-store"[..]));
    let refused = ask(&gateway, "DELETE /a HTTP/1.1\nhost: example.com\n\n");
    assert_problem(&refused, 405, "method-not-allowed");
    let allow = String::from_utf8(refused.header("allow").unwrap().to_vec()).unwrap();
    let mut allow: Vec<_> = allow.split(',').map(str::trim).collect();
    allow.sort_unstable();
    assert_eq!(allow, ["GET", "HEAD", "POST"]);
    for method in ["TRACE", "CONNECT"] {
        let target = if method == "CONNECT" { "example.com:80" } else { "/a" };
        assert_eq!(ask(&gateway, &format!("{method} {target} HTTP/1.1\nhost: example.com:80\n\n")).status, 501, "{method}");
    }
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn answers_without_a_body_leave_the_connection_usable_and_are_no_faults() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    for (method, target, status, length) in [
        ("HEAD", "/bytes/1000", 200, Some("1000")),
        ("GET", "/status/204", 204, None),
        ("GET", "/status/304", 304, None),
        ("HEAD", "/chunked/1000", 200, None),
        ("POST", "/status/200", 200, Some("0")),
        ("GET", "/bytes/3", 200, Some("3")),
    ] {
        client.send(wire(&format!("{method} {target} HTTP/1.1\nhost: example.com\n\n"))).unwrap();
        let response = client.response_to(method).unwrap();
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.header("content-length").map(|value| std::str::from_utf8(value).unwrap()), length, "{method} {target}");
        assert_eq!(response.body.len(), if target == "/bytes/3" { 3 } else { 0 });
    }
    until("every request is counted", || metric(&gateway, "plugway_requests_total", &[]) == 6.0);
    assert_eq!(metric(&gateway, "plugway_faults_total", &[]), 0.0, "{}", gateway.log().text());
}

#[test]
fn a_problem_has_no_body_for_head() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "").replace("/*", "/a"));
    let mut client = web(&gateway);
    client.send(wire("HEAD /b HTTP/1.1\nhost: example.com\n\nGET /a HTTP/1.1\nhost: example.com\n\n")).unwrap();
    let head = client.response_to("HEAD").unwrap();
    assert_eq!(head.status, 404);
    assert_ne!(head.header("content-length"), Some(&b"0"[..]));
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn interim_answers_of_an_upstream_do_not_stand_for_the_final_one() {
    let upstream = Scripted::start(|_, stream| {
        read_head(stream);
        let interim = "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nlink: </a.css>; rel=preload\n\n";
        stream.write_all(&wire(&format!("{interim}HTTP/1.1 200 OK\ncontent-length: 2\n\nok"))).unwrap();
    });
    let gateway = start(&one_upstream(&[upstream.url()], "", ""));
    let response = ask(&gateway, "GET / HTTP/1.1\nhost: example.com\n\n");
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
}

#[test]
fn a_client_of_http_1_0_gets_bodies_it_can_read() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let response = ask(&gateway, "GET /chunked/50000 HTTP/1.0\nhost: example.com\n\n");
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.body.len(), 50_000);
    let report = json(&ask(&gateway, "POST /x HTTP/1.0\nhost: example.com\ncontent-length: 5\n\nhello"));
    assert_eq!(report["version"], "HTTP/1.1");
    assert_eq!(report["body"]["length"], 5);
    assert_eq!(reported(&report, "via"), ["1.0 plugway"]);
    let mut client = web(&gateway);
    for _ in 0..2 {
        client.send(wire("GET /bytes/4 HTTP/1.0\nhost: example.com\nconnection: keep-alive\n\n")).unwrap();
        assert_eq!(client.response().unwrap().body.len(), 4);
    }
}

#[test]
fn connections_of_both_sides_are_used_again() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    for number in 0..100 {
        let request = if number % 2 == 0 {
            "GET /bytes/70000 HTTP/1.1\nhost: a\n\n"
        } else {
            "POST /x HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello"
        };
        client.send(wire(request)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    assert_eq!((upstream.requests(), upstream.connections()), (100, 1));
    assert_eq!(metric(&gateway, "plugway_connections_total", &[]), 1.0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    let mut requests = String::from("GET /slow/200 HTTP/1.1\nhost: a\n\n");
    for number in 0..20 {
        requests.push_str(&format!("POST /n/{number} HTTP/1.1\nhost: a\ncontent-length: 3\n\nabc"));
    }
    client.send(wire(&requests)).unwrap();
    assert_eq!(json(&client.response().unwrap())["target"], "/slow/200");
    for number in 0..20 {
        let report = json(&client.response().unwrap());
        assert_eq!(report["target"], format!("/n/{number}"));
        assert_eq!(report["body"]["length"], json!(3));
    }
}
