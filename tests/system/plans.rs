//! What a forwarder writes on its plan is how the request travels: scheme, profile, name, protocol, host, timeouts and attempts, each of them as the upstream
//! has it or tighter.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use plugway_harness::ca::Authority;
use plugway_harness::client::reported;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::{Settings, Upstream};
use serde_json::Value;

use crate::common::{BINARY, HEAD, metric, start, until_logged};
use crate::guest::{assert_problem, get, planner, plugin, report, seen};

/// `/NAME` goes to that upstream, by a forwarder that makes these calls.
fn planned(name: &str, upstream: &str, calls: &[&[&str]]) -> String {
    planned_with(name, upstream, calls, "")
}

fn planned_with(name: &str, upstream: &str, calls: &[&[&str]], more: &str) -> String {
    format!(
        "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\npublic = true\nupstream = \"{upstream}\"\n\
         forwarder = {{ plugin = \"planner\", config = {{ calls = {calls:?} }}{more} }}\n"
    )
}

fn upstream(name: &str, endpoints: &[String], more: &str) -> String {
    format!("[upstreams.{name}]\nendpoints = {endpoints:?}\n{more}\n")
}

/// The guest, upstreams and routes in one file.
fn config(parts: &[String]) -> String {
    format!("{HEAD}\n{}{}", plugin("planner", planner(), "", ""), parts.concat())
}

/// The answer at `/NAME`, where the upstream does what its path would have it do.
fn ask(gateway: &Gateway, name: &str, behave: &str) -> RawResponse {
    get(gateway.address("web").unwrap(), &format!("/{name}"), &[("x-behave", behave)])
}

/// What the upstream saw of a request to `/NAME`.
fn told(gateway: &Gateway, name: &str) -> Value {
    report(&ask(gateway, name, "/report"))
}

#[test]
fn a_plan_says_which_protocol_is_spoken() {
    let authority = Authority::new("internal").unwrap();
    let server = authority.server(&["127.0.0.1"]).unwrap();
    let plain = Upstream::plain("one").unwrap();
    let prior = Upstream::start(&Settings { http2: true, ..Settings::new("two") }).unwrap();
    let agreed = Upstream::start(&Settings { http2: true, identity: Some(&server), ..Settings::new("alpn") }).unwrap();
    let launch = Launch::new(BINARY).unwrap();
    launch.file("ca.pem", authority.pem()).unwrap();
    let http1: &[&[&str]] = &[&["set-protocol", "http1"]];
    let http2: &[&[&str]] = &[&["set-protocol", "http2"]];
    let gateway = launch
        .start(&config(&[
            upstream("plain", &[plain.url()], "protocol = \"http2\""),
            upstream("prior", &[prior.url()], ""),
            upstream("agreed", &[agreed.url()], "tls = { ca = \"ca.pem\" }"),
            planned("to-http1", "plain", http1),
            planned("to-http2", "prior", http2),
            planned("by-alpn", "agreed", http2),
            planned("as-it-is", "agreed", &[]),
        ]))
        .unwrap();
    for (name, version, alpn_h2) in
        [("to-http1", "HTTP/1.1", false), ("to-http2", "HTTP/2.0", false), ("by-alpn", "HTTP/2.0", true), ("as-it-is", "HTTP/1.1", false)]
    {
        let report = told(&gateway, name);
        assert_eq!((&report["version"], &report["alpn_h2"]), (&version.into(), &alpn_h2.into()), "{name}: {report:#}");
    }
}

#[test]
fn a_plan_says_which_host_and_path_are_asked_for() {
    let up = Upstream::plain("up").unwrap();
    let gateway = start(&config(&[
        upstream("up", &[up.url()], "host = \"endpoint\""),
        planned("renamed", "up", &[&["set-host", "Orders.internal:81"], &["set-path", "/v1/orders"]]),
        planned("refused", "up", &[&["set-host", "a@b"], &["set-path", "/a/../b"], &["set-host", "a b"]]),
    ]));
    let renamed = told(&gateway, "renamed");
    assert_eq!(reported(&renamed, "x-planned"), ["set-host=ok set-path=ok"]);
    assert_eq!(reported(&renamed, "host"), ["Orders.internal:81"]);
    assert_eq!(renamed["target"], "/v1/orders");
    // What the client asked for is no affair of the plan's.
    assert_eq!(reported(&renamed, "x-forwarded-host"), ["example.com"]);
    let refused = told(&gateway, "refused");
    assert_eq!(reported(&refused, "x-planned"), ["set-host=invalid set-path=invalid set-host=invalid"]);
    assert_eq!(reported(&refused, "host"), [up.address().to_string()]);
    assert_eq!(refused["target"], "/refused");
}

#[test]
fn a_plan_shortens_what_is_waited_for() {
    let up = Upstream::plain("up").unwrap();
    // Takes connections and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let connecting = format!("https://{}", silent.local_addr().unwrap());
    let authority = Authority::new("internal").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    launch.file("ca.pem", authority.pem()).unwrap();
    let own = "max_attempts = 1\ntimeouts = { connect = \"60s\", response = \"60s\" }";
    let gateway = launch
        .start(&config(&[
            upstream("up", &[up.url()], own),
            upstream("silent", &[connecting], &format!("{own}\ntls = {{ ca = \"ca.pem\" }}")),
            planned("connect", "silent", &[&["set-connect-timeout", "1000"], &["set-response-timeout", "50000"]]),
            planned("response", "up", &[&["set-connect-timeout", "50000"], &["set-response-timeout", "1000"]]),
        ]))
        .unwrap();
    for (name, code) in [("connect", "upstream-connect-timeout"), ("response", "upstream-timeout")] {
        let began = Instant::now();
        assert_problem(&ask(&gateway, name, "/hang"), 504, code);
        // Far from what the upstream would be given, and not less than the plan gives it.
        assert!((Duration::from_secs(1)..Duration::from_secs(9)).contains(&began.elapsed()), "{name}: {:?}", began.elapsed());
    }
    assert_eq!(reported(&told(&gateway, "response"), "x-planned"), ["set-connect-timeout=ok set-response-timeout=ok"]);
}

#[test]
fn a_plan_narrows_how_often_and_after_what_it_is_tried_again() {
    let both = [Upstream::plain("one").unwrap(), Upstream::plain("two").unwrap()];
    let gateway = start(&config(&[
        upstream("up", &[both[0].url(), both[1].url()], "max_attempts = 3\nretry_on = [\"reset\", \"503\"]"),
        planned("own", "up", &[]),
        planned("two", "up", &[&["set-max-attempts", "2"]]),
        planned("one", "up", &[&["set-max-attempts", "1"]]),
        planned("nothing", "up", &[&["set-retry-on"]]),
        planned("reset", "up", &[&["set-retry-on", "reset"]]),
        planned("status", "up", &[&["set-retry-on", "503"]]),
    ]));
    let requests = || both.iter().map(Upstream::requests).sum::<u64>();
    for (name, resets, statuses) in [("own", 3, 3), ("two", 2, 2), ("one", 1, 1), ("nothing", 1, 1), ("reset", 3, 1), ("status", 1, 3)] {
        for (behave, status, attempts) in [("/close", 502, resets), ("/status/503", 503, statuses)] {
            let before = requests();
            assert_eq!(ask(&gateway, name, behave).status, status, "{name}, {behave}");
            assert_eq!(requests() - before, attempts, "{name}, {behave}");
        }
    }
}

#[test]
fn a_plan_that_would_be_weaker_than_the_upstream_is_refused_and_leaves_it_as_it_is() {
    let both = [Upstream::plain("one").unwrap(), Upstream::plain("two").unwrap()];
    let own = "max_attempts = 2\nretry_on = [\"503\"]\ntimeouts = { connect = \"2s\", response = \"1s\" }";
    let route = |name: &str, connect: &str, response: &str, attempts: &str, retry_on: &[&str]| {
        let calls: [&[&str]; 4] =
            [&["set-connect-timeout", connect], &["set-response-timeout", response], &["set-max-attempts", attempts], retry_on];
        planned(name, "up", &calls)
    };
    let gateway = start(&config(&[
        upstream("up", &[both[0].url(), both[1].url()], own),
        route("as-it-is", "2000", "1000", "2", &["set-retry-on", "503"]),
        route("weaker", "2001", "1001", "3", &["set-retry-on", "503", "connect"]),
        route("nothing", "0", "0", "0", &["set-retry-on"]),
    ]));
    let all = |outcome: &str, last: &str| {
        format!("set-connect-timeout={outcome} set-response-timeout={outcome} set-max-attempts={outcome} set-retry-on={last}")
    };
    for (name, expected) in [("as-it-is", all("ok", "ok")), ("weaker", all("weaker", "weaker")), ("nothing", all("invalid", "ok"))] {
        assert_eq!(reported(&told(&gateway, name), "x-planned"), [expected], "{name}");
    }
    let requests = || both.iter().map(Upstream::requests).sum::<u64>();
    for (name, attempts) in [("as-it-is", 2), ("weaker", 2), ("nothing", 1)] {
        let before = requests();
        assert_eq!(ask(&gateway, name, "/status/503").status, 503, "{name}");
        assert_eq!(requests() - before, attempts, "{name}");
        let began = Instant::now();
        assert_problem(&ask(&gateway, name, "/hang"), 504, "upstream-timeout");
        assert!(began.elapsed() >= Duration::from_secs(1), "{name}: {:?}", began.elapsed());
    }
}

/// An upstream with TLS at an endpoint that is configured without it, and one without TLS.
struct Scene {
    secured: Upstream,
    plain: Upstream,
    launch: Launch,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new("internal").unwrap();
        let secured = Upstream::tls("secured", &authority.server(&["localhost", "orders.internal"]).unwrap()).unwrap();
        let launch = Launch::new(BINARY).unwrap();
        launch.file("ca.pem", authority.pem()).unwrap();
        Self { secured, plain: Upstream::plain("plain").unwrap(), launch }
    }

    /// `secured` has settings of TLS, `profiled` has a profile alone, `plain` has one that nobody there could speak, and `bare` has nothing of TLS.
    fn upstreams(&self) -> String {
        let secured = [format!("http://localhost:{}", self.secured.address().port())];
        let profile = |name: &str| format!("[upstreams.{name}.tls_profiles.internal]\nca = \"ca.pem\"\n");
        let names = "server_names = [\"orders.internal\"]";
        [
            upstream("secured", &secured, &format!("{names}\ntls = {{ ca = \"ca.pem\" }}")),
            upstream("profiled", &secured, &format!("{names}\n{}", profile("profiled"))),
            upstream("plain", &[self.plain.url()], &format!("{names}\n{}", profile("plain"))),
            upstream("bare", &[self.plain.url()], ""),
        ]
        .concat()
    }
}

#[test]
fn a_plan_asks_an_endpoint_without_tls_for_it_and_verifies_it() {
    let scene = Scene::new();
    let upstreams = scene.upstreams();
    let tls: &[&str] = &["set-scheme", "https"];
    let profile: &[&str] = &["set-tls-profile", "internal"];
    let name: &[&str] = &["set-server-name", "orders.internal"];
    let Scene { secured, plain, launch } = scene;
    let gateway = launch
        .start(&config(&[
            upstreams,
            planned("forced", "secured", &[tls]),
            planned("named", "secured", &[name, tls]),
            planned("profiled", "profiled", &[profile, tls]),
            planned("both", "profiled", &[profile, tls, name]),
            // Nobody said how it is to be verified, or nobody had by then.
            planned("bare", "bare", &[tls]),
            planned("too-early", "plain", &[tls]),
            // Nothing there speaks TLS.
            planned("unspoken", "plain", &[profile, tls]),
        ]))
        .unwrap();
    for (route, sni, outcomes) in [
        ("forced", "localhost", "set-scheme=ok"),
        ("named", "orders.internal", "set-server-name=ok set-scheme=ok"),
        ("profiled", "localhost", "set-tls-profile=ok set-scheme=ok"),
        ("both", "orders.internal", "set-tls-profile=ok set-scheme=ok set-server-name=ok"),
    ] {
        let report = told(&gateway, route);
        assert_eq!((&report["upstream"], &report["tls"], &report["sni"]), (&"secured".into(), &true.into(), &sni.into()), "{route}");
        assert_eq!(reported(&report, "x-planned"), [outcomes], "{route}");
    }
    assert_eq!(secured.handshakes_failed(), 0);
    for route in ["bare", "too-early"] {
        let report = told(&gateway, route);
        assert_eq!((&report["tls"], reported(&report, "x-planned")), (&false.into(), vec!["set-scheme=not-allowed"]), "{route}");
    }
    let requests = plain.requests();
    assert_problem(&ask(&gateway, "unspoken", "/report"), 502, "upstream-tls-failed");
    assert_eq!(plain.requests(), requests, "it was not sent in the clear instead");
}

#[test]
fn what_goes_wrong_with_the_tls_of_a_plan_makes_no_endpoint_unavailable_to_others() {
    let scene = Scene::new();
    let upstreams = scene.upstreams();
    let unspoken = planned("unspoken", "plain", &[&["set-tls-profile", "internal"], &["set-scheme", "https"]]);
    let Scene { launch, plain: _plain, secured: _secured } = scene;
    let gateway = launch.start(&config(&[upstreams, unspoken, planned("clear", "plain", &[])])).unwrap();
    for _ in 0..12 {
        assert_problem(&ask(&gateway, "unspoken", "/report"), 502, "upstream-tls-failed");
    }
    assert_eq!(metric(&gateway, "plugway_upstream_endpoints_available", &["upstream=\"plain\""]), 1.0);
    assert_eq!(told(&gateway, "clear")["upstream"], "plain");
}

#[test]
fn what_is_chosen_of_tls_never_goes_out_in_the_clear() {
    let scene = Scene::new();
    let upstreams = scene.upstreams();
    let profile: &[&str] = &["set-tls-profile", "internal"];
    let name: &[&str] = &["set-server-name", "orders.internal"];
    let Scene { plain, launch, .. } = scene;
    let gateway = launch
        .start(&config(&[
            upstreams,
            planned("profile", "plain", &[profile]),
            planned("name", "plain", &[name]),
            planned("taken-back", "plain", &[profile, &["set-scheme", "https"], &["set-scheme", "http"]]),
            planned_with("skipped", "plain", &[profile], ", on_failure = \"skip\""),
        ]))
        .unwrap();
    let labels = ["hook=\"forwarder\"", "kind=\"output\"", "plugin=\"planner\""];
    let in_vain = [("profile", "TLS profile"), ("name", "server name"), ("taken-back", "TLS profile")];
    for (number, (route, choice)) in in_vain.into_iter().enumerate() {
        assert_problem(&ask(&gateway, route, "/report"), 500, "plugin-failed");
        until_logged(&gateway, &format!("chose a {choice} for an endpoint without TLS, and not the scheme `https`"));
        assert_eq!(metric(&gateway, "plugway_hook_failures_total", &labels), (number + 1) as f64, "{route}");
    }
    assert_eq!((plain.connections(), plain.bytes()), (0, 0));
    // Who would rather have the upstream's own settings than an answer of 500 has said so.
    let skipped = ask(&gateway, "skipped", "/report");
    assert_eq!((report(&skipped)["tls"].as_bool(), seen(&skipped, "x-planned")), (Some(false), None));
}
