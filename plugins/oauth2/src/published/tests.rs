//! Keys from a server of the double, through the whole plugin.

mod unknown;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::http_client::AnswerSource;
use plugway_sdk::testing::{self, HttpAnswer, SentRequest, json};
use plugway_sdk::{AuthError, Decision, HttpError, Status, clock, header, keys};
use serde_json::Value;

use crate::OAuth2;

const ISSUER: &str = "https://id.example.com";
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// RFC 8037, appendix A, and another: `kid` is the name of the key in the double.
const KEYS: [(&str, &str, &str); 2] = [
    ("old", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
    ("new", "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"),
];

fn set(names: &[&str]) -> Value {
    let public = KEYS.iter().filter(|(name, ..)| names.contains(name));
    let keys: Vec<Value> =
        public.map(|(name, _, x)| json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": name, "use": "sig" })).collect();
    json!({ "keys": keys })
}

fn token(key: &str) -> String {
    token_named(key, key)
}

/// Signed by one key, in the name of another.
fn token_named(key: &str, id: &str) -> String {
    for (name, d, x) in KEYS {
        testing::set_key(name, json!({ "kty": "OKP", "crv": "Ed25519", "d": d, "x": x }).to_string());
    }
    let head = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": id });
    let claims = json!({ "iss": ISSUER, "aud": "orders", "sub": "ann", "exp": NOW.as_secs() + 1_000_000 });
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(keys::sign(key, "EdDSA", signed.as_bytes()).unwrap()))
}

/// What the server publishes, and how it is; before it the gateway's cache, with what it got when.
#[derive(Clone)]
struct Server {
    answer: Rc<RefCell<Result<HttpAnswer, HttpError>>>,
    cache: Rc<RefCell<Option<(HttpAnswer, Duration)>>>,
    asked: Rc<Cell<usize>>,
    /// Whether what it answers is a set.
    is_well: Rc<Cell<bool>>,
    fresh: Duration,
    /// How old what it answers is already.
    age: Rc<Cell<Duration>>,
}

/// How long a set is fresh.
const FRESH: Duration = Duration::from_secs(300);

impl Server {
    fn start(names: &[&str]) -> Self {
        Self::fresh_for(names, FRESH)
    }

    fn fresh_for(names: &[&str], fresh: Duration) -> Self {
        testing::set_now(NOW);
        let server = Self {
            answer: Rc::new(RefCell::new(Ok(HttpAnswer::json(200, &set(names))))),
            cache: Rc::default(),
            asked: Rc::default(),
            is_well: Rc::new(Cell::new(true)),
            fresh,
            age: Rc::default(),
        };
        let shared = server.clone();
        testing::serve_http(move |request: &SentRequest| match request.url.as_str() {
            "https://id.example.com/.well-known/openid-configuration" => {
                Ok(HttpAnswer::json(200, &json!({ "issuer": ISSUER, "jwks_uri": "https://id.example.com/keys" })))
            }
            "https://id.example.com/keys" => shared.keys(request.max_age.unwrap_or(shared.fresh)),
            _ => Ok(HttpAnswer::new(404)),
        });
        server
    }

    fn publish(&self, names: &[&str]) {
        self.answer(HttpAnswer::json(200, &set(names)));
        self.is_well.set(true);
    }

    fn answer(&self, answer: impl Into<Result<HttpAnswer, HttpError>>) {
        *self.answer.borrow_mut() = answer.into();
        self.is_well.set(false);
    }

    fn lies_elsewhere_for(&self, age: Duration) {
        self.age.set(age);
    }

    fn keys(&self, most_age: Duration) -> Result<HttpAnswer, HttpError> {
        if let Some((answer, made)) = &*self.cache.borrow() {
            let age = clock::now().saturating_sub(*made);
            // With no age at all the server is asked, as the contract has it.
            if age < self.fresh && age <= most_age && !most_age.is_zero() {
                return Ok(answer.clone().from_cache(AnswerSource::Cache, age).fresh_for(self.fresh - age));
            }
        }
        self.ask()
    }

    fn ask(&self) -> Result<HttpAnswer, HttpError> {
        self.asked.set(self.asked.get() + 1);
        let answer = self.answer.borrow().clone()?;
        if self.is_well.get() {
            *self.cache.borrow_mut() = Some((answer.clone(), clock::now().saturating_sub(self.age.get())));
        }
        let age = self.age.get();
        let answer = if age.is_zero() { answer } else { answer.from_cache(AnswerSource::Server, age) };
        Ok(answer.fresh_for(self.fresh.saturating_sub(age)))
    }

    /// How often it was asked since this was asked last.
    fn asked(&self) -> usize {
        self.asked.take()
    }
}

fn configured() -> testing::Configured<OAuth2> {
    testing::configure(json!({ "issuer": ISSUER, "audience": "orders" })).unwrap()
}

fn decide(plugin: &testing::Configured<OAuth2>, token: &str) -> Result<u16, AuthError> {
    let mut request = testing::Request::get("/").header(header::AUTHORIZATION, format!("Bearer {token}")).build();
    plugin.authorize(&mut request).map(|decision| match decision {
        Decision::Allow(_) => 200,
        Decision::Respond(answer) => answer.status().0,
        Decision::AllowBy(_) | Decision::Abstain => 0,
    })
}

/// How often the key set was fetched since this was asked last.
fn fetched() -> usize {
    testing::take_http_requests().iter().filter(|request| request.url.ends_with("/keys")).count()
}

#[test]
fn nothing_is_fetched_before_a_token_needs_it_and_once_is_enough() {
    let _server = Server::start(&["old"]);
    let (plugin, other) = (configured(), configured());
    assert_eq!(testing::take_http_requests(), []);
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    let sent = testing::take_http_requests();
    assert_eq!(sent.len(), 2);
    assert!(sent[0].url.ends_with("/.well-known/openid-configuration") && sent[1].url.ends_with("/keys"));
    assert_eq!((sent[1].max_age, sent[1].default_freshness), (Some(Duration::from_secs(3600)), Duration::from_secs(300)));
    assert!(sent[1].shared && sent[1].stale_if_error >= Duration::from_secs(3600) && sent[1].max_body_bytes.is_some());
    // Another place of the instance has them too.
    assert_eq!((decide(&other, &token("old")), fetched()), (Ok(200), 0));
}

#[test]
fn a_key_that_is_new_at_the_server_is_known_with_its_first_token() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!((decide(&plugin, &token("old")), server.asked()), (Ok(200), 1));
    testing::advance(Duration::from_secs(20));
    server.publish(&["new", "old"]);
    assert_eq!(decide(&plugin, &token("new")), Ok(200));
    assert_eq!((decide(&plugin, &token("old")), server.asked()), (Ok(200), 1));
}

#[test]
fn a_token_that_is_known_ends_with_the_key_it_was_checked_with() {
    let server = Server::start(&["new", "old"]);
    let plugin = configured();
    let checked = || testing::instrument("token_checks_total").unwrap().sum(&["passed"]);
    assert_eq!((decide(&plugin, &token("old")), fetched()), (Ok(200), 1));
    // Nobody brings anything new, so nobody asks: what is known asks a minute later. A set that is the same is the same.
    testing::advance(Duration::from_secs(359));
    assert_eq!((decide(&plugin, &token("old")), fetched(), checked()), (Ok(200), 0, 1.0));
    testing::advance(Duration::from_secs(1));
    assert_eq!((decide(&plugin, &token("old")), fetched(), checked()), (Ok(200), 1, 1.0));
    // Nobody can say what a server that is away has taken back; that it is asked costs a known token no more than the question.
    server.answer(HttpAnswer::new(500));
    testing::advance(Duration::from_secs(360));
    assert_eq!((decide(&plugin, &token("old")), fetched(), checked()), (Ok(200), 1, 1.0));
    // Another key has come: each token is checked once more.
    server.publish(&["old"]);
    testing::advance(Duration::from_secs(100));
    assert_eq!((decide(&plugin, &token("old")), decide(&plugin, &token("old")), fetched(), checked()), (Ok(200), Ok(200), 1, 2.0));
    // One that the server took back is good for as long as the set is fresh, and no longer.
    server.publish(&["new"]);
    testing::advance(Duration::from_secs(359));
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    testing::advance(Duration::from_secs(1));
    for _ in 0..2 {
        assert_eq!(decide(&plugin, &token("old")), Ok(401));
    }
    // Nor does it come back by having been good once.
    assert_eq!(crate::remembered::kept().0, 0);
    assert_eq!(decide(&plugin, &token("new")), Ok(200));
}

#[test]
fn a_token_of_one_issuer_asks_for_no_keys_of_another() {
    let _server = Server::start(&["old"]);
    let issuers = json!([{ "issuer": ISSUER }, { "issuer": "https://away.example.com" }]);
    let plugin = testing::configure(json!({ "audience": "orders", "issuers": issuers })).unwrap();
    for _ in 0..3 {
        assert_eq!(decide(&plugin, &token("old")), Ok(200));
        assert_eq!(decide(&plugin, "x"), Ok(401));
        testing::advance(Duration::from_secs(400));
    }
    let sent = testing::take_http_requests();
    assert!(sent.len() >= 3 && sent.iter().all(|request| request.url.starts_with(ISSUER)), "{sent:?}");
}

#[test]
fn a_set_that_says_it_is_fresh_for_days_is_asked_for_by_the_hour() {
    let server = Server::fresh_for(&["old"], Duration::from_secs(172_800));
    let plugin = configured();
    for _ in 0..3_000 {
        assert_eq!(decide(&plugin, &token("old")), Ok(200));
        testing::advance(Duration::from_secs(1));
    }
    assert_eq!(server.asked(), 1);
    server.publish(&["new"]);
    testing::advance(Duration::from_secs(660));
    // Not from the cache, though it is fresh there; and twice more out of turn, for a key that is gone.
    assert_eq!((decide(&plugin, &token("old")), server.asked()), (Ok(401), 3));
    // Nor is it given up because it is old there.
    for _ in 0..60 {
        testing::advance(Duration::from_secs(3_600));
        assert_eq!(decide(&plugin, &token("new")), Ok(200));
    }
}

#[test]
fn the_last_good_keys_count_while_the_server_is_away_or_talks_rubbish() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    let bad: [Result<HttpAnswer, HttpError>; 6] = [
        HttpAnswer::new(500).into(),
        HttpError::Timeout.into(),
        HttpAnswer::new(200).with_body("{\"keys\": [{\"kty\":").into(),
        HttpAnswer::json(200, &json!({ "keys": [] })).into(),
        HttpAnswer::json(200, &json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] })).into(),
        HttpAnswer::json(200, &json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": KEYS[1].2, "d": KEYS[1].1 }] })).into(),
    ];
    for answer in bad {
        server.answer(answer);
        testing::advance(Duration::from_secs(3601));
        fetched();
        // Not remembered: another place of the same instance.
        assert_eq!(decide(&configured(), &token("old")), Ok(200));
        assert!(matches!(decide(&plugin, &token("new")), Err(AuthError::Unavailable(Some(1..=10)))), "nobody can say");
        assert_eq!(fetched(), 1, "it is left alone for a while");
        testing::advance(Duration::from_secs(10));
        assert_eq!((decide(&configured(), &token("old")), fetched()), (Ok(200), 1));
    }
    server.publish(&["new"]);
    testing::advance(Duration::from_secs(10));
    assert_eq!(decide(&plugin, &token("new")), Ok(200));
}

#[test]
fn without_any_keys_nobody_passes_and_the_client_is_told_to_come_again() {
    let server = Server::start(&["old"]);
    server.answer(HttpError::NotConnected("refused".to_owned()));
    let plugin = configured();
    assert!(matches!(decide(&plugin, &token("old")), Err(AuthError::Unavailable(Some(1..=10)))));
    // What needs no keys is answered as ever.
    assert_eq!(decide(&plugin, "nonsense"), Ok(401));
    server.publish(&["old"]);
    testing::advance(Duration::from_secs(10));
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
}

#[test]
fn metadata_in_the_name_of_another_or_that_leads_over_http_is_not_believed() {
    testing::set_now(NOW);
    for document in [
        json!({ "issuer": "https://evil.example.com", "jwks_uri": "https://id.example.com/keys" }),
        json!({ "issuer": "https://id.example.com/", "jwks_uri": "https://id.example.com/keys" }),
        json!({ "issuer": ISSUER, "jwks_uri": "http://id.example.com/keys" }),
        json!({ "issuer": ISSUER }),
        json!([]),
    ] {
        testing::serve_http(move |request: &SentRequest| {
            assert!(request.url.contains("/.well-known/"), "{}", request.url);
            Ok(HttpAnswer::json(200, &document))
        });
        let plugin = configured();
        assert!(matches!(decide(&plugin, &token("old")), Err(AuthError::Unavailable(_))));
    }
}

#[test]
fn metadata_may_be_where_rfc_8414_has_it() {
    testing::set_now(NOW);
    testing::serve_http(|request: &SentRequest| match request.url.as_str() {
        "https://id.example.com/.well-known/oauth-authorization-server/tenant" => {
            Ok(HttpAnswer::json(200, &json!({ "issuer": "https://id.example.com/tenant", "jwks_uri": "https://keys.example.net/set" })))
        }
        "https://keys.example.net/set" => Ok(HttpAnswer::json(200, &set(&["old"]))),
        _ => Ok(HttpAnswer::new(Status(404))),
    });
    let plugin = testing::configure::<OAuth2>(json!({ "issuer": "https://id.example.com/tenant", "audience": "orders" })).unwrap();
    // Its tokens are for another issuer, which is only asked once the signature is good.
    assert_eq!(decide(&plugin, &token("old")), Ok(401));
    assert_eq!(testing::take_http_requests().len(), 3);
}

#[test]
fn the_address_of_the_set_may_be_written() {
    let _server = Server::start(&["old"]);
    let config = json!({ "issuer": ISSUER, "audience": "orders", "jwks": { "url": "https://id.example.com/keys" } });
    let plugin = testing::configure::<OAuth2>(config).unwrap();
    assert_eq!((decide(&plugin, &token("old")), testing::take_http_requests().len()), (Ok(200), 1));
}

#[test]
fn what_cannot_be_fetched_is_refused() {
    let refused = |config: Value| testing::configure::<OAuth2>(config.clone()).err().unwrap_or_else(|| panic!("taken: {config}"));
    for (config, why) in [
        (json!({ "issuer": "my-issuer", "audience": "orders" }), "is no https URL, so nothing can be found under it; write `jwks`"),
        (json!({ "issuer": "https://id.example.com/?a", "audience": "orders" }), "is no https URL"),
        (json!({ "issuer": ISSUER, "audience": "orders", "jwks": { "url": "http://id.example.com/keys" } }), "keys are fetched over https"),
        (json!({ "issuer": ISSUER, "audience": "orders", "jwks": { "url": 1 } }), "keys are fetched over https"),
    ] {
        assert!(refused(config.clone()).contains(why), "{config}: {}", refused(config.clone()));
    }
    testing::deny("http-client");
    let refused = refused(json!({ "issuer": ISSUER, "audience": "orders" }));
    assert!(refused.contains("jwks = { file = \"jwks.json\" }") && refused.contains("http-client = { hosts"), "{refused}");
}

#[test]
fn whoever_is_asked_has_to_be_in_the_grant_and_nobody_else() {
    let refused = |config: Value| testing::configure::<OAuth2>(config.clone()).err().unwrap_or_else(|| panic!("taken: {config}"));
    testing::grant_hosts(&["keys.example.net", "http://127.0.0.1:4000"]);
    let keys_of = |issuer: &str, url: &str| json!({ "issuer": issuer, "audience": "orders", "jwks": { "url": url } });
    for good in [keys_of(ISSUER, "https://keys.example.net/set"), json!({ "issuer": "http://127.0.0.1:4000", "audience": "orders" })] {
        assert!(testing::configure::<OAuth2>(good.clone()).is_ok(), "{good}");
    }
    for (config, why) in [
        (
            json!({ "issuer": ISSUER, "audience": "orders" }),
            "`issuer` = \"https://id.example.com\": it is asked, and the plugin's grant `http-client` does not allow that \
             (https://id.example.com at port 443): add `grants.http-client.hosts = [\"id.example.com\"]`, or the upstream whose endpoint it is, \
             `grants.http-client.upstreams = [\"NAME\"]`",
        ),
        (
            keys_of("names", "https://keys.example.net:8443/set"),
            "`jwks.url` = \"https://keys.example.net:8443/set\": it is asked, and the plugin's grant `http-client` does not allow that \
             (https://keys.example.net at port 8443): add `grants.http-client.hosts = [\"keys.example.net:8443\"]`, or",
        ),
        (
            keys_of("names", "http://127.0.0.1:4001/set"),
            "hosts = [\"http://127.0.0.1:4001\"]`, with `addresses = [\"127.0.0.1\"]` beside it",
        ),
        (
            json!({ "audience": "orders", "issuers": [{ "issuer": "http://127.0.0.1:4000" }, { "issuer": ISSUER }] }),
            "`issuers[1]`: `issuer` = \"https://id.example.com\": it is asked",
        ),
        (
            keys_of("names", &format!("https://keys.example.net/{}", "a".repeat(8 << 10))),
            "not a request that can be made: the URL has more",
        ),
    ] {
        assert!(refused(config.clone()).contains(why), "{config}: {}", refused(config.clone()));
    }
}

#[test]
fn that_it_could_not_be_asked_says_nothing_of_the_server() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    testing::advance(Duration::from_secs(20));
    server.answer(HttpError::TooManyCalls);
    assert_eq!(decide(&plugin, &token("new")), Err(AuthError::Unavailable(Some(1))));
    server.publish(&["new", "old"]);
    assert_eq!(decide(&plugin, &token("new")), Ok(200), "at once, and not ten seconds later");
}
