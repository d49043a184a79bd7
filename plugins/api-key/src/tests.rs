//! The plugin against the double.

mod issued;

use plugway_sdk::{Decision, Flow, Request, Value, header, testing};
use serde_json::Value as Json;
use testing::json;

use crate::{ApiKey, ISSUER};

const KEY: &str = "sk-0f3b2a9c5d";
const NEXT: &str = "sk-next-0f3b2a9c5d";

fn digest(key: &str) -> String {
    use plugway_sdk::crypto::{DigestAlgorithm, digest};
    let hex: String = digest(DigestAlgorithm::Sha256, key.as_bytes()).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn config(changes: Json) -> Json {
    let mut config = json!({ "consumers": [
        { "name": "shop", "keys": [digest(KEY), digest(NEXT)], "scopes": ["orders:read"], "claims": { "plan": "gold" } },
        { "name": "kiosk", "keys": [digest("other")] },
    ] });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config
}

/// What became of a request, and what goes on.
fn ask<'a>(changes: Json, request: testing::Request) -> (Decision, Request<'a>) {
    let plugin = testing::configure::<ApiKey>(config(changes)).unwrap();
    let mut request = request.build();
    let decision = plugin.authorize(&mut request).unwrap();
    assert_eq!(plugin.on_request(&mut request).unwrap(), Flow::Next);
    (decision, request)
}

fn status(decision: &Decision) -> u16 {
    match decision {
        Decision::Respond(answer) => {
            assert!(answer.header_str(header::WWW_AUTHENTICATE).unwrap().starts_with("ApiKey realm=\"api\""));
            answer.status().0
        }
        Decision::Allow(_) => 200,
        Decision::AllowBy(_) | Decision::Abstain => 0,
    }
}

fn get(target: &str) -> testing::Request {
    testing::Request::get(target)
}

#[test]
fn a_known_key_passes_as_its_consumer_and_goes_no_further() {
    for (key, number) in [(KEY, 1), (NEXT, 2)] {
        let (decision, request) = ask(json!({ "consumer_header": "x-consumer" }), get("/").header(header::X_API_KEY, key));
        assert_eq!(status(&decision), 200);
        let caller = request.identity().unwrap();
        assert_eq!((caller.subject().as_str(), caller.issuer().as_deref()), ("shop", Some(ISSUER)));
        assert_eq!(caller.scopes(), ["orders:read"]);
        assert_eq!((caller.claim("plan"), caller.claim("key")), (Some(Value::from("gold")), Some(Value::Integer(number))));
        assert_eq!(request.header(header::X_API_KEY), None);
        assert_eq!(request.header_str("x-consumer").as_deref(), Some("shop"));
    }
}

#[test]
fn every_other_key_is_refused() {
    let upper = KEY.to_uppercase();
    for key in ["", " ", "sk-0f3b2a9c5", "sk-0f3b2a9c5d0", &upper, &digest(KEY), &"x".repeat(100_000)] {
        let (decision, request) = ask(json!({}), get("/").header(header::X_API_KEY, key));
        assert_eq!(status(&decision), 401, "{key}");
        assert!(request.identity().is_none());
    }
    let twice = get("/").header(header::X_API_KEY, KEY).header(header::X_API_KEY, KEY);
    assert_eq!(status(&ask(json!({}), twice).0), 400);
}

#[test]
fn abstains_without_a_key_where_it_may() {
    assert_eq!(status(&ask(json!({}), get("/")).0), 401);
    assert_eq!(status(&ask(json!({ "optional": true }), get("/")).0), 0);
    assert_eq!(status(&ask(json!({ "optional": true }), get("/").header(header::X_API_KEY, "wrong")).0), 401);
}

#[test]
fn a_query_too_long_to_be_set_again_is_the_clients_and_its_key_goes_no_further() {
    let plugin = testing::configure::<ApiKey>(config(json!({ "query": "key" }))).unwrap();
    for (length, is_too_long) in [(30_000, false), (40_000, true)] {
        let mut request = get(&format!("/?key={KEY}&a={}", "x".repeat(length))).build();
        assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));
        match plugin.on_request(&mut request).unwrap() {
            Flow::Respond(answer) => assert!(is_too_long && answer.status() == 414),
            Flow::Next | Flow::NextWith(_) => assert!(!is_too_long && !request.query().unwrap().contains(KEY)),
        }
    }
}

#[test]
fn finds_a_key_in_the_query_and_takes_it_out_however_it_was_written() {
    let query = || json!({ "query": "key" });
    let other = digest("a b");
    let spaced = json!({ "query": "key", "consumers": [{ "name": "shop", "keys": [other] }] });
    for (changes, target, expected, left) in [
        (query(), format!("/?key={KEY}"), 200, None),
        (query(), format!("/?a=1&key={KEY}&b"), 200, Some("a=1&b")),
        (query(), format!("/?a=1&%6bey={KEY}"), 200, Some("a=1")),
        (query(), format!("/?key={KEY}&%6Bey={KEY}&a"), 400, Some("a")),
        (query(), "/?keys=1&a=key".to_owned(), 401, Some("keys=1&a=key")),
        (query(), "/?key".to_owned(), 401, None),
        (query(), format!("/?KEY={KEY}"), 401, Some("KEY=sk-0f3b2a9c5d")),
        (spaced, "/?key=a+b&x=%zz".to_owned(), 200, Some("x=%zz")),
    ] {
        let (decision, request) = ask(changes, get(&target));
        assert_eq!(status(&decision), expected, "{target}");
        assert_eq!(request.query().as_deref(), left, "{target}");
    }
}

#[test]
fn nobody_says_who_he_is_by_a_header() {
    let changes = || json!({ "optional": true, "consumer_header": "x-consumer" });
    let (_, request) = ask(changes(), get("/").header("x-consumer", "admin"));
    assert_eq!(request.header("x-consumer"), None);
    let (_, request) = ask(changes(), get("/").header("x-consumer", "admin").header(header::X_API_KEY, KEY));
    assert_eq!(request.header_str("x-consumer").as_deref(), Some("shop"));
}

#[test]
fn takes_the_list_as_the_text_of_a_file() {
    let text = config(json!({}))["consumers"].to_string();
    assert_eq!(status(&ask(json!({ "consumers": text }), get("/").header(header::X_API_KEY, KEY)).0), 200);
}

#[test]
fn keeps_a_key_where_it_is_told_to() {
    let (_, request) = ask(json!({ "forward_key": true }), get("/").header(header::X_API_KEY, KEY));
    assert_eq!(request.header_str(header::X_API_KEY).as_deref(), Some(KEY));
}

#[test]
fn a_key_that_nobody_looked_at_goes_no_further_wherever_it_is_told_to() {
    for (changes, request) in [
        (json!({ "forward_key": true, "optional": true }), get("/").header(header::X_API_KEY, "made up")),
        (json!({ "forward_key": true, "optional": true, "query": "key" }), get("/?key=made-up")),
    ] {
        let plugin = testing::configure::<ApiKey>(config(changes)).unwrap();
        // Another authorizer has let it pass, so this one was not asked.
        let mut request = request.build();
        assert_eq!(plugin.on_request(&mut request).unwrap(), Flow::Next);
        assert_eq!((request.header(header::X_API_KEY), request.query()), (None, None));
    }
}

#[test]
fn refuses_a_configuration_that_cannot_work_and_shows_no_key() {
    let consumer = |name: &str, keys: &[&str]| json!({ "name": name, "keys": keys });
    let (one, two) = (digest("one"), digest("two"));
    for (changes, expected) in [
        (json!({ "consumers": null }), "`consumers`: there is none"),
        (json!({ "consumers": [] }), "`consumers`: there is none"),
        (json!({ "consumers": "[" }), "not JSON (line 1"),
        (json!({ "consumers": [consumer("a b", &[&one])] }), "is no name"),
        (json!({ "consumers": [consumer("a", &[])] }), "has 0 keys"),
        (json!({ "consumers": [consumer("a", &[&one, &two, &digest("three")])] }), "has 3 keys"),
        (json!({ "consumers": [consumer("a", &[&one]), consumer("a", &[&two])] }), "\"a\" is there twice"),
        (json!({ "consumers": [consumer("a", &[&one]), consumer("b", &[&one])] }), "\"a\" and \"b\" have the same key"),
        (json!({ "consumers": [consumer("a", &["sk-secret"])] }), "never the key"),
        (json!({ "consumers": [consumer("a", &[&format!("sha256:{}", "+1".repeat(32))])] }), "never the key"),
        (json!({ "consumers": [{ "name": "a", "keys": [one], "claims": { "key": "1" } }] }), "give yours another name"),
        (
            json!({ "consumers": [{ "name": "a", "keys": [one], "claims": { "b": "c".repeat(20_000) } }] }),
            "\"a\" has more scopes and claims",
        ),
        (json!({ "consumers": [{ "name": "a", "keys": [one], "scopes": vec!["s"; 1_025] }] }), "\"a\" has more scopes and claims"),
        (json!({ "header": "x-a", "query": "b" }), "use the plugin twice"),
        (json!({ "header": "authorization" }), "choose one of your own"),
        (json!({ "header": "x y" }), "not a header name"),
        (json!({ "query": "a b" }), "`query`"),
        (json!({ "realm": "\n" }), "`realm`"),
        (json!({ "typo": 1 }), "unknown field `typo`"),
    ] {
        let error = testing::configure::<ApiKey>(config(changes.clone())).err().unwrap_or_else(|| panic!("taken: {changes}"));
        assert!(error.contains(expected) && !error.contains("sk-secret"), "{changes}: {error}");
    }
}
