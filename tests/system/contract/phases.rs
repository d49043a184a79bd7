//! Who may change nothing changes nothing: a component that tries all the same is told so, and neither fails nor is ended for it.

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use crate::common::{metric, start, until_logged};
use crate::guest::{config, get, plugin, report, route, trespasser};

const REQUEST: [&str; 7] =
    ["set-header", "append-header", "remove-header", "set-method", "set-path", "set-query", "append-response-header"];
const RESPONSE: [&str; 4] = ["set-status", "set-header", "append-header", "remove-header"];
const PLAN: [&str; 10] = [
    "set-scheme",
    "set-tls-profile",
    "set-server-name",
    "set-protocol",
    "set-connect-timeout-ms",
    "set-response-timeout-ms",
    "set-max-attempts",
    "set-retry-on",
    "set-path",
    "set-host",
];

/// A gateway that takes request ids and trace contexts from here, so that two answers can be the same to the byte.
fn gateway(upstream: &Upstream, parts: &[&str]) -> Gateway {
    start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{}", config(upstream, parts)))
}

/// What the upstream got, and the answer's head without its date.
fn exchange(gateway: &Gateway) -> (Value, Vec<String>) {
    let headers = [
        ("x-tenant-id", "acme"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-request-id", "one-and-the-same"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
    ];
    let response: RawResponse = get(gateway.address("web").unwrap(), "/as/asked?and=so", &headers);
    let head = String::from_utf8(response.head.clone()).unwrap();
    (report(&response), head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).map(str::to_owned).collect())
}

fn all(names: &[&str], said: &str) -> String {
    names.iter().map(|name| format!("{name}={said}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_hook_may_not_change_is_an_error_to_it_and_stays_as_it_is() {
    let upstream = Upstream::plain("up").unwrap();
    let untouched = exchange(&gateway(&upstream, &[&route("public = true")]));
    assert_eq!(untouched.0["target"], "/as/asked?and=so");

    let part = plugin("trespasser", trespasser(), "", "");
    let everywhere = "public = true\nplugins = [\"trespasser\"]\nrouter = \"trespasser\"\nforwarder = \"trespasser\"";
    let gateway = gateway(&upstream, &[&part, &route(everywhere)]);
    let started = metric(&gateway, "plugway_instances_started_total", &["plugin=\"trespasser\""]);
    for _ in 0..3 {
        assert_eq!(exchange(&gateway), untouched);
    }

    let (request, response) = (all(&REQUEST, "immutable"), all(&RESPONSE, "immutable"));
    for hook in ["router", "forwarder", "response-filter"] {
        until_logged(&gateway, &format!("{hook} request tried: {request}"));
    }
    for hook in ["router", "forwarder"] {
        until_logged(&gateway, &format!("{hook} response tried: {response}"));
    }
    // Nothing of a plan is ever immutable: there is one, or there is none.
    let plan = format!("{} set-header=immutable remove-header=immutable", all(&PLAN, "invalid"));
    for hook in ["router", "response-filter"] {
        until_logged(&gateway, &format!("{hook} plan tried: {plan}"));
    }
    // Who observes has no request to change, and is told nothing else.
    for hook in ["configure", "outcome-observer", "observer", "batch-observer"] {
        until_logged(&gateway, &format!("{hook} attribute tried: set-attribute=immutable"));
        until_logged(&gateway, &format!("{hook} request tried: {request}"));
        until_logged(&gateway, &format!("{hook} response tried: {response}"));
        until_logged(&gateway, &format!("{hook} plan tried: {plan}"));
    }

    for (hook, calls) in [("router", 3.0), ("forwarder", 3.0), ("response-filter", 3.0)] {
        assert_eq!(metric(&gateway, "plugway_hook_calls_total", &[&format!("hook=\"{hook}\"")]), calls, "{hook}");
    }
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
    assert_eq!(metric(&gateway, "plugway_instances_started_total", &["plugin=\"trespasser\""]), started, "no instance was ended");
}
