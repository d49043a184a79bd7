//! Trailers: sent on where they were announced (and, in HTTP/1.1, asked for), dropped otherwise. RFC 9110, section 6.5.

use std::io::Write;

use http::{HeaderMap, HeaderValue, Method};
use plugway_harness::body;
use plugway_harness::client::{Answer, Client, Connection, request};
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::{Settings, Upstream};

use crate::common::{Scripted, ask, one_route, one_upstream, read_head, run, start, start_tls, wire};

fn names(response: &RawResponse) -> Vec<(&str, &[u8])> {
    let mut names: Vec<_> = response.trailers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    names.sort_unstable();
    names
}

const BODY: &str = "5\nhello\n0\nx-a: 1\nx-b: 2\n\n";

#[test]
fn announced_trailers_travel_both_ways_over_http1() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let head = "POST /trailers HTTP/1.1\nhost: a\ntransfer-encoding: chunked\nte: trailers\nconnection: te\n";
    let both = ask(&gateway, &format!("{head}trailer: x-a, x-b\n\n{BODY}"));
    assert_eq!(both.text(), "before the trailers\n");
    assert_eq!(names(&both), [("x-echo-x-a", &b"1"[..]), ("x-echo-x-b", b"2"), ("x-sum", b"5")]);
    let one = ask(&gateway, &format!("{head}trailer: x-b\n\n{BODY}"));
    assert_eq!(names(&one), [("x-echo-x-b", &b"2"[..]), ("x-sum", b"5")]);
    let none = ask(&gateway, &format!("{head}\n{BODY}"));
    assert_eq!(names(&none), [("x-sum", &b"5"[..])]);
}

#[test]
fn a_client_that_did_not_ask_gets_the_body_without_trailers() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let answer = ask(&gateway, &format!("POST /trailers HTTP/1.1\nhost: a\ntransfer-encoding: chunked\ntrailer: x-a\n\n{BODY}"));
    assert_eq!(answer.text(), "before the trailers\n");
    assert!(answer.trailers.is_empty());
    assert_eq!(answer.header("trailer"), None);
}

#[test]
fn trailers_nobody_announced_are_dropped_and_the_body_is_whole() {
    let upstream = Scripted::start(|_, stream| {
        read_head(stream);
        stream.write_all(&wire("HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\nhello\n0\nx-a: 1\n\n")).unwrap();
    });
    let gateway = start(&one_upstream(&[upstream.url()], "", ""));
    let answer = ask(&gateway, "GET / HTTP/1.1\nhost: a\nte: trailers\nconnection: te\n\n");
    assert_eq!(answer.text(), "hello");
    assert!(answer.trailers.is_empty());
}

/// Sends a body with the trailer `x-a`.
async fn with_trailer(connection: &mut Connection, announced: bool) -> Answer {
    let trailers = HeaderMap::from_iter([("x-a".parse().unwrap(), HeaderValue::from_static("1"))]);
    let mut sent = request(Method::POST, "/trailers", body::with_trailers("hello", trailers)).unwrap();
    sent.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    if announced {
        sent.headers_mut().insert("trailer", HeaderValue::from_static("x-a"));
    }
    connection.request(sent).await.unwrap()
}

#[test]
fn trailers_travel_both_ways_for_a_client_of_http2() {
    for upstream_http2 in [false, true] {
        let upstream = Upstream::start(&Settings { http2: upstream_http2, ..Settings::new("up") }).unwrap();
        let protocol = if upstream_http2 { "http2" } else { "http1" };
        let (gateway, authority) = start_tls(&one_upstream(&[upstream.url()], &format!("protocol = \"{protocol}\""), ""));
        run(async {
            let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2();
            let mut connection = client.connect().await.unwrap();
            let answer = with_trailer(&mut connection, true).await;
            assert_eq!(answer.text(), "before the trailers\n");
            assert_eq!(answer.trailers.get("x-sum").unwrap(), "5", "{protocol}");
            assert_eq!(answer.trailers.get("x-echo-x-a").unwrap(), "1", "{protocol}");
            let answer = with_trailer(&mut connection, false).await;
            assert_eq!(answer.trailers.get("x-sum").unwrap(), "5", "{protocol}");
            // HTTP/2 carries them without an announcement; HTTP/1.1 cannot.
            assert_eq!(answer.trailers.contains_key("x-echo-x-a"), upstream_http2);
        });
    }
}
