//! Swaps while requests are in flight, all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plugway_harness::raw::Raw;

use super::{Scene, replace, status, until, version, version_of};
use crate::guest::send;

/// Swaps of the plugin, each of which is seen to serve.
const SWAPS: u32 = 20;
/// Reloads of the configuration among them.
const RELOADS: u32 = 5;
/// Connections, each kept and always busy.
const CLIENTS: usize = 4;

#[test]
fn no_request_is_lost_and_none_meets_two_versions() {
    let scene = Scene::new("");
    let address = scene.gateway.address("web").unwrap();
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    let instances = scene.plugin()["instances"].clone();
    let (done, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let client = || {
            let mut raw = Raw::connect(address).unwrap();
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let response = send(&mut raw, "/", &[]);
                let version = version_of(&response);
                // There is one worker: once a version has answered, no earlier one does.
                assert!(version >= last, "version {version} after {last}");
                last = version;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut swapped = 0.0;
        for number in 2..=SWAPS + 1 {
            replace(&scene.file(), version(number));
            scene.serves(number);
            // It answers a moment before it is counted.
            swapped += 1.0;
            until("the swap is counted", || scene.reloads("swapped") >= swapped);
            if number % (SWAPS / RELOADS) == 0 {
                // A configuration that means something else: another limit each time.
                replace(&scene.config_file(), format!("{text}\n[limits]\nmax_headers = {}\n", 100 + number));
                swapped += 1.0;
                until("the configuration is reloaded", || scene.reloads("swapped") >= swapped);
            }
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    assert_eq!(scene.reloads("swapped"), f64::from(SWAPS + RELOADS));
    assert_eq!(scene.reloads("rejected"), 0.0);
    assert!(answered.load(Ordering::Relaxed) > u64::from(SWAPS) * 10, "{answered:?}");
    // Nothing is left of what served before.
    until("one generation is left", || status(&scene.gateway)["generations"]["live"].as_array().unwrap().len() == 1);
    until("its instances alone are left", || scene.plugin()["instances"] == instances);
}
