//! The shipped `api-key`, beside a token on one route, over real sockets.

mod in_kv;
mod reloaded;

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{metric, start};
use crate::guest::{check, config, get, report, route, seen};
use crate::issuer::Issuer;

const KEY: &str = "sk-2f8d1c";
/// `printf %s sk-2f8d1c | sha256sum`, and another.
const CONSUMERS: &str = r#"[{ name = "shop", keys = ["sha256:DIGEST", "sha256:0000000000000000000000000000000000000000000000000000000000000000"], scopes = ["orders:read"] }]"#;

/// As a configuration has it.
pub(crate) fn digest(key: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    format!("sha256:{}", digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn plugin(more: &str) -> String {
    let consumers = CONSUMERS.replace("sha256:DIGEST", &digest(KEY));
    format!(
        "[plugins.keys]\nsource = \"builtin:api-key\"\ngrants = {{ crypto = {{}} }}\n[plugins.keys.config]\nconsumers = {consumers}\n{more}\n"
    )
}

fn gateway(upstream: &Upstream, more: &str) -> Gateway {
    start(&config(upstream, &[&plugin(more), &route("plugins = [\"keys\"]")]))
}

#[test]
fn a_key_lets_its_consumer_pass_and_stays_at_the_gateway() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "consumer_header = \"x-consumer\"");
    let address = gateway.address("web").unwrap();
    let good = get(address, "/orders", &[("X-API-Key", KEY), ("x-consumer", "admin")]);
    assert_eq!(seen(&good, "x-consumer").as_deref(), Some("shop"));
    assert_eq!(seen(&good, "x-api-key"), None);
    for (headers, status) in [
        (vec![], 401),
        (vec![("x-api-key", "wrong")], 401),
        (vec![("x-api-key", KEY), ("x-api-key", KEY)], 400),
        (vec![("x-consumer", "shop")], 401),
    ] {
        let answer = get(address, "/orders", &headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), Some(&b"ApiKey realm=\"api\""[..]));
    }
    assert_eq!(upstream.requests(), 1, "nothing refused went further");
    let checked = |result: &str| metric(&gateway, "plugway_plugin_key_checks_total", &[&format!("result=\"{result}\"")]);
    assert_eq!([checked("passed"), checked("refused")], [1.0, 1.0]);
    assert!(!gateway.log().text().contains(KEY));
}

#[test]
fn a_key_in_the_query_is_not_in_the_query_that_goes_on() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "query = \"key\"");
    let good = get(gateway.address("web").unwrap(), &format!("/orders?a=1&key={KEY}&b=2"), &[]);
    assert_eq!(report(&good)["target"], "/orders?a=1&b=2");
}

#[test]
fn a_key_or_a_token_opens_the_same_route() {
    let issuer = Issuer::new();
    let upstream = Upstream::plain("up").unwrap();
    let auth = format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}} }}\n[plugins.auth.config]\nissuer = \"https://id.example.com\"\n\
         audience = \"orders\"\nforward_token = true\njwks = '{}'\nclaims_as_headers = {{ \"x-user\" = \"sub\" }}\n",
        issuer.jwks()
    );
    let gateway = start(&config(&upstream, &[&plugin("optional = true"), &auth, &route("plugins = [\"keys\", \"auth\"]")]));
    let address = gateway.address("web").unwrap();
    let token = format!("Bearer {}", issuer.token("orders:read", 600));
    assert_eq!(get(address, "/", &[("x-api-key", KEY)]).status, 200);
    assert_eq!(get(address, "/", &[("authorization", &token)]).status, 200);
    // A wrong key is no way to be asked for a token.
    assert_eq!(get(address, "/", &[("x-api-key", "wrong"), ("authorization", &token)]).status, 401);
    let nothing = get(address, "/", &[]);
    assert_eq!((nothing.status, nothing.header("www-authenticate")), (401, Some(&b"Bearer realm=\"orders\""[..])));
    // What only a token can say is never a client's word, whoever let it pass.
    let forged = get(address, "/", &[("x-api-key", KEY), ("x-user", "root")]);
    assert_eq!((forged.status, seen(&forged, "x-user")), (200, None));
    let known = get(address, "/", &[("authorization", &token), ("x-user", "root")]);
    assert_eq!((seen(&known, "x-user").as_deref(), seen(&known, "authorization").as_deref()), (Some("ann"), Some(token.as_str())));
    let calls = metric(&gateway, "plugway_hook_calls_total", &["plugin=\"auth\"", "hook=\"request-filter\""]);
    assert!(calls >= 4.0, "behind another authorizer its filter is called: {calls}");
    // With both it is the key that counts, and it goes no further; nor does a token at which nobody has looked, for an upstream that believes that the
    // gateway did.
    for beside in [token.as_str(), "Bearer forged", "DPoP forged"] {
        let both = get(address, "/", &[("x-api-key", KEY), ("authorization", beside)]);
        assert_eq!((both.status, seen(&both, "x-api-key"), seen(&both, "authorization")), (200, None, None), "{beside}");
    }
}

#[test]
fn a_token_that_no_place_takes_goes_nowhere_whatever_the_order_of_plugins() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let auth = format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}} }}\n[plugins.auth.config]\nissuer = \"https://id.example.com\"\n\
         audience = \"orders\"\nforward_token = true\njwks = '{}'\nclaims_as_headers = {{ \"x-user\" = \"sub\" }}\noptional = true\n",
        issuer.jwks()
    );
    for rest in ["plugins = [\"auth\", \"keys\"]", "plugins = [\"auth\"]\npublic = true"] {
        let gateway = start(&config(&upstream, &[&plugin(""), &auth, &route(rest)]));
        let address = gateway.address("web").unwrap();
        let forged = [("x-api-key", KEY), ("authorization", "DPoP forged"), ("dpop", "a.b.c"), ("x-user", "root")];
        let answer = get(address, "/", &forged);
        assert_eq!(
            (answer.status, seen(&answer, "authorization"), seen(&answer, "dpop"), seen(&answer, "x-user")),
            (200, None, None, None),
            "{rest}"
        );
        let token = format!("Bearer {}", issuer.token("orders:read", 600));
        assert_eq!(seen(&get(address, "/", &[("authorization", &token)]), "authorization"), Some(token), "{rest}");
        assert_eq!(get(address, "/", &[("x-api-key", KEY), ("authorization", "Bearer forged")]).status, 401, "{rest}");
        // Its filter has nothing to do where it is first, and is not called.
        let calls = |hook: &str| metric(&gateway, "plugway_hook_calls_total", &["plugin=\"auth\"", &format!("hook=\"{hook}\"")]);
        assert_eq!((calls("authorizer"), calls("request-filter")), (3.0, 0.0), "{rest}");
    }
}

#[test]
fn a_key_in_the_configuration_is_refused_and_not_shown() {
    let upstream = Upstream::plain("up").unwrap();
    let part = "[plugins.keys]\nsource = \"builtin:api-key\"\ngrants = { crypto = {} }\nconfig = { consumers = [{ name = \"a\", keys = [\"sk-secret\"] }] }\n";
    let (output, text) = check(&config(&upstream, &[part, &route("plugins = [\"keys\"]")]));
    assert!(!output.status.success() && text.contains("never the key") && !text.contains("sk-secret"), "{text}");
}

#[test]
fn a_key_is_one_header_line_and_all_of_its_value() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "");
    let huge = format!("x-api-key: {KEY}{}", "x".repeat(12 << 10));
    for (lines, statuses) in [
        // White space around a value is not part of it (RFC 9110, section 5.5).
        (format!("X-Api-KEY: \t {KEY} \t"), &[200][..]),
        (format!("x-api-key: {KEY}\r\nX-API-KEY: {KEY}"), &[400]),
        (format!("x-api-key: {KEY}\r\nX-API-KEY: "), &[400]),
        (format!("x-api-key: {KEY}, {KEY}"), &[401]),
        (format!("x-api-key: \"{KEY}\""), &[401]),
        (format!("x-api-key: {KEY}\u{a0}"), &[401]),
        (format!("x_api_key: {KEY}"), &[401]),
        (format!("x-api-key: wrong\r\nauthorization: ApiKey {KEY}\r\ncookie: x-api-key={KEY}"), &[401]),
        // Framing that two readers could read differently ends before any plugin.
        (format!("x-api-key : {KEY}"), &[400]),
        (format!("x-api-key: {KEY}\r\n x-other: a"), &[400]),
        (format!("x-api-key: {KEY}\0"), &[400]),
        (huge, &[401, 431]),
    ] {
        let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
        raw.send(format!("GET /?x-api-key={KEY} HTTP/1.1\r\nhost: example.com\r\n{lines}\r\n\r\n").as_bytes()).unwrap();
        let answer = raw.response().unwrap();
        assert!(statuses.contains(&answer.status), "{}: {}", lines.escape_debug().take(80).collect::<String>(), answer.text());
    }
    assert_eq!(upstream.requests(), 1);
}
