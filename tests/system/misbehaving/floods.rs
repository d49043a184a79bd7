//! One call that hands over, or asks for, more than it may: nobody looks at a guest's CPU time while the gateway works for it.

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use super::STALL;
use super::measured::{Measured, Strays, cost};
use crate::common::{metric, start};
use crate::guest::{assert_problem, config, flooding, plugin, report, route, send};
use crate::thread_time::Thread;

/// A call, the most it may have, and what one more comes to: a trap, or a refusal of its own, after which the hook goes on.
const CALLS: [(&str, usize, Over); 16] = [
    ("random", 64 << 10, Over::Trap),
    ("insecure-random", 64 << 10, Over::Trap),
    ("write", 4 << 10, Over::Trap),
    ("blocking-write", 4 << 10, Over::Trap),
    ("zeroes", 4 << 10, Over::Trap),
    ("log", HANDED_OVER, Over::Trap),
    ("amounts", 16_384, Over::Ignored),
    // Lists are counted by what the gateway has room for, not by what is in them.
    ("labels", 80_000, Over::Ignored),
    ("equal", HANDED_OVER / 2, Over::Trap),
    ("digest", 1 << 20, Over::Refused),
    ("digest", HANDED_OVER, Over::Trap),
    ("headers", 64, Over::Answer),
    ("body", 1 << 20, Over::Answer),
    ("failure", 4 << 10, Over::Refused),
    ("set-header", 32 << 10, Over::Refused),
    ("set-path", 32_766, Over::Refused),
];

/// What one call hands over at most.
const HANDED_OVER: usize = 2 << 20;
/// What a guest of 32 MiB could hand over, or ask for.
const FLOOD: usize = 12 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// The call traps.
    Trap,
    /// It is refused as a value.
    Refused,
    /// Nothing of it is recorded, which is counted.
    Ignored,
    /// The answer fails the hook.
    Answer,
}

fn gateway(upstream: &Upstream) -> Gateway {
    // Each call but the last in a series fails; a breaker would keep some from being made. And so would the guest's own time on a slow machine.
    let settings = "grants = { crypto = {} }\nbudget = { cpu = \"5s\", failed_cpu = \"60s\" }";
    start(&config(upstream, &[&plugin("flooding", flooding(), "", settings), &route("public = true\nplugins = [\"flooding\"]")]))
}

fn failures(gateway: &Gateway) -> f64 {
    metric(gateway, "plugway_hook_failures_total", &["plugin=\"flooding\"", "hook=\"request-filter\""])
}

#[test]
fn no_call_makes_the_gateway_work_for_longer_than_a_loop() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream);
    let worker = Thread::named(gateway.pid(), "plugway-0");
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let mut tell = |told: &str| {
        report(&send(&mut raw, "/", &[]));
        cost(&mut raw, &worker, Some(&upstream), ("/", &[("x-flood", told)]))
    };
    for (call, _, over) in CALLS {
        // As much as its memory holds; where each thing has room in the gateway, too, a good deal of it.
        let count = match call {
            "labels" | "amounts" => 900_000,
            "headers" => 300_000,
            "equal" => FLOOD / 2,
            _ => FLOOD,
        };
        let told = format!("{call} {count}");
        let mut strays = Strays::at_most(2);
        loop {
            // The memory that the guest fills is dear by itself, more so on a slow machine.
            let (without, response) = tell(&format!("{told} withheld"));
            assert_problem(&response, 500, "plugin-failed");
            let (measured, response) = tell(&told);
            assert_ne!((response.status, over), (200, Over::Trap), "{told}: {}", response.text());
            // Up to its limit each of them may cost something, which is much in a build without optimisation.
            let most = Measured { cpu: 2 * without.cpu + STALL, stall: 2 * without.stall + STALL };
            if strays.within(&told, measured, most) {
                break;
            }
        }
    }
    // No more memory than the gateway had: what was handed over was not read.
    let peak = plugway_harness::process::peak_rss_bytes(gateway.pid()).unwrap();
    let now = gateway.rss_bytes().unwrap();
    assert!(peak < now + (48 << 20), "{} MiB at most, {} MiB now", peak >> 20, now >> 20);
}

#[test]
fn each_call_may_have_what_it_says_and_no_more() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream);
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let ignored = || metric(&gateway, "plugway_plugin_records_ignored_total", &["plugin=\"flooding\""]);
    for (call, most, over) in CALLS {
        // A little of the room is for what stands beside it.
        let under = if most == HANDED_OVER || most == HANDED_OVER / 2 { most - 1024 } else { most };
        let mut tell = |count: usize| {
            report(&send(&mut raw, "/", &[]));
            let before = (failures(&gateway), ignored());
            let response = send(&mut raw, "/", &[("x-flood", &format!("{call} {count}"))]);
            (response.status, failures(&gateway) - before.0, ignored() - before.1)
        };
        let refuses = call == "failure";
        let fits = tell(under);
        // A hook that says why it failed has failed, and one that has the wrong number of labels is ignored.
        let expected = (if refuses { 500 } else { 200 }, f64::from(u8::from(refuses)), f64::from(u8::from(call == "labels")));
        assert_eq!(fits, expected, "{call} {under}");
        let beyond = tell(if over == Over::Trap { most + 1024 } else { most + 1 });
        let expected = match over {
            Over::Trap | Over::Answer => (500, 1.0, 0.0),
            Over::Refused => (expected.0, expected.1, 0.0),
            Over::Ignored => (200, 0.0, if call == "labels" { 1.0 } else { most as f64 + 1.0 }),
        };
        assert_eq!(beyond, expected, "{call} beyond {most}");
    }
}
