//! Who signs the tokens of a test: an issuer without a server.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// Signs by EdDSA.
pub(crate) struct Issuer {
    pair: Ed25519KeyPair,
    document: Vec<u8>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        Self { pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(), document: document.as_ref().to_vec() }
    }

    /// Its private key (PKCS #8), PEM.
    pub(crate) fn pem(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.document);
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    /// Its public key.
    pub(crate) fn jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(self.pair.public_key().as_ref()) })
    }

    pub(crate) fn jwks(&self) -> String {
        let mut key = self.jwk();
        key.as_object_mut().unwrap().extend([("use".into(), "sig".into()), ("alg".into(), "EdDSA".into()), ("kid".into(), "ed-1".into())]);
        json!({ "keys": [key] }).to_string()
    }

    /// A token for `ann` that ends so many seconds from now.
    pub(crate) fn token(&self, scope: &str, seconds: i64) -> String {
        self.token_with(json!({ "scope": scope, "exp": now() + seconds }))
    }

    /// A token for `ann` with these claims over the usual ones.
    pub(crate) fn token_with(&self, claims: Value) -> String {
        let mut all = json!({ "iss": "https://id.example.com", "aud": "orders", "sub": "ann", "iat": now() - 1000, "exp": now() + 600 });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.sign(&json!({ "alg": "EdDSA", "kid": "ed-1", "typ": "at+jwt" }), &all)
    }

    /// Any JSON Web Token.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        format!("{signed}.{}", BASE64.encode(self.pair.sign(signed.as_bytes())))
    }
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
