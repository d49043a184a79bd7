//! What is found out and not written: the server by its metadata (RFC 8414), and the way to a token by the API's (RFC 9728), by a client of other people's.

use std::time::Duration;

use plugway_harness::oauth_client::OAuthClient;
use plugway_harness::upstream::Upstream;
use serde_json::{Value, json};

use super::server::{SECRET, Server, known_by, machine};
use crate::guest::{get, seen};
use crate::issuer::Issuer;

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
/// What clients know the API by, and one resource of it.
const API: &str = "https://api.example.com";
const ORDERS: &str = "https://api.example.com/orders";

#[test]
fn a_server_without_openid_connect_is_found_by_its_own_metadata() {
    let (server, upstream) =
        (Server::start(&[machine("shop"), known_by("client_secret_basic", json!({}))]), Upstream::plain("up").unwrap());
    server.provider.behave(OPENID, "absent", Duration::ZERO).unwrap();
    let plugin = "audience = [\"urn:orders\", \"urn:orders:opaque\"]\nscopes = [\"orders:read\"]\nintrospection = {}\n\
                  claims_as_headers = { \"x-user\" = \"sub\" }\n\
                  upstream_token = { grant = \"client_credentials\", resource = \"urn:billing\" }";
    let gateway = server.gateway(&upstream, plugin, "");
    // Its keys, where to ask about tokens and where to get them: all by the one document.
    for resource in ["urn:orders", "urn:orders:opaque"] {
        let token = server.token("shop", &format!("scope=orders:read&resource={resource}"));
        let answer = get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))]);
        assert_eq!(seen(&answer, "x-user").as_deref(), Some("shop"), "{resource}: {}\n{}", answer.text(), gateway.log().text());
    }
    let asked = [OPENID, OAUTH].map(|path| server.provider.answered(&format!("GET {path}")));
    assert!(asked[0] >= 1 && asked[1] >= 1, "{}", server.provider.said());
    assert_eq!(server.provider.answered("POST /token/introspection"), 1);
    server.assert_issued(2, 1);
    server.assert_content();
}

#[test]
fn a_client_that_knows_the_api_alone_finds_its_server_and_gets_in_with_a_nonce_where_one_is_asked_for() {
    let (server, upstream) =
        (Server::start(&[machine("shop"), known_by("client_secret_basic", json!({}))]), Upstream::plain("up").unwrap());
    for bound in [false, true] {
        let dpop =
            if bound { format!("dpop = {{ required = true, origin = \"{API}\", nonce_key = \"signing\" }}\n") } else { String::new() };
        let plugin = format!(
            "audience = \"{ORDERS}\"\nscopes = [\"orders:read\"]\nclaims_as_headers = {{ \"x-user\" = \"sub\" }}\n{dpop}\
             introspection = {{}}\nresource = {{ url = \"{ORDERS}\", scopes = [\"orders:read\"] }}"
        );
        let launch = server.launch(&Issuer::new());
        // One that nonces can be sealed with.
        launch.file("signing", "0123456789abcdef0123456789abcdef").unwrap();
        let gateway = server.gateway_as("id = \"gateway\", secret = \"gateway\"", launch, &upstream, &plugin, "");
        let client = OAuthClient::start(API, gateway.address("web").unwrap()).unwrap();
        let came = client.call(ORDERS, ("shop", SECRET), bound).unwrap_or_else(|error| panic!("{error}\n{}", gateway.log().text()));
        assert_eq!(came.value("servers"), Some(&json!([server.provider.issuer()])));
        assert_eq!(came.value("scopes"), Some(&json!(["orders:read"])));
        let challenge = came.field("refused").unwrap();
        assert!(
            challenge.contains("resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource/orders\""),
            "{challenge}"
        );
        assert_eq!(challenge.starts_with("DPoP"), bound, "{challenge}");
        assert_eq!(
            (came.value("status"), came.value("nonces")),
            (Some(&json!(200)), Some(&json!(u64::from(bound)))),
            "{:?}",
            came.field("text")
        );
        let report: Value = serde_json::from_str(came.field("text").unwrap()).unwrap();
        assert_eq!(plugway_harness::client::reported(&report, "x-user"), ["shop"]);
    }
    assert_eq!(upstream.requests(), 2);
    server.assert_issued(2, 0);
    server.assert_content();
}
