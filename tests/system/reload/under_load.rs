//! Swaps while requests are in flight, all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plugway_harness::raw::Raw;

use super::{Scene, replace, status, until, version, version_of};
use crate::common::{Ends, assert_seldom_stalled};
use crate::guest::send;

/// Swaps of the plugin, each of which is seen to serve.
const SWAPS: u32 = 20;
/// Reloads of the configuration among them.
const RELOADS: u32 = 5;
/// The version by which caches and allocators have the size they will keep.
const WARM: u32 = 8;
/// Memory of its own that may be more than it was then, bytes: pages that the allocator has not given back.
const MEMORY: u64 = 8 << 20;
/// The longest that the worker may be at work while something is due, in CPU time, seconds. 5 ms is what `cargo xtask soak` allows a
/// release build; this is one without optimisation, which works off what came while others had the core. Compiling takes ten times as long.
const STALL: &str = "0.05";
/// Times it was longer, at most: a hypervisor may do it now and then. A gateway that compiles on its worker does it at every swap.
const STALLS: f64 = 2.0;
/// Connections, each kept and always busy.
const CLIENTS: usize = 4;

#[test]
fn no_request_is_lost_and_none_meets_two_versions() {
    let scene = Scene::new("");
    let address = scene.gateway.address("web").unwrap();
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    let instances = scene.plugin()["instances"].clone();
    let own = || scene.gateway.own_bytes().unwrap();
    let (done, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let warmed = std::thread::scope(|scope| {
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
        let ends = Ends(&done);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let (mut swapped, mut warmed) = (0.0, 0);
        for number in 2..=SWAPS + 1 {
            if number == WARM {
                warmed = own();
            }
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
        drop(ends);
        clients.into_iter().for_each(|client| client.join().unwrap());
        warmed
    });
    assert_eq!(scene.reloads("swapped"), f64::from(SWAPS + RELOADS));
    assert_eq!(scene.reloads("rejected"), 0.0);
    assert!(answered.load(Ordering::Relaxed) > u64::from(SWAPS) * 10, "{answered:?}");
    // Nothing is left of what served before.
    until("one generation is left", || status(&scene.gateway)["generations"]["live"].as_array().unwrap().len() == 1);
    until("its instances alone are left", || scene.plugin()["instances"] == instances);
    let now = own();
    assert!(now <= warmed + MEMORY, "{} KiB of its own, {} KiB when it was warm", now >> 10, warmed >> 10);
    assert_seldom_stalled(&scene.gateway, STALL, STALLS);
}
