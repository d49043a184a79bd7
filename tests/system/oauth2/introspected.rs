//! Opaque tokens of a real server, which is asked about them by a client it knows, in each of the four ways.

use std::time::Duration;

use plugway_harness::ca::{Authority, Issued};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;
use serde_json::json;

use super::server::{SECRET, Server, known_by, machine, machine_with};
use super::{Holder, ask_over_tls};
use crate::common::until_logged;
use crate::guest::{get, seen};
use crate::issuer::Issuer;

pub(super) const OPAQUE: &str = "scope=orders:read&resource=urn:orders:opaque";
pub(super) const ASKED: &str = "POST /token/introspection";

/// Two workers, and a public route beside the one that asks.
fn gateway(server: &Server, upstream: &Upstream, client: &str, more: &str) -> Gateway {
    start(server.launch(&Issuer::new()), server, upstream, client, more)
}

/// The same, with files of its own.
pub(super) fn start(launch: Launch, server: &Server, upstream: &Upstream, client: &str, more: &str) -> Gateway {
    let plugin =
        format!("audience = \"urn:orders:opaque\"\nscopes = [\"orders:read\"]\nclaims_as_headers = {{ \"x-user\" = \"sub\" }}\n{more}");
    let public = "[[routes]]\nname = \"public\"\nmatch = { path = \"/public/*\" }\npublic = true\nupstream = \"up\"\n";
    server.gateway_as(client, launch, upstream, &plugin, public)
}

pub(super) fn ask(gateway: &Gateway, token: &str) -> plugway_harness::raw::RawResponse {
    get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))])
}

#[test]
fn an_opaque_token_passes_with_what_its_server_says_of_it_and_is_asked_about_once() {
    let (server, upstream) =
        (Server::start(&[machine("shop"), known_by("client_secret_basic", json!({}))]), Upstream::plain("up").unwrap());
    let gateway = gateway(
        &server,
        &upstream,
        "id = \"gateway\", secret = \"gateway\"",
        "introspection = { cache = \"10s\", negative_cache = \"10s\" }",
    );
    let token = server.token("shop", OPAQUE);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..8 {
                    assert_eq!(seen(&ask(&gateway, &token), "x-user").as_deref(), Some("shop"));
                }
            });
        }
    });
    assert_eq!(server.provider.answered(ASKED), 1, "one question for two workers:\n{}", server.provider.said());
    assert_eq!(ask(&gateway, &server.token("shop", "scope=orders:write&resource=urn:orders:opaque")).status, 403);
    assert_eq!(ask(&gateway, &server.token("shop", "scope=orders:read&resource=urn:billing:opaque")).status, 401);
    // What nobody issued is asked about once, too.
    let before = server.provider.answered(ASKED);
    assert!((0..20).all(|_| ask(&gateway, "nobody-issued-this").status == 401));
    assert!(server.provider.answered(ASKED) - before <= 2, "{}", server.provider.said());
    // Taken back, it is good for as long as the answer counts.
    server.revoke("shop", &token);
    crate::common::until("it is refused", || ask(&gateway, &token).status == 401);
    server.assert_issued(0, 3);
    server.assert_content();
    until_logged(&gateway, "why=inactive");
    let log = gateway.log().text();
    assert!(!log.contains(&token) && !log.contains(SECRET), "{log}");
}

#[test]
fn the_gateway_is_known_by_a_secret_a_signature_or_a_certificate() {
    let upstream = Upstream::plain("up").unwrap();
    let post = Server::start(&[machine("shop"), known_by("client_secret_post", json!({}))]);
    let gateway_of =
        gateway(&post, &upstream, "id = \"gateway\", secret = \"gateway\", method = \"client_secret_post\"", "introspection = {}");
    assert_eq!(ask(&gateway_of, &post.token("shop", OPAQUE)).status, 200, "{}", post.provider.said());
    post.assert_issued(0, 1);
    post.assert_content();

    let key = Issuer::new();
    let signs = json!({ "jwks": { "keys": [key.jwk()] }, "token_endpoint_auth_signing_alg": "EdDSA", "client_secret": null });
    let signed = Server::start(&[machine("shop"), known_by("private_key_jwt", signs)]);
    let gateway_of = start(signed.launch(&key), &signed, &upstream, "id = \"gateway\", key = \"signing\"", "introspection = {}");
    for _ in 0..2 {
        assert_eq!(ask(&gateway_of, &signed.token("shop", OPAQUE)).status, 200, "{}\n{}", signed.provider.said(), gateway_of.log().text());
    }
    // Who asks the same at one moment asks once, though every signature is another.
    let (before, token) = (signed.provider.answered(ASKED), signed.token("shop", OPAQUE));
    signed.provider.behave("/token/introspection", "delayed", Duration::from_millis(300)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(ask(&gateway_of, &token).status, 200));
        }
    });
    assert_eq!(signed.provider.answered(ASKED) - before, 1, "{}", signed.provider.said());
    signed.assert_issued(0, 3);
    signed.assert_content();
    // Another key is another client.
    let stranger = gateway(&signed, &upstream, "id = \"gateway\", key = \"signing\"", "introspection = {}");
    assert_eq!(ask(&stranger, &signed.token("shop", OPAQUE)).status, 503);
    until_logged(&stranger, "it answers with 401");
    assert_eq!(signed.provider.events("introspection.error"), 1, "{}", signed.provider.said());

    let by_certificate = json!({ "tls_client_auth_subject_dn": "CN=gateway", "client_secret": null });
    let mutual = Server::over_tls(&[machine("shop"), known_by("tls_client_auth", by_certificate)]);
    let gateway_of = gateway(&mutual, &upstream, "id = \"gateway\", method = \"tls_client_auth\"", "introspection = {}");
    assert_eq!(ask(&gateway_of, &mutual.token("shop", OPAQUE)).status, 200, "{}\n{}", mutual.provider.said(), gateway_of.log().text());
    mutual.assert_issued(0, 1);
    mutual.assert_content();
}

#[test]
fn an_opaque_token_bound_to_a_key_needs_its_proof() {
    let (server, upstream) =
        (Server::start(&[machine("shop"), known_by("client_secret_basic", json!({}))]), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream, "id = \"gateway\", secret = \"gateway\"", "introspection = {}\ndpop = {}");
    let holder = Holder { key: Issuer::new(), origin: "http://example.com".to_owned() };
    let proof =
        holder.proof("", "at-the-server", json!({ "htm": "POST", "htu": format!("{}/token", server.provider.issuer()), "ath": null }));
    let token = server.token_with("shop", OPAQUE, &[("dpop", &proof)], None);
    let sent = |scheme: &str, proof: &str| {
        get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("{scheme} {token}")), ("dpop", proof)]).status
    };
    assert_eq!(sent("DPoP", &holder.proof(&token, "1", json!({}))), 200);
    assert_eq!(sent("DPoP", &holder.proof(&token, "1", json!({}))), 401);
    assert_eq!(sent("Bearer", &holder.proof(&token, "2", json!({}))), 401);
    server.assert_issued(0, 1);
    server.assert_content();
}

#[test]
fn an_opaque_token_bound_to_a_certificate_needs_its_connection() {
    let bound = machine_with("shop", json!({ "tls_client_certificate_bound_access_tokens": true }));
    let by_certificate = json!({ "tls_client_auth_subject_dn": "CN=gateway", "client_secret": null });
    let (server, upstream) = (Server::over_tls(&[bound, known_by("tls_client_auth", by_certificate)]), Upstream::plain("up").unwrap());
    let clients = server.authority();
    let (own, other) = (clients.client("shop").unwrap(), clients.client("thief").unwrap());
    let launch = server.launch(&Issuer::new());
    let web = Authority::new("web").unwrap();
    web.server(&["localhost"]).unwrap().write(launch.directory(), "web").unwrap();
    let more = "introspection = {}\n[listen.tls]\naddress = \"127.0.0.1:0\"\n\
                tls = { certificate = \"web.pem\", key = \"web.key\", client_auth = { mode = \"optional\", ca = \"id.pem\" } }";
    let gateway = start(launch, &server, &upstream, "id = \"gateway\", method = \"tls_client_auth\"", more);
    let address = gateway.address("tls").unwrap();
    let sent = |certificate: Option<&Issued>, token: &str| ask_over_tls(address, &web, certificate, token).status.as_u16();
    let token = server.token_with("shop", OPAQUE, &[], Some(&own));
    // What the server said of it, `cnf` included, is known on both workers after the first.
    for _ in 0..8 {
        assert_eq!([Some(&own), Some(&other), None].map(|certificate| sent(certificate, &token)), [200, 401, 401]);
    }
    assert_eq!(ask(&gateway, &token).status, 401, "nor in the clear");
    until_logged(&gateway, "why=wrong-certificate");
    assert_eq!((server.provider.answered(ASKED), upstream.requests()), (1, 8), "{}", server.provider.said());
    server.assert_issued(0, 1);
    server.assert_content();
}

#[test]
fn a_slow_or_dead_server_holds_up_nobody_else_and_lets_nobody_in() {
    let (mut server, upstream) =
        (Server::start(&[machine("shop"), known_by("client_secret_basic", json!({}))]), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream, "id = \"gateway\", secret = \"gateway\"", "introspection = { cache = \"10m\" }");
    let address = gateway.address("web").unwrap();
    let known = server.token("shop", OPAQUE);
    assert_eq!(ask(&gateway, &known).status, 200);
    server.provider.behave("/token/introspection", "delayed", Duration::from_millis(2_500)).unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..24)
            .map(|number| {
                scope.spawn({
                    let gateway = &gateway;
                    move || ask(gateway, &format!("unknown-token-{number}")).status
                })
            })
            .collect();
        crate::common::until("one is being asked about", || server.provider.received(ASKED) > 1);
        let answered = server.provider.answered(ASKED);
        for _ in 0..8 {
            assert_eq!(get(address, "/public/x", &[]).status, 200);
            assert_eq!(ask(&gateway, &known).status, 200);
        }
        // However slow the machine is: had one of them waited for the server, it would have said something.
        assert_eq!(server.provider.answered(ASKED), answered, "somebody waited");
        for one in waiting {
            // Refused by the server, or not asked about in time.
            let status = one.join().unwrap();
            assert!(status == 401 || status == 503, "{status}");
        }
    });
    for how in ["rubbish", "broken"] {
        server.provider.behave("/token/introspection", how, Duration::ZERO).unwrap();
        let refused = ask(&gateway, &format!("unknown-token-{how}"));
        assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{how}: {}", refused.text());
        assert_eq!(ask(&gateway, &known).status, 200);
    }
    server.assert_issued(0, 1);
    server.assert_content();
    server.provider.kill();
    assert_eq!((ask(&gateway, "unknown").status, ask(&gateway, &known).status), (503, 200));
}
