//! Keys do their work for the plugin that was granted them, and never reach it; what a plugin can do without does not keep it from
//! being loaded.

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::common::{BINARY, admin, two_workers};
use crate::guest::{check, config, get, locksmith, plugin, route};

const SECRETS: &str =
    "[secrets.session]\nfile = \"session\"\n[secrets.signing]\nfile = \"signing\"\n[secrets.password]\nfile = \"password\"\n";
const SESSION: &str = "0123456789abcdef-0123456789abcdef";

/// A new key, and its PEM.
fn signing_key() -> (Ed25519KeyPair, String) {
    use base64::Engine;
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(pkcs8.as_ref());
    (Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(), format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"))
}

fn start(upstream: &Upstream, pem: &str, grants: &str) -> Gateway {
    let launch = Launch::new(BINARY).unwrap();
    launch.file("session", SESSION).unwrap();
    launch.file("signing", pem).unwrap();
    launch.file("password", "hunter2-hunter2").unwrap();
    let parts = [SECRETS.to_owned(), plugin("locksmith", locksmith(), "", grants), route("public = true\nplugins = [\"locksmith\"]")];
    launch.start(&two_workers(&config(upstream, &parts.each_ref().map(String::as_str)))).unwrap()
}

fn ask(gateway: &Gateway, told: &str, text: &str) -> (u16, String) {
    let response = get(gateway.address("web").unwrap(), "/", &[("x-do", told), ("x-text", text)]);
    (response.status, response.text())
}

#[test]
fn a_plugin_signs_and_seals_with_keys_it_does_not_have() {
    let upstream = Upstream::plain("up").unwrap();
    let (key, pem) = signing_key();
    let gateway = start(&upstream, &pem, "grants = { keys = [\"session\", \"signing\", \"password\"] }");
    let ask = |told: &str, text: &str| ask(&gateway, told, text).1;

    assert_eq!(ask("algorithms signing", ""), "EdDSA");
    let signature = ask("sign signing", "message");
    let bytes: Vec<u8> = (0..64).map(|at| u8::from_str_radix(&signature[at * 2..at * 2 + 2], 16).unwrap()).collect();
    UnparsedPublicKey::new(&ED25519, key.public_key().as_ref()).verify(b"message", &bytes).unwrap();

    // Sealed on one worker, opened on any: each connection of these may meet another.
    let sealed = ask("seal session", "ann");
    for _ in 0..20 {
        assert_eq!(ask("open session", &sealed), "ann");
    }
    let mut changed = sealed.clone();
    changed.replace_range(..2, "02");
    assert_eq!(ask("open session", &changed), "Mismatch");
    assert_eq!(ask("open session", &sealed[..sealed.len() - 2]), "Mismatch");

    assert!(ask("seal signing", "").contains("signs and does not seal"));
    assert!(ask("sign session", "").contains("no private key"));
    let password = ask("seal password", "");
    assert!(password.contains("has 15 bytes"), "{password}");
    assert_eq!(ask("seal missing", ""), "NotGranted");
    for page in ["/status", "/metrics"] {
        let text = admin(&gateway, page);
        assert!(!text.contains("hunter2") && !text.contains(SESSION), "{page}");
    }
    assert!(!gateway.log().text().contains("hunter2"));
}

#[test]
fn what_a_plugin_can_do_without_is_loaded_without_and_traps_if_it_is_used_anyway() {
    let upstream = Upstream::plain("up").unwrap();
    let (_, pem) = signing_key();
    let without = start(&upstream, &pem, "grants = { keys = [\"session\", \"signing\", \"password\"] }");
    assert_eq!(ask(&without, "granted -", "").1, "kv false, keys true");
    assert_eq!(ask(&without, "visits a", "").0, 500);
    assert_eq!(ask(&without, "granted -", "").0, 200);
    let with = start(&upstream, &pem, "grants = { keys = [\"session\", \"signing\", \"password\"], kv = {} }");
    assert_eq!(ask(&with, "granted -", "").1, "kv true, keys true");
    assert_eq!(ask(&with, "visits a", ""), (200, "1".to_owned()));
}

#[test]
fn a_key_that_is_not_there_is_a_problem_of_the_configuration() {
    let upstream = Upstream::plain("up").unwrap();
    let used = route("public = true\nplugins = [\"locksmith\"]");
    let granted = |grants: &str| plugin("locksmith", locksmith(), "", grants);
    let (output, text) = check(&config(&upstream, &["[secrets.k]\nfile = \"missing\"\n", &granted("grants = { keys = [\"k\"] }"), &used]));
    assert!(!output.status.success() && text.contains("secrets.k.file"), "{text}");
    let (output, text) = check(&config(&upstream, &["[secrets.k]\nenv = \"PATH\"\n", &granted("grants = { keys = [\"q\"] }"), &used]));
    assert!(!output.status.success() && text.contains("there is no secret `q`"), "{text}");
    // It asks whether it has keys, so it can do without.
    let (output, text) = check(&config(&upstream, &[&granted(""), &used]));
    assert!(output.status.success(), "{text}");
}
