//! An identity provider in fifty lines: one ES256 key, its JWKS, and the tokens it signs (RFC 7515, 7517, 7518, 7519).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_harness::Result;
use plugway_harness::error::Context;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

/// `iss` of every token.
pub(crate) const ISSUER: &str = "https://id.example.com";
/// `aud` of every token.
pub(crate) const AUDIENCE: &str = "orders";
/// What the demo's protected route asks for.
pub(crate) const SCOPE: &str = "orders:read";
/// How long a token is good.
const VALID: Duration = Duration::from_secs(12 * 3600);

/// Signs tokens with a key of its own.
pub(crate) struct Provider {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Provider {
    /// With a new key.
    pub(crate) fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).context("a signing key")?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).context("a signing key")?;
        Ok(Self { key, random })
    }

    /// The key set that verifies its tokens. A public key is `0x04 X Y`, 32 bytes each (SEC 1, section 2.3.3).
    pub(crate) fn jwks(&self) -> Result<String> {
        let point = self.key.public_key().as_ref();
        let half = |range| point.get(range).map(encode).context("a public key of 65 bytes");
        let key =
            json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "demo", "x": half(1..33)?, "y": half(33..65)? });
        Ok(json!({ "keys": [key] }).to_string())
    }

    /// A token for `subject` with these scopes, good for twelve hours.
    pub(crate) fn token(&self, subject: &str, scope: &str) -> Result<String> {
        self.token_until(subject, scope, SystemTime::now() + VALID)
    }

    /// A token that expired an hour ago.
    pub(crate) fn expired(&self, subject: &str, scope: &str) -> Result<String> {
        self.token_until(subject, scope, SystemTime::now() - Duration::from_secs(3600))
    }

    fn token_until(&self, subject: &str, scope: &str, until: SystemTime) -> Result<String> {
        let expires = until.duration_since(UNIX_EPOCH).context("the clock")?.as_secs();
        let issued = expires.saturating_sub(VALID.as_secs());
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "demo" });
        let claims =
            json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "scope": scope, "iat": issued, "nbf": issued, "exp": expires });
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.key.sign(&self.random, signed.as_bytes()).context("a signature")?;
        Ok(format!("{signed}.{}", encode(signature.as_ref())))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_token_verifies_with_the_published_key() {
        let provider = Provider::new().unwrap();
        let token = provider.token("ada", SCOPE).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let jwks: serde_json::Value = serde_json::from_str(&provider.jwks().unwrap()).unwrap();
        let mut point = vec![4];
        for half in ["x", "y"] {
            point.extend(URL_SAFE_NO_PAD.decode(jwks["keys"][0][half].as_str().unwrap()).unwrap());
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        key.verify(signed.as_bytes(), &signature).unwrap();
        assert!(key.verify(b"something else", &signature).is_err());
    }
}
