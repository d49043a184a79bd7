//! A client says behind its body who it would like to be: what only the gateway may say is taken from trailers, too (RFC 9110, section 6.5.1), and the
//! rest goes on.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use plugway_harness::body;
use plugway_harness::client::{Client, Connection, request};
use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::{Settings, Upstream};
use serde_json::json;

use super::auth;
use crate::common::{run, start_tls};
use crate::guest::{config, route};
use crate::issuer::Issuer;

/// What a client may not say, as the headers of this gateway are: `x-user` is set, `x-tenant` is about a claim that the token does not have,
/// `x-consumer` is of a plugin that let nobody pass, `x-gateway` and `x-left` are of the forwarder, and `x-api-key` is kept from the upstream.
const FORGED: [&str; 20] = [
    "x-user",
    "x-tenant",
    "x-consumer",
    "x-gateway",
    "x-left",
    "x-api-key",
    "x_user",
    "authorization",
    "cookie",
    "dpop",
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-real-ip",
    "x-request-id",
    "traceparent",
    "tracestate",
];

fn gateway(issuer: &Issuer, upstream: &Upstream, protocol: &str) -> (Gateway, plugway_harness::ca::Authority) {
    let claims = "claims_as_headers = { \"x-user\" = \"sub\", \"x-tenant\" = \"tenant\" }\nanonymous = {}";
    let more = format!(
        "protocol = \"{protocol}\"\n[plugins.keys]\nsource = \"builtin:api-key\"\ngrants = {{ crypto = {{}} }}\n\
         config = {{ consumer_header = \"x-consumer\", optional = true, consumers = [{{ name = \"shop\", keys = [\"sha256:{}\"] }}] }}\n\
         [plugins.edge]\nsource = \"builtin:tls-forward\"\nconfig = {{ headers = {{ set = {{ \"x-gateway\" = \"plugway\" }}, remove = [\"x-left\"] }} }}\n",
        "0".repeat(64)
    );
    let chain = "plugins = [\"keys\", \"auth\"]\nforwarder = \"edge\"";
    start_tls(&config(upstream, &[&more, &auth(issuer, "", claims), &route(chain)]))
}

fn announced() -> String {
    format!("{}, x-sum", FORGED.join(", "))
}

/// Trailers as the upstream's report has them.
fn trailers(report: &serde_json::Value) -> Vec<(String, String)> {
    serde_json::from_value(report["trailers"].clone()).unwrap()
}

async fn send(connection: &mut Connection, token: Option<&str>) -> serde_json::Value {
    let mut trailers: HeaderMap = FORGED.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("root"))).collect();
    trailers.insert("x-sum", HeaderValue::from_static("5"));
    let mut sent = request(Method::POST, "/", body::with_trailers("hello", trailers)).unwrap();
    sent.headers_mut().insert("trailer", announced().parse().unwrap());
    if let Some(token) = token {
        sent.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let answer = connection.request(sent).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().unwrap()
}

#[test]
fn a_client_cannot_say_behind_its_body_what_only_the_gateway_may_say() {
    for upstream_http2 in [false, true] {
        let (issuer, upstream) = (Issuer::new(), Upstream::start(&Settings { http2: upstream_http2, ..Settings::new("up") }).unwrap());
        let (gateway, authority) = gateway(&issuer, &upstream, if upstream_http2 { "http2" } else { "http1" });
        let token = issuer.token("orders:read", 600);

        // HTTP/1.1, byte by byte: hyper as a client would not send all of them.
        for credentials in [format!("authorization: Bearer {token}\r\n"), String::new()] {
            let before = upstream.wire().len();
            let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
            let lines: String = FORGED.iter().map(|name| format!("{name}: root\r\n")).collect();
            let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{credentials}transfer-encoding: chunked\r\ntrailer: {}\r\n\r\n", announced());
            raw.send(format!("{head}5\r\nhello\r\n0\r\n{lines}x-sum: 5\r\nX-USER: root\r\n\r\n")).unwrap();
            let answer = raw.response().unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            let report = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(trailers(&report), [("x-sum".to_owned(), "5".to_owned())], "{report}");
            if !upstream_http2 {
                let wire = upstream.wire()[before..].to_vec();
                let text = String::from_utf8(wire).unwrap();
                let (head, rest) = text.split_once("\r\n\r\n").unwrap();
                assert_eq!(rest, "5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n", "{text}");
                assert!(head.contains("x-gateway: plugway") && !head.contains("root"), "{text}");
            }
        }
        // HTTP/2, where nothing need be announced.
        run(async {
            let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2();
            let mut connection = client.connect().await.unwrap();
            for token in [Some(token.as_str()), None] {
                let report = send(&mut connection, token).await;
                assert_eq!(trailers(&report), [("x-sum".to_owned(), "5".to_owned())], "{report}");
                assert_eq!(report["body"]["length"], json!(5));
            }
        });
    }
}

#[test]
fn where_nothing_is_left_of_the_trailers_the_body_is_whole() {
    for upstream_http2 in [false, true] {
        let (issuer, upstream) = (Issuer::new(), Upstream::start(&Settings { http2: upstream_http2, ..Settings::new("up") }).unwrap());
        let (gateway, _authority) = gateway(&issuer, &upstream, if upstream_http2 { "http2" } else { "http1" });
        let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
        for _ in 0..2 {
            raw.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-user\r\n\r\n5\r\nhello\r\n0\r\nx-user: root\r\n\r\n").unwrap();
            let report: serde_json::Value = serde_json::from_slice(&raw.response().unwrap().body).unwrap();
            assert_eq!((trailers(&report), &report["body"]["length"]), (Vec::new(), &json!(5)), "{report}");
        }
        assert_eq!((upstream.requests(), upstream.connections()), (2, 1), "the connections can be used again");
    }
}
