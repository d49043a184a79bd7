//! What comes of a refresh token, and how long it counts.

use std::time::Duration;

use plugway_sdk::testing::{self, HttpAnswer, json};
use plugway_sdk::{AuthError, HttpError};

use super::scene::{Browser, Server, access_token, configured};
use crate::OAuth2;

/// Refresh tokens that were sent since this was asked last.
fn sent() -> Vec<String> {
    let bodies = testing::take_http_requests().into_iter().map(|request| String::from_utf8(request.body).unwrap());
    bodies.filter_map(|body| Some(body.split_once("&refresh_token=")?.1.to_owned())).collect()
}

fn tokens(seconds: u64, refresh_token: &str) -> HttpAnswer {
    let token = access_token(seconds);
    HttpAnswer::json(200, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds, "refresh_token": refresh_token }))
}

/// Somebody whose access token has ended.
fn ended(plugin: &testing::Configured<OAuth2>, server: &Server) -> Browser {
    let mut browser = Browser::default();
    browser.log_in(plugin, server, "/");
    testing::advance(Duration::from_secs(601));
    browser
}

#[test]
fn a_refresh_token_that_is_good_for_nothing_ends_the_session_and_a_server_in_trouble_does_not() {
    let server = Server::start();
    let plugin = configured();
    for (status, error) in [
        (400, "invalid_grant"),
        (401, "invalid_grant"),
        (403, "invalid_grant"),
        (400, "interaction_required"),
        (400, "login_required"),
        (403, "consent_required"),
        (400, "invalid_request"),
        (400, "invalid_scope"),
        (400, "invalid_target"),
        (400, "unauthorized_client"),
        (401, "unauthorized_client"),
        (400, "unsupported_grant_type"),
    ] {
        let mut browser = ended(&plugin, &server);
        server.answers(HttpAnswer::json(status, &json!({ "error": error })));
        assert_eq!(browser.go(&plugin, "/").unwrap().status(), 302, "{status} {error}: log in again");
    }
    for (status, error) in
        [(401, "invalid_client"), (429, "invalid_grant"), (500, "invalid_grant"), (503, "login_required"), (400, "slow_down")]
    {
        let browser = ended(&plugin, &server);
        server.answers(HttpAnswer::json(status, &json!({ "error": error })));
        assert_eq!(plugin.authorize(&mut browser.request("/")).unwrap_err(), AuthError::Unavailable(Some(5)), "{status} {error}");
    }
}

#[test]
fn what_was_renewed_counts_for_others_as_long_as_its_token() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = ended(&plugin, &server);
    let before = browser.clone();
    server.answers(tokens(10, "refresh-2"));
    assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
    server.answers(HttpError::Timeout);
    testing::advance(Duration::from_secs(9));
    testing::take_http_requests();
    assert_eq!((before.clone().go(&plugin, "/").unwrap_err().as_str(), sent().len()), ("ann", 0));
    // It has ended: who comes with the first cookie has it renewed by what is unused.
    testing::advance(Duration::from_secs(1));
    server.answers(tokens(600, "refresh-3"));
    for expected in [&["refresh-2"][..], &[]] {
        assert_eq!(before.clone().go(&plugin, "/").unwrap_err(), "ann");
        assert_eq!(sent(), expected, "a server may end a session whose refresh token comes twice");
    }
    assert_eq!((browser.go(&plugin, "/").unwrap_err().as_str(), sent().len()), ("ann", 0));
}

#[test]
fn a_refresh_token_that_stays_the_same_is_used_again_when_what_came_of_it_has_ended() {
    let server = Server::start();
    let plugin = configured();
    let browser = ended(&plugin, &server);
    for seconds in [10, 20, 600] {
        server.answers(tokens(seconds, "refresh-1"));
        testing::take_http_requests();
        for expected in [&["refresh-1"][..], &[]] {
            assert_eq!(browser.clone().go(&plugin, "/").unwrap_err(), "ann");
            assert_eq!(sent(), expected, "{seconds}");
        }
        testing::advance(Duration::from_secs(seconds));
    }
}

#[test]
fn a_short_token_is_renewed_when_half_of_its_time_is_over_and_not_at_each_request() {
    let server = Server::start();
    let plugin = configured();
    let mut browser = ended(&plugin, &server);
    for (seconds, next) in [(20, "refresh-2"), (2, "refresh-3"), (58, "refresh-4"), (60, "refresh-5")] {
        server.answers(tokens(seconds, next));
        assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann");
        assert_eq!(sent().len(), 1, "{seconds}");
        server.answers(HttpError::Timeout);
        let rest = seconds / 2;
        for _ in 1..rest {
            testing::advance(Duration::from_secs(1));
            assert_eq!((browser.go(&plugin, "/").unwrap_err().as_str(), sent().len()), ("ann", 0), "{seconds}");
        }
        testing::advance(Duration::from_secs(1));
        // From then on it is tried, and is no matter while the token is good.
        assert_eq!((browser.go(&plugin, "/").unwrap_err().as_str(), sent().len()), ("ann", 1), "{seconds}");
        testing::advance(Duration::from_secs(rest));
    }
}
