//! What a route's plugins cost, called as a worker calls them: `cargo bench -p plugway --bench hooks`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that cannot go on ends; criterion's macro makes items without docs"
)]

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use plugway::assembly::{Workshop, read_all};
use plugway::config;
use plugway::exchange::{ConnectionFacts, Exchange, RequestHead, Target};
use plugway::plugin::Compiler;
use plugway::proxy::Generation;
use plugway::telemetry::Telemetry;
use plugway_harness::guests;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

/// What every configuration here begins with.
fn head() -> String {
    let cache = guests::root().join("target/bench-cache");
    format!(
        r#"
workers = 1
cache_directory = "{}"
[listen.web]
address = "127.0.0.1:0"
[upstreams.up]
endpoints = ["http://127.0.0.1:9"]
"#,
        cache.display()
    )
}

/// One route with a chain of `length` plugins that read one header and add one.
fn configuration(length: usize) -> String {
    let guest = guests::component(&guests::root(), "plugway-bench-guest").unwrap();
    let mut text = head();
    for index in 0..length {
        text += &format!("[plugins.p{index}]\nsource = \"{}\"\nconfig = {{ header = \"x-plugin-{index}\" }}\n", guest.display());
    }
    let names = (0..length).map(|index| format!("\"p{index}\"")).collect::<Vec<_>>().join(", ");
    text + &format!("[[routes]]\nname = \"all\"\nmatch = {{ path = \"/*\" }}\npublic = true\nupstream = \"up\"\nplugins = [{names}]\n")
}

fn exchange(generation: &Generation) -> Box<Exchange> {
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "example.com"), ("accept", "*/*"), ("user-agent", "bench"), ("x-tenant-id", "acme")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let head = RequestHead { method: Method::GET, tls: false, authority: "example.com".into(), target: Target::default(), headers };
    let connection = ConnectionFacts { peer: ([127, 0, 0, 1], 1).into(), listener: "web".into(), tls: None };
    let id = HeaderValue::from_static("id");
    let route = generation.snapshot.routes[0].facts.clone();
    Exchange::new(head, connection.into(), [127, 0, 0, 1].into(), id.clone(), id, Instant::now(), route, Vec::new())
}

fn hooks(criterion: &mut Criterion) {
    for length in [0, 1, 5] {
        let config = config::parse(&configuration(length), Path::new("bench.toml")).unwrap().config;
        let mut workshop = Workshop::open(&config, Telemetry::new().unwrap(), Compiler::in_process()).unwrap();
        let assembled = workshop.assemble(&config, read_all(&config)).unwrap();
        let generation = workshop.generation(&config, &assembled, 0).unwrap();
        // Once outside, so that what is measured is known to be the work.
        let (once, _) = generation.snapshot.routes[0].chain.admit(&generation.plugins, exchange(&generation));
        assert_eq!(once.request.headers.contains_key("x-plugin-0"), length > 0);
        let mut exchange = Some(once);
        criterion.bench_function(&format!("chain of {length}: read a header, add a header"), |bencher| {
            let chain = &generation.snapshot.routes[0].chain;
            bencher.iter(|| {
                let (back, verdict) = chain.admit(&generation.plugins, exchange.take().unwrap());
                exchange = Some(back);
                verdict
            });
        });
    }
}

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
fn tokens(criterion: &mut Criterion) {
    let issuer = Issuer::new();
    let config = config::parse(&issuer.configuration(), Path::new("bench.toml")).unwrap().config;
    let mut workshop = Workshop::open(&config, Telemetry::new().unwrap(), Compiler::in_process()).unwrap();
    let assembled = workshop.assemble(&config, read_all(&config)).unwrap();
    let generation = workshop.generation(&config, &assembled, 0).unwrap();
    for (name, different) in [("a token it knows", 1), ("a token it does not know", 2_000)] {
        let tokens: Vec<HeaderValue> = (0..different).map(|subject| issuer.authorization(subject)).collect();
        let mut next = tokens.iter().cycle();
        // Once outside, so that what is measured is known to be the work.
        let mut first = exchange(&generation);
        first.request.headers.insert(AUTHORIZATION, next.next().unwrap().clone());
        let (once, _) = generation.snapshot.routes[0].chain.admit(&generation.plugins, first);
        assert!(once.identity.is_some() && !once.request.headers.contains_key(AUTHORIZATION));
        let mut exchange = Some(once);
        criterion.bench_function(&format!("oauth2: {name}"), |bencher| {
            let chain = &generation.snapshot.routes[0].chain;
            bencher.iter(|| {
                let mut request = exchange.take().unwrap();
                // The plugin takes it away.
                request.request.headers.insert(AUTHORIZATION, next.next().unwrap().clone());
                let (back, verdict) = chain.admit(&generation.plugins, request);
                exchange = Some(back);
                verdict
            });
        });
    }
}

criterion_group!(benches, hooks, tokens);
criterion_main!(benches);
