//! Clients that leave while they are answered, and clients that say more meanwhile.

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;
use rustix::process::Signal;

use crate::common::{metric, one_route, start, until, web, wire};

const HANG: &str = "GET /hang HTTP/1.1\nhost: a\n\n";
const SLOW: &str = "GET /slow/100 HTTP/1.1\nhost: a\n\n";
/// More than sockets hold.
const LARGE: usize = 16 << 20;

/// Waits until nothing is answered any more, since so many clients left.
fn until_gone(gateway: &Gateway, clients: f64) {
    until("it is given up", || metric(gateway, "plugway_faults_total", &["client-gone"]) == clients);
    assert_eq!(metric(gateway, "plugway_requests_in_flight", &[]), 0.0);
}

#[test]
fn who_says_that_no_more_comes_has_left_as_who_is_gone() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire(HANG)).unwrap();
    until("it is with the upstream", || upstream.requests() == 1);
    client.finish().unwrap();
    until_gone(&gateway, 1.0);
    assert!(client.closes().unwrap());
    // An answer that is there at once is given.
    let mut client = web(&gateway);
    client.send(wire("TRACE / HTTP/1.1\nhost: a\n\n")).unwrap();
    client.finish().unwrap();
    assert_eq!(client.response().unwrap().status, 501);
    assert!(client.closes().unwrap());
}

#[test]
fn one_can_leave_amid_an_answer_that_waits() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    // The first byte comes in an hour.
    client.send(wire("GET /drip/2/3600000 HTTP/1.1\nhost: a\n\n")).unwrap();
    assert_eq!(client.response_to("HEAD").unwrap().status, 200);
    client.finish().unwrap();
    until_gone(&gateway, 1.0);
    assert!(client.closes().unwrap());
}

#[test]
fn one_can_leave_an_answer_that_it_does_not_read() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire(&format!("GET /bytes/{LARGE} HTTP/1.1\nhost: a\n\n"))).unwrap();
    assert_eq!(client.response_to("HEAD").unwrap().status, 200);
    client.finish().unwrap();
    until_gone(&gateway, 1.0);
}

#[test]
fn who_says_more_has_not_left_and_is_seen_to_leave_later() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    for round in 0..3 {
        client.send(wire(SLOW)).unwrap();
        until("it is with the upstream", || upstream.requests() == 2 * round + 1);
        // What is sent while an answer is made waits for its turn, the second half of it, too.
        let (half, rest) = SLOW.split_at(17);
        client.send(wire(half)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
        client.send(wire(rest)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    client.send(wire(HANG)).unwrap();
    until("it is with the upstream", || upstream.requests() == 7);
    drop(client);
    until_gone(&gateway, 1.0);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn of_requests_that_came_together_the_last_is_given_up() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    client.send(wire(&[SLOW, SLOW, HANG].concat())).unwrap();
    client.finish().unwrap();
    for _ in 0..2 {
        assert_eq!(client.response().unwrap().status, 200);
    }
    until_gone(&gateway, 1.0);
    assert!(client.closes().unwrap());
}

#[test]
fn what_is_no_request_is_counted_though_its_client_says_no_more() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    // Both come at once.
    gateway.signal(Signal::STOP).unwrap();
    // Every byte of it may stand in a target, and there is no such target.
    client.send(wire("GET /?q=\"x\" HTTP/1.1\nhost: a\n\n")).unwrap();
    client.finish().unwrap();
    gateway.signal(Signal::CONT).unwrap();
    assert_eq!(client.response().unwrap().status, 400);
    until("it is counted", || metric(&gateway, "plugway_faults_total", &["malformed-request"]) == 1.0);
}

#[test]
fn who_says_more_than_is_read_gets_all_of_its_last_answer() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    for version in ["1.1", "1.0"] {
        let mut client = web(&gateway);
        client.send(wire(&format!("GET /bytes/{LARGE} HTTP/{version}\nhost: a\nconnection: close\n\n"))).unwrap();
        until("it is answered", || metric(&gateway, "plugway_requests_in_flight", &[]) == 1.0);
        // Nobody reads this: a socket that is closed with it unread takes back what it has not sent.
        client.send("\r\n").unwrap();
        assert_eq!(client.response().unwrap().body.len(), LARGE);
    }
}
