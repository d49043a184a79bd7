//! The rules, one claim at a time; whole tokens are tested with the plugin.

use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_000_000;

fn judged<R>(changes: Value, show: impl FnOnce(&Verified<'_>) -> R) -> Result<R, Denial> {
    judged_within(None, changes, show)
}

fn judged_within<R>(max_lifetime: Option<Duration>, changes: Value, show: impl FnOnce(&Verified<'_>) -> R) -> Result<R, Denial> {
    let mut claims = json!({ "iss": "i", "aud": "a", "sub": "s", "exp": NOW + 10 });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    let rules = Rules { scopes: vec!["read".to_owned()], required: Vec::new(), leeway: Duration::from_secs(5), max_lifetime };
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let issuer = Issuer {
        name: "i".to_owned(),
        audiences: vec!["a".to_owned(), "b".to_owned()],
        introspection: None,
        keys: crate::issuer::Keys::Written(crate::keys::KeySet::read(&keys, &crate::algorithm::DEFAULT).unwrap()),
        algorithms: crate::algorithm::DEFAULT.to_vec(),
        require_at_jwt: false,
        require_rfc9068: false,
    };
    let Value::Object(mut claims) = claims else { unreachable!() };
    claims.entry("scope").or_insert(json!("read"));
    judge(&Members::from(&claims), &issuer, &rules, Duration::from_secs(NOW)).map(|verified| show(&verified))
}

fn denial(changes: Value) -> Option<Denial> {
    judged(changes, |_| ()).err()
}

#[test]
fn compares_issuer_and_audience_exactly() {
    for issuer in [json!(null), json!("I"), json!("i/"), json!("")] {
        assert_eq!(denial(json!({ "iss": issuer })), Some(Denial::Issuer), "{issuer}");
    }
    for audience in [json!(null), json!("A"), json!([]), json!(["c"]), json!("a b"), json!("")] {
        assert_eq!(denial(json!({ "aud": audience })), Some(Denial::Audience), "{audience}");
    }
    for audience in [json!("b"), json!(["c", "a"])] {
        assert_eq!(denial(json!({ "aud": audience })), None, "{audience}");
    }
    for changes in
        [json!({ "iss": ["i"] }), json!({ "aud": { "a": 1 } }), json!({ "aud": [["a"]] }), json!({ "sub": 1 }), json!({ "client_id": 1 })]
    {
        assert_eq!(denial(changes.clone()), Some(Denial::Malformed), "{changes}");
    }
}

#[test]
fn times_have_a_leeway_and_an_end() {
    assert_eq!(denial(json!({ "exp": NOW - 4 })), None);
    assert_eq!(denial(json!({ "exp": NOW - 5 })), Some(Denial::Expired));
    assert_eq!(denial(json!({ "exp": -LAST })), Some(Denial::Expired));
    assert_eq!(denial(json!({ "exp": LAST })), None);
    for (times, expected) in [
        (json!({ "nbf": NOW + 5 }), None),
        (json!({ "nbf": NOW + 6 }), Some(Denial::NotYetValid)),
        (json!({ "iat": NOW + 5 }), None),
        (json!({ "iat": NOW + 6 }), Some(Denial::NotYetValid)),
        (json!({ "nbf": NOW - 60, "iat": NOW + 6 }), Some(Denial::NotYetValid)),
        (json!({ "nbf": NOW + 6, "iat": NOW - 60 }), Some(Denial::NotYetValid)),
        (json!({ "nbf": NOW - 60, "iat": NOW - 60 }), None),
    ] {
        assert_eq!(denial(times.clone()), expected, "{times}");
    }
    assert_eq!(denial(json!({ "exp": null })), Some(Denial::Malformed));
    for name in ["exp", "nbf", "iat"] {
        for value in [json!("1000010"), json!(LAST + 1.0), json!(-LAST - 1.0), json!(1e308), json!(-1e308), json!(u64::MAX), json!([])] {
            assert_eq!(denial(json!({ name: value })), Some(Denial::Malformed), "{name} {value}");
        }
    }
}

#[test]
fn a_token_can_be_good_for_too_long() {
    let denial = |most: u64, end: u64| judged_within(Some(Duration::from_secs(most)), json!({ "exp": end }), |_| ()).err();
    // With the leeway: the issuer's clock may be ahead.
    assert_eq!(denial(60, NOW + 65), None);
    assert_eq!(denial(60, NOW + 66), Some(Denial::TooLongLived));
    assert_eq!(denial(60, NOW - 6), Some(Denial::Expired));
    assert_eq!(denial(31_622_400, 253_402_300_799), Some(Denial::TooLongLived));
}

#[test]
fn reads_scopes_in_every_form() {
    let scopes = |verified: &Verified<'_>| verified.scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
    assert_eq!(judged(json!({ "scope": " write  read " }), scopes).unwrap(), ["write", "read"]);
    assert_eq!(judged(json!({ "scope": ["read"] }), scopes).unwrap(), ["read"]);
    assert_eq!(denial(json!({ "scope": ["write read"] })), Some(Denial::InsufficientScope), "an element is one scope");
    assert_eq!(denial(json!({ "scope": "reader" })), Some(Denial::InsufficientScope));
    assert_eq!(denial(json!({ "scope": "" })), Some(Denial::InsufficientScope));
    assert_eq!(denial(json!({ "scope": "write", "scp": "read" })), Some(Denial::InsufficientScope), "`scope` decides");
    for scope in [json!(1), json!([1]), json!({})] {
        assert_eq!(denial(json!({ "scope": scope })), Some(Denial::Malformed), "{scope}");
    }
}

#[test]
fn a_token_that_is_bound_to_something_unknown_is_refused() {
    assert_eq!(denial(json!({ "cnf": { "kid": "A" } })), Some(Denial::Bound));
    assert_eq!(denial(json!({ "cnf": false })), Some(Denial::Bound));
}

#[test]
fn names_the_client() {
    let client = |verified: &Verified<'_>| verified.client.map(str::to_owned);
    assert_eq!(judged(json!({ "azp": "z" }), client).unwrap().as_deref(), Some("z"));
    assert_eq!(judged(json!({ "azp": "z", "client_id": "c" }), client).unwrap().as_deref(), Some("c"));
    assert_eq!(judged(json!({}), client), Ok(None));
}
