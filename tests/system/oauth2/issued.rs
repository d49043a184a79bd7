//! Tokens that oidc-provider issued, checked with the keys it published: written into the configuration, so that nothing but the
//! tokens comes from it.

use plugway_harness::ca::{Authority, Issued};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::guests;
use plugway_harness::upstream::Upstream;
use serde_json::json;

use super::server::{Server, machine, machine_with};
use super::{Holder, TIME_FOR_P521, ask_over_tls};
use crate::common::{BINARY, until_logged};
use crate::guest::{config, get, report, route, seen};
use crate::issuer::Issuer;

/// A gateway that believes this server, and knows its keys as they are now.
fn believing(launch: Launch, server: &Server, upstream: &Upstream, grants: &str, more: &str) -> Gateway {
    launch.file("jwks.json", server.jwks()).unwrap();
    let auth = format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}}{grants} }}\n{TIME_FOR_P521}[plugins.auth.config]\nissuer = \"{}\"\n\
         audience = \"urn:orders\"\njwks = {{ file = \"jwks.json\" }}\nscopes = [\"orders:read\"]\nclaims_as_headers = {{ \"x-user\" = \"sub\" }}\n{more}\n",
        server.provider.issuer()
    );
    launch.start(&config(upstream, &[&auth, &route("plugins = [\"auth\"]")])).unwrap()
}

#[test]
fn a_token_of_a_real_server_passes_and_another_for_less_does_not() {
    let (server, upstream) = (Server::start(&[machine("shop")]), Upstream::plain("up").unwrap());
    let gateway = believing(Launch::new(BINARY).unwrap(), &server, &upstream, "", "require_rfc9068 = true");
    let address = gateway.address("web").unwrap();
    let ask = |token: &str| get(address, "/", &[("authorization", &format!("Bearer {token}")), ("x-user", "root")]);

    let token = server.token("shop", "scope=orders:read");
    let answer = ask(&token);
    assert_eq!(seen(&answer, "x-user").as_deref(), Some("shop"));
    assert_eq!(plugway_harness::client::reported(&report(&answer), "authorization").len(), 0, "the token stays here");
    let refused = ask(&server.token("shop", "scope=orders:write"));
    assert_eq!(refused.status, 403);
    assert!(String::from_utf8_lossy(refused.header("www-authenticate").unwrap()).contains("insufficient_scope"));
    let refused = ask(&server.token("shop", "scope=orders:read&resource=urn:billing"));
    assert_eq!(refused.status, 401);
    until_logged(&gateway, "why=audience");
    // An opaque one has nothing that keys could check.
    assert_eq!(ask(&server.token("shop", "scope=orders:read&resource=urn:orders:opaque")).status, 401);
    server.assert_issued(3, 1);
    server.assert_content();

    // Keys in a configuration are those that were written there.
    server.provider.rotate().unwrap();
    let refused = ask(&server.token("shop", "scope=orders:read"));
    assert_eq!(refused.status, 401);
    until_logged(&gateway, "why=unknown-key");
    assert_eq!(ask(&token).status, 200);
}

/// Routes that ask for claims which this server puts into its tokens, for others, and for nothing.
const RULED: &str = r#"
[[routes]]
name = "equals"
match = { path = "/equals" }
upstream = "up"
plugins = [{ plugin = "auth", config = { require = [{ claim = "tenant", equals = "acme" }] } }]
[[routes]]
name = "one-of"
match = { path = "/one-of" }
upstream = "up"
plugins = [{ plugin = "auth", config = { require = [{ claim = "tenant", one_of = ["other", "acme"] }, { claim = "roles", contains = "buyer" }] } }]
[[routes]]
name = "other"
match = { path = "/other" }
upstream = "up"
plugins = [{ plugin = "auth", config = { require = [{ claim = "tenant", equals = "acme" }, { claim = "roles", contains = "seller" }] } }]
[[routes]]
name = "open"
match = { path = "/open" }
upstream = "up"
plugins = [{ plugin = "auth", config = { anonymous = { scopes = ["orders:read"] } } }]
"#;

#[test]
fn routes_ask_for_what_the_server_says_of_whom_it_gave_a_token() {
    let (server, upstream) = (Server::start(&[machine("shop")]), Upstream::plain("up").unwrap());
    let gateway = believing(Launch::new(BINARY).unwrap(), &server, &upstream, "", RULED);
    let address = gateway.address("web").unwrap();
    let token = format!("Bearer {}", server.token("shop", "scope=orders:read"));
    for (path, status) in [("/equals", 200), ("/one-of", 200), ("/other", 403), ("/open", 200)] {
        let answer = get(address, path, &[("authorization", &token), ("x-user", "root")]);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status == 200 {
            assert_eq!(seen(&answer, "x-user").as_deref(), Some("shop"), "{path}");
        }
    }
    // Whoever brings nothing is nobody, where nobody may come.
    for (path, status) in [("/equals", 401), ("/open", 200)] {
        let answer = get(address, path, &[("x-user", "root")]);
        assert_eq!(answer.status, status, "{path}");
        if status == 200 {
            assert_eq!(seen(&answer, "x-user"), None);
        }
    }
    server.assert_issued(1, 0);
    server.assert_content();
}

#[test]
fn a_token_that_the_server_signed_on_p_521_passes_where_that_is_accepted() {
    let (server, upstream) = (Server::signing_by(&[machine("shop")], "ES512"), Upstream::plain("up").unwrap());
    let gateway = believing(Launch::new(BINARY).unwrap(), &server, &upstream, "", "algorithms = [\"ES512\"]");
    let ask = |gateway: &Gateway, token: &str| get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))]);
    let token = server.token("shop", "scope=orders:read");
    assert_eq!(seen(&ask(&gateway, &token), "x-user").as_deref(), Some("shop"));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    // RFC 7518, section 3.4: two numbers of 66 bytes.
    assert_eq!(signature.len(), 176);
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    assert_eq!(ask(&gateway, &forged).status, 401);
    until_logged(&gateway, "why=signature; the token says alg=ES512");
    // It is none of those that are accepted where nothing is said.
    let other = believing(Launch::new(BINARY).unwrap(), &server, &upstream, "", "");
    assert_eq!(ask(&other, &token).status, 401);
    until_logged(&other, "why=algorithm; the token says alg=ES512");
    assert_eq!(upstream.requests(), 1);
    server.assert_issued(1, 0);
    server.assert_content();
}

#[test]
fn a_token_that_the_server_bound_to_a_key_passes_with_its_proofs_alone() {
    let (server, upstream) = (Server::start(&[machine("shop")]), Upstream::plain("up").unwrap());
    let gateway = believing(Launch::new(BINARY).unwrap(), &server, &upstream, ", kv = {}", "dpop = {}");
    let address = gateway.address("web").unwrap();
    let holder = Holder { key: Issuer::new(), origin: "http://example.com".to_owned() };
    // The server checks a proof of its own before it binds the token.
    let proof =
        holder.proof("", "at-the-server", json!({ "htm": "POST", "htu": format!("{}/token", server.provider.issuer()), "ath": null }));
    let token = server.token_with("shop", "scope=orders:read", &[("dpop", &proof)], None);
    let ask = |scheme: &str, proof: &str| get(address, "/", &[("authorization", &format!("{scheme} {token}")), ("dpop", proof)]).status;
    assert_eq!(ask("DPoP", &holder.proof(&token, "1", json!({}))), 200);
    assert_eq!(ask("DPoP", &holder.proof(&token, "1", json!({}))), 401, "used");
    assert_eq!(ask("Bearer", &holder.proof(&token, "2", json!({}))), 401);
    let thief = Holder { key: Issuer::new(), origin: holder.origin.clone() };
    assert_eq!(ask("DPoP", &thief.proof(&token, "3", json!({}))), 401);
    // What the server took is not for here.
    assert_eq!(ask("DPoP", &proof), 401);
    assert_eq!(upstream.requests(), 1);
    server.assert_issued(1, 0);
    server.assert_content();
}

#[test]
fn a_token_that_the_server_bound_to_a_certificate_passes_with_it_alone() {
    let bound = json!({ "tls_client_certificate_bound_access_tokens": true });
    let (server, upstream) = (Server::over_tls(&[machine_with("shop", bound), machine("free")]), Upstream::plain("up").unwrap());
    let clients = server.authority();
    let (own, other) = (clients.client("shop").unwrap(), clients.client("thief").unwrap());
    let launch = Launch::new(BINARY).unwrap();
    launch.file("clients.pem", clients.pem()).unwrap();
    let web = Authority::new("web").unwrap();
    web.server(&["localhost"]).unwrap().write(launch.directory(), "web").unwrap();
    let more = "require_certificate = true\n[listen.tls]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"web.pem\", key = \"web.key\", client_auth = { mode = \"optional\", ca = \"clients.pem\" } }";
    let gateway = believing(launch, &server, &upstream, "", more);
    let address = gateway.address("tls").unwrap();
    let ask = |certificate: Option<&Issued>, token: &str| ask_over_tls(address, &web, certificate, token);
    let token = server.token_with("shop", "scope=orders:read", &[], Some(&own));
    assert_eq!(ask(Some(&own), &token).status, 200);
    assert_eq!(ask(Some(&other), &token).status, 401);
    assert_eq!(ask(None, &token).status, 401);
    let free = server.token_with("free", "scope=orders:read", &[], Some(&own));
    assert_eq!(ask(Some(&own), &free).status, 401);
    until_logged(&gateway, "why=not-bound-to-certificate");
    server.assert_issued(2, 0);
    server.assert_content();
}

#[test]
fn what_runs_in_node_is_installed_by_locks_that_name_no_registry() {
    for folder in ["oidc-provider", "oauth-client", "browser"] {
        let lock = std::fs::read_to_string(guests::root().join("tests").join(folder).join("package-lock.json")).unwrap();
        assert!(!lock.contains("\"resolved\""), "{folder}");
    }
    assert!(plugway_harness::oidc::install().unwrap().is_file());
}
