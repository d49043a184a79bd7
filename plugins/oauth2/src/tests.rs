//! The plugin against tokens that other libraries signed (`tests/fixtures/make.py`), and against what no library makes.

use std::time::Duration;

use plugway_sdk::{Decision, HeaderName, LocalResponse, Request, Value, header, testing};
use serde_json::Value as Json;
use testing::json;

use crate::OAuth2;

mod attacks;
mod remembering;
mod rules;

const JWKS: &str = include_str!("../tests/fixtures/jwks.json");
const TOKENS: &str = include_str!("../tests/fixtures/tokens.json");

fn fixtures() -> Json {
    serde_json::from_str(TOKENS).unwrap()
}

fn token(name: &str) -> String {
    fixtures()["tokens"][name].as_str().unwrap_or_else(|| panic!("no token {name}")).to_owned()
}

fn now() -> Duration {
    Duration::from_secs(fixtures()["now"].as_u64().unwrap())
}

/// The configuration of the documentation, with changes.
fn configured(changes: Json) -> testing::Configured<OAuth2> {
    testing::configure(config(changes)).unwrap()
}

fn config(changes: Json) -> Json {
    let mut config = json!({ "issuer": "https://id.example.com", "audience": "orders", "jwks": JWKS, "scopes": ["orders:read"] });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config
}

fn bearing(token: &str) -> Request<'static> {
    testing::Request::get("/orders").header(header::AUTHORIZATION, format!("Bearer {token}")).build()
}

fn decide(changes: Json, request: &mut Request<'_>) -> Decision {
    testing::set_now(now());
    configured(changes).authorize(request).unwrap()
}

fn denied(decision: Decision) -> LocalResponse {
    match decision {
        Decision::Respond(answer) => answer,
        other => panic!("not denied: {other:?}"),
    }
}

/// Status and challenge of the answer to a token, and behind them why, which the log alone says.
fn challenged(changes: Json, token: &str) -> String {
    let mut request = bearing(token);
    let answer = denied(decide(changes, &mut request));
    assert!(request.identity().is_none());
    format!("{} {} {}", answer.status().0, answer.header_str(header::WWW_AUTHENTICATE).unwrap(), why(&answer))
}

/// `why=…` of the newest refusal in the log; `-` where there is none. The client has to be told what all with its error code are told.
pub(crate) fn why(answer: &LocalResponse) -> String {
    let body: Json = serde_json::from_slice(answer.body()).unwrap();
    let title = body["title"].as_str().unwrap();
    assert!(body.get("detail").is_none(), "{body}");
    for line in answer.headers().iter().filter(|line| line.name == "www-authenticate") {
        let challenge = String::from_utf8(line.value.clone()).unwrap();
        let said = challenge.split_once("error_description=\"").map(|(_, rest)| rest.split('"').next().unwrap());
        assert!(said.is_none_or(|said| said == title), "{challenge}");
    }
    let logs = testing::take_logs();
    let why = logs.iter().rev().find_map(|(_, line)| line.strip_prefix("refused, ")?.split(';').next());
    why.unwrap_or("-").to_owned()
}

/// What a client can be told of a token, whatever is wrong with it.
const TOLD: &str = "401 Bearer realm=\"orders\", error=\"invalid_token\", error_description=\"The access token is not accepted.\" why=";

fn assert_allowed(changes: Json, token: &str, what: &str) {
    let decision = decide(changes, &mut bearing(token));
    assert!(matches!(decision, Decision::Allow(_)), "{what}: {decision:?}");
}

#[test]
fn lets_good_tokens_pass() {
    let fixtures = fixtures();
    let good: Vec<_> = fixtures["tokens"].as_object().unwrap().keys().filter(|name| name.starts_with("valid")).collect();
    assert_eq!(good.len(), 12);
    for name in good {
        assert_allowed(json!({}), &token(name), name);
    }
}

#[test]
fn refuses_every_bad_token_for_its_own_reason() {
    let reasons = [
        ("expired", &["expired"][..]),
        ("not-yet-valid", &["not_yet_valid"]),
        ("audience", &["wrong_audience", "wrong_audience_list", "no_audience"]),
        ("issuer", &["wrong_issuer", "no_issuer"]),
        ("no-subject", &["no_subject", "empty_subject"]),
        ("bound", &["bound_to_a_key"]),
        ("critical", &["unknown_crit", "empty_crit"]),
        ("wrong-type", &["wrong_typ"]),
        (
            "algorithm",
            &[
                "alg_none",
                "alg_hs256_with_public_key",
                "alg_hs256_with_published_secret",
                "alg_the_key_is_not_for",
                "alg_is_lower_case",
                "rs512",
                "ps256",
            ],
        ),
        ("unknown-key", &["alg_of_another_key", "wrong_kid", "ambiguous_without_kid", "encryption_key", "key_ops_without_verify"]),
        ("signature", &["foreign_key", "foreign_key_embedded", "tampered_payload", "tampered_signature", "signature_cut_short"]),
        (
            "malformed",
            &[
                "alg_none_without_signature",
                "alg_is_missing",
                "alg_is_number",
                "kid_is_number",
                "audience_not_text",
                "no_exp",
                "exp_is_text",
                "exp_is_null",
                "exp_is_out_of_range",
                "nbf_is_text",
                "iat_is_text",
                "scope_is_number",
                "duplicate_header",
                "duplicate_claim",
                "duplicate_nested_claim",
                "deeply_nested",
                "payload_is_a_list",
                "payload_is_not_json",
                "payload_is_not_utf8",
                "payload_has_more_behind_it",
                "header_is_not_utf8",
                "header_is_a_list",
            ],
        ),
    ];
    for (reason, names) in reasons {
        for name in names {
            let challenge = challenged(json!({}), &token(name));
            assert_eq!(challenge, format!("{TOLD}{reason}"), "{name}");
        }
    }
    // One bit of the header makes it unreadable or another header; which depends on the key's random bits.
    assert!(challenged(json!({}), &token("tampered_header")).contains("invalid_token"));
}

#[test]
fn every_token_of_the_fixtures_is_tested() {
    let source = include_str!("tests.rs");
    for name in fixtures()["tokens"].as_object().unwrap().keys().filter(|name| !name.starts_with("valid")) {
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn asks_for_every_scope() {
    for name in ["missing_scope", "scope_prefix", "no_scope"] {
        let expected = "403 Bearer realm=\"orders\", error=\"insufficient_scope\", \
                        error_description=\"The access token does not allow this.\", scope=\"orders:read\" why=insufficient-scope";
        assert_eq!(challenged(json!({}), &token(name)), expected, "{name}");
        assert_allowed(json!({ "scopes": [] }), &token(name), name);
    }
    assert!(challenged(json!({ "scopes": ["orders:read", "admin"] }), &token("valid_rs256")).contains("scope=\"orders:read admin\""));
}

#[test]
fn lets_clocks_differ_by_the_leeway_and_no_more() {
    let at = |offset: i64, changes: Json, name: &str| {
        testing::set_now(Duration::from_secs(now().as_secs().checked_add_signed(offset).unwrap()));
        matches!(configured(changes).authorize(&mut bearing(&token(name))).unwrap(), Decision::Allow(_))
    };
    assert!(at(29, json!({}), "expired_now"));
    assert!(!at(30, json!({}), "expired_now"));
    assert!(at(-1, json!({ "leeway": "0s" }), "expired_now"));
    assert!(!at(0, json!({ "leeway": "0s" }), "expired_now"));
    assert!(at(59, json!({ "leeway": "1m" }), "expired_now"));
    assert!(at(3570, json!({}), "not_yet_valid"));
    assert!(!at(3569, json!({}), "not_yet_valid"));
}

#[test]
fn gives_a_challenge_without_error_to_who_sent_nothing() {
    for request in [testing::Request::get("/"), testing::Request::get("/").header(header::AUTHORIZATION, "Basic YTpi")] {
        let answer = denied(decide(json!({}), &mut request.build()));
        assert_eq!((answer.status().0, answer.header_str(header::WWW_AUTHENTICATE)), (401, Some("Bearer realm=\"orders\"")));
    }
}

#[test]
fn abstains_only_where_there_is_no_bearer_token() {
    let optional = json!({ "optional": true });
    for request in [testing::Request::get("/"), testing::Request::get("/").header(header::AUTHORIZATION, "Basic YTpi")] {
        assert!(matches!(decide(optional.clone(), &mut request.build()), Decision::Abstain));
    }
    assert!(challenged(optional.clone(), &token("expired")).starts_with("401"));
    assert!(challenged(optional, "").starts_with("400"));
}

#[test]
fn refuses_credentials_it_cannot_read() {
    let several = testing::Request::get("/")
        .header(header::AUTHORIZATION, format!("Bearer {}", token("valid_rs256")))
        .header(header::AUTHORIZATION, format!("Bearer {}", token("valid_rs256")));
    let answer = denied(decide(json!({}), &mut several.build()));
    assert_eq!(answer.status(), 400);
    assert!(answer.header_str(header::WWW_AUTHENTICATE).unwrap().contains("error=\"invalid_request\""));
    let padded_inside = token("valid_rs256").replacen('.', "=.", 1);
    for text in ["", "a b", "a,b", "=", "{}", &padded_inside] {
        assert!(challenged(json!({}), text).starts_with("400 Bearer realm=\"orders\", error=\"invalid_request\""), "{text}");
    }
}

#[test]
fn survives_hostile_strings() {
    let good = token("valid_rs256");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = signed.split_once('.').unwrap();
    // base64url of [[[[…, and of {"a":{"a":{"a":…, twenty thousand deep.
    let (lists, objects) = ("W1tb".repeat(7_000), "eyJhIjp7ImEiOnsiYSI6".repeat(7_000));
    let many = json!({ "max_token_bytes": 65_536 });
    for hostile in [
        format!("{good}.{signature}"),
        format!("{good}.a.b"),
        format!("{head}.{payload}"),
        format!("{head}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{signed}."),
        "..".to_owned(),
        ".".repeat(60_000),
        "A".repeat(60_000),
        format!("{good}="),
        format!("{lists}.{payload}.{signature}"),
        format!("{}.{payload}.{signature}", &objects[..40_000]),
        format!("{head}.{lists}.{signature}"),
        format!("{head}.{payload}.{}", "A".repeat(50_000)),
        format!("__79.{payload}.{signature}"),
    ] {
        let _ = testing::take_logs();
        let answer = denied(decide(many.clone(), &mut bearing(&hostile)));
        let challenge = answer.header_str(header::WWW_AUTHENTICATE).unwrap();
        assert!(challenge.starts_with("Bearer realm=\"orders\", error=\"invalid_token\""), "{challenge}");
        // The operator is told, in a line that holds nothing of the token's length and nothing that breaks it.
        let logs = testing::take_logs();
        assert!(logs.len() == 1 && logs[0].1.len() < 1_000 && !logs[0].1.contains(char::is_control), "{logs:?}");
    }
    let mut bytes = testing::Request::get("/").header(header::AUTHORIZATION, b"Bearer \xff\xfe".as_slice()).build();
    assert_eq!(denied(decide(json!({}), &mut bytes)).status(), 400);
}

#[test]
fn bounds_the_size_of_tokens() {
    assert!(challenged(json!({}), &"A".repeat(8 * 1024 + 1)).ends_with("why=too-large"));
    assert!(challenged(json!({}), &"A".repeat(8 * 1024)).ends_with("why=malformed"));
    let good = token("valid_rs256");
    assert_allowed(json!({ "max_token_bytes": good.len() }), &good, "just as long");
    assert!(challenged(json!({ "max_token_bytes": good.len() - 1 }), &good).ends_with("why=too-large"));
}

#[test]
fn other_algorithms_are_there_for_who_names_them() {
    assert_allowed(json!({ "algorithms": ["RS512", "PS256"] }), &token("rs512"), "rs512");
    assert_allowed(json!({ "algorithms": ["RS512", "PS256"] }), &token("ps256"), "ps256");
    assert!(challenged(json!({ "algorithms": ["ES256"] }), &token("valid_rs256")).ends_with("why=algorithm"));
    // rsa-1 says `alg: RS256`, so accepting RS512 does not make it a key for that.
    let both = json!({ "algorithms": ["RS256", "RS512"] });
    assert!(challenged(both, &token("alg_the_key_is_not_for")).ends_with("why=unknown-key"));
}

#[test]
fn can_insist_on_the_type_of_access_tokens() {
    let strict = || json!({ "require_at_jwt": true });
    assert_allowed(strict(), &token("valid_at_jwt"), "at+jwt");
    assert_allowed(strict(), &token("valid_application_at_jwt"), "application/AT+JWT");
    for name in ["valid_rs256", "valid_without_typ"] {
        assert!(challenged(strict(), &token(name)).contains("wrong-type"), "{name}");
    }
}

#[test]
fn says_who_is_calling() {
    let mut request = bearing(&token("valid_rs256"));
    decide(json!({ "claims": ["tenant", "level", "admin", "roles", "absent"] }), &mut request);
    let identity = request.identity().unwrap();
    assert_eq!((identity.subject().as_str(), identity.issuer().as_deref()), ("ann", Some("https://id.example.com")));
    assert_eq!(identity.scopes(), ["orders:read", "orders:write"]);
    assert_eq!(identity.claim("client_id"), Some(Value::from("shop")));
    assert_eq!(identity.claim("tenant"), Some(Value::from("acme")));
    assert_eq!(identity.claim("level"), Some(Value::Integer(3)));
    assert_eq!(identity.claim("admin"), Some(Value::Boolean(false)));
    assert_eq!(identity.claim("roles"), Some(Value::from("[\"buyer\",\"seller\"]")));
    assert_eq!((identity.claim("absent"), identity.claim("exp")), (None, None));

    let mut request = bearing(&token("valid_azp"));
    decide(json!({}), &mut request);
    assert_eq!(request.identity().unwrap().claim("client_id"), Some(Value::from("kiosk")));
}

#[test]
fn keeps_the_token_from_the_upstream_unless_told() {
    let good = token("valid_rs256");
    let mut request = bearing(&good);
    decide(json!({}), &mut request);
    assert_eq!(request.header(header::AUTHORIZATION), None);
    let mut request = bearing(&good);
    decide(json!({ "forward_token": true }), &mut request);
    assert_eq!(request.header_str(header::AUTHORIZATION), Some(format!("Bearer {good}")));
}

#[test]
fn tells_the_upstream_claims_a_client_cannot_forge() {
    let headers = || json!({ "optional": true, "claims_as_headers": { "X-User": "sub", "x-level": "level", "x-roles": "roles", "x-none": "absent" } });
    let forged = |request: testing::Request| {
        ["x-user", "x-level", "x-roles", "x-none"].iter().fold(request, |request, name| request.header(*name, "forged"))
    };
    let read = |request: &Request| ["x-user", "x-level", "x-roles", "x-none"].map(|name| request.header_str(name));

    let good = format!("Bearer {}", token("valid_rs256"));
    let mut request = forged(testing::Request::get("/").header(header::AUTHORIZATION, good)).build();
    decide(headers(), &mut request);
    assert_eq!(read(&request), [Some("ann".to_owned()), Some("3".to_owned()), None, None]);

    let mut anonymous = forged(testing::Request::get("/")).build();
    assert!(matches!(decide(headers(), &mut anonymous), Decision::Abstain));
    assert_eq!(read(&anonymous), [None, None, None, None]);
}

#[test]
fn sends_no_claim_that_would_change_on_the_way() {
    testing::set_now(now());
    for name in ["header_in_claim", "space_around_claim"] {
        let plugin = configured(json!({ "claims_as_headers": { "x-tenant-id": "tenant" } }));
        let mut request = bearing(&token(name));
        // Whoever may choose the claim fails nothing of the gateway.
        let answer = denied(plugin.authorize(&mut request).unwrap());
        assert_eq!(answer.status(), 403, "{name}");
        assert!(answer.header_str(header::WWW_AUTHENTICATE).unwrap().contains("error=\"insufficient_scope\""), "{name}");
        assert_eq!((request.identity().is_none(), request.header(HeaderName::from("x-tenant-id"))), (true, None), "{name}");
        let lines: Vec<String> = testing::take_logs().into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines[0], "`claims_as_headers`: x-tenant-id: the claim cannot be sent as a header", "{name}");
        assert!(lines[1].starts_with("refused, why=claim-not-passed-on; ") && lines.len() == 2, "{lines:?}");
    }
}

#[test]
fn takes_the_key_set_as_an_object_too() {
    let object: Json = serde_json::from_str(JWKS).unwrap();
    assert_allowed(json!({ "jwks": object, "audience": ["billing", "orders"] }), &token("valid_eddsa"), "object");
}

#[test]
fn refuses_a_configuration_that_cannot_work() {
    let no_keys = "{\"keys\":[]}";
    testing::deny("http-client");
    for (changes, expected) in [
        (json!({ "typo": 1 }), "unknown field `typo`"),
        (json!({ "issuer": "" }), "`issuer` is missing"),
        (json!({ "audience": [] }), "`audience` is missing"),
        (json!({ "audience": ["orders", ""] }), "`audience` is missing"),
        (json!({ "audience": 1 }), "expected a text or a list of texts"),
        (json!({ "jwks": null }), "`jwks` is not here, and the plugin may not fetch it: write `jwks = { file = \"jwks.json\" }`"),
        (json!({ "jwks": "{" }), "`jwks`: not JSON"),
        (json!({ "jwks": "{\"keys\":[],\"keys\":[]}" }), "the same member twice"),
        (json!({ "jwks": { "file": "jwks.json" } }), "`jwks`: not a JWK Set"),
        (json!({ "jwks": no_keys }), "`jwks`: the key set is empty"),
        (json!({ "scopes": ["orders:read orders:write"] }), "is not one scope"),
        (json!({ "scopes": ["a\"b"] }), "is not one scope"),
        (json!({ "algorithms": [] }), "`algorithms` is empty"),
        (json!({ "algorithms": ["none"] }), "unknown variant `none`"),
        (json!({ "algorithms": ["HS256"] }), "unknown variant `HS256`"),
        (json!({ "leeway": "30" }), "`leeway` = \"30\""),
        (json!({ "leeway": "301s" }), "`leeway` = \"301s\""),
        (json!({ "leeway": "99999999999999999999m" }), "`leeway`"),
        (json!({ "max_lifetime": "0s" }), "`max_lifetime` is 0"),
        (json!({ "max_lifetime": "9000h" }), "`max_lifetime` = \"9000h\""),
        (json!({ "max_token_bytes": 0 }), "`max_token_bytes` is 0"),
        (json!({ "max_token_bytes": 65_537 }), "`max_token_bytes` is 65537"),
        (json!({ "realm": "a\nb" }), "`realm`: a realm is printable ASCII"),
        (json!({ "audience": "übung" }), "without `realm` it is the first `audience`"),
        (json!({ "claims_as_headers": { "x user": "sub" } }), "\"x user\": not a header name"),
        (json!({ "claims_as_headers": { "Authorization": "sub" } }), "choose one of your own"),
        (json!({ "claims_as_headers": { "X-User": "sub", "x-user": "name" } }), "is there twice"),
    ] {
        let error = testing::configure::<OAuth2>(config(changes.clone())).err().unwrap_or_else(|| panic!("taken: {changes}"));
        assert!(error.contains(expected), "{changes}: {error}");
    }
}
