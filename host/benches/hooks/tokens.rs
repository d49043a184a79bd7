//! `oauth2` with tokens.

use std::hint::black_box;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use criterion::Criterion;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::json;

use super::{calls, exchange, head, kinds, ready, worker};

/// Who signs tokens, and how.
struct Issuer {
    key: Key,
    random: SystemRandom,
}

enum Key {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

impl Issuer {
    fn es256() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { key: Key::Es256(Box::new(key)), random }
    }

    /// ring makes no RSA keys; Node, which the tests have for their authorization server, does.
    fn rs256() -> Self {
        let script = "process.stdout.write(crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'der' }))";
        let made = std::process::Command::new(plugway_harness::peers::NODE.find().unwrap()).args(["-e", script]).output().unwrap();
        let key = RsaKeyPair::from_pkcs8(&made.stdout).unwrap();
        Self { key: Key::Rs256(Box::new(key)), random: SystemRandom::new() }
    }

    fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Es256(_) => "ES256",
            Key::Rs256(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => key.sign(&self.random, message).unwrap().as_ref().to_vec(),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    fn jwk(&self) -> serde_json::Value {
        match &self.key {
            Key::Es256(key) => {
                let point = key.public_key().as_ref();
                let [x, y] = [1..33, 33..65].map(|range| BASE64.encode(&point[range]));
                json!({ "kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y })
            }
            Key::Rs256(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "kid": "1", "n": BASE64.encode(public.n), "e": BASE64.encode(public.e) })
            }
        }
    }

    /// One route behind `oauth2`, which was granted that.
    fn configuration(&self, grants: &str) -> String {
        format!(
            r#"{}
[plugins.auth]
source = "builtin:oauth2"
grants = {{ {grants} }}
[plugins.auth.config]
issuer = "https://id.example.com"
audience = "orders"
scopes = ["orders:read"]
claims = ["tenant"]
claims_as_headers = {{ "x-user" = "sub" }}
jwks = '{}'
[[routes]]
name = "all"
match = {{ path = "/*" }}
upstream = "up"
plugins = ["auth"]
"#,
            head(),
            json!({ "keys": [self.jwk()] })
        )
    }

    fn authorization(&self, subject: usize) -> HeaderValue {
        HeaderValue::try_from(format!("Bearer {}", self.token(subject))).unwrap()
    }

    fn token(&self, subject: usize) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": "https://id.example.com", "aud": "orders", "sub": format!("user-{subject}"), "client_id": "shop", "iat": now,
            "nbf": now, "exp": now + 86_400, "scope": "orders:read orders:write", "tenant": "acme", "roles": ["buyer", "seller"],
        });
        let header = json!({ "alg": self.algorithm(), "kid": "1", "typ": "at+jwt" }).to_string();
        let signed = [&header, &claims.to_string()].map(|part| BASE64.encode(part)).join(".");
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

/// What it needs for keys that are written, and for those that it fetches: then each call may wait, and has an instance and a stack of its own. The host
/// remembers fewer signatures than there are tokens, so each that comes in turn is computed, and drives out another.
const WRITTEN: &str = "crypto = { max_signatures = 1000 }";
const REMEMBERED: &str = "crypto = {}";
const FETCHED: &str = "crypto = {}, http-client = { hosts = [\"id.example.com\"] }";

/// `oauth2` with a token it knows and with tokens it does not: more than it keeps, in turn. Beside the dearest of them ring's own check of the same
/// signature, which is what it cannot be cheaper than.
pub(super) fn tokens(criterion: &mut Criterion) {
    let issuer = Issuer::es256();
    decisions(criterion, &issuer, WRITTEN, &[("a token it knows", 1), ("a token it does not know", 2_000)]);
    decisions(criterion, &issuer, FETCHED, &[("a token it knows, where it might wait", 1)]);
    let issuer = Issuer::rs256();
    decisions(criterion, &issuer, WRITTEN, &[("a token it does not know, RS256", 2_000)]);
    decisions(criterion, &issuer, REMEMBERED, &[("a token the instance does not know and the host does, RS256", 2_000)]);
    verification(criterion, &issuer);
    check(criterion, &issuer);
}

fn verification(criterion: &mut Criterion, issuer: &Issuer) {
    let Key::Rs256(key) = &issuer.key else { unreachable!() };
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
    let token = issuer.token(0);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64.decode(signature).unwrap();
    criterion.bench_function("ring: check of the same signature, RS256", |bencher| {
        bencher.iter(|| public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).unwrap());
    });
}

/// The same signature checked for a plugin: what crosses into the gateway and back, base64 of the signature and of the payload are in it where
/// it is a whole token.
fn check(criterion: &mut Criterion, issuer: &Issuer) {
    let (jwk, token) = (issuer.jwk(), issuer.token(0));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64.decode(signature).unwrap();
    let whole = format!(", jwk = '{jwk}', jws = \"{token}\"");
    let apart = format!(", jwk = '{jwk}', jws = \"{signed}\", signature = {signature:?}");
    let ready = ready(&kinds::configuration(&calls::routes([("verify-jws", whole.clone()), ("verify", apart), ("thumbprint", whole)])));
    calls::each(criterion, &ready, "verify-jws", "crypto.verify-jws, RS256");
    calls::each(criterion, &ready, "verify", "crypto.verify, RS256");
    calls::each(criterion, &ready, "thumbprint", "crypto.thumbprint, RSA");
}

fn decisions(criterion: &mut Criterion, issuer: &Issuer, grants: &str, cases: &[(&str, usize)]) {
    let ready = ready(&issuer.configuration(grants));
    let generation = &ready.generation;
    let chain = &generation.routes[0].chain;
    let worker = worker();
    for (name, different) in cases {
        let tokens: Vec<HeaderValue> = (0..*different).map(|subject| issuer.authorization(subject)).collect();
        let mut next = tokens.iter().cycle();
        // Once outside, so that what is measured is known to be the work.
        let mut first = exchange(generation);
        first.request.headers.insert(AUTHORIZATION, next.next().unwrap().clone());
        let (once, _) = worker.run(chain.admit(generation, first));
        assert!(once.identity.is_some() && !once.request.headers.contains_key(AUTHORIZATION));
        let mut exchange = Some(once);
        criterion.bench_function(&format!("oauth2: {name}"), |bencher| {
            bencher.iter_custom(|times| {
                worker.run(async {
                    let began = Instant::now();
                    for _ in 0..times {
                        let mut request = exchange.take().unwrap();
                        // The plugin takes it away.
                        request.request.headers.insert(AUTHORIZATION, next.next().unwrap().clone());
                        let (back, verdict) = chain.admit(generation, request).await;
                        exchange = Some(back);
                        black_box(verdict);
                    }
                    began.elapsed()
                })
            });
        });
    }
}
