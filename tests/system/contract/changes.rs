//! Changes: whole or not at all, in the phase that allows them, and never to what frames a message.

use plugway_harness::upstream::Upstream;

use crate::common::{metric, start};
use crate::guest::{assert_problem, config, filters, get, guest, plugin, report, route, seen, tell, with_guest};

const TENANT: (&str, &str) = ("x-tenant-id", "acme");

#[test]
fn a_skipped_filter_leaves_the_request_and_the_response_as_they_were() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("changes", filters(), "mode = \"change-then-trap\"", "on_failure = \"skip\"");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"changes\"]")]));
    let address = gateway.address("web").unwrap();

    let response = get(address, "/", &[TENANT]);
    assert_eq!(seen(&response, "x-tenant-id").as_deref(), Some("acme"), "what the hook removed is back");
    assert_eq!(seen(&response, "x-changed"), None, "what the hook set is gone");
    assert_eq!(response.header("x-changed"), None, "what either hook left for the response is gone");
    assert_eq!(response.header("content-type"), Some(&b"application/json"[..]), "what the response filter removed is back");
    for hook in ["request-filter", "response-filter"] {
        let labels = [&*format!("hook=\"{hook}\""), "kind=\"trap\"", "plugin=\"changes\""];
        assert_eq!(metric(&gateway, "plugway_hook_failures_total", &labels), 1.0, "{hook}");
    }
}

/// Up to 32 bytes come in place, more in memory that the plugin is asked for: nobody sees which.
#[test]
fn a_header_of_any_length_is_read_as_it_came() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("copies", filters(), "mode = \"copy\"", "");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"copies\"]")]));
    let address = gateway.address("web").unwrap();
    for length in (1..=40).chain([255, 256, 288, 4_000]) {
        let value: String = ('!'..='~').cycle().take(length).collect();
        let response = get(address, "/", &[("x-tenant-id", &value)]);
        assert_eq!(seen(&response, "x-copy").as_deref(), Some(&*value), "{length}");
        assert_eq!(response.header("x-copy"), response.header("content-type"), "{length}");
    }
}

#[test]
fn a_rejecting_filter_stops_the_request_and_the_upstream_never_hears_of_it() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("changes", filters(), "mode = \"change-then-trap\", hook = \"request-filter\"", "");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"changes\"]")]));
    let response = get(gateway.address("web").unwrap(), "/", &[TENANT]);
    assert_problem(&response, 500, "plugin-failed");
    assert_eq!(response.header("x-changed"), None);
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn a_failing_authorizer_rejects_and_what_it_changed_is_gone() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"change-then-trap\", hook = \"authorizer\"", "");
    let response = tell(&gateway, "pass");
    assert_problem(&response, 500, "plugin-failed");
    assert_eq!(response.header("x-changed"), None);
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn a_skipped_forwarder_leaves_the_upstreams_own_plan() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("plans", "mode = \"change-then-trap\", hook = \"forwarder\"", "on_failure = \"skip\"");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nforwarder = \"plans\"")]));
    let response = get(gateway.address("web").unwrap(), "/as/asked", &[]);
    assert_eq!(report(&response)["target"], "/as/asked");
    assert_eq!(seen(&response, "x-changed"), None);
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"forwarder\"", "kind=\"trap\""]), 1.0);
}

#[test]
fn each_hook_changes_what_its_phase_allows() {
    let upstream = Upstream::plain("up").unwrap();
    // An authorizer may set headers and nothing else of the request.
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"authorizer\"", "");
    let response = tell(&gateway, "set-path");
    assert_eq!(seen(&response, "x-result").as_deref(), Some("immutable"));
    assert_eq!(report(&response)["target"], "/");
    let response = tell(&gateway, "headers:3");
    assert_eq!(seen(&response, "x-result").as_deref(), Some("ok"));
    assert_eq!(seen(&response, "x-many-2").as_deref(), Some("1"));
    assert_eq!(seen(&tell(&gateway, "forbidden-header"), "x-result").as_deref(), Some("forbidden"));
    assert_eq!(seen(&tell(&gateway, "invalid-header"), "x-result").as_deref(), Some("invalid"));

    // A request filter also the path, in normal form.
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"request-filter\"", "");
    let response = tell(&gateway, "set-path");
    assert_eq!(seen(&response, "x-result").as_deref(), Some("ok"));
    assert_eq!(report(&response)["target"], "/rewritten");
    let response = tell(&gateway, "bad-path");
    assert_eq!(seen(&response, "x-result").as_deref(), Some("invalid"));
    assert_eq!(report(&response)["target"], "/");
    // Refused where it is set: once it was sent it would only be an internal error.
    let response = tell(&gateway, "bad-query");
    assert_eq!((response.status, seen(&response, "x-result").as_deref()), (200, Some("invalid")));
    for (bytes, result, target) in [(32_766, "ok", 32_766), (32_767, "too-large", 1)] {
        let response = tell(&gateway, &format!("path-bytes:{bytes}"));
        assert_eq!(seen(&response, "x-result").as_deref(), Some(result));
        assert_eq!(report(&response)["target"].as_str().unwrap().len(), target);
    }

    // A response filter the response.
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"response-filter\"", "");
    let response = tell(&gateway, "weaken");
    assert_eq!((response.status, response.header("x-result")), (418, Some(&b"ok"[..])));
    // A status without a body would change the framing of what follows.
    let response = tell(&gateway, "set-path");
    assert_eq!((response.status, response.header("x-result")), (200, Some(&b"invalid"[..])));
}

#[test]
fn framing_headers_are_never_settable() {
    let upstream = Upstream::plain("up").unwrap();
    for hook in ["request-filter", "response-filter"] {
        let gateway = with_guest(&upstream, &format!("mode = \"by-header\", hook = \"{hook}\""), "");
        let result = |mode: &str| {
            let response = tell(&gateway, mode);
            let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(body["method"], "GET", "the body is whole");
            assert_eq!(body["body"]["length"], 0);
            assert_eq!(response.header("x-injected"), None);
            assert!(plugway_harness::client::reported(&body, "x-injected").is_empty());
            match hook {
                "request-filter" => seen(&response, "x-result").unwrap(),
                _ => String::from_utf8(response.header("x-result").unwrap().to_vec()).unwrap(),
            }
        };
        assert_eq!(result("forbidden-header"), "forbidden", "{hook}");
        assert_eq!(result("invalid-header"), "invalid", "{hook}");
    }
    // Nor in an answer of its own: that is a failure, counted as one.
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"request-filter\"", "");
    for (failures, mode) in [(1.0, "respond-framing"), (2.0, "bad-status")] {
        assert_problem(&tell(&gateway, mode), 500, "plugin-failed");
        assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"request-filter\"", "kind=\"output\""]), failures);
    }
    assert_eq!(tell(&gateway, "respond:5").text(), "xxxxx");
}

#[test]
fn a_plan_is_never_weaker_than_the_upstream() {
    let upstream = Upstream::plain("up").unwrap();
    let authority = plugway_harness::ca::Authority::new("internal").unwrap();
    let secure = Upstream::tls("secure", &authority.server(&["localhost", "127.0.0.1"]).unwrap()).unwrap();
    let launch = plugway_harness::gateway::Launch::new(crate::common::BINARY).unwrap();
    launch.file("ca.pem", authority.pem()).unwrap();
    let more = format!(
        "[upstreams.secure]\nendpoints = [\"{}\"]\ntls = {{ ca = \"ca.pem\" }}\n[[routes]]\nname = \"secure\"\nmatch = {{ path = \"/secure/*\" }}\npublic = true\nupstream = \"secure\"\nforwarder = \"plans\"\n",
        secure.url()
    );
    let part = guest("plans", "mode = \"by-header\", hook = \"forwarder\"", "");
    let gateway = launch.start(&config(&upstream, &[&part, &route("public = true\nforwarder = \"plans\""), &more])).unwrap();
    let address = gateway.address("web").unwrap();

    let response = get(address, "/secure/a", &[("x-misbehave", "weaken")]);
    assert_eq!(seen(&response, "x-result").as_deref(), Some("forbidden"), "plaintext was refused");
    assert_eq!(report(&response)["tls"], true);
    // The path is the plan's to rewrite, in normal form.
    assert_eq!(report(&get(address, "/secure/a", &[("x-misbehave", "set-path")]))["target"], "/rewritten");
    for (bytes, target) in [(32_766, 32_766), (32_767, "/secure/a".len())] {
        let response = get(address, "/secure/a", &[("x-misbehave", &format!("path-bytes:{bytes}"))]);
        assert_eq!(report(&response)["target"].as_str().unwrap().len(), target);
    }
    let response = get(address, "/secure/a", &[("x-misbehave", "bad-path")]);
    assert_eq!(seen(&response, "x-result").as_deref(), Some("invalid"));
    assert_eq!(report(&response)["target"], "/secure/a");
    assert_eq!(seen(&get(address, "/secure/a", &[("x-misbehave", "forbidden-header")]), "x-result").as_deref(), Some("forbidden"));
}
