//! Keys and signatures of the RFCs; what was sealed is changed in every byte.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::capability::crypto::PublicKey;
use crate::config::model::SecretSource;

/// RFC 8037, appendix A.1, A.2 and A.4.
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// RFC 7515, appendix A.3.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
/// RFC 7515, appendix A.2.
const RSA: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB","d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ","p":"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc","q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc","dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0","dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU","qi":"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}"#;

fn keys(named: &[(&str, &str)]) -> Keys {
    let secret = |text: &str| {
        // Tests run side by side, each with files of its own.
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let path = std::env::temp_dir().join(format!("plugway-key-{}-{}", std::process::id(), FILES.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&path, text).unwrap();
        let secret = Secret::read(&SecretSource::File(path.clone())).unwrap();
        std::fs::remove_file(path).unwrap();
        secret
    };
    named.iter().map(|(name, text)| ((*name).to_owned(), secret(text))).collect()
}

fn public(jwk: &str) -> PublicKey {
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(jwk).unwrap();
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        members.remove(private);
    }
    PublicKey::from_jwk(&serde_json::Value::Object(members).to_string()).unwrap()
}

#[test]
fn signs_what_the_public_key_checks() {
    for (jwk, algorithms) in [(ED25519, &["EdDSA"][..]), (P256, &["ES256"]), (RSA, &["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"])]
    {
        let (keys, public) = (keys(&[("key", jwk)]), public(jwk));
        assert_eq!(keys.algorithms("key").unwrap(), algorithms);
        for algorithm in algorithms {
            let signature = keys.sign("key", algorithm, b"message").unwrap();
            assert_eq!(public.verify(algorithm, b"message", &signature), Ok(()), "{algorithm}");
        }
        for other in ["none", "HS256", "ES384", "rs256", ""] {
            assert_eq!(keys.sign("key", other, b"message"), Err(KeyError::Unsupported), "{other}");
        }
    }
}

/// RFC 8037, appendix A.4, and RFC 7515, appendix A.2: these signatures are the same each time.
#[test]
fn signs_as_the_rfcs_do() {
    use base64::Engine;
    let encode = |bytes| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let keys = keys(&[("ed", ED25519), ("rsa", RSA)]);
    let signed = keys.sign("ed", "EdDSA", b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").unwrap();
    assert_eq!(encode(signed), "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    let input = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signed = encode(keys.sign("rsa", "RS256", input).unwrap());
    assert!(signed.starts_with("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh"), "{signed}");
}

#[test]
fn a_key_has_one_purpose_and_says_what_is_wrong_with_it() {
    let keys = keys(&[
        ("ed", ED25519),
        ("bytes", "0123456789abcdef0123456789abcdef"),
        ("short", "hunter2"),
        ("public", r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#),
        ("broken", "{\"kty\":\"RSA\",\"d\":\"hunter2\""),
        ("sec1", "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----"),
        ("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----"),
        ("garbage", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----"),
    ]);
    let why = |error: KeyError| match error {
        KeyError::InvalidKey(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(keys.seal("ed", "", b"").unwrap_err()).contains("signs and does not seal"));
    assert!(why(keys.sign("bytes", "RS256", b"").unwrap_err()).contains("no private key"));
    assert!(why(keys.seal("short", "", b"").unwrap_err()).contains("has 7 bytes"));
    for (name, expected) in [
        ("public", "give the private one"),
        ("broken", "no JSON Web Key (line 1"),
        ("sec1", "openssl pkcs8"),
        ("locked", "has a password"),
        ("garbage", "cannot be used"),
    ] {
        let text = why(keys.algorithms(name).unwrap_err());
        assert!(text.contains(expected) && !text.contains("hunter2"), "{name}: {text}");
    }
    assert_eq!(keys.algorithms("missing"), Err(KeyError::NotGranted));
    assert_eq!(keys.open("missing", "", b""), Err(KeyError::NotGranted));
    assert!(!format!("{keys:?}").contains("nWGxne"), "{keys:?}");
}

#[test]
fn opens_what_was_sealed_with_the_same_key_and_context_and_nothing_else() {
    let keys = keys(&[("one", "0123456789abcdef0123456789abcdef"), ("two", "another key, as long as it has to be")]);
    for message in [&b""[..], b"message", &[7; 10_000]] {
        let sealed = keys.seal("one", "session", message).unwrap();
        assert_eq!(sealed.len(), message.len() + 49);
        assert_eq!(keys.open("one", "session", &sealed).unwrap(), message);
        assert_eq!(keys.open("one", "state", &sealed), Err(KeyError::Mismatch));
        assert_eq!(keys.open("two", "session", &sealed), Err(KeyError::Mismatch));
        assert_ne!(keys.seal("one", "session", message).unwrap(), sealed);
    }
    // Nor can anybody read it: no eight bytes in a row are in what was sealed.
    let secret: Vec<u8> = (0..=255).collect();
    let sealed = keys.seal("one", "session", &secret).unwrap();
    assert!(secret.windows(8).all(|piece| !sealed.windows(8).any(|sealed| sealed == piece)));
    let sealed = keys.seal("one", "session", b"message").unwrap();
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert_eq!(keys.open("one", "session", &changed), Err(KeyError::Mismatch), "byte {place}");
        assert_eq!(keys.open("one", "session", &sealed[..place]), Err(KeyError::Mismatch), "the first {place} bytes");
    }
    assert_eq!(keys.open("one", "session", &[&sealed[..], &[0]].concat()), Err(KeyError::Mismatch));
    let mut large = vec![0; MAX_INPUT];
    let sealed = keys.seal("one", "", &large).unwrap();
    assert!(keys.open("one", "", &sealed).unwrap() == large, "the largest message there is opens again");
    large.push(0);
    assert_eq!(keys.seal("one", "", &large), Err(KeyError::TooLarge));
    assert_eq!(keys.open("one", "", &[&sealed[..], &[0]].concat()), Err(KeyError::TooLarge));
    assert_eq!(keys.sign("one", "RS256", &large), Err(KeyError::TooLarge));
}
