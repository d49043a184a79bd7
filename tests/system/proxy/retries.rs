//! What another attempt follows: as upstream and route say, and never what could be done twice.

use std::io::Write;

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, Scripted, ask, assert_problem, json, metric, read_head, start, until};

/// Two endpoints that behave alike, under a route `/` that has all their upstream says, and narrower ones.
struct Scene {
    both: [Upstream; 2],
    gateway: Gateway,
}

fn scene(upstream: &str, narrower: &str) -> Scene {
    let both = [Upstream::plain("one").unwrap(), Upstream::plain("two").unwrap()];
    let endpoints = [both[0].url(), both[1].url()];
    let route = |name: &str, path: &str, more: &str| {
        format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"{path}\" }}\npublic = true\nupstream = \"up\"\n{more}\n")
    };
    let routes = [route("all", "/*", ""), route("narrower", "/narrower", narrower)].concat();
    let gateway = start(&format!("{HEAD}\n[upstreams.up]\nendpoints = {endpoints:?}\n{upstream}\n{routes}"));
    Scene { both, gateway }
}

impl Scene {
    /// The answer, and how many attempts it took.
    fn ask(&self, method: &str, path: &str, behave: &str, body: &str) -> (RawResponse, u64) {
        let before = self.requests();
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\n", body.len()) };
        let response = ask(&self.gateway, &format!("{method} {path} HTTP/1.1\nhost: a\nx-behave: {behave}\n{length}\n{body}"));
        (response, self.requests() - before)
    }

    fn requests(&self) -> u64 {
        self.both.iter().map(Upstream::requests).sum()
    }
}

#[test]
fn an_answer_with_a_status_that_is_named_is_dropped_for_another() {
    let scene = scene("max_attempts = 3\nretry_on = [\"503\", \"599\"]", "retry_on = [\"599\"]");
    for (method, path, behave, body, attempts) in [
        ("GET", "/", "/status/503", "", 3),
        ("DELETE", "/", "/status/599", "", 3),
        ("GET", "/", "/status/502", "", 1),
        ("GET", "/", "/status/404", "", 1),
        // What may have been done is not done twice.
        ("POST", "/", "/status/503", "", 1),
        ("PUT", "/", "/status/503", "hello", 1),
        // Nor what the route leaves out.
        ("GET", "/narrower", "/status/503", "", 1),
        ("GET", "/narrower", "/status/599", "", 3),
    ] {
        let (response, made) = scene.ask(method, path, behave, body);
        assert_eq!(format!("/status/{}", response.status), behave, "that of the last attempt is passed on");
        assert_eq!(made, attempts, "{method} {path} {behave}");
    }
    // An answer that was dropped is an answer, and no fault of the gateway's.
    assert_eq!(metric(&scene.gateway, "plugway_upstream_attempts_total", &["fault=\"\""]), 14.0);
    // The connection or what was left on it does not confuse what comes next.
    assert_eq!(json(&scene.ask("GET", "/", "/report", "").0)["target"], "/");
}

#[test]
fn an_endpoint_that_says_it_cannot_is_made_up_for_by_another() {
    let good = Upstream::plain("good").unwrap();
    let bad = Scripted::start(|_, stream| {
        while read_head(stream).is_some() {
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nsick").unwrap();
        }
    });
    let upstream = format!(
        "[upstreams.up]\nendpoints = {:?}\nretry_on = [\"connect\", \"503\"]\n[[routes]]\nname = \"all\"\npublic = true\nupstream = \"up\"\n",
        [bad.url(), good.url()]
    );
    let gateway = start(&format!("{HEAD}\n{upstream}"));
    for _ in 0..6 {
        assert_eq!(json(&ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n"))["upstream"], "good");
    }
}

#[test]
fn what_an_upstream_is_not_tried_again_for_is_the_clients_answer_at_once() {
    let scene = scene("max_attempts = 3\nretry_on = [\"timeout\"]\ntimeouts = { response = \"500ms\" }", "max_attempts = 2");
    let mut all = 0;
    for (method, path, behave, code, attempts) in [
        ("GET", "/", "/hang", "upstream-timeout", 3),
        ("GET", "/narrower", "/hang", "upstream-timeout", 2),
        ("POST", "/", "/hang", "upstream-timeout", 1),
        ("GET", "/", "/close", "upstream-reset", 1),
    ] {
        let (response, _) = scene.ask(method, path, behave, "");
        assert_problem(&response, if code == "upstream-reset" { 502 } else { 504 }, code);
        // An upstream may be late to read what was given up meanwhile. Of all so far, so that one too many is found also where it comes later still.
        all += attempts;
        until("every attempt has come", || scene.requests() >= all);
        assert_eq!(scene.requests(), all, "{method} {path} {behave}");
    }
}
