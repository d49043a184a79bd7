//! Clients that leave while they are answered.

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{metric, one_route, start, until, web, wire};

const HANG: &str = "GET /hang HTTP/1.1\nhost: a\n\n";
const SLOW: &str = "GET /slow/100 HTTP/1.1\nhost: a\n\n";

/// Waits until nothing is answered any more; so many clients left.
fn until_gone(gateway: &Gateway, clients: f64) {
    until("it is given up", || metric(gateway, "plugway_requests_in_flight", &[]) == 0.0);
    assert_eq!(metric(gateway, "plugway_faults_total", &["client-gone"]), clients);
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
}

#[test]
fn one_can_leave_amid_an_answer_that_waits() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = web(&gateway);
    // The next byte comes in an hour.
    client.send(wire("GET /drip/2/3600000 HTTP/1.1\nhost: a\n\n")).unwrap();
    until("it is with the upstream", || upstream.requests() == 1);
    until("its answer has begun", || metric(&gateway, "plugway_requests_in_flight", &[]) == 1.0);
    drop(client);
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
        // What is sent while an answer is made waits for its turn.
        client.send(wire(SLOW)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
        assert_eq!(client.response().unwrap().status, 200);
    }
    client.send(wire(HANG)).unwrap();
    until("it is with the upstream", || upstream.requests() == 7);
    drop(client);
    until_gone(&gateway, 1.0);
    assert_eq!(upstream.connections(), 1);
}
