//! The plugin against the double's buckets.

use std::time::Duration;

use plugway_sdk::testing::{self, json};
use plugway_sdk::{Flow, Identity, LocalResponse, Request};
use serde_json::Value as Json;

use crate::RateLimiter;

fn configured(config: Json) -> testing::Configured<RateLimiter> {
    testing::configure(config).unwrap()
}

fn refused(config: Json) -> String {
    testing::configure::<RateLimiter>(config).err().unwrap()
}

fn from(address: &str) -> testing::Request {
    testing::Request::get("/").client_address(address)
}

/// The answer of a refused request.
fn ask(plugin: &testing::Configured<RateLimiter>, request: testing::Request) -> (Request<'static>, Option<LocalResponse>) {
    let mut request = request.build();
    let answer = match plugin.on_request(&mut request).unwrap() {
        Flow::Next | Flow::NextWith(_) => None,
        Flow::Respond(answer) => Some(answer),
    };
    (request, answer)
}

fn passes(plugin: &testing::Configured<RateLimiter>, request: testing::Request) -> bool {
    ask(plugin, request).1.is_none()
}

fn left(request: &Request<'_>, name: &str) -> Option<String> {
    let headers = testing::response_headers(request);
    headers.into_iter().find(|line| line.name == name).map(|line| String::from_utf8(line.value).unwrap())
}

#[test]
fn lets_the_burst_pass_and_then_as_many_as_come() {
    let plugin = configured(json!({ "limits": [{ "name": "c", "key": "client-address", "requests": 2, "period": "10s", "burst": 3 }] }));
    for _ in 0..3 {
        assert!(passes(&plugin, from("192.0.2.1")));
    }
    assert!(!passes(&plugin, from("192.0.2.1")));
    assert!(passes(&plugin, from("192.0.2.2")));
    testing::advance(Duration::from_secs(5));
    assert!(passes(&plugin, from("192.0.2.1")) && !passes(&plugin, from("192.0.2.1")));
}

#[test]
fn says_how_the_limits_stand() {
    let plugin = configured(json!({ "limits": [
        { "name": "client", "key": "client-address", "requests": 10, "period": "1m" },
        { "name": "all", "key": "route", "requests": 2, "period": "1h" },
    ] }));
    let (request, _) = ask(&plugin, from("192.0.2.1"));
    assert_eq!(left(&request, "ratelimit-policy").as_deref(), Some("\"client\";q=10;w=60, \"all\";q=2;w=3600"));
    assert_eq!(left(&request, "ratelimit").as_deref(), Some("\"client\";r=9;t=6, \"all\";r=1;t=1800"));

    ask(&plugin, from("192.0.2.1"));
    let (request, answer) = ask(&plugin, from("192.0.2.1"));
    let answer = answer.unwrap();
    assert_eq!(answer.status(), plugway_sdk::Status::TOO_MANY_REQUESTS);
    assert_eq!(answer.header_str("retry-after"), Some("1800"));
    assert_eq!(answer.header_str("ratelimit"), Some("\"all\";r=0;t=1800"));
    assert_eq!(answer.header_str("ratelimit-policy"), Some("\"all\";q=2;w=3600"));
    assert_eq!(answer.header_str("content-type"), Some("application/problem+json"));
    let problem: Json = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], json!(["all"]));
    assert_eq!(left(&request, "ratelimit"), None, "the answer has its own");
    assert_eq!(testing::instrument("rate_limited_total").unwrap().sum(&["all"]), 1.0);
}

#[test]
fn a_request_that_one_limit_refuses_counts_for_none() {
    let plugin = configured(json!({ "limits": [
        { "name": "client", "key": "client-address", "requests": 3, "period": "1h" },
        { "name": "all", "key": "route", "requests": 1, "period": "1h" },
    ] }));
    assert!(passes(&plugin, from("192.0.2.1")));
    for _ in 0..10 {
        assert!(!passes(&plugin, from("192.0.2.1")));
    }
    testing::advance(Duration::from_secs(3_600));
    let (request, _) = ask(&plugin, from("192.0.2.1"));
    assert!(left(&request, "ratelimit").unwrap().starts_with("\"client\";r=2;"));
}

#[test]
fn headers_can_be_left_out() {
    let limits = json!([{ "name": "all", "key": "route", "requests": 1, "period": "1h" }]);
    let plugin = configured(json!({ "limits": limits, "headers": false }));
    assert_eq!(left(&ask(&plugin, from("192.0.2.1")).0, "ratelimit"), None);
    let answer = ask(&plugin, from("192.0.2.1")).1.unwrap();
    assert_eq!((answer.header_str("ratelimit"), answer.header_str("retry-after")), (None, Some("3600")));
}

#[test]
fn every_source_tells_requests_apart() {
    let identity = |issuer: &str, subject: &str, tenant: i64| {
        let mut identity = Identity::new(subject);
        identity.set_issuer(issuer);
        identity.set_claim("tenant", tenant).unwrap();
        identity
    };
    let get = || testing::Request::get("/");
    let pairs: [(Json, testing::Request, testing::Request); 8] = [
        (json!({ "header": "Host" }), get().authority("a.example"), get().authority("b.example")),
        (json!({ "header": "X-Api-Key" }), get().header("x-api-key", "a"), get().header("x-api-key", "b")),
        (json!({ "claim": "tenant" }), get().identity(identity("i", "s", 1)), get().identity(identity("i", "s", 2))),
        (json!({ "claim": "sub" }), get().identity(identity("i", "s", 1)), get().identity(identity("i", "t", 1))),
        (json!("identity"), get().identity(identity("i", "s", 1)), get().identity(identity("j", "s", 1))),
        (json!({ "parameter": "id" }), get().path_parameter("id", "1"), get().path_parameter("id", "2")),
        (json!("route"), get().route("one"), get().route("two")),
        (
            json!([{ "header": "x-a" }, { "header": "x-b" }]),
            get().header("x-a", "1").header("x-b", "23"),
            get().header("x-a", "12").header("x-b", "3"),
        ),
    ];
    for (number, (key, one, other)) in pairs.into_iter().enumerate() {
        let name = format!("l{number}");
        let plugin = configured(json!({ "limits": [{ "name": name, "key": key, "requests": 1, "period": "1h" }] }));
        let mut one = one.build();
        assert!(plugin.on_request(&mut one).unwrap() == Flow::Next, "{key}");
        assert!(plugin.on_request(&mut one).unwrap() != Flow::Next, "{key}");
        assert!(passes(&plugin, other), "{key}");
    }
}

#[test]
fn limits_of_one_name_by_different_keys_have_nothing_in_common() {
    let by = |key: Json| configured(json!({ "limits": [{ "name": "c", "key": key, "requests": 1, "period": "1h" }] }));
    let (by_address, by_header) = (by(json!("client-address")), by(json!({ "header": "x-api-key" })));
    // The bytes of the other one's address, all of which a header can have.
    assert!(passes(&by_header, from("192.0.2.9").header("x-api-key", [198, 51, 100, 33])));
    assert!(passes(&by_address, from("198.51.100.33")));
    // And one kind is the same wherever it stands.
    assert!(!passes(&by(json!(["client-address"])), from("198.51.100.33")));
    assert!(!passes(&by(json!({ "header": "X-Api-Key" })), from("192.0.2.8").header("x-api-key", [198, 51, 100, 33])));
}

#[test]
fn requests_without_the_key_share_a_bucket_or_are_skipped() {
    let limit = |name: &str, missing: &str| json!({ "limits": [{ "name": name, "key": { "header": "x-key" }, "requests": 1, "period": "1h", "missing_key": missing }] });
    let shared = configured(limit("shared", "share"));
    assert!(passes(&shared, from("192.0.2.1")) && !passes(&shared, from("192.0.2.2")));
    // An empty value is as good as none.
    assert!(!passes(&shared, from("192.0.2.3").header("x-key", "")));
    assert!(passes(&shared, from("192.0.2.3").header("x-key", "k")));
    let skipped = configured(limit("skipped", "skip"));
    for _ in 0..3 {
        let (request, answer) = ask(&skipped, from("192.0.2.1"));
        assert!(answer.is_none() && left(&request, "ratelimit").is_none());
    }
}

#[test]
fn a_value_of_any_length_has_a_bucket() {
    let plugin = configured(json!({ "limits": [{ "name": "key", "key": { "header": "x-key" }, "requests": 1, "period": "1h" }] }));
    let long = "k".repeat(10_000);
    assert!(passes(&plugin, testing::Request::get("/").header("x-key", &long)));
    assert!(!passes(&plugin, testing::Request::get("/").header("x-key", format!("{long}k"))), "only so much of it counts");
    assert!(passes(&plugin, testing::Request::get("/").header("x-key", format!("x{long}"))));
}

#[test]
fn mistakes_name_the_key() {
    let one = |limit: Json| json!({ "limits": [limit] });
    let cases = [
        (json!({}), "limits"),
        (json!({ "limits": [] }), "`limits` has 0 entries"),
        (json!({ "limit": 1, "limits": [] }), "limit"),
        (one(json!({ "name": "A b", "key": "route", "requests": 1, "period": "1s" })), "`limits[0].name`"),
        (one(json!({ "name": "a", "key": "ruote", "requests": 1, "period": "1s" })), "limits[0].key"),
        (one(json!({ "name": "a", "key": 1, "requests": 1, "period": "1s" })), "\"client-address\", \"route\""),
        (one(json!({ "name": "a", "key": [], "requests": 1, "period": "1s" })), "`limits[0].key`"),
        (one(json!({ "name": "a", "key": { "header": "a b" }, "requests": 1, "period": "1s" })), "`limits[0].key`"),
        (one(json!({ "name": "a", "key": "route", "requests": 0, "period": "1s" })), "`limits[0].requests`"),
        (one(json!({ "name": "a", "key": "route", "requests": 2_000_000, "period": "1s" })), "`limits[0].requests`"),
        (one(json!({ "name": "a", "key": "route", "requests": 1, "period": "100ms" })), "`limits[0].period`"),
        (one(json!({ "name": "a", "key": "route", "requests": 1, "period": "1s", "burst": 0 })), "`limits[0].burst`"),
        (one(json!({ "name": "a", "key": "route", "requests": 1, "period": "1s", "ipv6_prefix": 64 })), "`limits[0].ipv6_prefix`"),
        (one(json!({ "name": "a", "key": "client-address", "requests": 1, "period": "1s", "ipv4_prefix": 33 })), "`limits[0].ipv4_prefix`"),
        (one(json!({ "name": "a", "key": "route", "requests": 1, "period": "1s", "per": "h" })), "limits[0].per"),
        (one(json!({ "name": "a", "key": "route", "requests": 1, "period": "1s", "missing_key": "no" })), "limits[0].missing_key"),
    ];
    for (config, named) in cases {
        let why = refused(config.clone());
        assert!(why.contains(named), "{config}: {why}");
    }
    let twice = json!({ "name": "a", "key": "route", "requests": 1, "period": "1s" });
    assert!(refused(json!({ "limits": [twice, twice] })).contains("`limits[1].name`"));
}

#[test]
fn says_once_what_no_client_leaves_out() {
    let by = |key: Json, missing: &str| {
        configured(json!({ "limits": [{ "name": "c", "key": key, "requests": 9, "period": "1h", "missing_key": missing }] }))
    };
    let lines = || testing::take_logs().into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    let plugin = by(json!("identity"), "share");
    assert!(passes(&plugin, from("192.0.2.1")) && passes(&plugin, from("192.0.2.2")));
    let said = "a request has no caller; such requests share one bucket. If an authorizer says who calls, write it before this plugin";
    assert_eq!(lines(), [said]);
    assert!(passes(&by(json!({ "claim": "tenant" }), "skip"), from("192.0.2.1")));
    assert!(lines()[0].starts_with("a request has no claim \"tenant\" of a caller; such requests are not limited."));
    assert!(passes(&by(json!({ "header": "x-api-key" }), "share"), from("192.0.2.1")));
    assert_eq!(lines(), [""; 0]);
    let plugin = by(json!({ "parameter": "id" }), "skip");
    assert!(passes(&plugin, from("192.0.2.1").path_parameter("id", "1")) && lines().is_empty());
    assert!(passes(&plugin, from("192.0.2.1")) && passes(&plugin, from("192.0.2.1")));
    let said = "a request has no segment \"id\" in the path of its route; such requests are not limited. Name one that every route with this limit has";
    assert_eq!(lines(), [said]);
}

#[test]
fn a_limit_that_only_counts_refuses_nobody_and_is_not_shown() {
    let plugin = configured(json!({ "limits": [
        { "name": "tried", "key": "route", "requests": 1, "period": "1h", "dry_run": true },
        { "name": "held", "key": "client-address", "requests": 3, "period": "1h" },
    ] }));
    for left_over in [2, 1, 0] {
        let (request, answer) = ask(&plugin, from("192.0.2.1"));
        assert_eq!(answer, None);
        assert_eq!(left(&request, "ratelimit-policy").as_deref(), Some("\"held\";q=3;w=3600"));
        assert!(left(&request, "ratelimit").unwrap().starts_with(&format!("\"held\";r={left_over};")));
    }
    assert!(!passes(&plugin, from("192.0.2.1")));
    let counted = |name: &str, limit: &str| testing::instrument(name).unwrap().sum(&[limit]);
    assert_eq!(counted("rate_limited_dry_run_total", "tried"), 3.0);
    assert_eq!(counted("rate_limited_total", "held"), 1.0);
}
