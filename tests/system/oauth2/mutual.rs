//! A gateway that a real server knows by the certificate of its connection (RFC 8705): asked for at an address of its own, and one that nobody signed
//! but its own key.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use plugway_harness::ca::{Authority, Issued, self_signed};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;
use serde_json::{Value, json};

use super::introspected::{ASKED, OPAQUE, ask, start};
use super::server::{Server, known_by, machine};
use crate::common::until_logged;
use crate::guest::seen;
use crate::issuer::Issuer;

const BY_CERTIFICATE: &str = "id = \"gateway\", method = \"tls_client_auth\"";

fn with_aliases() -> Server {
    let by_certificate = json!({ "tls_client_auth_subject_dn": "CN=gateway", "client_secret": null });
    Server::with_aliases(&[machine("shop"), machine("reader"), known_by("tls_client_auth", by_certificate)])
}

/// Where a gateway finds this certificate in place of the one that the server's authority signed.
fn launch_with(server: &Server, certificate: &Issued) -> Launch {
    let launch = server.launch(&Issuer::new());
    certificate.write(launch.directory(), "gateway").unwrap();
    launch
}

fn assert_nobody_can_say(gateway: &Gateway, token: &str) {
    let refused = ask(gateway, token);
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}\n{}", refused.text(), gateway.log().text());
}

#[test]
fn a_gateway_with_a_certificate_asks_at_the_aliases_of_its_server_and_one_with_a_secret_does_not() {
    let (server, upstream) = (with_aliases(), Upstream::plain("up").unwrap());
    let more = "introspection = {}\nupstream_token = { grant = \"client_credentials\", resource = \"urn:billing\" }";
    let gateway = start(server.launch(&Issuer::new()), &server, &upstream, BY_CERTIFICATE, more);
    let token = server.token("shop", OPAQUE);
    for _ in 0..4 {
        let answer = ask(&gateway, &token);
        assert_eq!(answer.status, 200, "{}\n{}\n{}", answer.text(), gateway.log().text(), server.provider.said());
        assert_eq!(seen(&answer, "x-user").as_deref(), Some("shop"));
    }
    // The shop got its token where nobody is asked for a certificate, which is also where the server is found.
    for (asked, anywhere, at_alias) in [("GET /.well-known/openid-configuration", 1, 0), (ASKED, 1, 1), ("POST /token", 2, 1)] {
        let answered = (server.provider.answered(asked), server.provider.answered_at_alias(asked));
        assert_eq!(answered, (anywhere, at_alias), "{asked}: {}", server.provider.said());
    }
    // Who is known by a secret has nothing to show.
    let by_secret = start(server.launch(&Issuer::new()), &server, &upstream, "id = \"reader\", secret = \"gateway\"", "introspection = {}");
    assert_eq!(ask(&by_secret, &token).status, 200, "{}", server.provider.said());
    assert_eq!((server.provider.answered(ASKED), server.provider.answered_at_alias(ASKED)), (2, 1), "{}", server.provider.said());
    server.assert_issued(1, 1);
    server.assert_content();
}

#[test]
fn where_the_server_wants_certificates_nobody_is_answered_without_a_good_one() {
    let (server, upstream) = (with_aliases(), Upstream::plain("up").unwrap());
    let token = server.token("shop", OPAQUE);
    // At its other address the server sees none, whoever asks.
    let elsewhere = format!("introspection = {{ url = \"{}/token/introspection\" }}", server.provider.origin());
    let gateway = start(server.launch(&Issuer::new()), &server, &upstream, BY_CERTIFICATE, &elsewhere);
    assert_nobody_can_say(&gateway, &token);
    until_logged(&gateway, "it answers with 401");
    assert_eq!(server.provider.refusals("client certificate was not provided"), 1, "{}", server.provider.said());
    // Of the same name, by somebody else.
    let before = server.provider.received(ASKED);
    let other = Authority::new("id").unwrap().client("gateway").unwrap();
    let gateway = start(launch_with(&server, &other), &server, &upstream, BY_CERTIFICATE, "introspection = {}");
    assert_nobody_can_say(&gateway, &token);
    until_logged(&gateway, &format!("introspection at {}: ", server.provider.issuer()));
    assert_eq!((server.provider.received(ASKED), upstream.requests()), (before, 0), "{}", server.provider.said());
}

/// What a server knows a certificate by that nobody vouches for (RFC 8705, section 2.2.2).
fn jwk(certificate: &Issued) -> Value {
    // The first byte says that both coordinates follow.
    let (x, y) = certificate.public_key()[1..].split_at(32);
    let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "x5c": [STANDARD.encode(certificate.der())] })
}

#[test]
fn a_server_that_knows_the_gateways_very_certificate_answers_to_no_other() {
    let (own, next, upstream) = (self_signed("gateway").unwrap(), self_signed("gateway").unwrap(), Upstream::plain("up").unwrap());
    let known = json!({ "jwks": { "keys": [jwk(&own), jwk(&next)] }, "client_secret": null });
    let server = Server::over_tls(&[machine("shop"), known_by("self_signed_tls_client_auth", known)]);
    let token = server.token("shop", OPAQUE);
    // To whoever shows it a certificate is a certificate: the server alone knows which of the two methods it is.
    let by_its_name = BY_CERTIFICATE.replace("tls_client_auth", "self_signed_tls_client_auth");
    for (certificate, client) in [(&own, BY_CERTIFICATE), (&next, by_its_name.as_str())] {
        let gateway = start(launch_with(&server, certificate), &server, &upstream, client, "introspection = {}");
        let answer = ask(&gateway, &token);
        assert_eq!(answer.status, 200, "{}\n{}\n{}", answer.text(), gateway.log().text(), server.provider.said());
        assert_eq!(seen(&answer, "x-user").as_deref(), Some("shop"));
    }
    assert_eq!(server.provider.answered(ASKED), 2, "{}", server.provider.said());
    server.assert_issued(0, 1);
    server.assert_content();
    // Of the same name: by its own key as well, and by the authority whose certificates this server takes from others.
    let others = [self_signed("gateway").unwrap(), server.authority().client("gateway").unwrap()];
    for (number, certificate) in others.iter().enumerate() {
        let gateway = start(launch_with(&server, certificate), &server, &upstream, BY_CERTIFICATE, "introspection = {}");
        assert_nobody_can_say(&gateway, &token);
        until_logged(&gateway, "it answers with 401");
        assert_eq!(server.provider.refusals("unregistered client certificate provided"), number + 1, "{}", server.provider.said());
    }
    assert_eq!((server.provider.events("introspection.error"), upstream.requests()), (2, 2), "{}", server.provider.said());
}
