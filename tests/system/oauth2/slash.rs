//! An issuer whose name ends in a slash, as Auth0's do: a real server of that name is found under it, and is another than the one without.

use std::time::Duration;

use plugway_harness::upstream::Upstream;
use serde_json::json;

use super::login::{self, Browser, people};
use super::server::{Server, known_by, machine};
use crate::common::{start, until_logged};
use crate::guest::{config, get, seen};
use crate::issuer::Issuer;

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

#[test]
fn a_server_is_found_under_an_issuer_that_ends_in_a_slash_and_its_tokens_pass() {
    let (key, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    // What the gateway signs is for the issuer by its name, which this server compares as exactly.
    let by_key = json!({ "jwks": { "keys": [key.jwk()] }, "token_endpoint_auth_signing_alg": "EdDSA", "client_secret": null });
    let server = Server::with_slash(&[machine("shop"), known_by("private_key_jwt", by_key)]);
    let issuer = server.provider.issuer();
    assert!(issuer.ends_with('/'), "{issuer}");
    let plugin = "audience = [\"urn:orders\", \"urn:orders:opaque\"]\nintrospection = {}\n\
                  claims_as_headers = { \"x-user\" = \"sub\", \"x-issuer\" = \"iss\" }";
    // By OpenID Connect, and where there is none of it.
    for (asked, absent) in [(OPENID, None), (OAUTH, Some(OPENID))] {
        if let Some(path) = absent {
            server.provider.behave(path, "absent", Duration::ZERO).unwrap();
        }
        let gateway = server.gateway_as("id = \"gateway\", key = \"signing\"", server.launch(&key), &upstream, plugin, "");
        for resource in ["urn:orders", "urn:orders:opaque"] {
            let token = server.token("shop", &format!("scope=orders:read&resource={resource}"));
            let answer = get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))]);
            assert_eq!(answer.status, 200, "{resource}: {}\n{}\n{}", answer.text(), gateway.log().text(), server.provider.said());
            let told = ["x-user", "x-issuer"].map(|name| seen(&answer, name));
            assert_eq!(told, [Some("shop".to_owned()), Some(issuer.to_owned())], "{resource}");
        }
        assert_eq!(server.provider.answered(&format!("GET {asked}")), 1, "{}", server.provider.said());
    }
    let twice = [OPENID, OAUTH].map(|path| server.provider.received(&format!("GET /{path}")));
    assert_eq!(twice, [0, 0], "one slash and not two: {}", server.provider.said());
    server.assert_issued(2, 2);
    server.assert_content();
}

#[test]
fn people_log_in_at_a_server_whose_issuer_ends_in_a_slash() {
    let (server, upstream) = (Server::with_slash(&[people(&json!({}))]), Upstream::plain("up").unwrap());
    let gateway = login::gateway(&server, &upstream);
    // The answer to the browser has `iss` (RFC 9207), and the ID token has it as well.
    let answer = Browser::new(&server, &gateway).ann_arrives(&server, &gateway);
    assert_eq!(seen(&answer, "x-user").as_deref(), Some("ann"));
    server.assert_content();
}

#[test]
fn issuers_that_differ_by_a_slash_are_two() {
    let upstream = Upstream::plain("up").unwrap();
    for server in [Server::with_slash(&[machine("shop")]), Server::start(&[machine("shop")])] {
        let (issuer, origin) = (server.provider.issuer(), server.provider.origin());
        let other = if issuer == origin { format!("{origin}/") } else { origin.to_owned() };
        // A route for each, of its own name.
        let auth = |name: &str, issuer: &str, keys: &str| {
            format!(
                "[plugins.{name}]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}}, http-client = {} }}\n\
                 [plugins.{name}.config]\nissuer = \"{issuer}\"\naudience = \"urn:orders\"\n{keys}\n\
                 [[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\nplugins = [\"{name}\"]\nupstream = \"up\"\n",
                server.grant()
            )
        };
        let written = format!("jwks = {{ url = \"{origin}/jwks\" }}");
        let parts = [auth("own", issuer, ""), auth("found", &other, ""), auth("written", &other, &written)];
        let gateway = start(&config(&upstream, &parts.each_ref().map(String::as_str)));
        let token = format!("Bearer {}", server.token("shop", "scope=orders:read"));
        // What is found under the other name says that it is none of its own; where the keys are known, the token says so.
        for (path, status) in [("/own", 200), ("/found", 503), ("/written", 401)] {
            let answer = get(gateway.address("web").unwrap(), path, &[("authorization", &token)]);
            assert_eq!(answer.status, status, "{issuer} {path}: {}\n{}", answer.text(), gateway.log().text());
        }
        until_logged(&gateway, &format!("the metadata of {other}: what it answers cannot be used: its `issuer` is another one"));
        until_logged(&gateway, "refused, why=issuer; the token says");
        until_logged(&gateway, &format!("wanted here: iss={other} aud=urn:orders"));
        server.assert_issued(1, 0);
        server.assert_content();
    }
    assert_eq!(upstream.requests(), 2);
}
