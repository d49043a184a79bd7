//! Every algorithm, with keys and signatures that Node's OpenSSL made: what the gateway checks with ring and RustCrypto is checked against somebody else's code.

use std::process::Command;

use plugway_harness::gateway::Gateway;
use plugway_harness::peers;
use plugway_harness::upstream::Upstream;
use serde_json::{Value, json};

use super::TIME_FOR_P521;
use crate::common::BINARY;
use crate::guest::{config, get, route};
use crate::issuer::now;

const ALGORITHMS: [&str; 10] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/// Prints `{ jwks, good, mislabelled, forged }`: a token by each algorithm, each once more with the name of another that its key might be for, and tokens
/// that somebody made who has no key of the issuer's.
const SIGN: &str = r#"
const crypto = require('node:crypto');
const claims = process.argv[1];
const keys = {
  rsa: crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: crypto.generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ed: crypto.generateKeyPairSync('ed25519'),
};
const pss = { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST };
const raw = { dsaEncoding: 'ieee-p1363' };
const algorithms = {
  RS256: ['rsa', 'sha256', {}], RS384: ['rsa', 'sha384', {}], RS512: ['rsa', 'sha512', {}],
  PS256: ['rsa', 'sha256', pss], PS384: ['rsa', 'sha384', pss], PS512: ['rsa', 'sha512', pss],
  ES256: ['p256', 'sha256', raw], ES384: ['p384', 'sha384', raw], ES512: ['p521', 'sha512', raw], EdDSA: ['ed', null, {}],
};
const token = (label, [kid, digest, options]) => {
  const part = (text) => Buffer.from(text).toString('base64url');
  const signed = `${part(JSON.stringify({ alg: label, kid, typ: 'at+jwt' }))}.${part(claims)}`;
  const signature = crypto.sign(digest, Buffer.from(signed), { key: keys[kid].privateKey, ...options });
  return `${signed}.${signature.toString('base64url')}`;
};
const names = Object.keys(algorithms);
// The public key as a shared secret, in every form somebody may have it; no signature; and a key of his own, which the token brings along.
const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const own = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = own.publicKey.export({ format: 'jwk' });
const made = (header, sign) => {
  const signed = `${part({ typ: 'at+jwt', ...header })}.${part(claims)}`;
  return [JSON.stringify(Object.keys(header).concat(header.alg)), `${signed}.${sign(Buffer.from(signed)).toString('base64url')}`];
};
const secrets = [['pem', 'spki'], ['pem', 'pkcs1'], ['der', 'spki'], ['der', 'pkcs1']]
  .map(([format, type]) => keys.rsa.publicKey.export({ format, type }))
  .concat([keys.rsa.publicKey.export({ format: 'jwk' }).n, Buffer.from(keys.rsa.publicKey.export({ format: 'jwk' }).n, 'base64url'), '']);
const forged = [
  ...['HS256', 'HS384', 'HS512'].flatMap((alg) => secrets.map((secret) =>
    made({ alg, kid: 'rsa' }, (signed) => crypto.createHmac(`sha${alg.slice(2)}`, secret).update(signed).digest()))),
  ...['none', 'None', 'NONE'].flatMap((alg) => ['', 'x'].map((signature) => made({ alg, kid: 'rsa' }, () => Buffer.from(signature)))),
  ...[{ jwk }, { jku: 'https://id.example.com/keys' }, { x5u: 'https://id.example.com/chain' }, { x5c: [own.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')] }]
    .flatMap((brought) => [{ kid: 'rsa' }, { kid: 'mine' }, {}].map((kid) =>
      made({ alg: 'RS256', ...kid, ...brought }, (signed) => crypto.sign('sha256', signed, own.privateKey)))),
];
console.log(JSON.stringify({
  jwks: { keys: Object.entries(keys).map(([kid, { publicKey }]) => ({ kid, use: 'sig', ...publicKey.export({ format: 'jwk' }) })) },
  good: Object.fromEntries(names.map((name) => [name, token(name, algorithms[name])])),
  forged,
  mislabelled: names.flatMap((label) => names.filter((name) => name !== label).map((name) => [label, name, token(label, algorithms[name])])),
}));
"#;

fn signed() -> Value {
    let claims = json!({ "iss": "https://id.example.com", "aud": "orders", "sub": "ann", "exp": now() + 600 });
    let made = Command::new(peers::NODE.find().unwrap()).args(["-e", SIGN, &claims.to_string()]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    serde_json::from_slice(&made.stdout).unwrap()
}

fn gateway(upstream: &Upstream, signed: &Value, algorithms: &[&str]) -> Gateway {
    let auth = format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}} }}\n{TIME_FOR_P521}[plugins.auth.config]\nissuer = \"https://id.example.com\"\n\
         audience = \"orders\"\njwks = '{}'\nalgorithms = {algorithms:?}\n",
        signed["jwks"]
    );
    Gateway::start(BINARY, &config(upstream, &[&auth, &route("plugins = [\"auth\"]")])).unwrap()
}

#[test]
fn tokens_that_others_signed_pass_by_every_algorithm_that_is_accepted_and_by_no_other_name() {
    let (signed, upstream) = (signed(), Upstream::plain("up").unwrap());
    let ask = |gateway: &Gateway, token: &Value| {
        get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {}", token.as_str().unwrap()))])
    };
    let all = gateway(&upstream, &signed, &ALGORITHMS);
    for algorithm in ALGORITHMS {
        let answer = ask(&all, &signed["good"][algorithm]);
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.text());
    }
    let mislabelled = signed["mislabelled"].as_array().unwrap();
    assert_eq!(mislabelled.len(), ALGORITHMS.len() * (ALGORITHMS.len() - 1));
    for wrong in mislabelled {
        assert_eq!(ask(&all, &wrong[2]).status, 401, "signed by {} and called {}", wrong[1], wrong[0]);
    }
    let forged = signed["forged"].as_array().unwrap();
    assert_eq!(forged.len(), 3 * 7 + 6 + 4 * 3);
    for forged in forged {
        assert_eq!(ask(&all, &forged[1]).status, 401, "{}", forged[0]);
    }
    // What is accepted where nothing is said.
    let few = gateway(&upstream, &signed, &["RS256", "ES256", "EdDSA"]);
    for algorithm in ALGORITHMS {
        let expected = if ["RS256", "ES256", "EdDSA"].contains(&algorithm) { 200 } else { 401 };
        assert_eq!(ask(&few, &signed["good"][algorithm]).status, expected, "{algorithm}");
    }
    assert_eq!(upstream.requests(), 10 + 3);
}
