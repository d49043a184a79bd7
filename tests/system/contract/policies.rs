//! What `plugway check` and a start refuse, and what `check` shows.

use plugway_harness::gateway::Launch;
use plugway_harness::upstream::Upstream;

use crate::common::BINARY;
use crate::guest::{check, config, every_hook, filters, guest, plugin, refused, route};

#[test]
fn an_authorizer_is_never_skipped() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("auth", "mode = \"pass\"", "on_failure = \"skip\"");
    let text = refused(&config(&upstream, &[&part, &route("plugins = [\"auth\"]")]));
    assert!(text.contains("`on_failure = \"skip\"` for the authorizer `auth` would let everyone in"), "{text}");
    assert!(text.contains("write \"reject\""), "{text}");
    // The place counts, not only the plugin.
    let part = guest("auth", "mode = \"pass\"", "");
    let text = refused(&config(&upstream, &[&part, &route("plugins = [{ plugin = \"auth\", on_failure = \"skip\" }]")]));
    assert!(text.contains("routes[0].plugins[0].on_failure"), "{text}");
    // As a router the same component may be skipped.
    let part = guest("auth", "mode = \"pass\"", "on_failure = \"skip\"");
    let (output, text) = check(&config(&upstream, &[&part, &route("public = true\nrouter = \"auth\"")]));
    assert!(output.status.success(), "{text}");
}

#[test]
fn an_authorizer_that_would_not_be_asked_is_refused() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("auth", "mode = \"pass\"", "");
    let stricter = route("plugins = [{ plugin = \"auth\", config = { hook = \"authorizer\" } }]");
    let text = refused(&config(&upstream, &[&part, &stricter, "[defaults]\nplugins = [\"auth\"]\n"]));
    assert!(text.contains("routes[0].plugins[0]: the authorizer `auth` stands twice in the chain of route `all`"), "{text}");
    // Two that are two plugins may both stand there: the first may leave it to the second.
    let other = plugin("other", every_hook(), "mode = \"pass\"", "");
    let (output, text) = check(&config(&upstream, &[&part, &other, &route("plugins = [\"auth\", \"other\"]")]));
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_route_without_an_authorizer_says_so() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("filter", filters(), "", "");
    let text = refused(&config(&upstream, &[&part, &route("plugins = [\"filter\"]")]));
    assert!(text.contains("route `all` has no authorizer, so anyone could use it"), "{text}");
    assert!(text.contains("public = true"), "{text}");
    // A filter is no router and no forwarder.
    for what in ["router", "forwarder"] {
        let text = refused(&config(&upstream, &[&part, &route(&format!("public = true\n{what} = \"filter\""))]));
        assert!(text.contains(&format!("plugin `filter` is no {what}: it does not export `{what}`")), "{text}");
    }
}

#[test]
fn check_configures_every_plugin_and_finds_all_that_is_wrong_at_once() {
    let upstream = Upstream::plain("up").unwrap();
    let one = plugin("one", filters(), "mode = \"refuse-configure\"", "");
    let two = plugin("two", filters(), "mode = \"trap-in-configure\"", "");
    let three = plugin("three", filters(), "mod = \"pass\"", "");
    let text = refused(&config(&upstream, &[&one, &two, &three, &route("public = true\nplugins = [\"one\", \"two\", \"three\"]")]));
    assert!(text.contains("plugin `one` does not take its configuration: `mode` is refuse-configure: choose another one"), "{text}");
    assert!(text.contains("plugin `two` does not take its configuration:"), "{text}");
    assert!(text.contains("plugin `three` does not take its configuration:") && text.contains("`mod`"), "{text}");
    // Where the configuration was written, not where the plugin is used.
    assert!(text.contains("plugins.three.config: "), "{text}");
}

#[test]
fn check_shows_the_effective_chain_and_binds_nothing() {
    let upstream = Upstream::plain("up").unwrap();
    // The address is taken: a check that bound anything would fail, as `run` does.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (filter, auth) = (plugin("filter", filters(), "", ""), guest("auth", "hook = \"authorizer\"", ""));
    let text = config(
        &upstream,
        &[&filter, &auth, &route("plugins = [\"auth\"]\nrouter = \"auth\"\nforwarder = \"auth\"\n"), "[defaults]\nplugins = [\"filter\"]"],
    );
    let text = text.replacen("address = \"127.0.0.1:0\"", &format!("address = \"{}\"", taken.local_addr().unwrap()), 1);
    let (output, shown) = check(&text);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let steps: Vec<Vec<&str>> = shown
        .lines()
        .skip_while(|line| *line != "all")
        .skip(1)
        .take(11)
        .map(|line| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect())
        .collect();
    let expected: [[&str; 2]; 11] = [
        ["request filter", "filter"],
        ["authorizer", "auth"],
        ["request filter", "auth"],
        ["router", "auth"],
        ["outcome observer", "auth"],
        ["forwarder", "auth"],
        ["upstream", "up"],
        ["response filter", "auth"],
        ["response filter", "filter"],
        ["observer", "auth"],
        ["batch observer", "auth"],
    ];
    assert_eq!(steps, expected, "{shown}");
    // The filter can ask who is calling (its mode `who`), and nobody has said it where it stands.
    assert!(
        shown.contains("warning: ") && shown.contains("the filter `filter` asks who is calling, and no authorizer stands before it"),
        "{shown}"
    );
    assert!(!shown.contains("the filter `auth` asks"), "{shown}");
    assert!(shown.contains("is good: 1 route, 2 plugins, 1 upstream"), "{shown}");
    assert_eq!(upstream.connections(), 0);

    let error = Launch::new(BINARY).unwrap().start(&text).unwrap_err().to_string();
    assert!(error.contains("is in use; stop what listens there or choose another address"), "{error}");
}

#[test]
fn a_start_is_refused_for_what_check_refuses() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("slow", every_hook(), "mode = \"refuse-configure\"", "");
    let error = Launch::new(BINARY).unwrap().start(&config(&upstream, &[&part, &route("plugins = [\"slow\"]")])).unwrap_err().to_string();
    assert!(error.contains("plugin `slow` does not take its configuration"), "{error}");
}
