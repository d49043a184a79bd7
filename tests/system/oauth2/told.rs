//! Whom a real server's token is of, told to everybody who asks, the token kept where that is configured, and API keys beside it.

use plugway_harness::upstream::Upstream;
use serde_json::json;

use super::identity::TOLD;
use super::server::{Server, known_by, machine};
use crate::api_key::digest;
use crate::common::{metric, until, until_logged};
use crate::guest::{get, seen};

const KEY: &str = "sk-2f8d1c";

const EITHER: &str = r#"
[plugins.keys]
source = "builtin:api-key"
grants = { crypto = {} }
config = { optional = true, consumers = [{ name = "partner", keys = ["DIGEST"] }] }
[[routes]]
name = "either"
match = { path = "/either" }
upstream = "up"
plugins = ["keys", "auth", "counts"]
"#;

#[test]
fn everybody_is_told_whose_token_of_a_real_server_it_is_and_a_key_opens_the_same_route() {
    let (server, upstream) =
        (Server::start(&[machine("shop"), known_by("client_secret_basic", json!({}))]), Upstream::plain("up").unwrap());
    let plugin = "audience = [\"urn:orders\", \"urn:orders:opaque\"]\nscopes = [\"orders:read\"]\nclaims = [\"tenant\"]\nforward_token = true\n\
                  claims_as_headers = { \"x-user\" = \"sub\" }\nintrospection = {}";
    let gateway = server.gateway(&upstream, plugin, &format!("{TOLD}{}", EITHER.replace("DIGEST", &digest(KEY))));
    let address = gateway.address("web").unwrap();
    // A JWT, and one that says nothing itself (this server is not asked about JWTs: it says no to that): both are of the tenant, whose second request is the last.
    for resource in ["urn:orders", "urn:orders:opaque"] {
        let token = format!("Bearer {}", server.token("shop", &format!("scope=orders:read&resource={resource}")));
        let ask = |path: &str| get(address, path, &[("authorization", &token), ("x-user", "root")]);
        let limited = ask("/limited");
        assert_eq!(seen(&limited, "x-user").as_deref(), Some("shop"), "{resource}: {}", limited.text());
        assert_eq!(seen(&limited, "authorization").as_deref(), Some(token.as_str()), "{resource}: it is kept");
        assert_eq!(seen(&ask("/either"), "authorization").as_deref(), Some(token.as_str()));
        if resource == "urn:orders:opaque" {
            assert_eq!(ask("/limited").status, 429);
        }
    }
    assert_eq!(server.provider.answered("POST /token/introspection"), 1, "{}", server.provider.said());
    let by_key = get(address, "/either", &[("x-api-key", KEY), ("x-user", "root")]);
    assert_eq!((by_key.status, seen(&by_key, "x-user"), seen(&by_key, "x-api-key")), (200, None, None));
    assert_eq!(get(address, "/either", &[]).status, 401);
    for (consumer, requests) in [("shop", 5.0), ("partner", 1.0)] {
        let label = format!("consumer=\"{consumer}\"");
        until(consumer, || metric(&gateway, "plugway_plugin_requests_total", &[&label]) == requests);
        until_logged(&gateway, &format!("\"consumer\":\"{consumer}\""));
    }
    server.assert_issued(1, 1);
    server.assert_content();
}
