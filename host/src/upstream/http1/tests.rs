//! Mutated responses, the same ones in every run: what is read of them here is what hyper's client reads, unless it is refused for its framing; and it
//! is the same however it is cut.

use bytes::BytesMut;
use http::{HeaderValue, Method, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::upstream::framing;

/// Mutated responses per run; the seed is the number of each.
const ROUNDS: u64 = 20_000;

const GOOD: &[&str] = &[
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx-a: 1\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\nx-b: 2\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil it is closed",
    "HTTP/1.0 404 Not Found\nserver: old\nconnection: keep-alive\ncontent-length: 2\n\nno",
    "HTTP/1.1 204 No Content\r\nx-a:\t1 \r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 12\r\n\r\n",
    "HTTP/1.1 500 \u{e9}\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413\r\nContent-Length: 4\r\n\r\nlong",
];

const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "0",
    "1",
    "3",
    "a",
    "-",
    "+",
    "0x",
    "\x7f",
    "\u{e9}",
    "\r\n\r\n",
    "\n\n",
    "0\r\n\r\n",
    "3\r\nabc\r\n",
    "\r\n ",
    "HTTP/1.0",
    "HTTP/1.1",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 101 x\r\n\r\n",
    "HTTP/1.1 102 x\r\n\r\n",
    "content-length: 3\r\n",
    "content-length: 0\r\n",
    "transfer-encoding: chunked\r\n",
    "transfer-encoding:",
    "chunked",
    "connection: close\r\n",
    "x: y\r\n",
    "600",
    "204",
    "FFFFFFFFFFFFFFFF",
];

/// What was read: a head, and a body with its trailers unless it broke off.
type Seen = Option<(u16, HeaderMap, Option<(Vec<u8>, HeaderMap)>)>;

fn mutated(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = random.choice(GOOD).unwrap().as_bytes().to_vec();
    for _ in 0..random.usize(0..4) {
        let at = random.usize(..=bytes.len());
        match random.u8(..4) {
            0 => drop(bytes.drain(at..(at + random.usize(..8)).min(bytes.len()))),
            1 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, random.choice(PIECES).unwrap().bytes()).count()),
        }
    }
    bytes
}

/// What is read here.
fn ours(bytes: &[u8], step: usize, is_of_head: bool) -> Seen {
    let (mut input, mut reader, mut found) = (Input::of(b""), HeadReader::default(), None);
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    for piece in bytes.chunks(step) {
        input.put(piece);
        if found.is_none() {
            found = reader.read(&mut input, &mut HeaderMap::new(), is_of_head).ok()?;
        }
        let Some(Head { decoder, status, headers, .. }) = &mut found else { continue };
        loop {
            match decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(bytes) => data.extend_from_slice(&bytes),
                    Err(frame) => trailers = frame.into_trailers().unwrap(),
                },
                Err(_) => return Some((status.as_u16(), headers.clone(), None)),
            }
        }
    }
    let Head { mut decoder, status, headers, .. } = found?;
    let body = decoder.closed().is_ok().then_some((data, trailers));
    Some((status.as_u16(), headers, body))
}

/// What hyper's client reads.
async fn hypers(bytes: &[u8], method: Method) -> Seen {
    let (stream, mut other) = duplex(1 << 16);
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    let request = Request::builder().method(method).uri("/").body(Empty::<Bytes>::new()).unwrap();
    let server = async {
        let mut head = BytesMut::new();
        while !head.ends_with(b"\r\n\r\n") {
            other.read_buf(&mut head).await.unwrap();
        }
        let _ = other.write_all(bytes).await;
        drop(other);
    };
    let client = async {
        let response: Response<hyper::body::Incoming> = sender.send_request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.ok();
        let body = collected.map(|collected| (collected.trailers().cloned().unwrap_or_default(), collected.to_bytes().to_vec()));
        Some((parts.status.as_u16(), parts.headers, body.map(|(trailers, data)| (data, trailers))))
    };
    let (seen, _, ()) = tokio::join!(client, connection, server);
    seen
}

#[tokio::test]
async fn what_is_read_is_what_hyper_reads() {
    let (mut good, mut refused) = (0, 0);
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let (bytes, is_of_head) = (mutated(&mut random), random.u8(..8) == 0);
        let what = || format!("{seed}: {:?}", String::from_utf8_lossy(&bytes));
        let here = ours(&bytes, usize::MAX, is_of_head);
        assert_eq!(ours(&bytes, 1 + random.usize(..9), is_of_head), here, "{}", what());
        let there = hypers(&bytes, if is_of_head { Method::HEAD } else { Method::GET }).await;
        let is_trusted = there
            .as_ref()
            .is_some_and(|(status, headers, _)| framing::problem(http::StatusCode::from_u16(*status).unwrap(), headers).is_none());
        // Trailers that end within themselves: hyper forgets what follows, which could be the next response.
        let has_end_within = bytes.windows(2).any(|pair| pair == b"\n\n") && here.as_ref().is_some_and(|(.., body)| body.is_none());
        if is_trusted {
            good += 1;
            assert!(here == there || has_end_within, "{}: {here:?}, {there:?}", what());
        } else {
            refused += 1;
            assert_eq!(here, None, "{}: {there:?}", what());
        }
    }
    assert!(good > 5_000 && refused > 5_000, "{good} good, {refused} refused");
}

#[test]
fn what_is_said_of_a_value_is_read_as_bytes() {
    let value = HeaderValue::from_bytes(b"\xe9").unwrap();
    let seen = ours(b"HTTP/1.1 200 OK\r\nx: \xe9\r\ncontent-length: 0\r\n\r\n", 99, false);
    assert_eq!(seen.unwrap().1["x"], value);
}
