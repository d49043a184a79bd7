//! Why a request was refused: for the operator, in the gateway's log and by `plugway why`. The client is told its error code, and nothing of which
//! check it was.

use std::process::Command;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::otlp::Receiver;
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;
use serde_json::{Value, json};

use super::{Holder, auth};
use crate::common::{BINARY, until};
use crate::guest::{config, get, route};
use crate::issuer::{Issuer, now};

/// A refused request: who asked with what, the code that is for the client, and the name that is for the operator.
type Case = (Vec<(&'static str, String)>, u16, &'static str, &'static str);

fn text(answer: &RawResponse, name: &str) -> String {
    String::from_utf8(answer.header(name).unwrap_or_default().to_vec()).unwrap()
}

/// All that a client can see of an answer, without what is another in each.
fn seen(answer: &RawResponse) -> (u16, Vec<(String, Vec<u8>)>, String) {
    let headers = answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str())).cloned().collect();
    (answer.status, headers, answer.text())
}

/// Waits for the line about this request, and gives why it was refused.
fn logged(gateway: &Gateway, id: &str) -> String {
    let is_it = |line: &plugway_harness::gateway::Line| line.field("request_id") == Some(id) && line.message().starts_with("refused, why=");
    let line = gateway.log().wait(std::time::Duration::from_secs(60), is_it);
    let line = line.unwrap_or_else(|| panic!("{id} is not in the log:\n{}", gateway.log().text()));
    line.message()["refused, why=".len()..].split(';').next().unwrap().to_owned()
}

/// What `plugway why` tells of the authorizer's call.
fn told(gateway: &Gateway, id: &str) -> Value {
    let admin = gateway.admin().unwrap().to_string();
    let ask = || Command::new(BINARY).args(["why", id, "--json", "--admin", &admin]).output().unwrap();
    until(&format!("{id} is remembered"), || ask().status.success());
    let stories: Value = serde_json::from_slice(&ask().stdout).unwrap();
    stories[0]["steps"][0]["attributes"]["oauth2.refused"].clone()
}

fn cases(issuer: &Issuer, holder: &Holder) -> Vec<Case> {
    let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
    let with = |claims: Value| bearer(&issuer.token_with(claims));
    let head = |head: Value| {
        let claims = json!({ "iss": "https://id.example.com", "aud": "orders", "sub": "ann", "exp": now() + 600 });
        bearer(&issuer.sign(&head, &claims))
    };
    let good = issuer.token("orders:read", 600);
    let cut = &good[..good.len() - 4];
    let bound = issuer.token_with(json!({ "scope": "orders:read", "cnf": { "jkt": holder.thumbprint() } }));
    let proved = |proof: String| vec![("authorization", format!("DPoP {bound}")), ("dpop", proof)];
    let proof = |changes: Value| proved(holder.proof(&bound, "id", changes));
    let (token, proved_badly) = ((401, "invalid_token"), (401, "invalid_dpop_proof"));
    let case = |sent: Vec<(&'static str, String)>, (status, code): (u16, &'static str), why: &'static str| (sent, status, code, why);
    vec![
        case(bearer("a b"), (400, "invalid_request"), "malformed-credentials"),
        case([bearer(&good), bearer(&good)].concat(), (400, "invalid_request"), "several-credentials"),
        case(bearer("rubbish"), token, "malformed"),
        case(bearer(&"A".repeat(9_000)), token, "too-large"),
        case(bearer(&format!("{cut}AAAA")), token, "signature"),
        case(head(json!({ "alg": "none", "kid": "ed-1" })), token, "algorithm"),
        case(head(json!({ "alg": "EdDSA", "kid": "ed-2" })), token, "unknown-key"),
        case(head(json!({ "alg": "EdDSA", "kid": "ed-1", "typ": "logout+jwt" })), token, "wrong-type"),
        case(head(json!({ "alg": "EdDSA", "kid": "ed-1", "crit": ["x"] })), token, "critical"),
        case(with(json!({ "iss": "https://other.example.com" })), token, "issuer"),
        case(with(json!({ "aud": "billing" })), token, "audience"),
        case(with(json!({ "exp": now() - 100 })), token, "expired"),
        case(with(json!({ "nbf": now() + 1000 })), token, "not-yet-valid"),
        case(with(json!({ "iat": now() + 1000 })), token, "not-yet-valid"),
        case(with(json!({ "sub": "" })), token, "no-subject"),
        case(with(json!({ "scope": "orders:read", "cnf": { "x5t#S256": "A".repeat(43) } })), token, "wrong-certificate"),
        case(bearer(&bound), token, "bound"),
        case(with(json!({ "scope": "orders:write" })), (403, "insufficient_scope"), "insufficient-scope"),
        case(proved("rubbish".to_owned()), proved_badly, "malformed-proof"),
        case(proof(json!({ "htm": "POST" })), proved_badly, "proof-target"),
        case(proof(json!({ "iat": now() - 1000 })), proved_badly, "proof-time"),
        case(proof(json!({ "ath": "AAAA" })), proved_badly, "proof-token"),
        case(proof(json!({})), (401, "use_dpop_nonce"), "proof-nonce"),
    ]
}

#[test]
fn a_client_is_told_its_error_code_and_the_operator_which_check_it_was() {
    let (issuer, upstream, receiver) = (Issuer::new(), Upstream::plain("up").unwrap(), Receiver::start().unwrap());
    let holder = Holder { key: Issuer::new(), origin: "http://example.com".to_owned() };
    let launch = Launch::new(BINARY).unwrap();
    launch.file("nonces", "0123456789abcdef0123456789abcdef").unwrap();
    let more = "scopes = [\"orders:read\"]\nresource = { url = \"https://api.example.com/orders\" }\ndpop = { nonce_key = \"nonces\" }";
    let recorded = format!("[otlp]\nendpoint = \"{}\"\n[tracing]\nsample = \"100%\"\nmax_per_second = 1000\n", receiver.url());
    let parts = [
        "[secrets.nonces]\nfile = \"nonces\"\n".to_owned(),
        auth(&issuer, ", kv = {}, keys = [\"nonces\"]", more),
        route("plugins = [\"auth\"]"),
        recorded,
    ];
    let gateway = launch.start(&config(&upstream, &parts.each_ref().map(String::as_str))).unwrap();
    let mut answers: std::collections::BTreeMap<&str, (u16, Vec<(String, Vec<u8>)>, String)> = std::collections::BTreeMap::new();
    for (sent, status, code, why) in cases(&issuer, &holder) {
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = get(gateway.address("web").unwrap(), "/", &sent);
        assert_eq!(answer.status, status, "{why}: {}", answer.text());
        let challenges: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "www-authenticate").collect();
        let shown = format!("{challenges:?}").replace('\\', "");
        let about = challenges.iter().filter(|(_, value)| String::from_utf8_lossy(value).contains(&format!("error=\"{code}\""))).count();
        assert_eq!(about, 1, "{why}: {shown}");
        // RFC 6750, section 3, RFC 9449, section 7.1, and RFC 9728, section 5.1, and no more.
        for (_, value) in challenges {
            let value = String::from_utf8_lossy(value);
            let parameters = value.split_once(' ').unwrap().1.split(", ").map(|parameter| parameter.split('=').next().unwrap());
            let known = ["realm", "error", "error_description", "scope", "algs", "resource_metadata"];
            assert!(parameters.into_iter().all(|parameter| known.contains(&parameter)), "{why}: {value}");
        }
        let id = text(&answer, "x-request-id");
        assert_eq!(logged(&gateway, &id), why);
        assert_eq!(told(&gateway, &id), why);

        // All that were refused with one code by one scheme saw the same, to the byte.
        let (status, mut headers, body) = seen(&answer);
        if code == "use_dpop_nonce" {
            assert!(answer.header("dpop-nonce").is_some(), "{shown}");
        }
        headers.retain(|(name, _)| name != "dpop-nonce");
        let first = answers.entry(code).or_insert_with(|| (status, headers.clone(), body.clone()));
        assert_eq!(&(status, headers, body), &*first, "{why}");
    }
    assert_eq!(answers.len(), 5);
    assert_eq!(upstream.requests(), 0);
}
