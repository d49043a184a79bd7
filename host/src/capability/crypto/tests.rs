//! Expected values come from the RFCs.

use super::*;

/// RFC 8037, appendix A: the key, the signing input and the signature of appendix A.4.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const ED25519_INPUT: &[u8] = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const ED25519_SIGNATURE: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

/// RFC 7515, appendix A.3.
const P256: &str =
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const P256_INPUT: &[u8] =
    b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const P256_SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 7515, appendix A.4.
const P521: &str = r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#;
const P521_INPUT: &[u8] = b"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA";
const P521_SIGNATURE: &str = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";

/// RFC 7515, appendix A.2.
const RSA: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const RSA_INPUT: &[u8] =
    b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const RSA_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn cases() -> [(&'static str, PublicKey, &'static [u8], Vec<u8>); 4] {
    [
        ("EdDSA", PublicKey::from_jwk(ED25519).unwrap(), ED25519_INPUT, decode(ED25519_SIGNATURE)),
        ("ES256", PublicKey::from_jwk(P256).unwrap(), P256_INPUT, decode(P256_SIGNATURE)),
        ("ES512", PublicKey::from_jwk(P521).unwrap(), P521_INPUT, decode(P521_SIGNATURE)),
        ("RS256", PublicKey::from_jwk(RSA).unwrap(), RSA_INPUT, decode(RSA_SIGNATURE)),
    ]
}

#[test]
fn the_signatures_of_the_rfcs_verify_and_changed_ones_do_not() {
    for (algorithm, key, message, signature) in cases() {
        assert_eq!(key.verify(algorithm, message, &signature), Ok(()), "{algorithm}");
        let mut changed = message.to_vec();
        changed[0] ^= 1;
        assert_eq!(key.verify(algorithm, &changed, &signature), Err(CryptoError::Mismatch), "{algorithm}");
        let mut changed = signature.clone();
        changed[10] ^= 1;
        assert_eq!(key.verify(algorithm, message, &changed), Err(CryptoError::Mismatch), "{algorithm}");
        assert_eq!(key.verify(algorithm, message, &[]), Err(CryptoError::Mismatch), "{algorithm}");
    }
}

#[test]
fn a_key_checks_only_algorithms_of_its_family() {
    for (own, key, message, signature) in cases() {
        for other in ["RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"] {
            let family = |algorithm: &str| algorithm.get(..1).map(|first| if first == "P" { "R".to_owned() } else { first.to_owned() });
            if other != own && (family(other) != family(own) || own.starts_with("ES")) {
                assert!(matches!(key.verify(other, message, &signature), Err(CryptoError::InvalidKey(_))), "{own} {other}");
            }
        }
        for none in ["none", "HS256", "", "rs256"] {
            assert_eq!(key.verify(none, message, &signature), Err(CryptoError::Unsupported), "{none}");
        }
    }
}

#[test]
fn keys_that_cannot_be_trusted_are_refused_with_the_reason() {
    let refused = |jwk: &str, why: &str| match PublicKey::from_jwk(jwk) {
        Err(CryptoError::InvalidKey(text)) => assert!(text.contains(why), "{jwk}: {text}"),
        other => panic!("{jwk}: {other:?}"),
    };
    refused(r#"{"kty":"oct","k":"c2VjcmV0"}"#, "private or shared");
    refused(r#"{"kty":"oct"}"#, "symmetric");
    refused(r#"{"kty":"EC","crv":"secp256k1","x":"","y":""}"#, "secp256k1");
    refused(r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, "1 bytes where the curve has 32");
    refused(r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#, "1 bytes where the curve has 66");
    refused(&P521.replace("AekpBQ8S", "AekpBQ8T"), "not on the curve");
    let (zero, all) = ("A".repeat(88), "_".repeat(88));
    for (x, y) in [(&zero, &zero), (&all, &all), (&zero, &all)] {
        refused(&format!(r#"{{"kty":"EC","crv":"P-521","x":"{x}","y":"{y}"}}"#), "not on the curve");
    }
    // Another curve's name for it.
    refused(&P521.replace("P-521", "P-384"), "66 bytes where the curve has 48");
    refused(r#"{"kty":"OKP","crv":"Ed25519"}"#, "`x` is missing");
    refused(r#"{"kty":"OKP","crv":"Ed25519","x":"a=="}"#, "base64url");
    refused(r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, "17 bits");
    refused(r#"{"kty":"RSA","n":"AA","e":"AQAB"}"#, "`n` is zero");
    refused(&P256.replace("\"kty\"", "\"d\":\"x\",\"kty\""), "private or shared");
    refused("nothing", "line 1");
}

#[test]
fn digests_and_macs_are_those_of_the_standards() {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // FIPS 180-4's example for "abc"; RFC 4231, test case 2.
    assert_eq!(hex(digest(DigestAlgorithm::Sha256, b"abc").unwrap()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let mac = hmac(DigestAlgorithm::Sha256, b"Jefe", b"what do ya want for nothing?").unwrap();
    assert_eq!(hex(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    for (algorithm, of_abc, of_jefe) in [
        (
            DigestAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            DigestAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        assert_eq!(hex(digest(algorithm, b"abc").unwrap()), of_abc);
        assert_eq!(hex(hmac(algorithm, b"Jefe", b"what do ya want for nothing?").unwrap()), of_jefe);
    }
    assert_eq!(digest(DigestAlgorithm::Sha512, &vec![0; MAX_INPUT + 1]), Err(CryptoError::TooLarge));
    assert!(equal(b"same", b"same") && !equal(b"same", b"sama") && !equal(b"same", b"sam"));
}

/// RFC 7638, section 3.1, and RFC 8037, appendix A.3.
#[test]
fn thumbprints_are_those_of_the_rfcs_whatever_else_a_key_says() {
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    let thumbprint = |jwk: &str| jwk::encode(&PublicKey::from_jwk(jwk).unwrap().thumbprint());
    assert_eq!(thumbprint(rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(thumbprint(ED25519), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let reordered = r#"{ "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "use":"sig", "crv":"P-256", "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "kid":"a", "kty":"EC"}"#;
    assert_eq!(thumbprint(reordered), thumbprint(P256));
}

#[test]
fn a_jws_gives_its_payload_if_its_signature_is_good_and_it_is_well_formed() {
    for ((algorithm, key, message, _), signature) in
        cases().into_iter().zip([ED25519_SIGNATURE, P256_SIGNATURE, P521_SIGNATURE, RSA_SIGNATURE])
    {
        let message = std::str::from_utf8(message).unwrap();
        let payload = decode(message.split_once('.').unwrap().1);
        assert_eq!(key.verify_jws(algorithm, &format!("{message}.{signature}")), Ok(payload), "{algorithm}");
        let mismatch = Err(JwsError::Signature(CryptoError::Mismatch));
        assert_eq!(key.verify_jws(algorithm, &format!("{message}A.{signature}")), mismatch, "{algorithm}");
        assert_eq!(key.verify_jws(algorithm, &format!("{message}.AAAA")), mismatch, "{algorithm}");
        assert_eq!(key.verify_jws("none", &format!("{message}.{signature}")), Err(JwsError::Signature(CryptoError::Unsupported)));
        for text in [
            "",
            ".",
            "..",
            message,
            &format!("{message}.{signature}="),
            &format!("{message}.{signature} "),
            &format!("{message}.+{signature}"),
            &format!(" {message}.{signature}"),
            &format!(".{message}.{signature}"),
            &format!("a=.{message}.{signature}"),
        ] {
            assert_eq!(key.verify_jws(algorithm, text), Err(JwsError::Malformed), "{algorithm} {text}");
        }
        // What is more than three parts has another message, and a signature over it does not make it one.
        assert_eq!(key.verify_jws(algorithm, &format!("{message}.{signature}.{signature}")), mismatch, "{algorithm}");
        let long = "A".repeat(MAX_INPUT + 1);
        assert_eq!(key.verify_jws(algorithm, &long), Err(JwsError::Signature(CryptoError::TooLarge)), "{algorithm}");
    }
}

/// RFC 7520, section 4.3, by the key of section 3.1.
#[test]
fn the_es512_signature_of_the_cookbook_verifies_and_nothing_like_it_does() {
    let jwk = r#"{"kty":"EC","kid":"bilbo.baggins@hobbiton.example","use":"sig","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}"#;
    let signed = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
    let signature = decode(
        "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
    );
    let key = PublicKey::from_jwk(jwk).unwrap();
    assert_eq!(jwk::encode(&key.thumbprint()), "dHri3SADZkrush5HU_50AoRhcKFryN-PI6jPBtPL55M");
    assert_eq!(key.verify("ES512", signed.as_bytes(), &signature), Ok(()));
    let payload = key.verify_jws("ES512", &format!("{signed}.{}", jwk::encode(&signature))).unwrap();
    assert!(payload.starts_with("It\u{2019}s a dangerous business, Frodo".as_bytes()));

    let mismatch = |signature: &[u8]| assert_eq!(key.verify("ES512", signed.as_bytes(), signature), Err(CryptoError::Mismatch));
    for place in [0, 1, 65, 66, 67, 131] {
        let mut changed = signature.clone();
        changed[place] ^= 1;
        mismatch(&changed);
    }
    let (r, s) = signature.split_at(66);
    mismatch(&[s, r].concat());
    mismatch(&[r, &[0; 66]].concat());
    mismatch(&[&[0; 66], s].concat());
    mismatch(&[0xff; 132]);
    [131, 133].iter().for_each(|length| mismatch(&signature.iter().copied().cycle().take(*length).collect::<Vec<_>>()));
    // Another key of the curve, another curve, and another family.
    assert_eq!(PublicKey::from_jwk(P521).unwrap().verify("ES512", signed.as_bytes(), &signature), Err(CryptoError::Mismatch));
    for (jwk, algorithm) in [(P256, "ES512"), (RSA, "ES512"), (ED25519, "ES512"), (P521, "ES384"), (P521, "RS512"), (P521, "EdDSA")] {
        let refused = PublicKey::from_jwk(jwk).unwrap().verify(algorithm, signed.as_bytes(), &signature);
        assert!(matches!(refused, Err(CryptoError::InvalidKey(_))), "{algorithm}: {refused:?}");
    }
}
