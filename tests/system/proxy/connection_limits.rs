//! How many connections there are to an upstream, of all workers together.

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::{Settings, Upstream};

use crate::common::{ask, assert_problem, metric, one_upstream, start, status, two_workers, until, web, wire};

#[test]
fn an_upstream_at_its_limit_of_connections_is_a_503_on_every_worker() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&two_workers(&one_upstream(&[upstream.url()], "max_connections = 2", "")));
    let mut busy: Vec<_> = (0..2).map(|_| web(&gateway)).collect();
    for client in &mut busy {
        client.send(wire("GET /hang HTTP/1.1\nhost: a\n\n")).unwrap();
    }
    until("both are with the upstream", || upstream.requests() == 2);
    for _ in 0..5 {
        assert_problem(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"), 503, "upstream-saturated");
    }
    drop(busy);
    until("it is served again", || ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status == 200);
    assert!(upstream.connections() <= 4);
}

#[test]
fn unused_connections_are_kept_up_to_a_limit_of_all_workers() {
    const AT_ONCE: u64 = 24;
    for limit in [5, AT_ONCE] {
        let upstream = Upstream::plain("up").unwrap();
        let gateway = start(&two_workers(&one_upstream(&[upstream.url()], &format!("max_idle_connections = {limit}"), "")));
        let mut clients: Vec<_> = (0..AT_ONCE).map(|_| web(&gateway)).collect();
        clients.iter_mut().for_each(|client| client.send(wire("GET /held HTTP/1.1\nhost: a\n\n")).unwrap());
        until("all are with the upstream", || upstream.requests() == AT_ONCE);
        let busy = |worker| metric(&gateway, "plugway_worker_requests_total", &[&format!("worker=\"{worker}\"")]);
        upstream.release();
        clients.iter_mut().for_each(|client| assert_eq!(client.response().unwrap().status, 200));
        assert!(busy(0) > 0.0 && busy(1) > 0.0 && busy(0) + busy(1) == AT_ONCE as f64, "{} and {}", busy(0), busy(1));
        let connections = || status(&gateway)["upstreams"][0]["endpoints"][0]["connections"].clone();
        until("those above it are closed", || connections() == limit);
        assert_eq!(metric(&gateway, "plugway_upstream_connections_idle", &[]), limit as f64);
        assert_eq!(upstream.connections(), AT_ONCE);
    }
}

/// Clients of one worker and of the other, as many of each.
fn clients(gateway: &Gateway, many: usize) -> [Vec<Raw>; 2] {
    let served = || metric(gateway, "plugway_worker_requests_total", &["worker=\"0\""]);
    let mut clients = [Vec::new(), Vec::new()];
    until("each worker has clients", || {
        let (mut client, before) = (web(gateway), served());
        client.send(wire("GET / HTTP/1.1\nhost: a\n\n")).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
        clients[usize::from(served() == before)].push(client);
        clients.iter().all(|clients| clients.len() >= many)
    });
    clients.iter_mut().for_each(|clients| clients.truncate(many));
    clients
}

#[test]
fn what_one_worker_does_not_use_another_may_have() {
    for (http2, settings, limit) in [(false, "max_connections = 2", 2), (true, "max_connections = 1\nprotocol = \"http2\"", 1)] {
        let upstream = Upstream::start(&Settings { http2, ..Settings::new("up") }).unwrap();
        let gateway = start(&two_workers(&one_upstream(&[upstream.url()], settings, "")));
        let mut clients = clients(&gateway, limit);
        for turn in 0..4 {
            let before = upstream.requests();
            let clients = &mut clients[turn % 2];
            for client in clients.iter_mut() {
                client.send(wire("POST / HTTP/1.1\nhost: a\ncontent-length: 5\n\n")).unwrap();
            }
            until("they have every connection there is", || upstream.requests() - before == limit as u64);
            for client in clients.iter_mut() {
                client.send(wire("hello")).unwrap();
                assert_eq!(client.response().unwrap().status, 200, "{settings}, turn {turn}");
            }
        }
        assert_eq!(metric(&gateway, "plugway_upstream_attempts_total", &["upstream-saturated"]), 0.0, "{settings}");
    }
}
