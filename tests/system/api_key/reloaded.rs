//! The file of consumers changes under traffic: keys come and go by a reload, and whoever has one that counts is never refused.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plugway_harness::gateway::Launch;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use super::digest;
use crate::common::{BINARY, Ends, metric, two_workers, until_within};
use crate::guest::{config, get, route, send};

const OLD: &str = "sk-old-5d1e0c";
const NEW: &str = "sk-new-a94b77";

/// The file with these keys of the one consumer.
fn consumers(keys: &[&str]) -> String {
    serde_json::json!([{ "name": "shop", "keys": keys.iter().map(|key| digest(key)).collect::<Vec<_>>(), "scopes": ["orders:read"] }])
        .to_string()
}

fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(std::time::Duration::from_secs(180), what, holds);
}

#[test]
fn keys_are_rotated_in_their_file_while_requests_go_on() {
    let upstream = Upstream::plain("up").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    launch.file("consumers.json", consumers(&[OLD])).unwrap();
    let keys =
        "[plugins.keys]\nsource = \"builtin:api-key\"\ngrants = { crypto = {} }\nconfig = { consumers = { file = \"consumers.json\" } }\n";
    let gateway = launch.start(&two_workers(&config(&upstream, &[keys, &route("plugins = [\"keys\"]")]))).unwrap();
    let address = gateway.address("web").unwrap();
    // Put in its place at once, as whoever writes such files does.
    let write = |keys: &[&str]| {
        let next = gateway.directory().join("next.tmp");
        std::fs::write(&next, consumers(keys)).unwrap();
        std::fs::rename(next, gateway.directory().join("consumers.json")).unwrap();
    };
    let asked = |key: &str| get(address, "/", &[("x-api-key", key)]).status;
    // On connections of their own: some meet one worker, some the other.
    let everywhere = |key: &str, status: u16| (0..16).all(|_| asked(key) == status);
    assert!(everywhere(OLD, 200) && everywhere(NEW, 401));

    let (old_ends, over, answered) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _ends = Ends(&over);
        let _old_ends = Ends(&old_ends);
        // Whoever has the old key uses it until it is taken back, on connections that stay and on new ones.
        let holders: Vec<_> = [true, false, true, false]
            .into_iter()
            .map(|stays| {
                let (old_ends, answered) = (&old_ends, &answered);
                scope.spawn(move || {
                    let mut raw = Raw::connect(address).unwrap();
                    while !old_ends.load(Ordering::Relaxed) {
                        if !stays {
                            raw = Raw::connect(address).unwrap();
                        }
                        assert_eq!(send(&mut raw, "/", &[("x-api-key", OLD)]).status, 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        // One that nobody was ever given.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(asked("sk-never"), 401);
            }
        });
        until("there is traffic", || answered.load(Ordering::Relaxed) > 50);
        write(&[OLD, NEW]);
        until("the new key counts on both workers", || everywhere(NEW, 200));
        // From now on it is never refused, whatever becomes of the other.
        for _ in 0..2 {
            let (over, answered) = (&over, &answered);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(asked(NEW), 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A file that cannot be read changes nothing.
        std::fs::write(gateway.directory().join("consumers.json"), "[{ \"name\": \"shop\", \"keys\": [").unwrap();
        until("it was looked at", || metric(&gateway, "plugway_reloads_total", &["result=\"rejected\""]) > 0.0);
        assert!(everywhere(NEW, 200));
        write(&[OLD, NEW]);
        old_ends.store(true, Ordering::Relaxed);
        holders.into_iter().for_each(|holder| holder.join().unwrap());
        write(&[NEW]);
        until("the old key is taken back on both workers", || everywhere(OLD, 401));
        let before = answered.load(Ordering::Relaxed);
        until("the new one goes on", || answered.load(Ordering::Relaxed) > before + 50);
    });
    assert!(everywhere(NEW, 200));
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
    let log = gateway.log().text();
    assert!(!log.contains(OLD) && !log.contains(NEW), "a key is in the log");
}
