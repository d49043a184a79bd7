//! What clients may use and how long they may take, for the whole gateway and not for each worker.

use std::io::Write;
use std::time::{Duration, Instant};

use plugway_harness::client::{Client, get};
use plugway_harness::gateway::Launch;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::{Settings, Upstream};

use crate::common::{
    BINARY, Scripted, ask, assert_problem, metric, one_route, one_upstream, read_head, run, start, start_tls, status, two_workers, until,
    web, wire,
};

const GET: &str = "GET / HTTP/1.1\nhost: a\n\n";

#[test]
fn a_head_that_takes_too_long_ends_the_connection_even_while_bytes_come() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[timeouts]\nhead = \"300ms\""));
    let mut silent = web(&gateway);
    let mut dripping = web(&gateway);
    let began = Instant::now();
    silent.send("GET / HT").unwrap();
    dripping.send("GET / HTTP/1.1\r\nhost: a\r\nx: ").unwrap();
    // Whoever drips is noticed by the failing write.
    while dripping.send("x").is_ok() {
        assert!(began.elapsed() < Duration::from_secs(10), "the connection was left open");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(silent.closes().unwrap());
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(upstream.bytes(), 0);
    // A head within its time is unharmed by the pause before it.
    assert_eq!(ask(&gateway, GET).status, 200);
}

#[test]
fn an_idle_connection_is_closed() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "[timeouts]\nidle = \"800ms\""));
    let mut untouched = web(&gateway);
    let mut used = web(&gateway);
    let began = Instant::now();
    used.send(wire(GET)).unwrap();
    assert_eq!(used.response().unwrap().status, 200);
    // A request that takes longer than that is not idle.
    used.send(wire("GET /slow/1500 HTTP/1.1\nhost: a\n\n")).unwrap();
    assert_eq!(used.response().unwrap().status, 200);
    assert!(began.elapsed() >= Duration::from_millis(1500));
    assert!(used.closes().unwrap() && untouched.closes().unwrap());
    run(async {
        let mut http2 = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
        assert_eq!(http2.get("/slow/1500").await.unwrap().status, 200);
        let began = Instant::now();
        while http2.is_open() {
            assert!(began.elapsed() < Duration::from_secs(10), "the connection was left open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn an_unused_http2_connection_is_idle_and_not_slow() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "[timeouts]\nhead = \"200ms\""));
    run(async {
        let mut http2 = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
        for _ in 0..3 {
            // The client's window updates and settings come after the answer.
            assert_eq!(http2.get("/bytes/200000").await.unwrap().body.len(), 200_000);
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert!(http2.is_open());
        }
    });
    assert_eq!(metric(&gateway, "plugway_connections_total", &["listener=\"tls\""]), 1.0);
    assert_eq!(metric(&gateway, "plugway_tls_handshakes_total", &["listener=\"tls\""]), 1.0);
    let pools = ["plugway_upstream_connections_open", "plugway_upstream_connections_idle"];
    until("its connection to the upstream is kept", || pools.map(|name| metric(&gateway, name, &["upstream=\"up\""])) == [1.0, 1.0]);
}

#[test]
fn a_handshake_that_does_not_come_ends_the_connection() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, _authority) = start_tls(&one_route(&upstream, "[timeouts]\nhandshake = \"300ms\""));
    let mut client = Raw::connect(gateway.address("tls").unwrap()).unwrap();
    assert!(client.closes().unwrap());
    until("it is counted", || metric(&gateway, "plugway_tls_handshakes_failed_total", &["listener=\"tls\""]) == 1.0);
    assert_eq!(metric(&gateway, "plugway_tls_handshakes_total", &[]), 0.0);
}

#[test]
fn a_body_that_pauses_too_long_is_answered_with_408() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[timeouts]\nstream = \"300ms\""));
    let response = ask(&gateway, "POST /a HTTP/1.1\nhost: a\ncontent-length: 10\n\nhello");
    assert_problem(&response, 408, "client-timeout");
}

#[test]
fn a_client_that_stops_reading_is_let_go() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[timeouts]\nstream = \"300ms\""));
    let mut client = web(&gateway);
    client.send(wire("GET /bytes/100000000 HTTP/1.1\nhost: a\n\n")).unwrap();
    until("the gateway gives up", || metric(&gateway, "plugway_faults_total", &["client-gone"]) == 1.0);
    until("the connection is closed", || metric(&gateway, "plugway_connections_open", &[]) == 0.0);
}

#[test]
fn a_client_of_http2_that_stops_reading_is_let_go() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "[timeouts]\nstream = \"300ms\""));
    let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2();
    let gone = || metric(&gateway, "plugway_faults_total", &["client-gone"]) == 2.0;
    run(async {
        let mut connection = client.connect().await.unwrap();
        // A pause of the upstream is not the client's.
        assert_eq!(connection.get("/drip/20/50").await.unwrap().text().len(), 20);
        assert_eq!(connection.get("/slow/800").await.unwrap().status, 200);
        let unread = [
            connection.send(get("/bytes/100000000").unwrap()).await.unwrap(),
            connection.send(get("/bytes/100000000").unwrap()).await.unwrap(),
        ];
        let began = Instant::now();
        while connection.is_open() || !gone() {
            assert!(began.elapsed() < Duration::from_secs(10), "the connection was left open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(unread);
    });
    until("both connections to the upstream are closed", || status(&gateway)["upstreams"][0]["endpoints"][0]["in_flight"] == 0);
}

/// RFC 6585, section 5: 431 for a head that is too large as a whole or in one field.
#[test]
fn a_head_over_a_limit_is_a_431_and_goes_nowhere() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[limits]\nmax_headers = 10\nmax_head_bytes = 2000"));
    let with = |headers: usize, bytes: usize| {
        let mut request = String::from("GET / HTTP/1.1\nhost: a\n");
        (1..headers).for_each(|number| request.push_str(&format!("x-{number}: 1\n")));
        // Two line ends count two bytes each on the wire.
        let left = bytes.saturating_sub(wire(&request).len() + "x-last: \r\n\r\n".len());
        format!("{request}x-last: {}\n\n", "v".repeat(left))
    };
    assert_eq!(ask(&gateway, &with(9, 0)).status, 200);
    assert_eq!(ask(&gateway, &with(1, 2000)).status, 200);
    let reached = upstream.bytes();
    assert_eq!(ask(&gateway, &with(10, 0)).status, 431);
    assert_eq!(ask(&gateway, &with(1, 2001)).status, 431);
    assert_eq!(ask(&gateway, &with(1, 60_000)).status, 431);
    assert_eq!(ask(&gateway, &format!("GET /{} HTTP/1.1\nhost: a\n\n", "p".repeat(3000))).status, 431);
    assert_eq!(upstream.bytes(), reached);
    until("all are counted", || metric(&gateway, "plugway_requests_total", &["status=\"431\""]) == 4.0);
    assert_eq!(metric(&gateway, "plugway_faults_total", &["head-too-large"]), 4.0);
}

#[test]
fn a_head_that_is_no_http_is_a_400_however_it_arrives() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    for request in
        ["GET / HTTP/1.1\n\n", "GET / HTTP/1.1\nhost: a\nhost: a\n\n", "GET / HTTP/1.1\nhost: a\nx : 1\n\n", "GET / HTTP/2.0\nhost: a\n\n"]
    {
        let mut client = web(&gateway);
        // The gateway may have closed before the last piece.
        drop(client.send_split(wire(request).chunks(7), Duration::from_millis(1)));
        assert_eq!(client.response().unwrap().status, 400, "{request}");
        assert_eq!(ask(&gateway, request).status, 400, "{request}");
    }
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn connections_over_the_limit_wait_for_a_place_on_any_worker() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_route(&upstream, "[limits]\nmax_connections = 3")));
    let mut served: Vec<_> = (0..3).map(|_| web(&gateway)).collect();
    for client in &mut served {
        client.send(wire(GET)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    let mut waiting: Vec<_> = (0..4).map(|_| web(&gateway)).collect();
    for client in &mut waiting {
        client.send(wire(GET)).unwrap();
        client.patience(Duration::from_millis(200)).unwrap();
        client.response().unwrap_err();
        client.patience(Duration::from_secs(10)).unwrap();
    }
    assert_eq!(upstream.requests(), 3);
    // Every place that is given back is used, whichever worker has the client that waits.
    drop(served);
    // One worker may take every place that is free while the other looks away, so no client is sure to be the first.
    until("every client is served", || {
        waiting.retain_mut(|client| {
            client.patience(Duration::from_millis(20)).unwrap();
            !client.response().is_ok_and(|response| response.status == 200)
        });
        waiting.is_empty()
    });
}

#[test]
fn a_single_place_goes_round_all_workers() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_route(&upstream, "[limits]\nmax_connections = 1")));
    for _ in 0..30 {
        assert_eq!(ask(&gateway, GET).status, 200);
    }
}

#[test]
fn requests_over_the_limit_get_503_on_every_worker() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_route(&upstream, "[limits]\nmax_requests_in_flight = 2")));
    let mut busy: Vec<_> = (0..2).map(|_| web(&gateway)).collect();
    for client in &mut busy {
        client.send(wire("GET /hang HTTP/1.1\nhost: a\n\n")).unwrap();
    }
    until("both are with the upstream", || upstream.requests() == 2);
    for _ in 0..10 {
        assert_problem(&ask(&gateway, GET), 503, "overloaded");
    }
    assert_eq!(upstream.requests(), 2);
    // A client that leaves gives its place back.
    drop(busy.pop());
    until("a request is served again", || ask(&gateway, GET).status == 200);
}

#[test]
fn a_connection_ends_with_its_last_request() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[limits]\nmax_requests_per_connection = 3").replace("/*", "/a"));
    for target in ["/a", "/nothing"] {
        let mut client = web(&gateway);
        let mut closing = Vec::new();
        for _ in 0..3 {
            client.send(wire(&format!("GET {target} HTTP/1.1\nhost: a\n\n"))).unwrap();
            let response = client.response().unwrap();
            closing.push(response.header("connection").is_some_and(|value| value == b"close"));
        }
        assert_eq!(closing, [false, false, true], "{target}");
        assert!(client.closes().unwrap());
    }
}

#[test]
fn an_old_connection_ends_when_its_request_is_done() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[limits]\nmax_connection_age = \"500ms\""));
    let began = Instant::now();
    let mut client = web(&gateway);
    client.send(wire("GET /slow/1000 HTTP/1.1\nhost: a\n\n")).unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("connection"), Some(&b"close"[..]));
    assert!(client.closes().unwrap());
    assert!(began.elapsed() >= Duration::from_millis(1000));
    let mut idle = web(&gateway);
    idle.send(wire(GET)).unwrap();
    assert_eq!(idle.response().unwrap().status, 200);
    assert!(idle.closes().unwrap());
}

/// RFC 9112, section 9.6: a client that asked for the end with its last request sends nothing after it, and need not be waited for.
#[test]
fn a_client_that_asked_for_the_end_is_not_waited_for() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire("POST / HTTP/1.1\nhost: a\nconnection: close\ncontent-length: 2\n\nhi")).unwrap();
    assert_eq!(client.response().unwrap().status, 200);
    assert!(client.closes().unwrap());
    // One that may still be sending has five seconds.
    let began = Instant::now();
    until("its connection is closed, though its own side is open", || metric(&gateway, "plugway_connections_open", &[]) == 0.0);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn a_shells_limit_of_open_files_is_no_limit_of_connections() {
    let upstream = Upstream::plain("up").unwrap();
    let under = ["sh", "-c", "ulimit -Sn 100 && exec \"$0\" \"$@\""];
    let gateway = Launch::new(BINARY).unwrap().wrapper(under).start(&one_route(&upstream, "")).unwrap();
    let mut clients: Vec<Raw> = (0..200).map(|_| web(&gateway)).collect();
    for client in &mut clients {
        client.send(wire(GET)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    assert_eq!(metric(&gateway, "plugway_accept_pauses_total", &[]), 0.0);
}

/// `docs/framing.md`, answers of upstreams.
#[test]
fn an_answer_whose_head_is_over_a_limit_is_a_502() {
    let upstream = Scripted::start(|_, stream| {
        while let Some(head) = read_head(stream) {
            let target = head.split(' ').nth(1).unwrap();
            let (what, count) = target.trim_start_matches('/').split_once('/').unwrap();
            let count: usize = count.parse().unwrap();
            let more = if what == "lines" { "x: 1\r\n".repeat(count - 1) } else { format!("x: {}\r\n", "v".repeat(count)) };
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{more}\r\nok").as_bytes());
        }
    });
    let gateway = start(&one_upstream(&[upstream.url()], "", ""));
    for (target, status) in [("/lines/100", 200), ("/lines/101", 502), ("/bytes/130000", 200), ("/bytes/132000", 502), ("/lines/2", 200)] {
        assert_eq!(ask(&gateway, &format!("GET {target} HTTP/1.1\nhost: a\n\n")).status, status, "{target}");
    }
}

#[test]
fn where_files_run_out_unused_connections_make_room_and_no_endpoint_is_blamed() {
    const ENDPOINTS: usize = 150;
    let everywhere = Settings { address: "0.0.0.0:0".parse().unwrap(), ..Settings::new("up") };
    let upstream = Upstream::start(&everywhere).unwrap();
    let port = upstream.address().port();
    // One of them has a name, and what finds addresses for it needs a file.
    let host = |last: usize| if last == 100 { "localhost".to_owned() } else { format!("127.0.0.{last}") };
    let endpoints: Vec<String> = (1..=ENDPOINTS).map(|last| format!("http://{}:{port}", host(last))).collect();
    let under = ["sh", "-c", "ulimit -n 120 && exec \"$0\" \"$@\""];
    let gateway = Launch::new(BINARY).unwrap().wrapper(under).start(&one_upstream(&endpoints, "", "")).unwrap();
    let mut client = web(&gateway);
    for _ in 0..2 * ENDPOINTS {
        client.send(wire(GET)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    assert!(upstream.connections() > ENDPOINTS as u64, "every endpoint's connection was kept, in fewer files");
    // New clients find room too, up to where connections are in use.
    let mut clients: Vec<Raw> = (0..50).map(|_| web(&gateway)).collect();
    for client in &mut clients {
        client.send(wire(GET)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    // Where all are in use it is the gateway that is at its limit.
    let refused = clients.iter_mut().find_map(|client| {
        let before = upstream.requests();
        client.send(wire("GET /held HTTP/1.1\nhost: a\n\n")).unwrap();
        client.patience(Duration::from_millis(20)).unwrap();
        loop {
            match client.response() {
                Ok(response) => return Some(response),
                Err(_) if upstream.requests() > before => return None,
                Err(_) => {}
            }
        }
    });
    assert_problem(&refused.unwrap(), 503, "overloaded");
    upstream.release();
    drop((client, clients));
    assert_eq!(metric(&gateway, "plugway_upstream_endpoints_available", &[]), ENDPOINTS as f64);
}

#[test]
fn many_requests_at_once_find_the_connections_of_those_before_them() {
    const AT_ONCE: u64 = 600;
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut clients: Vec<Raw> = (0..AT_ONCE).map(|_| web(&gateway)).collect();
    let mut send = |path: &str, released: &dyn Fn()| {
        clients.iter_mut().for_each(|client| client.send(wire(&format!("GET {path} HTTP/1.1\nhost: a\n\n"))).unwrap());
        released();
        clients.iter_mut().for_each(|client| assert_eq!(client.response().unwrap().status, 200));
    };
    send("/held", &|| {
        until("all are with the upstream", || upstream.requests() == AT_ONCE);
        upstream.release();
    });
    for _ in 0..2 {
        send("/slow/800", &|| ());
    }
    assert_eq!(upstream.connections(), AT_ONCE);
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire("GET /hang HTTP/1.1\nhost: a\n\n")).unwrap();
    until("it is with the upstream", || upstream.requests() == 1);
    assert_eq!(metric(&gateway, "plugway_requests_in_flight", &[]), 1.0);
    drop(client);
    until("it is given up", || metric(&gateway, "plugway_requests_in_flight", &[]) == 0.0);
    assert_eq!(metric(&gateway, "plugway_requests_total", &["status=\"499\""]), 1.0);
    assert_eq!(metric(&gateway, "plugway_faults_total", &["client-gone"]), 1.0);
    until("its connection is closed", || status(&gateway)["upstreams"][0]["endpoints"][0]["connections"] == 0);
}
