//! What comes with a call.

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, start};
use crate::guest::{config, get, plugin, prefetched, report, rereading, route, seen};

/// What a call for the place at that path was given, and what was said when it was asked for.
fn came(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> (String, String) {
    let response = get(gateway.address("web").unwrap(), path, headers);
    (seen(&response, "x-came").unwrap(), seen(&response, "x-said").unwrap())
}

#[test]
fn each_configuration_is_given_the_first_thing_it_named() {
    let place = |name: &str, names: &str| {
        let used = format!("{{ plugin = \"telling\", config = {{ names = [{names}] }} }}");
        format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}/*\" }}\nupstream = \"up\"\npublic = true\nplugins = [{used}]\n")
    };
    let upstream = Upstream::plain("up").unwrap();
    let parts = [
        plugin("telling", prefetched(), "", ""),
        place("header", "\"X-Tenant-Id\", \"x-tenant-id\", \"path\""),
        place("path", "\"path\", \"path\", \"x-tenant-id\""),
        place("other", "\"no name\", \"x-of-its-own\""),
        place("nothing", ""),
    ];
    let gateway = start(&config(&upstream, &parts.each_ref().map(String::as_str)));
    let long = "l".repeat(41);
    let all = [("x-tenant-id", "acme"), ("x-tenant-id", "other"), ("x-of-its-own", &long[1..])];
    for (path, headers, expected, said) in [
        ("/header/a", &all[..], "=acme", "ok ok too-large"),
        ("/header/a", &[("x-tenant-id", "")], "=", "ok ok too-large"),
        ("/header/a", &[("x-tenant-id", &long[1..])], &format!("={}", &long[1..]), "ok ok too-large"),
        ("/header/a", &[("x-tenant-id", &long)], "unknown", "ok ok too-large"),
        ("/header/a", &all[2..], "absent", "ok ok too-large"),
        ("/path/b/../c%20d?q=1", &all, "=/path/c%20d", "ok ok too-large"),
        (&format!("/path/{long}"), &all, "unknown", "ok ok too-large"),
        ("/other/a", &all, &format!("={}", &long[1..]), "invalid ok"),
        ("/nothing/a", &all, "unknown", ""),
    ] {
        assert_eq!(came(&gateway, path, headers), (expected.to_owned(), said.to_owned()), "{path} with {headers:?}");
    }
}

#[test]
fn it_is_what_hooks_before_have_made_of_it() {
    let upstream = Upstream::plain("up").unwrap();
    let parts = [
        plugin("telling", prefetched(), "names = [\"x-plugin\"]", ""),
        crate::guest::guest("marking", "mode = \"mark\", hook = \"request-filter\"", ""),
        route("public = true\nplugins = [\"marking\", \"telling\"]"),
    ];
    let gateway = start(&config(&upstream, &parts.each_ref().map(String::as_str)));
    assert_eq!(came(&gateway, "/", &[("x-plugin", "client")]).0, "=on");
}

#[test]
fn a_router_is_given_it_with_each_try() {
    let upstreams = ["zero", "one", "two"].map(|name| Upstream::plain(name).unwrap());
    let endpoints = upstreams.each_ref().map(|upstream| format!("\"{}\"", upstream.url())).join(", ");
    let part = plugin("telling", prefetched(), "names = [\"x-to\"]", "");
    let gateway =
        start(&format!("{HEAD}\n[upstreams.up]\nendpoints = [{endpoints}]\n{part}{}", route("public = true\nrouter = \"telling\"")));
    for (to, expected) in [("1", [0, 1, 0]), ("2", [0, 1, 1]), ("0", [1, 1, 1]), ("2 or so", [1, 1, 2])] {
        report(&get(gateway.address("web").unwrap(), "/", &[("x-to", to)]));
        assert_eq!(upstreams.each_ref().map(Upstream::requests), expected, "{to}");
    }
    assert_eq!(get(gateway.address("web").unwrap(), "/", &[]).status, 503, "it found nothing to go by");
}

#[test]
fn a_plugin_of_the_sdk_reads_the_same_whether_it_came_or_not() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway =
        start(&config(&upstream, &[&plugin("rereading", rereading(), "", ""), &route("public = true\nplugins = [\"rereading\"]")]));
    let long = "l".repeat(60);
    for (first, other, expected) in [
        (Some("f"), None, "f, none, /p, changed, none".to_owned()),
        (None, Some("o"), "none, o, /p, changed, none".to_owned()),
        (Some(&*long), Some(&*long), format!("{long}, {long}, /p, changed, none")),
        (
            Some("fr\u{e9}d\u{e9}ric of the forty bytes, not fewer"),
            None,
            "fr\u{e9}d\u{e9}ric of the forty bytes, not fewer, none, /p, changed, none".to_owned(),
        ),
    ] {
        let headers: Vec<(&str, &str)> =
            [("x-first", first), ("x-other", other)].into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let response = get(gateway.address("web").unwrap(), "/p", &headers);
        assert_eq!(seen(&response, "x-read"), Some(expected));
    }
}
