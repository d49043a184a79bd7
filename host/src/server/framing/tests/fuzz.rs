//! Mutated connections, the same ones in every run: the scanner says of each the same however it is split, agrees with the
//! oracle on what is good, and what it lets through hyper reads as the same requests. What it refuses hyper refuses, too, by the poison that stands for the rest.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::oracle::{self, Seen};
use super::{FramingFault, LIMITS, Scanner, Verdict, cases, scan};
use crate::server::stream::{ONE_MORE, POISON};

/// Mutated connections per run; the seed is the number of each.
const ROUNDS: u64 = 30_000;

/// What attacks are made of.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"1",
    b"3",
    b"a",
    b"x",
    b"+",
    b"-",
    b"0x",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"[",
    b"]",
    b".",
    b"/",
    b"?",
    b"#",
    b"@",
    b"*",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n",
    b"abc",
    b"\r\n ",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET / HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:",
    b"chunked",
    b"x: y\r\n",
    b"OPTIONS",
    b"CONNECT",
    b"http://a",
    b"https://[::1]:80",
];

fn mutate(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.choice(seeds).unwrap().clone();
    if random.u8(..4) == 0 {
        bytes.extend(random.choice(seeds).unwrap());
    }
    for _ in 0..random.usize(0..4) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(..12)).min(bytes.len());
        let piece = *random.choice(PIECES).unwrap();
        match random.u8(..8) {
            0 => drop(bytes.splice(at..at, piece.iter().copied())),
            1 => drop(bytes.splice(at..end, piece.iter().copied())),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            4 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x20),
            5 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte = random.u8(..)),
            6 => bytes.truncate(at),
            // Where lines begin and end is where parsers differ.
            _ => {
                let ends: Vec<usize> = bytes.windows(2).enumerate().filter(|(_, pair)| *pair == b"\r\n").map(|(at, _)| at).collect();
                if let Some(at) = random.choice(ends) {
                    let at = at + random.usize(..3);
                    drop(bytes.splice(at..at, piece.iter().copied()));
                }
            }
        }
    }
    bytes
}

#[test]
fn mutated_connections_mean_one_thing() {
    // Good ones more often: what is faulty already seldom becomes something new.
    let good = cases().into_iter().filter(|(list, ..)| list == "good" || list == "target");
    let seeds: Vec<Vec<u8>> = cases().into_iter().chain(good.clone()).chain(good.clone()).chain(good).map(|(.., bytes)| bytes).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut good, mut faulty, mut unfinished) = (0, 0, 0);
    for round in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(round);
        let bytes = mutate(&mut random, &seeds);
        let what = || format!("round {round}: {:?}", String::from_utf8_lossy(&bytes));

        let verdict = scan(&[&bytes]);
        for _ in 0..2 {
            let (left, right) = bytes.split_at(random.usize(..=bytes.len()));
            let (middle, right) = right.split_at(random.usize(..=right.len()));
            assert_eq!(scan(&[left, middle, right]), verdict, "{}, split at {} and {}", what(), left.len(), left.len() + middle.len());
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(scan(&single), verdict, "{}, byte by byte", what());

        let expected = oracle::requests(&bytes, LIMITS);
        assert_eq!(matches!(verdict, Verdict::Complete(_)), expected.is_some(), "{}: {verdict:?}, {expected:?}", what());
        match (verdict, expected) {
            (Verdict::Complete(requests), Some(expected)) => {
                assert_eq!(requests, expected.len() as u64, "{}", what());
                good += 1;
                runtime.block_on(as_hyper_reads(&bytes, &expected, &what));
            }
            (Verdict::Fault(good, _), _) => {
                faulty += 1;
                runtime.block_on(hyper_refuses(&bytes, good, &what));
            }
            _ => unfinished += 1,
        }
    }
    // None of the three is rare, or this would prove nothing.
    assert!(good.min(faulty).min(unfinished) > ROUNDS / 25, "{good}, {faulty}, {unfinished}");
}

#[test]
fn a_head_with_too_many_headers_is_never_a_shorter_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(LIMITS.headers));
    let Verdict::Fault(good, FramingFault::TooManyHeaders) = scan(&[bytes.as_bytes()]) else { panic!("one header over the limit") };
    let fed = [&bytes.as_bytes()[..good], ONE_MORE].concat();
    // With the scanner's limit, and if hyper's were another.
    for (max_headers, answer) in [(LIMITS.headers, "HTTP/1.1 431 "), (LIMITS.headers + 8, "HTTP/1.1 400 ")] {
        let (seen, answers) = runtime.block_on(hyper_reads(&fed, max_headers));
        assert!(seen.is_empty() && answers.starts_with(answer), "{max_headers}: {seen:?}, {answers:?}");
    }
}

/// hyper may refuse what the scanner let through, but reads nothing else in it.
async fn as_hyper_reads(bytes: &[u8], expected: &[Seen], what: &impl Fn() -> String) {
    let (seen, answers) = hyper_reads(bytes, LIMITS.headers).await;
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(*seen, (expected.method.clone(), expected.http10, Some(expected.length)), "{}", what());
    }
    // HTTP/1.0 without `keep-alive`, or `close`, ends the connection after its answer.
    let ended = answers.contains("HTTP/1.1 400 ") || answers.contains("connection: close") || expected.iter().any(|request| request.http10);
    assert!(seen.len() == expected.len() || seen.len() < expected.len() && ended, "{}: {seen:?}, {answers:?}", what());
}

/// What comes before a fault, and the poison after it, never complete what was faulty, and hyper says so at once.
async fn hyper_refuses(bytes: &[u8], good: usize, what: &impl Fn() -> String) {
    let mut scanner = Scanner::new(LIMITS);
    scanner.scan(&bytes[..good]).unwrap();
    let in_body = !scanner.in_head();
    let complete = usize::try_from(scanner.requests()).unwrap() - usize::from(in_body);
    let (seen, answers) = hyper_reads(&[&bytes[..good], POISON].concat(), LIMITS.headers).await;
    let whole = seen.iter().filter(|(.., length)| length.is_some()).count();
    let ended = answers.contains("connection: close") || seen.iter().any(|(_, http10, _)| *http10);
    assert!(whole == complete || whole < complete && ended, "{}: {complete}, {seen:?}", what());
    let refused = if in_body { seen.len() == complete + 1 } else { answers.contains("HTTP/1.1 400 ") };
    assert!(refused || ended, "{}: {seen:?}, {answers:?}", what());
}

/// Method, whether it is HTTP/1.0, and the length of the body unless that broke off, of every request; and the answers.
async fn hyper_reads(bytes: &[u8], max_headers: usize) -> (Vec<(String, bool, Option<u64>)>, String) {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let length = body.collect().await.map(|body| body.to_bytes().len() as u64);
            let http10 = parts.version == hyper::Version::HTTP_10;
            seen.borrow_mut().push((parts.method.to_string(), http10, length.ok()));
            let mut response = Response::new(Full::new(Bytes::new()));
            // As the gateway does: a tunnel would take the rest of the bytes.
            *response.status_mut() = if parts.method == Method::CONNECT { StatusCode::NOT_IMPLEMENTED } else { StatusCode::OK };
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The client closes its side when all is sent, and still reads.
    let serve = builder.half_close(true).max_headers(max_headers).serve_connection(TokioIo::new(server), service);
    let talk = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answers = Vec::new();
        drop(client.read_to_end(&mut answers).await);
        String::from_utf8_lossy(&answers).into_owned()
    };
    let (_, answers) = tokio::join!(serve, talk);
    let seen = seen.take();
    (seen, answers)
}
