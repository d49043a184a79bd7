//! HTTP/2 that becomes HTTP/1.1 on its way up: what its binary framing could carry into text (Kettle 2021, "HTTP/2: The
//! Sequel is Always Worse"). Frames are written by hand, since no client library would send these.

use std::net::SocketAddr;

use plugway_harness::ca::Authority;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::tls;
use plugway_harness::upstream::Upstream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::common::{BINARY, run};
use crate::frames::{DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, headers, read};

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With this status.
    Status(u16),
    /// With an error of its own or the connection's.
    Error,
}

/// Sends one request on a connection of its own.
async fn exchange(address: SocketAddr, authority: &Authority, lines: &[(&str, &str)], body: Option<&[u8]>) -> End {
    let config = tls::client(authority, &[tls::H2], None).unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    let mut stream = TlsConnector::from(config).connect("a.example".try_into().unwrap(), socket).await.unwrap();
    let mut sent = PREFACE.to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    sent.extend(frame(HEADERS, END_HEADERS | if body.is_none() { END_STREAM } else { 0 }, 1, &headers(lines)));
    if let Some(body) = body {
        sent.extend(frame(DATA, END_STREAM, 1, body));
    }
    stream.write_all(&sent).await.unwrap();
    let answer = async {
        loop {
            match read(&mut stream).await {
                Some(Frame { kind: HEADERS, payload, .. }) => return End::Status(status(&payload)),
                Some(Frame { kind: RST_STREAM | GOAWAY, .. }) | None => return End::Error,
                Some(_) => {}
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), answer).await.expect("an answer or an error")
}

/// `:status` comes first: an index of the static table, or a literal whose name is one (RFC 7541, appendix A).
fn status(block: &[u8]) -> u16 {
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8C => 400,
        0x8D => 404,
        0x8E => 500,
        0x48 if block[1] & 0x80 == 0 => std::str::from_utf8(&block[2..5]).unwrap().parse().unwrap(),
        // Huffman-coded digits: five bits each for 0 to 2, six for the others.
        0x48 => huffman_digits(&block[2..2 + usize::from(block[1] & 0x7F)]),
        other => panic!("{other:#x} is no status"),
    }
}

fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let (mut at, mut value) = (0, 0);
    for _ in 0..3 {
        let read = |length: usize| bits[at..at + length].iter().fold(0, |code, bit| code << 1 | u16::from(*bit));
        let (digit, length) = if read(5) < 3 { (read(5), 5) } else { (read(6) - 0x19 + 3, 6) };
        value = value * 10 + digit;
        at += length;
    }
    value
}

const PSEUDO: [(&str, &str); 4] = [(":method", "POST"), (":scheme", "https"), (":path", "/x"), (":authority", "a.example")];

/// What is wrong, lines beside the pseudo-headers, and the body.
#[rustfmt::skip]
const DOWNGRADES: &[(&str, &[(&str, &str)], Option<&[u8]>)] = &[
    ("H2.TE", &[("transfer-encoding", "chunked")], Some(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")),
    ("H2.CL, less than there is", &[("content-length", "0")], Some(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")),
    ("H2.CL, more than there is", &[("content-length", "100")], Some(b"abc")),
    ("H2.CL without a body", &[("content-length", "3")], None),
    ("two lengths that agree", &[("content-length", "3"), ("content-length", "3")], Some(b"abc")),
    ("two lengths that differ", &[("content-length", "3"), ("content-length", "0")], Some(b"abc")),
    ("a list of lengths", &[("content-length", "3, 3")], Some(b"abc")),
    ("a signed length", &[("content-length", "+3")], Some(b"abc")),
    ("connection", &[("connection", "close")], None),
    ("keep-alive", &[("keep-alive", "timeout=5")], None),
    ("proxy-connection", &[("proxy-connection", "close")], None),
    ("upgrade", &[("upgrade", "h2c")], None),
    ("te other than trailers", &[("te", "gzip")], None),
    ("CR LF in a value", &[("x", "y\r\ntransfer-encoding: chunked")], Some(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")),
    ("LF in a value", &[("x", "y\ncontent-length: 0")], Some(b"abc")),
    ("NUL in a value", &[("x", "y\0")], None),
    ("CR LF in a name", &[("x: y\r\ntransfer-encoding", "chunked")], Some(b"0\r\n\r\n")),
    ("colon in a name", &[("x: y", "z")], None),
    ("space in a name", &[("transfer-encoding ", "chunked")], Some(b"0\r\n\r\n")),
    ("name in capitals", &[("X-Upper", "y")], None),
    ("another host", &[("host", "b.example")], None),
    ("two hosts", &[("host", "a.example"), ("host", "a.example")], None),
    ("a pseudo-header after others", &[("x", "y"), (":path", "/smuggled")], None),
    ("an unknown pseudo-header", &[(":smuggled", "y")], None),
];

/// What is wrong, and all the lines.
#[rustfmt::skip]
const TARGETS: &[(&str, [(&str, &str); 4])] = &[
    ("a request line in the path", [(":method", "GET"), (":scheme", "https"), (":path", "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled"), (":authority", "a.example")]),
    ("space in the path", [(":method", "GET"), (":scheme", "https"), (":path", "/x HTTP/1.1"), (":authority", "a.example")]),
    ("path without a slash", [(":method", "GET"), (":scheme", "https"), (":path", "smuggled"), (":authority", "a.example")]),
    ("empty path", [(":method", "GET"), (":scheme", "https"), (":path", ""), (":authority", "a.example")]),
    ("ambiguous path", [(":method", "GET"), (":scheme", "https"), (":path", "/x/%2e%2e/smuggled"), (":authority", "a.example")]),
    ("a query that is no ASCII", [(":method", "GET"), (":scheme", "https"), (":path", "/x?q=\u{fc}"), (":authority", "a.example")]),
    ("a request line in the method", [(":method", "GET /smuggled HTTP/1.1\r\n"), (":scheme", "https"), (":path", "/"), (":authority", "a.example")]),
    ("space in the method", [(":method", "GET /"), (":scheme", "https"), (":path", "/x"), (":authority", "a.example")]),
    ("user information", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "b.example@a.example")]),
    ("a path in the authority", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "a.example/smuggled")]),
    // A wildcard covers these, and `Forwarded` would carry them.
    ("parameters in the authority", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "x;by=unknown;y.a.example")]),
    ("a list in the authority", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "x,y.a.example")]),
    ("quotes in the authority", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "x\"y.a.example")]),
    ("percent in the authority", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "x%2fy.a.example")]),
    ("an empty port", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "a.example:")]),
    ("a port that is a name", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "a.example:http")]),
    ("a port of 99999", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "a.example:99999")]),
    ("an empty label", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", ".a.example")]),
    ("CR LF in the authority", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "a.example\r\nx: y")]),
    ("a scheme with a host", [(":method", "GET"), (":scheme", "https://b.example/"), (":path", "/x"), (":authority", "a.example")]),
    ("two methods", [(":method", "GET"), (":method", "POST"), (":path", "/x"), (":authority", "a.example")]),
    ("two paths", [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":path", "/smuggled")]),
];

/// A gateway that speaks HTTP/2 to clients and HTTP/1.1 to the upstream.
fn start(upstream: &Upstream) -> (Authority, Gateway) {
    let authority = Authority::new("root").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    authority.server(&["a.example", "*.a.example"]).unwrap().write(launch.directory(), "web").unwrap();
    let gateway = launch
        .start(&format!(
            r#"
workers = 1
[listen.web]
address = "127.0.0.1:0"
tls = {{ certificate = "web.pem", key = "web.key" }}
[admin]
address = "127.0.0.1:0"
[upstreams.up]
endpoints = ["{}"]
[[routes]]
name = "all"
match = {{ path = "/*" }}
public = true
upstream = "up"
"#,
            upstream.url()
        ))
        .unwrap();
    (authority, gateway)
}

#[test]
fn http2_carries_nothing_into_http1() {
    let upstream = Upstream::plain("up").unwrap();
    let (authority, gateway) = start(&upstream);
    let address = gateway.address("web").unwrap();
    run(async {
        // The hand-written frames are right: without anything wrong they pass.
        assert_eq!(exchange(address, &authority, &PSEUDO, Some(b"abc")).await, End::Status(200));
        assert_eq!(upstream.requests(), 1);
        for (what, lines, body) in DOWNGRADES.iter().filter(|(what, ..)| !may_begin(what)) {
            let lines: Vec<_> = PSEUDO.iter().chain(*lines).copied().collect();
            let end = exchange(address, &authority, &lines, *body).await;
            assert!(matches!(end, End::Error | End::Status(400)), "{what}: {end:?}");
            assert_eq!(upstream.requests(), 1, "{what}");
        }
        for (what, lines) in TARGETS {
            let requests = upstream.requests();
            let end = exchange(address, &authority, lines, None).await;
            assert!(matches!(end, End::Error | End::Status(400)), "{what}: {end:?}");
            assert_eq!(upstream.requests(), requests, "{what}");
        }
        assert_eq!(exchange(address, &authority, &PSEUDO, Some(b"abc")).await, End::Status(200));
        let wire = String::from_utf8_lossy(&upstream.wire()).into_owned();
        assert!(!wire.contains("smuggled") && wire.matches(" HTTP/1.1\r\n").count() == 2, "{wire}");
    });
}

/// A body that breaks its promise does so after its head may have gone on. It may arrive late too, so nobody else shares its upstream.
fn may_begin(what: &str) -> bool {
    what.starts_with("H2.CL")
}

#[test]
fn http2_lengths_that_are_not_kept_carry_nothing_else() {
    for (what, lines, body) in DOWNGRADES.iter().filter(|(what, ..)| may_begin(what)) {
        let upstream = Upstream::plain("up").unwrap();
        let (authority, gateway) = start(&upstream);
        let lines: Vec<_> = PSEUDO.iter().chain(*lines).copied().collect();
        let end = run(exchange(gateway.address("web").unwrap(), &authority, &lines, *body));
        assert!(matches!(end, End::Error | End::Status(400)), "{what}: {end:?}");
        drop(gateway);
        let wire = String::from_utf8_lossy(&upstream.wire()).into_owned();
        assert!(!wire.contains("smuggled") && wire.matches(" HTTP/1.1\r\n").count() <= 1, "{what}: {wire}");
    }
}

/// A client may say less than it has (RFC 9113, section 8.3.1). The other way round, `https` in the clear, HTTP/2 cannot: it is spoken over TLS alone.
#[test]
fn a_scheme_of_http_is_served_over_tls() {
    let upstream = Upstream::plain("up").unwrap();
    let (authority, gateway) = start(&upstream);
    let lines = [(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "a.example")];
    assert_eq!(run(exchange(gateway.address("web").unwrap(), &authority, &lines, None)), End::Status(200));
}

/// HTTP/2 may split a cookie into lines; text has one (RFC 9113, section 8.2.3).
#[test]
fn a_cookie_in_crumbs_arrives_whole() {
    let upstream = Upstream::plain("up").unwrap();
    let (authority, gateway) = start(&upstream);
    let mut lines = PSEUDO.to_vec();
    lines.extend([("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3; d=4")]);
    let end = run(exchange(gateway.address("web").unwrap(), &authority, &lines, None));
    assert_eq!(end, End::Status(200));
    let wire = String::from_utf8(upstream.wire()).unwrap().to_ascii_lowercase();
    assert!(wire.contains("\r\ncookie: a=1; b=2; c=3; d=4\r\n") && wire.matches("cookie:").count() == 1, "{wire}");
}
