//! Keys that are made and revoked while a gateway runs, on two workers, by whoever has a token with the scope for it.

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;

use super::digest;
use crate::common::{json, metric, start, status, two_workers, until, until_logged};
use crate::guest::{config, get, seen};
use crate::issuer::Issuer;

/// What keeps keys that are made, beside a route where they are managed with a token.
fn text(issuer: &Issuer, upstream: &Upstream, consumers: &str, grant: &str) -> String {
    let keys = format!(
        r#"[plugins.keys]
source = "builtin:api-key"
grants = {{ crypto = {{}}, kv = {grant} }}
[plugins.keys.config]
consumers = {consumers}
consumer_header = "x-consumer"
kv = true
[plugins.auth]
source = "builtin:oauth2"
grants = {{ crypto = {{}} }}
config = {{ issuer = "https://id.example.com", audience = "orders", jwks = '{}' }}
[[routes]]
name = "keys"
match = {{ path = "/-/keys" }}
plugins = ["auth", {{ plugin = "keys", config = {{ optional = true, manage = {{ path = "/-/keys", scope = "keys:manage" }} }} }}]
upstream = "up"
[[routes]]
name = "orders"
match = {{ path = "/orders/*" }}
plugins = ["keys"]
upstream = "up"
"#,
        issuer.jwks()
    );
    two_workers(&config(upstream, &[&keys]))
}

/// Has something done with keys.
fn order(gateway: &Gateway, token: &str, method: &str, query: &str) -> RawResponse {
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let head =
        format!("{method} /-/keys?{query} HTTP/1.1\r\nhost: example.com\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n");
    raw.send(head.as_bytes()).unwrap();
    raw.response_to(method).unwrap()
}

fn make(gateway: &Gateway, token: &str, query: &str) -> String {
    let made = order(gateway, token, "POST", query);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("cache-control"), Some(&b"no-store"[..]));
    json(&made)["key"].as_str().unwrap().to_owned()
}

/// How requests with a key fare on either worker: each has a connection of its own.
fn fares(gateway: &Gateway, key: &str) -> u16 {
    let statuses = statuses(gateway, key);
    assert!(statuses.iter().all(|status| Some(status) == statuses.first()), "{statuses:?}");
    statuses[0]
}

fn statuses(gateway: &Gateway, key: &str) -> Vec<u16> {
    let address = gateway.address("web").unwrap();
    (0..12).map(|_| get(address, "/orders/1", &[("x-api-key", key)]).status).collect()
}

#[test]
fn a_key_that_is_made_counts_on_all_workers_at_once_and_so_does_its_end() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let gateway = start(&text(&issuer, &upstream, "[{ name = \"shop\" }, { name = \"kiosk\", scopes = [\"keys:manage\"] }]", "{}"));
    let token = issuer.token("keys:manage", 600);
    let [first, second] = [make(&gateway, &token, "consumer=shop"), make(&gateway, &token, "consumer=shop&lifetime=90d")];
    assert_eq!([fares(&gateway, &first), fares(&gateway, &second)], [200, 200]);
    let passed = get(gateway.address("web").unwrap(), "/orders/1", &[("x-api-key", &second)]);
    assert_eq!((seen(&passed, "x-consumer").as_deref(), seen(&passed, "x-api-key")), (Some("shop"), None));
    assert_eq!(order(&gateway, &token, "POST", "consumer=shop").status, 409);
    let listed = order(&gateway, &token, "GET", "");
    assert!(!listed.text().contains(&first) && listed.text().contains(&digest(&first)), "{}", listed.text());
    assert_eq!(json(&listed)["consumers"][1]["keys"][1]["valid"], true);

    assert_eq!(order(&gateway, &token, "DELETE", &format!("consumer=shop&digest={}", digest(&first))).status, 204);
    assert_eq!([fares(&gateway, &first), fares(&gateway, &second)], [401, 200]);
    assert_eq!(order(&gateway, &token, "DELETE", "consumer=shop&number=2").status, 204);
    assert_eq!(fares(&gateway, &second), 401);

    // Others are told nothing, and change nothing.
    for token in [issuer.token("orders:read", 600), "wrong".to_owned()] {
        for method in ["GET", "POST", "DELETE"] {
            let refused = order(&gateway, &token, method, "consumer=shop&number=1");
            assert!([401, 403].contains(&refused.status) && !refused.text().contains("sha256"), "{}", refused.text());
        }
    }
    assert_eq!(get(gateway.address("web").unwrap(), "/-/keys", &[]).status, 401);
    assert!(upstream.requests() > 0 && json(&order(&gateway, &token, "GET", "consumer=shop"))["keys"] == serde_json::json!([]));
    until_logged(&gateway, "was revoked by");
    let log = gateway.log().text();
    assert!(![&first, &second].iter().any(|key| log.contains(key.as_str())));
}

#[test]
fn keys_outlive_a_reload_and_not_the_gateway_and_come_back_by_their_digests() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let token = issuer.token("keys:manage", 600);
    let before = text(&issuer, &upstream, "[{ name = \"shop\" }, { name = \"gone\" }]", "{}");
    let gateway = start(&before);
    let [key, other] = [make(&gateway, &token, "consumer=shop"), make(&gateway, &token, "consumer=gone")];
    let configured = format!("[{{ name = \"shop\", keys = [\"{}\"] }}]", digest("configured"));
    let after = text(&issuer, &upstream, &configured, "{}");
    std::fs::write(gateway.directory().join("plugway.toml"), after).unwrap();
    until("the reload", || status(&gateway)["last_reload"]["outcome"]["result"] == "swapped");
    // `shop` has a configured key now, which has the number of the one that was made; `gone` has nothing any more.
    assert_eq!([fares(&gateway, "configured"), fares(&gateway, &key), fares(&gateway, &other)], [200, 401, 401]);
    std::fs::write(gateway.directory().join("plugway.toml"), &before).unwrap();
    until("the other reload", || statuses(&gateway, "configured").iter().all(|status| *status == 401));
    assert_eq!([fares(&gateway, &key), fares(&gateway, &other)], [200, 200]);
    drop(gateway);

    let gateway = start(&before);
    assert_eq!(fares(&gateway, &key), 401);
    let again = format!("consumer=shop&digest={}", digest(&key));
    assert_eq!([(); 2].map(|()| order(&gateway, &token, "POST", &again).status), [201, 200]);
    assert_eq!(fares(&gateway, &key), 200);
}

#[test]
fn where_there_is_no_room_keys_are_refused_and_nobody_has_another_ones() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let names: Vec<String> = (0..30).map(|number| format!("c{number:02}")).collect();
    let consumers = names.iter().map(|name| format!("{{ name = \"{name}\" }}")).collect::<Vec<_>>().join(", ");
    let gateway = start(&text(&issuer, &upstream, &format!("[{consumers}]"), "{ max_entries = 24 }"));
    let token = issuer.token("keys:manage", 600);
    let keys: Vec<String> = names.iter().map(|name| make(&gateway, &token, &format!("consumer={name}"))).collect();
    assert!(metric(&gateway, "plugway_kv_evicted_total", &["plugin=\"keys\""]) > 0.0);
    let listed = json(&order(&gateway, &token, "GET", ""));
    let mut passed = 0;
    for (place, (name, key)) in names.iter().zip(&keys).enumerate() {
        let answer = get(gateway.address("web").unwrap(), "/orders/1", &[("x-api-key", key)]);
        let is_listed = listed["consumers"][place]["keys"].as_array().unwrap().iter().any(|key| key["valid"] == true);
        match answer.status {
            200 => assert_eq!(seen(&answer, "x-consumer").as_deref(), Some(name.as_str())),
            status => assert_eq!(status, 401),
        }
        assert_eq!(answer.status == 200, is_listed, "{name}");
        passed += usize::from(answer.status == 200);
    }
    assert!((1..30).contains(&passed), "{passed}");
}
