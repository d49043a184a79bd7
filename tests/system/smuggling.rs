//! Request smuggling: what two parsers could frame differently is refused, and nothing of it reaches an upstream.

mod http2;
mod responses;

use std::time::Duration;

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;
use serde::Deserialize;

use crate::common::{metric, one_route, start, until};

/// The cases, as the file describes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    head: Vec<Case>,
    body: Vec<Case>,
    target: Vec<Case>,
    good: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    source: String,
    raw: String,
    #[serde(default)]
    good_before: usize,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    lengths: Vec<u64>,
    #[serde(default)]
    hosts: Vec<String>,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        self.raw.chars().map(|byte| u8::try_from(u32::from(byte)).expect("one byte a character")).collect()
    }

    /// The same bytes whole, in three parts, all but the last byte first, and byte by byte.
    fn ways(&self) -> Vec<(&'static str, Vec<Vec<u8>>)> {
        let bytes = self.bytes();
        let third = (bytes.len() / 3).max(1);
        let (most, last) = bytes.split_at(bytes.len() - 1);
        vec![
            ("whole", vec![bytes.clone()]),
            ("in thirds", bytes.chunks(third).map(<[u8]>::to_vec).collect()),
            ("last byte alone", vec![most.to_vec(), last.to_vec()]),
            ("byte by byte", bytes.iter().map(|byte| vec![*byte]).collect()),
        ]
    }
}

fn cases() -> Cases {
    toml::from_str(include_str!("../smuggling/cases.toml")).unwrap()
}

/// A gateway, its one upstream, and what a test asks of them again and again.
struct World {
    upstream: Upstream,
    gateway: Gateway,
}

impl World {
    fn new() -> Self {
        let upstream = Upstream::plain("up").unwrap();
        let gateway = start(&one_route(&upstream, "[access_log]\nenabled = false\n"));
        Self { upstream, gateway }
    }

    /// Sends a case; a server that has refused it already may have closed.
    fn send(&self, parts: &[Vec<u8>]) -> Raw {
        let mut client = Raw::connect(self.gateway.address("web").unwrap()).unwrap();
        let pause = if parts.len() <= 4 { Duration::from_millis(2) } else { Duration::ZERO };
        drop(client.send_split(parts, pause));
        client
    }

    /// What the upstream read since it had read `before` bytes.
    fn wire_since(&self, before: u64) -> String {
        let wire = self.upstream.wire();
        String::from_utf8_lossy(wire.get(usize::try_from(before).unwrap()..).expect("the upstream kept everything")).into_owned()
    }

    /// A request on a connection of its own is answered as if nothing had been.
    fn still_serves(&self, what: &str) {
        let mut client = self.send(&[b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()]);
        let report = report(&client.response().unwrap(), what);
        assert_eq!((&report["target"], &report["body"]["length"]), (&"/after".into(), &0.into()), "{what}: {report:#}");
    }
}

fn report(response: &RawResponse, what: &str) -> serde_json::Value {
    assert_eq!(response.status, 200, "{what}: {}", response.text());
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{what}: {error}: {}", response.text()))
}

/// hyper's own answer, empty, or a problem document; both say that the connection ends.
fn assert_refused(response: &RawResponse, what: &str) {
    assert_eq!(response.status, 400, "{what}: {}", response.text());
    assert_eq!(response.header("connection"), Some(&b"close"[..]), "{what}: {}", String::from_utf8_lossy(&response.head));
    let problem = response.header("content-type") == Some(b"application/problem+json");
    assert!(problem || response.body.is_empty(), "{what}: {}", response.text());
}

#[test]
fn there_are_enough_cases() {
    let Cases { head, body, target, good } = cases();
    assert!(head.len() + body.len() >= 80, "{} and {}", head.len(), body.len());
    assert!(target.len() >= 15 && good.len() >= 20, "{} and {}", target.len(), good.len());
    let mut names: Vec<_> = [&head, &body, &target, &good].into_iter().flatten().map(|case| case.name.as_str()).collect();
    assert!([&head, &body, &target, &good].into_iter().flatten().all(|case| !case.source.is_empty()));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two cases have one name");
}

#[test]
fn an_ambiguous_head_is_refused_and_nothing_reaches_the_upstream() {
    let world = World::new();
    let mut sent = 0;
    for case in &cases().head {
        for (way, parts) in case.ways() {
            let what = format!("{} ({}), {way}", case.name, case.source);
            let (bytes, requests) = (world.upstream.bytes(), world.upstream.requests());
            let mut client = world.send(&parts);
            for _ in 0..case.good_before {
                assert_eq!(report(&client.response().unwrap(), &what)["target"], "/good", "{what}");
            }
            assert_refused(&client.response().unwrap_or_else(|error| panic!("{what}: {error}")), &what);
            assert!(client.closes().unwrap(), "{what}: more than one answer");
            assert_eq!(world.upstream.requests() - requests, case.good_before as u64, "{what}");
            let wire = world.wire_since(bytes);
            assert_eq!(wire.matches(" HTTP/1.1\r\n").count(), case.good_before, "{what}: {wire}");
            assert!(case.good_before > 0 || wire.is_empty(), "{what}: {wire}");
            sent += 1;
        }
        world.still_serves(&case.name);
    }
    // Nothing is refused in silence.
    let counted = || metric(&world.gateway, "plugway_faults_total", &["blame=\"client\""]);
    until("every refusal is counted", || counted() as usize == sent);
}

#[test]
fn a_body_with_ambiguous_framing_never_ends_for_the_upstream() {
    let world = World::new();
    let mut sent = 0;
    for case in &cases().body {
        for (way, parts) in case.ways() {
            sent += 1;
            let what = format!("{} ({}), {way}", case.name, case.source);
            let mut client = world.send(&parts);
            assert_refused(&client.response().unwrap_or_else(|error| panic!("{what}: {error}")), &what);
            assert!(client.closes().unwrap(), "{what}: more than one answer");
            let wire = world.wire_since(0);
            assert!(!wire.contains("\r\n0\r\n") && !wire.contains("smuggled"), "{what}: {wire}");
        }
        // The connection on which it broke off is not used again.
        world.still_serves(&case.name);
    }
    // Each was a request, and is counted as one.
    let refused = || metric(&world.gateway, "plugway_requests_total", &["status=\"400\""]) as usize;
    until("every refusal is counted", || refused() >= sent);
    assert_eq!((refused(), metric(&world.gateway, "plugway_faults_total", &["blame=\"client\""]) as usize), (sent, sent));
}

#[test]
fn a_target_that_is_not_given_is_answered_and_its_connection_stays() {
    let world = World::new();
    for case in &cases().target {
        for (way, parts) in case.ways() {
            let what = format!("{} ({}), {way}", case.name, case.source);
            let bytes = world.upstream.bytes();
            let mut client = world.send(&parts);
            let response = client.response().unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(response.status, case.status, "{what}: {}", response.text());
            assert_eq!(response.header("content-type"), Some(&b"application/problem+json"[..]), "{what}");
            assert_eq!(world.upstream.bytes(), bytes, "{what}");
            client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let response = client.response().unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(report(&response, &what)["target"], "/next", "{what}");
        }
    }
}

#[test]
fn a_body_that_nobody_reads_is_never_a_request() {
    let world = World::new();
    let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (what, framing, body) in [
        ("by length", format!("Content-Length: {}", body.len()), body.to_owned()),
        ("in chunks", "Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
    ] {
        // Refused for its path before any of the body is asked for; all of the body comes at once, later, or in part.
        let head = format!("POST /a/%2e%2e/b HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        for parts in [vec![format!("{head}{body}")], vec![head.clone(), body.clone()], vec![head + &body[..9], body[9..].to_owned()]] {
            let bytes = world.upstream.bytes();
            let mut client = Raw::connect(world.gateway.address("web").unwrap()).unwrap();
            drop(client.send_split(&parts, Duration::from_millis(20)));
            let response = client.response().unwrap();
            assert_eq!((response.status, response.header("content-type")), (400, Some(&b"application/problem+json"[..])), "{what}");
            drop(client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
            // The connection may end here; if it goes on, it is with the next request.
            if let Ok(response) = client.response() {
                assert_eq!(report(&response, what)["target"], "/next", "{what}");
            }
            assert!(!world.wire_since(bytes).contains("smuggled"), "{what}");
        }
    }
}

#[test]
fn what_is_unusual_but_right_passes_unharmed() {
    let world = World::new();
    for case in &cases().good {
        assert_eq!(case.targets.len(), case.lengths.len(), "{}", case.name);
        for (way, parts) in case.ways() {
            let what = format!("{} ({}), {way}", case.name, case.source);
            let requests = world.upstream.requests();
            let mut client = world.send(&parts);
            for (number, (target, length)) in case.targets.iter().zip(&case.lengths).enumerate() {
                let mut response = client.response().unwrap_or_else(|error| panic!("{what}: {error}"));
                if response.status == 100 {
                    response = client.response().unwrap();
                }
                let report = report(&response, &what);
                assert_eq!((&report["target"], &report["body"]["length"]), (&target.as_str().into(), &(*length).into()), "{what}");
                if let Some(host) = case.hosts.get(number) {
                    assert_eq!(plugway_harness::client::reported(&report, "host"), [host], "{what}");
                }
            }
            assert_eq!(world.upstream.requests() - requests, case.targets.len() as u64, "{what}");
        }
    }
}

#[test]
fn a_client_that_goes_on_sending_can_still_read_why_it_was_refused() {
    use std::io::{Read, Write};
    let world = World::new();
    for head in ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x\r\n"] {
        let mut client = std::net::TcpStream::connect(world.gateway.address("web").unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.write_all(head.as_bytes()).unwrap();
        // A reset would make one of these fail, or take the answer away before it is read.
        for _ in 0..64 {
            client.write_all(&[b'a'; 16 << 10]).unwrap();
        }
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}
