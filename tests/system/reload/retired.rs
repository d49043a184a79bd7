//! Instances that a reload leaves behind are told so, and can hand on what they have.

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;

use super::{LOGGED, metric, replace, until};
use crate::common::{BINARY, two_workers};
use crate::guest::{config, get, heir, plugin, report};

/// Two places with configurations of their own, on two workers.
fn text(upstream: &Upstream, first: &str, more: &str) -> String {
    let place = |name: &str, path: &str, settings: &str| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"{path}\" }}\npublic = true\nupstream = \"up\"\nplugins = [{{ plugin = \"heir\", config = {{ name = \"{name}\"{settings} }} }}]\n"
        )
    };
    let part = plugin("heir", heir(), "", &format!("grants = {{ kv = {{}} }}\n{more}"));
    two_workers(&config(upstream, &[&part, &place("first", "/first", first), &place("second", "/second", "")]))
}

/// Asks so often, each time on a connection of its own, and says what had been handed on by the last time.
fn ask(gateway: &Gateway, path: &str, times: usize) -> String {
    let asked = (0..times).map(|_| report(&get(gateway.address("web").unwrap(), path, &[])));
    let mut said: Vec<_> = asked.map(|report| plugway_harness::client::reported(&report, "x-handed-on")[0].to_owned()).collect();
    said.pop().unwrap()
}

fn counted(gateway: &Gateway, name: &str) -> f64 {
    metric(gateway, "plugway_plugin_handed_on_total", &["plugin=\"heir\"", &format!("name=\"{name}\"")])
}

fn reload(gateway: &Gateway, text: &str) {
    replace(&gateway.directory().join("plugway.toml"), text);
}

#[test]
fn each_configuration_of_each_instance_is_told_once() {
    for more in ["", "budget = { cpu = \"50ms\" }"] {
        let upstream = Upstream::plain("up").unwrap();
        let gateway = Launch::new(BINARY).unwrap().start(&text(&upstream, "", more)).unwrap();
        assert_eq!((ask(&gateway, "/first", 20), ask(&gateway, "/second", 7)), ("0".to_owned(), "0".to_owned()));
        // It takes a request that begins after the reload for the earlier one to be over on the worker that serves it.
        reload(&gateway, &format!("{}\n# another text\n[limits]\nmax_headers = 90\n", text(&upstream, "", more)));
        until("what both workers had", || counted(&gateway, "first") == 20.0 && counted(&gateway, "second") == 7.0);
        assert_eq!((ask(&gateway, "/first", 1), ask(&gateway, "/second", 1)), ("20".to_owned(), "7".to_owned()), "{more}");
        assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0, "{more}");
    }
}

#[test]
fn one_that_fails_by_it_harms_nobody() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = Launch::new(BINARY).unwrap().start(&text(&upstream, ", fails = true", "")).unwrap();
    ask(&gateway, "/first", 4);
    ask(&gateway, "/second", 4);
    reload(&gateway, &text(&upstream, "", ""));
    let said = gateway.log().wait(LOGGED, |line| line.message().contains("told to forget") && line.field("plugin") == Some("heir"));
    assert!(said.is_some(), "{}", gateway.log().text());
    // The last configuration is told first.
    until("what was told before it failed", || counted(&gateway, "second") == 4.0);
    assert_eq!((counted(&gateway, "first"), ask(&gateway, "/second", 1)), (0.0, "4".to_owned()));
}
