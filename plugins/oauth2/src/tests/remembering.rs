//! Tokens that come again.

use super::*;
use crate::remembered;

/// `nbf` and `exp` of the good tokens.
const BEGINS: Duration = Duration::from_secs(1_799_999_940);
const EXPIRES: Duration = Duration::from_secs(1_800_003_600);

/// What the plugin checked, signature and all: how many passed, how many did not.
fn checked() -> [f64; 2] {
    let counter = testing::instrument("token_checks_total").unwrap();
    ["passed", "refused"].map(|result| counter.sum(&[result]))
}

fn status(plugin: &testing::Configured<OAuth2>, token: &str) -> u16 {
    match plugin.authorize(&mut bearing(token)).unwrap() {
        Decision::Allow(_) => 200,
        other => denied(other).status().0,
    }
}

#[test]
fn checks_a_token_once_and_says_the_same_each_time() {
    testing::set_now(now());
    let plugin = configured(json!({ "claims": ["tenant"], "claims_as_headers": { "x-user": "sub", "x-none": "absent" } }));
    let good = token("valid_rs256");
    for scheme in ["Bearer ", "Bearer ", "bearer   "] {
        let forged = testing::Request::get("/").header("x-user", "root").header("x-none", "root");
        let mut request = forged.header(header::AUTHORIZATION, format!("{scheme}{good}")).build();
        assert!(matches!(plugin.authorize(&mut request), Ok(Decision::Allow(_))));
        let identity = request.identity().unwrap();
        assert_eq!((identity.subject().as_str(), identity.issuer().as_deref()), ("ann", Some("https://id.example.com")));
        assert_eq!((identity.scopes().len(), identity.claim("tenant")), (2, Some(Value::from("acme"))));
        assert_eq!(request.header_values("x-user"), [b"ann"]);
        assert_eq!((request.header("x-none"), request.header(header::AUTHORIZATION)), (None, None));
    }
    assert_eq!(checked(), [1.0, 0.0]);
}

#[test]
fn a_known_token_ends_when_it_ends() {
    testing::set_now(now());
    let plugin = configured(json!({ "leeway": "0s" }));
    let good = token("valid_rs256");
    assert_eq!(status(&plugin, &good), 200);
    let moment = Duration::from_micros(1);
    testing::advance(EXPIRES - now() - moment);
    assert_eq!(status(&plugin, &good), 200);
    assert_eq!(checked(), [1.0, 0.0]);
    testing::advance(moment);
    let answer = denied(plugin.authorize(&mut bearing(&good)).unwrap());
    assert_eq!(why(&answer), "why=expired");
    assert_eq!(remembered::kept().0, 0, "and is forgotten");
    assert_eq!(status(&plugin, &good), 401);
    assert_eq!(checked(), [1.0, 1.0]);
}

#[test]
fn a_known_token_waits_for_its_time_when_the_clock_goes_back() {
    testing::set_now(now());
    let plugin = configured(json!({ "leeway": "0s" }));
    let good = token("valid_rs256");
    assert_eq!(status(&plugin, &good), 200);
    testing::set_now(BEGINS - Duration::from_secs(1));
    assert_eq!(status(&plugin, &good), 401);
    testing::set_now(now());
    assert_eq!(status(&plugin, &good), 200);
}

#[test]
fn what_one_place_knows_is_nothing_to_another() {
    testing::set_now(now());
    let (here, there) = (configured(json!({})), configured(json!({ "scopes": ["orders:delete"] })));
    let elsewhere = configured(json!({ "audience": "billing-only" }));
    let good = token("valid_rs256");
    for _ in 0..2 {
        assert_eq!([&here, &there, &elsewhere].map(|plugin| status(plugin, &good)), [200, 403, 401]);
    }
    assert_eq!((checked(), remembered::kept().0), ([1.0, 4.0], 1));
    // A place whose configuration changes starts anew.
    drop(here);
    assert_eq!(status(&configured(json!({})), &good), 200);
    assert_eq!(checked(), [2.0, 4.0]);
}

#[test]
fn what_did_not_pass_is_never_kept() {
    testing::set_now(now());
    let plugin = configured(json!({ "leeway": "0s", "claims_as_headers": { "x-tenant-id": "tenant" } }));
    let fixtures = fixtures();
    for (name, token) in fixtures["tokens"].as_object().unwrap().iter().filter(|(name, _)| !name.starts_with("valid")) {
        let decision = plugin.authorize(&mut bearing(token.as_str().unwrap()));
        assert!(!matches!(decision, Ok(Decision::Allow(_))), "{name}");
        assert_eq!(remembered::kept().0, 0, "{name}");
    }
}

#[test]
fn a_token_that_looks_like_a_known_one_is_checked() {
    testing::set_now(now());
    let plugin = configured(json!({}));
    let good = token("valid_rs256");
    assert_eq!(status(&plugin, &good), 200);
    let [head, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = token("valid_es256");
    let other_payload = other.split('.').nth(1).unwrap();
    for forged in [
        format!("{head}.{payload}.{}", &signature[..signature.len() - 4]),
        format!("{head}.{payload}.{}AAAA", &signature[..signature.len() - 4]),
        format!("{head}.{other_payload}A.{signature}"),
        format!("{head}.e30.{signature}"),
        format!("{good}A"),
        format!("{good}="),
        good.to_ascii_uppercase(),
    ] {
        assert_eq!(status(&plugin, &forged), 401, "{forged}");
    }
    assert_eq!((status(&plugin, &good), remembered::kept().0), (200, 1));
    assert_eq!(checked()[0], 1.0);
}
