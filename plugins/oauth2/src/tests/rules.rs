//! Rules of a place beside those of a token: several issuers, claims, requests without a token, metadata.

use plugway_sdk::{AuthError, Authorizer, Error, Identity, NoConfig, Plugin};

use super::*;

#[test]
fn believes_several_issuers_each_for_its_own_tokens() {
    let other = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "ed-1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let both = |first: Json, second: Json| json!({ "issuer": "", "jwks": null, "issuers": [first, second] });
    let right = || json!({ "issuer": "https://id.example.com", "jwks": JWKS });
    let stranger = |issuer: &str| json!({ "issuer": issuer, "jwks": other.clone() });
    assert_allowed(both(stranger("https://other.example.com"), right()), &token("valid_rs256"), "the second");
    assert_allowed(both(right(), stranger("https://other.example.com")), &token("valid_eddsa"), "the first");
    // Each issuer has keys of its own: those of one are nothing to a token of another.
    let swapped = both(stranger("https://id.example.com"), json!({ "issuer": "https://other.example.com", "jwks": JWKS }));
    assert!(challenged(swapped, &token("valid_eddsa")).ends_with("why=signature"));
    assert!(challenged(both(right(), stranger("https://other.example.com")), &token("wrong_issuer")).ends_with("why=issuer"));
    // And audiences of its own, where it says so.
    let billing = json!({ "issuer": "https://id.example.com", "jwks": JWKS, "audience": "billing-only" });
    assert!(challenged(both(billing, stranger("https://other.example.com")), &token("valid_rs256")).ends_with("why=audience"));
}

#[test]
fn asks_for_claims() {
    for (rule, expected) in [
        (json!({ "claim": "tenant", "equals": "acme" }), 200),
        (json!({ "claim": "tenant", "equals": "other" }), 403),
        (json!({ "claim": "level", "one_of": [3, 4] }), 200),
        (json!({ "claim": "roles", "contains": "seller" }), 200),
        (json!({ "claim": "roles", "contains": "admin" }), 403),
        (json!({ "claim": "absent", "equals": "x" }), 403),
    ] {
        let decision = decide(json!({ "require": [rule] }), &mut bearing(&token("valid_rs256")));
        match decision {
            Decision::Allow(_) => assert_eq!(expected, 200, "{rule}"),
            other => {
                let answer = denied(other);
                assert_eq!(answer.status(), expected, "{rule}");
                assert!(answer.header_str(header::WWW_AUTHENTICATE).unwrap().contains("error=\"insufficient_scope\""));
                assert!(!answer.header_str(header::WWW_AUTHENTICATE).unwrap().contains("scope=\"orders"), "no scope would help");
            }
        }
    }
}

#[test]
fn lets_requests_without_a_token_pass_with_what_they_may() {
    let anonymous = |scopes: &[&str]| json!({ "anonymous": { "scopes": ["orders:list"] }, "scopes": scopes });
    for allowed in [&[][..], &["orders:list"]] {
        let mut request = testing::Request::get("/").header("x-user", "root").build();
        let mut changes = anonymous(allowed);
        changes["claims_as_headers"] = json!({ "x-user": "sub" });
        assert!(matches!(decide(changes, &mut request), Decision::Allow(_)));
        let caller = request.identity().unwrap();
        assert_eq!((caller.subject().as_str(), caller.issuer()), ("anonymous", None));
        assert_eq!(caller.scopes(), ["orders:list"]);
        assert_eq!(request.header("x-user"), None);
    }
    // More is asked for, or a token is there and bad: a challenge.
    assert_eq!(denied(decide(anonymous(&["orders:read"]), &mut testing::Request::get("/").build())).status(), 401);
    let mut ruled = anonymous(&[]);
    ruled["require"] = json!([{ "claim": "tenant", "equals": "acme" }]);
    assert_eq!(denied(decide(ruled, &mut testing::Request::get("/").build())).status(), 401);
    assert!(challenged(anonymous(&[]), &token("expired")).starts_with("401"));
}

#[test]
fn says_what_it_is_to_who_asks() {
    let resource = json!({ "resource": { "url": "https://api.example.com/orders", "name": "Orders", "scopes": ["orders:read"] } });
    let mut request = testing::Request::get("/.well-known/oauth-protected-resource/orders").build();
    let answer = denied(decide(resource.clone(), &mut request));
    assert_eq!((answer.status().0, answer.header_str(header::CONTENT_TYPE)), (200, Some("application/json")));
    let document: Json = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(document["resource"], "https://api.example.com/orders");
    assert_eq!(document["authorization_servers"], json!(["https://id.example.com"]));
    assert_eq!((&document["scopes_supported"], &document["resource_name"]), (&json!(["orders:read"]), &json!("Orders")));
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    // However it is written.
    let reserved = json!({ "resource": { "url": "https://api.example.com/orders:all" } });
    for path in ["orders:all", "orders%3Aall"] {
        let mut request = testing::Request::get(&format!("/.well-known/oauth-protected-resource/{path}")).build();
        assert_eq!(denied(decide(reserved.clone(), &mut request)).status(), 200, "{path}");
    }
    // Elsewhere a challenge says where it is.
    for target in ["/", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/orders/1"] {
        let answer = denied(decide(resource.clone(), &mut testing::Request::get(target).build()));
        let challenge = answer.header_str(header::WWW_AUTHENTICATE).unwrap();
        assert!(
            challenge.ends_with(r#"resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/orders""#),
            "{challenge}"
        );
    }
}

#[test]
fn requires_what_rfc_9068_requires_where_it_is_told_to() {
    // The tokens of the fixtures have no `jti`.
    let strict = json!({ "require_rfc9068": true });
    assert!(challenged(strict.clone(), &token("valid_rs256")).ends_with("why=wrong-type"));
    assert!(challenged(strict, &token("valid_at_jwt")).ends_with("why=incomplete"));
}

#[test]
fn logs_why_and_nothing_of_the_signature() {
    let _ = testing::take_logs();
    let expired = token("expired");
    decide(json!({}), &mut bearing(&expired));
    let logs = testing::take_logs();
    let [(_, line)] = logs.as_slice() else { panic!("{logs:?}") };
    assert!(line.starts_with("refused, why=expired; the token says alg=RS256 kid=rsa-1"), "{line}");
    assert!(
        line.contains("iss=https://id.example.com")
            && line.ends_with("wanted here: iss=https://id.example.com aud=orders scope=orders:read"),
        "{line}"
    );
    let signature = expired.rsplit('.').next().unwrap();
    assert!(!line.contains(signature) && !line.contains(&expired[..40]), "{line}");
    // Who sends nothing is not worth a line.
    decide(json!({}), &mut testing::Request::get("/").build());
    assert!(testing::take_logs().is_empty());
}

#[test]
fn refuses_configurations_that_open_doors() {
    let set = || json!({ "issuer": "https://a", "jwks": JWKS });
    for (changes, expected) in [
        (json!({ "issuer": "http://id.example.com" }), "`issuer` = \"http://id.example.com\": an issuer is reached over https"),
        (json!({ "issuer": "http://ann@id.example.com" }), "an issuer is reached over https"),
        (json!({ "issuer": "HTTP://id.example.com:99999" }), "an issuer is reached over https"),
        (json!({ "max_lifetime": "7d" }), "write \"0s\" to \"8784h\", in whole seconds"),
        (json!({ "leeway": "10m" }), "write \"0s\" to \"5m\""),
        (json!({ "claims_as_headers": { "x_user": "sub" } }), "write it with `-`"),
        (json!({ "jwks": "jwks.json" }), "`jwks` = \"jwks.json\" is no key set: write `{ file = \"jwks.json\" }`"),
        (json!({ "issuers": [set()] }), "write all of them in `issuers`"),
        (json!({ "issuer": "", "jwks": null, "issuers": [set(), set()] }), "`issuers[1]`: \"https://a\" is there twice"),
        (json!({ "issuer": "", "jwks": null, "issuers": [{ "jwks": JWKS }] }), "`issuers[0]`: `issuer` is missing"),
        (json!({ "issuer": "", "jwks": null, "audience": [], "issuers": [set()] }), "`issuers[0]`: `audience` is missing"),
        (json!({ "issuer": "", "jwks": null, "issuers": [{ "issuer": "http://a.example", "jwks": JWKS }] }), "over https"),
        (json!({ "require": [{ "claim": "a" }] }), "`require[0]`: write one of"),
        (json!({ "optional": true, "anonymous": {} }), "write one of them"),
        (json!({ "anonymous": { "scopes": ["a b"] } }), "`anonymous.scopes`"),
        (json!({ "resource": { "url": "http://api.example.com" } }), "`resource`: `url`"),
        (json!({ "resource": { "url": "https://api.example.com/?a" } }), "`resource`: `url`"),
    ] {
        let error = testing::configure::<OAuth2>(config(changes.clone())).err().unwrap_or_else(|| panic!("taken: {changes}"));
        assert!(error.contains(expected), "{changes}: {error}");
    }
    let loopback = json!({ "issuer": "http://127.0.0.1:4000" });
    assert!(testing::configure::<OAuth2>(config(loopback)).is_ok());
}

#[test]
fn what_only_the_gateway_may_say_is_taken_from_requests_that_another_let_pass() {
    testing::set_now(now());
    let plugin = configured(json!({ "claims_as_headers": { "x-user": "sub", "x-tenant": "tenant" } }));
    let forged = || testing::Request::get("/").header("x-user", "root").header("X-Tenant", "root").header("x-other", "kept");
    // Another authorizer was first.
    let mut request = forged().build();
    plugin.on_request(&mut request).unwrap();
    assert_eq!((request.header("x-user"), request.header("x-tenant"), request.header_values("x-other").len()), (None, None, 1));
    // This one was: what it says stays.
    let mut request = forged().header(header::AUTHORIZATION, format!("Bearer {}", token("valid_rs256"))).build();
    assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));
    plugin.on_request(&mut request).unwrap();
    assert_eq!((request.header_values("x-user"), request.header_values("x-tenant")), (vec![b"ann".to_vec()], vec![b"acme".to_vec()]));
    // It was, in another place of the route, which says less.
    let narrow = configured(json!({ "claims_as_headers": { "x-user": "sub" } }));
    let mut request = forged().header(header::AUTHORIZATION, format!("Bearer {}", token("valid_rs256"))).build();
    assert!(matches!(narrow.authorize(&mut request).unwrap(), Decision::Allow(_)));
    plugin.on_request(&mut request).unwrap();
    assert_eq!(request.header("x-tenant"), None);
}

#[test]
fn where_it_is_first_its_filter_has_nothing_to_do() {
    for config in [json!({}), json!({ "claims_as_headers": { "x-user": "sub" } }), json!({ "forward_token": true })] {
        assert!(configured(config.clone()).leaves_out_if_first() && configured(config).leaves_out().is_empty());
    }
}

/// Another authorizer, which lets everybody pass.
struct Other;

impl Plugin for Other {
    type Config = NoConfig;

    fn configure(NoConfig {}: NoConfig) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Authorizer for Other {
    fn authorize(&self, _: &mut Request) -> Result<Decision, AuthError> {
        Ok(Decision::Allow(Identity::new("consumer")))
    }
}

#[test]
fn a_token_that_nobody_looked_at_never_goes_on() {
    testing::set_now(now());
    let (keeps, drops) = (configured(json!({ "forward_token": true })), configured(json!({})));
    let other = testing::configure::<Other>(json!({})).unwrap();
    let lines = |request: &Request| request.header_values(header::AUTHORIZATION);
    let good = format!("Bearer {}", token("valid_rs256"));
    for plugin in [&keeps, &drops] {
        for forged in ["Bearer forged", "bearer\tforged", "DPoP forged", good.as_str()] {
            let mut request = testing::Request::get("/").header(header::AUTHORIZATION, forged).header(header::DPOP, "a.b.c").build();
            assert!(matches!(other.authorize(&mut request).unwrap(), Decision::Allow(_)));
            plugin.on_request(&mut request).unwrap();
            assert_eq!((lines(&request), request.header(header::DPOP)), (Vec::new(), None), "{forged}");
        }
        // Two of them are no better; what is no token is somebody else's affair.
        let twice = testing::Request::get("/").header(header::AUTHORIZATION, "Bearer a").header(header::AUTHORIZATION, "Bearer b");
        let mut request = twice.build();
        assert!(matches!(other.authorize(&mut request).unwrap(), Decision::Allow(_)));
        plugin.on_request(&mut request).unwrap();
        assert!(lines(&request).is_empty());
        let mut request = testing::Request::get("/").header(header::AUTHORIZATION, "Basic YTpi").build();
        assert!(matches!(other.authorize(&mut request).unwrap(), Decision::Allow(_)));
        plugin.on_request(&mut request).unwrap();
        assert_eq!(lines(&request), [b"Basic YTpi"]);
        // As long as nobody let it pass somebody may still look at it.
        let mut request = testing::Request::get("/").header(header::AUTHORIZATION, "DPoP for-the-next").build();
        plugin.on_request(&mut request).unwrap();
        assert_eq!(lines(&request), [b"DPoP for-the-next"]);
    }
    // One that was looked at by another place of the route goes on, where that says so.
    let mut request = testing::Request::get("/").header(header::AUTHORIZATION, &good).build();
    assert!(matches!(keeps.authorize(&mut request).unwrap(), Decision::Allow(_)));
    for plugin in [&keeps, &drops] {
        plugin.on_request(&mut request).unwrap();
        assert_eq!(lines(&request), [good.as_bytes()]);
    }
    // Whoever passes for nobody, or by what comes next, brings no token of a kind that is not looked at here.
    for open in [json!({ "anonymous": { "scopes": ["orders:read"] } }), json!({ "optional": true })] {
        let mut request = testing::Request::get("/").header(header::AUTHORIZATION, "DPoP forged").header(header::DPOP, "a.b.c").build();
        assert!(matches!(configured(open).authorize(&mut request).unwrap(), Decision::Allow(_) | Decision::Abstain));
        assert_eq!((lines(&request), request.header(header::DPOP)), (Vec::new(), None));
    }
}
