//! Routers learn how their attempts ended, on the worker that made them; requests notice nothing but better choices.

use std::io::Write;
use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;

use crate::common::{Refusing, Scripted, metric, one_upstream, read_head, start, status, two_workers, until, web};
use crate::guest::{get, guest, report, send};

const HOOK: &str = "hook=\"outcome-observer\"";

/// A gateway whose one route goes to these endpoints by a router.
fn routed(endpoints: &[String], router: &str) -> Gateway {
    start(&config(endpoints, router))
}

fn config(endpoints: &[String], router: &str) -> String {
    one_upstream(endpoints, "", &format!("router = \"router\"\n{router}"))
}

/// The guest, as a router.
fn learner(config: &str) -> String {
    guest("router", config, "")
}

fn plain(gateway: &Gateway, path: &str) -> RawResponse {
    get(gateway.address("web").unwrap(), path, &[])
}

/// Outcomes the router was told, by how they ended.
fn told(gateway: &Gateway, ended: &str) -> f64 {
    metric(gateway, "plugway_plugin_outcomes_total", &["plugin=\"router\"", &format!("ended=\"{ended}\"")])
}

fn attempts(gateway: &Gateway, fault: &str) -> f64 {
    metric(gateway, "plugway_upstream_attempts_total", &[&format!("fault=\"{fault}\"")])
}

fn calls(gateway: &Gateway) -> f64 {
    metric(gateway, "plugway_hook_calls_total", &[HOOK])
}

fn lost(gateway: &Gateway) -> f64 {
    metric(gateway, "plugway_outcomes_lost_total", &["plugin=\"router\""])
}

/// An endpoint that says 503 to everything, after a while.
fn sick(pause: Duration) -> Scripted {
    Scripted::start(move |_, stream| {
        if read_head(stream).is_some() {
            std::thread::sleep(pause);
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
    })
}

#[test]
fn a_router_avoids_what_answered_badly() {
    let pause = Duration::from_millis(30);
    let (sick, good) = (sick(pause), Upstream::plain("good").unwrap());
    let gateway = routed(&[sick.url(), good.url()], &learner("mode = \"learn\""));
    let mut sent = [0.0, 0.0];
    until("the router has learnt", || {
        let answered = plain(&gateway, "/").status == 200;
        sent[usize::from(answered)] += 1.0;
        answered
    });
    for _ in 0..20 {
        report(&plain(&gateway, "/"));
        sent[1] += 1.0;
    }
    assert!(sent[0] >= 1.0, "the first one was sent there");
    until("every outcome was told", || [told(&gateway, "503"), told(&gateway, "200")] == sent);
    assert_eq!(attempts(&gateway, ""), sent[0] + sent[1]);
    assert_eq!(lost(&gateway), 0.0);
    let latency = metric(&gateway, "plugway_plugin_outcome_latency_us_total", &["ended=\"503\""]);
    assert!(latency >= sent[0] * pause.as_micros() as f64, "{latency} us over {} attempts", sent[0]);
    let hooks = &status(&gateway)["plugins"][0]["hooks"];
    assert!(hooks.as_array().unwrap().contains(&"outcome-observer".into()), "{hooks}");
}

#[test]
fn a_router_avoids_what_cannot_be_reached() {
    let (refusing, good) = (Refusing::new(), Upstream::plain("good").unwrap());
    let gateway = routed(&[refusing.url(), good.url()], &learner("mode = \"learn\""));
    let failed = "upstream-connect-failed";
    let mut answered = 0.0;
    until("the router was told of a failure", || {
        // The second attempt succeeds.
        report(&plain(&gateway, "/"));
        answered += 1.0;
        told(&gateway, failed) >= 1.0
    });
    let before = attempts(&gateway, failed);
    for _ in 0..20 {
        report(&plain(&gateway, "/"));
        answered += 1.0;
    }
    assert_eq!(attempts(&gateway, failed), before, "it was tried again");
    until("every attempt was told", || told(&gateway, failed) == before && told(&gateway, "200") == answered);
    assert_eq!(lost(&gateway), 0.0);
}

#[test]
fn outcomes_come_in_batches_and_each_of_them_once() {
    let good = Upstream::plain("good").unwrap();
    let gateway = routed(&[good.url()], &learner("mode = \"learn\""));
    let (began, requests) = (Instant::now(), 300.0);
    let mut client = web(&gateway);
    for _ in 0..requests as usize {
        assert_eq!(send(&mut client, "/", &[]).status, 200);
    }
    until("every outcome was told", || told(&gateway, "200") == requests);
    let (made, most) = (calls(&gateway), requests / 64.0 + 2.0 + began.elapsed().as_secs_f64() * 10.0);
    assert!((requests / 64.0).ceil() <= made && made <= most, "{made} calls, at most {most}");
    assert_eq!(lost(&gateway), 0.0);
}

#[test]
fn a_client_that_leaves_is_the_end_of_an_attempt_too() {
    let good = Upstream::plain("good").unwrap();
    let gateway = routed(&[good.url()], &learner("mode = \"learn\""));
    let mut client = web(&gateway);
    client.send(b"GET /hang HTTP/1.1\r\nhost: example.com\r\n\r\n").unwrap();
    until("the endpoint was asked", || good.requests() == 1);
    drop(client);
    until("the router was told", || told(&gateway, "client-gone") == 1.0);
    // Nothing against the endpoint.
    report(&plain(&gateway, "/"));
}

#[test]
fn each_worker_learns_of_its_own_attempts() {
    let (sick, good) = (sick(Duration::ZERO), Upstream::plain("good").unwrap());
    let gateway = start(&two_workers(&config(&[sick.url(), good.url()], &learner("mode = \"learn\""))));
    let [mut bad, mut answered] = [0.0, 0.0];
    // Connections fall to either worker, so a row of good answers means that both have learnt.
    let mut row = 0;
    until("both workers have learnt", || {
        let good = plain(&gateway, "/").status == 200;
        row = if good { row + 1 } else { 0 };
        if good {
            answered += 1.0
        } else {
            bad += 1.0
        }
        row == 30
    });
    assert!(bad >= 2.0, "one worker's router cannot know what another's was told: {bad}");
    until("every outcome was told", || told(&gateway, "503") == bad && told(&gateway, "200") == answered);
}

/// Two routes that differ in the router's configuration.
fn two_places(endpoints: &[String]) -> Gateway {
    let other = "[[routes]]\nname = \"other\"\nmatch = { path = \"/other\" }\npublic = true\nupstream = \"up\"\n";
    let router = "router = { plugin = \"router\", config = { hook = \"router\" } }\n";
    routed(endpoints, &format!("{other}{router}{}", learner("mode = \"learn\"")))
}

#[test]
fn places_learn_apart() {
    let (sick, good) = (sick(Duration::ZERO), Upstream::plain("good").unwrap());
    let gateway = two_places(&[sick.url(), good.url()]);
    until("one place has learnt", || plain(&gateway, "/").status == 200);
    assert_eq!(plain(&gateway, "/other").status, 503, "the other one knows nothing of it");
    until("the other one has learnt", || plain(&gateway, "/other").status == 200);
    assert_eq!(plain(&gateway, "/").status, 200);
}

#[test]
fn one_batch_is_for_many_places() {
    let (sick, good) = (sick(Duration::ZERO), Upstream::plain("good").unwrap());
    let gateway = two_places(&[sick.url(), good.url()]);
    assert_eq!([plain(&gateway, "/").status, plain(&gateway, "/other").status], [503, 503]);
    until("both outcomes were told", || told(&gateway, "503") == 2.0);
    assert_eq!([plain(&gateway, "/").status, plain(&gateway, "/other").status], [200, 200]);
}

#[test]
fn a_router_that_fails_to_learn_costs_no_request_anything() {
    for (mode, kind) in [("trap", "trap"), ("loop", "cpu"), ("memory:67108864", "memory"), ("fail", "refused")] {
        let good = Upstream::plain("good").unwrap();
        let gateway = routed(&[good.url()], &learner(&format!("mode = \"{mode}\", hook = \"outcome-observer\"")));
        let instances = || metric(&gateway, "plugway_instances", &["plugin=\"router\""]);
        let (at_first, failures) = (instances(), |kind: &str| {
            metric(&gateway, "plugway_hook_failures_total", &["plugin=\"router\"", HOOK, &format!("kind=\"{kind}\"")])
        });
        let mut sent = 0.0;
        // Past the faults that open its breaker: an error of its own never does.
        until("six batches have failed", || {
            report(&plain(&gateway, "/"));
            sent += 1.0;
            failures(kind) + failures("breaker") >= 6.0
        });
        let open = metric(&gateway, "plugway_breakers_open", &["plugin=\"router\"", HOOK]);
        assert_eq!(open, if kind == "refused" { 0.0 } else { 1.0 }, "{mode}");
        until("every outcome is lost", || lost(&gateway) == sent);
        assert_eq!(metric(&gateway, "plugway_hook_calls_total", &["hook=\"router\""]), sent, "{mode}");
        assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"router\""]), 0.0, "{mode}");
        assert_eq!(metric(&gateway, "plugway_faults_total", &[]), 0.0, "{mode}");
        assert_eq!(instances(), at_first, "{mode}");
    }
}

#[test]
fn a_router_that_does_not_learn_is_not_told() {
    let good = Upstream::plain("good").unwrap();
    let router = "[plugins.router]\nsource = \"builtin:hash-router\"\nconfig = { key = \"path\" }\n";
    let gateway = routed(&[good.url()], router);
    let mut client = web(&gateway);
    for _ in 0..200 {
        assert_eq!(send(&mut client, "/", &[]).status, 200);
    }
    // Longer than anything waits for a batch.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(metric(&gateway, "plugway_hook_calls_total", &["hook=\"router\""]), 200.0);
    assert_eq!(calls(&gateway) + metric(&gateway, "plugway_hook_failures_total", &[]) + lost(&gateway), 0.0);
    assert_eq!(status(&gateway)["plugins"][0]["hooks"], serde_json::json!(["lifecycle", "router"]));
}
