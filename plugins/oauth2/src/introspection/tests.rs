//! Introspection at a server of the double, through the whole plugin.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use plugway_sdk::crypto::PublicKey;
use plugway_sdk::testing::{self, HttpAnswer, SentRequest, json};
use plugway_sdk::{AuthError, Decision, HttpError, header};
use serde_json::Value;

use crate::OAuth2;

const ISSUER: &str = "https://id.example.com";
const ENDPOINT: &str = "https://id.example.com/introspect";
const NOW: Duration = Duration::from_secs(1_800_000_000);
const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA~+/";
/// RFC 8037, appendix A.
const KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// What the endpoint answers.
#[derive(Clone)]
struct Server(Rc<RefCell<Result<HttpAnswer, HttpError>>>);

impl Server {
    fn start() -> Self {
        testing::set_now(NOW);
        testing::set_secret("gateway", "s3cr3t: ü&");
        let server = Self(Rc::new(RefCell::new(Ok(HttpAnswer::json(200, &active(json!({})))))));
        let shared = server.clone();
        testing::serve_http(move |request: &SentRequest| match request.url.as_str() {
            "https://id.example.com/.well-known/openid-configuration" => Ok(HttpAnswer::json(
                200,
                &json!({
                    "issuer": ISSUER, "jwks_uri": "https://id.example.com/keys", "introspection_endpoint": ENDPOINT,
                    "mtls_endpoint_aliases": { "introspection_endpoint": "https://mtls.example.com/introspect" },
                }),
            )),
            "https://id.example.com/keys" => {
                Ok(HttpAnswer::json(200, &json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC }] })))
            }
            ENDPOINT | "https://mtls.example.com/introspect" => shared.0.borrow().clone(),
            other => panic!("asked for {other}"),
        });
        server
    }

    fn says(&self, claims: Value) {
        self.answers(HttpAnswer::json(200, &claims));
    }

    fn answers(&self, answer: impl Into<Result<HttpAnswer, HttpError>>) {
        *self.0.borrow_mut() = answer.into();
    }
}

fn active(changes: Value) -> Value {
    let mut claims = json!({ "active": true, "iss": ISSUER, "aud": "orders", "sub": "ann", "client_id": "shop", "scope": "orders:read", "exp": NOW.as_secs() + 3600 });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn config(client: Value, introspection: Value) -> Value {
    json!({ "issuer": ISSUER, "audience": "orders", "scopes": ["orders:read"], "client": client, "introspection": introspection })
}

fn configured(introspection: Value) -> testing::Configured<OAuth2> {
    testing::configure(config(json!({ "id": "gate way", "secret": "gateway" }), introspection)).unwrap()
}

fn decide(plugin: &testing::Configured<OAuth2>, token: &str) -> Result<String, AuthError> {
    let mut request = testing::Request::get("/").header(header::AUTHORIZATION, format!("Bearer {token}")).build();
    plugin.authorize(&mut request).map(|decision| match decision {
        Decision::Allow(identity) => identity.subject(),
        Decision::Respond(answer) => {
            format!("{} {}", answer.header_str(header::WWW_AUTHENTICATE).unwrap(), crate::tests::why(&answer))
        }
        Decision::AllowBy(_) | Decision::Abstain => unreachable!(),
    })
}

/// Questions about tokens since this was asked last.
fn asked() -> Vec<SentRequest> {
    testing::take_http_requests().into_iter().filter(|request| request.url.ends_with("/introspect")).collect()
}

#[test]
fn an_opaque_token_is_what_its_server_says() {
    let _server = Server::start();
    let plugin = configured(json!({}));
    assert_eq!(decide(&plugin, TOKEN).as_deref(), Ok("ann"));
    let sent = asked();
    assert_eq!((sent.len(), sent[0].method.as_str(), sent[0].url.as_str()), (1, "POST", ENDPOINT));
    assert_eq!(sent[0].body, b"token=2YotnFZFEjr1zCsicMWpAA%7E%2B%2F&token_type_hint=access_token");
    let pair = STANDARD.encode("gate+way:s3cr3t%3A+%C3%BC%26");
    assert_eq!(sent[0].header_str("authorization"), Some(format!("Basic {pair}").as_str()));
    assert_eq!(sent[0].header_str("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(sent[0].shared && sent[0].max_redirects == Some(0), "one question for all who ask, and to nobody else");
}

#[test]
fn an_opaque_token_may_look_much_like_a_jwt() {
    let _server = Server::start();
    let client = json!({ "id": "gateway", "secret": "gateway" });
    let several = json!({ "audience": "orders", "scopes": ["orders:read"], "issuers": [
        { "issuer": ISSUER, "client": client, "introspection": {} },
        { "issuer": "https://b.example.com", "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC }] } },
    ] });
    let header = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
    let (plain, foreign) = (header(json!({ "alg": "EdDSA" })), header(json!({ "alg": "HS256", "typ": "secret" })));
    let claims = URL_SAFE_NO_PAD.encode(active(json!({})).to_string());
    let signature = URL_SAFE_NO_PAD.encode([0; 64]);
    let of_the_payload = ["A", "AB", "A~"].map(|payload| format!("{plain}.{payload}.{signature}"));
    let of_the_signature = ["A", "AB", "A~", "AA=="].map(|signature| format!("{plain}.{claims}.{signature}"));
    let of_all = ["a.b.c".to_owned(), format!("{foreign}.{claims}.A+")];
    for plugin in [configured(json!({})), testing::configure::<OAuth2>(several).unwrap()] {
        for token in of_the_payload.iter().chain(&of_the_signature).chain(&of_all) {
            assert_eq!(decide(&plugin, token).as_deref(), Ok("ann"), "{token}");
        }
        asked();
        // What is a JWS by its form is judged as one: nobody is asked whether a forged one is good.
        for token in
            [format!("{plain}.{claims}.{signature}"), format!("{foreign}.{claims}.{signature}"), format!("{plain}.e30.{signature}")]
        {
            assert!(decide(&plugin, &token).unwrap().contains("invalid_token"), "{token}");
        }
        assert_eq!(asked().len(), 0);
    }
}

#[test]
fn what_it_says_is_judged_as_the_claims_of_a_jwt() {
    let server = Server::start();
    for (number, (changes, expected)) in [
        (json!({ "aud": ["billing", "orders"] }), "ann"),
        (json!({ "sub": null }), "shop"),
        (json!({ "iss": null, "exp": null }), "ann"),
        (json!({ "aud": null }), "why=audience"),
        (json!({ "aud": "billing" }), "why=audience"),
        (json!({ "iss": "https://evil.example.com" }), "why=issuer"),
        (json!({ "exp": NOW.as_secs() - 60 }), "why=expired"),
        (json!({ "nbf": NOW.as_secs() + 60 }), "why=not-yet-valid"),
        (json!({ "scope": "orders:write" }), "insufficient_scope"),
        (json!({ "sub": null, "client_id": null }), "why=no-subject"),
        (json!({ "cnf": { "jkt": "AA" } }), "why=bound"),
        (json!({ "active": false }), "why=inactive"),
    ]
    .into_iter()
    .enumerate()
    {
        server.says(active(changes.clone()));
        let decided = decide(&configured(json!({})), &format!("{TOKEN}{number}")).unwrap();
        assert!(decided.contains(expected), "{changes}: {decided}");
    }
    server.says(active(json!({ "aud": null })));
    assert_eq!(decide(&configured(json!({ "audience_optional": true })), "another-token-of-somebody").as_deref(), Ok("ann"));
}

#[test]
fn an_answer_counts_for_a_while_for_every_instance() {
    let server = Server::start();
    let (one, two) = (configured(json!({ "cache": "60s" })), configured(json!({ "cache": "60s" })));
    assert_eq!(decide(&one, TOKEN).as_deref(), Ok("ann"));
    assert_eq!(decide(&one, TOKEN).as_deref(), Ok("ann"));
    assert_eq!(decide(&two, TOKEN).as_deref(), Ok("ann"));
    assert_eq!(asked().len(), 1);
    // Another token is another question, however alike.
    assert_eq!(decide(&one, &TOKEN.replace('2', "3")).as_deref(), Ok("ann"));
    assert_eq!(asked().len(), 1);
    testing::advance(Duration::from_millis(59_999));
    server.says(json!({ "active": false }));
    assert_eq!((decide(&one, TOKEN).as_deref(), asked().len()), (Ok("ann"), 0));
    testing::advance(Duration::from_millis(1));
    assert!(decide(&one, TOKEN).unwrap().ends_with("why=inactive"), "it was revoked meanwhile");
    assert_eq!(asked().len(), 1);
}

#[test]
fn an_answer_counts_in_each_place_for_as_long_as_that_one_says() {
    let server = Server::start();
    let (patient, strict) =
        (configured(json!({ "cache": "600s", "negative_cache": "60s" })), configured(json!({ "cache": "5s", "negative_cache": "1s" })));
    let never = configured(json!({ "cache": "0s", "negative_cache": "0s" }));
    assert_eq!((decide(&patient, TOKEN).as_deref(), decide(&strict, TOKEN).as_deref(), asked().len()), (Ok("ann"), Ok("ann"), 1));
    assert_eq!((decide(&never, TOKEN).as_deref(), asked().len()), (Ok("ann"), 1));
    server.says(json!({ "active": false }));
    testing::advance(Duration::from_secs(5));
    assert_eq!((decide(&patient, TOKEN).as_deref(), asked().len()), (Ok("ann"), 0));
    assert!(decide(&strict, TOKEN).unwrap().ends_with("why=inactive") && asked().len() == 1, "it was taken back");
    // The other way round, a refusal.
    assert!(decide(&patient, "another").unwrap().ends_with("why=inactive") && asked().len() == 1);
    server.says(active(json!({})));
    testing::advance(Duration::from_secs(1));
    assert!(decide(&patient, "another").unwrap().ends_with("why=inactive") && asked().is_empty());
    assert_eq!((decide(&strict, "another").as_deref(), asked().len()), (Ok("ann"), 1));
}

#[test]
fn a_jwt_may_have_to_be_active_too() {
    let server = Server::start();
    let plugin = configured(json!({ "jwt": true, "cache": "60s" }));
    testing::set_key("issuer", KEY);
    let signed = |claims: Value| {
        let parts = [json!({ "alg": "EdDSA", "typ": "at+jwt" }), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        format!("{parts}.{}", URL_SAFE_NO_PAD.encode(plugway_sdk::keys::sign("issuer", "EdDSA", parts.as_bytes()).unwrap()))
    };
    let token = signed(active(json!({})));
    for _ in 0..3 {
        assert_eq!(decide(&plugin, &token).as_deref(), Ok("ann"));
    }
    assert_eq!(asked().len(), 1);
    // Its signature is as good as ever when it is taken back.
    server.says(json!({ "active": false }));
    testing::advance(Duration::from_secs(60));
    assert!(decide(&plugin, &token).unwrap().ends_with("why=inactive"));
    // Nobody is asked about what does not pass by itself.
    asked();
    let expired = signed(active(json!({ "exp": NOW.as_secs() - 3600 })));
    assert!(decide(&plugin, &expired).unwrap().ends_with("why=expired"));
    assert_eq!(asked().len(), 0);
}

#[test]
fn a_refresh_token_is_no_access_token() {
    let server = Server::start();
    let plugin = configured(json!({ "audience_optional": true }));
    for (number, kind) in [
        json!({ "token_use": "refresh_token" }),
        json!({ "token_type": "refresh_token" }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "Offline" }),
    ]
    .into_iter()
    .enumerate()
    {
        server.says(active(kind.clone()));
        assert!(decide(&plugin, &format!("refresh-{number}")).unwrap().ends_with("why=inactive"), "{kind}");
    }
    for (number, kind) in
        [json!({ "token_type": "Bearer" }), json!({ "typ": "Bearer" }), json!({ "token_use": "access_token" })].into_iter().enumerate()
    {
        server.says(active(kind));
        assert_eq!(decide(&plugin, &format!("access-{number}")).as_deref(), Ok("ann"));
    }
}

#[test]
fn an_answer_counts_no_longer_than_the_token() {
    let server = Server::start();
    server.says(active(json!({ "exp": NOW.as_secs() + 20 })));
    let plugin = configured(json!({ "cache": "10m" }));
    assert_eq!(decide(&plugin, TOKEN).as_deref(), Ok("ann"));
    testing::advance(Duration::from_secs(20));
    server.says(json!({ "active": false }));
    assert!(decide(&plugin, TOKEN).unwrap().ends_with("why=inactive"));
}

#[test]
fn a_refusal_counts_for_a_while_and_refusals_take_no_room() {
    let server = Server::start();
    server.says(json!({ "active": false, "sub": "root" }));
    let (one, two) = (configured(json!({})), configured(json!({})));
    for plugin in [&one, &two, &one] {
        assert!(decide(plugin, TOKEN).unwrap().ends_with("why=inactive"));
    }
    assert_eq!(asked().len(), 1);
    testing::advance(Duration::from_secs(10));
    server.says(active(json!({})));
    assert_eq!(decide(&one, TOKEN).as_deref(), Ok("ann"));
    // Tokens that nobody issued: each is asked about, and at most a thousand places are taken.
    server.says(json!({ "active": false }));
    for number in 0..3_000 {
        assert!(decide(&one, &format!("nobody-issued-{number}")).unwrap().ends_with("why=inactive"), "{number}");
    }
    assert_eq!(decide(&two, TOKEN).as_deref(), Ok("ann"), "what is worth keeping is kept");
}

#[test]
fn a_server_that_is_away_or_talks_rubbish_lets_nobody_in_and_those_it_knew_go_on() {
    let server = Server::start();
    let (one, two) = (configured(json!({})), configured(json!({})));
    assert_eq!(decide(&one, TOKEN).as_deref(), Ok("ann"));
    let bad: [Result<HttpAnswer, HttpError>; 8] = [
        HttpError::Timeout.into(),
        HttpError::TooManyCalls.into(),
        HttpAnswer::new(500).into(),
        // The gateway's own credentials are wrong: not the client's fault.
        HttpAnswer::json(401, &json!({ "error": "invalid_client" })).into(),
        HttpAnswer::new(302).with_header("location", "https://evil.example.com/").into(),
        HttpAnswer::new(200).with_body("<html>").into(),
        HttpAnswer::json(200, &json!({ "active": "true", "aud": "orders", "sub": "root" })).into(),
        HttpAnswer::new(200).with_body("{\"active\": true, \"active\": true}").into(),
    ];
    for answer in bad {
        server.answers(answer);
        assert_eq!(decide(&one, "unknown"), Err(AuthError::Unavailable(Some(5))));
        assert_eq!((decide(&one, TOKEN).as_deref(), decide(&two, TOKEN).as_deref()), (Ok("ann"), Ok("ann")));
    }
    server.says(active(json!({ "sub": "bob" })));
    assert_eq!(decide(&one, "unknown").as_deref(), Ok("bob"), "nothing of it was kept");
}

#[test]
fn the_gateway_proves_who_it_is_in_four_ways() {
    let _server = Server::start();
    let ask = |client: Value| {
        let plugin = testing::configure::<OAuth2>(config(client.clone(), json!({}))).unwrap();
        assert_eq!(decide(&plugin, &format!("token-of-{}", client["id"].as_str().unwrap())).as_deref(), Ok("ann"));
        let sent = asked().remove(0);
        (sent.url.clone(), String::from_utf8(sent.body.clone()).unwrap(), sent)
    };
    let (_, body, sent) = ask(json!({ "id": "post", "secret": "gateway", "method": "client_secret_post" }));
    assert!(body.ends_with("&client_id=post&client_secret=s3cr3t%3A+%C3%BC%26") && sent.header_str("authorization").is_none(), "{body}");

    let (url, body, sent) = ask(json!({ "id": "tls", "method": "tls_client_auth" }));
    assert_eq!(url, "https://mtls.example.com/introspect", "where the server wants certificates");
    assert!(body.ends_with("&client_id=tls") && sent.header_str("authorization").is_none());

    testing::set_key("client", KEY);
    let (_, body, sent) = ask(json!({ "id": "signs", "key": "client", "key_id": "k1" }));
    let (rest, assertion) = body.rsplit_once("&client_assertion=").unwrap();
    // Whatever the assertion is, who asks the same at that moment asks once.
    let shared_as = String::from_utf8(sent.shared_as.unwrap()).unwrap();
    assert!(shared_as.starts_with("signs\n") && !shared_as.contains("client_assertion") && shared_as.contains("token="), "{shared_as}");
    assert!(rest.ends_with("&client_id=signs&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"));
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    PublicKey::from_jwk(&KEY.replace("\"d\"", "\"x-d\"")).unwrap().verify("EdDSA", signed.as_bytes(), &signature).unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let read = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    assert_eq!(read(head), json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k1" }));
    let claims = read(claims);
    assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!("signs"), &json!("signs"), &json!(ISSUER)));
    assert_eq!((claims["exp"].as_u64().unwrap(), claims["jti"].as_str().unwrap().len()), (NOW.as_secs() + 60, 22));
}

#[test]
fn what_cannot_work_is_refused() {
    testing::set_secret("gateway", "secret");
    let client = || json!({ "id": "gateway", "secret": "gateway" });
    let refused = |config: &Value| testing::configure::<OAuth2>(config.clone()).err().unwrap_or_else(|| panic!("taken: {config}"));
    // Whoever writes a secret where its name belongs does not find it in the log.
    for member in ["secret", "key"] {
        let why = refused(&config(json!({ "id": "gateway", member: "hunter2" }), json!({})));
        assert!(!why.to_string().contains("hunter2"), "{why}");
    }
    for (client, introspection, why) in [
        (Value::Null, json!({}), "`client` is missing"),
        (client(), Value::Null, "`client` is for `introspection`"),
        (json!({ "id": "", "secret": "gateway" }), json!({}), "`id` is empty"),
        (json!({ "id": "gateway" }), json!({}), "write one of `secret`, `key`"),
        (json!({ "id": "gateway", "secret": "other" }), json!({}), "`secret` is the name of a `[secrets.NAME]`"),
        (json!({ "id": "gateway", "key": "other" }), json!({}), "`key` is the name of a `[secrets.NAME]`"),
        (json!({ "id": "gateway", "secret": "gateway", "method": "tls_client_auth" }), json!({}), "needs neither"),
        (json!({ "id": "gateway", "secret": "gateway", "method": "private_key_jwt" }), json!({}), "needs `key`"),
        (json!({ "id": "gateway", "method": "client_secret_post" }), json!({}), "needs `secret`"),
        (json!({ "id": "gateway", "secret": "gateway", "key_id": "1" }), json!({}), "`key_id` is the name of a `key`"),
        (client(), json!({ "url": "http://id.example.com/introspect" }), "tokens go there over https"),
        (client(), json!({ "cache": "601s" }), "`cache` = \"601s\""),
        (client(), json!({ "typo": 1 }), "unknown field `typo`"),
    ] {
        let config = config(client, introspection);
        assert!(refused(&config).contains(why), "{config}: {}", refused(&config));
    }
    let twice = json!({ "audience": "orders", "issuers": [
        { "issuer": "https://a.example.com", "client": client(), "introspection": {} },
        { "issuer": "https://b.example.com", "client": client(), "introspection": {} },
    ] });
    assert!(refused(&twice).contains("one issuer alone has `introspection`"));
    let config = config(client(), json!({}));
    testing::grant_hosts(&["other.example.com"]);
    let mut with_keys = config.clone();
    with_keys["jwks"] = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC }] });
    assert!(refused(&with_keys).contains("`introspection`: `issuer` = \"https://id.example.com\": it is asked"));
    with_keys["introspection"]["url"] = ENDPOINT.into();
    let told = refused(&with_keys);
    assert!(told.contains("`introspection`: `url` = \"https://id.example.com/introspect\": it is asked"), "{told}");
    assert!(told.contains("add `grants.http-client.hosts = [\"id.example.com\"]`"), "{told}");
    // The issuer is asked nothing.
    with_keys["introspection"]["url"] = "https://other.example.com/introspect".into();
    assert!(testing::configure::<OAuth2>(with_keys).is_ok());
    testing::grant_hosts(&["id.example.com"]);
    testing::deny("kv");
    assert!(refused(&config).contains("add `kv = {}`"));
    testing::deny("secrets");
    assert!(refused(&config).contains("secrets = [\"NAME\"]"));
}
