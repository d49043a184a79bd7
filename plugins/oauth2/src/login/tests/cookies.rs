//! What becomes of `Cookie`, which a client may fill as it likes.

use std::time::Duration;

use plugway_sdk::testing::{self, HttpAnswer, json};
use plugway_sdk::{Decision, Flow, header};

use super::scene::{Browser, Server, access_token, configured};

fn with_token(line: &str) -> testing::Request {
    testing::Request::get("/").header(header::AUTHORIZATION, format!("Bearer {}", access_token(60))).header(header::COOKIE, line)
}

#[test]
fn the_gateways_own_go_and_all_else_stays_as_it_was_written() {
    let _server = Server::start();
    let plugin = configured();
    for (sent, kept) in [
        ("a=1; __Host-plugway=x; b=2", Some("a=1; b=2")),
        ("__Host-plugway=x; b=2", Some("b=2")),
        ("a=1;__Host-plugway-1=x;b=2;c=3", Some("a=1;b=2;c=3")),
        ("__Host-plugway-2=x; __Host-plugway-login-AbC_12-x=y; __Host-plugway-login-00000000", None),
        (
            "__Host-plugway-login=x; __Host-plugway=x; __Host-plugway-login-AbC_12-=x; __Host-plugway-login-AbC_12-xy=x; __Host-plugway-login-AbC.12-x=x",
            Some(
                "__Host-plugway-login=x; __Host-plugway-login-AbC_12-=x; __Host-plugway-login-AbC_12-xy=x; __Host-plugway-login-AbC.12-x=x",
            ),
        ),
        (" ; __Host-plugway = x ;", None),
        (
            "a=1;;; __Host-plugway-3=x; __Host-plugway-=x; __Host-plugwa=x",
            Some("a=1;;; __Host-plugway-3=x; __Host-plugway-=x; __Host-plugwa=x"),
        ),
        ("__Host-plugway-01=x; plugway=y; __host-plugway=z", Some("__Host-plugway-01=x; plugway=y; __host-plugway=z")),
        (";;;;", Some(";;;;")),
    ] {
        let mut request = with_token(sent).build();
        assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)), "{sent}");
        assert_eq!(request.header_str(header::COOKIE).as_deref(), kept, "{sent}");
    }
}

#[test]
fn more_cookies_than_can_be_set_again_are_the_clients_fault_and_only_beside_a_session() {
    let server = Server::start();
    let plugin = configured();
    let many = format!("a={}", "x".repeat(40_000));
    let mut request = with_token(&many).build();
    assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));
    assert_eq!(request.header_str(header::COOKIE), Some(many.clone()));
    // The most that fits grows no longer by what is taken out of it.
    let mut request = with_token(&format!("__Host-plugway=x;{}", "a;".repeat(16_000))).build();
    assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));

    let beside = format!("__Host-plugway=x; {many}");
    let mut request = with_token(&beside).build();
    let Decision::Respond(answer) = plugin.authorize(&mut request).unwrap() else { panic!("let in") };
    assert_eq!(answer.status(), 431);
    let mut request = with_token(&beside).build();
    let Flow::Respond(answer) = plugin.on_request(&mut request).unwrap() else { panic!("let in") };
    assert_eq!(answer.status(), 431);

    // What was renewed meanwhile is the browser's all the same.
    let mut browser = Browser::default();
    browser.log_in(&plugin, &server, "/");
    testing::advance(Duration::from_secs(580));
    let token = access_token(600);
    server.answers(HttpAnswer::json(200, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600 })));
    let pairs: Vec<String> = browser.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut request = testing::Request::get("/").header(header::COOKIE, format!("{}; {many}", pairs.join("; "))).build();
    let Decision::Respond(answer) = plugin.authorize(&mut request).unwrap() else { panic!("let in") };
    assert_eq!(answer.status(), 431);
    assert!(testing::response_headers(&request).iter().any(|line| line.name == "set-cookie" && line.value.starts_with(b"__Host-plugway=")));
}
