//! Versions that are held against each other, and what they say of calls that need not be made.

use plugway_harness::gateway::Launch;
use plugway_harness::upstream::Upstream;

use super::canary::{again, as_client, canary_runs, put, start_with};
use super::{metric, until};
use crate::common::BINARY;
use crate::guest::{config, every_hook, route};

#[test]
fn versions_that_are_held_against_each_other_are_asked_whatever_they_say_of_themselves() {
    for (share, mode, hook) in
        [("\"50%\"", "keep-plan", "forwarder"), ("\"shadow\"", "keep-plan", "forwarder"), ("\"50%\"", "leave-out", "request-filter")]
    {
        let state = Launch::new(BINARY).unwrap();
        let (state, upstream) = (state.directory(), Upstream::plain("up").unwrap());
        let guest = std::fs::read(every_hook()).unwrap();
        let part = format!("[plugins.auth]\nsource = \"auth.wasm\"\ncanary = {{ share = {share} }}\nconfig = {{ mode = \"{mode}\" }}\n");
        let used = if hook == "forwarder" { "forwarder = \"auth\"" } else { "plugins = [\"auth\"]" };
        let text = config(&upstream, &[&part, &route(&format!("public = true\n{used}"))]);
        let scene = start_with(state, &guest, upstream, &text);
        let ask = || (0..10).for_each(|number| assert_eq!(as_client(&scene, number).status, 200));
        let calls = || metric(&scene.gateway, "plugway_hook_calls_total", &["plugin=\"auth\"", &format!("hook=\"{hook}\"")]);
        ask();
        let spared = if hook == "forwarder" { 1.0 } else { 0.0 };
        assert_eq!(calls(), spared, "{share} {mode}: alone it is asked once, or never");
        put(state, again(&guest));
        canary_runs(&scene);
        let before = calls();
        ask();
        assert_eq!(calls() - before, 10.0, "{share} {mode}");
        assert!(scene.plugin()["canary"]["calls"].as_u64() >= Some(1), "{share} {mode}: {:#}", scene.plugin());
    }
}

#[test]
fn observers_are_told_of_every_client_whichever_version_it_met() {
    let state = Launch::new(BINARY).unwrap();
    let (state, upstream) = (state.directory(), Upstream::plain("up").unwrap());
    let guest = std::fs::read(every_hook()).unwrap();
    let part = "[plugins.auth]\nsource = \"auth.wasm\"\ncanary = { share = \"50%\" }\nconfig = { mode = \"by-header\", hook = \"request-filter\" }\n";
    let text = config(&upstream, &[part, &route("public = true\nplugins = [\"auth\"]")]);
    let scene = start_with(state, &guest, upstream, &text);
    put(state, again(&guest));
    canary_runs(&scene);
    (0..40).for_each(|number| assert_eq!(as_client(&scene, number).status, 200));
    assert!(scene.plugin()["canary"]["calls"].as_u64() >= Some(1), "{:#}", scene.plugin());
    for told in ["observed", "batched"] {
        until(told, || metric(&scene.gateway, &format!("plugway_plugin_{told}_total"), &[]) == 40.0);
    }
}
