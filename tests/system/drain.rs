//! The end of a gateway: what is in flight is finished, what is new is refused, and all of it within a time.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use plugway_harness::client::{Answer, Client, get};
use plugway_harness::gateway::Launch;
use plugway_harness::tls;
use plugway_harness::upstream::Upstream;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::common::{BINARY, ask, metric, one_route, run, start, start_tls, two_workers, until, web, wire};
use crate::frames::{self, Frame, HEADERS, PREFACE, SETTINGS, frame};

/// Less than a drain may take by default.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn requests_in_flight_are_finished_and_new_connections_refused() {
    let upstream = Upstream::plain("up").unwrap();
    let (mut gateway, authority) = start_tls(&two_workers(&one_route(&upstream, "")));
    let mut idle = web(&gateway);
    idle.send(wire("GET / HTTP/1.1\nhost: a\n\n")).unwrap();
    assert_eq!(idle.response().unwrap().status, 200);
    let mut untouched = web(&gateway);
    // Two that wait for their head, and one of each protocol that is in the midst of its body.
    let mut slow: Vec<_> = (0..2).map(|_| web(&gateway)).collect();
    for client in &mut slow {
        client.send(wire("GET /held HTTP/1.1\nhost: a\n\n")).unwrap();
    }
    let mut dripping = web(&gateway);
    dripping.send(wire("GET /drip/15/100 HTTP/1.1\nhost: a\n\n")).unwrap();
    run(async {
        let mut http2 = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
        let streaming = http2.send(get("/drip/15/100").unwrap()).await.unwrap();
        until("all are with the upstream", || upstream.requests() == 5);

        gateway.signal(Signal::TERM).unwrap();
        let address = gateway.address("web").unwrap();
        until("new connections are refused", || TcpStream::connect(address).is_err());
        assert!(gateway.is_running());
        assert!(idle.closes().unwrap() && untouched.closes().unwrap());
        assert_eq!(Answer::read(streaming).await.unwrap().text().len(), 15);
    });
    upstream.release();
    for client in &mut slow {
        let response = client.response().unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.header("connection"), Some(&b"close"[..]), "the client must not use it again");
    }
    assert_eq!(dripping.response().unwrap().text().len(), 15);
    let status = gateway.wait(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    let lines = gateway.log().lines();
    assert_eq!(lines.iter().filter(|line| line.field("target") == Some("access")).count(), 5, "{}", gateway.log().text());
    assert!(lines.iter().any(|line| line.message() == "Stopped"));
}

#[test]
fn who_was_accepted_before_is_served_though_its_handshake_comes_after() {
    for protocol in [None, Some(tls::H2)] {
        let upstream = Upstream::plain("up").unwrap();
        let (mut gateway, authority) = start_tls(&two_workers(&one_route(&upstream, "")));
        run(async {
            let address = gateway.address("tls").unwrap();
            let socket = tokio::net::TcpStream::connect(address).await.unwrap();
            until("it is accepted", || metric(&gateway, "plugway_connections_total", &["listener=\"tls\""]) == 1.0);
            gateway.signal(Signal::TERM).unwrap();
            until("new connections are refused", || TcpStream::connect(address).is_err());
            let config = tls::client(&authority, protocol.as_slice(), None).unwrap();
            let mut stream = TlsConnector::from(config).connect("example.com".try_into().unwrap(), socket).await.unwrap();
            if protocol.is_some() {
                let lines = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "example.com")];
                let ask = frame(HEADERS, frames::END_HEADERS | frames::END_STREAM, 1, &frames::headers(&lines));
                stream.write_all(&[PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), ask].concat()).await.unwrap();
                let answered = loop {
                    if let Frame { kind: HEADERS, stream, payload } = frames::read(&mut stream).await.unwrap() {
                        break (stream, payload[0]);
                    }
                };
                // The first line is `:status 200`, an index of the static table.
                assert_eq!(answered, (1, 0x88));
            } else {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n").await.unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                let text = String::from_utf8_lossy(&answer);
                assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\r\nconnection: close\r\n"), "{text}");
            }
        });
        let status = gateway.wait(PATIENCE).unwrap();
        assert!(status.success() && upstream.requests() == 1, "{protocol:?}: {status}");
    }
}

#[test]
fn readiness_ends_when_draining_begins() {
    let upstream = Upstream::plain("up").unwrap();
    let mut gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire("GET /held HTTP/1.1\nhost: a\n\n")).unwrap();
    until("it is with the upstream", || upstream.requests() == 1);
    let ask_admin = |path: &str| {
        let mut admin = plugway_harness::raw::Raw::connect(gateway.admin().unwrap()).unwrap();
        admin.send(wire(&format!("GET {path} HTTP/1.1\nhost: admin\nconnection: close\n\n"))).unwrap();
        admin.response().unwrap()
    };
    assert_eq!(ask_admin("/readyz").status, 200);
    gateway.signal(Signal::INT).unwrap();
    until("it is not ready any more", || ask_admin("/readyz").status == 503);
    assert_eq!(ask_admin("/healthz").status, 200, "draining is not being ill");
    let status: serde_json::Value = serde_json::from_slice(&ask_admin("/status").body).unwrap();
    assert_eq!(status["draining"], true);
    upstream.release();
    assert_eq!(client.response().unwrap().status, 200);
    assert!(gateway.wait(PATIENCE).unwrap().success());
}

#[test]
fn a_second_signal_ends_at_once() {
    for (first, second) in
        [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT), (Signal::INT, Signal::TERM), (Signal::TERM, Signal::INT)]
    {
        let upstream = Upstream::plain("up").unwrap();
        let mut gateway = start(&one_route(&upstream, ""));
        let mut client = web(&gateway);
        client.send(wire("GET /hang HTTP/1.1\nhost: a\n\n")).unwrap();
        until("it is with the upstream", || upstream.requests() == 1);
        gateway.signal(first).unwrap();
        gateway.log().wait(PATIENCE, |line| line.message() == "Draining").unwrap();
        let began = Instant::now();
        gateway.signal(second).unwrap();
        let status = gateway.wait(PATIENCE).unwrap();
        assert!(began.elapsed() < PATIENCE, "{first:?}, {second:?}: {:?}", began.elapsed());
        assert_eq!(status.code(), Some(130), "{first:?}, {second:?}");
        assert!(client.closes().unwrap(), "{first:?}, {second:?}");
    }
}

#[test]
fn who_is_told_to_end_as_soon_as_it_serves_drains() {
    let upstream = Upstream::plain("up").unwrap();
    for _ in 0..10 {
        let mut gateway = start(&one_route(&upstream, ""));
        gateway.signal(Signal::TERM).unwrap();
        let status = gateway.wait(PATIENCE).unwrap();
        assert!(status.success(), "{status}: {}", gateway.log().text());
        assert!(gateway.log().lines().iter().any(|line| line.message() == "Draining"), "{}", gateway.log().text());
    }
}

#[test]
fn draining_ends_when_its_time_is_over() {
    let upstream = Upstream::plain("up").unwrap();
    let mut gateway = start(&two_workers(&one_route(&upstream, "[timeouts]\ndrain = \"500ms\"")));
    let mut client = web(&gateway);
    client.send(wire("GET /hang HTTP/1.1\nhost: a\n\n")).unwrap();
    until("it is with the upstream", || upstream.requests() == 1);
    let began = Instant::now();
    gateway.signal(Signal::TERM).unwrap();
    let status = gateway.wait(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    assert!((Duration::from_millis(500)..PATIENCE).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(client.closes().unwrap());
    let lines = gateway.log().lines();
    assert!(lines.iter().any(|line| line.message() == "Connections were cut off"), "{}", gateway.log().text());
    // What was cut off is told of as every request is, and it was not the client who left.
    let line = lines.iter().find(|line| line.field("target") == Some("access"));
    let line = line.unwrap_or_else(|| panic!("no line of it in {}", gateway.log().text()));
    assert_eq!((line.field("path"), line.field("fault")), (Some("/hang"), Some("gateway-stopped")), "{}", line.text);
    assert_eq!(line.value("status"), Some(&503.into()), "{}", line.text);
}

#[test]
fn a_gateway_without_work_ends_at_once() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_route(&upstream, "")));
    assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
    let began = Instant::now();
    gateway.stop().unwrap();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn a_second_gateway_on_the_same_address_says_what_is_wrong() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_route(&upstream, "")));
    let web = gateway.address("web").unwrap();
    let admin = gateway.admin().unwrap();
    let config = one_route(&upstream, "");
    let same_web = config.replacen("127.0.0.1:0", &web.to_string(), 1);
    let error = Launch::new(BINARY).unwrap().start(&same_web).unwrap_err().to_string();
    assert!(error.contains(&format!("listen.web: {web} is in use")), "{error}");
    let same_admin = config.replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{admin}\""));
    let error = Launch::new(BINARY).unwrap().start(&same_admin).unwrap_err().to_string();
    assert!(error.contains(&format!("admin: {admin} is in use")), "{error}");
    // The first one is unharmed.
    for _ in 0..10 {
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
    }
    // What it leaves behind does not keep the next one from its address.
    gateway.stop().unwrap();
    assert_eq!(ask(&start(&same_web), "GET / HTTP/1.1\nhost: a\n\n").status, 200);
}
