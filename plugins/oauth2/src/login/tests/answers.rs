//! What a browser may be made to bring back: every wrong answer is told so, makes no session, and nothing of it reaches the server.

use plugway_sdk::testing::{self, HttpAnswer, json};
use plugway_sdk::{AuthError, LocalResponse, header, kv};
use serde_json::Value;

use super::scene::{Browser, ISSUER, Server, config, configured, sent_to, signed};
use crate::OAuth2;

type Plugin = testing::Configured<OAuth2>;

/// A browser in the middle of a login, and its `state`.
fn begun(plugin: &Plugin, server: &Server) -> (Browser, String) {
    let mut browser = Browser::default();
    let query = sent_to(&browser.go(plugin, "/orders").unwrap());
    server.gives(&query["nonce"], 600, json!({}));
    testing::take_http_requests();
    (browser, query["state"].clone())
}

/// What a copy of the browser is answered, which must be no session, nothing that was asked of the server and no word of why; and what the log has of it.
fn told(plugin: &Plugin, browser: &Browser, query: &str) -> (u16, String) {
    let mut copy = browser.clone();
    testing::take_logs();
    let answer = copy.go(plugin, &format!("/callback{query}")).unwrap_or_else(|subject| panic!("{query}: let in as {subject}"));
    assert_eq!(testing::take_http_requests(), [], "{query}");
    assert!(!copy.0.contains_key("__Host-plugway"), "{query}: a session");
    assert_eq!(answer.header(header::LOCATION), None, "{query}");
    assert_eq!(answer.header_str(header::CACHE_CONTROL), Some("no-store"), "{query}");
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((&body["title"], &body["detail"]), (&json!("Nobody was logged in."), &json!("Please begin again.")), "{query}");
    let logs = testing::take_logs();
    let [(_, line)] = logs.as_slice() else { panic!("{query}: {logs:?}") };
    assert!(line.len() < 200 && !line.contains('\n'), "{query}: {line}");
    (answer.status().0, line.clone())
}

fn finish(plugin: &Plugin, browser: &mut Browser, state: &str) -> LocalResponse {
    browser.go(plugin, &format!("/callback?code=abc&state={state}")).unwrap()
}

#[test]
fn a_login_that_brings_a_token_for_somebody_with_a_key_ends_there() {
    let server = Server::start();
    let plugin = configured();
    for cnf in [json!({ "jkt": "A".repeat(43) }), json!({ "x5t#S256": "A".repeat(43) })] {
        let mut browser = Browser::default();
        let query = sent_to(&browser.go(&plugin, "/orders").unwrap());
        let now = plugway_sdk::clock::now().as_secs();
        let token = signed("at+jwt", &json!({ "iss": ISSUER, "aud": "shop", "sub": "ann", "exp": now + 600, "cnf": cnf }));
        let id = signed("JWT", &json!({ "iss": ISSUER, "aud": "gateway", "sub": "ann", "nonce": query["nonce"], "exp": now + 60 }));
        server.answers(HttpAnswer::json(200, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600, "id_token": id })));
        // Not to the page, which would send it back to log in, and so on.
        let answer = finish(&plugin, &mut browser, &query["state"]);
        assert_eq!(
            (answer.status().0, answer.header(header::LOCATION), browser.0.contains_key("__Host-plugway")),
            (401, None, false),
            "{cnf}"
        );
    }
}

#[test]
fn a_state_that_is_not_this_logins_is_refused_before_anything_is_asked() {
    let server = Server::start();
    let plugin = configured();
    let (_, other) = begun(&plugin, &server);
    let (mut browser, state) = begun(&plugin, &server);
    let (head, last) = state.split_at(state.len() - 1);
    let tampered = format!("{head}{}", if last == "A" { "B" } else { "A" });
    let not_begun = "it was not begun by this browser, or too long ago";
    let unreadable = "what came back is no answer of a server";
    for (query, why) in [
        (String::new(), not_begun),
        ("?".to_owned(), not_begun),
        ("?code=abc".to_owned(), not_begun),
        ("?code=abc&state".to_owned(), not_begun),
        ("?code=abc&state=".to_owned(), not_begun),
        (format!("?code=abc&STATE={state}"), not_begun),
        (format!("?code=abc#state={state}"), not_begun),
        (format!("?code=abc&state={other}"), not_begun),
        (format!("?code=abc&state={tampered}"), not_begun),
        (format!("?code=abc&state={head}"), not_begun),
        (format!("?code=abc&state={state}A"), not_begun),
        (format!("?code=abc&state={state}%00"), not_begun),
        (format!("?code=abc&state=%20{state}"), not_begun),
        (format!("?code=abc&state={state}+"), not_begun),
        (format!("?code=abc&state={state}%0d%0aset-cookie:%20a=b"), not_begun),
        (format!("?code=abc&state={}", state.to_ascii_lowercase()), not_begun),
        (format!("?code=abc&state={}", "A".repeat(60_000)), not_begun),
        (format!("?code=abc&state={state}{}", "A".repeat(60_000)), not_begun),
        ("?code=abc&state=%ff%fe".to_owned(), not_begun),
        ("?code=abc&state=%".to_owned(), not_begun),
        ("?error=access_denied".to_owned(), not_begun),
        ("?error=access_denied&error_description=%3Cscript%3E&state=guessed".to_owned(), not_begun),
        (format!("?code=abc&state={state}&state={state}"), unreadable),
        (format!("?code=abc&state={state}&state=x"), unreadable),
        (format!("?code=abc&state=x&state={state}"), unreadable),
        (format!("?code=abc&state={state}&st%61te=x"), unreadable),
    ] {
        let (status, text) = told(&plugin, &browser, &query);
        assert!(status == 400 && text.contains(why) && !text.contains("script"), "{query}: {status} {text}");
    }
    // Nobody else can end the login with such a link: it goes on.
    assert_eq!(finish(&plugin, &mut browser, &state).status(), 302);
    assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
}

#[test]
fn a_code_that_is_none_is_refused_before_anything_is_asked() {
    let server = Server::start();
    let plugin = configured();
    for (query, status, why) in [
        ("".to_owned(), 400, "is no answer of a server"),
        ("&code".to_owned(), 400, "is no answer of a server"),
        ("&code=".to_owned(), 400, "is no answer of a server"),
        ("&code=a&code=b".to_owned(), 400, "is no answer of a server"),
        ("&code=a&c%6fde=a".to_owned(), 400, "is no answer of a server"),
        ("&code=a&error=access_denied".to_owned(), 400, "is no answer of a server"),
        ("&error=a&error=b".to_owned(), 400, "is no answer of a server"),
        ("&code=a%00b".to_owned(), 400, "is no answer of a server"),
        ("&code=a%0d%0aHost:%20evil".to_owned(), 400, "is no answer of a server"),
        ("&code=%c3%bc".to_owned(), 400, "is no answer of a server"),
        ("&code=%ff".to_owned(), 400, "is no answer of a server"),
        (format!("&code={}", "c".repeat(4_097)), 400, "is no answer of a server"),
        (format!("&code={}", "c".repeat(60_000)), 400, "is no answer of a server"),
        (format!("&code=a&iss={ISSUER}&iss={ISSUER}"), 400, "is no answer of a server"),
        ("&code=a&iss=https://evil.example.com".to_owned(), 400, "is from another issuer"),
        (format!("&code=a&iss={ISSUER}/"), 400, "is from another issuer"),
        ("&code=a&iss=".to_owned(), 400, "is from another issuer"),
        ("&error=access_denied".to_owned(), 403, "by the server: "),
        ("&error=".to_owned(), 403, "by the server: "),
        (
            "&error=a%0aWARN+gateway:+you+were+hacked&error_description=%3Cscript%3E&error_uri=https://evil".to_owned(),
            403,
            "by the server: a?WARN gateway: you were hacked",
        ),
    ] {
        let (browser, state) = begun(&plugin, &server);
        let (came, text) = told(&plugin, &browser, &format!("?state={state}{query}"));
        assert!(came == status && text.contains(why), "{query}: {came} {text}");
        assert!(!text.contains("evil") && !text.contains("script"), "{query}: {text}");
    }
}

#[test]
fn a_state_is_good_once_whoever_kept_its_cookie() {
    let server = Server::start();
    let plugin = configured();
    let (mut browser, state) = begun(&plugin, &server);
    let kept = browser.clone();
    assert_eq!(finish(&plugin, &mut browser, &state).status(), 302);
    testing::take_http_requests();
    // The browser has forgotten it; whoever has a copy of the cookie is no better off, here and on another worker.
    for (browser, why) in [(&browser.clone(), "not begun by this browser"), (&kept, "its state was used before")] {
        for plugin in [&plugin, &configured()] {
            let mut copy = browser.clone();
            copy.0.remove("__Host-plugway");
            let (status, text) = told(plugin, &copy, &format!("?code=abc&state={state}"));
            assert!(status == 400 && text.contains(why), "{text}");
        }
    }
}

#[test]
fn codes_that_are_none_take_no_room_from_those_who_log_in() {
    let server = Server::start();
    let plugin = configured();
    for status in [400, 401, 403] {
        let (mut browser, state) = begun(&plugin, &server);
        let kept = browser.clone();
        server.answers(HttpAnswer::json(status, &json!({ "error": "invalid_grant" })));
        assert_eq!(finish(&plugin, &mut browser, &state).status(), 403);
        assert!(browser.0.is_empty(), "the browser begins anew");
        assert_eq!(kv::get(&format!("login:{state}")), Ok(None));
        // The state was used all the same.
        testing::take_http_requests();
        let (status, text) = told(&plugin, &kept, &format!("?code=abc&state={state}"));
        assert!(status == 400 && text.contains("its state was used before"), "{status} {text}");
    }
}

#[test]
fn a_login_that_met_a_server_in_trouble_can_be_finished_when_it_is_back() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    let query = sent_to(&browser.go(&plugin, "/orders").unwrap());
    server.answers(HttpAnswer::new(502));
    let mut request = browser.request(&format!("/callback?code=abc&state={}", query["state"]));
    assert_eq!(plugin.authorize(&mut request).unwrap_err(), AuthError::Unavailable(Some(5)));
    server.gives(&query["nonce"], 600, json!({}));
    assert_eq!(finish(&plugin, &mut browser, &query["state"]).status(), 302);
}

#[test]
fn an_answer_that_does_not_say_whose_it_is_is_refused_where_the_servers_own_do() {
    let names_itself = |value: Value| json!({ "authorization_response_iss_parameter_supported": value });
    let server = Server::that_says(names_itself(true.into()));
    let plugin = configured();
    for query in ["code=abc", "error=access_denied"] {
        let (browser, state) = begun(&plugin, &server);
        let (status, text) = told(&plugin, &browser, &format!("?{query}&state={state}"));
        assert!(status == 400 && text.contains("does not say from which issuer"), "{query}: {status} {text}");
    }
    let (mut browser, state) = begun(&plugin, &server);
    assert_eq!(browser.go(&plugin, &format!("/callback?code=abc&state={state}&iss={ISSUER}")).unwrap().status(), 302);
    drop(plugin);
    for other in [names_itself(false.into()), names_itself("true".into())] {
        let server = Server::that_says(other.clone());
        let plugin = configured();
        let (mut browser, state) = begun(&plugin, &server);
        assert_eq!(finish(&plugin, &mut browser, &state).status(), 302, "{other}");
    }
}

#[test]
fn the_token_is_asked_for_the_resource_that_was_asked_for() {
    let server = Server::start();
    let plugin = testing::configure::<OAuth2>(config(json!({ "resource": "urn:shop" }))).unwrap();
    let mut browser = Browser::default();
    assert_eq!(sent_to(&browser.clone().go(&plugin, "/").unwrap())["resource"], "urn%3Ashop");
    browser.log_in(&plugin, &server, "/");
    testing::advance(std::time::Duration::from_secs(580));
    server.gives("", 600, json!({}));
    assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
    let sent = testing::take_http_requests().into_iter().filter(|request| request.url.ends_with("/token"));
    let forms: Vec<_> = sent.map(|request| String::from_utf8(request.body).unwrap()).collect();
    assert!(forms.len() == 2 && forms.iter().all(|form| form.ends_with("&resource=urn%3Ashop")), "{forms:?}");
}
