//! Who may end a session.

use plugway_sdk::testing::{self, json};
use plugway_sdk::{Decision, header};

use super::scene::{Browser, Server, config};
use crate::OAuth2;

#[test]
fn another_site_logs_nobody_out_and_neither_does_a_browser_that_fetches_ahead() {
    let server = Server::start();
    for place in ["cookie", "kv"] {
        let plugin = testing::configure::<OAuth2>(config(json!({ "sessions": place }))).unwrap();
        let mut browser = Browser::default();
        browser.log_in(&plugin, &server, "/");
        let leave = |browser: &Browser, said: &[(&'static str, &str)]| {
            let pairs: Vec<String> = browser.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = testing::Request::get("/logout").header(header::ACCEPT, "text/html").header(header::COOKIE, pairs.join("; "));
            let mut request = said.iter().fold(request, |request, (name, value)| request.header(*name, *value)).build();
            let Decision::Respond(answer) = plugin.authorize(&mut request).unwrap() else { panic!("let in") };
            answer
        };
        for said in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-user", "?1")],
            &[("sec-fetch-site", "same-origin"), ("sec-purpose", "prefetch")],
            &[("sec-fetch-site", "none"), ("sec-purpose", "prefetch;prerender")],
        ] {
            let answer = leave(&browser, said);
            assert_eq!((answer.status().0, answer.header(header::SET_COOKIE)), (403, None), "{place} {said:?}");
            assert_eq!(browser.go(&plugin, "/").unwrap_err(), "ann", "{place} {said:?}");
        }
        for site in ["same-origin", "same-site", "none"] {
            let mut other = Browser::default();
            other.log_in(&plugin, &server, "/");
            assert_eq!(leave(&other, &[("sec-fetch-site", site)]).status(), 303, "{place} {site}");
        }
    }
}
