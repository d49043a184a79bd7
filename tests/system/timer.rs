//! The `timer` hook: ticked by the clock on the control side, within bounds.

use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{metric, start, status, two_workers, until, until_logged};
use crate::guest::{check, clockwork, config, get, plugin, refused, route, ticking};

fn text(upstream: &Upstream, guest_config: &str, more: &str) -> String {
    let part = plugin("ticking", ticking(), guest_config, &format!("grants = {{ kv = {{}} }}\n{more}"));
    two_workers(&config(upstream, &[&part, &route("public = true\nplugins = [\"ticking\"]")]))
}

/// What a key of the guest's `kv` says; each time on a connection of its own, so that now one worker answers and now the other.
fn ask(gateway: &Gateway, told: &str) -> u64 {
    let response = get(gateway.address("web").unwrap(), "/", &[("x-do", told)]);
    assert_eq!(response.status, 200, "{told}: {}", response.text());
    response.text().parse().unwrap()
}

fn calls(gateway: &Gateway) -> f64 {
    metric(gateway, "plugway_hook_calls_total", &["plugin=\"ticking\"", "hook=\"timer\""])
}

fn failures(gateway: &Gateway, kind: &str) -> f64 {
    metric(gateway, "plugway_hook_failures_total", &["plugin=\"ticking\"", "hook=\"timer\"", &format!("kind=\"{kind}\"")])
}

#[test]
fn what_a_tick_learns_reaches_requests_on_every_worker() {
    let upstream = Upstream::plain("up").unwrap();
    let began = Instant::now();
    let gateway = start(&text(&upstream, "period_ms = 200", ""));
    until("a few ticks", || ask(&gateway, "ticks") >= 4);
    // No request comes, and ticks do.
    let before = calls(&gateway);
    until("ticks without requests", || calls(&gateway) >= before + 2.0);
    // Never more than the period allows, the first one besides.
    let ticks = ask(&gateway, "ticks");
    let most = began.elapsed().as_millis() as u64 / 200 + 1;
    assert!(ticks <= most, "{ticks} ticks, at most {most}");
    // Instances that serve requests are not ticked.
    (0..10).for_each(|_| assert_eq!(ask(&gateway, "own"), 0));
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
}

#[test]
fn a_plugin_with_a_timer_alone_is_ticked_where_a_route_names_it() {
    let upstream = Upstream::plain("up").unwrap();
    let text = config(&upstream, &[&plugin("clock", clockwork(), "", ""), &route("public = true\nplugins = [\"clock\"]")]);
    let (output, said) = check(&text);
    assert!(output.status.success() && said.contains("timer             clock"), "{said}");
    let gateway = start(&text);
    until("ticks", || metric(&gateway, "plugway_plugin_clockwork_ticks_total", &["plugin=\"clock\""]) >= 3.0);
    assert_eq!(get(gateway.address("web").unwrap(), "/", &[]).status, 200);
    assert_eq!(status(&gateway)["plugins"][0]["hooks"], serde_json::json!(["lifecycle", "timer"]));
    // One on the control side, and none on a worker.
    assert_eq!(metric(&gateway, "plugway_instances", &["plugin=\"clock\""]), 1.0);
}

#[test]
fn a_configuration_without_a_period_is_not_ticked_and_each_other_one_is() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("ticking", ticking(), "", "grants = { kv = {} }");
    let place = |name: &str, config: &str| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\nupstream = \"up\"\npublic = true\n\
             plugins = [{{ plugin = \"ticking\", config = {{ {config} }} }}]\n"
        )
    };
    let began = Instant::now();
    let places = [place("a", "period_ms = 100"), place("b", "period_ms = 100, each = \"count\""), place("c", "")];
    let gateway = start(&config(&upstream, &[&part, &places.concat()]));
    let ticks = || {
        let response = get(gateway.address("web").unwrap(), "/c", &[("x-do", "ticks")]);
        response.text().parse::<u64>().unwrap()
    };
    until("ticks of both", || ticks() >= 6);
    let (ticks, passed) = (ticks(), began.elapsed());
    let most = 2 * (passed.as_millis() as u64 / 100 + 1);
    assert!(ticks <= most, "{ticks} ticks in {passed:?}, at most {most}");
}

#[test]
fn a_period_out_of_bounds_is_refused() {
    let upstream = Upstream::plain("up").unwrap();
    for period in ["99", "0", "2592000001"] {
        let said = refused(&text(&upstream, &format!("period_ms = {period}"), ""));
        let wanted = format!("it asks to be ticked every {period} ms, and a period has 100 ms to 2592000000 ms (30 days)");
        assert!(said.contains(&wanted) && said.contains("plugin `ticking`"), "{said}");
    }
    let (output, said) = check(&text(&upstream, "period_ms = 2592000000", ""));
    assert!(output.status.success(), "{said}");
}

#[test]
fn an_error_is_counted_and_the_next_tick_comes_in_its_time() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&text(&upstream, "period_ms = 100, each = \"fail\"", ""));
    until("failures in good order", || failures(&gateway, "refused") >= 12.0);
    assert_eq!(failures(&gateway, "breaker"), 0.0);
    until_logged(&gateway, "failed as told");
}

#[test]
fn what_keeps_trapping_is_left_alone_and_requests_are_not() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&text(&upstream, "period_ms = 100, each = \"trap\"", ""));
    until("the breaker to open", || metric(&gateway, "plugway_breakers_opened_total", &["hook=\"timer\""]) >= 1.0);
    until("a tick that is not made", || failures(&gateway, "breaker") >= 1.0);
    // Five faults open it, and after each pause there is one try.
    let opened = metric(&gateway, "plugway_breakers_opened_total", &["hook=\"timer\""]);
    let trapped = failures(&gateway, "trap");
    assert!((5.0..=5.0 + opened).contains(&trapped), "{trapped} traps, opened {opened} times");
    (0..10).for_each(|_| assert_eq!(ask(&gateway, "own"), 0));
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"request-filter\""]), 0.0);
}

#[test]
fn a_tick_that_does_not_end_is_ended_and_the_gateway_goes_on() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&text(&upstream, "period_ms = 100, each = \"loop\"", "budget = { setup_cpu = \"100ms\" }"));
    until("a tick to be ended", || failures(&gateway, "cpu") >= 2.0);
    assert!(metric(&gateway, "plugway_budget_hits_total", &["plugin=\"ticking\"", "budget=\"setup_cpu\""]) >= 2.0);
    // The admin listener is served by the same thread, which timers have half of at most.
    let asked = Instant::now();
    assert_eq!(status(&gateway)["draining"], false);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(ask(&gateway, "own"), 0);
}

/// A server, and a gateway whose timer asks it every 100 ms.
fn asking(server: &Upstream, upstream: &Upstream, path: &str, more: &str) -> Gateway {
    let grants = format!(
        "{more}\n[plugins.ticking.grants]\nkv = {{}}\nhttp-client = {{ hosts = [{:?}], addresses = [\"127.0.0.0/8\"] }}",
        server.url()
    );
    let guest_config = format!("period_ms = 100, each = \"ask\", url = \"{}{path}\"", server.url());
    let part = plugin("ticking", ticking(), &guest_config, &grants);
    start(&two_workers(&config(upstream, &[&part, &route("public = true\nplugins = [\"ticking\"]")])))
}

#[test]
fn a_tick_may_wait_for_a_server_and_the_next_one_waits_for_it() {
    let (server, upstream) = (Upstream::plain("server").unwrap(), Upstream::plain("up").unwrap());
    let gateway = asking(&server, &upstream, "/slow/350", "");
    // On a slow machine some may have come before anybody looked.
    let (began, before) = (Instant::now(), ask(&gateway, "done"));
    until("ticks that were answered", || ask(&gateway, "done") >= before + 4);
    // Four answers of 350 ms one after the other; side by side they would have come in 700 ms.
    assert!(began.elapsed() >= Duration::from_millis(3 * 350), "{:?}", began.elapsed());
    assert_eq!(ask(&gateway, "together"), 0);
    assert!(server.requests() <= ask(&gateway, "done") + 1);
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
    // What waits holds up neither the admin listener nor requests.
    let asked = Instant::now();
    assert_eq!(ask(&gateway, "own"), 0);
    assert_eq!(status(&gateway)["draining"], false);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn a_tick_past_its_deadline_is_ended_and_counted() {
    let (server, upstream) = (Upstream::plain("server").unwrap(), Upstream::plain("up").unwrap());
    let gateway = asking(&server, &upstream, "/slow/60000", "budget = { deadline = \"300ms\" }");
    until("ticks to be ended", || failures(&gateway, "deadline") >= 2.0);
    assert!(metric(&gateway, "plugway_budget_hits_total", &["plugin=\"ticking\"", "budget=\"deadline\""]) >= 2.0);
    assert_eq!(ask(&gateway, "done"), 0);
    assert_eq!(failures(&gateway, "cpu") + failures(&gateway, "trap"), 0.0);
    assert_eq!(ask(&gateway, "own"), 0);
    until("a breaker that opens", || metric(&gateway, "plugway_breakers_opened_total", &["hook=\"timer\""]) >= 1.0);
}
