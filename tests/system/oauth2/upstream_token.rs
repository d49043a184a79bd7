//! Tokens for the upstream from a real server: the gateway's own, and the client's exchanged.

use plugway_harness::client::reported;
use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use super::server::{SECRET, Server, known_by, machine, machine_with};
use crate::common::until_logged;
use crate::guest::{get, report};
use crate::issuer::Issuer;
use serde_json::json;

fn gateway(server: &Server, upstream: &Upstream, more: &str) -> Gateway {
    server.gateway(upstream, &format!("audience = \"urn:orders\"\n{more}"), "")
}

/// The claims of the token that the upstream got.
fn got(gateway: &Gateway, token: &str) -> serde_json::Value {
    let answer = get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))]);
    let report = report(&answer);
    let lines = reported(&report, "authorization");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let payload = line.strip_prefix("Bearer ").unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&super::fetched::base64_decoded(payload)).unwrap()
}

#[test]
fn the_gateways_own_token_goes_to_the_upstream_got_once_for_all_workers() {
    let (mut server, upstream) = (Server::start(&[machine("shop"), machine_with("gateway", json!({}))]), Upstream::plain("up").unwrap());
    let own = "upstream_token = { grant = \"client_credentials\", scopes = [\"orders:write\"], resource = \"urn:billing\" }";
    let gateway = gateway(&server, &upstream, own);
    let token = server.token("shop", "scope=orders:read");
    let before = server.provider.answered("POST /token");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let claims = got(&gateway, &token);
                    assert_eq!(
                        (&claims["sub"], &claims["aud"], &claims["scope"]),
                        (&json!("gateway"), &json!("urn:billing"), &json!("orders:write"))
                    );
                }
            });
        }
    });
    assert_eq!(server.provider.answered("POST /token") - before, 1, "{}", server.provider.said());
    // The client's and the gateway's.
    server.assert_issued(2, 0);
    server.assert_content();
    // Kept, it outlives its server.
    server.provider.kill();
    assert_eq!(got(&gateway, &token)["sub"], "gateway");
    let log = gateway.log().text();
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn the_gateway_gets_its_token_by_a_posted_secret_a_signature_or_a_certificate() {
    let (key, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let by_key = json!({ "jwks": { "keys": [key.jwk()] }, "token_endpoint_auth_signing_alg": "EdDSA", "client_secret": null });
    let by_certificate = json!({ "tls_client_auth_subject_dn": "CN=gateway", "client_secret": null });
    let cases = [
        (
            Server::start(&[machine("shop"), known_by("client_secret_post", json!({}))]),
            "secret = \"gateway\", method = \"client_secret_post\"",
        ),
        (Server::start(&[machine("shop"), known_by("private_key_jwt", by_key)]), "key = \"signing\""),
        (Server::over_tls(&[machine("shop"), known_by("tls_client_auth", by_certificate)]), "method = \"tls_client_auth\""),
    ];
    let own = "audience = \"urn:orders\"\nupstream_token = { grant = \"client_credentials\", resource = \"urn:billing\" }";
    for (server, client) in &cases {
        let gateway = server.gateway_as(&format!("id = \"gateway\", {client}"), server.launch(&key), &upstream, own, "");
        let token = server.token("shop", "scope=orders:read");
        for _ in 0..4 {
            let claims = got(&gateway, &token);
            assert_eq!((&claims["sub"], &claims["aud"]), (&json!("gateway"), &json!("urn:billing")), "{client}");
        }
        server.assert_issued(2, 0);
        server.assert_content();
    }
    // Another key is another client: the server refuses it, and the request does not go on without.
    let (server, client) = &cases[1];
    let stranger = server.gateway_as(&format!("id = \"gateway\", {client}"), server.launch(&Issuer::new()), &upstream, own, "");
    let token = server.token("shop", "scope=orders:read");
    let before = upstream.requests();
    let refused = get(stranger.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!((refused.status, upstream.requests()), (503, before), "{}", refused.text());
    until_logged(&stranger, "it answers with 401");
    assert_eq!(server.provider.events("grant.error"), 1, "{}", server.provider.said());
}

#[test]
fn the_clients_token_is_exchanged_for_one_of_the_same_subject_and_never_goes_on() {
    let exchanges = json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"] });
    let (server, upstream) = (Server::start(&[machine("shop"), machine_with("gateway", exchanges)]), Upstream::plain("up").unwrap());
    let exchange = |audience: &str| {
        format!("upstream_token = {{ grant = \"token_exchange\", audience = \"{audience}\", scopes = [\"orders:read\"] }}")
    };
    let open = gateway(&server, &upstream, &exchange("urn:billing"));
    let token = server.token("shop", "scope=orders:read");
    let before = server.provider.answered("POST /token");
    for _ in 0..4 {
        let claims = got(&open, &token);
        assert_eq!((&claims["sub"], &claims["aud"], &claims["client_id"]), (&json!("shop"), &json!("urn:billing"), &json!("gateway")));
    }
    assert_eq!(server.provider.answered("POST /token") - before, 1);
    assert_eq!(server.provider.events("access_token.issued"), 1, "{}", server.provider.said());
    server.assert_issued(1, 0);
    server.assert_content();
    // What is not exchanged does not go on.
    let closed = gateway(&server, &upstream, &exchange("urn:closed"));
    let refused = get(closed.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(refused.status, 403, "{}", refused.text());
    until_logged(&closed, "why=not-exchanged");
    assert_eq!(upstream.requests(), 4);
    // The server has the refusal in its log as well.
    assert_eq!(
        (server.provider.events("grant.error"), server.provider.events("access_token.issued")),
        (1, 1),
        "{}",
        server.provider.said()
    );
}
