//! Keys in `kv`, made and revoked by requests.

use plugway_sdk::{Decision, Flow, LocalResponse, header, kv, testing};
use serde_json::Value as Json;
use testing::json;

use super::{KEY, ask, config, digest, get, status};
use crate::ApiKey;

const ADMIN: &str = "sk-admin";

/// The plugin with keys in `kv`, managed by a consumer with the scope for it.
fn managed() -> Json {
    json!({
        "kv": true,
        "manage": { "path": "/-/keys", "scope": "keys:manage" },
        "consumers": [
            { "name": "admin", "keys": [digest(ADMIN)], "scopes": ["keys:manage"] },
            { "name": "kiosk" },
            { "name": "shop", "keys": [digest(KEY)], "scopes": ["orders:read"] },
        ],
    })
}

/// What a request of this method gets that comes with this key.
fn order_as(config: Json, key: &str, method: &str, query: &str) -> LocalResponse {
    let plugin = testing::configure::<ApiKey>(config).unwrap();
    let mut request = testing::Request::new(method, &format!("/-/keys?{query}")).header(header::X_API_KEY, key).build();
    if let Decision::Respond(answer) = plugin.authorize(&mut request).unwrap() {
        return answer;
    }
    match plugin.on_request(&mut request).unwrap() {
        Flow::Respond(answer) => answer,
        Flow::Next | Flow::NextWith(_) => panic!("goes on"),
    }
}

fn order(method: &str, query: &str) -> (u16, Json) {
    let answer = order_as(managed(), ADMIN, method, query);
    assert_eq!(answer.header_str(header::CACHE_CONTROL), Some("no-store"));
    (answer.status().0, serde_json::from_slice(answer.body()).unwrap_or(Json::Null))
}

/// How a request with that key fares elsewhere.
fn fares(key: &str) -> u16 {
    let changes = json!({ "kv": true, "consumers": managed()["consumers"] });
    status(&ask(changes, get("/").header(header::X_API_KEY, key)).0)
}

fn make(consumer: &str) -> (String, Json) {
    let (status, body) = order("POST", &format!("consumer={consumer}"));
    assert_eq!(status, 201, "{body}");
    (body["key"].as_str().unwrap().to_owned(), body)
}

#[test]
fn a_key_that_is_made_lets_its_consumer_pass_until_it_is_revoked() {
    let (key, body) = make("kiosk");
    assert!(key.len() > 40 && body["digest"] == digest(&key) && body["number"] == 1, "{body}");
    let (decision, request) = ask(json!({ "kv": true, "consumers": managed()["consumers"] }), get("/").header(header::X_API_KEY, &key));
    assert_eq!(status(&decision), 200);
    assert_eq!(request.identity().unwrap().subject(), "kiosk");
    let (_, listed) = order("GET", "consumer=kiosk");
    assert_eq!((&listed["keys"][0]["in"], &listed["keys"][0]["valid"]), (&json!("kv"), &json!(true)));
    assert!(!listed.to_string().contains(&key));
    assert_eq!(order("DELETE", "consumer=kiosk&number=1").0, 204);
    assert_eq!((fares(&key), order("DELETE", "consumer=kiosk&number=1").0), (401, 404));
    assert_eq!(order("GET", "consumer=kiosk").1["keys"], json!([]));
    assert!(testing::take_logs().iter().all(|(_, line)| !line.contains(&key)));
}

#[test]
fn a_consumer_has_two_keys_wherever_they_are() {
    let (first, _) = make("kiosk");
    let (second, body) = make("kiosk");
    assert_eq!((body["number"].clone(), fares(&first), fares(&second)), (json!(2), 200, 200));
    assert_eq!(order("POST", "consumer=kiosk").0, 409);
    // The old one goes, and its number is free.
    assert_eq!(order("DELETE", &format!("consumer=kiosk&digest={}", digest(&first))).0, 204);
    let (third, body) = make("kiosk");
    assert_eq!((body["number"].clone(), fares(&first), fares(&second), fares(&third)), (json!(1), 401, 200, 200));
    // One that is configured has the first number.
    let (other, body) = make("shop");
    assert_eq!((body["number"].clone(), fares(KEY), fares(&other)), (json!(2), 200, 200));
    assert_eq!(order("POST", "consumer=shop").0, 409);
}

#[test]
fn a_key_that_is_configured_later_has_its_place_back() {
    let (key, _) = make("kiosk");
    let configured = |keys: &[&str]| json!({ "kv": true, "consumers": [{ "name": "kiosk", "keys": keys }] });
    let fares = |changes| status(&ask(changes, get("/").header(header::X_API_KEY, &key)).0);
    assert_eq!(fares(configured(&[&digest("a")])), 401);
    // Nor does one whose consumer is gone, or where keys in `kv` do not count.
    assert_eq!(fares(json!({ "kv": true, "consumers": [{ "name": "other", "keys": [] }] })), 401);
    assert_eq!(fares(json!({ "consumers": [{ "name": "kiosk", "keys": [digest("a")] }] })), 401);
    assert_eq!(fares(configured(&[])), 200);
    // What does not count now can still be seen, and revoked so that it never counts again.
    let mut later = managed();
    later["consumers"][1]["keys"] = json!([digest("a")]);
    let listed: Json = serde_json::from_slice(order_as(later.clone(), ADMIN, "GET", "consumer=kiosk").body()).unwrap();
    assert_eq!((&listed["keys"][0]["in"], &listed["keys"][1]["valid"]), (&json!("configuration"), &json!(false)));
    assert_eq!(order_as(later.clone(), ADMIN, "DELETE", "consumer=kiosk&number=1").status(), 409);
    assert_eq!(order_as(later, ADMIN, "DELETE", &format!("consumer=kiosk&digest={}", digest(&key))).status(), 204);
    assert_eq!(fares(configured(&[])), 401);
}

#[test]
fn whatever_is_lost_of_a_key_it_is_refused() {
    for entry in [format!("key:{}", digest("sk-1")), "consumer:kiosk".to_owned()] {
        let add = || order("POST", &format!("consumer=kiosk&digest={}", digest("sk-1"))).0;
        assert_eq!((add(), add(), fares("sk-1")), (201, 200, 200), "{entry}");
        assert!(kv::delete(&entry).unwrap());
        assert_eq!(fares("sk-1"), 401, "{entry}");
        // It makes room, and comes back by being added again.
        assert_eq!((add(), fares("sk-1"), order("DELETE", "consumer=kiosk&number=1").0), (201, 200, 204), "{entry}");
    }
    // What leads to a consumer is not enough, and what nobody can read is nothing.
    kv::set(&format!("key:{}", digest("sk-2")), "kiosk", None).unwrap();
    for text in ["", "1", "1 x 0 -", &format!("3 {} 0 -", digest("sk-2")), &format!("1 {} 0 - more", digest("sk-2")), "\u{ff}"] {
        kv::set("consumer:kiosk", text, None).unwrap();
        assert_eq!(fares("sk-2"), 401, "{text}");
    }
}

#[test]
fn a_key_ends_when_it_was_to() {
    let (status, body) = order("POST", "consumer=kiosk&lifetime=2h");
    let key = body["key"].as_str().unwrap();
    assert_eq!((status, body["ends"].as_u64().unwrap() - body["made"].as_u64().unwrap()), (201, 7_200));
    testing::advance(std::time::Duration::from_secs(7_199));
    assert_eq!(fares(key), 200);
    testing::advance(std::time::Duration::from_secs(1));
    assert_eq!((fares(key), order("GET", "consumer=kiosk").1["keys"].clone()), (401, json!([])));
}

#[test]
fn a_key_that_moved_into_the_configuration_can_be_revoked_in_kv_too() {
    let (key, _) = make("kiosk");
    let mut moved = managed();
    moved["consumers"][1]["keys"] = json!([digest(&key)]);
    let order = |order: &str| order_as(moved.clone(), ADMIN, "DELETE", order).status().0;
    let by_digest = format!("consumer=kiosk&digest={}", digest(&key));
    assert_eq!(order(&by_digest), 204);
    assert_eq!(order(&by_digest), 409, "what is left is configured");
    assert_eq!(fares(&key), 401, "taken out of the configuration");
}

#[test]
fn a_key_that_is_told_of_again_keeps_its_end() {
    let (_, body) = order("POST", "consumer=kiosk&lifetime=90d");
    let digest = body["digest"].as_str().unwrap();
    let (status, again) = order("POST", &format!("consumer=kiosk&digest={digest}"));
    assert_eq!((status, &again["ends"]), (200, &body["ends"]));
    assert!(again["ends"].is_u64());
}

#[test]
fn a_key_belongs_to_one() {
    let one = digest("sk-1");
    assert_eq!(order("POST", &format!("consumer=kiosk&digest={one}")).0, 201);
    assert_eq!(order("POST", &format!("consumer=shop&digest={one}")).0, 409);
    assert_eq!(order("POST", &format!("consumer=kiosk&digest={}", digest(KEY))).0, 409);
    assert_eq!(order("POST", &format!("consumer=shop&digest={}", digest(KEY))).0, 409);
    assert_eq!(order("DELETE", "consumer=kiosk&number=1").0, 204);
    assert_eq!(order("POST", &format!("consumer=shop&digest={one}")).0, 201);
}

#[test]
fn where_keys_are_managed_is_one_place_however_it_is_written() {
    let mut config = managed();
    config["manage"]["path"] = json!("/-/keys:all");
    let plugin = testing::configure::<ApiKey>(config).unwrap();
    for (path, is_there) in [("/-/keys:all", true), ("/-/keys%3Aall", true), ("/-/keys%3Aal", false)] {
        let mut request = get(path).header(header::X_API_KEY, ADMIN).build();
        assert_eq!(status(&plugin.authorize(&mut request).unwrap()), 200);
        assert_eq!(matches!(plugin.on_request(&mut request).unwrap(), Flow::Respond(_)), is_there, "{path}");
    }
}

#[test]
fn what_is_revoked_for_one_stays_good_for_another_who_has_it() {
    let add = |consumer: &str| order("POST", &format!("consumer={consumer}&digest={}", digest("sk-1"))).0;
    assert_eq!(add("kiosk"), 201);
    // There was no room for what leads to it, so that it was free for another one.
    assert!(kv::delete(&format!("key:{}", digest("sk-1"))).unwrap());
    assert_eq!((add("shop"), fares("sk-1")), (201, 200));
    assert_eq!((order("DELETE", "consumer=kiosk&number=1").0, fares("sk-1")), (204, 200));
    assert_eq!((order("DELETE", "consumer=shop&number=2").0, fares("sk-1")), (204, 401));
}

#[test]
fn nobody_manages_keys_without_the_scope() {
    let (key, _) = make("kiosk");
    for other in [KEY, &key] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(order_as(managed(), other, method, "consumer=kiosk&number=1").status(), 403, "{method}");
        }
    }
    assert_eq!(order_as(managed(), "wrong", "POST", "consumer=kiosk").status(), 401);
    // Nor somebody whom nobody knows, where the chain lets him pass.
    let plugin = testing::configure::<ApiKey>(config(json!({ "optional": true, "kv": true, "manage": managed()["manage"] }))).unwrap();
    let Flow::Respond(answer) = plugin.on_request(&mut get("/-/keys").build()).unwrap() else { panic!("goes on") };
    assert_eq!(answer.status(), 403);
    // Nor a page in the browser of somebody who may.
    let mut request =
        testing::Request::new("POST", "/-/keys?consumer=kiosk").header(header::X_API_KEY, ADMIN).header("origin", "null").build();
    let plugin = testing::configure::<ApiKey>(managed()).unwrap();
    assert_eq!(status(&plugin.authorize(&mut request).unwrap()), 200);
    let Flow::Respond(answer) = plugin.on_request(&mut request).unwrap() else { panic!("goes on") };
    assert_eq!(answer.status(), 403);
    assert_eq!(plugin.on_request(&mut get("/-/keys/more").build()).unwrap(), Flow::Next);
}

#[test]
fn says_what_is_wrong_with_an_order() {
    let word = "sk-in-the-wrong-place";
    for (method, query, expected) in [
        ("POST", "", 400),
        ("POST", "consumer=nobody", 404),
        ("POST", &format!("consumer=kiosk&digest={word}"), 400),
        ("POST", "consumer=kiosk&lifetime=0s", 400),
        ("POST", "consumer=kiosk&lifetime=366d", 400),
        ("POST", "consumer=kiosk&lifetime=9999999999999999999d", 400),
        ("POST", "consumer=kiosk&lifetime=2", 400),
        ("GET", "consumer=nobody", 404),
        ("DELETE", "consumer=kiosk", 400),
        ("DELETE", "consumer=kiosk&number=1&digest=x", 400),
        ("DELETE", "consumer=kiosk&number=x", 400),
        ("DELETE", "consumer=kiosk&number=1", 404),
        ("DELETE", "consumer=shop&number=1", 409),
        ("DELETE", &format!("consumer=shop&digest={}", digest(KEY)), 409),
        ("PUT", "consumer=kiosk", 405),
    ] {
        let (status, body) = order(method, query);
        assert!(status == expected && !body.to_string().contains(word), "{method} {query}: {status} {body}");
    }
}

#[test]
fn lists_all_of_them_by_pages() {
    let mut many = managed();
    let more: Vec<_> = (0..250).map(|number| json!({ "name": format!("c{number:03}"), "keys": [] })).collect();
    many["consumers"].as_array_mut().unwrap().extend(more);
    let (mut names, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page: Json = serde_json::from_slice(order_as(many.clone(), ADMIN, "GET", &format!("after={after}")).body()).unwrap();
        names.extend(page["consumers"].as_array().unwrap().iter().map(|consumer| consumer["name"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!((names.len(), pages, names.is_sorted()), (253, 3, true));
}

#[test]
fn refuses_a_configuration_that_cannot_work() {
    let manage = |path: &str, scope: &str| json!({ "kv": true, "manage": { "path": path, "scope": scope } });
    for (changes, expected) in [
        (json!({ "manage": managed()["manage"] }), "write `kv = true`"),
        (manage("keys", "a"), "`path`"),
        (manage("//keys", "a"), "`path`"),
        (manage("/keys?a", "a"), "`path`"),
        // No request has these: paths have one form.
        (manage("/a//keys", "a"), "`path`"),
        (manage("/a/../keys", "a"), "`path`"),
        (manage("/keys;a", "a"), "`path`"),
        (manage("/{keys}", "a"), "`path`"),
        (manage("/keys", ""), "`scope`"),
        (manage("/keys", "a b"), "`scope`"),
        (json!({ "kv": true, "manage": managed()["manage"], "query": "consumer" }), "a parameter of `manage`"),
        (json!({ "kv": false, "consumers": [{ "name": "a" }] }), "has 0 keys"),
    ] {
        let error = testing::configure::<ApiKey>(config(changes.clone())).err().unwrap_or_else(|| panic!("taken: {changes}"));
        assert!(error.contains(expected), "{changes}: {error}");
    }
    testing::deny("kv");
    assert!(testing::configure::<ApiKey>(config(json!({ "kv": true }))).err().unwrap().contains("add `kv = {}`"));
    assert!(testing::configure::<ApiKey>(config(json!({}))).is_ok());
}
