//! What keeps failing is left alone, says so, and is tried again.

use std::time::{Duration, Instant};

use plugway_harness::gateway::{Gateway, Launch, Line};
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, LOGGED, metric, start, status, two_workers, until};
use crate::guest::{assert_problem, config, filters, get, guest, plugin, report, route, tell, with_guest};

/// Faults in a row after which a place is left alone (`plugway::plugin::breaker`).
const FAULTS: usize = 5;

fn plain(gateway: &Gateway, path: &str) -> RawResponse {
    get(gateway.address("web").unwrap(), path, &[])
}

fn calls(gateway: &Gateway, hook: &str) -> f64 {
    metric(gateway, "plugway_hook_calls_total", &[&format!("hook=\"{hook}\"")])
}

fn failures(gateway: &Gateway, hook: &str, kind: &str) -> f64 {
    metric(gateway, "plugway_hook_failures_total", &[&format!("hook=\"{hook}\""), &format!("kind=\"{kind}\"")])
}

/// Open now, and times opened.
fn breakers(gateway: &Gateway, hook: &str) -> [f64; 2] {
    ["plugway_breakers_open", "plugway_breakers_opened_total"]
        .map(|name| metric(gateway, name, &["plugin=\"misbehaving\"", &format!("hook=\"{hook}\"")]))
}

/// A clean refusal that says when to come again.
fn assert_left_alone(response: &RawResponse) {
    assert_problem(response, 503, "plugin-unavailable");
    let seconds: u64 = std::str::from_utf8(response.header("retry-after").unwrap()).unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

fn logged(gateway: &Gateway, text: &str) -> Line {
    let line = gateway.log().wait(LOGGED, |line| line.message().contains(text));
    line.unwrap_or_else(|| panic!("`{text}` is not in the log: {}", gateway.log().text()))
}

#[test]
fn what_always_fails_is_left_alone() {
    for (mode, status_code, code, kind) in [
        ("trap", 500, "plugin-failed", "trap"),
        ("loop", 503, "plugin-cpu-exceeded", "cpu"),
        ("memory:67108864", 503, "plugin-memory-exceeded", "memory"),
        ("bad-status", 500, "plugin-failed", "output"),
    ] {
        let upstream = Upstream::plain("up").unwrap();
        let gateway = with_guest(&upstream, &format!("mode = \"{mode}\", hook = \"request-filter\""), "");
        let instances = || metric(&gateway, "plugway_instances", &["plugin=\"misbehaving\""]);
        let at_first = instances();
        let began = Instant::now();
        for _ in 0..FAULTS {
            assert_eq!(breakers(&gateway, "request-filter"), [0.0, 0.0], "{mode}");
            assert_problem(&plain(&gateway, "/"), status_code, code);
        }
        for _ in 0..50 {
            let response = plain(&gateway, "/");
            // A machine that takes its time may let a try through.
            if response.header("retry-after").is_some() || began.elapsed() < Duration::from_secs(1) {
                assert_left_alone(&response);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let tries = breakers(&gateway, "request-filter")[1] - 1.0;
        assert!(tries <= (seconds + 1.0).log2(), "{mode}: {tries} tries in {seconds} s");
        assert_eq!(calls(&gateway, "request-filter"), FAULTS as f64 + tries, "{mode}");
        assert_eq!(failures(&gateway, "request-filter", kind), FAULTS as f64 + tries, "{mode}");
        assert_eq!(failures(&gateway, "request-filter", "breaker"), 50.0 - tries, "{mode}");
        assert_eq!(breakers(&gateway, "request-filter")[0], 1.0, "{mode}");
        let shown = &status(&gateway)["plugins"][0]["breakers"];
        assert_eq!(
            *shown,
            serde_json::json!([{ "hook": "request-filter", "open": 1, "opened": tries as u64 + 1, "by_failed_cpu": 0 }]),
            "{mode}"
        );
        let line = logged(&gateway, "its breaker is open");
        let fields = ["level", "plugin", "hook", "scope", "route", "pause"].map(|name| line.field(name).unwrap_or_default().to_owned());
        assert_eq!(fields, ["WARN", "misbehaving", "request-filter", "place", "all", "1s"], "{}", line.text);
        assert!(line.field("error").is_some_and(|error| !error.is_empty()), "{}", line.text);
        // What the plugin does well is not taken away: the authorizer still said who it is, each time.
        assert_eq!(calls(&gateway, "authorizer"), FAULTS as f64 + 50.0, "{mode}");
        assert_eq!(instances(), at_first, "{mode}: a fresh one waits for the try");
        assert_eq!(upstream.requests(), 0, "{mode}");
    }
}

#[test]
fn each_worker_has_its_own() {
    let upstream = Upstream::plain("up").unwrap();
    let parts = [&guest("misbehaving", "mode = \"trap\", hook = \"request-filter\"", ""), &route("plugins = [\"misbehaving\"]")];
    let gateway = start(&two_workers(&config(&upstream, &parts.map(String::as_str))));
    until("both workers leave it alone", || {
        assert!(plain(&gateway, "/").status >= 500);
        breakers(&gateway, "request-filter")[0] == 2.0
    });
    let again = breakers(&gateway, "request-filter")[1] - 2.0;
    assert_eq!(calls(&gateway, "request-filter"), 2.0 * FAULTS as f64 + again);
}

#[test]
fn a_good_answer_after_the_pause_closes_it() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"request-filter\"", "");
    for round in 1..=2 {
        for _ in 1..FAULTS {
            assert_problem(&tell(&gateway, "trap"), 500, "plugin-failed");
        }
        // Before the one that opens it: the pause begins no earlier, however slow the machine is.
        let opened = Instant::now();
        assert_problem(&tell(&gateway, "trap"), 500, "plugin-failed");
        assert_eq!(breakers(&gateway, "request-filter"), [1.0, f64::from(round)]);
        // A good request cannot get through either, until the pause is over; it is the same short one each time.
        until("the plugin serves again", || plain(&gateway, "/").status == 200);
        assert!(opened.elapsed() > Duration::from_millis(700), "after {:?}", opened.elapsed());
        assert_eq!(breakers(&gateway, "request-filter"), [0.0, f64::from(round)]);
        report(&plain(&gateway, "/"));
    }
    let line = logged(&gateway, "its breaker is closed");
    assert_eq!(
        (line.field("level"), line.field("plugin"), line.field("hook")),
        (Some("INFO"), Some("misbehaving"), Some("request-filter"))
    );
    assert_eq!(
        status(&gateway)["plugins"][0]["breakers"],
        serde_json::json!([{ "hook": "request-filter", "open": 0, "opened": 2, "by_failed_cpu": 0 }])
    );
}

#[test]
fn a_try_that_fails_makes_the_pause_longer() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"trap\", hook = \"request-filter\"", "");
    until("two tries", || {
        assert!(plain(&gateway, "/").status >= 500);
        breakers(&gateway, "request-filter")[1] == 3.0
    });
    assert_eq!(calls(&gateway, "request-filter"), FAULTS as f64 + 2.0);
    // What the gateway has written arrives here a moment later.
    let pauses = || -> Vec<String> {
        let lines = gateway.log().lines();
        let opened = lines.iter().filter(|line| line.message().contains("its breaker is open"));
        opened.map(|line| line.field("pause").unwrap().to_owned()).collect()
    };
    until("three lines in the log", || pauses().len() >= 3);
    assert_eq!(pauses(), ["1s", "2s", "4s"]);
    assert_eq!(breakers(&gateway, "request-filter")[0], 1.0);
}

#[test]
fn one_bad_request_among_good_ones_opens_nothing() {
    let upstream = Upstream::plain("up").unwrap();
    // In a build without optimisation a trap is dear, and each of these needs another instance, which is made within the time of a call.
    let budget = "budget = { cpu = \"100ms\", failed_cpu = \"10s\" }";
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"request-filter\"", budget);
    for _ in 0..30 {
        for _ in 1..FAULTS {
            assert_problem(&tell(&gateway, "trap"), 500, "plugin-failed");
        }
        report(&plain(&gateway, "/"));
    }
    assert_eq!(breakers(&gateway, "request-filter"), [0.0, 0.0]);
    assert_eq!(failures(&gateway, "request-filter", "breaker"), 0.0);
}

#[test]
fn an_error_of_its_own_is_an_answer() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"fail\", hook = \"authorizer\"", "");
    for _ in 0..3 * FAULTS {
        assert_problem(&plain(&gateway, "/"), 500, "plugin-failed");
    }
    assert_eq!(failures(&gateway, "authorizer", "refused"), 3.0 * FAULTS as f64);
    assert_eq!(breakers(&gateway, "authorizer"), [0.0, 0.0]);
}

#[test]
fn one_routes_configuration_takes_nothing_from_another() {
    let upstream = Upstream::plain("up").unwrap();
    let bad = "[[routes]]\nname = \"bad\"\nmatch = { path = \"/bad\" }\nupstream = \"up\"\nplugins = [{ plugin = \"misbehaving\", config = { mode = \"trap\", hook = \"request-filter\" } }]";
    let gateway = start(&config(&upstream, &[&guest("misbehaving", "mode = \"pass\"", ""), &route("plugins = [\"misbehaving\"]"), bad]));
    for _ in 0..FAULTS {
        assert_problem(&plain(&gateway, "/bad"), 500, "plugin-failed");
    }
    assert_left_alone(&plain(&gateway, "/bad"));
    for _ in 0..10 {
        report(&plain(&gateway, "/"));
    }
    assert_eq!(breakers(&gateway, "request-filter")[0], 1.0);
}

#[test]
fn what_is_skipped_is_left_alone_too() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("misbehaving", filters(), "mode = \"trap\"", "on_failure = \"skip\"");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"misbehaving\"]")]));
    for _ in 0..30 {
        let response = plain(&gateway, "/");
        report(&response);
        assert_eq!(response.header("retry-after"), None);
    }
    for hook in ["request-filter", "response-filter"] {
        let again = breakers(&gateway, hook)[1] - 1.0;
        assert_eq!(calls(&gateway, hook), FAULTS as f64 + again, "{hook}");
        assert_eq!(failures(&gateway, hook, "breaker"), 25.0 - again, "{hook}");
    }
}

/// A gateway whose guest does not start any more from a moment on that has come when this returns.
fn expired(upstream: &Upstream) -> Gateway {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for within in [3, 6, 12, 24, 48] {
        let end = now().as_secs() + within;
        let old = format!(
            "[[routes]]\nname = \"old\"\nmatch = {{ path = \"/old\" }}\nupstream = \"up\"\nplugins = [{{ plugin = \"misbehaving\", config = {{ mode = \"expire-at:{end}\" }} }}]"
        );
        let part = guest("misbehaving", "mode = \"by-header\", hook = \"request-filter\"", "");
        let text = config(upstream, &[&part, &route("plugins = [\"misbehaving\"]"), &old]);
        // On a slow machine that moment may come before the gateway has started.
        if let Ok(gateway) = Launch::new(BINARY).unwrap().start(&text) {
            std::thread::sleep(Duration::from_secs(end + 1).saturating_sub(now()));
            return gateway;
        }
    }
    panic!("it did not start in time")
}

#[test]
fn what_does_not_start_again_is_left_alone_at_once() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = expired(&upstream);
    let instances = || metric(&gateway, "plugway_instances", &["plugin=\"misbehaving\""]);
    let at_first = instances();
    report(&plain(&gateway, "/"));
    // What the plugin did is what the client is told, though its response filter cannot be called any more.
    assert_problem(&tell(&gateway, "trap"), 500, "plugin-failed");
    let before = calls(&gateway, "authorizer");
    let began = Instant::now();
    let refused = plain(&gateway, "/");
    assert_left_alone(&refused);
    assert_eq!(calls(&gateway, "authorizer"), before);
    let [open, opened] = breakers(&gateway, "lifecycle");
    assert!(open == 1.0 && opened <= 2.0 + began.elapsed().as_secs_f64(), "{open}, {opened}");
    assert_eq!(failures(&gateway, "lifecycle", "trap"), opened);
    assert_eq!(instances(), at_first - 1.0);
    let line = logged(&gateway, "its breaker is open");
    assert_eq!((line.field("hook"), line.field("scope"), line.field("pause")), (Some("lifecycle"), Some("plugin"), Some("1s")));
    until("a second try to start it", || {
        assert_left_alone(&plain(&gateway, "/"));
        breakers(&gateway, "lifecycle")[1] >= 2.0
    });
    assert_eq!(failures(&gateway, "authorizer", "no-instance"), 0.0);
    assert_eq!(status(&gateway)["plugins"][0]["breakers"][0]["hook"], "lifecycle");
    assert_eq!(breakers(&gateway, "lifecycle")[0], 1.0);
}

#[test]
fn a_hook_on_the_way_back_is_refused_as_cleanly() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"trap\", hook = \"response-filter\"", "");
    for _ in 0..FAULTS {
        assert_problem(&plain(&gateway, "/"), 500, "plugin-failed");
    }
    assert_left_alone(&plain(&gateway, "/"));
    assert_eq!(metric(&gateway, "plugway_faults_total", &["fault=\"plugin-unavailable\"", "blame=\"plugin\""]), 1.0);
}

#[test]
fn an_observer_that_keeps_failing_is_left_alone() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"trap\", hook = \"observer\"", "");
    let mut sent = 0.0;
    until("the observer is left alone", || {
        report(&plain(&gateway, "/"));
        sent += 1.0;
        breakers(&gateway, "observer")[0] == 1.0
    });
    let lost = || metric(&gateway, "plugway_records_lost_total", &[]);
    until("every record is lost", || lost() == sent);
    let refused = || failures(&gateway, "observer", "breaker");
    until("a batch it is not given", || {
        report(&plain(&gateway, "/"));
        sent += 1.0;
        refused() >= 1.0
    });
    until("that record is lost too", || lost() == sent);
    let again = breakers(&gateway, "observer")[1] - 1.0;
    assert_eq!(calls(&gateway, "observer"), FAULTS as f64 + again);
}
