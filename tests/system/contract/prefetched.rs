//! What comes with a call.

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, start};
use crate::guest::{config, get, plugin, prefetched, report, rereading, route, seen};

/// How calls are made: in one go, in turns, and by an instance for each.
const WAYS: [&str; 3] = ["", "budget = { cpu = \"100ms\" }", "isolation = \"request\""];

/// A route for `/NAME/*` with that plugin, configured so.
fn place(plugin: &str, name: &str, its_config: &str) -> String {
    let used = format!("{{ plugin = \"{plugin}\", config = {{ {its_config} }} }}");
    format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}/*\" }}\nupstream = \"up\"\npublic = true\nplugins = [{used}]\n")
}

/// What a call for the place at that path was given, and what was said when it asked for that.
fn came(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> (String, String) {
    let response = get(gateway.address("web").unwrap(), path, headers);
    (seen(&response, "x-came").unwrap(), seen(&response, "x-said").unwrap())
}

#[test]
fn each_configuration_is_given_the_first_thing_it_named() {
    let upstream = Upstream::plain("up").unwrap();
    let long = "l".repeat(41);
    let all = [("x-tenant-id", "acme"), ("x-tenant-id", "other"), ("x-of-its-own", &long[1..])];
    for way in WAYS {
        let parts = [
            plugin("telling", prefetched(), "", way),
            place("telling", "header", "names = [\"X-Tenant-Id\", \"x-tenant-id\", \"path\"]"),
            place("telling", "path", "names = [\"path\", \"path\", \"x-tenant-id\"]"),
            place("telling", "other", "names = [\"no name\", \"x-of-its-own\"]"),
            place("telling", "nothing", "names = []"),
        ];
        let gateway = start(&config(&upstream, &parts.each_ref().map(String::as_str)));
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
            assert_eq!(came(&gateway, path, headers), (expected.to_owned(), said.to_owned()), "{path} with {headers:?}, {way}");
        }
    }
}

#[test]
fn it_is_what_hooks_before_have_made_of_it() {
    let upstream = Upstream::plain("up").unwrap();
    let its_config = "first = \"x-other\", change = \"line\"";
    let parts = [
        plugin("telling", prefetched(), "names = [\"x-plugin\"]", ""),
        crate::guest::guest("marking", "mode = \"mark\", hook = \"request-filter\"", ""),
        plugin("line", rereading(), its_config, ""),
        plugin("after-line", prefetched(), "names = [\"x-first\"]", ""),
        "[[routes]]\nname = \"line\"\nmatch = { path = \"/line\" }\nupstream = \"up\"\npublic = true\nplugins = [\"line\", \"after-line\"]\n".to_owned(),
        route("public = true\nplugins = [\"marking\", \"telling\"]"),
    ];
    let gateway = start(&config(&upstream, &parts.each_ref().map(String::as_str)));
    assert_eq!(came(&gateway, "/", &[("x-plugin", "client")]).0, "=on");
    assert_eq!(came(&gateway, "/line", &[("x-first", "client")]).0, "=line");
}

#[test]
fn a_router_is_given_it() {
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
    let changes = ["set", "append", "line", "remove"];
    let mut parts = vec![plugin("rereading", rereading(), "", "")];
    // The first configuration, so that what it names is what all others read as strange.
    parts.push(place("rereading", "path", "first = \"path\", change = \"path\""));
    parts.extend(changes.map(|change| place("rereading", change, &format!("first = \"x-first\", change = \"{change}\""))));
    let gateway = start(&config(&upstream, &parts.iter().map(String::as_str).collect::<Vec<_>>()));
    let read = |path: &str, headers: &[(&str, &str)]| {
        let response = get(gateway.address("web").unwrap(), path, headers);
        assert_eq!(seen(&response, "x-strange"), Some(format!("<{path}>")), "what another configuration named");
        (seen(&response, "x-read").unwrap(), seen(&response, "x-late").unwrap())
    };
    let long = "l".repeat(60);
    for first in [Some("f"), Some(""), Some(&*long), None] {
        let mut headers: Vec<(&str, &str)> = first.map(|first| ("x-first", first)).into_iter().collect();
        headers.push(("x-other", "o"));
        let was = first.map_or_else(|| "none".to_owned(), |first| format!("<{first}>"));
        let appended = if first.is_some() { &*was } else { "<appended>" };
        for (change, again) in [("set", "<set>"), ("append", appended), ("line", "<line>"), ("remove", "none")] {
            assert_eq!(read(&format!("/{change}/"), &headers), (format!("{was}, <o>, {again}"), was.clone()), "{change}");
        }
        assert_eq!(read("/path/p", &headers), ("</path/p>, <o>, </changed>".to_owned(), was));
    }
}
