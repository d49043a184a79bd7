//! `isolation = "request"`: an instance for each call, and nothing of one request left for the next.

use plugway_harness::upstream::Upstream;

use crate::common::{metric, start, status, until};
use crate::guest::{assert_problem, config, filters, guest, plugin, refused, report, route, tell};

fn gateway(upstream: &Upstream, more: &str) -> plugway_harness::gateway::Gateway {
    let settings = format!("budget = {{ memory = \"8MiB\" }}\n{more}");
    let part = plugin("filter", filters(), "mode = \"by-header\", hook = \"request-filter\"", &settings);
    start(&config(upstream, &[&part, &route("public = true\nplugins = [\"filter\"]")]))
}

#[test]
fn nothing_of_one_request_is_left_for_the_next() {
    let upstream = Upstream::plain("up").unwrap();
    // The guest keeps what it allocated: the second time there is no room for both.
    let shared = gateway(&upstream, "");
    report(&tell(&shared, "memory:5000000"));
    assert_problem(&tell(&shared, "memory:5000000"), 503, "plugin-memory-exceeded");

    let alone = gateway(&upstream, "isolation = \"request\"");
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
fn its_failures_are_like_any_other() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "isolation = \"request\"");
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
