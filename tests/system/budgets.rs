//! Every limit of `[plugins.NAME.budget]`, from both sides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{Ends, LOGGED, admin, metric, start, until};
use crate::guest::{assert_problem, check, config, filters, get, guest, plugin, refused, report, route, seen, tell, with_guest};

/// A gateway whose guest does in one hook what each request says, within this budget.
fn gateway(upstream: &Upstream, hook: &str, budget: &str) -> Gateway {
    with_guest(upstream, &format!("mode = \"by-header\", hook = \"{hook}\""), &format!("budget = {{ {budget} }}"))
}

fn failures(gateway: &Gateway, kind: &str) -> f64 {
    metric(gateway, "plugway_hook_failures_total", &[&format!("kind=\"{kind}\"")])
}

/// How often the guest met that budget.
fn hits(gateway: &Gateway, key: &str) -> f64 {
    metric(gateway, "plugway_budget_hits_total", &[&format!("budget=\"{key}\"")])
}

#[test]
fn cpu_time_of_a_call() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "request-filter", "cpu = \"20ms\"");
    for _ in 0..20 {
        report(&tell(&gateway, "spin-ms:10"));
    }
    assert_eq!(failures(&gateway, "cpu"), 0.0);
    // A call's time is its own: what came before does not count.
    for failed in 1..=3 {
        assert_problem(&tell(&gateway, "spin-ms:400"), 503, "plugin-cpu-exceeded");
        assert_eq!(failures(&gateway, "cpu"), f64::from(failed));
        assert_eq!(hits(&gateway, "cpu"), f64::from(failed));
        report(&tell(&gateway, "spin-ms:10"));
    }
    let line = gateway.log().wait(LOGGED, |line| line.field("kind") == Some("cpu")).unwrap();
    assert!(line.field("error").is_some_and(|error| error.contains("used more than its budget of 20ms CPU time")), "{}", line.text);
}

#[test]
fn a_healthy_plugin_is_never_ended_however_busy_the_machine_is() {
    /// Threads that want a core all the time, several for each there is.
    const BUSY: usize = 8;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // What this thread starts, the gateway and the busy ones, goes behind whatever tests run beside it.
        scope.spawn(|| {
            rustix::process::nice(10).unwrap();
            let upstream = Upstream::plain("up").unwrap();
            let gateway = gateway(&upstream, "request-filter", "cpu = \"10ms\"");
            let busy = Ends(&done);
            for _ in 0..BUSY {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            // Long enough on the clock that ticks come in between, in which others have the core.
            let refused: Vec<_> = (0..100).map(|_| tell(&gateway, "spin-ms:3")).filter(|answer| answer.status != 200).collect();
            drop(busy);
            assert!(refused.is_empty(), "{refused:?}\n{}", gateway.log().text());
            assert_eq!((metric(&gateway, "plugway_hook_failures_total", &[]), hits(&gateway, "cpu")), (0.0, 0.0));
            assert_eq!(metric(&gateway, "plugway_instances_started_total", &[]), metric(&gateway, "plugway_instances", &[]));
            // And one that is not healthy is.
            assert_problem(&tell(&gateway, "loop"), 503, "plugin-cpu-exceeded");
        });
    });
}

#[test]
fn cpu_time_of_configuring() {
    let upstream = Upstream::plain("up").unwrap();
    let text = |mode: &str| {
        let part = plugin("slow", filters(), &format!("mode = \"{mode}\""), "budget = { setup_cpu = \"150ms\" }");
        config(&upstream, &[&part, &route("public = true\nplugins = [\"slow\"]")])
    };
    let (output, shown) = check(&text("slow-configure:50"));
    assert!(output.status.success(), "{shown}");
    let shown = refused(&text("slow-configure:3000"));
    assert!(shown.contains("plugin `slow` does not take its configuration: "), "{shown}");
    assert!(shown.contains("used more than its budget of 150ms CPU time"), "{shown}");
}

#[test]
fn memory_of_an_instance() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "request-filter", "memory = \"8MiB\"");
    // The guest keeps what it allocated, so the second time needs the room of both.
    report(&tell(&gateway, "memory:2000000"));
    report(&tell(&gateway, "memory:4000000"));
    assert_eq!(failures(&gateway, "memory"), 0.0);
    assert_problem(&tell(&gateway, "memory:9000000"), 503, "plugin-memory-exceeded");
    assert_eq!((failures(&gateway, "memory"), hits(&gateway, "memory")), (1.0, 1.0));
    report(&tell(&gateway, "memory:2000000"));
    let line = gateway.log().wait(LOGGED, |line| line.field("kind") == Some("memory")).unwrap();
    assert!(line.field("error").is_some_and(|error| error.contains("wanted more than its 8388608 bytes of memory")), "{}", line.text);

    // Too little to start with is found before anything serves.
    let part = guest("small", "", "budget = { memory = \"64KiB\" }");
    let text = refused(&config(&upstream, &[&part, &route("plugins = [\"small\"]")]));
    assert!(text.contains("plugin `small` does not start") && text.contains("wanted more than its 65536 bytes of memory"), "{text}");
}

#[test]
fn headers_of_a_request() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "request-filter", "max_headers = 5, max_header_bytes = \"1KiB\"");
    // Four, and the one that says how it went.
    let response = tell(&gateway, "headers:4");
    assert_eq!((seen(&response, "x-result").as_deref(), seen(&response, "x-many-3").as_deref()), (Some("ok"), Some("1")));
    // The sixth is refused, and the hook goes on with five.
    let response = tell(&gateway, "headers:6");
    assert_eq!((seen(&response, "x-many-4").as_deref(), seen(&response, "x-many-5")), (Some("1"), None));
    // The one of them, and the one that would have said so.
    assert_eq!((hits(&gateway, "max_headers"), hits(&gateway, "max_header_bytes")), (2.0, 0.0));
    assert!(gateway.log().wait(LOGGED, |line| line.message() == "change: too-large").is_some());
    // Seven bytes are the name's.
    let response = tell(&gateway, "header-bytes:1000");
    assert_eq!((seen(&response, "x-result").as_deref(), seen(&response, "x-large").map(|value| value.len())), (Some("ok"), Some(1000)));
    let response = tell(&gateway, "header-bytes:1018");
    assert_eq!((seen(&response, "x-result").as_deref(), seen(&response, "x-large")), (Some("too-large"), None));
    assert_eq!(hits(&gateway, "max_header_bytes"), 1.0);
}

#[test]
fn headers_of_a_response() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = gateway(&upstream, "response-filter", "max_headers = 5, max_header_bytes = \"1KiB\"");
    let response = tell(&gateway, "headers:4");
    assert_eq!((response.header("x-result"), response.header("x-many-3")), (Some(&b"ok"[..]), Some(&b"1"[..])));
    let response = tell(&gateway, "headers:6");
    assert_eq!((response.header("x-many-4"), response.header("x-many-5")), (Some(&b"1"[..]), None));
    let response = tell(&gateway, "header-bytes:1000");
    assert_eq!((response.header("x-result"), response.header("x-large").map(<[u8]>::len)), (Some(&b"ok"[..]), Some(1000)));
    let response = tell(&gateway, "header-bytes:1018");
    assert_eq!((response.header("x-result"), response.header("x-large")), (Some(&b"too-large"[..]), None));
}

#[test]
fn answers_of_its_own() {
    for hook in ["authorizer", "request-filter", "response-filter"] {
        let upstream = Upstream::plain("up").unwrap();
        let gateway = gateway(&upstream, hook, "max_local_body_bytes = \"16KiB\", max_headers = 5");
        let response = tell(&gateway, "respond:16384");
        assert_eq!((response.status, response.body.len()), (200, 16_384), "{hook}");
        assert_eq!(tell(&gateway, "respond-headers:4").header("x-many-3"), Some(&b"1"[..]), "{hook}");
        assert_eq!(failures(&gateway, "output"), 0.0);
        assert_problem(&tell(&gateway, "respond:16385"), 500, "plugin-failed");
        assert_problem(&tell(&gateway, "respond-headers:6"), 500, "plugin-failed");
        assert_eq!(failures(&gateway, "output"), 2.0, "{hook}");
        assert_eq!((hits(&gateway, "max_local_body_bytes"), hits(&gateway, "max_headers")), (1.0, 1.0), "{hook}");
        for text in ["answered with a body of 16385 bytes; max_local_body_bytes is 16384", "headers; max_headers is 5"] {
            assert!(
                gateway.log().wait(LOGGED, |line| line.field("error").is_some_and(|error| error.contains(text))).is_some(),
                "{hook}: {text}"
            );
        }
    }
}

#[test]
fn attributes_and_identity() {
    let upstream = Upstream::plain("up").unwrap();
    let inside = gateway(&upstream, "request-filter", "max_attribute_bytes = \"1KiB\"");
    // Five bytes are the name's.
    assert_eq!(seen(&tell(&inside, "attribute-bytes:1019"), "x-result").as_deref(), Some("ok"));
    assert_eq!(hits(&inside, "max_attribute_bytes"), 0.0);
    assert_eq!(seen(&tell(&inside, "attribute-bytes:1020"), "x-result").as_deref(), Some("too-large"));
    assert_eq!(hits(&inside, "max_attribute_bytes"), 1.0);

    // What is written again takes the place of what was there, so it fits once more.
    let part = plugin("again", filters(), "mode = \"by-header\"", "budget = { max_attribute_bytes = \"1KiB\" }");
    let again = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"again\"]")]));
    let response = tell(&again, "attribute-bytes:1019");
    assert_eq!((seen(&response, "x-result").as_deref(), response.header("x-result")), (Some("ok"), Some(&b"ok"[..])));

    // The guest's authorizer puts the tenant into the identity.
    let address = inside.address("web").unwrap();
    report(&get(address, "/", &[("x-tenant-id", &"t".repeat(900))]));
    assert_problem(&get(address, "/", &[("x-tenant-id", &"t".repeat(1020))]), 500, "plugin-failed");
    assert_eq!(metric(&inside, "plugway_hook_failures_total", &["hook=\"authorizer\"", "kind=\"refused\""]), 1.0);

    // What has no error of its own to say it with fails when it is given away.
    let identity = gateway(&upstream, "authorizer", "max_attribute_bytes = \"1KiB\"");
    report(&tell(&identity, "identity-bytes:900"));
    assert_problem(&tell(&identity, "identity-bytes:1020"), 500, "plugin-failed");
    assert_eq!(failures(&identity, "output"), 1.0);
    report(&tell(&identity, "identity-bytes:900"));
}

#[test]
fn log_lines_a_second() {
    let upstream = Upstream::plain("up").unwrap();
    // What a hundred lines take in a build without optimisation is near the default.
    let gateway = gateway(&upstream, "request-filter", "log_lines_per_second = 50, cpu = \"500ms\"");
    let printed = |begin: &str| gateway.log().lines().iter().filter(|line| line.message().starts_with(begin)).count();
    report(&tell(&gateway, "log-flood:50"));
    until("the lines of a second", || printed("line ") == 50);
    std::thread::sleep(Duration::from_millis(1100));
    let began = Instant::now();
    report(&tell(&gateway, "log-flood:400"));
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    std::thread::sleep(Duration::from_millis(1100));
    // The next line says how many were dropped; a line itself is cut.
    report(&tell(&gateway, "log-bytes:10000"));
    until("the long line", || printed("llll") == 1);
    let lines = gateway.log().lines();
    let long = lines.iter().find(|line| line.message().starts_with("llll")).unwrap();
    assert_eq!(long.message().len(), 4096);
    let dropped: u64 = lines
        .iter()
        .filter(|line| line.message().starts_with("Log lines were dropped"))
        .map(|line| line.value("lines").unwrap().as_u64().unwrap())
        .sum();
    let written = printed("line ") - 50;
    // The flood may have met the turn of a second, or of several.
    assert!((50..=50 * (seconds + 1)).contains(&written), "{written} lines were written in {seconds} s at most");
    assert_eq!(written as u64 + dropped, 400);
    assert_eq!(hits(&gateway, "log_lines_per_second"), dropped as f64);
}

#[test]
fn log_lines_a_second_are_those_of_both_workers() {
    let upstream = Upstream::plain("up").unwrap();
    let part =
        guest("misbehaving", "mode = \"by-header\", hook = \"request-filter\"", "budget = { log_lines_per_second = 50, cpu = \"500ms\" }");
    let gateway = start(&crate::common::two_workers(&config(&upstream, &[&part, &route("plugins = [\"misbehaving\"]")])));
    let served = |worker: &str| metric(&gateway, "plugway_worker_requests_total", &[&format!("worker=\"{worker}\"")]);
    let (began, mut asked) = (Instant::now(), 0);
    // Which worker gets a connection is up to the kernel.
    while asked < 40 || served("0") < 2.0 || served("1") < 2.0 {
        report(&tell(&gateway, "log-flood:50"));
        asked += 1;
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let written = || gateway.log().lines().iter().filter(|line| line.message().starts_with("line ")).count();
    until("every line is written or dropped", || written() as f64 + hits(&gateway, "log_lines_per_second") == f64::from(asked * 50));
    assert!((50..=50 * (seconds + 1)).contains(&written()), "{} lines were written in {seconds} s at most", written());
}

#[test]
fn metric_series() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("counting", filters(), "mode = \"by-header\", hook = \"request-filter\"", "budget = { max_series = 20 }");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"counting\"]")]));
    let series = || admin(&gateway, "/metrics").lines().filter(|line| line.contains("\"series-")).count();
    let folded = || metric(&gateway, "plugway_plugin_records_folded_total", &["plugin=\"counting\""]);
    report(&tell(&gateway, "series:20"));
    assert_eq!((series(), folded()), (20, 0.0));
    report(&tell(&gateway, "series:35"));
    assert_eq!((series(), folded()), (20, 15.0));
    assert_eq!(hits(&gateway, "max_series"), 15.0);
    // Nothing is lost from the sum.
    let name = admin(&gateway, "/metrics").lines().find(|line| line.contains("\"series-")).unwrap().split('{').next().unwrap().to_owned();
    assert_eq!(metric(&gateway, &name, &[]), 55.0);
}
