//! What others have been attacked with (RFC 8725, section 2): a `kid` that is more than a name, and headers that say where keys are. Signed by
//! keys of the double.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::{clock, keys};

use super::*;

/// RFC 8037, appendix A.1: the issuer's.
const ISSUER: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ISSUER_SECRET: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// RFC 8032, section 7.1, test 2: the attacker's.
const FOREIGN: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
const FOREIGN_SECRET: &str = "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs";

fn signed(by: &str, header: &Json) -> String {
    let now = clock::now().as_secs();
    let claims = json!({ "iss": "https://id.example.com", "aud": "orders", "sub": "ann", "scope": "orders:read", "exp": now + 600 });
    let signed = [header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(keys::sign(by, "EdDSA", signed.as_bytes()).unwrap()))
}

fn key(x: &str, kid: &str) -> Json {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x })
}

fn ready() -> Json {
    testing::set_now(now());
    for (name, x, d) in [("issuer", ISSUER, ISSUER_SECRET), ("foreign", FOREIGN, FOREIGN_SECRET)] {
        testing::set_key(name, json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "d": d }).to_string());
    }
    json!({ "jwks": { "keys": [key(ISSUER, "1")] } })
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    let changes = ready();
    assert_allowed(changes.clone(), &signed("issuer", &json!({ "alg": "EdDSA", "kid": "1" })), "the right one");
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "https://evil.example/keys",
        "1' UNION SELECT 'secret' --",
        "1; cat /etc/passwd",
        "1\u{0}",
        " 1",
        "1\n",
        "%31",
        "",
    ] {
        for by in ["issuer", "foreign"] {
            let told = challenged(changes.clone(), &signed(by, &json!({ "alg": "EdDSA", "kid": kid })));
            assert!(told.ends_with("why=unknown-key"), "{kid:?} by {by}: {told}");
        }
    }
    assert_eq!(testing::take_http_requests(), []);
}

#[test]
fn where_a_token_says_its_keys_are_nobody_looks() {
    let changes = ready();
    let url = "https://evil.example/keys";
    for (name, value) in [
        ("jwk", key(FOREIGN, "1")),
        ("jku", url.into()),
        ("x5u", url.into()),
        ("x5c", json!(["MIIB"])),
        ("x5t", "AAAA".into()),
        ("x5t#S256", "AAAA".into()),
    ] {
        let mut header = json!({ "alg": "EdDSA", "kid": "1" });
        header.as_object_mut().unwrap().insert(name.to_owned(), value);
        let told = challenged(changes.clone(), &signed("foreign", &header));
        assert!(told.ends_with("why=signature"), "{name}: {told}");
        assert_allowed(changes.clone(), &signed("issuer", &header), name);
    }
    assert_eq!(testing::take_http_requests(), [], "nothing is fetched because a token says so");
}
