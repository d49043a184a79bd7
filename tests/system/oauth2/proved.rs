//! Tokens that oidc-provider bound to a client's key: their proofs are good once, with a nonce of the gateway, on whichever connection and worker; and
//! two such servers are the issuers of one route.

use std::sync::atomic::{AtomicUsize, Ordering};

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;
use serde_json::json;

use super::server::{SECRET, Server, machine};
use super::{Holder, TIME_FOR_P521};
use crate::common::{BINARY, metric, two_workers, until, until_logged};
use crate::guest::{config, get, route, seen};
use crate::issuer::Issuer;

fn holder() -> Holder {
    Holder { key: Issuer::new(), origin: "http://example.com".to_owned() }
}

/// A token that the server bound to the holder's key, by a proof that was made for the server, which takes each once, too.
fn bound(server: &Server, holder: &Holder, id: &str, form: &str) -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let for_server = json!({ "htm": "POST", "htu": format!("{}/token", server.provider.issuer()), "ath": null });
    let proof = holder.proof("", &format!("for the server {number}"), for_server);
    server.token_with(id, form, &[("dpop", &proof)], None)
}

/// Two workers; `issuers` is who is believed.
fn gateway(upstream: &Upstream, servers: &[&Server], issuers: &str, more: &str) -> Gateway {
    let launch = Launch::new(BINARY).unwrap();
    launch.file("secret", SECRET).unwrap();
    launch.file("nonces", "0123456789abcdef0123456789abcdef").unwrap();
    let hosts: Vec<_> = servers.iter().map(|server| server.provider.issuer()).collect();
    let auth = format!(
        "[secrets.gateway]\nfile = \"secret\"\n[secrets.nonces]\nfile = \"nonces\"\n[plugins.auth]\nsource = \"builtin:oauth2\"\n\
         grants = {{ crypto = {{}}, kv = {{}}, secrets = [\"gateway\"], keys = [\"nonces\"], http-client = {{ hosts = {hosts:?}, addresses = [\"127.0.0.1/32\"] }} }}\n\
         {TIME_FOR_P521}[plugins.auth.config]\n{issuers}\nscopes = [\"orders:read\"]\nclaims_as_headers = {{ \"x-user\" = \"sub\", \"x-issuer\" = \"iss\" }}\n{more}\n"
    );
    launch.start(&two_workers(&config(upstream, &[&auth, &route("plugins = [\"auth\"]")]))).unwrap()
}

/// One request on a connection of its own.
fn ask(gateway: &Gateway, scheme: &str, token: &str, proof: &str) -> RawResponse {
    get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("{scheme} {token}")), ("dpop", proof)])
}

/// The same, and which worker took it.
fn ask_and_see(gateway: &Gateway, token: &str, proof: &str) -> (RawResponse, usize) {
    let counts = || ["worker=\"0\"", "worker=\"1\""].map(|worker| metric(gateway, "plugway_worker_requests_total", &[worker]));
    let before = counts();
    let answer = ask(gateway, "DPoP", token, proof);
    let after = counts();
    (answer, (0..2).find(|worker| after[*worker] > before[*worker]).unwrap())
}

#[test]
fn a_proof_for_a_real_servers_token_is_good_once_and_with_a_nonce_on_whichever_worker() {
    let gateway_client = machine("gateway");
    let (server, upstream) = (Server::start(&[machine("shop"), gateway_client]), Upstream::plain("up").unwrap());
    let issuers = format!("issuer = \"{}\"\naudience = [\"urn:orders\", \"urn:orders:opaque\"]", server.provider.issuer());
    let more =
        "client = { id = \"gateway\", secret = \"gateway\" }\nintrospection = {}\ndpop = { required = true, nonce_key = \"nonces\" }";
    let gateway = gateway(&upstream, &[&server], &issuers, more);
    let holder = holder();
    let mut passed = 0;
    // What the keys of the server say, and what it says itself when it is asked.
    for form in ["scope=orders:read", "scope=orders:read&resource=urn:orders:opaque"] {
        let token = bound(&server, &holder, "shop", form);
        let refused = ask(&gateway, "DPoP", &token, &holder.proof(&token, "no nonce", json!({})));
        let challenge = String::from_utf8_lossy(refused.header("www-authenticate").unwrap()).into_owned();
        assert!(refused.status == 401 && challenge.contains("error=\"use_dpop_nonce\""), "{form}: {challenge}");
        let nonce = String::from_utf8_lossy(refused.header("dpop-nonce").unwrap()).into_owned();
        let proof = |id: &str| holder.proof(&token, &format!("{form} {id}"), json!({ "nonce": nonce }));

        // Used where one worker saw it, it is used up where the other does.
        let used = proof("used");
        let (first, worker) = ask_and_see(&gateway, &token, &used);
        assert_eq!(seen(&first, "x-user").as_deref(), Some("shop"));
        passed += 1;
        let elsewhere = (0..200).any(|_| {
            let (again, other) = ask_and_see(&gateway, &token, &used);
            assert_eq!(again.status, 401, "{form}: {}", again.text());
            other != worker
        });
        assert!(elsewhere, "the other worker got none of 200 connections");
        // Of many at one moment one passes.
        let at_once = proof("at once");
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| ask(&gateway, "DPoP", &token, &at_once).status)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        passed += 1;
        // A nonce is good for as many proofs as there are, and somebody else's key for none.
        for number in 0..8 {
            assert_eq!(ask(&gateway, "DPoP", &token, &proof(&number.to_string())).status, 200);
            passed += 1;
        }
        let thief = Holder { key: Issuer::new(), origin: holder.origin.clone() };
        assert_eq!(ask(&gateway, "DPoP", &token, &thief.proof(&token, "stolen", json!({ "nonce": nonce }))).status, 401);
        assert_eq!(ask(&gateway, "Bearer", &token, &proof("as a bearer")).status, 401);
        let forged = holder.proof(&token, "forged nonce", json!({ "nonce": nonce.chars().rev().collect::<String>() }));
        assert_eq!(ask(&gateway, "DPoP", &token, &forged).status, 401);
    }
    // One that the server bound to nothing is none here.
    let free = server.token("shop", "scope=orders:read");
    assert_eq!(ask(&gateway, "Bearer", &free, "").status, 401);
    assert_eq!(upstream.requests(), passed, "nothing refused went further");
    for why in ["why=proof-nonce", "why=proof-used", "why=wrong-proof-key", "why=bound", "why=not-bound-to-key"] {
        until_logged(&gateway, why);
    }
    server.assert_issued(2, 1);
    server.assert_content();
    assert_eq!(server.provider.answered("GET /jwks"), 1, "{}", server.provider.said());
}

#[test]
fn two_real_servers_are_the_issuers_of_one_route_each_for_its_own_tokens() {
    let (mut one, two) = (Server::start(&[machine("shop")]), Server::signing_by(&[machine("kiosk")], "ES512"));
    let upstream = Upstream::plain("up").unwrap();
    let of = |server: &Server, algorithm: &str| {
        format!("{{ issuer = \"{}\", audience = \"urn:orders\", algorithms = [\"{algorithm}\"] }}", server.provider.issuer())
    };
    let issuers = format!("issuers = [{}, {}]", of(&one, "RS256"), of(&two, "ES512"));
    let gateway = gateway(&upstream, &[&one, &two], &issuers, "dpop = { algorithms = [\"EdDSA\"] }");
    let holder = holder();
    let (shops, kiosks) = (bound(&one, &holder, "shop", "scope=orders:read"), bound(&two, &holder, "kiosk", "scope=orders:read"));
    for round in 0..4 {
        for (server, token, name) in [(&one, &shops, "shop"), (&two, &kiosks, "kiosk")] {
            let answer = ask(&gateway, "DPoP", token, &holder.proof(token, &format!("{name} {round}"), json!({})));
            assert_eq!(seen(&answer, "x-user").as_deref(), Some(name), "{}", answer.text());
            assert_eq!(seen(&answer, "x-issuer").as_deref(), Some(server.provider.issuer()));
        }
    }
    // A proof is for one token, whoever issued it; a token is of one server, whatever it says of itself.
    assert_eq!(ask(&gateway, "DPoP", &kiosks, &holder.proof(&shops, "for the other", json!({}))).status, 401);
    let [head, _, signature] = shops.split('.').collect::<Vec<_>>().try_into().unwrap();
    let swapped = format!("{head}.{}.{signature}", kiosks.split('.').nth(1).unwrap());
    assert_eq!(ask(&gateway, "DPoP", &swapped, &holder.proof(&swapped, "swapped", json!({}))).status, 401);
    for why in ["why=proof-token", "why=algorithm"] {
        until_logged(&gateway, why);
    }
    // Each has keys of its own, fetched once and rotated by itself.
    two.provider.rotate().unwrap();
    let rotated = bound(&two, &holder, "kiosk", "scope=orders:read");
    let mut tries = 0;
    // Keys that are not a second old are not asked for again.
    until("the new key is known", || {
        tries += 1;
        ask(&gateway, "DPoP", &rotated, &holder.proof(&rotated, &format!("rotated {tries}"), json!({}))).status == 200
    });
    let fetched = |server: &Server| server.provider.answered("GET /jwks");
    assert_eq!((fetched(&one), fetched(&two)), (1, 2), "{}\n{}", one.provider.said(), two.provider.said());
    // Where one is away, the other's tokens are as good as ever, and its own that are known.
    one.assert_issued(1, 0);
    one.assert_content();
    one.provider.kill();
    let late = bound(&two, &holder, "kiosk", "scope=orders:read");
    for token in [&late, &shops] {
        // An instance that was asked for the new key in vain looks for it no earlier than a moment later.
        until("it is good", || {
            tries += 1;
            ask(&gateway, "DPoP", token, &holder.proof(token, &format!("late {tries}"), json!({}))).status == 200
        });
    }
    two.assert_issued(3, 0);
    two.assert_content();
    assert_eq!(upstream.requests(), 8 + 3);
}
