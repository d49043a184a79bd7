//! Components of other toolchains load: one written in Python, built from the contract alone with componentize-py.

pub(crate) mod python;

use std::time::{Duration, Instant};

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, LOGGED, metric};
use crate::guest::{assert_problem, config, get, plugin, refused, report, route, seen, send};

/// An interpreter needs more of everything than a guest in Rust; the defaults are made for those. One call that fails may use up all of its time, and
/// what comes after it is served all the same.
pub(crate) const BUDGET: &str = "budget = { memory = \"128MiB\", cpu = \"2s\", failed_cpu = \"60s\", setup_cpu = \"20s\", \
     deadline = \"60s\", log_lines_per_second = 10000 }";
pub(crate) const SETTINGS: &str = "greeting = \"hello\", tenants = [\"acme\", \"umbrella\", \"print\"]";

#[test]
fn a_plugin_in_python_filters_requests_and_responses() {
    let component = python::component();
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("snake", component, SETTINGS, BUDGET);
    let text = config(&upstream, &[&part, &route("public = true\nplugins = [\"snake\"]")]);
    compiled_once(&text);
    let gateway: Gateway = Launch::new(BINARY).unwrap().start(&text).unwrap();
    let address = gateway.address("web").unwrap();
    let ask = |tenant: &str| get(address, "/a", &[("x-tenant-id", tenant)]);

    for tenant in ["acme", "umbrella"].into_iter().cycle().take(100) {
        let response = ask(tenant);
        assert_eq!(seen(&response, "x-hello"), Some(format!("hello {tenant}")));
        assert_eq!(response.header("x-python"), Some(&b"GET 200"[..]));
    }
    let response = ask("initech");
    assert_eq!((response.status, response.header("content-type")), (403, Some(&b"application/problem+json"[..])));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&response.body).unwrap()["path"], "/a");
    assert_eq!(response.header("x-python"), Some(&b"GET 403"[..]));

    // A refused change is an exception it catches; a line it prints is a line in the log; a door is shut.
    let logged =
        |text: &str| gateway.log().wait(LOGGED, |line| line.message().contains(text) && line.field("plugin") == Some("snake")).is_some();
    assert!(logged("content-length is not mine"));
    report(&ask("print"));
    assert!(logged("a line of Python"), "{}", gateway.log().text());
    let found = seen(&ask("files"), "x-result").unwrap();
    assert!(found.starts_with("denied: ") && found.ends_with(", 0 variables"), "{found}");
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);

    // It fails like any other: an exception nobody catches, and CPU time.
    assert_problem(&ask("raise"), 500, "plugin-failed");
    assert!(logged("raised as told"), "{}", gateway.log().text());
    // On a machine that others use two seconds of CPU time take many more.
    let mut spinning = Raw::connect(address).unwrap();
    spinning.patience(Duration::from_secs(100)).unwrap();
    assert_problem(&send(&mut spinning, "/a", &[("x-tenant-id", "spin")]), 503, "plugin-cpu-exceeded");
    assert_eq!(seen(&ask("acme"), "x-hello").as_deref(), Some("hello acme"), "a new instance serves");
    let failures = |kind: &str| metric(&gateway, "plugway_hook_failures_total", &["plugin=\"snake\"", &format!("kind=\"{kind}\"")]);
    assert_eq!((failures("trap"), failures("cpu")), (1.0, 1.0));

    // A failure of its own costs it nothing; answers are kept for it, so there is an end to how many.
    let started = || metric(&gateway, "plugway_instances_started_total", &["plugin=\"snake\""]);
    let before = started();
    assert_problem(&ask("fail"), 500, "plugin-failed");
    let told = gateway.log().wait(LOGGED, |line| line.field("error").is_some_and(|error| error.contains("failed as told")));
    assert!(told.is_some(), "{}", gateway.log().text());
    assert_eq!((failures("refused"), started()), (1.0, before));
    assert_problem(&ask("hoard"), 500, "plugin-failed");
    let told = gateway.log().wait(LOGGED, |line| line.field("error").is_some_and(|error| error.contains("more than 8 answers")));
    assert!(told.is_some(), "{}", gateway.log().text());
    assert_eq!(failures("trap"), 2.0);

    // What it has nothing to do with is said while it is configured, or never.
    assert_problem(&ask("late"), 500, "plugin-failed");
    let error = "used `configuring` outside `configure`";
    assert!(gateway.log().wait(LOGGED, |line| line.field("error").is_some_and(|text| text.contains(error))).is_some());

    // Where there is no request, there is none to ask for.
    let part = plugin("snake", component, "greeting = \"too early\", tenants = []", BUDGET);
    let text = refused(&config(&upstream, &[&part, &route("public = true\nplugins = [\"snake\"]")]));
    assert!(text.contains("used `request` outside a hook that has one"), "{text}");

    // What it does not take is said by `check`, in its own words.
    let part = plugin("snake", component, "greting = \"hello\"", BUDGET);
    let text = refused(&config(&upstream, &[&part, &route("public = true\nplugins = [\"snake\"]")]));
    assert!(text.contains("plugin `snake` does not take its configuration: `greting` is no key of this plugin"), "{text}");
}

/// Compiling 18 MB of interpreter takes a while in a debug build, so it is done before the gateway has to be ready; the
/// second time it comes from the cache.
fn compiled_once(text: &str) {
    let launch = Launch::new(BINARY).unwrap();
    crate::guest::check_in(&launch, text);
    let began = Instant::now();
    let (output, shown) = crate::guest::check_in(&launch, text);
    assert!(output.status.success(), "{shown}");
    assert!(began.elapsed() < Duration::from_secs(20), "a compiled component took {:?}", began.elapsed());
}
