//! What is remembered is good; whatever differs in one byte, key or algorithm is checked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::capability::crypto::CryptoError;

const MISMATCH: Result<Vec<u8>, JwsError> = Err(JwsError::Signature(CryptoError::Mismatch));

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn public(&self) -> PublicKey {
        let x = BASE64.encode(self.0.public_key());
        PublicKey::from_jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)).unwrap()
    }

    fn sign(&self, payload: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(r#"{"alg":"EdDSA"}"#), BASE64.encode(payload));
        let signature = BASE64.encode(self.0.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn held(signatures: &Signatures) -> (u64, u64) {
    let amount = |wanted| signatures.held().into_iter().find_map(|(measure, amount)| (measure == wanted).then_some(amount)).unwrap_or(0);
    (amount(Held::Signatures), amount(Held::SignaturesFound))
}

#[test]
fn a_good_one_is_checked_once_and_gives_the_same_payload_again() {
    let (signer, signatures) = (Signer::new(), Signatures::new(8));
    let jws = signer.sign("{\"sub\":\"a\"}");
    for found in 0..3 {
        // Another instance has read the key anew.
        assert_eq!(signatures.verify_jws(&signer.public(), "EdDSA", &jws), Ok(b"{\"sub\":\"a\"}".to_vec()));
        assert_eq!(held(&signatures), (1, found));
    }
}

#[test]
fn what_was_not_found_good_is_checked_each_time_and_leaves_nothing() {
    let (signer, signatures) = (Signer::new(), Signatures::new(8));
    let (key, jws) = (signer.public(), signer.sign("{}"));
    for _ in 0..2 {
        assert_eq!(signatures.verify_jws(&key, "EdDSA", &Signer::new().sign("{}")), MISMATCH);
        for malformed in ["", ".", "..", "a.b.c", &jws[..jws.len() - 1], &"\u{e9}".repeat(20), &format!("{jws}.AA")] {
            assert!(signatures.verify_jws(&key, "EdDSA", malformed).is_err(), "{malformed}");
        }
    }
    assert_eq!(held(&signatures), (0, 0));
}

#[test]
fn nothing_is_let_in_by_likeness() {
    let (signer, signatures) = (Signer::new(), Signatures::new(8));
    let (key, jws) = (signer.public(), signer.sign("{\"sub\":\"a\"}"));
    signatures.verify_jws(&key, "EdDSA", &jws).unwrap();
    // The same signature under other claims, byte by byte: its name is the same one.
    let other =
        jws.rsplit_once('.').map(|(_, signature)| format!("{}.{signature}", signer.sign("{\"sub\":\"b\"}").rsplit_once('.').unwrap().0));
    assert_eq!(signatures.verify_jws(&key, "EdDSA", &other.unwrap()), MISMATCH);
    for place in 0..jws.len() - 1 {
        let mut changed = jws.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(signatures.verify_jws(&key, "EdDSA", &changed).is_err(), "{changed}");
    }
    // By another key, and by an algorithm the key is not for.
    assert_eq!(signatures.verify_jws(&Signer::new().public(), "EdDSA", &jws), MISMATCH);
    for algorithm in ["RS256", "none", "EdDSA ", ""] {
        assert!(matches!(signatures.verify_jws(&key, algorithm, &jws), Err(JwsError::Signature(_))), "{algorithm}");
    }
    assert_eq!(held(&signatures), (1, 0));
}

#[test]
fn there_are_never_more_than_the_grant_says_and_none_where_it_says_none() {
    let signer = Signer::new();
    let key = signer.public();
    let (few, none) = (Signatures::new(4), Signatures::new(0));
    for number in 0..40 {
        let jws = signer.sign(&number.to_string());
        for signatures in [&few, &none] {
            signatures.verify_jws(&key, "EdDSA", &jws).unwrap();
            signatures.verify_jws(&key, "EdDSA", &jws).unwrap();
        }
        assert!(held(&few).0 <= 4);
    }
    assert_eq!((held(&few).1, held(&none)), (40, (0, 0)));
    // Longer than a value of the store may be.
    let long = signer.sign(&"x".repeat(64 << 10));
    for _ in 0..2 {
        assert_eq!(few.verify_jws(&key, "EdDSA", &long).map(|payload| payload.len()), Ok(64 << 10));
    }
    assert_eq!(held(&few).1, 40);
}

#[test]
fn one_counts_for_a_day() {
    let (signer, signatures) = (Signer::new(), Signatures::new(8));
    let (key, jws) = (signer.public(), signer.sign("{}"));
    let good = signatures.good.as_ref().unwrap();
    let day = KEPT_MS * 1_000_000;
    for (at, found) in [(0, 0), (day - 1, 1), (day, 1), (2 * day - 1, 2), (2 * day, 2)] {
        assert!(signatures.verify_jws_at(good, &key, "EdDSA", &jws, at).is_ok());
        assert_eq!(held(&signatures).1, found, "{at}");
    }
}
