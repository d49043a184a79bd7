//! `isolation = "request"`: an instance for each call, and nothing of one request left for the next.

use plugway_harness::upstream::Upstream;

use crate::common::{metric, start, status, until};
use crate::guest::{assert_problem, config, filters, guest, plugin, refused, report, route, tell};

/// More than what a hypervisor may take from a call, or from the instance that is made for it within the same time. Such calls run in turns.
const IN_TURNS: &str = "100ms";
/// The default: such calls run in one go.
const IN_ONE_GO: &str = "10ms";

fn gateway(upstream: &Upstream, cpu: &str, more: &str) -> plugway_harness::gateway::Gateway {
    // What is wasted is not what these are about.
    let settings = format!("budget = {{ memory = \"8MiB\", cpu = \"{cpu}\", failed_cpu = \"10s\" }}\n{more}");
    let part = plugin("filter", filters(), "mode = \"by-header\", hook = \"request-filter\"", &settings);
    start(&config(upstream, &[&part, &route("public = true\nplugins = [\"filter\"]")]))
}

#[test]
fn nothing_of_one_request_is_left_for_the_next() {
    let upstream = Upstream::plain("up").unwrap();
    // The guest keeps what it allocated: the second time there is no room for both.
    let shared = gateway(&upstream, IN_TURNS, "");
    report(&tell(&shared, "memory:5000000"));
    assert_problem(&tell(&shared, "memory:5000000"), 503, "plugin-memory-exceeded");

    let alone = gateway(&upstream, IN_TURNS, "isolation = \"request\"");
    for _ in 0..20 {
        report(&tell(&alone, "memory:5000000"));
    }
    assert_eq!(metric(&alone, "plugway_hook_failures_total", &[]), 0.0);
    // Between requests there is none.
    assert_eq!(status(&alone)["plugins"][0]["instances"], 0);
    let started = || metric(&alone, "plugway_instances_started_total", &[]);
    let before = started();
    report(&tell(&alone, "pass"));
    // One on the way in and one on the way out.
    assert_eq!(started() - before, 2.0);
}

#[test]
fn calls_that_run_in_one_go_leave_nothing_either() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, IN_ONE_GO, "isolation = \"request\"");
    let mut answered = 0;
    // Who meets a hypervisor has no instance, or no time: it is asked again, and what counts is that none ever lacked memory.
    until("twenty are answered", || {
        answered += u32::from(tell(&gateway, "memory:5000000").status == 200);
        answered == 20
    });
    let failures = |kind: &str| metric(&gateway, "plugway_hook_failures_total", &[&format!("kind=\"{kind}\"")]);
    assert_eq!((failures("memory"), failures("trap")), (0.0, 0.0));
    assert_eq!(status(&gateway)["plugins"][0]["instances"], 0);
}

#[test]
fn its_failures_are_like_any_other() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, IN_TURNS, "isolation = \"request\"");
    for mode in ["trap", "pass", "loop", "pass", "memory:9000000", "pass"] {
        let response = tell(&gateway, mode);
        assert_eq!(response.status == 200, mode == "pass", "{mode}: {}", response.text());
    }
    for _ in 0..10 {
        tell(&gateway, "trap");
    }
    assert_problem(&tell(&gateway, "pass"), 503, "plugin-unavailable");
    until("it serves again", || tell(&gateway, "pass").status == 200);
}

#[test]
fn a_router_keeps_its_table() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("router", "", "isolation = \"request\"");
    let text = refused(&config(&upstream, &[&part, &route("public = true\nrouter = \"router\"")]));
    assert!(text.contains("routes[0].router: plugin `router` keeps no instance"), "{text}");
    assert!(text.contains("remove `isolation = \"request\"` from [plugins.router]"), "{text}");
}
