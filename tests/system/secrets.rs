//! Secrets reach the plugin that was granted them, and nobody else.

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, admin, until};
use crate::guest::{check, check_in, confidant, config, get, plugin, refused, route};

const KEY: &str = "hunter2-hunter2-hunter2";
const TOKEN: &str = "correct horse battery staple";
/// What must be in nothing the gateway says: parts, so that a cut or a quoted one is found too.
const PARTS: [&str; 3] = ["hunter2", "battery", "other-secret"];

const SECRETS: &str = "[secrets.key]\nfile = \"secrets/key\"\n[secrets.token]\nenv = \"PLUGWAY_TEST_TOKEN\"\n\
    [secrets.other]\nenv = \"PLUGWAY_TEST_OTHER\"\n";

/// Two plugins from one file: `confidant` has the key and the token, `stranger` the other one.
fn text(upstream: &Upstream, confidant_config: &str) -> String {
    let parts = [
        SECRETS.to_owned(),
        plugin("confidant", confidant(), confidant_config, "grants = { secrets = [\"key\", \"token\"] }"),
        plugin("stranger", confidant(), "", "grants = { secrets = [\"other\"] }"),
        route("public = true\nplugins = [\"confidant\", \"stranger\"]"),
    ];
    config(upstream, &parts.each_ref().map(String::as_str))
}

fn launch() -> Launch {
    let launch = Launch::new(BINARY).unwrap().env("PLUGWAY_TEST_TOKEN", TOKEN).env("PLUGWAY_TEST_OTHER", "other-secret");
    std::fs::create_dir(launch.directory().join("secrets")).unwrap();
    launch.file("secrets/key", format!("{KEY}\n")).unwrap();
    launch
}

fn ask(gateway: &Gateway, told: &str) -> (u16, String) {
    let response = get(gateway.address("web").unwrap(), "/", &[("x-do", told)]);
    (response.status, response.text())
}

fn assert_silent(what: &str, text: &str) {
    for part in PARTS {
        assert!(!text.contains(part), "{what} has `{part}`:\n{text}");
    }
}

#[test]
fn a_plugin_gets_the_secrets_it_was_granted_and_no_others() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = launch().start(&text(&upstream, "")).unwrap();
    // The line break at the end of the file is no part of it.
    assert_eq!(ask(&gateway, "show key"), (200, KEY.to_owned()));
    assert_eq!(ask(&gateway, "show token"), (200, TOKEN.to_owned()));
    assert_eq!(ask(&gateway, "show other"), (200, "NotGranted".to_owned()));
    assert_eq!(ask(&gateway, "show missing"), (200, "NotGranted".to_owned()));
    // What the file says now is for the next configuration.
    std::fs::write(gateway.directory().join("secrets/key"), "changed").unwrap();
    assert_eq!(ask(&gateway, "show key"), (200, KEY.to_owned()));
}

#[test]
fn a_secret_is_in_no_log_no_status_and_no_metric() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = launch().start(&text(&upstream, "")).unwrap();
    for (what, status) in [("log", 200), ("print", 200), ("print-long", 200), ("count", 200), ("fail", 500), ("panic", 500)] {
        for name in ["key", "token"] {
            let (answered, body) = ask(&gateway, &format!("{what} {name}"));
            assert_eq!(answered, status, "{what} {name}: {body}");
            assert_silent(what, &body);
        }
    }
    until("everything to be logged", || {
        let log = gateway.log().text();
        ["the key is [secret key]", "the key is [secret token]", "the key [secret key] is not good enough"]
            .iter()
            .all(|line| log.contains(line))
    });
    let metrics = admin(&gateway, "/metrics");
    assert!(metrics.contains("what=\"[secret key]\""), "{metrics}");
    assert_silent("/metrics", &metrics);
    assert_silent("/status", &admin(&gateway, "/status"));
    let log: Vec<String> = gateway.stop().unwrap().into_iter().map(|line| line.text).collect();
    assert_silent("the log", &log.join("\n"));
}

#[test]
fn check_reads_every_secret_and_says_nothing_of_any() {
    let upstream = Upstream::plain("up").unwrap();
    let launch = launch();
    let (output, said) = check_in(&launch, &text(&upstream, ""));
    assert!(output.status.success(), "{said}");
    assert_silent("check", &said);

    // A plugin that refuses its configuration with the secret in its words.
    let (output, said) = check_in(&launch, &text(&upstream, "refuse_with = \"key\""));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the key \"[secret key]\" is not good enough"), "{said}");
    assert_silent("check", &said);

    // What cannot be read is reported once: the plugins that want it are not asked what they think of that.
    launch.file("secrets/key", "\n").unwrap();
    let (_, said) = check_in(&launch, &text(&upstream, "refuse_with = \"key\""));
    assert!(said.contains("secrets.key.file") && said.contains("it is empty") && said.contains("1 problem"), "{said}");
}

#[test]
fn a_secret_that_is_not_there_keeps_the_gateway_from_starting() {
    let upstream = Upstream::plain("up").unwrap();
    let (_, said) = check(&text(&upstream, ""));
    for part in ["secrets.key.file", "secrets.token.env", "there is no variable `PLUGWAY_TEST_TOKEN`", "3 problems"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // One that nobody is granted is never looked at.
    let unused = config(&upstream, &["[secrets.unused]\nfile = \"no-such-file\"\n", &route("public = true")]);
    let (output, said) = check(&unused);
    assert!(output.status.success() && said.contains("secrets.unused: no plugin is granted this secret"), "{said}");

    let without = plugin("confidant", confidant(), "", "");
    let said = refused(&config(&upstream, &[&without, &route("public = true\nplugins = [\"confidant\"]")]));
    assert!(said.contains("`secrets`, which was not granted") && said.contains("`grants = { secrets = [\"NAME\"] }`"), "{said}");
}
