//! Response filters run in reverse, once, on whatever the client gets.

use plugway_harness::upstream::Upstream;

use crate::common::{metric, start};
use crate::guest::{config, filters, get, guest, plugin, route, seen};

/// Both set `x-large`, so its length says who was last.
fn parts() -> [String; 3] {
    [
        plugin("one", filters(), "mode = \"header-bytes:5\"", ""),
        plugin("two", filters(), "mode = \"header-bytes:9\"", ""),
        guest("auth", "mode = \"by-header\", hook = \"authorizer\"", ""),
    ]
}

#[test]
fn requests_go_through_in_order_and_responses_in_reverse() {
    let upstream = Upstream::plain("up").unwrap();
    let [one, two, _] = parts();
    let gateway = start(&config(&upstream, &[&one, &two, &route("public = true\nplugins = [\"one\", \"two\"]")]));
    let response = get(gateway.address("web").unwrap(), "/", &[]);
    assert_eq!(seen(&response, "x-large").map(|value| value.len()), Some(9), "the second request filter was last");
    assert_eq!(response.header("x-large").map(<[u8]>::len), Some(5), "the first response filter was last");
    let values = response.headers.iter().filter(|(name, _)| name == "x-large").count();
    assert_eq!(values, 1);
    for plugin in ["one", "two"] {
        for hook in ["request-filter", "response-filter"] {
            let labels = [&*format!("hook=\"{hook}\""), &*format!("plugin=\"{plugin}\"")];
            assert_eq!(metric(&gateway, "plugway_hook_calls_total", &labels), 1.0, "{plugin} {hook}");
        }
    }
}

#[test]
fn response_filters_see_the_gateways_own_answers_once() {
    let upstream = Upstream::plain("up").unwrap();
    let [one, two, auth] = parts();
    let only = "[[routes]]\nname = \"only\"\nmatch = { path = \"/api/*\", methods = [\"GET\"] }\nupstream = \"up\"\nplugins = [\"one\", \"auth\", \"two\"]";
    let gateway = start(&config(&upstream, &[&one, &two, &auth, only]));
    let address = gateway.address("web").unwrap();
    let calls = || {
        ["one", "two"]
            .map(|plugin| metric(&gateway, "plugway_hook_calls_total", &["hook=\"response-filter\"", &format!("plugin=\"{plugin}\"")]))
    };

    // Denied by the chain, refused by the plugin's failure, and broken off by the upstream: each once more.
    let cases: [(&str, &[(&str, &str)], u16); 3] = [
        ("/api/a", &[("x-misbehave", "abstain")], 401),
        ("/api/a", &[("x-misbehave", "trap")], 500),
        ("/api/close", &[("x-behave", "/close")], 502),
    ];
    for (number, (path, headers, status)) in cases.into_iter().enumerate() {
        let response = get(address, path, headers);
        assert_eq!(response.status, status, "{}", response.text());
        assert_eq!(response.header("x-large").map(<[u8]>::len), Some(5), "{status}");
        assert_eq!(calls(), [number as f64 + 1.0; 2], "{status}");
    }
    // A plugin's own answer too.
    let response = get(address, "/api/a", &[("x-misbehave", "respond:4")]);
    assert_eq!((response.status, response.text().as_str(), response.header("x-large").map(<[u8]>::len)), (200, "xxxx", Some(5)));
    // Without a route there is no chain.
    let response = get(address, "/elsewhere", &[]);
    assert_eq!((response.status, response.header("x-large")), (404, None));
    assert_eq!(calls(), [4.0; 2]);
}

#[test]
fn a_failing_response_filter_rejects_what_the_upstream_said() {
    let upstream = Upstream::plain("up").unwrap();
    let bad = plugin("bad", filters(), "mode = \"by-header\", hook = \"response-filter\"", "");
    let [one, ..] = parts();
    let gateway = start(&config(&upstream, &[&one, &bad, &route("public = true\nplugins = [\"one\", \"bad\"]")]));
    let response = get(gateway.address("web").unwrap(), "/", &[("x-misbehave", "trap")]);
    crate::guest::assert_problem(&response, 500, "plugin-failed");
    assert_eq!(response.header("x-upstream"), None, "nothing of the upstream's answer is left");
    assert_eq!(response.header("x-large").map(<[u8]>::len), Some(5), "filters after it see the gateway's answer");
    assert_eq!(upstream.requests(), 1);
}

#[test]
fn what_is_left_for_the_response_is_there_whoever_answers_in_the_end() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("leaves", filters(), "mode = \"by-header\"", "");
    let [one, ..] = parts();
    let gateway = start(&config(&upstream, &[&one, &part, &route("public = true\nplugins = [\"one\", \"leaves\"]")]));
    for (mode, status) in [("leave-and-answer", 203), ("leave-and-trap", 500)] {
        let response = get(gateway.address("web").unwrap(), "/", &[("x-misbehave", mode)]);
        let left = response.headers.iter().filter(|(name, _)| name == "x-left").count();
        assert_eq!((response.status, left), (status, 1), "{mode}: {}", response.text());
        assert_eq!(response.header("x-large").map(<[u8]>::len), Some(5), "filters after it see that answer");
    }
}
