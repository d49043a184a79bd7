//! The shipped `oauth2` beyond bearer tokens: bound to a certificate, bound to a key and proved, over real TLS and two workers.

mod algorithms;
mod browser;
mod callback;
mod fetched;
mod found;
mod identity;
mod introspected;
mod issued;
mod load;
mod login;
mod login_proved;
mod mutual;
mod paced;
mod proved;
mod recipes;
mod refused;
mod remembered;
mod server;
mod slash;
mod told;
mod trailers;
mod upstream_token;

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use plugway_harness::ca::{Authority, Issued};
use plugway_harness::client::{Answer, Client, get as a_get};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;
use serde_json::{Value, json};

use crate::common::{BINARY, metric, run, two_workers, until_logged};
use crate::guest::{config, get, route};
use crate::issuer::{Issuer, now};

/// Of `[plugins.auth]`: a debug build takes most of the ten milliseconds that a call has by default for one signature on P-521.
const TIME_FOR_P521: &str = "budget = { cpu = \"100ms\" }\n";

/// `[plugins.auth]` that believes this issuer.
fn auth(issuer: &Issuer, grants: &str, more: &str) -> String {
    format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}}{grants} }}\n[plugins.auth.config]\nissuer = \"https://id.example.com\"\n\
         audience = \"orders\"\njwks = '{}'\n{more}\n",
        issuer.jwks()
    )
}

fn sha256(bytes: &[u8]) -> String {
    BASE64.encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// The answer to a token that is sent over TLS, with a client's certificate or without.
fn ask_over_tls(address: SocketAddr, authority: &Authority, certificate: Option<&Issued>, token: &str) -> Answer {
    let client = Client::https(address, "localhost", authority);
    let client = certificate.into_iter().fold(client, |client, certificate| client.identity(certificate));
    let mut request = a_get("/").unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    run(async { client.connect().await.unwrap().request(request).await.unwrap() })
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_worth_nothing_without_it() {
    let (authority, issuer, upstream) = (Authority::new("test").unwrap(), Issuer::new(), Upstream::plain("up").unwrap());
    let (own, other) = (authority.client("shop").unwrap(), authority.client("thief").unwrap());
    let launch = Launch::new(BINARY).unwrap();
    launch.file("ca.pem", authority.pem()).unwrap();
    authority.server(&["localhost"]).unwrap().write(launch.directory(), "web").unwrap();
    let text = config(&upstream, &[&auth(&issuer, "", ""), &route("plugins = [\"auth\"]")]).replace(
        "[listen.web]\naddress = \"127.0.0.1:0\"",
        "[listen.web]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"web.pem\", key = \"web.key\", client_auth = { mode = \"optional\", ca = \"ca.pem\" } }",
    );
    let gateway = launch.start(&text).unwrap();
    let address = gateway.address("web").unwrap();
    let ask = |certificate: Option<&Issued>, token: &str| ask_over_tls(address, &authority, certificate, token);
    let bound = issuer.token_with(json!({ "cnf": { "x5t#S256": sha256(own.der()) } }));
    // It is known after the first request, and asked for its certificate all the same.
    for _ in 0..2 {
        assert_eq!(ask(Some(&own), &bound).status, 200);
        for stolen in [ask(Some(&other), &bound), ask(None, &bound)] {
            assert_eq!(stolen.status, 401);
            assert!(stolen.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
        }
    }
    until_logged(&gateway, "why=wrong-certificate");
    assert_eq!(ask(Some(&other), &issuer.token("orders:read", 600)).status, 200);
}

/// A client with a key of its own.
struct Holder {
    key: Issuer,
    origin: String,
}

impl Holder {
    fn thumbprint(&self) -> String {
        let x = self.key.jwk()["x"].as_str().unwrap().to_owned();
        sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes())
    }

    fn proof(&self, token: &str, id: &str, changes: Value) -> String {
        let mut claims =
            json!({ "jti": id, "htm": "GET", "htu": format!("{}/", self.origin), "iat": now(), "ath": sha256(token.as_bytes()) });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.key.sign(&json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.key.jwk() }), &claims)
    }
}

fn with_proofs(upstream: &Upstream, issuer: &Issuer, dpop: &str) -> Gateway {
    let launch = Launch::new(BINARY).unwrap();
    launch.file("nonces", "0123456789abcdef0123456789abcdef").unwrap();
    let parts = [
        "[secrets.nonces]\nfile = \"nonces\"\n".to_owned(),
        auth(issuer, ", kv = {}, keys = [\"nonces\"]", &format!("dpop = {{ {dpop} }}")),
        route("plugins = [\"auth\"]"),
    ];
    launch.start(&two_workers(&config(upstream, &parts.each_ref().map(String::as_str)))).unwrap()
}

#[test]
fn a_proof_is_good_once_on_whichever_worker_and_connection() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let gateway = with_proofs(&upstream, &issuer, "");
    let address = gateway.address("web").unwrap();
    let holder = Holder { key: Issuer::new(), origin: "http://example.com".to_owned() };
    let token = issuer.token_with(json!({ "cnf": { "jkt": holder.thumbprint() } }));
    let ask = |scheme: &str, proof: &str| get(address, "/", &[("authorization", &format!("{scheme} {token}")), ("dpop", proof)]);

    // Each on a connection of its own: some meet one worker, some the other.
    let mut first = 0;
    for number in 0..12 {
        let proof = holder.proof(&token, &format!("proof-{number}"), json!({}));
        let answers: Vec<_> = (0..4).map(|_| ask("DPoP", &proof)).collect();
        assert_eq!(answers[0].status, 200, "{}", answers[0].text());
        assert!(answers[1..].iter().all(|answer| answer.status == 401), "proof {number} was good more than once");
        first += 1;
    }
    for worker in ["worker=\"0\"", "worker=\"1\""] {
        assert!(metric(&gateway, "plugway_worker_requests_total", &[worker]) > 0.0, "{worker} served nothing");
    }
    // Of many at the same moment one passes.
    let proof = holder.proof(&token, "at-once", json!({}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| ask("DPoP", &proof).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(upstream.requests(), first + 1, "nothing refused went further");

    for (what, scheme, proof) in [
        ("another method", "DPoP", holder.proof(&token, "a", json!({ "htm": "POST" }))),
        ("another URL", "DPoP", holder.proof(&token, "b", json!({ "htu": "http://example.com/other" }))),
        ("another host", "DPoP", holder.proof(&token, "c", json!({ "htu": "http://other.example/" }))),
        ("another token", "DPoP", holder.proof("another", "d", json!({}))),
        ("old", "DPoP", holder.proof(&token, "e", json!({ "iat": now() - 100 }))),
        ("another key", "DPoP", Holder { key: Issuer::new(), origin: holder.origin.clone() }.proof(&token, "f", json!({}))),
        ("as a bearer token", "Bearer", holder.proof(&token, "g", json!({}))),
    ] {
        assert_eq!(ask(scheme, &proof).status, 401, "{what}");
    }
    assert_eq!(upstream.requests(), first + 1);
    for why in ["why=proof-used", "why=proof-target", "why=wrong-proof-key"] {
        until_logged(&gateway, why);
    }
    let log = gateway.log().text();
    assert!(!log.contains(token.rsplit('.').next().unwrap()), "a signature is in the log");
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
}

#[test]
fn a_store_that_is_full_refuses_proofs_and_forgets_none() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let parts = [auth(&issuer, ", kv = { max_entries = 8 }", "dpop = {}"), route("plugins = [\"auth\"]")];
    let gateway = crate::common::start(&two_workers(&config(&upstream, &parts.each_ref().map(String::as_str))));
    let holder = Holder { key: Issuer::new(), origin: "http://example.com".to_owned() };
    let token = issuer.token_with(json!({ "cnf": { "jkt": holder.thumbprint() } }));
    let ask = |id: usize| {
        let proof = holder.proof(&token, &id.to_string(), json!({}));
        get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("DPoP {token}")), ("dpop", &proof)])
    };
    // Three quarters of the room, and then nothing more is let in.
    (0..6).for_each(|id| assert_eq!(ask(id).status, 200, "{id}"));
    for id in 6..40 {
        let refused = ask(id);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some(&b"5"[..])), "{id}: {}", refused.text());
    }
    // Whatever came after them, none of the first can be used again.
    (0..6).for_each(|id| assert_eq!(ask(id).status, 401, "{id}"));
    assert_eq!(upstream.requests(), 6);
    until_logged(&gateway, "no room in `kv`");
    until_logged(&gateway, "why=proof-used");
}

#[test]
fn a_nonce_of_the_gateway_is_asked_for_and_known_on_both_workers() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let gateway = with_proofs(&upstream, &issuer, "required = true, nonce_key = \"nonces\"");
    let address = gateway.address("web").unwrap();
    let holder = Holder { key: Issuer::new(), origin: "http://example.com".to_owned() };
    let token = issuer.token_with(json!({ "cnf": { "jkt": holder.thumbprint() } }));
    let ask = |proof: &str| get(address, "/", &[("authorization", &format!("DPoP {token}")), ("dpop", proof)]);
    let refused = ask(&holder.proof(&token, "0", json!({})));
    assert_eq!(refused.status, 401);
    assert!(String::from_utf8_lossy(refused.header("www-authenticate").unwrap()).contains("error=\"use_dpop_nonce\""));
    let nonce = String::from_utf8_lossy(refused.header("dpop-nonce").unwrap()).into_owned();
    for number in 1..20 {
        assert_eq!(ask(&holder.proof(&token, &number.to_string(), json!({ "nonce": nonce }))).status, 200);
    }
    // Where a key is required a free token is none.
    let free = get(address, "/", &[("authorization", &format!("Bearer {}", issuer.token("orders:read", 600)))]);
    assert_eq!(free.status, 401);
    let nothing = get(address, "/", &[]);
    assert!(nothing.header("www-authenticate").unwrap().starts_with(b"DPoP realm=\"orders\", algs="));
}

#[test]
fn a_claim_that_cannot_be_passed_on_is_refused_and_writes_no_more_lines_than_the_plugin_may() {
    const LINES: usize = 5;
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let more = format!(
        "claims = [\"bio\"]\nclaims_as_headers = {{ \"x-name\" = \"name\" }}\n[plugins.auth.budget]\n\
         log_lines_per_second = {LINES}\nmax_header_bytes = 4096\nmax_attribute_bytes = 4096"
    );
    let gateway = Gateway::start(BINARY, &config(&upstream, &[&auth(&issuer, "", &more), &route("plugins = [\"auth\"]")])).unwrap();
    let address = gateway.address("web").unwrap();
    let began = std::time::Instant::now();
    let claims = [
        json!({ "name": "ann\r\nx-admin: true" }),
        json!({ "name": "ann\u{0}" }),
        json!({ "name": " root" }),
        // Larger than what the plugin may set.
        json!({ "name": "a".repeat(4_200) }),
        json!({ "bio": "b".repeat(4_200) }),
    ];
    for (number, claims) in claims.iter().cycle().take(100).enumerate() {
        let mut claims = claims.clone();
        claims["jti"] = json!(number);
        let answer = get(address, "/", &[("authorization", &format!("Bearer {}", issuer.token_with(claims.clone())))]);
        assert_eq!(answer.status, 403, "{claims}: {}", answer.text());
        let challenge = String::from_utf8_lossy(answer.header("www-authenticate").unwrap()).into_owned();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{claims}: {challenge}");
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert_eq!(upstream.requests(), 0);
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0, "it is no failure of the plugin");
    let lines = gateway.stop().unwrap();
    let said = lines.iter().filter(|line| line.text.contains("passed-on") || line.text.contains("claims_as_headers")).count();
    // Two lines each would be 200; of a second without room there is one more, which says so.
    assert!((1..=seconds * LINES).contains(&said), "{said} lines in {seconds} s");
    assert!(!lines.iter().any(|line| line.text.contains("A plugin failed") || line.text.contains("x-admin")), "{lines:?}");
}

#[test]
fn a_client_that_knows_nothing_finds_from_the_challenge_whose_tokens_it_needs() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let more = "scopes = [\"orders:read\"]\nresource = { url = \"https://api.example.com/orders\", name = \"Orders\" }";
    let gateway = Gateway::start(BINARY, &config(&upstream, &[&auth(&issuer, "", more), &route("plugins = [\"auth\"]")])).unwrap();
    let address = gateway.address("web").unwrap();
    let refused = get(address, "/orders/1", &[]);
    let challenge = String::from_utf8_lossy(refused.header("www-authenticate").unwrap()).into_owned();
    // RFC 9728, section 5.1, leads to section 3.2.
    let url = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!((refused.status, url), (401, "https://api.example.com/.well-known/oauth-protected-resource/orders"), "{challenge}");
    let path = url.strip_prefix("https://api.example.com").unwrap();
    let answer = get(address, path, &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(&b"application/json"[..])), "{}", answer.text());
    let metadata: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(metadata["resource"], "https://api.example.com/orders", "{metadata}");
    assert_eq!(metadata["authorization_servers"], json!(["https://id.example.com"]), "{metadata}");
    assert_eq!(metadata["bearer_methods_supported"], json!(["header"]), "{metadata}");
    // A client that sends its token wherever it goes is told the same, also where that is good here, or over.
    for token in [issuer.token("orders:read", 600), issuer.token("orders:read", -600)] {
        let same = get(address, path, &[("authorization", &format!("Bearer {token}"))]);
        assert_eq!((same.status, same.text()), (200, answer.text()));
    }
    // Nothing else is told to who has no token.
    assert_eq!(get(address, "/.well-known/oauth-protected-resource", &[]).status, 401);
    assert_eq!(upstream.requests(), 0);
}
