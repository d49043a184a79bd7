//! Key sets as issuers and operators write them.

use serde_json::{Value, json};

use super::*;
use crate::algorithm::DEFAULT;

/// RFC 8037, appendix A.2.
fn ed25519() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn with(members: Value) -> Value {
    let mut key = ed25519();
    key.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    key
}

fn set(keys: &[Value]) -> Result<KeySet, String> {
    KeySet::read(&json!({ "keys": keys }), &DEFAULT)
}

/// A token with this key's signature over its header and no claims.
fn signed(header: Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let key = with(json!({ "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }));
    plugway_sdk::testing::set_key("own", key.to_string());
    let text = format!("{}.e30", URL_SAFE_NO_PAD.encode(header.to_string()));
    let signature = plugway_sdk::keys::sign("own", "EdDSA", text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn verify(keys: &KeySet, algorithm: Algorithm, id: Option<&str>) -> Result<Vec<u8>, Denial> {
    let text = signed(id.map_or(json!({ "alg": "EdDSA" }), |id| json!({ "alg": "EdDSA", "kid": id })));
    keys.verify(algorithm, &Token::parse(&text).unwrap())
}

#[test]
fn picks_a_key_by_its_id() {
    let keys =
        set(&[with(json!({ "kid": "a" })), with(json!({ "kid": "b", "use": "sig", "key_ops": ["sign", "verify"], "alg": "EdDSA" }))])
            .unwrap();
    for id in ["a", "b"] {
        assert_eq!(verify(&keys, Algorithm::EdDSA, Some(id)).as_deref(), Ok(&b"{}"[..]), "{id}");
    }
    let text = signed(json!({ "alg": "EdDSA", "kid": "a" })).replace(".e30.", ".e31.");
    assert_eq!(keys.verify(Algorithm::EdDSA, &Token::parse(&text).unwrap()), Err(Denial::Signature));
    let text = format!("{}=", signed(json!({ "alg": "EdDSA", "kid": "a" })));
    assert_eq!(keys.verify(Algorithm::EdDSA, &Token::parse(&text).unwrap()), Err(Denial::Malformed));
    assert_eq!(verify(&keys, Algorithm::EdDSA, Some("c")), Err(Denial::UnknownKey));
    assert_eq!(verify(&keys, Algorithm::RS256, Some("a")), Err(Denial::UnknownKey));
    assert_eq!(verify(&keys, Algorithm::EdDSA, None), Err(Denial::UnknownKey), "it could be either");
}

#[test]
fn needs_no_id_where_one_key_fits() {
    let keys = set(&[ed25519()]).unwrap();
    assert_eq!(verify(&keys, Algorithm::EdDSA, None).as_deref(), Ok(&b"{}"[..]));
    assert_eq!(verify(&keys, Algorithm::EdDSA, Some("a")), Err(Denial::UnknownKey));
}

#[test]
fn says_of_each_key_why_it_cannot_be_used() {
    for (key, expected) in [
        (json!("text"), "key 1: not an object"),
        (json!({}), "key 1: no `kty`"),
        (json!({ "kty": 1 }), "key 1: its `kty` is not text"),
        (json!({ "kty": "oct", "k": "AA" }), "key 1: a symmetric key"),
        (with(json!({ "use": "enc" })), "key 1: its `use` is \"enc\", not \"sig\""),
        (with(json!({ "key_ops": ["sign"] })), "key 1: its `key_ops` do not have \"verify\""),
        (with(json!({ "key_ops": "verify" })), "key 1: its `key_ops` do not have \"verify\""),
        (with(json!({ "kid": "a", "alg": "RS256" })), "key 1 (kid \"a\"): a key of type OKP Ed25519 with alg \"RS256\" is for none"),
        (with(json!({ "crv": "X25519" })), "a key of type OKP X25519 is for none of the accepted algorithms (RS256, ES256, EdDSA)"),
        (with(json!({ "x": "AA" })), "the key cannot be used"),
        (json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }), "2048"),
        (json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }), "a key of type EC secp256k1 is for none"),
    ] {
        let error = set(std::slice::from_ref(&key)).unwrap_err();
        assert!(error.starts_with("no key can be used: ") && error.contains(expected), "{key}: {error}");
    }
    let error = set(&[json!({ "kty": "oct" }), with(json!({ "use": "enc" }))]).unwrap_err();
    assert!(error.contains("key 1: a symmetric key") && error.contains("; key 2: its `use`"), "{error}");
}

#[test]
fn leaves_out_what_it_cannot_use() {
    let keys = set(&[json!({ "kty": "future" }), ed25519(), with(json!({ "kid": "e", "use": "enc" }))]).unwrap();
    assert_eq!(keys.keys.len(), 1);
}

#[test]
fn refuses_private_keys_and_mistakable_ones() {
    let error = set(&[ed25519(), with(json!({ "kid": "mine", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }))]).unwrap_err();
    assert!(error.starts_with("key 2 (kid \"mine\") holds a private key") && !error.contains("nWGx"), "{error}");
    let error = set(&[with(json!({ "kid": "a" })), with(json!({ "kid": "a" }))]).unwrap_err();
    assert!(error.starts_with("key 2 (kid \"a\"): an earlier key has the same `kid`"), "{error}");
}

/// RFC 7515, appendix A.4.
#[test]
fn a_key_on_p_521_is_for_es512_alone() {
    let set = json!({ "keys": [{
        "kty": "EC", "crv": "P-521", "kid": "1",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    }] });
    let jws = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    let all = [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512];
    let keys = KeySet::read(&set, &all).unwrap();
    let verify = |algorithm: Algorithm, jws: &str| keys.verify(algorithm, &Token::parse(jws).unwrap());
    assert_eq!(verify(Algorithm::ES512, jws).as_deref(), Ok(&b"Payload"[..]));
    assert_eq!(verify(Algorithm::ES512, &jws.replace("UGF5", "UGF6")), Err(Denial::Signature));
    assert_eq!(verify(Algorithm::ES384, jws), Err(Denial::UnknownKey));
    let error = KeySet::read(&set, &DEFAULT).unwrap_err();
    assert!(error.contains("a key of type EC P-521 is for none of the accepted algorithms (RS256, ES256, EdDSA)"), "{error}");
    let elsewhere = set.to_string().replace("AekpBQ8S", "AekpBQ8T");
    assert!(KeySet::parse(elsewhere.as_bytes(), &all).unwrap_err().contains("not on the curve"));
}
