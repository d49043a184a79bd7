//! `ketama` against what libketama publishes and what others recorded of it. Sources are in `vectors/README.md`.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use plugway_plugin_hash_router::hash::Hash;
use plugway_plugin_hash_router::placement::ketama::points;
use plugway_plugin_hash_router::placement::{Kind, Member, Placement};
use plugway_sdk::testing::endpoint;

/// What `libketama/test.sh` expects of a million keys.
const PUBLISHED: &str = "5672b131391f5aa2b280936aec1eea74";

fn member(name: &str, weight: u16) -> Member {
    Member { name: name.to_owned(), weight }
}

#[test]
fn a_million_keys_give_the_digest_libketama_publishes() {
    let lines = include_str!("vectors/ketama.servers").lines().filter(|line| !line.starts_with('#'));
    let servers: Vec<(&str, u16)> =
        lines.map(|line| line.split_once('\t').unwrap()).map(|(name, weight)| (name, weight.parse().unwrap())).collect();
    let endpoints: Vec<_> = (0..)
        .zip(&servers)
        .map(|(id, (name, weight))| {
            let mut endpoint = endpoint(id, &format!("http://{name}"));
            endpoint.weight = *weight;
            endpoint
        })
        .collect();
    let members = Member::of(&endpoints);
    let placement = Placement::build(Kind::Ketama, &members).unwrap();
    let points = points(&members).unwrap();

    // As `ketama_test.c` prints it: an empty line, then hash, point and server of each key.
    let mut printed = Md5::new();
    printed.update(b"\n");
    let mut line = String::new();
    for key in 0..1_000_000 {
        line.clear();
        write!(line, "{key}").unwrap();
        let hash = Hash::Md5.of(line.as_bytes());
        let owner = placement.order(hash).next().unwrap();
        let place = (hash & 0xffff_ffff) as u32;
        let at = points.partition_point(|point| *point < place) % points.len();
        line.clear();
        writeln!(line, "{place} {} {}", points[at], servers[owner].0).unwrap();
        printed.update(line.as_bytes());
    }
    let digest: String = printed.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, PUBLISHED);
}

#[test]
fn keys_go_where_another_project_recorded_libketama_sending_them() {
    let members: Vec<Member> = (1..=5).map(|number| member(&format!("0.0.0.{number}"), number)).collect();
    let placement = Placement::build(Kind::Ketama, &members).unwrap();
    let mut lines = 0;
    for line in include_str!("vectors/node-hashring.txt").lines() {
        let (key, server) = line.split_once(' ').unwrap();
        let ours = placement.order(Hash::Md5.of(key.as_bytes())).next().unwrap();
        assert_eq!(members[ours].name, server, "key {key}");
        lines += 1;
    }
    assert_eq!(lines, 2000);
}
