//! What authorizers decide and routers choose.

use plugway_harness::client::reported;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, LOGGED, metric, start, until_logged, web};
use crate::guest::{assert_problem, config, forging, get, guest, plugin, report, route, tell, with_guest};

#[test]
fn when_all_abstain_the_request_is_denied_unless_the_route_is_public() {
    let upstream = Upstream::plain("up").unwrap();
    let parts = [
        guest("one", "mode = \"by-header\", hook = \"authorizer\"", ""),
        guest("two", "mode = \"by-header\", hook = \"authorizer\"", ""),
        route("plugins = [\"one\", \"two\"]"),
        "[[routes]]\nname = \"open\"\nmatch = { path = \"/open/*\" }\nupstream = \"up\"\npublic = true\nplugins = [\"one\", \"two\"]"
            .to_owned(),
    ];
    let gateway = start(&config(&upstream, &[&parts[0], &parts[1], &parts[2], &parts[3]]));
    let address = gateway.address("web").unwrap();
    let abstain = [("x-misbehave", "abstain")];

    let denied = get(address, "/", &abstain);
    assert_problem(&denied, 401, "denied");
    assert_eq!(upstream.requests(), 0);
    report(&get(address, "/open/a", &abstain));
    report(&get(address, "/", &[]));
    let calls = |plugin: &str| metric(&gateway, "plugway_hook_calls_total", &["hook=\"authorizer\"", &format!("plugin=\"{plugin}\"")]);
    assert_eq!((calls("one"), calls("two")), (3.0, 2.0), "the first who allows decides, and the second is not asked");
}

#[test]
fn an_authorizer_answers_for_itself_or_says_when_to_come_back() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"authorizer\"", "");
    let answer = tell(&gateway, "respond:3");
    assert_eq!((answer.status, answer.text().as_str()), (200, "xxx"));

    let unavailable = tell(&gateway, "unavailable");
    assert_problem(&unavailable, 503, "authorizer-unavailable");
    assert_eq!(unavailable.header("retry-after"), Some(&b"7"[..]));

    assert_problem(&tell(&gateway, "fail"), 500, "plugin-failed");
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"authorizer\"", "kind=\"refused\""]), 1.0);
    assert_eq!(
        metric(&gateway, "plugway_instances_started_total", &["plugin=\"misbehaving\""]),
        started_by(&gateway),
        "an error of its own ends no instance"
    );
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn a_request_passes_by_what_an_authorizer_gives_again_and_again() {
    let upstream = Upstream::plain("up").unwrap();
    let parts = [
        guest("one", "mode = \"by-header\", hook = \"authorizer\"", ""),
        guest("two", "mode = \"who\", hook = \"request-filter\"", ""),
        route("plugins = [\"one\", \"two\"]"),
    ];
    let gateway = start(&config(&upstream, &[&parts[0], &parts[1], &parts[2]]));
    let ask = |mode: &str| get(gateway.address("web").unwrap(), "/", &[("x-misbehave", mode), ("x-tenant-id", "acme"), ("x-by", "client")]);
    for mode in ["by-pass", "by-pass", "by-pass-after-many"] {
        let told = report(&ask(mode));
        assert_eq!((reported(&told, "x-by"), reported(&told, "x-who")), (vec!["pass"], vec!["passed"]));
        assert!(reported(&told, "x-tenant-id").is_empty());
    }
    assert_problem(&ask("by-pass-forbidden"), 500, "plugin-failed");
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"authorizer\"", "kind=\"refused\""]), 1.0);
    report(&ask("by-pass"));
}

#[test]
fn who_answers_by_a_number_that_nothing_of_its_own_has_has_failed_and_passes_are_bounded() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("forging", forging(), "", "budget = { cpu = \"5s\", failed_cpu = \"60s\" }");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"forging\"]")]));
    let ask = |what: &str| get(gateway.address("web").unwrap(), "/", &[("x-forge", what)]);
    for what in ["line 7", "pass 0", "pass 1", "pass 4294967295", "dropped 0"] {
        assert_problem(&ask(what), 500, "plugin-failed");
        // Who failed always would be left alone.
        report(&ask("nothing 0"));
    }
    until_logged(&gateway, "by the number 4294967295, which no pass of its has");
    until_logged(&gateway, "set line 7 with its answer: no line has this number");
    // 2 MiB of headers of 32,000 bytes; what is given back makes room.
    for _ in 0..2 {
        assert_eq!(ask("many 31996").text(), "65");
    }
    assert_eq!(ask("many 32765").text(), "0", "past `max_header_bytes`");
}

/// One per worker, and one on the control side for the observer.
fn started_by(gateway: &plugway_harness::gateway::Gateway) -> f64 {
    metric(gateway, "plugway_instances", &["plugin=\"misbehaving\""])
}

#[test]
fn a_stale_endpoint_is_picked_again_and_counted() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("routes", "mode = \"by-header\", hook = \"router\"", "");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nrouter = \"routes\"")]));
    let address = gateway.address("web").unwrap();
    report(&get(address, "/", &[]));
    assert_eq!(metric(&gateway, "plugway_stale_endpoints_total", &[]), 0.0);
    report(&get(address, "/", &[("x-misbehave", "stale-endpoint")]));
    assert_eq!(metric(&gateway, "plugway_stale_endpoints_total", &[]), 1.0);
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);

    assert_problem(&get(address, "/", &[("x-misbehave", "unavailable")]), 503, "no-endpoint");
    assert_problem(&get(address, "/", &[("x-misbehave", "trap")]), 500, "plugin-failed");
    assert_eq!(upstream.requests(), 2);
}

/// A POST is made again only if nothing of it was used, so its headers are lent to an attempt, and come back.
#[test]
fn another_try_shows_a_router_what_the_first_one_did() {
    let upstream = Upstream::plain("up").unwrap();
    let text = format!(
        "{HEAD}\n[upstreams.up]\nendpoints = [\"http://127.0.0.1:1\", \"{}\"]\n{}{}{}",
        upstream.url(),
        guest("routes", "mode = \"lines\", hook = \"router\"", ""),
        guest("plans", "mode = \"keep-plan\", hook = \"forwarder\"", ""),
        route("public = true\nrouter = \"routes\"\nforwarder = \"plans\"")
    );
    let gateway = start(&text);
    let mut client = web(&gateway);
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\nx-tenant-id: acme\r\ncontent-length: 0\r\n\r\n").unwrap();
    let told = report(&client.response().unwrap());
    let seen = |number: u32| {
        let line = gateway.log().wait(LOGGED, |line| line.text.contains(&format!("try {number} sees "))).expect("a try of that number");
        let (_, seen) = line.message().split_once(" sees ").unwrap();
        seen.to_owned()
    };
    assert_eq!(seen(1), seen(2));
    assert!(seen(1).contains("x-tenant-id=acme") && !seen(1).contains("x-plan") && !seen(1).contains("te=trailers"), "{}", seen(1));
    assert_eq!(reported(&told, "x-plan"), ["acme"]);
}

#[test]
fn a_skipped_router_means_round_robin() {
    let (one, two) = (Upstream::plain("one").unwrap(), Upstream::plain("two").unwrap());
    let part = guest("routes", "mode = \"trap\", hook = \"router\"", "on_failure = \"skip\"");
    let text = format!(
        "{}\n[upstreams.up]\nendpoints = [\"{}\", \"{}\"]\n{part}{}",
        crate::common::HEAD,
        one.url(),
        two.url(),
        route("public = true\nrouter = \"routes\"")
    );
    let gateway = start(&text);
    for _ in 0..10 {
        report(&get(gateway.address("web").unwrap(), "/", &[]));
    }
    assert_eq!((one.requests(), two.requests()), (5, 5));
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"router\""]), 10.0, "trapped or not called");
}

#[test]
fn an_endpoint_the_forwarder_refuses_is_not_sent_to() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("plans", "mode = \"by-header\", hook = \"forwarder\"", "");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nforwarder = \"plans\"")]));
    let response = get(gateway.address("web").unwrap(), "/", &[("x-misbehave", "unavailable")]);
    assert_problem(&response, 503, "endpoint-refused");
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn a_target_that_is_too_long_once_it_is_rewritten_is_the_clients_fault() {
    let upstream = Upstream::plain("up").unwrap();
    let prefix = format!("/{}", "b".repeat(999));
    let part = format!("[plugins.plans]\nsource = \"builtin:tls-forward\"\nconfig = {{ path = {{ add_prefix = \"{prefix}\" }} }}\n");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nforwarder = \"plans\"")]));
    let address = gateway.address("web").unwrap();
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    let sent = get(address, &path(31_766), &[]);
    assert_eq!(report(&sent)["target"].as_str().map(str::len), Some(32_766));
    // Longer than a path can be that is set, and longer as a whole than any target.
    for target in [path(31_767), format!("/a?{}", "q".repeat(64_600))] {
        assert_problem(&get(address, &target, &[]), 414, "uri-too-long");
    }
    assert_eq!(upstream.requests(), 1);
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0, "no fault of the plugin");
}

#[test]
fn a_prefix_is_stripped_however_a_client_wrote_it() {
    let upstream = Upstream::plain("up").unwrap();
    let part = "[plugins.plans]\nsource = \"builtin:tls-forward\"\nconfig = { path = { strip_prefix = \"/a:b\" } }\n";
    let there = "[[routes]]\nname = \"all\"\nmatch = { path = \"/a:b/*\" }\nupstream = \"up\"\npublic = true\nforwarder = \"plans\"\n";
    let gateway = start(&config(&upstream, &[part, there]));
    for path in ["/a:b/x", "/a%3Ab/x", "/a%3ab/x"] {
        assert_eq!(report(&get(gateway.address("web").unwrap(), path, &[]))["target"], "/x", "{path}");
    }
}
