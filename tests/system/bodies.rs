//! Bodies through the gateway: whole, in order, as they come, and not further than they may go.

mod memory;
mod trailers;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use http::Method;
use http_body::Frame;
use http_body_util::BodyExt;
use plugway_harness::body;
use plugway_harness::ca::hex;
use plugway_harness::client::{Client, Connection, reported, request};
use plugway_harness::raw::Raw;
use plugway_harness::upstream::{Settings, Upstream};
use ring::digest::{SHA256, digest};

use crate::common::{
    Refusing, Scripted, ask, assert_problem, json, metric, one_route, one_upstream, read_head, run, start, start_tls, until, web, wire,
};

const LENGTH: u64 = 5_000_003;

/// What `body::pattern` sends.
fn pattern() -> Vec<u8> {
    let chunk: Vec<u8> = (b'a'..=b'z').cycle().take(body::CHUNK).collect();
    chunk.iter().copied().cycle().take(LENGTH as usize).collect()
}

/// Sends a body each way, with its length announced and without.
async fn both_ways(connection: &mut Connection) {
    let expected = pattern();
    let sum = hex(digest(&SHA256, &expected).as_ref());
    for announced in [true, false] {
        let sent = request(Method::POST, "/x", body::pattern(LENGTH, announced)).unwrap();
        let report = connection.request(sent).await.unwrap().json().unwrap();
        assert_eq!(report["body"]["sha256"], sum.as_str(), "{report:#}");
        let target = format!("/{}/{LENGTH}", if announced { "bytes" } else { "chunked" });
        let answer = connection.get(&target).await.unwrap();
        assert_eq!(answer.header("content-length").is_some(), announced);
        assert!(answer.body == expected, "{target}: {} bytes", answer.body.len());
        let echo = connection.request(request(Method::POST, "/echo", body::pattern(LENGTH, announced)).unwrap()).await.unwrap();
        assert!(echo.body == expected, "/echo: {} bytes", echo.body.len());
    }
}

#[test]
fn a_body_that_comes_with_get_goes_on_however_it_is_framed() {
    for protocol in ["http1", "http2"] {
        let upstream = Upstream::start(&Settings { http2: protocol == "http2", ..Settings::new("up") }).unwrap();
        let (gateway, authority) = start_tls(&one_upstream(&[upstream.url()], &format!("protocol = \"{protocol}\""), ""));
        for framed in ["content-length: 5\n\nhello", "transfer-encoding: chunked\n\n5\nhello\n0\n\n"] {
            let report = json(&ask(&gateway, &format!("GET /search HTTP/1.1\nhost: a\n{framed}")));
            assert_eq!((&report["method"], &report["body"]["length"]), (&"GET".into(), &5.into()), "{protocol}, {framed:?}");
        }
        let report = json(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"));
        for name in ["transfer-encoding", "content-length"] {
            assert!(reported(&report, name).is_empty(), "{protocol}: {name} of a body that is none");
        }
        run(async {
            let mut connection = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
            let sent = request(Method::GET, "/search", body::pattern(1_000, false)).unwrap();
            assert_eq!(connection.request(sent).await.unwrap().json().unwrap()["body"]["length"], 1_000, "{protocol}");
        });
    }
}

#[test]
fn bodies_arrive_as_they_were_sent_over_every_pair_of_protocols() {
    for upstream_http2 in [false, true] {
        let upstream = Upstream::start(&Settings { http2: upstream_http2, ..Settings::new("up") }).unwrap();
        let protocol = if upstream_http2 { "http2" } else { "http1" };
        let (gateway, authority) = start_tls(&one_upstream(&[upstream.url()], &format!("protocol = \"{protocol}\""), ""));
        run(async {
            let secure = Client::https(gateway.address("tls").unwrap(), "example.com", &authority);
            for client in [Client::http(gateway.address("web").unwrap(), "example.com"), secure.clone(), secure.http2()] {
                both_ways(&mut client.connect().await.unwrap()).await;
            }
        });
        assert_eq!(upstream.connections(), 1, "{protocol}");
    }
}

#[test]
fn what_an_upstream_has_sent_does_not_wait_for_what_it_will_send() {
    let (go, went) = std::sync::mpsc::channel::<()>();
    let upstream = Scripted::start(move |_, stream| {
        read_head(stream);
        stream.write_all(&wire("HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\nfirst\n")).unwrap();
        went.recv().unwrap();
        stream.write_all(&wire("6\nsecond\n0\n\n")).unwrap();
    });
    let gateway = start(&one_upstream(&[upstream.url()], "", ""));
    run(async {
        let mut connection = Client::http(gateway.address("web").unwrap(), "a").connect().await.unwrap();
        let mut body = connection.send(plugway_harness::client::get("/").unwrap()).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
        go.send(()).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "second");
    });
}

#[test]
fn both_directions_flow_at_the_same_time() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, ""));
    run(async {
        let secure = Client::https(gateway.address("tls").unwrap(), "example.com", &authority);
        for client in [secure.clone(), secure.http2()] {
            let mut connection = client.connect().await.unwrap();
            let (mut sender, body) = body::channel(1);
            sender.send(Frame::data("0".into())).await.unwrap();
            let mut echo = connection.send(request(Method::POST, "/echo", body).unwrap()).await.unwrap().into_body();
            for number in 0..50 {
                let piece = echo.frame().await.unwrap().unwrap().into_data().unwrap();
                assert_eq!(piece, number.to_string());
                sender.send(Frame::data((number + 1).to_string().into())).await.unwrap();
            }
            drop(sender);
            assert_eq!(echo.collect().await.unwrap().to_bytes(), "50");
        }
    });
}

#[test]
fn a_body_that_was_announced_too_large_is_refused_before_the_upstream_hears_of_it() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[limits]\nmax_body_bytes = 1000"));
    let refused = ask(&gateway, "POST /a HTTP/1.1\nhost: a\ncontent-length: 1001\nexpect: 100-continue\n\n");
    assert_problem(&refused, 413, "body-too-large");
    assert_eq!(upstream.bytes(), 0);
    // A client that has sent it all the same reads the answer.
    let refused = ask(&gateway, &format!("POST /a HTTP/1.1\nhost: a\ncontent-length: 100000\n\n{}", "x".repeat(100_000)));
    assert_problem(&refused, 413, "body-too-large");
    assert_eq!(upstream.bytes(), 0);
    let taken = ask(&gateway, &format!("POST /a HTTP/1.1\nhost: a\ncontent-length: 1000\n\n{}", "x".repeat(1000)));
    assert_eq!(json(&taken)["body"]["length"], 1000);
}

#[test]
fn a_body_that_turns_out_too_large_is_broken_off() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "max_body_bytes = 1000"));
    let chunks = |count: usize| format!("{}0\n\n", format!("64\n{}\n", "x".repeat(100)).repeat(count));
    let head = "POST /a HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n";
    assert_eq!(json(&ask(&gateway, &format!("{head}{}", chunks(10))))["body"]["length"], 1000);
    assert_problem(&ask(&gateway, &format!("{head}{}", chunks(11))), 413, "body-too-large");
    run(async {
        let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2();
        let mut connection = client.connect().await.unwrap();
        for announced in [true, false] {
            let answer = connection.request(request(Method::POST, "/a", body::pattern(100_000, announced)).unwrap()).await.unwrap();
            assert_eq!(answer.status, 413);
        }
        assert_eq!(connection.get("/a").await.unwrap().status, 200, "other streams go on");
    });
    until("all are counted", || metric(&gateway, "plugway_faults_total", &["body-too-large"]) == 3.0);
}

#[test]
fn a_body_that_breaks_off_while_it_is_answered_is_not_the_upstreams_fault() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "max_body_bytes = 1000"));
    let mut socket = TcpStream::connect(gateway.address("web").unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(&wire("POST /echo HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n5\nhello\n")).unwrap();
    let mut answer = Vec::new();
    while !answer.windows(5).any(|part| part == b"hello") {
        let mut block = [0; 1024];
        let read = socket.read(&mut block).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&block[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    socket.write_all(&wire(&format!("7d0\n{}\n", "x".repeat(2_000)))).unwrap();
    until("it is counted", || metric(&gateway, "plugway_faults_total", &["body-too-large"]) == 1.0);
    assert_eq!(metric(&gateway, "plugway_faults_total", &["upstream-body-failed"]), 0.0);
    assert_eq!(metric(&gateway, "plugway_requests_total", &["status=\"200\"", "blame=\"client\""]), 1.0);
}

#[test]
fn an_upload_may_take_longer_than_the_upstream_has_for_its_answer() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[upstreams.up.timeouts]\nresponse = \"400ms\""));
    let mut client = web(&gateway);
    client.send(wire("POST /a HTTP/1.1\nhost: a\ncontent-length: 10\n\n")).unwrap();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        client.send("x").unwrap();
    }
    let response = client.response().unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(json(&response)["body"]["length"], 10);
    // Who has all of it has no longer than that.
    let response = ask(&gateway, "POST /hang HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello");
    assert_problem(&response, 504, "upstream-timeout");
}

#[test]
fn an_early_refusal_of_the_upstream_reaches_a_client_that_is_still_sending() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let address = gateway.address("web").unwrap();
    for _ in 0..10 {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(&wire("POST /early-413 HTTP/1.1\nhost: a\ncontent-length: 1000000000\n\n")).unwrap();
        let mut writing = socket.try_clone().unwrap();
        // Ends when the gateway will not take more.
        let writer = std::thread::spawn(move || while writing.write_all(&[b'x'; 65_536]).is_ok() {});
        let mut answer = Vec::new();
        while !answer.ends_with(b"too large\n") {
            let mut block = [0; 1024];
            let read = socket.read(&mut block).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&block[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
        drop(socket.shutdown(std::net::Shutdown::Both));
        writer.join().unwrap();
    }
}

#[test]
fn a_client_is_told_to_continue_when_its_body_is_wanted() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire("POST /a HTTP/1.1\nhost: a\ncontent-length: 5\nexpect: 100-continue\n\n")).unwrap();
    assert_eq!(client.response().unwrap().status, 100);
    client.send("hello").unwrap();
    let report = json(&client.response().unwrap());
    assert_eq!(report["body"]["length"], 5);
    assert!(reported(&report, "expect").is_empty(), "{report:#}");
}

#[test]
fn a_client_whose_body_nobody_wants_is_not_told_to_continue() {
    let refusing = Refusing::new();
    let gateway = start(&one_upstream(&[refusing.url()], "", "").replace("/*", "/a"));
    for (target, status) in [("/a", 502), ("/missing", 404)] {
        let mut client: Raw = web(&gateway);
        client.send(wire(&format!("POST {target} HTTP/1.1\nhost: a\ncontent-length: 5\nexpect: 100-continue\n\n"))).unwrap();
        assert_eq!(client.response().unwrap().status, status);
        // What it might still send must not be read as a request.
        assert!(client.closes().unwrap());
    }
}

#[test]
fn a_body_that_ends_early_reaches_no_upstream_as_whole() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire("POST /a HTTP/1.1\nhost: a\ncontent-length: 10\n\nhello")).unwrap();
    until("the beginning is with the upstream", || upstream.wire().ends_with(b"hello"));
    client.finish().unwrap();
    until("it is counted", || metric(&gateway, "plugway_faults_total", &["client-gone"]) == 1.0);
    assert_eq!(metric(&gateway, "plugway_upstream_attempts_total", &["fault=\"\""]), 0.0);
}
