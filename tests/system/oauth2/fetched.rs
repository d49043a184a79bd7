//! Keys that the gateway finds and fetches itself, at a real server that rotates them, talks rubbish, is slow and dies.

use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use super::server::{Server, machine};
use crate::common::{start, two_workers, until_logged};
use crate::guest::{config, get, route, seen};

/// Two workers that know of the server nothing but its name.
fn gateway(server: &Server, upstream: &Upstream) -> Gateway {
    let auth = format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}}, http-client = {} }}\n[plugins.auth.config]\nissuer = \"{}\"\n\
         audience = \"urn:orders\"\nclaims_as_headers = {{ \"x-user\" = \"sub\" }}\n",
        server.grant(),
        server.provider.issuer()
    );
    start(&two_workers(&config(upstream, &[&auth, &route("plugins = [\"auth\"]")])))
}

fn ask(gateway: &Gateway, token: &str) -> plugway_harness::raw::RawResponse {
    get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))])
}

const METADATA: &str = "GET /.well-known/openid-configuration";

#[test]
fn keys_are_found_and_fetched_once_for_all_workers() {
    let (server, upstream) = (Server::start(&[machine("shop")]), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    assert_eq!(server.provider.answered("GET /jwks"), 0, "nothing is fetched before a token needs it");
    // What carries no token needs no keys.
    assert_eq!(get(gateway.address("web").unwrap(), "/", &[]).status, 401);
    assert_eq!(server.provider.answered(METADATA), 0);
    let tokens: Vec<_> = (0..8).map(|_| server.token("shop", "scope=orders:read")).collect();
    std::thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(|| {
                for _ in 0..8 {
                    let answer = ask(&gateway, token);
                    assert_eq!(seen(&answer, "x-user").as_deref(), Some("shop"));
                }
            });
        }
    });
    assert_eq!((server.provider.answered(METADATA), server.provider.answered("GET /jwks")), (1, 1), "{}", server.provider.said());
    // One that signs right after the set was fetched is known with its first token.
    server.provider.rotate().unwrap();
    let new = server.token("shop", "scope=orders:read");
    assert!((0..8).all(|_| ask(&gateway, &new).status == 200), "{}", gateway.log().text());
    assert_eq!(server.provider.answered("GET /jwks"), 2, "{}", server.provider.said());
    // A key that nobody has is asked for, a little, and hundreds of them are no more.
    let (head, rest) = tokens[0].split_once('.').unwrap();
    let head = String::from_utf8(base64_decoded(head)).unwrap();
    let id = serde_json::from_str::<serde_json::Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned();
    let began = Instant::now();
    for number in 0..300 {
        let forged = format!("{}.{rest}", base64_encoded(head.replace(&id, &format!("../../{number}")).as_bytes()));
        assert_eq!(ask(&gateway, &forged).status, 401);
    }
    let (fetched, seconds) = (server.provider.answered("GET /jwks"), began.elapsed().as_secs());
    // Once a second, and each worker twice out of turn, and once more in thirty seconds.
    assert!(fetched as u64 <= 2 + 4 + 1 + seconds + seconds / 15, "{fetched} in {seconds} s");
    assert_eq!(ask(&gateway, &tokens[0]).status, 200);
    server.assert_issued(tokens.len() + 1, 0);
    server.assert_content();
}

#[test]
fn a_server_that_talks_rubbish_breaks_hangs_or_dies_lets_nobody_in_and_those_it_signed_for_go_on() {
    let (mut server, upstream) = (Server::start(&[machine("shop")]), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let known = server.token("shop", "scope=orders:read");
    let again = server.token("shop", "scope=orders:read");
    // Before there is any key: for how long nobody knows, so the client is told to come again.
    server.provider.behave("/jwks", "rubbish", Duration::ZERO).unwrap();
    let refused = ask(&gateway, &known);
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}", refused.text());
    server.provider.behave("/jwks", "well", Duration::ZERO).unwrap();
    crate::common::until("the keys are there", || ask(&gateway, &known).status == 200);
    crate::common::until("on both workers", || (0..8).all(|_| ask(&gateway, &known).status == 200));

    for how in ["rubbish", "broken", "delayed"] {
        // Longer than a call has.
        server.provider.behave("/jwks", how, Duration::from_secs(10)).unwrap();
        server.provider.rotate().unwrap();
        let unknown = server.token("shop", "scope=orders:read");
        // The set may be of this second, which each worker asks for again only so often.
        crate::common::until("nobody can say", || {
            let refused = ask(&gateway, &unknown);
            assert!(refused.status == 503 || refused.status == 401, "{how}: {}", refused.text());
            refused.status == 503 && refused.header("retry-after").is_some()
        });
        assert_eq!((ask(&gateway, &known).status, ask(&gateway, &again).status), (200, 200), "{how}");
    }
    // Two that passed, and one for each trouble.
    server.assert_issued(5, 0);
    server.assert_content();
    server.provider.kill();
    assert_eq!((ask(&gateway, &known).status, ask(&gateway, &again).status), (200, 200));
    until_logged(&gateway, "the keys of ");
}

#[test]
fn a_token_that_passed_ends_with_its_key() {
    let (server, upstream) = (Server::start(&[machine("shop")]), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let known = server.token("shop", "scope=orders:read");
    crate::common::until("both workers know it", || (0..8).all(|_| ask(&gateway, &known).status == 200));
    server.provider.withdraw().unwrap();
    // Nobody has heard of it yet. The first token of the new key brings the new set, and that is the end of what the old one signed.
    assert_eq!(ask(&gateway, &known).status, 200);
    let new = server.token("shop", "scope=orders:read");
    crate::common::until("the new key is known", || (0..8).all(|_| ask(&gateway, &new).status == 200));
    crate::common::until("the old one is nobody's", || (0..8).all(|_| ask(&gateway, &known).status == 401));
    until_logged(&gateway, "why=unknown-key");
    // By an instance, too, that was asked for the new key in vain a moment ago.
    crate::common::until("the new one still is", || (0..8).all(|_| ask(&gateway, &new).status == 200));
    server.assert_issued(2, 0);
    server.assert_content();
}

pub(super) fn base64_decoded(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn base64_encoded(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
