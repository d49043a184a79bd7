//! What a gateway at work holds in memory. The footprint of a release build is `cargo xtask bench footprint`'s; this is the part that no
//! build changes: heap, stacks and instances, files left out.

use std::time::Duration;

use plugway_harness::client::Client;
use plugway_harness::process;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use rustix::process::Signal;

use crate::common::{metric, one_route, run, start, start_tls, two_workers, until, web, wire};
use crate::guest::{config, filters, plugin, report, route, send};

const GET: &str = "GET / HTTP/1.1\nhost: example.com\n\n";

/// 12 MB were measured; one huge page for each place of the heap that is touched made it 53.
const MOST: u64 = 24 << 20;

#[test]
fn five_plugins_on_two_workers_fit_into_a_small_heap() {
    let upstream = Upstream::plain("up").unwrap();
    let names = ["a", "b", "c", "d", "e"];
    let plugins = names.map(|name| plugin(name, filters(), "mode = \"mark\"", "")).concat();
    let chain = route("public = true\nplugins = [\"a\", \"b\", \"c\", \"d\", \"e\"]");
    let gateway = start(&two_workers(&config(&upstream, &[&plugins, &chain])));
    let mut connections: Vec<_> = (0..32).map(|_| web(&gateway)).collect();
    for _ in 0..20 {
        for raw in &mut connections {
            report(&send(raw, "/", &[]));
        }
    }
    let own = gateway.own_bytes().unwrap();
    assert!(own <= MOST, "{} KiB of its own, at most {} KiB", own >> 10, MOST >> 10);
}

const CONNECTIONS: u64 = 500;

/// Of each idle connection, bytes. Without a rest it is 22 KiB.
const MOST_IDLE: u64 = 12 << 10;

#[test]
fn connections_that_rest_give_up_their_buffers_and_come_back() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let ask = |raw: &mut Raw| {
        raw.send(wire(GET)).unwrap();
        assert_eq!(raw.response().unwrap().status, 200);
    };
    // What the first one makes is not its own.
    ask(&mut web(&gateway));
    let own = || gateway.own_bytes().unwrap();
    let before = own();
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| web(&gateway)).collect();
    connections.iter_mut().for_each(ask);
    for _ in 0..2 {
        until(&format!("at most {MOST_IDLE} bytes for each idle connection"), || own().saturating_sub(before) / CONNECTIONS <= MOST_IDLE);
        connections.iter_mut().for_each(ask);
    }
}

/// The same with a TLS session. Without a rest it is 40 KiB and more.
const MOST_IDLE_TLS: u64 = 32 << 10;

#[test]
fn connections_over_tls_rest_too_and_end_from_either_side() {
    let upstream = Upstream::plain("up").unwrap();
    let (mut gateway, authority) = start_tls(&one_route(&upstream, "[timeouts]\nidle = \"10m\""));
    let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority);
    let pid = gateway.pid();
    let own = || process::own_bytes(pid).unwrap();
    run(async {
        let mut first = client.connect().await.unwrap();
        assert_eq!(first.get("/").await.unwrap().status, 200);
        let before = own();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(client.connect().await.unwrap());
        }
        for _ in 0..2 {
            for connection in &mut connections {
                assert_eq!(connection.get("/").await.unwrap().status, 200);
            }
            let most = format!("at most {MOST_IDLE_TLS} bytes for each idle connection");
            until(&most, || own().saturating_sub(before) / CONNECTIONS <= MOST_IDLE_TLS);
        }
        connections.truncate(1);
        let open = || metric(&gateway, "plugway_connections_open", &["tls"]);
        // Tasks of this runtime end them, and the rest of the test.
        while open() > 2.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(open(), 2.0);
        gateway.signal(Signal::TERM).unwrap();
        for connection in [&mut first, &mut connections[0]] {
            while connection.is_open() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    assert!(gateway.wait(Duration::from_secs(20)).unwrap().success());
}

#[test]
fn a_connection_that_rests_is_closed_when_it_is_idle_for_too_long_and_when_the_gateway_drains() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[timeouts]\nidle = \"2s\""));
    let mut clients = [web(&gateway), web(&gateway)];
    for client in &mut clients {
        client.send(wire(GET)).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    assert!(clients.iter_mut().all(|client| client.closes().unwrap()));
}
