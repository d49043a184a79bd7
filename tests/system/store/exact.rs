//! `/metrics`, store and report agree to the request.

use std::time::Duration;

use plugway_harness::gateway::Launch;
use rustix::process::Signal;
use serde_json::Value;

use super::{Counts, Scene, ask, json_report, metrics, sum, traffic};
use crate::common::{BINARY, metric, until};
use crate::guest::get;
use crate::reload::{replace, version, version_of};

const PATIENCE: Duration = Duration::from_secs(20);

/// Store and report say what was asked for.
fn agree(scene: &Scene, counts: &Counts) {
    for tier in ["minute", "hour", "day"] {
        assert_eq!(&scene.stored(tier), counts, "by {tier}");
    }
    let report = json_report(&scene.file(), &["--since", "1d"]);
    assert_eq!(report["totals"]["requests"], sum(counts));
    for route in report["routes"].as_array().unwrap() {
        let of_route = |from: i64, until: i64| -> i64 {
            let is = |((name, status), _): &(&(String, i64), &i64)| route["route"] == name.as_str() && (from..until).contains(status);
            counts.iter().filter(is).map(|(_, count)| count).sum()
        };
        let told = |column: &str| route[column].as_i64().unwrap();
        assert_eq!(
            (told("requests"), told("client_errors"), told("server_errors")),
            (of_route(0, 600), of_route(400, 500), of_route(500, 600)),
            "{route:#}"
        );
    }
    let by_status = |status: i64| counts.iter().filter(|((_, known), _)| *known == status).map(|(_, count)| count).sum::<i64>();
    for told in report["statuses"].as_array().unwrap() {
        assert_eq!(told["requests"], by_status(told["status"].as_i64().unwrap()), "{told}");
    }
    let timeline: i64 = report["timeline"].as_array().unwrap().iter().map(|point| point["requests"].as_i64().unwrap()).sum();
    assert_eq!(timeline, sum(counts));
}

#[test]
fn counts_agree_across_a_swap_and_a_graceful_restart() {
    let scene = Scene::new();
    let mut counts = Counts::new();
    let (mut gateway, plugin) = scene.start_with_plugin();
    traffic(&gateway, &mut counts);
    ask(&gateway, &mut counts, ("swapped", "/swapped", 200), 5);
    replace(&plugin, version(2));
    let mut first = 5;
    until("version 2 serves", || {
        ask(&gateway, &mut counts, ("swapped", "/swapped", 200), 1);
        let answer = get(gateway.address("web").unwrap(), "/swapped", &[]);
        *counts.entry(("swapped".to_owned(), 200)).or_default() += 1;
        let number = version_of(&answer);
        first += i64::from(number == 1);
        number == 2
    });
    ask(&gateway, &mut counts, ("swapped", "/swapped", 200), 10);
    assert_eq!(metrics(&gateway), counts);
    scene.written(sum(&counts));
    agree(&scene, &counts);
    // Two versions of one plugin, told apart; each request calls it on the way in and on the way out.
    let calls = "SELECT sum(calls) FROM plugin_by_day WHERE plugin IN (SELECT id FROM plugins WHERE plugin = 'auth')";
    let swapped = counts[&("swapped".to_owned(), 200)];
    until("all calls are in the store", || scene.number(calls) == 2 * swapped);
    assert_eq!(scene.number("SELECT count(*) FROM plugins WHERE plugin = 'auth'"), 2);
    assert!(first >= 5);

    // In flight when it is asked to end, and counted nevertheless.
    let mut client = crate::common::web(&gateway);
    client.send("GET /slow/600 HTTP/1.1\r\nhost: a\r\nx-behave: /held\r\n\r\n").unwrap();
    until("it is with the upstream", || metric(&gateway, "plugway_requests_in_flight", &["route=\"slow\""]) == 1.0);
    gateway.signal(Signal::TERM).unwrap();
    until("it drains", || crate::common::status(&gateway)["draining"] == true);
    scene.upstream.release();
    assert_eq!(client.response().unwrap().status, 200);
    *counts.entry(("slow".to_owned(), 200)).or_default() += 1;
    assert!(gateway.wait(PATIENCE).unwrap().success());
    agree(&scene, &counts);

    let gateway = scene.start();
    let mut since = Counts::new();
    traffic(&gateway, &mut since);
    assert_eq!(metrics(&gateway), since);
    gateway.stop().unwrap();
    since.into_iter().for_each(|(key, count)| *counts.entry(key).or_default() += count);
    agree(&scene, &counts);
    let runs = "SELECT count(*) FROM runs WHERE ended IS NOT NULL";
    assert_eq!(scene.number(runs), 2);
}

#[test]
fn what_is_cut_off_and_what_never_was_a_request_is_counted_too() {
    let scene = Scene::new();
    let gateway = scene.start();
    let mut hanging = crate::common::web(&gateway);
    hanging.send("GET /orders/hang HTTP/1.1\r\nhost: a\r\nx-behave: /hang\r\n\r\n").unwrap();
    until("it is with the upstream", || scene.upstream.requests() == 1);
    drop(hanging);
    let mut broken = crate::common::web(&gateway);
    broken.send("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(broken.response().unwrap().status, 400);
    // Cut off by the end of the gateway, which does not wait for it.
    until("both are counted", || metric(&gateway, "plugway_requests_total", &[]) == 2.0);
    for fault in ["client-gone", "ambiguous-framing"] {
        let labels = [format!("fault=\"{fault}\""), "blame=\"client\"".to_owned()];
        assert_eq!(metric(&gateway, "plugway_requests_total", &labels.each_ref().map(String::as_str)), 1.0, "{fault}");
    }
    let told = metrics(&gateway);
    gateway.stop().unwrap();
    assert_eq!(scene.stored("day"), told);
    assert_eq!(sum(&told), 2);
    let fault =
        "SELECT sum(requests) FROM outcome_by_day o JOIN faults f ON f.id = o.fault WHERE f.fault IN ('client-gone', 'ambiguous-framing')";
    assert_eq!(scene.number(fault), 2);
}

#[test]
fn slow_and_failed_requests_are_reported_one_by_one() {
    let scene = Scene::new();
    let gateway = scene.start();
    let asked = |path: &str| {
        let answer = get(gateway.address("web").unwrap(), path, &[]);
        String::from_utf8(answer.header("x-request-id").unwrap().to_vec()).unwrap()
    };
    let [slow, failed, gone] = ["/slow/300?token=s3cret", "/status/503?token=s3cret", "/gone"].map(asked);
    // Which of a minute's requests were the slowest is known when it is over.
    gateway.stop().unwrap();
    let report = json_report(&scene.file(), &["--since", "1d"]);
    let sample = |list: &str, id: &str| {
        let kept = report[list].as_array().unwrap().iter().find(|sample| sample["request_id"] == id);
        kept.unwrap_or_else(|| panic!("{id} is not among {list}: {report:#}")).clone()
    };
    let url = scene.upstream.url();
    for (list, id, route, path, status, fault, endpoint) in [
        ("slowest", &slow, "slow", "/slow/300", 200, "", url.as_str()),
        ("failed", &failed, "status", "/status/503", 503, "upstream-status", url.as_str()),
        ("failed", &gone, "gone", "/gone", 502, "upstream-connect-failed", "http://127.0.0.1:1"),
    ] {
        let sample = sample(list, id);
        for (key, value) in [("route", route), ("method", "GET"), ("path", path), ("fault", fault), ("endpoint", endpoint)] {
            assert_eq!(sample[key], value, "{key} of {sample:#}");
        }
        assert_eq!(sample["status"], status, "{sample:#}");
    }
    let took = |key: &str| sample("slowest", &slow)[key].as_u64().unwrap();
    assert!(took("upstream_us") >= 300_000 && took("duration_us") >= took("upstream_us"), "{report:#}");
    assert!(!report.to_string().contains("s3cret"), "no query is kept");
}

#[test]
fn one_api_is_reported_by_itself() {
    let scene = Scene::new();
    let (gateway, mut counts) = (scene.start(), Counts::new());
    traffic(&gateway, &mut counts);
    gateway.stop().unwrap();
    let of = |words: &[&str]| json_report(&scene.file(), words);
    let names = |report: &Value| -> Vec<String> {
        let mut names: Vec<_> =
            report["routes"].as_array().unwrap().iter().map(|route| route["route"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let shop = of(&["--api", "shop"]);
    assert_eq!(names(&shop), ["orders", "status"]);
    assert_eq!(shop["totals"]["requests"], 38);
    assert_eq!(of(&["--route", "gone"])["faults"][0]["fault"], "upstream-connect-failed");
    let gone = &of(&["--route", "gone"])["endpoints"][0];
    assert_eq!((&gone["endpoint"], &gone["server_errors"]), (&"http://127.0.0.1:1".into(), &2.into()), "who did not answer is counted too");
    let unknown = std::process::Command::new(BINARY).args(["report", "--api", "shp", "--store"]).arg(scene.file()).output().unwrap();
    assert!(!unknown.status.success());
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("knows no API \"shp\"; it knows shop"), "{said}");
}

#[test]
fn a_running_gateway_reports_and_is_watched() {
    let scene = Scene::new();
    let (gateway, mut counts) = (scene.start(), Counts::new());
    traffic(&gateway, &mut counts);
    scene.written(sum(&counts));
    let address = gateway.admin().unwrap().to_string();
    let run = |words: &[&str]| {
        let output = std::process::Command::new(BINARY).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let report: Value = serde_json::from_str(&run(&["report", "--admin", &address, "--api", "shop", "--format", "json"])).unwrap();
    assert_eq!(report["totals"]["requests"], 38);
    assert!(crate::common::admin(&gateway, "/report?since=1h").starts_with("<!doctype html>"));
    let top = run(&["top", "--once", "--admin", &address]);
    for wanted in ["plugway ", "orders (v1)", "gone", "ENDPOINT", "store "] {
        assert!(top.contains(wanted), "{wanted} in\n{top}");
    }
    assert!(top.lines().all(|line| line.chars().count() <= 120), "{top}");
    let of_store = || run(&["top", "--once", "--store", scene.file().to_str().unwrap()]);
    let kept = of_store();
    for wanted in ["plugway store ", "orders (v1)", "gone", "ENDPOINT", "p99 "] {
        assert!(kept.contains(wanted), "{wanted} in\n{kept}");
    }
    assert!(kept.lines().all(|line| line.chars().count() <= 120), "{kept}");
    let store = &crate::common::status(&gateway)["store"];
    assert_eq!((&store["writable"], &store["requests_lost"]), (&true.into(), &0.into()), "{store:#}");
    assert_eq!(store["file"], scene.file().to_str().unwrap());
    gateway.stop().unwrap();
    assert!(of_store().contains("orders (v1)"), "nobody writes it any more");
}

#[test]
fn a_store_that_is_switched_off_is_not_there() {
    let scene = Scene::new();
    let config = scene.config("").replace("[store]", "[store]\nenabled = false");
    let gateway = Launch::new(BINARY).unwrap().start(&config).unwrap();
    let mut counts = Counts::new();
    traffic(&gateway, &mut counts);
    assert_eq!(metrics(&gateway), counts);
    assert!(crate::common::status(&gateway)["store"].is_null());
    assert!(!crate::common::admin(&gateway, "/metrics").contains("plugway_store"));
    gateway.stop().unwrap();
    assert!(!scene.file().exists());
}
