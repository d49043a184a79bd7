//! Upstreams that fail: which answer a client gets, and when another attempt is made.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use plugway_harness::upstream::{Settings, Upstream};

use crate::common::{
    Refusing, Scripted, ask, assert_problem, json, metric, one_route, one_upstream, read_head, start, status, until, web, wire,
};

/// An address nothing listens on until the test does: it was free a moment ago, and the kernel does not give it out again at once.
fn refused() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_refused_connection_is_a_502() {
    let refusing = Refusing::new();
    let gateway = start(&one_upstream(&[refusing.url()], "", ""));
    let response = ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n");
    assert_problem(&response, 502, "upstream-connect-failed");
    assert_eq!(metric(&gateway, "plugway_upstream_attempts_total", &["upstream-connect-failed"]), 2.0);
}

#[test]
fn a_name_that_does_not_resolve_is_a_502() {
    // There is no such name anywhere (RFC 6761, section 6.4); a resolver that cannot ask takes its time to say so.
    let name = "http://no-such-host.invalid:80".to_owned();
    let gateway = start(&one_upstream(&[name], "max_attempts = 1\ntimeouts = { connect = \"60s\" }", ""));
    assert_problem(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"), 502, "upstream-unresolved");
    assert_eq!(metric(&gateway, "plugway_upstream_attempts_total", &["upstream-unresolved"]), 1.0);
}

#[test]
fn an_endpoint_that_keeps_refusing_is_left_alone() {
    let (refusing, upstream) = (Refusing::new(), Upstream::plain("up").unwrap());
    let gateway = start(&one_upstream(&[refusing.url(), upstream.url()], "", ""));
    for _ in 0..60 {
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
    }
    // Five failures in a row, then one try a second: a share of 30 would be that of an endpoint that works.
    let failed = metric(&gateway, "plugway_upstream_attempts_total", &["upstream-connect-failed"]);
    assert!((5.0..15.0).contains(&failed), "{failed}");
    let endpoints = &status(&gateway)["upstreams"][0]["endpoints"];
    assert_eq!(endpoints[1]["available"], true, "{endpoints:#}");
}

#[test]
fn the_only_endpoint_is_tried_however_often_it_failed() {
    let hashed = "router = \"by-path\"\n[plugins.by-path]\nsource = \"builtin:hash-router\"\nconfig = { key = \"path\" }\n";
    for more in ["", hashed] {
        let address = refused();
        let gateway = start(&one_upstream(std::slice::from_ref(&address), "max_attempts = 1", more));
        for _ in 0..8 {
            assert_problem(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"), 502, "upstream-connect-failed");
        }
        let address = address.trim_start_matches("http://").parse().unwrap();
        let _upstream = Upstream::start(&Settings { address, ..Settings::new("back") }).unwrap();
        assert_eq!(json(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"))["upstream"], "back", "{more}");
    }
}

#[test]
fn an_upstream_that_closes_without_an_answer_is_asked_again_only_where_that_is_safe() {
    let both = [Upstream::plain("one").unwrap(), Upstream::plain("two").unwrap()];
    let requests = || both.iter().map(Upstream::requests).sum::<u64>();
    let gateway = start(&one_upstream(&[both[0].url(), both[1].url()], "max_attempts = 3", ""));
    for (request, attempts) in [
        ("GET /close HTTP/1.1\nhost: a\n\n", 3),
        ("DELETE /close HTTP/1.1\nhost: a\n\n", 3),
        ("POST /close HTTP/1.1\nhost: a\n\n", 1),
        ("PATCH /close HTTP/1.1\nhost: a\ncontent-length: 0\n\n", 1),
        ("POST /close HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello", 1),
        ("PUT /close HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello", 1),
    ] {
        let before = requests();
        assert_problem(&ask(&gateway, request), 502, "upstream-reset");
        assert_eq!(requests() - before, attempts, "{request}");
    }
}

#[test]
fn a_request_the_only_endpoint_used_up_is_not_made_again() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_upstream(&[upstream.url()], "max_attempts = 3", ""));
    assert_problem(&ask(&gateway, "GET /close HTTP/1.1\nhost: a\n\n"), 502, "upstream-reset");
    assert_eq!(upstream.requests(), 1);
}

#[test]
fn another_endpoint_answers_for_one_that_is_away() {
    let (refusing, upstream) = (Refusing::new(), Upstream::plain("good").unwrap());
    let gateway = start(&one_upstream(&[refusing.url(), upstream.url()], "", ""));
    for number in 0..20 {
        // Nothing of a request is used up by a refused connection, so its body can go elsewhere too.
        let report = json(&ask(&gateway, &format!("POST /{number} HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello")));
        assert_eq!(report["upstream"], "good");
        assert_eq!(report["body"]["length"], 5);
    }
    assert_eq!(upstream.requests(), 20);
}

#[test]
fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire("GET /cut HTTP/1.1\nhost: a\n\n")).unwrap();
    let error = client.response().unwrap_err().to_string();
    assert!(error.contains("closed after 10 of 1000 bytes"), "{error}");
    until("the fault is counted", || metric(&gateway, "plugway_faults_total", &["upstream-body-failed"]) == 1.0);
}

#[test]
fn an_answer_that_does_not_come_is_a_504() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_upstream(&[upstream.url()], "timeouts = { response = \"1s\" }", ""));
    assert_problem(&ask(&gateway, "GET /hang HTTP/1.1\nhost: a\n\n"), 504, "upstream-timeout");
    assert_problem(&ask(&gateway, "POST /hang HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello"), 504, "upstream-timeout");
    // It may be late to read what was given up meanwhile.
    until("both are with the upstream", || upstream.requests() >= 2);
    assert_eq!(ask(&gateway, "GET /slow/20 HTTP/1.1\nhost: a\n\n").status, 200);
    // A request that may have been acted on is not made twice.
    assert_eq!(upstream.requests(), 3);
}

/// A listener whose queue is full: the kernel drops what is sent to it, as a firewall would.
fn silent() -> (String, socket2::Socket, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
    let queue = std::iter::from_fn(|| connect().ok()).take(100).collect::<Vec<_>>();
    assert!(queue.len() < 100, "the queue has no end");
    (format!("http://{address}"), socket, queue)
}

#[test]
fn an_address_that_does_not_answer_is_a_504_after_the_time_for_connecting() {
    let (address, _socket, _queue) = silent();
    let timeouts = "timeouts = { connect = \"400ms\" }";
    let gateway = start(&one_upstream(std::slice::from_ref(&address), &format!("{timeouts}\nmax_attempts = 1"), ""));
    let began = Instant::now();
    // Nothing of it was sent, so the method does not matter.
    assert_problem(&ask(&gateway, "POST / HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello"), 504, "upstream-connect-timeout");
    let took = began.elapsed();
    assert!(Duration::from_millis(400) <= took && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(metric(&gateway, "plugway_upstream_attempts_total", &["upstream-connect-timeout"]), 1.0);

    // Another endpoint takes over.
    let upstream = Upstream::plain("good").unwrap();
    let gateway = start(&one_upstream(&[address, upstream.url()], timeouts, ""));
    for _ in 0..2 {
        let report = json(&ask(&gateway, "POST / HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello"));
        assert_eq!((&report["upstream"], &report["body"]["length"]), (&"good".into(), &5.into()));
    }
    assert_eq!(metric(&gateway, "plugway_upstream_attempts_total", &["upstream-connect-timeout"]), 1.0);
}

#[test]
fn an_answer_that_pauses_too_long_breaks_off() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_upstream(&[upstream.url()], "timeouts = { stream = \"600ms\" }", ""));
    assert_eq!(ask(&gateway, "GET /drip/20/50 HTTP/1.1\nhost: a\n\n").text(), "....................");
    let mut client = web(&gateway);
    client.send(wire("GET /drip/2/5000 HTTP/1.1\nhost: a\n\n")).unwrap();
    client.response().unwrap_err();
    until("the fault is counted", || metric(&gateway, "plugway_faults_total", &["upstream-timeout"]) == 1.0);
}

#[test]
fn a_connection_that_died_unused_is_replaced_without_a_word() {
    // Answers one request a connection, promises to stay, and closes.
    let upstream = Scripted::start(|number, stream| {
        if read_head(stream).is_some() {
            let body = number.to_string();
            stream.write_all(&wire(&format!("HTTP/1.1 200 OK\ncontent-length: {}\n\n{body}", body.len()))).unwrap();
        }
    });
    let gateway = start(&one_upstream(&[upstream.url()], "max_attempts = 1", ""));
    let mut client = web(&gateway);
    for number in 0..10 {
        client.send(wire("POST /a HTTP/1.1\nhost: a\ncontent-length: 0\n\n")).unwrap();
        assert_eq!(client.response().unwrap().text(), number.to_string());
        until("the gateway has seen the end", || status(&gateway)["upstreams"][0]["endpoints"][0]["connections"] == 0);
    }
}

#[test]
fn an_answer_with_ambiguous_framing_is_refused() {
    let upstream = Scripted::start(|_, stream| {
        if read_head(stream).is_some() {
            drop(stream.write_all(&wire("HTTP/1.1 200 OK\ncontent-length: 5\ntransfer-encoding: chunked\n\n0\n\n")));
        }
    });
    let gateway = start(&one_upstream(&[upstream.url()], "", ""));
    assert_problem(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"), 502, "upstream-malformed");
    let garbage = Scripted::start(|_, stream| {
        if read_head(stream).is_some() {
            drop(stream.write_all(b"SMTP ready\r\n\r\n"));
        }
    });
    let gateway = start(&one_upstream(&[garbage.url()], "", ""));
    assert_problem(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"), 502, "upstream-malformed");
}

#[test]
fn an_upstream_that_was_restarted_is_found_again() {
    for (http2, protocol) in [(false, "http1"), (true, "http2")] {
        let first = Upstream::start(&Settings { http2, ..Settings::new("first") }).unwrap();
        let address = first.address();
        let gateway = start(&one_upstream(&[first.url()], &format!("protocol = \"{protocol}\"\nmax_attempts = 1"), ""));
        let post = "POST /a HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello";
        assert_eq!(json(&ask(&gateway, post))["upstream"], "first");
        drop(first);
        until("its connection is gone", || status(&gateway)["upstreams"][0]["endpoints"][0]["connections"] == 0);
        let _second = Upstream::start(&Settings { http2, address, ..Settings::new("second") }).unwrap();
        assert_eq!(json(&ask(&gateway, post))["upstream"], "second", "{protocol}");
    }
}

#[test]
fn an_unused_connection_is_closed_after_its_time() {
    for (http2, protocol) in [(false, "http1"), (true, "http2")] {
        let upstream = Upstream::start(&Settings { http2, ..Settings::new("up") }).unwrap();
        let gateway = start(&one_upstream(&[upstream.url()], &format!("protocol = \"{protocol}\"\ntimeouts = {{ idle = \"1s\" }}"), ""));
        // Longer than that, but not unused.
        assert_eq!(ask(&gateway, "GET /drip/15/100 HTTP/1.1\nhost: a\n\n").text().len(), 15);
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
        assert_eq!(upstream.connections(), 1, "{protocol}");
        until("it is closed", || status(&gateway)["upstreams"][0]["endpoints"][0]["connections"] == 0);
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
        assert_eq!(upstream.connections(), 2, "{protocol}");
    }
}
