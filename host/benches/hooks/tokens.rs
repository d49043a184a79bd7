//! `oauth2` with tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use criterion::Criterion;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::{exchange, head, now, ready};

/// A key pair that signs tokens with ES256.
struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { key, random }
    }

    /// One route behind `oauth2`.
    fn configuration(&self) -> String {
        let point = self.key.public_key().as_ref();
        let [x, y] = [1..33, 33..65].map(|range| BASE64.encode(&point[range]));
        format!(
            r#"{}
[plugins.auth]
source = "builtin:oauth2"
grants = {{ crypto = {{}} }}
[plugins.auth.config]
issuer = "https://id.example.com"
audience = "orders"
scopes = ["orders:read"]
claims = ["tenant"]
claims_as_headers = {{ "x-user" = "sub" }}
jwks = {{ keys = [{{ kty = "EC", crv = "P-256", kid = "1", x = "{x}", y = "{y}" }}] }}
[[routes]]
name = "all"
match = {{ path = "/*" }}
upstream = "up"
plugins = ["auth"]
"#,
            head()
        )
    }

    fn authorization(&self, subject: usize) -> HeaderValue {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = serde_json::json!({
            "iss": "https://id.example.com", "aud": "orders", "sub": format!("user-{subject}"), "client_id": "shop", "iat": now,
            "nbf": now, "exp": now + 86_400, "scope": "orders:read orders:write", "tenant": "acme", "roles": ["buyer", "seller"],
        });
        let signed = [r#"{"alg":"ES256","kid":"1","typ":"at+jwt"}"#, &claims.to_string()].map(|part| BASE64.encode(part)).join(".");
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        HeaderValue::try_from(format!("Bearer {signed}.{}", BASE64.encode(signature))).unwrap()
    }
}

/// `oauth2` with a token it knows and with tokens it does not: more than it keeps, in turn.
pub(super) fn tokens(criterion: &mut Criterion) {
    let issuer = Issuer::new();
    let ready = ready(&issuer.configuration());
    let generation = &ready.generation;
    for (name, different) in [("a token it knows", 1), ("a token it does not know", 2_000)] {
        let tokens: Vec<HeaderValue> = (0..different).map(|subject| issuer.authorization(subject)).collect();
        let mut next = tokens.iter().cycle();
        // Once outside, so that what is measured is known to be the work.
        let mut first = exchange(generation);
        first.request.headers.insert(AUTHORIZATION, next.next().unwrap().clone());
        let (once, _) = now(generation.snapshot.routes[0].chain.admit(generation, first));
        assert!(once.identity.is_some() && !once.request.headers.contains_key(AUTHORIZATION));
        let mut exchange = Some(once);
        criterion.bench_function(&format!("oauth2: {name}"), |bencher| {
            let chain = &generation.snapshot.routes[0].chain;
            bencher.iter(|| {
                let mut request = exchange.take().unwrap();
                // The plugin takes it away.
                request.request.headers.insert(AUTHORIZATION, next.next().unwrap().clone());
                let (back, verdict) = now(chain.admit(generation, request));
                exchange = Some(back);
                verdict
            });
        });
    }
}
