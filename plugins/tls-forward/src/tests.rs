//! The plugin against the double's plan, which refuses what the gateway refuses.

use std::time::Duration;

use plugway_sdk::{ForwardError, Protocol, RetryCondition, testing};
use serde_json::Value as Json;
use testing::json;

use crate::TlsForward;

fn forward(config: Json, plan: testing::Plan) -> Result<testing::Planned, ForwardError> {
    let mut plan = plan.build();
    let plugin = testing::configure::<TlsForward>(config).unwrap();
    let result = plugin.forward(&testing::Request::get("/v1/orders").build(), 1, &mut plan);
    let planned = testing::planned(&plan);
    result.map(|()| planned)
}

fn refused(config: Json) -> String {
    testing::configure::<TlsForward>(config).err().unwrap()
}

fn failed(config: Json, plan: testing::Plan) -> String {
    match forward(config, plan) {
        Err(ForwardError::Failed(why)) => why,
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn changes_nothing_when_nothing_is_configured() {
    let plan = testing::Plan::new("http").path("/v1/orders");
    let planned = forward(json!({}), plan.clone()).unwrap();
    assert_eq!(testing::Planned { kept: false, ..planned }, testing::planned(&plan.build()));
}

#[test]
fn says_of_a_plan_that_it_holds_for_every_request_where_the_path_stays() {
    let kept = |config| forward(config, testing::Plan::new("https").path("/v1/orders")).unwrap().kept;
    assert!(
        kept(json!({})) && kept(json!({ "max_attempts": 1, "retry_on": ["connect"], "host": "a", "headers": { "set": { "x-a": "b" } } }))
    );
    assert!(!kept(json!({ "path": { "strip_prefix": "/v1" } })));
}

#[test]
fn writes_the_whole_plan() {
    let config = json!({
        "scheme": "https", "tls_profile": "mutual", "server_name": "orders.internal", "protocol": "http2",
        "connect_timeout": "2s", "response_timeout": "1500ms", "max_attempts": 1, "retry_on": ["reset"],
        "path": { "strip_prefix": "/v1", "add_prefix": "/api" }, "host": "orders.internal:8443",
        "headers": { "set": { "x-a": "b", "Authorization": "none" }, "remove": ["x-c", "Cookie"] },
    });
    let plan = testing::Plan::new("https").tls_profile("mutual").server_name("orders.internal").path("/v1/orders");
    let planned = forward(config, plan).unwrap();
    assert_eq!(planned.tls_profile.as_deref(), Some("mutual"));
    assert_eq!(planned.server_name.as_deref(), Some("orders.internal"));
    assert_eq!(planned.protocol, Some(Protocol::Http2));
    assert_eq!((planned.connect_timeout, planned.response_timeout), (Duration::from_secs(2), Duration::from_millis(1500)));
    assert_eq!(planned.retry_on, [RetryCondition::Reset]);
    assert_eq!((planned.max_attempts, planned.path.as_str(), planned.host.as_str()), (1, "/api/orders", "orders.internal:8443"));
    let set: Vec<_> = planned.set_headers.iter().map(|line| (line.name.as_str(), line.value.as_slice())).collect();
    assert_eq!(set, [("authorization", &b"none"[..]), ("x-a", b"b")]);
    assert_eq!(planned.removed_headers, ["x-c", "cookie"]);
}

#[test]
fn a_path_that_is_too_long_once_it_is_rewritten_is_the_clients_doing() {
    let config = || json!({ "path": { "strip_prefix": "/v1", "add_prefix": "/api" } });
    let longest = "/api/".to_owned() + &"a".repeat(32_766 - 5);
    let plan = |path: String| testing::Plan::new("https").path(&path);
    assert_eq!(forward(config(), plan(longest.replace("/api/", "/v1/"))).unwrap().path, longest);
    for path in [longest.replace("/api/", "/v1/a"), longest.replace("/api/", "/a")] {
        let forwarded = forward(config(), plan(path));
        assert_eq!(forwarded.map(|planned| planned.path.len()), Err(ForwardError::UriTooLong));
    }
}

#[test]
fn asks_an_endpoint_for_tls_where_it_can_be_verified_and_refuses_it_where_not() {
    for config in [json!({ "scheme": "https" }), json!({ "server_name": "a" })] {
        let plan = testing::Plan::new("http").tls_profile("mutual").server_name("a");
        assert_eq!(forward(config.clone(), plan.clone()), Err(ForwardError::Refused));
        assert_eq!(forward(config, plan.with_tls()).unwrap().scheme, "https");
    }
    let plan = testing::Plan::new("http").tls_profile("mutual");
    assert_eq!(forward(json!({ "tls_profile": "mutual" }), plan).unwrap().scheme, "https");
    assert!(forward(json!({ "scheme": "https" }), testing::Plan::new("https")).is_ok());
    assert!(forward(json!({ "protocol": "http1" }), testing::Plan::new("http")).is_ok());
}

#[test]
fn says_what_the_upstream_does_not_allow() {
    let plan = || testing::Plan::new("https");
    assert_eq!(
        failed(json!({ "tls_profile": "other" }), plan()),
        "`tls_profile` = other: the upstream does not allow this name; add it to the upstream's `tls_profiles`"
    );
    assert_eq!(
        failed(json!({ "server_name": "evil.example" }), plan()),
        "`server_name` = evil.example: the upstream does not allow this name; add it to the upstream's `server_names`"
    );
    assert_eq!(
        failed(json!({ "connect_timeout": "6s" }), plan()),
        "`connect_timeout` = 6000 ms: weaker than the upstream's own settings; a plan can shorten the upstream's own timeout, never lengthen it"
    );
    assert!(failed(json!({ "response_timeout": "61s" }), plan()).starts_with("`response_timeout` = 61000 ms: weaker"));
    assert!(failed(json!({ "retry_on": ["reset", "503"] }), plan()).starts_with("`retry_on` = reset, 503: weaker"));
    assert!(failed(json!({ "max_attempts": 3 }), plan()).starts_with("`max_attempts` = 3: weaker"));
}

#[test]
fn keeps_header_values_out_of_errors() {
    // 65 lines are one more than the gateway takes.
    let lines: serde_json::Map<_, _> = (0..65).map(|number| (format!("x-{number:02}"), json!("secret"))).collect();
    let error = failed(json!({ "headers": { "set": lines } }), testing::Plan::new("https"));
    assert_eq!(error, "`headers.set`: x-64: past the plugin's size limits");
}

#[test]
fn a_header_removed_and_set_is_set() {
    let config = json!({ "headers": { "set": { "x-a": "new" }, "remove": ["X-A"] } });
    let planned = forward(config, testing::Plan::new("https")).unwrap();
    assert_eq!((planned.removed_headers.len(), planned.set_headers[0].value.as_slice()), (1, &b"new"[..]));
}

#[test]
fn refuses_a_configuration_that_could_never_work() {
    for (config, expected) in [
        (json!({ "typo": 1 }), "unknown field `typo`"),
        (json!({ "scheme": "http" }), "`scheme` can only be"),
        (json!({ "scheme": "ftp" }), "unknown variant `ftp`"),
        (json!({ "tls_profile": "" }), "`tls_profile` is empty"),
        (json!({ "server_name": "a b" }), "`server_name` = \"a b\""),
        (json!({ "protocol": "h3" }), "unknown variant `h3`"),
        (json!({ "connect_timeout": "5" }), "`connect_timeout` = \"5\": write a whole number and a unit"),
        (json!({ "response_timeout": "0s" }), "`response_timeout` = \"0s\": a timeout of nothing"),
        (json!({ "max_attempts": 0 }), "`max_attempts` is 0"),
        (json!({ "max_attempts": -1 }), "`max_attempts`"),
        (json!({ "retry_on": ["always"] }), "\"always\" is neither `connect`, `reset`, `timeout` nor a status from `500` to `599`"),
        (json!({ "retry_on": ["404"] }), "\"404\" is neither"),
        (json!({ "retry_on": ["+503"] }), "\"+503\" is neither"),
        (json!({ "path": {} }), "`path` is empty"),
        (json!({ "path": { "replace": "/a", "add_prefix": "/b" } }), "`path.replace` stands alone"),
        (json!({ "path": { "replace": "a" } }), "`path.replace` = \"a\": a path begins with `/`"),
        (json!({ "path": { "strip_prefix": "/a/" } }), "`path.strip_prefix` = \"/a/\": a prefix does not end in `/`"),
        (json!({ "host": "a/b" }), "`host` = \"a/b\": not a host name"),
        (json!({ "headers": { "set": { "Host": "a" } } }), "use the key `host`"),
        (json!({ "headers": { "set": { "x-a": "1\r\n" } } }), "`headers.set.x-a`: the value holds a control character"),
        (json!({ "headers": { "set": { "x-a": "1", "X-A": "2" } } }), "is there twice"),
        (json!({ "headers": { "remove": ["x-forwarded-for"] } }), "`headers.remove`: \"x-forwarded-for\""),
        (json!({ "headers": { "add": {} } }), "unknown field `add`"),
    ] {
        let error = refused(config.clone());
        assert!(error.contains(expected), "{config}: {error}");
    }
}
