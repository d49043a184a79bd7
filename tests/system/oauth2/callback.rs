//! Where a login comes back to, with what somebody made of a real server's answer: a clear refusal, no session, nothing let in, and not a word of it to
//! the server.

use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;

use super::login::{APP, Browser, gateway, server};
use super::server::Server;
use crate::common::until_logged;

/// How often the token endpoint was asked.
fn asked(server: &Server) -> usize {
    server.provider.received("POST /token")
}

/// Goes there with a copy of the browser, which must get nothing of it.
fn refused(browser: &Browser, url: &str, status: u16) -> RawResponse {
    let mut copy = browser.clone();
    let answer = copy.ask("GET", url, "");
    let shown = &url[..url.len().min(200)];
    assert_eq!((answer.status, answer.header("location").is_some()), (status, false), "{shown}: {}", answer.text());
    assert!(answer.text().contains("Nobody was logged in.") && answer.text().len() < 500, "{shown}: {}", answer.text());
    assert!(!copy.cookies.keys().any(|(site, name)| site == APP && !name.contains("-login")), "{shown}: {:?}", copy.cookies);
    // Nor does it get any further by it.
    assert_eq!(copy.ask("GET", &format!("{APP}/orders"), "").status, 302, "{shown}");
    answer
}

#[test]
fn what_is_no_answer_of_the_server_logs_nobody_in_and_is_not_asked_about() {
    let (server, upstream) = (server(600), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let callback = format!("{APP}/callback");
    // Two people on their way, each up to the answer of the server.
    let (mut browser, mut other) = (Browser::new(&server, &gateway), Browser::new(&server, &gateway));
    let (good, _) = browser.log_in_until(&format!("{APP}/orders?page=2"), "ann", &callback);
    let (others, _) = other.log_in_until(&format!("{APP}/orders"), "eve", &callback);
    let part = |url: &str, name: &str| {
        let value = url.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned));
        value.unwrap_or_else(|| panic!("no {name} in {url}"))
    };
    let (code, state) = (part(&good, "code"), part(&good, "state"));
    let (head, last) = state.split_at(state.len() - 1);
    let tampered = format!("{head}{}", if last == "A" { "B" } else { "A" });
    let long = "A".repeat(12_000);
    // The state is wrong in one way each, and the code is good.
    for query in [
        format!("?code={code}"),
        format!("?code={code}&state"),
        format!("?code={code}&state="),
        format!("?code={code}&state={tampered}"),
        format!("?code={code}&state={head}"),
        format!("?code={code}&state={state}{long}"),
        format!("?code={code}&state={long}"),
        format!("?code={code}&state={state}%00"),
        format!("?code={code}&state={state}%0d%0aset-cookie:%20__Host-plugway=x"),
        format!("?code={code}&state={}", part(&others, "state")),
        format!("?code={code}&state={state}&state={state}"),
        format!("?code={code}&state={state}&state={tampered}"),
        format!("?code={code}&state={tampered}&state={state}"),
        "?error=access_denied".to_owned(),
        format!("?error=access_denied&state={tampered}"),
        String::new(),
    ] {
        refused(&browser, &format!("{callback}{query}"), 400);
    }
    refused(&browser, &others, 400);
    // The code is wrong, and the state good.
    for query in [
        format!("?state={state}"),
        format!("?state={state}&code="),
        format!("?state={state}&code={code}&code={code}"),
        format!("?state={state}&code={code}%00"),
        format!("?state={state}&code={code}%0d%0ahost:%20evil"),
        format!("?state={state}&code={long}"),
        format!("?state={state}&code={code}&error=access_denied"),
    ] {
        refused(&browser, &format!("{callback}{query}&iss={}", part(&good, "iss")), 400);
    }
    // Both are good, and it is another server's answer or nobody's: this one says that its own name it.
    for query in [format!("?state={state}&code={code}&iss=https://evil.example.com"), format!("?state={state}&code={code}")] {
        refused(&browser, &format!("{callback}{query}"), 400);
    }
    assert_eq!(asked(&server), 0, "{}", server.provider.said());
    assert_eq!(upstream.requests(), 0);

    // None of that ended the login.
    let before = browser.clone();
    let (url, answer) = browser.follow_until(&good, "nowhere");
    assert_eq!((url, answer.status), (format!("{APP}/orders?page=2"), 200), "{}\n{}", answer.text(), server.provider.said());
    assert_eq!((asked(&server), server.provider.events("grant.success"), upstream.requests()), (1, 1, 1), "{}", server.provider.said());
    // Its state is used: for a copy of the browser as it was, on whichever worker, and for the browser itself.
    for _ in 0..4 {
        refused(&before, &good, 400);
    }
    until_logged(&gateway, "a login was refused: its state was used before");
    assert_eq!(browser.ask("GET", &good, "").status, 400);
    assert_eq!((asked(&server), server.provider.events("grant.error")), (1, 0), "{}", server.provider.said());
    assert_eq!(server.provider.events("authorization.success"), 2, "{}", server.provider.said());
}

#[test]
fn somebody_who_changes_their_mind_at_the_server_is_told_that_nobody_was_logged_in() {
    let (server, upstream) = (server(600), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let mut browser = Browser::new(&server, &gateway);
    let (page, _) = browser.follow_until(&format!("{APP}/orders"), "nowhere");
    let (back, _) = browser.follow_until(&format!("{page}/abort"), &format!("{APP}/callback"));
    assert!(back.contains("error=access_denied") && back.contains("state="), "{back}");
    assert_eq!(server.provider.events("authorization.error"), 1, "{}", server.provider.said());
    let answer = refused(&browser, &back, 403);
    let cleared = String::from_utf8_lossy(answer.header("set-cookie").unwrap()).into_owned();
    assert!(cleared.starts_with("__Host-plugway-login-") && cleared.contains("=; Path=/; Max-Age=0"), "the login is over: {cleared}");
    until_logged(&gateway, "a login was refused by the server: access_denied");
    assert_eq!((asked(&server), upstream.requests()), (0, 0), "{}", server.provider.said());
}
