//! Who is calling: what an upstream is told, whom the gateway believes, and what identifies a request.

use std::time::Duration;

use plugway_harness::client::{Client, reported};
use plugway_harness::gateway::{Gateway, Line};
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use crate::common::{ask, assert_problem, json, one_route, run, start, start_tls, wire};

const CLAIMS: &str = "x-forwarded-for: 6.6.6.6, 10.1.1.1\nforwarded: for=6.6.6.6\nx-forwarded-host: evil.example\nx-forwarded-proto: https\n\
    x-forwarded-port: 1\nx-real-ip: 6.6.6.6\nvia: 1.1 before\nx-request-id: id-of-the-proxy\n";

/// Sends the claims; gives the upstream's report and the gateway's log line.
fn claim(gateway: &Gateway, claims: &str, target: &str) -> (Value, Line) {
    let report = json(&ask(gateway, &format!("GET {target} HTTP/1.1\nhost: shop.example:81\n{claims}\n")));
    let line = gateway.log().wait(Duration::from_secs(10), |line| line.field("path") == Some(target)).unwrap();
    (report, line)
}

fn trusting(upstream: &Upstream, networks: &str) -> Gateway {
    start(&format!("trusted_proxies = [{networks}]\n{}", one_route(upstream, "")))
}

#[test]
fn a_stranger_cannot_say_who_it_is() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = trusting(&upstream, "\"192.0.2.0/24\"");
    let (report, line) = claim(&gateway, CLAIMS, "/stranger");
    assert_eq!(reported(&report, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(reported(&report, "forwarded"), ["for=127.0.0.1;host=\"shop.example:81\";proto=http"]);
    assert_eq!(reported(&report, "x-forwarded-host"), ["shop.example:81"]);
    assert_eq!(reported(&report, "x-forwarded-proto"), ["http"]);
    for name in ["x-forwarded-port", "x-real-ip"] {
        assert!(reported(&report, name).is_empty(), "{name} in {report:#}");
    }
    // `Via` is a trace of the way, not a claim of who somebody is.
    assert_eq!(reported(&report, "via"), ["1.1 before", "1.1 plugway"]);
    assert_eq!(line.field("client"), Some("127.0.0.1"));
    assert_ne!(line.field("request_id"), Some("id-of-the-proxy"));
}

#[test]
fn what_a_trusted_proxy_says_is_kept_and_added_to() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = trusting(&upstream, "\"127.0.0.0/8\", \"10.0.0.0/8\"");
    let (report, line) = claim(&gateway, CLAIMS, "/trusted");
    assert_eq!(reported(&report, "x-forwarded-for").join(", "), "6.6.6.6, 10.1.1.1, 127.0.0.1");
    // The proxies write the one of the two, so the other is the client's own word.
    assert_eq!(reported(&report, "forwarded"), ["for=127.0.0.1;host=\"shop.example:81\";proto=http"]);
    assert_eq!(reported(&report, "x-forwarded-host"), ["evil.example"]);
    assert_eq!(reported(&report, "x-forwarded-proto"), ["https"]);
    assert_eq!(reported(&report, "x-real-ip"), ["6.6.6.6"]);
    assert_eq!(reported(&report, "x-request-id"), ["id-of-the-proxy"]);
    assert_eq!(line.field("client"), Some("6.6.6.6"));
    assert_eq!(line.field("request_id"), Some("id-of-the-proxy"));
}

#[test]
fn over_tls_it_is_said_that_the_client_used_it() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, ""));
    let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority);
    for client in [client.clone(), client.http2()] {
        let report = run(client.get("/")).unwrap().json().unwrap();
        assert_eq!(reported(&report, "forwarded"), ["for=127.0.0.1;host=example.com;proto=https"], "{client:?}");
        assert_eq!(reported(&report, "x-forwarded-proto"), ["https"], "{client:?}");
    }
}

/// RFC 7239, section 6: an address of IPv6 is in brackets, and so in quotes.
#[test]
fn a_client_of_ipv6_is_named_in_brackets() {
    drop(std::net::TcpListener::bind("[::1]:0").expect("IPv6 on this machine's loopback interface, which this test cannot do without"));
    let upstream = Upstream::plain("up").unwrap();
    for (trusted, client) in [("", "::1"), ("trusted_proxies = [\"::1\"]\n", "2001:db8::7")] {
        let config = one_route(&upstream, "").replacen("127.0.0.1:0", "[::1]:0", 1);
        let gateway = start(&format!("{trusted}{config}"));
        let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
        raw.send(wire("GET /six HTTP/1.1\nhost: [2001:db8::1]:81\nx-forwarded-for: 2001:db8::7\n\n")).unwrap();
        let report = json(&raw.response().unwrap());
        assert_eq!(reported(&report, "forwarded"), ["for=\"[::1]\";host=\"[2001:db8::1]:81\";proto=http"], "{trusted}");
        // This one has no brackets, as everybody writes it.
        assert_eq!(reported(&report, "x-forwarded-for").last(), Some(&"::1"), "{trusted}");
        let line = gateway.log().wait(Duration::from_secs(10), |line| line.field("path") == Some("/six")).unwrap();
        assert_eq!(line.field("client"), Some(client), "{trusted}");
    }
}

/// RFC 9110, section 7.4: who ended TLS in front of this connection may say `https` on it, and nobody else.
#[test]
fn a_target_of_https_in_the_clear_is_taken_of_a_trusted_proxy_alone() {
    let upstream = Upstream::plain("up").unwrap();
    let request = "GET https://shop.example/a HTTP/1.1\nhost: shop.example\n\n";
    assert_problem(&ask(&trusting(&upstream, "\"192.0.2.0/24\""), request), 421, "misdirected-request");
    assert_eq!(upstream.bytes(), 0);
    let report = json(&ask(&trusting(&upstream, "\"127.0.0.1\""), request));
    assert_eq!(report["target"], "/a");
    assert_eq!(reported(&report, "host"), ["shop.example"]);
}

/// What makes variables of headers takes `X_User` for `X-User`, which a plugin sets or strips.
#[test]
fn a_header_with_an_underscore_is_dropped_unless_it_is_to_be_kept() {
    let upstream = Upstream::plain("up").unwrap();
    let claims = "X_User: mallory\nx_forwarded_for: 6.6.6.6\nx_user: twice\nx-user: alice\n";
    let (report, _) = claim(&start(&one_route(&upstream, "")), claims, "/dropped");
    for name in ["x_user", "x_forwarded_for"] {
        assert!(reported(&report, name).is_empty(), "{name} in {report:#}");
    }
    assert_eq!(reported(&report, "x-user"), ["alice"]);
    let gateway = start(&format!("header_underscores = \"keep\"\n{}", one_route(&upstream, "")));
    let (report, _) = claim(&gateway, claims, "/kept");
    assert_eq!(reported(&report, "x_user"), ["mallory", "twice"]);
}

#[test]
fn the_client_is_the_nearest_address_that_is_no_trusted_proxy() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = trusting(&upstream, "\"127.0.0.1\", \"10.0.0.0/8\"");
    for (target, claims, client) in [
        ("/spoofed", "x-forwarded-for: 6.6.6.6, 192.0.2.7, 10.0.0.2\n", "192.0.2.7"),
        ("/two-lines", "x-forwarded-for: 6.6.6.6\nx-forwarded-for: 192.0.2.8:4711\n", "192.0.2.8"),
        ("/other", "forwarded: for=6.6.6.6\nx-forwarded-for: 192.0.2.9\n", "192.0.2.9"),
        ("/other-alone", "forwarded: for=6.6.6.6\n", "127.0.0.1"),
        ("/unknown", "x-forwarded-for: unknown\n", "127.0.0.1"),
        ("/no-text", "x-forwarded-for: \u{e9}, 192.0.2.10\n", "192.0.2.10"),
        ("/none", "", "127.0.0.1"),
    ] {
        let (_, line) = claim(&gateway, claims, target);
        assert_eq!(line.field("client"), Some(client), "{target}");
    }
}

#[test]
fn proxies_that_write_forwarded_are_believed_by_that_alone() {
    let upstream = Upstream::plain("up").unwrap();
    let text = format!("trusted_proxies = [\"127.0.0.1\"]\nclient_address_header = \"forwarded\"\n{}", one_route(&upstream, ""));
    let gateway = start(&text);
    for (target, claims, client) in [
        ("/rfc7239", "forwarded: for=6.6.6.6, for=\"[2001:db8::1]:443\"\nx-forwarded-for: 7.7.7.7\n", "2001:db8::1"),
        ("/other-alone", "x-forwarded-for: 7.7.7.7\n", "127.0.0.1"),
        ("/unknown", "forwarded: for=unknown\n", "127.0.0.1"),
    ] {
        let (report, line) = claim(&gateway, claims, target);
        assert_eq!(line.field("client"), Some(client), "{target}");
        assert_eq!(reported(&report, "x-forwarded-for"), ["127.0.0.1"], "{target}");
        assert!(reported(&report, "forwarded").join(", ").ends_with("for=127.0.0.1;host=\"shop.example:81\";proto=http"), "{target}");
    }
}

#[test]
fn a_request_has_one_id_everywhere() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut seen = std::collections::HashSet::new();
    for target in ["/1", "/2"] {
        let response = ask(&gateway, &format!("GET {target} HTTP/1.1\nhost: a\nx-request-id: mine\n\n"));
        let report = json(&response);
        let id = reported(&report, "x-request-id").concat();
        assert_eq!(id.len(), 32);
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(response.header("x-request-id"), Some(id.as_bytes()));
        let line = gateway.log().wait(Duration::from_secs(10), |line| line.field("path") == Some(target)).unwrap();
        assert_eq!(line.field("request_id"), Some(id.as_str()));
        assert!(seen.insert(id));
    }
}

#[test]
fn an_id_that_is_no_plain_text_is_not_believed_even_of_a_trusted_proxy() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = trusting(&upstream, "\"127.0.0.1\"");
    for id in ["two words", "", &"x".repeat(129)] {
        let report = json(&ask(&gateway, &format!("GET / HTTP/1.1\nhost: a\nx-request-id: {id}\n\n")));
        let made = reported(&report, "x-request-id");
        assert_eq!(made.len(), 1);
        assert!(made[0].len() == 32 && made[0] != id, "{made:?}");
    }
}

#[test]
fn trace_context_is_kept_when_valid_and_made_otherwise() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let report = json(&ask(&gateway, &format!("GET / HTTP/1.1\nhost: a\ntraceparent: {valid}\ntracestate: a=b\n\n")));
    assert_eq!(reported(&report, "traceparent"), [valid]);
    assert_eq!(reported(&report, "tracestate"), ["a=b"]);
    let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    for given in [String::new(), format!("traceparent: {zero}\n"), "traceparent: nonsense\n".to_owned()] {
        let report = json(&ask(&gateway, &format!("GET / HTTP/1.1\nhost: a\n{given}\n")));
        let made = reported(&report, "traceparent").concat();
        let parts: Vec<_> = made.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{made}");
        assert_ne!(made, zero);
    }
}
