//! Tokens for the upstream from a server of the double, through the whole plugin.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use plugway_sdk::testing::{self, HttpAnswer, Request, SentRequest, json};
use plugway_sdk::{AuthError, Decision, Flow, HttpError, Plugin, header};
use serde_json::Value;

use crate::OAuth2;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const JWKS: &str = include_str!("../../tests/fixtures/jwks.json");
const TOKENS: &str = include_str!("../../tests/fixtures/tokens.json");

#[derive(Clone)]
struct Server(Rc<RefCell<Result<HttpAnswer, HttpError>>>);

impl Server {
    fn start() -> Self {
        testing::set_now(NOW);
        testing::set_secret("gateway", "secret");
        let server = Self(Rc::new(RefCell::new(Ok(HttpAnswer::json(200, &issued("made-for-the-upstream", 600))))));
        let shared = server.clone();
        testing::serve_http(move |request: &SentRequest| {
            assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://id.example.com/token"));
            shared.0.borrow().clone()
        });
        server
    }

    fn answers(&self, answer: impl Into<Result<HttpAnswer, HttpError>>) {
        *self.0.borrow_mut() = answer.into();
    }
}

fn issued(token: &str, seconds: u64) -> Value {
    json!({ "access_token": token, "token_type": "bearer", "expires_in": seconds })
}

fn config(upstream_token: Value) -> Value {
    let mut wanted = json!({ "url": "https://id.example.com/token" });
    wanted.as_object_mut().unwrap().extend(upstream_token.as_object().unwrap().clone());
    json!({
        "issuer": "https://id.example.com", "audience": "orders", "jwks": JWKS, "client": { "id": "gateway", "secret": "gateway" },
        "upstream_token": wanted, "optional": true,
    })
}

fn configured(upstream_token: Value) -> testing::Configured<OAuth2> {
    testing::configure(config(upstream_token)).unwrap()
}

fn token() -> String {
    serde_json::from_str::<Value>(TOKENS).unwrap()["tokens"]["valid_rs256"].as_str().unwrap().to_owned()
}

/// What goes to the upstream after both hooks, or the status of the answer.
fn sent(plugin: &testing::Configured<OAuth2>, token: Option<&str>) -> Result<String, u16> {
    let mut request = Request::get("/");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut request = request.build();
    match plugin.authorize(&mut request) {
        Ok(Decision::Respond(answer)) => return Err(answer.status().0),
        Err(AuthError::Unavailable(Some(_))) => return Err(503),
        Err(other) => panic!("{other:?}"),
        Ok(_) => {}
    }
    match plugin.on_request(&mut request).unwrap() {
        Flow::Respond(answer) => {
            assert!(answer.header_str(header::RETRY_AFTER).is_some());
            Err(answer.status().0)
        }
        Flow::Next | Flow::NextWith(_) => Ok(request.header_str(header::AUTHORIZATION).unwrap_or_default()),
    }
}

fn asked() -> Vec<String> {
    testing::take_http_requests().into_iter().map(|request| String::from_utf8(request.body).unwrap()).collect()
}

#[test]
fn the_gateway_has_a_token_of_its_own_got_once_and_in_time() {
    let server = Server::start();
    let own = json!({ "grant": "client_credentials", "scopes": ["a", "b"], "resource": "urn:billing" });
    assert!(!configured(own.clone()).leaves_out_if_first(), "the filter attaches it");
    let (one, two) = (configured(own.clone()), configured(own));
    for (plugin, token) in [(&one, None), (&two, Some(token())), (&one, None)] {
        assert_eq!(sent(plugin, token.as_deref()).as_deref(), Ok("Bearer made-for-the-upstream"));
    }
    assert_eq!(asked(), ["grant_type=client_credentials&scope=a+b&resource=urn%3Abilling"]);
    // Another kind is another token.
    assert!(sent(&configured(json!({ "grant": "client_credentials", "scopes": ["a b"] })), None).is_ok());
    assert_eq!(asked().len(), 1);
    server.answers(HttpAnswer::json(200, &issued("the-next", 600)));
    testing::advance(Duration::from_millis(569_999));
    assert_eq!(sent(&one, None).as_deref(), Ok("Bearer made-for-the-upstream"));
    testing::advance(Duration::from_millis(1));
    assert_eq!(sent(&one, None).as_deref(), Ok("Bearer the-next"));
    assert_eq!(asked().len(), 1);
}

#[test]
fn a_token_of_the_client_is_exchanged_and_never_goes_on_itself() {
    let server = Server::start();
    let plugin = configured(json!({ "grant": "token_exchange", "audience": "billing" }));
    let token = token();
    for _ in 0..3 {
        assert_eq!(sent(&plugin, Some(&token)).as_deref(), Ok("Bearer made-for-the-upstream"));
    }
    let sent_forms = asked();
    assert_eq!(sent_forms.len(), 1);
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    assert_eq!(
        sent_forms[0],
        format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={token}&subject_token_type={kind}\
             &requested_token_type={kind}&audience=billing"
        )
    );
    // Who has none sends none on.
    assert_eq!(sent(&plugin, None).as_deref(), Ok(""));
    // A bad one is not even shown to the server.
    assert_eq!((sent(&plugin, Some("bad")), asked().len()), (Err(401), 0));
    let other = || configured(json!({ "grant": "token_exchange", "audience": "other" }));
    for (status, error, told) in [
        (400, "invalid_target", 403),
        // Keycloak, where a policy says no.
        (403, "access_denied", 403),
        (422, "invalid_grant", 403),
        (401, "invalid_grant", 503),
        (429, "invalid_request", 503),
        (403, "unauthorized_client", 503),
        (500, "access_denied", 503),
    ] {
        server.answers(HttpAnswer::json(status, &json!({ "error": error })));
        assert_eq!(sent(&other(), Some(&token)), Err(told), "{status} {error}");
    }
    // Lives are written in more ways than one.
    server.answers(HttpAnswer::json(200, &json!({ "access_token": "exchanged", "token_type": "Bearer", "expires_in": "600" })));
    assert_eq!(sent(&other(), Some(&token)).as_deref(), Ok("Bearer exchanged"));
}

#[test]
fn a_server_that_is_of_no_use_sends_nothing_on() {
    let server = Server::start();
    let bad: [Result<HttpAnswer, HttpError>; 7] = [
        HttpError::Timeout.into(),
        HttpAnswer::new(500).into(),
        HttpAnswer::json(401, &json!({ "error": "invalid_client" })).into(),
        HttpAnswer::new(200).with_body("<html>").into(),
        HttpAnswer::json(200, &json!({ "access_token": "a\r\nx-admin: 1", "token_type": "Bearer" })).into(),
        HttpAnswer::json(200, &json!({ "access_token": "abc", "token_type": "DPoP" })).into(),
        HttpAnswer::json(200, &json!({ "access_token": "abc", "token_type": "Bearer", "expires_in": "soon" })).into(),
    ];
    for answer in bad {
        server.answers(answer);
        assert_eq!(sent(&configured(json!({ "grant": "client_credentials" })), None), Err(503));
        assert_eq!(sent(&configured(json!({ "grant": "token_exchange" })), Some(&token())), Err(503));
    }
}

#[test]
fn what_cannot_work_is_refused() {
    testing::set_secret("gateway", "secret");
    let refused = |config: &Value| testing::configure::<OAuth2>(config.clone()).err().unwrap_or_else(|| panic!("taken: {config}"));
    let mut without_client = config(json!({ "grant": "client_credentials" }));
    without_client.as_object_mut().unwrap().remove("client");
    let mut both = config(json!({ "grant": "client_credentials" }));
    both["forward_token"] = true.into();
    for (config, why) in [
        (without_client, "`upstream_token`: `client` is missing"),
        (both, "`upstream_token` and `forward_token`"),
        (config(json!({ "grant": "password" })), "unknown variant `password`"),
        (config(json!({})), "missing field `grant`"),
        (config(json!({ "grant": "client_credentials", "url": "http://id.example.com/token" })), "secrets go there over https"),
    ] {
        assert!(refused(&config).contains(why), "{config}: {}", refused(&config));
    }
    testing::grant_hosts(&["other.example.com"]);
    for (more, why) in [
        (json!({}), "`upstream_token`: `url` = \"https://id.example.com/token\": it is asked"),
        (json!({ "url": null }), "`upstream_token`: `issuer` = \"https://id.example.com\": it is asked"),
        (json!({ "url": null, "issuer": "https://b.example.com" }), "add `grants.http-client.hosts = [\"b.example.com\"]`"),
    ] {
        let mut wanted = json!({ "grant": "client_credentials" });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(refused(&config(wanted.clone())).contains(why), "{wanted}: {}", refused(&config(wanted.clone())));
    }
    assert!(testing::configure::<OAuth2>(config(json!({ "grant": "client_credentials", "url": "https://other.example.com/" }))).is_ok());
    testing::deny("kv");
    assert!(refused(&config(json!({ "grant": "client_credentials" }))).contains("add `kv = {}`"));
}
