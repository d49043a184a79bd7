//! A server of the double, and a browser.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::testing::{self, HttpAnswer, SentRequest, json};
use plugway_sdk::{Decision, HttpError, LocalResponse, Request, header, keys};
use serde_json::Value;

use crate::OAuth2;

pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const NOW: Duration = Duration::from_secs(1_800_000_000);
/// RFC 8037, appendix A.
pub(super) const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
pub(super) const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

pub(super) fn signed(kind: &str, claims: &Value) -> String {
    let head = json!({ "alg": "EdDSA", "typ": kind });
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(keys::sign("issuer", "EdDSA", text.as_bytes()).unwrap()))
}

pub(super) fn access_token(seconds: u64) -> String {
    let now = plugway_sdk::clock::now().as_secs();
    signed("at+jwt", &json!({ "iss": ISSUER, "aud": "shop", "sub": "ann", "scope": "openid", "exp": now + seconds, "jti": now }))
}

/// What the token endpoint answers, made when it is asked.
#[derive(Clone)]
pub(super) struct Server(Rc<RefCell<Result<HttpAnswer, HttpError>>>);

impl Server {
    pub(super) fn start() -> Self {
        Self::that_says(json!({}))
    }

    /// With more in what it says of itself.
    pub(super) fn that_says(more: Value) -> Self {
        testing::set_now(NOW);
        testing::set_secret("gateway", "secret");
        testing::set_key("session", "0123456789abcdef0123456789abcdef");
        testing::set_key("issuer", json!({ "kty": "OKP", "crv": "Ed25519", "d": PRIVATE, "x": PUBLIC }).to_string());
        let server = Self(Rc::new(RefCell::new(Err(HttpError::Timeout))));
        let shared = server.clone();
        let mut metadata = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://id.example.com/auth?tenant=1", "token_endpoint": "https://id.example.com/token",
            "end_session_endpoint": "https://id.example.com/end",
        });
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        testing::serve_http(move |request: &SentRequest| match request.url.as_str() {
            "https://id.example.com/.well-known/openid-configuration" => Ok(HttpAnswer::json(200, &metadata)),
            "https://id.example.com/token" => shared.0.borrow().clone(),
            other => panic!("asked for {other}"),
        });
        server
    }

    /// Tokens for this login, the access token good for so long, with changes of the ID token.
    pub(super) fn gives(&self, nonce: &str, seconds: u64, changes: Value) {
        let mut claims =
            json!({ "iss": ISSUER, "aud": "gateway", "sub": "ann", "nonce": nonce, "exp": plugway_sdk::clock::now().as_secs() + 60 });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.answers(HttpAnswer::json(
            200,
            &json!({
                "access_token": access_token(seconds), "token_type": "Bearer", "expires_in": seconds, "refresh_token": "refresh-1",
                "id_token": signed("JWT", &claims),
            }),
        ));
    }

    pub(super) fn answers(&self, answer: impl Into<Result<HttpAnswer, HttpError>>) {
        *self.0.borrow_mut() = answer.into();
    }
}

pub(super) fn config(login: Value) -> Value {
    let mut all = json!({ "redirect": "https://app.example.com/callback", "key": "session", "logout": "/logout" });
    all.as_object_mut().unwrap().extend(login.as_object().unwrap().clone());
    json!({
        "issuer": ISSUER, "audience": "shop", "client": { "id": "gateway", "secret": "gateway" }, "login": all,
        "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC }] },
    })
}

pub(super) fn configured() -> testing::Configured<OAuth2> {
    testing::configure(config(json!({}))).unwrap()
}

/// A browser with its cookies.
#[derive(Default, Clone)]
pub(super) struct Browser(pub(super) BTreeMap<String, String>);

impl Browser {
    pub(super) fn request(&self, target: &str) -> Request<'static> {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = testing::Request::get(target).header(header::ACCEPT, "text/html,*/*;q=0.8");
        if pairs.is_empty() { request.build() } else { request.header(header::COOKIE, format!("theme=dark; {}", pairs.join("; "))).build() }
    }

    pub(super) fn keep(&mut self, lines: impl Iterator<Item = String>) {
        for line in lines {
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(attributes.contains("; HttpOnly; SameSite=Lax; Secure") && attributes.contains("Path=/;"), "{line}");
            assert!(name.starts_with("__Host-"), "{line}");
            if attributes.contains("Max-Age=0;") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(super) fn go(&mut self, plugin: &testing::Configured<OAuth2>, target: &str) -> Result<LocalResponse, String> {
        let mut request = self.request(target);
        match plugin.authorize(&mut request).unwrap() {
            Decision::Respond(answer) => {
                self.keep(
                    answer
                        .headers()
                        .iter()
                        .filter(|line| line.name == "set-cookie")
                        .map(|line| String::from_utf8(line.value.clone()).unwrap()),
                );
                Ok(answer)
            }
            Decision::Allow(identity) => {
                let set: Vec<_> = testing::response_headers(&request).into_iter().filter(|line| line.name == "set-cookie").collect();
                self.keep(set.into_iter().map(|line| String::from_utf8(line.value).unwrap()));
                assert_eq!(request.header_str(header::COOKIE).as_deref(), Some("theme=dark"), "the upstream gets what is its own");
                Err(identity.subject())
            }
            Decision::AllowBy(_) | Decision::Abstain => unreachable!(),
        }
    }

    /// Logs in, and gives where it came back to.
    pub(super) fn log_in(&mut self, plugin: &testing::Configured<OAuth2>, server: &Server, target: &str) -> String {
        let query = sent_to(&self.go(plugin, target).unwrap());
        server.gives(&query["nonce"], 600, json!({}));
        let back = self.go(plugin, &format!("/callback?code=abc&state={}&iss={ISSUER}", query["state"])).unwrap();
        assert_eq!(back.status(), 302, "{:?}", String::from_utf8_lossy(back.body()));
        back.header_str(header::LOCATION).unwrap().to_owned()
    }
}

/// The query that a browser is sent to the server with.
pub(super) fn sent_to(answer: &LocalResponse) -> BTreeMap<String, String> {
    let location = answer.header_str(header::LOCATION).unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(answer.body())));
    let query = location.strip_prefix("https://id.example.com/auth?tenant=1&").unwrap_or_else(|| panic!("{location}"));
    query.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
