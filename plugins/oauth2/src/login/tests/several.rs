//! Pages that are opened at once, by a browser that nobody is logged in with.

use std::time::Duration;

use plugway_sdk::testing::{self, json};

use super::scene::{Browser, ISSUER, Server, configured, sent_to};

/// The answer of the server to the login that was begun with this `state`.
fn back(state: &str) -> String {
    format!("/callback?code=abc&state={state}&iss={ISSUER}")
}

fn begun(browser: &Browser) -> usize {
    browser.0.keys().filter(|name| name.starts_with("__Host-plugway-login-")).count()
}

#[test]
fn each_comes_back_to_where_it_was() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    // Two before there is any cookie, and one with those of both.
    let mut copy = browser.clone();
    let mut queries = vec![("/a?b=c", sent_to(&browser.go(&plugin, "/a?b=c").unwrap())), ("/d", sent_to(&copy.go(&plugin, "/d").unwrap()))];
    browser.0.extend(copy.0);
    queries.push(("/e", sent_to(&browser.go(&plugin, "/e").unwrap())));
    assert_eq!(begun(&browser), 3);
    // Whichever is answered first.
    for (to, query) in queries.iter().rev() {
        server.gives(&query["nonce"], 600, json!({}));
        let answer = browser.go(&plugin, &back(&query["state"])).unwrap();
        assert_eq!(answer.header_str(plugway_sdk::header::LOCATION), Some(*to));
    }
    assert_eq!((begun(&browser), browser.go(&plugin, "/").unwrap_err().as_str()), (0, "ann"));
    // None is good for another, nor once more.
    for (_, query) in &queries {
        assert_eq!(browser.go(&plugin, &back(&query["state"])).unwrap().status(), 400);
    }
}

#[test]
fn one_that_is_refused_ends_alone() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    let first = sent_to(&browser.go(&plugin, "/a").unwrap());
    let second = sent_to(&browser.go(&plugin, "/b").unwrap());
    // The second with what belongs to the first.
    server.gives(&first["nonce"], 600, json!({}));
    assert_eq!(browser.go(&plugin, &back(&second["state"])).unwrap().status(), 401);
    assert_eq!(browser.go(&plugin, &format!("/callback?error=access_denied&state={}", second["state"])).unwrap().status(), 403);
    assert_eq!(begun(&browser), 1);
    testing::advance(Duration::from_secs(1));
    assert_eq!(browser.go(&plugin, &back(&first["state"])).unwrap().status(), 302);
}

#[test]
fn a_page_that_asks_again_and_again_leaves_few_cookies() {
    let _server = Server::start();
    let plugin = configured();
    let mut browser = Browser::default();
    for number in 0..40 {
        let _ = browser.go(&plugin, "/").unwrap();
        assert_eq!(begun(&browser), number % 8 + 1);
    }
    // Whatever a client sends of them, it is answered by no more lines than those.
    let forged = (0..1_000).map(|number| (format!("__Host-plugway-login-{number:08}"), "x".to_owned()));
    let mut forged = Browser(forged.collect());
    let answer = forged.go(&plugin, "/").unwrap();
    assert_eq!(answer.headers().iter().filter(|line| line.name == "set-cookie").count(), 9);
}
