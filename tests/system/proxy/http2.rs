//! HTTP/2 on either side.

use http::Method;
use plugway_harness::body;
use plugway_harness::client::{Client, get, reported, request};
use plugway_harness::upstream::{Settings, Upstream};

use plugway_harness::tls;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use crate::common::{ask, json, metric, one_route, one_upstream, run, start, start_tls, until, web, wire};
use crate::frames::{self, Frame, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame};

#[test]
fn an_upstream_may_speak_http2() {
    let upstream = Upstream::start(&Settings { http2: true, ..Settings::new("up") }).unwrap();
    let gateway = start(&one_upstream(&[upstream.url()], "protocol = \"http2\"", ""));
    for _ in 0..10 {
        let report =
            json(&ask(&gateway, "POST /a?b=c HTTP/1.1\nhost: shop.example\nte: trailers\nconnection: te\ncontent-length: 5\n\nhello"));
        assert_eq!(report["version"], "HTTP/2.0");
        assert_eq!(report["target"], "http://shop.example/a?b=c", "{report:#}");
        assert_eq!(report["body"]["length"], 5);
        assert_eq!(reported(&report, "te"), ["trailers"]);
        assert!(reported(&report, "connection").is_empty());
    }
    let mixed = ask(&gateway, "HEAD /bytes/9 HTTP/1.1\nhost: shop.example\n\n");
    assert_eq!((mixed.status, mixed.body.len()), (200, 0));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn clients_that_read_nothing_hold_up_nobody_else_on_an_upstreams_connection() {
    let upstream = Upstream::start(&Settings { http2: true, ..Settings::new("up") }).unwrap();
    let gateway = start(&one_upstream(&[upstream.url()], "protocol = \"http2\"", ""));
    let mut slow: Vec<_> = (0..24).map(|_| web(&gateway)).collect();
    for client in &mut slow {
        client.send(wire("GET /bytes/268435456 HTTP/1.1\nhost: a\n\n")).unwrap();
    }
    until("all are with the upstream", || upstream.requests() == 24);
    // More and more of what may be on its way is theirs.
    for _ in 0..40 {
        assert_eq!(ask(&gateway, "GET /bytes/300000 HTTP/1.1\nhost: a\n\n").body.len(), 300_000);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn streams_of_one_client_connection_run_side_by_side() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, ""));
    run(async {
        let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2();
        let mut connection = client.connect().await.unwrap();
        // The first gives its head and then nothing for a while; the others must not wait for it.
        let slow = connection.send(get("/drip/3/300").unwrap()).await.unwrap();
        let began = std::time::Instant::now();
        for number in 0..5 {
            let answer = connection.get(&format!("/n/{number}")).await.unwrap();
            assert_eq!(answer.version, http::Version::HTTP_2);
            let report = answer.json().unwrap();
            assert_eq!(report["target"], format!("/n/{number}"));
            assert_eq!(reported(&report, "host"), ["example.com"]);
            assert_eq!(reported(&report, "via"), ["2.0 plugway"]);
            assert_eq!(reported(&report, "x-forwarded-proto"), ["https"]);
        }
        assert!(began.elapsed() < std::time::Duration::from_millis(800), "the answers waited: {:?}", began.elapsed());
        let slow = plugway_harness::client::Answer::read(slow).await.unwrap();
        assert_eq!(slow.text(), "...");
    });
    assert_eq!(metric(&gateway, "plugway_connections_total", &["listener=\"tls\""]), 1.0);
}

#[test]
fn a_head_request_gets_no_body_over_http2() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "").replace("/*", "/bytes/*"));
    run(async {
        let mut connection = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
        for (target, status) in [("/bytes/100", 200), ("/nothing", 404)] {
            let answer = connection.request(request(Method::HEAD, target, body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status, status);
            assert!(answer.body.is_empty(), "{}", answer.text());
            assert!(answer.header("content-length").is_some_and(|length| length != "0"), "{:?}", answer.headers);
        }
        assert_eq!(connection.get("/bytes/5").await.unwrap().body.len(), 5);
    });
    until("every request is counted", || metric(&gateway, "plugway_requests_total", &[]) == 3.0);
    assert_eq!(metric(&gateway, "plugway_faults_total", &["client-gone"]), 0.0);
}

#[test]
fn a_head_over_a_limit_is_refused_and_other_streams_go_on() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "[limits]\nmax_headers = 10\nmax_head_bytes = 4000"));
    run(async {
        let mut connection = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
        let headers = |count: usize, bytes: usize| {
            let mut sent = get("/").unwrap();
            for number in 0..count {
                sent.headers_mut().insert(http::HeaderName::try_from(format!("x-{number}")).unwrap(), "v".repeat(bytes).parse().unwrap());
            }
            sent
        };
        assert_eq!(connection.request(headers(10, 1)).await.unwrap().status, 200);
        assert_eq!(connection.request(headers(11, 1)).await.unwrap().status, 431);
        assert_eq!(connection.request(headers(2, 2500)).await.unwrap().status, 431);
        assert_eq!(connection.get("/").await.unwrap().status, 200);
    });
    assert_eq!(upstream.requests(), 2);
}

#[test]
fn as_many_lines_as_hardly_fit_are_refused_in_good_order() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "[limits]\nmax_headers = 10000\nmax_head_bytes = \"2MiB\""));
    run(async {
        let mut connection = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
        for count in [10_001, 17_000, 24_560, 24_570] {
            let mut sent = get("/").unwrap();
            for number in 0..count {
                sent.headers_mut().insert(http::HeaderName::try_from(format!("x{number}")).unwrap(), http::HeaderValue::from_static("1"));
            }
            assert_eq!(connection.request(sent).await.unwrap().status, 431, "{count}");
        }
        // As many names as there can be, and one of them in two pieces that would be joined.
        let mut full = get("/").unwrap();
        for crumb in ["a=1", "b=2"] {
            full.headers_mut().append(http::header::COOKIE, http::HeaderValue::from_static(crumb));
        }
        for number in 0..24_575 {
            full.headers_mut().insert(http::HeaderName::try_from(format!("x{number}")).unwrap(), http::HeaderValue::from_static("1"));
        }
        assert_eq!(connection.request(full).await.unwrap().status, 431);
        assert_eq!(connection.get("/").await.unwrap().status, 200);
    });
    assert_eq!(upstream.requests(), 1);
}

#[test]
fn a_connection_goes_away_after_its_last_request() {
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "[limits]\nmax_requests_per_connection = 3"));
    run(async {
        let mut connection = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2().connect().await.unwrap();
        for _ in 0..3 {
            assert_eq!(connection.get("/").await.unwrap().status, 200);
        }
        let began = std::time::Instant::now();
        while connection.is_open() {
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "the connection was left open");
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(upstream.requests(), 3);
}

#[test]
fn a_client_gets_so_many_streams_at_once_and_no_more() {
    /// SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113, section 6.5.2), REFUSED_STREAM and CANCEL (section 7).
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let upstream = Upstream::plain("up").unwrap();
    let (gateway, authority) = start_tls(&one_route(&upstream, "[limits]\nmax_concurrent_streams = 2"));
    let get = |stream: u32, path: &str| {
        let lines = [(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", "example.com")];
        frame(HEADERS, frames::END_HEADERS | frames::END_STREAM, stream, &frames::headers(&lines))
    };
    run(async {
        let config = tls::client(&authority, &[tls::H2], None).unwrap();
        let socket = tokio::net::TcpStream::connect(gateway.address("tls").unwrap()).await.unwrap();
        let mut stream = TlsConnector::from(config).connect("example.com".try_into().unwrap(), socket).await.unwrap();
        let opening = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), get(1, "/hang"), get(3, "/hang"), get(5, "/")].concat();
        stream.write_all(&opening).await.unwrap();
        let (mut announced, mut refused) = (None, None);
        while refused.is_none() {
            match frames::read(&mut stream).await.unwrap() {
                Frame { kind: SETTINGS, payload, .. } => {
                    let limit = payload.chunks_exact(6).find(|setting| setting[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes());
                    announced = announced.or_else(|| limit.map(|setting| setting[2..].to_vec()));
                }
                Frame { kind: RST_STREAM, stream, payload } => refused = Some((stream, payload)),
                Frame { kind: HEADERS, stream, .. } => panic!("an answer on stream {stream}"),
                _ => {}
            }
        }
        assert_eq!(announced, Some(vec![0, 0, 0, 2]));
        assert_eq!(refused, Some((5, REFUSED_STREAM.to_vec())));
        until("the others are with the upstream", || upstream.requests() == 2);

        // One that ends makes room for another.
        stream.write_all(&[frame(RST_STREAM, 0, 1, &CANCEL), get(7, "/")].concat()).await.unwrap();
        let answered = loop {
            if let Frame { kind: HEADERS | RST_STREAM, stream, payload } = frames::read(&mut stream).await.unwrap() {
                break (stream, payload[0]);
            }
        };
        // The first line is `:status 200`, an index of the static table.
        assert_eq!(answered, (7, 0x88));
    });
    assert_eq!(upstream.requests(), 3);
}
