//! Certificate files that cannot be used: `run` and `check` say which, why, and what to do.

use plugway_harness::ca::Authority;
use plugway_harness::gateway::Launch;

use crate::common::BINARY;

const SITE: &str = r#"
[admin]
enabled = false
[upstreams.up]
endpoints = ["http://127.0.0.1:1"]
[[routes]]
name = "all"
match = { path = "/*" }
public = true
upstream = "up"
"#;

#[test]
fn a_file_that_cannot_be_used_is_named_with_what_to_do() {
    let authority = Authority::new("root").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    let good = authority.server(&["a.example"]).unwrap().write(launch.directory(), "good").unwrap();
    authority.server(&["b.example"]).unwrap().write(launch.directory(), "other").unwrap();
    authority.server(&[]).unwrap().write(launch.directory(), "nameless").unwrap();
    authority.server(&["127.0.0.1"]).unwrap().write(launch.directory(), "address").unwrap();
    launch.file("empty.pem", "").unwrap();
    launch.file("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    launch.file("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    launch.file("encrypted.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n").unwrap();
    let both = [std::fs::read(&good.certificate).unwrap(), std::fs::read(&good.key).unwrap()].concat();
    launch.file("both.pem", both).unwrap();

    let tls = |certificate: &str, key: &str, more: &str| format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\"{more} }}");
    let mutual = |ca: &str| format!(", client_auth = {{ mode = \"required\", ca = \"{ca}\" }}");
    for (settings, said) in [
        (tls("missing.pem", "good.key", ""), &["missing.pem", "No such file"][..]),
        (tls("good.pem", "missing.key", ""), &["missing.key", "No such file"]),
        (tls("good.pem", "other.key", ""), &["other.key", "is not the key of", "good.pem"]),
        (tls("good.key", "good.pem", ""), &["good.key", "private key but no certificate"]),
        (tls("good.pem", "other.pem", ""), &["other.pem", "BEGIN PRIVATE KEY"]),
        (tls("empty.pem", "good.key", ""), &["empty.pem", "BEGIN CERTIFICATE"]),
        (tls("garbage.pem", "good.key", ""), &["garbage.pem", "is no valid PEM"]),
        (tls("nonsense.pem", "good.key", ""), &["nonsense.pem", "is no valid certificate"]),
        (tls("good.pem", "encrypted.key", ""), &["encrypted.key", "openssl pkey"]),
        (tls("nameless.pem", "nameless.key", ""), &["nameless.pem", "names no host", "subjectAltName"]),
        (tls("good.pem", "good.key", &mutual("missing-ca.pem")), &["missing-ca.pem", "No such file"]),
        (tls("good.pem", "good.key", &mutual("empty.pem")), &["empty.pem", "BEGIN CERTIFICATE"]),
        (tls("good.pem", "good.key", &mutual("nonsense.pem")), &["nonsense.pem", "root"]),
    ] {
        let config = format!("[listen.web]\naddress = \"127.0.0.1:0\"\n{settings}\n{SITE}");
        for command in ["check", "run"] {
            let output = launch.run(command, &config).unwrap();
            let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            assert!(!output.status.success(), "{command} with {settings}: {text}");
            for part in said.iter().chain(&["listen.web.tls", "plugway.toml"]) {
                assert!(text.contains(part), "{command} with {settings}: {part:?} is not in: {text}");
            }
        }
    }
    // One file for both, and a certificate for an address alone, are good.
    for settings in [tls("both.pem", "both.pem", ""), tls("address.pem", "address.key", "")] {
        let output = launch.run("check", &format!("[listen.web]\naddress = \"127.0.0.1:0\"\n{settings}\n{SITE}")).unwrap();
        assert!(output.status.success(), "{settings}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
