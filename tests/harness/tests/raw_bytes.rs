//! The raw client against real servers and against bytes written by hand.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work is a failed test")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use plugway_harness::ca::Authority;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A server that reads one head and answers with these bytes.
fn answers(bytes: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        assert!(socket.read(&mut head).unwrap() > 0);
        socket.write_all(bytes).unwrap();
    });
    address
}

#[test]
fn splits_arrive_as_one_request_and_the_connection_is_kept() {
    let upstream = Upstream::plain("one").unwrap();
    let mut raw = Raw::connect(upstream.address()).unwrap();
    raw.send_split(["GET /a HT", "TP/1.1\r\nho", "st: x\r\n\r\n"], Duration::from_millis(5)).unwrap();
    assert!(raw.response().unwrap().text().contains(r#""target":"/a""#));
    raw.send(GET).unwrap();
    assert_eq!(raw.response().unwrap().status, 200);
    assert_eq!((upstream.requests(), upstream.connections()), (2, 1));
    assert!(upstream.wire().ends_with(GET.as_bytes()));
}

#[test]
fn nothing_reaches_an_upstream_that_was_only_connected_to() {
    let upstream = Upstream::plain("one").unwrap();
    let raw = Raw::connect(upstream.address()).unwrap();
    raw.finish().unwrap();
    drop(raw);
    assert_eq!((upstream.requests(), upstream.bytes()), (0, 0));
}

#[test]
fn raw_bytes_over_tls() {
    let ca = Authority::new("test CA").unwrap();
    let upstream = Upstream::tls("one", &ca.server(&["api.example.com"]).unwrap()).unwrap();
    let mut raw = Raw::connect_tls(upstream.address(), "api.example.com", &ca).unwrap();
    raw.send("GET /bytes/70000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert_eq!(raw.response().unwrap().body.len(), 70_000);
    assert!(raw.closes().unwrap());
    assert!(Raw::connect_tls(upstream.address(), "other.example.com", &ca).is_err());
}

#[test]
fn framing_is_read_as_rfc_9112_says() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n";
    let mut raw = Raw::connect(answers(chunked)).unwrap();
    raw.send(GET).unwrap();
    let response = raw.response().unwrap();
    assert_eq!((response.text().as_str(), response.trailers.as_slice()), ("hello!", [("x-sum".to_owned(), b"6".to_vec())].as_slice()));

    let continued = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let mut raw = Raw::connect(answers(continued)).unwrap();
    raw.send(GET).unwrap();
    assert_eq!((raw.response().unwrap().status, raw.response().unwrap().status), (100, 204));

    let mut raw = Raw::connect(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")).unwrap();
    raw.send(GET).unwrap();
    assert_eq!(raw.response_to("HEAD").unwrap().header("content-length"), Some(b"9".as_slice()));

    let mut raw = Raw::connect(answers(b"HTTP/1.1 200 OK\r\n\r\nto the end")).unwrap();
    raw.send(GET).unwrap();
    assert_eq!(raw.response().unwrap().text(), "to the end");
}

#[test]
fn what_is_cut_short_is_an_error() {
    for bytes in [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour".as_slice(), b"HTTP/1.1 200 O", b"not HTTP\r\n\r\n"] {
        let mut raw = Raw::connect(answers(bytes)).unwrap();
        raw.send(GET).unwrap();
        assert!(raw.response().is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn waiting_is_bounded() {
    let upstream = Upstream::plain("one").unwrap();
    let mut raw = Raw::connect(upstream.address()).unwrap();
    raw.patience(Duration::from_millis(50)).unwrap();
    raw.send("GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(raw.response().unwrap_err().to_string().contains("waiting for bytes"));
}
