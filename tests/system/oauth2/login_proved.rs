//! Logins by a gateway that a real server knows by a signature or by a certificate, at its token endpoint: for the code, and for each renewal.

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;
use serde_json::json;

use super::login::{APP, Browser, people, start};
use super::server::Server;
use crate::common::{until, until_logged};
use crate::issuer::Issuer;

/// A gateway that is the client `gateway` by this proof; `key` is what it signs with.
fn gateway(server: &Server, upstream: &Upstream, key: &Issuer, proof: &str) -> Gateway {
    start(server.launch(key), server, upstream, |config| {
        let by_secret = "client = { id = \"gateway\", secret = \"gateway\" }";
        assert!(config.contains(by_secret), "{config}");
        let config = config
            .replace(by_secret, &format!("client = {{ id = \"gateway\", {proof} }}"))
            .replace("keys = [\"session\"]", "keys = [\"session\", \"signing\"]")
            .replace("[secrets.session]", "[secrets.signing]\nfile = \"signing\"\n[secrets.session]");
        config + &server.upstream()
    })
}

/// Somebody logs in and stays so when their first token has ended.
fn logs_in_and_stays(server: &Server, gateway: &Gateway) {
    let mut browser = Browser::new(server, gateway);
    browser.ann_arrives(server, gateway);
    let before = browser.cookies.clone();
    until("it is renewed", || {
        assert_eq!(browser.ask("GET", &format!("{APP}/orders"), "").status, 200, "{}", server.provider.said());
        browser.cookies != before
    });
    // By the code, and by the refresh token.
    assert!(server.provider.events("grant.success") >= 2, "{}", server.provider.said());
    assert_eq!(server.provider.events("authorization.success"), 1, "{}", server.provider.said());
    server.assert_content();
}

#[test]
fn by_a_signature_that_is_another_for_each_question() {
    let (key, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let by_key = json!({
        "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "EdDSA", "jwks": { "keys": [key.jwk()] },
        "client_secret": null,
    });
    let server = Server::start_with(&[people(&by_key)], 10);
    logs_in_and_stays(&server, &gateway(&server, &upstream, &key, "key = \"signing\""));

    // Another key is another client: the server refuses it, and nobody is logged in.
    let (stranger, before) = (gateway(&server, &upstream, &Issuer::new(), "key = \"signing\""), upstream.requests());
    let mut browser = Browser::new(&server, &stranger);
    let (url, answer) = browser.log_in(&format!("{APP}/orders"), "eve");
    assert!(url.starts_with(&format!("{APP}/callback")), "{url}");
    assert_eq!((answer.status, answer.header("retry-after").is_some(), upstream.requests()), (503, true, before), "{}", answer.text());
    until_logged(&stranger, "it answers with 401");
    assert_eq!(server.provider.events("grant.error"), 1, "{}", server.provider.said());
    assert_eq!(browser.ask("GET", &format!("{APP}/orders"), "").status, 302);
}

#[test]
fn by_the_certificate_of_the_connection() {
    let (key, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let by_certificate =
        json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=gateway", "client_secret": null });
    let server = Server::over_tls_with(&[people(&by_certificate)], 10);
    logs_in_and_stays(&server, &gateway(&server, &upstream, &key, "method = \"tls_client_auth\""));
}
