//! Plugins that do nothing but harm, each under a steady load of its own, beside a route that has none.

use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use super::measured::{Measured, Strays, cost, measure, most_of_a_loop};
use super::{BUDGET, OVER, STALL};
use crate::common::{assert_seldom_stalled, metric, start, until};
use crate::guest::{assert_problem, config, guest, report, route, send};
use crate::thread_time::Thread;

/// Lines without end.
pub(super) const FLOOD: &str = "log-flood:1000000000";
/// What a hog does with every request.
const HOGS: [(&str, &str); 5] = [
    ("loop", "cpu"),
    ("trap", "trap"),
    ("memory:67108864", "memory"),
    // It is not the lines that end it, those past its share are dropped: it is the time it takes to send them.
    (FLOOD, "cpu"),
    // Each trap takes an instance along, and the next one is dear (`EXPENSIVE`).
    ("change-then-trap", "trap"),
];
/// The hog whose instances take long to become ready.
pub(super) const EXPENSIVE: &str = "change-then-trap";
/// What a plugin does that harms nobody, and answers as early as one that is left alone.
const HARMLESS: &str = "respond:100";

/// How long the load lasts.
const LOAD: Duration = Duration::from_secs(10);
/// Requests for the hog, each with a good one after it.
const PAIRS: u32 = 500;
/// A hog's share of its worker, at most.
const SHARE: Duration = Duration::from_millis(500);
/// Faults until a hog is left alone, at most.
const FAULTS: f64 = 10.0;

/// What its one worker runs beside the hog's route: one without plugins, and, for a hog that is `dear`, one that takes 300 ms to configure.
fn gateway(upstream: &Upstream, mode: &str, dear: bool) -> Gateway {
    // What is measured one by one must not add up.
    let failed_cpu = if mode == "by-header" { ", failed_cpu = \"10s\"" } else { "" };
    let budget = format!("budget = {{ cpu = \"10ms\", memory = \"32MiB\"{failed_cpu} }}");
    let hog = guest("misbehaving", &format!("mode = \"{mode}\", hook = \"request-filter\""), &budget);
    let mut parts = vec![hog, route("plugins = [\"misbehaving\"]")];
    let more =
        |name: &str, rest: &str| format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\nupstream = \"up\"\n{rest}\n");
    parts.push(more("good", "public = true"));
    if dear {
        parts.push(dear_route().to_owned());
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    start(&config(upstream, &parts))
}

/// One with a configuration of the plugin's that takes 300 ms to take in.
pub(super) fn dear_route() -> &'static str {
    "[[routes]]\nname = \"dear\"\nmatch = { path = \"/dear\" }\nupstream = \"up\"\nplugins = [{ plugin = \"misbehaving\", config = { mode = \"slow-configure:300\" } }]\n"
}

/// Bears the load, one pair of requests after the other; CPU time the worker spent on it.
fn bear(gateway: &Gateway, mode: &str) -> Duration {
    let worker = Thread::named(gateway.pid(), "plugway-0");
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let before = worker.settled();
    let began = Instant::now();
    for pair in 0..PAIRS {
        let due = began + LOAD * pair / PAIRS;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let response = send(&mut raw, "/", &[("x-tenant-id", "acme")]);
        let is_harmed = mode != HARMLESS;
        assert_eq!(response.status >= 500, is_harmed, "{mode}: {}", response.text());
        report(&send(&mut raw, "/good", &[]));
    }
    // The same thread, or there would be nothing to read.
    worker.settled().ran - before.ran
}

#[test]
fn a_hog_is_left_alone_and_its_worker_has_its_time_for_others() {
    let upstream = Upstream::plain("up").unwrap();
    // Beside each other: what is compared is CPU time, which neighbours do not take.
    let (harmless, hogs) = std::thread::scope(|scope| {
        let one = |mode: &'static str| {
            let upstream = &upstream;
            scope.spawn(move || {
                let gateway = gateway(upstream, mode, mode == EXPENSIVE);
                let spent = bear(&gateway, mode);
                (gateway, spent)
            })
        };
        let harmless = one(HARMLESS);
        let hogs: Vec<_> = HOGS.into_iter().map(|hog| (hog, one(hog.0))).collect();
        (harmless.join().unwrap().1, hogs.into_iter().map(|(hog, load)| (hog, load.join().unwrap())).collect::<Vec<_>>())
    });
    for ((mode, kind), (gateway, spent)) in hogs {
        let extra = spent.saturating_sub(harmless);
        assert!(extra <= SHARE, "{mode}: its worker spent {extra:?} of {LOAD:?} on it, {spent:?} instead of {harmless:?} in all");
        let of_hook =
            |name: &str, more: &[&str]| metric(&gateway, name, &[&["plugin=\"misbehaving\"", "hook=\"request-filter\""], more].concat());
        let calls = of_hook("plugway_hook_calls_total", &[]);
        // A call after a pause is the try that decides, and opens it again.
        let tries = of_hook("plugway_breakers_opened_total", &[]) - 1.0;
        assert!(tries >= 0.0 && calls - tries <= FAULTS, "{mode}: {calls} calls, {tries} of them tries after it was left alone");
        assert_eq!(of_hook("plugway_hook_failures_total", &[&format!("kind=\"{kind}\"")]), calls, "{mode}");
        // In CPU time, as the gateway counts it: with `STALL` may come half of that, worked before anything was due, and this is the next bound it
        // counts by. One that is longer may be a hypervisor's. A gateway that makes instances on its worker has one with every dear one.
        assert_seldom_stalled(&gateway, "0.05", 1.0);
        // One for faults in a row; the dear ones waste too much as well.
        assert!((1.0..=2.0).contains(&of_hook("plugway_breakers_open", &[])), "{mode}");
        let good = metric(&gateway, "plugway_requests_total", &["route=\"good\"", "status=\"200\""]);
        assert_eq!(good, f64::from(PAIRS), "{mode}");
    }
}

#[test]
fn a_flood_of_lines_stalls_nobody_for_longer_than_a_loop() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "by-header", false);
    let worker = Thread::named(gateway.pid(), "plugway-0");
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let mut strays = Strays::at_most(2);
    let most = most_of_a_loop(&mut raw, &worker, &mut strays);
    let mut rounds = 0;
    while rounds < 10 {
        let (flood, response) = measure(&mut raw, &worker, FLOOD);
        assert_problem(&response, 503, "plugin-cpu-exceeded");
        assert!(flood.cpu >= BUDGET, "round {rounds}: ended after {:?}, before its budget", flood.cpu);
        rounds += u32::from(strays.within(&format!("round {rounds}"), flood, most));
    }
}

#[test]
fn instances_that_take_long_to_make_stall_nobody() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "by-header", true);
    let worker = Thread::named(gateway.pid(), "plugway-0");
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let most = Measured { cpu: BUDGET + OVER, stall: STALL };
    let (mut rounds, mut strays) = (0, Strays::at_most(2));
    while rounds < 10 {
        until("an instance", || send(&mut raw, "/", &[]).status == 200);
        let (trap, response) = measure(&mut raw, &worker, EXPENSIVE);
        assert_problem(&response, 500, "plugin-failed");
        // Who comes next waits for no instance, whether for another route or for this one.
        let (beside, good) = cost(&mut raw, &worker, Some(&upstream), ("/good", &[]));
        report(&good);
        let (after, _) = cost(&mut raw, &worker, Some(&upstream), ("/", &[]));
        let measured = [("the trap", trap), ("a request beside it", beside), ("the next one", after)];
        rounds += u32::from(measured.into_iter().all(|(what, measured)| strays.within(&format!("round {rounds}, {what}"), measured, most)));
    }
    let started = metric(&gateway, "plugway_instances_started_total", &["plugin=\"misbehaving\""]);
    assert!(started >= 10.0, "{started} instances were made");
}
