//! Shipped plugins at work together; and each built-in is nothing but its file.

mod scene;

use std::collections::BTreeMap;

use plugway_harness::client::{Answer, reported};

use crate::common::{metric, run, status, until, until_logged};
use crate::guest::shipped;
use scene::{KEY, PLUGINS, Scene};

/// One request as the client and the upstream saw it.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    challenge: Option<String>,
    policy: Option<String>,
    endpoint: Option<String>,
    /// Of the upstream's report: what the plugins decide.
    report: BTreeMap<&'static str, serde_json::Value>,
}

fn ask(scene: &Scene, path: &str, token: Option<&str>, tenant: &str) -> Seen {
    let caller = token.map(|token| ("authorization", format!("Bearer {token}")));
    seen(&run(scene.get(path, caller, tenant)))
}

fn seen(answer: &Answer) -> Seen {
    let report: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let header = |name| reported(&report, name).into_iter().map(str::to_owned).collect::<Vec<_>>().into();
    let mut said = BTreeMap::new();
    if answer.status == 200 {
        said = ["target", "sni", "tls", "client_certificate", "alpn_h2"].into_iter().map(|key| (key, report[key].clone())).collect();
        said.extend(["authorization", "x-api-key", "x-user", "x-gateway", "cookie"].map(|name| (name, header(name))));
    }
    Seen {
        status: answer.status.as_u16(),
        challenge: answer.header("www-authenticate").map(str::to_owned),
        policy: answer.header("ratelimit-policy").map(str::to_owned),
        endpoint: answer.header("x-upstream").map(str::to_owned),
        report: said,
    }
}

/// Every request of callers with tokens, in order.
fn story(scene: &Scene) -> Vec<Seen> {
    let [good, poor, late] = [scene.token("orders:read", 600), scene.token("orders:list", 600), scene.token("orders:read", -600)];
    let stranger = crate::issuer::Issuer::new().token("orders:read", 600);
    let mut seen = vec![
        ask(scene, "/v1/orders", None, "acme"),
        ask(scene, "/v1/orders", Some("nonsense"), "acme"),
        ask(scene, "/v1/orders", Some(&late), "acme"),
        ask(scene, "/v1/orders", Some(&stranger), "acme"),
        ask(scene, "/v1/orders", Some(&poor), "acme"),
    ];
    for number in 0..30 {
        seen.push(ask(scene, "/v1/orders", Some(&good), &format!("tenant-{}", number % 15)));
    }
    seen
}

/// The same of callers with keys: without one, with a wrong one, and with a good one once more than it may.
fn keyed_story(scene: &Scene) -> Vec<Seen> {
    let keys = [None, Some("wrong"), Some(KEY), Some(KEY), Some(KEY)];
    keys.map(|key| seen(&run(scene.get("/keyed/orders", key.map(|key| ("x-api-key", key.to_owned())), "acme")))).into()
}

#[test]
fn four_shipped_plugins_work_together_over_tls() {
    let scene = Scene::start(|name| format!("builtin:{name}"));
    let seen = story(&scene);

    // oauth2: no credentials, bad ones, and good ones that are not enough.
    assert_eq!(seen.iter().take(6).map(|seen| seen.status).collect::<Vec<_>>(), [401, 401, 401, 401, 403, 200]);
    let challenge = |number: usize| seen[number].challenge.as_deref().unwrap_or_default();
    assert!(challenge(0).starts_with("Bearer realm=\"orders\"") && !challenge(0).contains("error="), "{}", challenge(0));
    (1..4).for_each(|number| assert!(challenge(number).contains("error=\"invalid_token\""), "{}", challenge(number)));
    assert!(challenge(4).contains("error=\"insufficient_scope\"") && challenge(4).contains("orders:read"), "{}", challenge(4));
    assert_eq!(scene.upstreams.iter().map(|upstream| upstream.requests()).sum::<u64>(), 30, "nothing refused went further");

    // The token that came thirty times cost one signature.
    let checked =
        |result: &str| metric(&scene.gateway, "plugway_plugin_token_checks_total", &["plugin=\"auth\"", &format!("result=\"{result}\"")]);
    assert_eq!([checked("passed"), checked("refused")], [1.0, 4.0]);

    for good in seen.iter().skip(5) {
        let said = |key: &str| good.report[key].clone();
        assert_eq!(good.status, 200, "{good:?}");
        // The identity goes on, the token does not.
        assert_eq!(said("x-user"), serde_json::json!(["ann"]));
        assert_eq!(said("authorization"), serde_json::json!([]));
        // tls-forward: the profile's certificate, the server name and the rewritten path.
        assert_eq!(said("client_certificate"), scene.client_fingerprint.as_str());
        assert_eq!(said("sni"), "orders.internal");
        assert_eq!(said("target"), "/api/orders");
        assert_eq!(said("x-gateway"), serde_json::json!(["plugway"]));
        assert_eq!(said("cookie"), serde_json::json!([]));
    }

    // hash-router: a tenant stays where it is, and tenants are spread.
    let mut homes: BTreeMap<usize, &str> = BTreeMap::new();
    for (number, good) in seen.iter().skip(5).enumerate() {
        let endpoint = good.endpoint.as_deref().unwrap();
        assert_eq!(*homes.entry(number % 15).or_insert(endpoint), endpoint, "tenant {}", number % 15);
    }
    let used: std::collections::BTreeSet<&str> = homes.values().copied().collect();
    assert!(used.len() > 1, "15 tenants all went to {used:?}");

    // metrics: what it was configured to count, beside the gateway's own, which are exact.
    let own = |class: &str| {
        metric(&scene.gateway, "plugway_plugin_requests_total", &["plugin=\"metrics\"", "route=\"orders\"", &format!("status=\"{class}\"")])
    };
    until("the observer to have seen all", || own("2xx") == 30.0 && own("4xx") == 5.0);
    assert_eq!(metric(&scene.gateway, "plugway_plugin_request_duration_seconds_count", &["plugin=\"metrics\"", "route=\"orders\""]), 35.0);
    assert_eq!(metric(&scene.gateway, "plugway_plugin_upstream_attempts_total", &["plugin=\"metrics\""]), 30.0);
    assert_eq!(metric(&scene.gateway, "plugway_requests_total", &["route=\"orders\""]), 35.0);
    assert_eq!(metric(&scene.gateway, "plugway_hook_failures_total", &[]), 0.0);
    let calls = |hook: &str| metric(&scene.gateway, "plugway_hook_calls_total", &[&format!("hook=\"{hook}\"")]);
    assert_eq!([calls("authorizer"), calls("router"), calls("forwarder")], [35.0, 30.0, 30.0]);
}

#[test]
fn a_token_the_gateway_knows_still_ends() {
    let scene = Scene::start(|name| format!("builtin:{name}"));
    // Past its `exp`, and for some seconds more within the leeway of 30.
    let token = scene.token("orders:read", -26);
    let ask = || ask(&scene, "/v1/orders", Some(&token), "acme");
    assert_eq!(ask().status, 200);
    until("the token to end", || ask().status == 401);
    assert!(ask().challenge.unwrap().contains("error=\"invalid_token\""));
    until_logged(&scene.gateway, "why=expired");
    let labels = ["plugin=\"auth\"", "result=\"passed\""];
    assert_eq!(metric(&scene.gateway, "plugway_plugin_token_checks_total", &labels), 1.0);
}

/// What `/status` says of the plugins, routes included.
fn plugins(scene: &Scene) -> Vec<serde_json::Value> {
    let mut plugins = status(&scene.gateway)["plugins"].as_array().unwrap().clone();
    plugins.sort_by_key(|plugin| plugin["name"].to_string());
    // Where it comes from, since when, how often it was called, and whether it is kept, is what may differ.
    for key in ["source", "file", "since", "versions", "calls"] {
        plugins.iter_mut().for_each(|plugin| drop(plugin.as_object_mut().unwrap().remove(key)));
    }
    plugins
}

#[test]
fn each_built_in_is_the_same_component_as_its_file() {
    let embedded = Scene::start(|name| format!("builtin:{name}"));
    let as_embedded = (plugins(&embedded), story(&embedded), keyed_story(&embedded));
    assert_eq!(as_embedded.0.len(), PLUGINS.len());
    let folders = std::fs::read_dir(plugway_harness::guests::root().join("plugins")).unwrap();
    let mut folders: Vec<String> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    let mut names = PLUGINS.map(|(_, name)| name);
    names.sort();
    assert_eq!(folders, names, "one of each");
    let keyed = |number: usize| (as_embedded.2[number].status, as_embedded.2[number].report.get("x-user"));
    assert_eq!([keyed(0), keyed(1), keyed(4)], [(401, None), (401, None), (429, None)]);
    assert_eq!([keyed(2), keyed(3)], [(200, Some(&serde_json::json!(["shop"]))); 2]);
    let Scene { settings, .. } = embedded;

    // The same addresses and keys, so that nothing but the sources differs; a copy, so that no other file can be meant.
    let copies = plugway_harness::temp::TempDir::new().unwrap();
    let files = settings.start(|name| {
        let copy = copies.path().join(format!("a copy of {name}.wasm"));
        std::fs::copy(shipped(name), &copy).unwrap();
        copy.to_str().unwrap().to_owned()
    });
    let as_files = (plugins(&files), story(&files), keyed_story(&files));
    assert_eq!(as_files.0, as_embedded.0, "digest, size, hooks and capabilities");
    assert_eq!(as_files.1, as_embedded.1, "status, challenge, endpoint and what the upstream saw");
    assert_eq!(as_files.2, as_embedded.2, "the same, and the limit's policy");
    for plugin in &as_files.0 {
        let name = PLUGINS.into_iter().find(|(configured, _)| plugin["name"] == *configured).unwrap().1;
        let digest = ring::digest::digest(&ring::digest::SHA256, &std::fs::read(shipped(name)).unwrap());
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(plugin["digest"], format!("sha256:{hex}"), "{name}");
    }
}
