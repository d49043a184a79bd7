//! A login at a server of the double, walked as a browser would, and what somebody else's browser could be made to do.

mod answers;
mod cookies;
mod leaving;
mod renewed;
mod scene;
mod several;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::crypto::{self, DigestAlgorithm};
use plugway_sdk::testing::{self, HttpAnswer, json};
use plugway_sdk::{AuthError, Decision, HttpError, header};
use serde_json::Value;

use crate::OAuth2;
use scene::{Browser, NOW, Server, access_token, config, configured, sent_to};

#[test]
fn a_browser_logs_in_once_and_comes_back_to_where_it_wanted_to_go() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    let answer = browser.go(&plugin, "/orders/1?page=2").unwrap();
    assert_eq!((answer.status().0, answer.header_str(header::CACHE_CONTROL)), (302, Some("no-store")));
    let query = sent_to(&answer);
    assert_eq!((query["response_type"].as_str(), query["client_id"].as_str(), query["scope"].as_str()), ("code", "gateway", "openid"));
    assert_eq!(query["redirect_uri"], "https%3A%2F%2Fapp.example.com%2Fcallback");
    assert_eq!((query["code_challenge_method"].as_str(), query["code_challenge"].len(), query["state"].len()), ("S256", 43, 22));

    server.gives(&query["nonce"], 600, json!({}));
    testing::take_http_requests();
    let back = browser.go(&plugin, &format!("/callback?code=a%2Bb&state={}", query["state"])).unwrap();
    assert_eq!((back.status().0, back.header_str(header::LOCATION)), (302, Some("/orders/1?page=2")));
    let form = String::from_utf8(testing::take_http_requests().pop().unwrap().body).unwrap();
    assert!(
        form.starts_with("grant_type=authorization_code&code=a%2Bb&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback&code_verifier="),
        "{form}"
    );
    let verifier = form.rsplit('=').next().unwrap();
    let digest = crypto::digest(DigestAlgorithm::Sha256, verifier.as_bytes()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(digest), query["code_challenge"]);

    for _ in 0..3 {
        assert_eq!(browser.go(&plugin, "/orders/1?page=2").unwrap_err(), "ann");
    }
    // Every worker, and every gateway with the same key, knows the session.
    assert_eq!(browser.go(&configured(), "/").unwrap_err(), "ann");
    assert_eq!(testing::take_http_requests(), []);
    // A code is good once: the login is over.
    assert_eq!(browser.go(&plugin, &format!("/callback?code=abc&state={}", query["state"])).unwrap().status(), 400);
}

#[test]
fn what_is_no_browser_is_told_that_it_needs_a_token() {
    let _server = Server::start();
    let plugin = configured();
    for request in [
        testing::Request::get("/").header(header::ACCEPT, "application/json"),
        testing::Request::get("/"),
        testing::Request::post("/").header(header::ACCEPT, "text/html"),
    ] {
        let Decision::Respond(answer) = plugin.authorize(&mut request.build()).unwrap() else { panic!() };
        assert_eq!(answer.status(), 401);
    }
    let mut bearing = testing::Request::get("/").header(header::AUTHORIZATION, format!("Bearer {}", access_token(60))).build();
    assert!(matches!(plugin.authorize(&mut bearing).unwrap(), Decision::Allow(_)));
}

#[test]
fn the_session_never_goes_to_the_upstream_whoever_let_the_request_pass() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    browser.log_in(&plugin, &server, "/");
    let cookies: Vec<String> = browser.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let with_session = || testing::Request::get("/").header(header::COOKIE, format!("theme=dark; {}", cookies.join("; ")));
    // A token came along.
    let mut request = with_session().header(header::AUTHORIZATION, format!("Bearer {}", access_token(60))).build();
    assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));
    assert_eq!(request.header_str(header::COOKIE).as_deref(), Some("theme=dark"));
    // Another authorizer was first.
    let mut request = with_session().build();
    plugin.on_request(&mut request).unwrap();
    assert_eq!(request.header_str(header::COOKIE).as_deref(), Some("theme=dark"));
}

#[test]
fn nobody_can_be_made_to_log_in_as_somebody_else() {
    let server = Server::start();
    let plugin = configured();
    // The attacker's own login, up to the code.
    let mut attacker = Browser::default();
    let query = sent_to(&attacker.go(&plugin, "/").unwrap());
    server.gives(&query["nonce"], 600, json!({}));
    let link = format!("/callback?code=abc&state={}", query["state"]);
    // Somebody follows his link, with no login begun, and with one of their own.
    assert_eq!(Browser::default().go(&plugin, &link).unwrap().status(), 400);
    let mut other = Browser::default();
    let own = sent_to(&other.go(&plugin, "/").unwrap());
    assert_eq!(other.go(&plugin, &link).unwrap().status(), 400);
    assert!(!other.0.keys().any(|name| name == "__Host-plugway"));
    // His code with their own state: the ID token is another login's.
    let refused = other.go(&plugin, &format!("/callback?code=abc&state={}", own["state"])).unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(crate::tests::why(&refused), "why=nonce");
    for (what, target) in [
        ("without a state", "/callback?code=abc".to_owned()),
        ("an answer of another server", format!("/callback?code=abc&state={}&iss=https://evil.example.com", query["state"])),
        ("an error", format!("/callback?error=access_denied&state={}", query["state"])),
    ] {
        let answer = attacker.clone().go(&plugin, &target).unwrap();
        assert!(answer.status().0 >= 400 && answer.header(header::LOCATION).is_none(), "{what}");
        assert!(!String::from_utf8_lossy(answer.body()).contains("evil"), "{what}");
    }
    // Ten minutes are enough.
    testing::advance(Duration::from_secs(600));
    assert_eq!(attacker.go(&plugin, &link).unwrap().status(), 400);
}

#[test]
fn an_id_token_of_another_kind_issuer_client_or_time_logs_nobody_in() {
    let server = Server::start();
    let plugin = configured();
    for changes in [
        json!({ "iss": "https://evil.example.com" }),
        json!({ "aud": "other" }),
        json!({ "aud": ["gateway", "other"] }),
        json!({ "aud": ["gateway", "other"], "azp": "other" }),
        json!({ "azp": "other" }),
        json!({ "exp": NOW.as_secs() - 60 }),
        json!({ "nonce": null }),
        json!({ "nonce": "" }),
    ] {
        let mut browser = Browser::default();
        let query = sent_to(&browser.go(&plugin, "/").unwrap());
        server.gives(&query["nonce"], 600, changes.clone());
        let answer = browser.go(&plugin, &format!("/callback?code=abc&state={}", query["state"])).unwrap();
        assert!(answer.status().0 == 401 && answer.header(header::SET_COOKIE).is_none(), "{changes}");
    }
    let mut browser = Browser::default();
    let query = sent_to(&browser.go(&plugin, "/").unwrap());
    server.gives(&query["nonce"], 600, json!({ "aud": ["gateway", "other"], "azp": "gateway" }));
    assert_eq!(browser.go(&plugin, &format!("/callback?code=abc&state={}", query["state"])).unwrap().status(), 302);
}

#[test]
fn a_login_comes_back_to_this_gateway_and_nowhere_else() {
    let server = Server::start();
    let plugin = configured();
    assert_eq!(Browser::default().log_in(&plugin, &server, "/a/b?c=https://evil.example.com"), "/a/b?c=https://evil.example.com");
    for raw in ["//evil.example.com", "//evil.example.com/%2e%2e", "/\\evil.example.com", "/\\/evil.example.com"] {
        let request = testing::Request::get("/").raw_path(raw).build();
        assert_eq!(super::target(&request), "/", "{raw}");
    }
    let long = testing::Request::get(&format!("/{}", "a".repeat(2_000))).build();
    assert_eq!(super::target(&long), "/");
}

#[test]
fn a_session_is_renewed_in_time_by_one_request_for_all() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    browser.log_in(&plugin, &server, "/");
    testing::advance(Duration::from_secs(569));
    testing::take_http_requests();
    assert_eq!((browser.go(&plugin, "/").unwrap_err().as_str(), testing::take_http_requests().len()), ("ann", 0));
    testing::advance(Duration::from_secs(1));
    // A server that is away is no reason to log in again while the token is good.
    server.answers(HttpError::Timeout);
    for asked in [1, 0] {
        // Nor to wait for it with each request.
        assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
        assert_eq!(testing::take_http_requests().iter().filter(|request| request.url.ends_with("/token")).count(), asked);
    }
    testing::advance(Duration::from_secs(10));
    server.answers(HttpAnswer::json(
        200,
        &json!({ "access_token": access_token(600), "token_type": "Bearer", "expires_in": 600, "refresh_token": "refresh-2" }),
    ));
    testing::take_http_requests();
    // The page and its pictures, with the same cookie, on two workers.
    let before = browser.clone();
    assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
    for plugin in [&plugin, &configured()] {
        assert_eq!(before.clone().go(plugin, "/picture").unwrap_err(), "ann");
    }
    let sent = testing::take_http_requests();
    assert_eq!(sent.len(), 1, "a refresh token may be good only once");
    assert_eq!(sent[0].body, b"grant_type=refresh_token&refresh_token=refresh-1");
    assert!(browser.0 != before.0);
    // The new session has the new refresh token.
    testing::advance(Duration::from_secs(600));
    server.answers(HttpAnswer::json(400, &json!({ "error": "invalid_grant" })));
    assert_eq!(browser.go(&plugin, "/").unwrap().status(), 302, "taken back: log in again");
    assert!(testing::take_http_requests().iter().any(|request| request.body.ends_with(b"refresh-2")));
}

#[test]
fn what_was_renewed_is_the_browsers_though_its_request_goes_no_further() {
    let server = Server::start();
    let mut closed = config(json!({}));
    closed["scopes"] = json!(["orders:write"]);
    let (plugin, closed) = (configured(), testing::configure::<OAuth2>(closed).unwrap());
    let mut browser = Browser::default();
    browser.log_in(&plugin, &server, "/");
    testing::advance(Duration::from_secs(570));
    server.answers(HttpAnswer::json(
        200,
        &json!({ "access_token": access_token(600), "token_type": "Bearer", "expires_in": 600, "refresh_token": "refresh-2" }),
    ));
    let mut request = browser.request("/");
    let Decision::Respond(answer) = closed.authorize(&mut request).unwrap() else { panic!("let in") };
    assert_eq!(answer.status().0, 403);
    let given = testing::response_headers(&request).into_iter();
    browser.keep(given.filter(|line| line.name == "set-cookie").map(|line| String::from_utf8(line.value).unwrap()));
    // When the note of the renewal is gone the browser still has what the server takes.
    testing::advance(Duration::from_secs(600));
    testing::take_http_requests();
    assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
    assert!(testing::take_http_requests().iter().any(|request| request.body.ends_with(b"refresh-2")));
}

#[test]
fn a_session_ends_when_it_ends_and_by_logout() {
    let server = Server::start();
    let plugin = testing::configure::<OAuth2>(config(json!({ "lifetime": "5m" }))).unwrap();
    let mut browser = Browser::default();
    browser.log_in(&plugin, &server, "/");
    assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
    let mut other = browser.clone();
    testing::advance(Duration::from_secs(300));
    assert_eq!(other.go(&plugin, "/").unwrap().status(), 302, "whatever the browser keeps");

    browser.log_in(&plugin, &server, "/");
    let left = browser.go(&plugin, "/logout").unwrap();
    let location = left.header_str(header::LOCATION).unwrap();
    assert_eq!(location, "https://id.example.com/end?client_id=gateway&post_logout_redirect_uri=https%3A%2F%2Fapp.example.com%2F");
    assert!(browser.0.is_empty());
    assert_eq!(browser.go(&plugin, "/").unwrap().status(), 302);
}

#[test]
fn a_session_in_kv_stays_at_the_gateway_and_ends_wherever_its_cookie_is() {
    let server = Server::start();
    let in_kv = || testing::configure::<OAuth2>(config(json!({ "sessions": "kv" }))).unwrap();
    let plugin = in_kv();
    let mut browser = Browser::default();
    browser.log_in(&plugin, &server, "/");
    let length: usize = browser.0.values().map(String::len).sum();
    assert!(browser.0.len() == 1 && length < 200, "{:?}", browser.0);
    assert_eq!(browser.go(&in_kv(), "/").unwrap_err(), "ann", "another worker knows it");
    // Renewed under the same name.
    let before = browser.0.clone();
    testing::advance(Duration::from_secs(580));
    server.gives("", 600, json!({}));
    testing::take_http_requests();
    for _ in 0..2 {
        assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
    }
    let renewals = testing::take_http_requests().iter().filter(|request| request.url.ends_with("/token")).count();
    assert_eq!((renewals, &browser.0), (1, &before));
    testing::advance(Duration::from_secs(500));
    assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann", "what was renewed is kept");

    let mut copy = browser.clone();
    assert_eq!(browser.go(&plugin, "/logout").unwrap().status(), 303);
    assert!(browser.0.is_empty());
    assert_eq!(copy.go(&plugin, "/").unwrap().status(), 302, "a copy of the cookie is worth nothing");
    // What the one place keeps the other cannot read.
    let mut other = Browser::default();
    other.log_in(&configured(), &server, "/");
    assert_eq!(other.go(&plugin, "/").unwrap().status(), 302);
    let mut third = Browser::default();
    third.log_in(&plugin, &server, "/");
    assert_eq!(third.go(&configured(), "/").unwrap().status(), 302);
}

#[test]
fn a_login_begins_a_session_of_its_own_whatever_cookie_was_there() {
    let server = Server::start();
    for place in ["cookie", "kv"] {
        let plugin = testing::configure::<OAuth2>(config(json!({ "sessions": place }))).unwrap();
        let mut attacker = Browser::default();
        attacker.log_in(&plugin, &server, "/");
        let planted = attacker.0.clone();
        // Somebody is on their way to the server when the attacker's session gets into their browser.
        let mut browser = Browser::default();
        let query = sent_to(&browser.go(&plugin, "/").unwrap());
        browser.0.extend(planted.clone());
        testing::advance(Duration::from_secs(1));
        server.gives(&query["nonce"], 600, json!({}));
        assert_eq!(browser.go(&plugin, &format!("/callback?code=abc&state={}", query["state"])).unwrap().status(), 302, "{place}");
        assert!(planted.iter().all(|(name, value)| browser.0.get(name) != Some(value)), "{place}: {:?}", browser.0);
        assert_eq!(attacker.0, planted);
        // What the attacker has is not theirs: it ends alone.
        assert_eq!(attacker.go(&plugin, "/logout").unwrap().status(), 303);
        assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann", "{place}");
    }
}

#[test]
fn a_cookie_that_was_made_or_changed_elsewhere_is_none() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    browser.log_in(&plugin, &server, "/");
    let good = browser.0["__Host-plugway"].clone();
    for bad in [String::new(), "AAAA".to_owned(), good.replace(&good[10..11], "~"), good[..good.len() - 4].to_owned(), access_token(600)] {
        let mut forged = Browser(BTreeMap::from([("__Host-plugway".to_owned(), bad.clone())]));
        assert_eq!(forged.go(&plugin, "/").unwrap().status(), 302, "{bad}");
    }
    // A login that was begun is no session, and a session of another client is none here.
    let mut begun = Browser::default();
    begun.go(&plugin, "/").unwrap();
    let mut mixed = Browser(BTreeMap::from([("__Host-plugway".to_owned(), begun.0.into_values().next().unwrap())]));
    assert_eq!(mixed.go(&plugin, "/").unwrap().status(), 302);
    let mut other = config(json!({}));
    other["client"]["id"] = "other".into();
    assert_eq!(browser.go(&testing::configure(other).unwrap(), "/").unwrap().status(), 302);
}

#[test]
fn a_server_that_is_of_no_use_logs_nobody_in() {
    let server = Server::start();
    let plugin = configured();
    let bad: [Result<HttpAnswer, HttpError>; 5] = [
        HttpError::Timeout.into(),
        HttpAnswer::new(500).into(),
        HttpAnswer::json(401, &json!({ "error": "invalid_client" })).into(),
        HttpAnswer::new(200).with_body("<html>").into(),
        HttpAnswer::json(200, &json!({ "access_token": "a b", "token_type": "Bearer" })).into(),
    ];
    for answer in bad {
        let mut browser = Browser::default();
        let query = sent_to(&browser.go(&plugin, "/").unwrap());
        server.answers(answer);
        let mut request = browser.request(&format!("/callback?code=abc&state={}", query["state"]));
        assert_eq!(plugin.authorize(&mut request).unwrap_err(), AuthError::Unavailable(Some(5)));
    }
    // A token that does not pass here ends in an answer, and not in a circle.
    let mut narrow = config(json!({}));
    narrow["audience"] = "another".into();
    let narrow = testing::configure::<OAuth2>(narrow).unwrap();
    let mut browser = Browser::default();
    let query = sent_to(&browser.go(&narrow, "/").unwrap());
    server.gives(&query["nonce"], 600, json!({}));
    assert_eq!(browser.go(&narrow, &format!("/callback?code=abc&state={}", query["state"])).unwrap().status(), 401);
}

#[test]
fn what_opens_doors_or_cannot_work_is_refused() {
    let _server = Server::start();
    let refused = |config: &Value| testing::configure::<OAuth2>(config.clone()).err().unwrap_or_else(|| panic!("taken: {config}"));
    for (login, why) in [
        (json!({ "redirect": "https://*.example.com/callback" }), "a wildcard would let codes go"),
        (json!({ "redirect": "https://app.example.com/*" }), "a wildcard would let codes go"),
        (json!({ "redirect": "http://app.example.com/callback" }), "write an https URL"),
        (json!({ "redirect": "https://app.example.com/callback?a" }), "write an https URL"),
        (json!({ "redirect": "https://app.example.com" }), "with a path of its own"),
        (json!({ "key": "other" }), "`key` is the name of a `[secrets.NAME]`, and the plugin was granted none of that name"),
        (json!({ "key": "issuer" }), "signs and does not seal"),
        (json!({ "scopes": ["profile"] }), "has no \"openid\""),
        (json!({ "cookie": "a b" }), "`cookie` = \"a b\""),
        (json!({ "logout": "/callback" }), "where logins come back to"),
        (json!({ "logout": "/%63allback" }), "where logins come back to"),
        (json!({ "after_logout": "//evil.example.com" }), "write a path of this gateway"),
        (json!({ "after_logout": "https://evil.example.com" }), "write a path of this gateway"),
        (json!({ "typo": 1 }), "unknown field `typo`"),
    ] {
        let config = config(login);
        assert!(refused(&config).contains(why), "{config}: {}", refused(&config));
    }
    for (key, value, why) in [
        ("optional", json!(true), "`login`, and `optional`"),
        ("anonymous", json!({}), "`login`, and `optional`"),
        ("require_certificate", json!(true), "a browser has no key to prove"),
        ("client", Value::Null, "`client` is missing"),
    ] {
        let mut config = config(json!({}));
        config[key] = value;
        assert!(refused(&config).contains(why), "{key}: {}", refused(&config));
    }
    testing::grant_hosts(&["app.example.com"]);
    let told = refused(&config(json!({})));
    assert!(told.contains("`login`: `issuer` = \"https://id.example.com\": it is asked"), "{told}");
}
