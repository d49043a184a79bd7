//! Proofs as a client makes them, and each thing that can be wrong with one. Tokens and proofs are signed by keys of the double.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::crypto::{DigestAlgorithm, PublicKey, digest};
use plugway_sdk::{AuthError, Decision, LocalResponse, clock, header, keys, testing};
use serde_json::{Value, json};

use crate::OAuth2;

/// RFC 7515, appendix A.3: the client's.
const CLIENT: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
/// RFC 8037, appendix A.1: the issuer's, and somebody else's key.
const ISSUER: &str =
    r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn public(jwk: &str) -> Value {
    let mut jwk: Value = serde_json::from_str(jwk).unwrap();
    jwk.as_object_mut().unwrap().remove("d");
    jwk
}

fn sign(key: &str, algorithm: &str, header: &Value, claims: &Value) -> String {
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(keys::sign(key, algorithm, signed.as_bytes()).unwrap()))
}

fn now() -> u64 {
    clock::now().as_secs()
}

/// A token with these claims over the usual ones; it is bound to the client's key unless they say otherwise.
fn token(claims: Value) -> String {
    let thumbprint = PublicKey::from_jwk(&public(CLIENT).to_string()).unwrap().thumbprint();
    let mut all = json!({
        "iss": "https://id.example.com", "aud": "orders", "sub": "ann", "exp": now() + 600,
        "cnf": { "jkt": URL_SAFE_NO_PAD.encode(thumbprint) },
    });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    sign("issuer", "EdDSA", &json!({ "alg": "EdDSA", "typ": "at+jwt" }), &all)
}

/// The claims of a proof for `GET https://gateway.example/orders`, never the same twice.
fn claims(token: &str) -> Value {
    thread_local!(static PROOFS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    let number = PROOFS.replace(PROOFS.get() + 1);
    let hash = digest(DigestAlgorithm::Sha256, token.as_bytes()).unwrap();
    json!({
        "jti": format!("proof-{number}"), "htm": "GET", "htu": "https://gateway.example/orders", "iat": now(),
        "ath": URL_SAFE_NO_PAD.encode(hash),
    })
}

fn proof_head() -> Value {
    json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(CLIENT) })
}

fn proof(token: &str, changes: Value) -> String {
    let mut claims = claims(token);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    sign("client", "ES256", &proof_head(), &claims)
}

fn configured(dpop: Value) -> testing::Configured<OAuth2> {
    testing::set_key("issuer", ISSUER);
    testing::set_key("client", CLIENT);
    testing::set_key("nonces", "0123456789abcdef0123456789abcdef");
    testing::configure(json!({
        "issuer": "https://id.example.com", "audience": "orders", "jwks": { "keys": [public(ISSUER)] }, "dpop": dpop,
    }))
    .unwrap()
}

fn request(scheme: &str, token: &str, proofs: &[&str]) -> testing::Request {
    let request = testing::Request::get("/orders?page=2").header(header::AUTHORIZATION, format!("{scheme} {token}"));
    proofs.iter().fold(request, |request, proof| request.header(header::DPOP, proof))
}

fn answer(plugin: &testing::Configured<OAuth2>, request: testing::Request) -> Option<LocalResponse> {
    match plugin.authorize(&mut request.build()).unwrap() {
        Decision::Allow(_) => None,
        Decision::Respond(answer) => Some(answer),
        Decision::AllowBy(_) | Decision::Abstain => panic!("it abstained"),
    }
}

/// The challenges of what was refused, and behind them why, which the log alone says; empty where it was let in.
fn told(plugin: &testing::Configured<OAuth2>, request: testing::Request) -> String {
    let Some(answer) = answer(plugin, request) else { return String::new() };
    assert_eq!(answer.status(), 401);
    let lines = answer.headers().iter().filter(|line| line.name == "www-authenticate");
    let lines: Vec<_> = lines.map(|line| String::from_utf8(line.value.clone()).unwrap()).collect();
    format!("{} {}", lines.join("\n"), crate::tests::why(&answer))
}

#[test]
fn a_token_with_a_proof_passes_as_often_as_it_has_a_new_one() {
    let plugin = configured(json!({}));
    let token = token(json!({}));
    for _ in 0..3 {
        let proof = proof(&token, json!({}));
        let mut request = request("DPoP", &token, &[&proof]).build();
        assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));
        assert_eq!((request.header(header::AUTHORIZATION), request.header(header::DPOP)), (None, None));
    }
}

#[test]
fn a_proof_is_good_once() {
    let plugin = configured(json!({}));
    let token = token(json!({}));
    let proof = proof(&token, json!({}));
    assert_eq!(told(&plugin, request("DPoP", &token, &[&proof])), "");
    let again = told(&plugin, request("DPoP", &token, &[&proof]));
    assert!(again.contains("error=\"invalid_dpop_proof\"") && again.ends_with("why=proof-used"), "{again}");
    // Another place of the plugin, as another worker, knows of it too.
    assert!(told(&configured(json!({})), request("DPoP", &token, &[&proof])).ends_with("why=proof-used"));
    // It is remembered for as long as it would be good.
    testing::advance(Duration::from_secs(89));
    assert!(told(&plugin, request("DPoP", &token, &[&proof])).ends_with("why=proof-used"));
    testing::advance(Duration::from_secs(2));
    assert!(told(&plugin, request("DPoP", &token, &[&proof])).ends_with("why=proof-time"));
}

#[test]
fn a_proof_whose_use_cannot_be_noted_is_not_taken() {
    let plugin = configured(json!({}));
    let token = token(json!({}));
    let used = proof(&token, json!({}));
    assert_eq!(told(&plugin, request("DPoP", &token, &[&used])), "");
    testing::fill_pinned();
    let mut new = request("DPoP", &token, &[&proof(&token, json!({}))]).build();
    assert_eq!(plugin.authorize(&mut new).unwrap_err(), AuthError::Unavailable(Some(5)));
    assert!(testing::take_logs().iter().any(|(_, line)| line.contains("no room in `kv`")));
    // What was used is known to be.
    assert!(told(&plugin, request("DPoP", &token, &[&used])).ends_with("why=proof-used"));
}

#[test]
fn a_proof_that_is_wrong_in_one_way_is_refused_for_that() {
    let plugin = configured(json!({}));
    let token = token(json!({}));
    let head = |changes: Value| {
        let mut head = proof_head();
        head.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        sign("client", "ES256", &head, &claims(&token))
    };
    let good = || proof(&token, json!({}));
    let tampered = {
        let proof = good();
        let (signed, signature) = proof.rsplit_once('.').unwrap();
        let other = good();
        assert_ne!(other, proof);
        format!("{}.{signature}", other.rsplit_once('.').unwrap().0.replace(signed, ""))
    };
    let foreign = sign("issuer", "EdDSA", &json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": public(ISSUER) }), &claims(&token));
    let embedded = sign("issuer", "EdDSA", &json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": public(CLIENT) }), &claims(&token));
    let private: Value = serde_json::from_str(CLIENT).unwrap();
    let old = json!({ "iat": now() - 91 });
    let future = json!({ "iat": now() + 31 });
    for (proof, why) in [
        (String::new(), "malformed-proof"),
        ("a.b.c".to_owned(), "malformed-proof"),
        ("x".repeat(9000), "malformed-proof"),
        (head(json!({ "typ": "JWT" })), "malformed-proof"),
        (head(json!({ "typ": "at+jwt" })), "malformed-proof"),
        (head(json!({ "crit": ["exp"] })), "malformed-proof"),
        (head(json!({ "alg": "none" })), "proof-algorithm"),
        (head(json!({ "alg": "HS256" })), "proof-algorithm"),
        (head(json!({ "alg": "ES384" })), "proof-algorithm"),
        (head(json!({ "jwk": null })), "proof-key"),
        (head(json!({ "jwk": private })), "proof-key"),
        (head(json!({ "jwk": { "kty": "oct", "k": "AAAA" } })), "proof-key"),
        (head(json!({ "jwk": { "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" } })), "proof-key"),
        (foreign, "wrong-proof-key"),
        (embedded, "proof-signature"),
        (tampered, "proof-signature"),
        (proof(&token, json!({ "jti": null })), "malformed-proof"),
        (proof(&token, json!({ "jti": "" })), "malformed-proof"),
        (proof(&token, json!({ "jti": 1 })), "malformed-proof"),
        (proof(&token, json!({ "htm": null })), "malformed-proof"),
        (proof(&token, json!({ "htm": "POST" })), "proof-target"),
        (proof(&token, json!({ "htm": "get" })), "proof-target"),
        (proof(&token, json!({ "htu": null })), "malformed-proof"),
        (proof(&token, json!({ "htu": "https://gateway.example/other" })), "proof-target"),
        (proof(&token, json!({ "htu": "http://gateway.example/orders" })), "proof-target"),
        (proof(&token, json!({ "htu": "https://gateway.example:8443/orders" })), "proof-target"),
        (proof(&token, json!({ "htu": "https://gateway.example.evil/orders" })), "proof-target"),
        (proof(&token, json!({ "htu": "/orders" })), "proof-target"),
        (proof(&token, json!({ "iat": null })), "malformed-proof"),
        (proof(&token, json!({ "iat": "1" })), "malformed-proof"),
        (proof(&token, old), "proof-time"),
        (proof(&token, future), "proof-time"),
        (proof(&token, json!({ "ath": null })), "proof-token"),
        (proof(&token, json!({ "ath": "AAAA" })), "proof-token"),
    ] {
        let told = told(&plugin, request("DPoP", &token, &[&proof]));
        assert!(
            told.contains("DPoP realm=\"orders\", error=\"invalid_dpop_proof\"") && told.ends_with(&format!(" why={why}")),
            "{why}: {told}"
        );
    }
    for proofs in [&[][..], &[&good() as &str, &good()]] {
        let told = told(&plugin, request("DPoP", &token, proofs));
        assert!(told.contains("error=\"invalid_dpop_proof\""), "{told}");
    }
    // None of that was remembered as used, and nothing of it made the token less good.
    assert_eq!(told(&plugin, request("DPoP", &token, &[&good()])), "");
}

#[test]
fn the_url_is_compared_as_it_means_and_not_as_it_is_written() {
    let plugin = configured(json!({}));
    let token = token(json!({}));
    for target in [
        "https://gateway.example/orders",
        "HTTPS://Gateway.Example:443/orders",
        "https://gateway.example/orders?page=2",
        "https://gateway.example/orders?other#fragment",
    ] {
        assert_eq!(told(&plugin, request("DPoP", &token, &[&proof(&token, json!({ "htu": target }))])), "", "{target}");
    }
    // Behind something that has another name and speaks TLS in our stead.
    let behind = configured(json!({ "origin": "https://api.example.com" }));
    let named = proof(&token, json!({ "htu": "https://api.example.com/orders" }));
    assert_eq!(told(&behind, request("DPoP", &token, &[&named]).plaintext()), "");
    assert!(told(&behind, request("DPoP", &token, &[&proof(&token, json!({}))])).contains("proof-target"));
}

#[test]
fn a_bound_token_is_no_bearer_token_and_a_free_one_has_no_proof() {
    let plugin = configured(json!({}));
    let (bound, free) = (token(json!({})), token(json!({ "cnf": null })));
    let free = sign_without_binding(&free);
    let stolen = told(&plugin, request("Bearer", &bound, &[]));
    assert!(stolen.contains("Bearer realm=\"orders\", error=\"invalid_token\"") && stolen.ends_with("why=bound"), "{stolen}");
    assert!(told(&plugin, request("Bearer", &bound, &[&proof(&bound, json!({}))])).ends_with("why=bound"));
    assert_eq!(told(&plugin, request("Bearer", &free, &[])), "");
    assert!(told(&plugin, request("DPoP", &free, &[&proof(&free, json!({}))])).ends_with("why=not-bound-to-key"));
    // Once it is known, too.
    assert_eq!(told(&plugin, request("DPoP", &bound, &[&proof(&bound, json!({}))])), "");
    assert!(told(&plugin, request("Bearer", &bound, &[])).ends_with("why=bound"));
    let strict = configured(json!({ "required": true }));
    let told = told(&strict, request("Bearer", &free, &[]));
    assert!(told.ends_with("why=not-bound-to-key"), "{told}");
}

/// The same without `cnf`.
fn sign_without_binding(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims.as_object_mut().unwrap().remove("cnf");
    sign("issuer", "EdDSA", &json!({ "alg": "EdDSA", "typ": "at+jwt" }), &claims)
}

#[test]
fn a_nonce_is_asked_for_given_and_renewed_in_time() {
    let plugin = configured(json!({ "nonce_key": "nonces" }));
    let token = token(json!({}));
    let refused = answer(&plugin, request("DPoP", &token, &[&proof(&token, json!({}))])).unwrap();
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers().iter().rfind(|line| line.name == "www-authenticate").unwrap();
    assert!(String::from_utf8_lossy(&challenge.value).contains("error=\"use_dpop_nonce\""));
    let nonce = refused.header_str("dpop-nonce").unwrap().to_owned();
    let with = |nonce: &str| request("DPoP", &token, &[&proof(&token, json!({ "nonce": nonce }))]);
    let renewed = |plugin: &testing::Configured<OAuth2>| {
        let mut request = with(&nonce).build();
        assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));
        testing::response_headers(&request).iter().any(|line| line.name == "dpop-nonce")
    };
    assert!(!renewed(&plugin));
    testing::advance(Duration::from_secs(200));
    assert!(renewed(&plugin));
    // Every worker knows every nonce.
    assert!(renewed(&configured(json!({ "nonce_key": "nonces" }))));
    testing::advance(Duration::from_secs(101));
    for over in [&nonce, "", "AAAA", &"A".repeat(76), &"A".repeat(1000)] {
        assert!(told(&plugin, with(over)).contains("use_dpop_nonce"), "{over}");
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let _ = configured(json!({}));
    let refused = |dpop: &Value| {
        let config =
            json!({ "issuer": "https://id.example.com", "audience": "orders", "jwks": { "keys": [public(ISSUER)] }, "dpop": dpop });
        testing::configure::<OAuth2>(config).err().unwrap_or_else(|| panic!("taken: {dpop}"))
    };
    for (dpop, expected) in [
        (json!({ "max_age": "601s" }), "`max_age` = \"601s\""),
        (json!({ "max_age": "0s" }), "`max_age` is nothing"),
        (json!({ "algorithms": [] }), "`algorithms` is empty"),
        (json!({ "algorithms": ["HS256"] }), "HS256"),
        (json!({ "origin": "api.example.com" }), "`origin`"),
        (json!({ "origin": "https://api.example.com/v1" }), "`origin`"),
        (json!({ "nonce_key": "missing" }), "`nonce_key` is the name of a `[secrets.NAME]`"),
        (json!({ "nonce_key": "client" }), "signs and does not seal"),
        (json!({ "typo": 1 }), "unknown field `typo`"),
    ] {
        assert!(refused(&dpop).contains(expected), "{dpop}: {}", refused(&dpop));
    }
    testing::deny("keys");
    assert!(refused(&json!({ "nonce_key": "nonces" })).contains("keys = [\"NAME\"]"));
    testing::deny("kv");
    assert!(refused(&json!({})).contains("add `kv = {}`"));
}
