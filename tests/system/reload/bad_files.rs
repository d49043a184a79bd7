//! Files that are not taken. What serves serves on, and everything says what is wrong with which file.

use serde_json::Value;

use super::{LOOKED, Scene, meanwhile, metric, replace, status, until, version};
use crate::common::LOGGED;
use crate::guest::shipped;

/// Puts this in the plugin's place, and finds it rejected for that reason; nobody notices, and a good file mends it.
fn is_rejected(scene: &Scene, content: &[u8], why: &str, says: &str) {
    let rejected = scene.reloads("rejected");
    let serving = scene.plugin()["digest"].clone();
    replace(&scene.file(), content);
    until(&format!("it is rejected: {why}"), || scene.reloads("rejected") > rejected);
    scene.still_serves(1);
    let file = scene.file().display().to_string();
    let digest = sha256(content);
    let shown = |rejection: &Value| {
        assert_eq!(rejection["plugin"], "auth", "{rejection:#}");
        assert_eq!(rejection["file"], file.as_str(), "{rejection:#}");
        assert_eq!(rejection["digest"], format!("sha256:{digest}"), "{rejection:#}");
        assert_eq!(rejection["why"], why, "{rejection:#}");
        assert!(rejection["reason"].as_str().unwrap().contains(says), "{rejection:#}");
    };
    let plugin = scene.plugin();
    assert_eq!((plugin["file"].as_str(), &plugin["digest"]), (Some("rejected"), &serving), "{plugin:#}");
    shown(&plugin["rejected"]);
    shown(&status(&scene.gateway)["last_reload"]["outcome"]["rejected"][0]);
    let labels = [format!("file=\"{file}\""), format!("digest=\"{digest}\""), format!("why=\"{why}\"")];
    assert_eq!(metric(&scene.gateway, "plugway_rejected_file", &labels.each_ref().map(String::as_str)), 1.0, "{labels:?}");
    let line = scene
        .gateway
        .log()
        .wait(LOGGED, |line| line.message().contains("A reload was rejected") && line.field("digest") == Some(&digest))
        .unwrap_or_else(|| panic!("{}", scene.gateway.log().text()));
    assert_eq!((line.field("level"), line.field("plugin"), line.field("why")), (Some("WARN"), Some("auth"), Some(why)));
    assert_eq!(line.field("file"), Some(file.as_str()));
    assert!(line.field("error").unwrap().contains(says), "{line:?}");

    replace(&scene.file(), version(1));
    until("a good file mends it", || scene.plugin()["file"] == "serving");
    assert_eq!(metric(&scene.gateway, "plugway_rejected_file", &[]), 0.0);
    scene.still_serves(1);
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_no_component() {
    let scene = Scene::new("");
    is_rejected(&scene, b"#!/bin/sh\nexit 1\n", "not-a-component", "auth");
    is_rejected(&scene, b"\0asm\x01\0\0\0", "not-a-component", "auth");
    let mut broken = version(2);
    let middle = broken.len() / 2;
    broken[middle..middle + 64].fill(0xFF);
    let rejected = scene.reloads("rejected");
    replace(&scene.file(), &broken);
    until("it is rejected", || scene.reloads("rejected") > rejected);
    scene.still_serves(1);
}

#[test]
fn what_wants_more_than_it_may() {
    let scene = Scene::new("");
    // It checks signatures, for which nothing was granted.
    is_rejected(&scene, &std::fs::read(shipped("oauth2")).unwrap(), "not-granted", "crypto");
}

#[test]
fn what_speaks_another_version_of_the_contract() {
    let scene = Scene::new("");
    let text = version(2);
    let (from, to) = (b"plugway:gateway/request@0.1.0", b"plugway:gateway/request@9.1.0");
    let mut other = text.clone();
    let places: Vec<_> = text.windows(from.len()).enumerate().filter(|(_, window)| window == from).map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    for place in places {
        other[place..place + to.len()].copy_from_slice(to);
    }
    is_rejected(&scene, &other, "wrong-version", "9.1.0");
}

#[test]
fn what_does_not_take_its_configuration() {
    let scene = Scene::new("");
    // Another plugin altogether: it knows no `mode`.
    is_rejected(&scene, &std::fs::read(shipped("metrics")).unwrap(), "refused-configuration", "mode");
    // And one that has no business in a chain.
    is_rejected(&scene, &std::fs::read(shipped("tls-forward")).unwrap(), "hooks", "has no hook that runs in a chain");
}

#[test]
fn what_fails_while_it_is_made_ready() {
    let budget = "[plugins.auth.budget]\nsetup_cpu = \"100ms\"\n";
    for (number, why, says) in [
        (990_001, "trap", "unreachable"),
        (990_002, "cpu", "used more than its budget of 100ms CPU time"),
        (990_003, "memory", "wanted more than its 33554432 bytes of memory"),
        (990_004, "refused-configuration", "this version takes no configuration"),
    ] {
        let scene = Scene::new(budget);
        let hits = |key: &str| metric(&scene.gateway, "plugway_budget_hits_total", &[&format!("budget=\"{key}\"")]);
        is_rejected(&scene, &version(number), why, says);
        assert_eq!((hits("setup_cpu") > 0.0, hits("memory") > 0.0), (why == "cpu", why == "memory"), "{why}");
    }
}

#[test]
fn a_configuration_that_traps_when_it_is_made_ready() {
    // Every file is the guest; the configuration that comes with this one traps.
    let scene = Scene::new("");
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    let rejected = scene.reloads("rejected");
    replace(&scene.config_file(), text.replace("mode = \"version\"", "mode = \"trap-in-configure\""));
    until("it is rejected", || scene.reloads("rejected") > rejected);
    scene.still_serves(1);
    let shown = status(&scene.gateway)["configuration"].clone();
    assert_eq!((shown["state"].as_str(), shown["rejected"]["plugin"].as_str()), (Some("rejected"), None), "{shown:#}");
    assert!(shown["rejected"]["reason"].as_str().unwrap().contains("does not take its configuration"), "{shown:#}");
    replace(&scene.config_file(), text);
    until("it is mended", || status(&scene.gateway)["configuration"]["state"] == "serving");
}

#[test]
fn what_is_only_the_beginning_of_a_file_is_waited_for() {
    let scene = Scene::new("");
    let whole = version(2);
    replace(&scene.file(), &whole[..whole.len() / 2]);
    // Not taken, and not complained of either: the rest may be on its way.
    meanwhile(LOOKED, || scene.still_serves(1));
    assert_eq!((scene.reloads("swapped"), scene.reloads("rejected")), (0.0, 0.0));
    // But not for ever.
    until("it is rejected", || scene.reloads("rejected") > 0.0);
    scene.still_serves(1);
    // And then it is said as of any other.
    replace(&scene.file(), version(1));
    until("a good file mends it", || scene.plugin()["file"] == "serving");
    is_rejected(&scene, &whole[..whole.len() / 3], "not-a-component", "auth");
}

#[test]
fn a_file_that_is_gone_takes_nothing_from_a_route() {
    let scene = Scene::new("");
    replace(&scene.file(), b"nothing");
    until("it is rejected", || scene.plugin()["file"] == "rejected");
    std::fs::remove_file(scene.file()).unwrap();
    until("it is seen", || scene.plugin()["file"] == "file gone");
    // What it held is no matter any more.
    assert!(scene.plugin()["rejected"].is_null(), "{:#}", scene.plugin());
    until("it is counted no more", || metric(&scene.gateway, "plugway_rejected_file", &[]) == 0.0);
    scene.still_serves(1);
    // Whatever else is reloaded meanwhile.
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.config_file(), format!("{text}\n[limits]\nmax_headers = 90\n"));
    until("the configuration is reloaded", || scene.reloads("swapped") >= 1.0);
    scene.still_serves(1);
    assert_eq!(scene.plugin()["file"], "file gone");
    replace(&scene.file(), version(2));
    scene.serves(2);
}

#[test]
fn one_bad_file_does_not_keep_back_the_others() {
    let scene = Scene::new("");
    replace(&scene.file(), b"nothing");
    until("it is rejected", || scene.reloads("rejected") >= 1.0);
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.config_file(), format!("{text}\n[limits]\nmax_headers = 90\n"));
    until("the configuration is reloaded", || scene.reloads("swapped") >= 1.0);
    scene.still_serves(1);
    assert_eq!(scene.plugin()["file"], "rejected");
}

#[test]
fn a_file_that_is_missing_at_the_start_is_an_error() {
    let text = crate::guest::refused(
        "[listen.web]\naddress = \"127.0.0.1:0\"\n[plugins.auth]\nsource = \"auth.wasm\"\n[upstreams.up]\nendpoints = [\"http://127.0.0.1:9\"]\n[[routes]]\nname = \"all\"\npublic = true\nplugins = [\"auth\"]\nupstream = \"up\"\n",
    );
    assert!(text.contains("plugins.auth.source: ") && text.contains("auth.wasm cannot be read: No such file"), "{text}");
    let launch = plugway_harness::gateway::Launch::new(crate::common::BINARY).unwrap();
    let error = launch.start(&format!(
        "{}[plugins.auth]\nsource = \"auth.wasm\"\n[upstreams.up]\nendpoints = [\"http://127.0.0.1:9\"]\n[[routes]]\nname = \"all\"\npublic = true\nplugins = [\"auth\"]\nupstream = \"up\"\n",
        crate::common::HEAD
    ));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("auth.wasm cannot be read: No such file"), "{error}");
}

#[test]
fn an_authorizer_that_is_gone_is_the_files_fault() {
    let scene = Scene::authorized();
    let rejected = scene.reloads("rejected");
    // The same without the hook that lets anybody in.
    replace(&scene.file(), version(2));
    until("it is rejected", || scene.reloads("rejected") > rejected);
    let plugin = scene.plugin();
    assert_eq!((plugin["file"].as_str(), plugin["rejected"]["why"].as_str()), (Some("rejected"), Some("hooks")), "{plugin:#}");
    assert!(plugin["rejected"]["reason"].as_str().unwrap().contains("has no authorizer"), "{plugin:#}");
    let configuration = status(&scene.gateway)["configuration"].clone();
    assert_eq!(configuration["state"], "serving", "{configuration:#}");
    assert_eq!(scene.get().status, 200);
}

#[test]
fn a_bad_file_that_no_route_uses_keeps_nothing_back_and_is_named() {
    let scene = Scene::new("");
    let plugins = scene.gateway.directory().join("plugins.d");
    std::fs::write(plugins.join("later.wasm"), b"#!/bin/sh\n").unwrap();
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.config_file(), format!("{text}\n[plugins.later]\nsource = \"later.wasm\"\n[limits]\nmax_headers = 77\n"));
    scene.has_swapped(1.0);
    let unused = status(&scene.gateway)["unused_plugins"].clone();
    assert_eq!(unused[0]["name"], "later", "{unused:#}");
    assert!(unused[0]["problem"].as_str().is_some_and(|problem| !problem.is_empty()), "{unused:#}");
    replace(&plugins.join("later.wasm"), version(2));
    until("it is good", || status(&scene.gateway)["unused_plugins"][0]["problem"].is_null());
    scene.still_serves(1);
}
