//! `ketama-nginx` against the program it promises to agree with: a running nginx says where each key goes.
//!
//! nginx gets one server block per upstream server, which answers with its own port, and one in front of them with
//! `hash $arg_k consistent`. Our side builds a placement from the same servers and weights and looks the same keys up.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what helps a test fails it; clippy exempts only the test functions themselves"
)]

mod support;

use plugway_plugin_hash_router::hash::Hash;
use plugway_plugin_hash_router::placement::{Kind, Member, Placement};
use plugway_sdk::testing::endpoint;

use support::{Nginx, Server};

/// Keys asked for per configuration; the issue wants at least 1000.
const KEYS: usize = 2000;

/// Where a key goes by our own placement, without the servers that are down.
fn ours(servers: &[Server], keys: &[String]) -> Vec<u16> {
    let endpoints: Vec<_> = (0..)
        .zip(servers)
        .map(|(id, server)| {
            let mut endpoint = endpoint(id, &format!("http://127.0.0.1:{}", server.port));
            endpoint.weight = server.weight;
            if server.name.starts_with("unix:") {
                endpoint.labels = vec![("hash_name".to_owned(), server.name.clone())];
            }
            endpoint
        })
        .collect();
    let placement = Placement::build(Kind::KetamaNginx, &Member::of(&endpoints)).unwrap();
    let up = |key: &String| placement.order(Hash::Crc32.of(key.as_bytes())).find(|index| !servers[*index].down);
    keys.iter().map(|key| endpoints[up(key).unwrap()].port).collect()
}

/// Keys of several lengths and shapes, all legal in a query as they are, since `$arg_k` is not decoded.
fn keys() -> Vec<String> {
    (0..KEYS)
        .map(|n| match n % 4 {
            0 => n.to_string(),
            1 => format!("user-{n}@example.com"),
            2 => format!("/orders/{n}/items/{}", n * 7919),
            _ => format!("{n:x}").repeat(9),
        })
        .collect()
}

/// Compares one configuration; `down` is the position of a server marked `down`, `unix` makes them sockets without a port.
fn agrees(weights: &[u16], down: Option<usize>, unix: bool) {
    let nginx = Nginx::start(weights, down, unix);
    let keys = keys();
    let theirs = nginx.ask(&keys);
    let ours = ours(&nginx.servers, &keys);

    let different: Vec<_> = keys.iter().zip(theirs.iter().zip(&ours)).filter(|(_, (theirs, ours))| theirs != ours).take(5).collect();
    assert!(different.is_empty(), "key, (nginx, ours): {different:?}");
    for server in &nginx.servers {
        assert_eq!(theirs.contains(&server.port), !server.down, "nginx and server {server:?}: the comparison says nothing of it");
    }
}

#[test]
fn keys_go_where_nginx_sends_them() {
    agrees(&[1, 1, 1, 1, 1], None, false);
}

#[test]
fn weights_count_as_in_nginx() {
    agrees(&[1, 2, 5, 10, 3, 1, 7], None, false);
}

#[test]
fn weights_with_a_common_divisor_are_not_reduced() {
    agrees(&[4, 6], None, false);
}

#[test]
fn keys_of_a_server_that_is_down_go_where_nginx_sends_them() {
    agrees(&[2, 2, 3, 2, 1], Some(2), false);
}

#[test]
fn a_name_without_a_port_is_hashed_as_nginx_does_it() {
    agrees(&[1, 3, 2], None, true);
}
