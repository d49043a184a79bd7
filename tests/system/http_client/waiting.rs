//! Calls that wait: how many may, for how long, and what they do to the others.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{LOOPBACK, World};
use crate::common::{assert_problem, metric, status, two_workers, until};
use crate::guest::get;

#[test]
fn calls_that_wait_leave_instances_to_those_that_need_not() {
    let world = World::with(two_workers, LOOPBACK, "budget = { instances = 4, deadline = \"20s\" }");
    let fresh = world.url("/fresh/600");
    assert!(world.ask(&format!("GET {fresh}")).starts_with("200 Server "));
    // Until three of four wait on each worker, whichever a connection meets.
    let (mut waiting, mut number) = (Vec::new(), 0);
    while waiting.len() < 6 {
        number += 1;
        let mut one = world.send(&format!("GET {} timeout=8000 x-number={number}", world.url("/slow/6000")));
        one.patience(Duration::from_millis(300)).unwrap();
        match one.response() {
            Ok(refused) => assert_eq!(refused.text(), "TooManyCalls"),
            Err(_) => waiting.push(one),
        }
    }
    for _ in 0..8 {
        assert_eq!(world.ask(&format!("GET {}", world.url("/other"))), "TooManyCalls");
        assert!(world.ask(&format!("GET {fresh}")).starts_with("200 Cache "));
        assert_eq!(world.ask("spin 1"), "spun");
    }
    assert!(world.hits("instances") > 0.0);
}

#[test]
fn who_waits_keeps_nobody_waiting() {
    let world = World::new(LOOPBACK, "budget = { instances = 300, deadline = \"20s\" }");
    let told = |number: usize| format!("GET {} timeout=3000 x-number={number}", world.url("/slow/2000"));
    let waiting: Vec<_> = (0..200).map(|number| world.send(&told(number))).collect();
    until("they are on their way", || metric(&world.gateway, "plugway_http_client_in_flight", &[]) >= 100.0);
    let mut longest = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        assert_eq!(get(world.gateway.address("web").unwrap(), "/free", &[]).status, 200);
        longest = longest.max(began.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "a route without plugins waited for {longest:?}");
    for mut raw in waiting {
        assert!(raw.response().unwrap().text().starts_with("200 Server "));
    }
    assert_eq!(world.hits("instances"), 0.0);
}

#[test]
fn a_call_has_a_deadline_and_its_request_is_as_it_was() {
    let world = World::new(LOOPBACK, "on_failure = \"skip\"\nbudget = { deadline = \"300ms\" }");
    assert!(world.ask(&format!("GET {}", world.url("/slow/50"))).starts_with("200 "));
    assert_eq!(world.hits("deadline"), 0.0);
    // The upstream's report: the request went on without what the plugin had changed.
    let response = get(world.gateway.address("web").unwrap(), "/seen", &[("x-ask", &format!("GET {}", world.url("/hang")))]);
    assert_eq!(crate::guest::seen(&response, "x-changed"), None);
    assert_eq!(world.hits("deadline"), 1.0);
    assert_eq!(metric(&world.gateway, "plugway_hook_failures_total", &["kind=\"deadline\""]), 1.0);
    assert!(world.ask(&format!("GET {}", world.url("/after"))).starts_with("200 "));
}

#[test]
fn a_missed_deadline_is_a_503() {
    let world = World::new(LOOPBACK, "budget = { deadline = \"200ms\" }");
    let response = get(world.gateway.address("web").unwrap(), "/", &[("x-ask", &format!("GET {}", world.url("/hang")))]);
    assert_problem(&response, 503, "plugin-deadline-exceeded");
    until("the instance has ended", || metric(&world.gateway, "plugway_instances", &["plugin=\"asking\""]) == 0.0);
}

#[test]
fn who_finds_no_instance_queues_up_for_as_long_as_the_deadline() {
    let world = World::new(LOOPBACK, "budget = { instances = 1, deadline = \"1s\" }");
    let slow = |number: usize, time: u64| format!("GET {} timeout=2500 x-number={number}", world.url(&format!("/slow/{time}")));
    let both: Vec<_> = (0..2).map(|number| world.send(&slow(number, 200))).collect();
    for mut raw in both {
        assert!(raw.response().unwrap().text().starts_with("200 Server "));
    }
    assert_eq!(world.hits("instances"), 1.0);
    assert_eq!(metric(&world.gateway, "plugway_instances_started_total", &["plugin=\"asking\""]), 1.0);
    let first = world.send(&slow(2, 2_000));
    until("it is on its way", || metric(&world.gateway, "plugway_http_client_in_flight", &[]) == 1.0);
    let second = world.send(&slow(3, 0)).response().unwrap();
    // The first missed its deadline before the second's came, or the second had its turn: either way nothing hangs.
    assert!(matches!(second.status, 200 | 503), "{}", second.text());
    drop(first);
    assert!(world.ask(&format!("GET {}", world.url("/after"))).starts_with("200 "));
}

#[test]
fn where_all_plugins_together_have_as_many_instances_as_may_be_calls_queue_up() {
    let limit = |config: &str| format!("{config}\n[limits]\nmax_plugin_instances = 16\n");
    let world = World::with(limit, LOOPBACK, "budget = { deadline = \"20s\" }");
    let waiting: Vec<_> =
        (0..24).map(|number| world.send(&format!("GET {} timeout=3000 x-number={number}", world.url("/slow/300")))).collect();
    for mut raw in waiting {
        let answer = raw.response().unwrap();
        assert!(answer.text().starts_with("200 Server "), "{}", answer.text());
    }
    assert!(world.hits("instances") >= 1.0);
    assert!(metric(&world.gateway, "plugway_instances", &["plugin=\"asking\""]) <= 16.0);
    assert_eq!(metric(&world.gateway, "plugway_breakers_opened_total", &[]), 0.0);
}

#[test]
fn a_full_house_is_a_503_with_retry_after() {
    let world = World::new(LOOPBACK, "budget = { instances = 1, deadline = \"500ms\" }");
    // The one instance is taken again and again by whoever is first.
    let mut answers: Vec<_> =
        (0..6).map(|number| world.send(&format!("GET {} timeout=3000 x-number={number}", world.url("/slow/300")))).collect();
    let statuses: Vec<_> = answers.iter_mut().map(|raw| raw.response().unwrap()).collect();
    assert!(statuses.iter().any(|response| response.status == 200));
    let refused: Vec<_> =
        statuses.iter().filter(|response| response.status == 503 && response.text().contains("plugin-unavailable")).collect();
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|response| response.header("retry-after").is_some()));
    assert!(metric(&world.gateway, "plugway_hook_failures_total", &["kind=\"no-instance\""]) >= 1.0);
}

#[test]
fn a_client_that_leaves_does_not_end_its_call() {
    let world = World::new(LOOPBACK, "");
    let waiting = world.send(&format!("GET {} timeout=3000", world.url("/slow/300")));
    until("it is on its way", || metric(&world.gateway, "plugway_http_client_in_flight", &[]) == 1.0);
    drop(waiting);
    until("it is counted", || metric(&world.gateway, "plugway_hook_calls_outlived_total", &["plugin=\"asking\""]) == 1.0);
    assert_eq!(metric(&world.gateway, "plugway_hook_failures_total", &[]), 0.0);
    assert_eq!(metric(&world.gateway, "plugway_instances", &["plugin=\"asking\""]), 1.0);
    assert!(world.ask(&format!("GET {}", world.url("/after"))).starts_with("200 "));
}

#[test]
fn who_needs_more_than_a_tick_steps_back_for_its_neighbours() {
    /// The longest that the worker may have been at work while something was due. What is due every 100 ms would have been 900 ms late by a
    /// call that does not step back.
    const LONGEST: Duration = Duration::from_millis(100);
    let world = World::new(LOOPBACK, "budget = { cpu = \"1s\", failed_cpu = \"5s\", deadline = \"100s\" }");
    assert_eq!(world.ask("spin 30"), "spun");
    // As the gateway itself measured it, and in CPU time, which nobody else takes: how often in all, and how often for at most 10 ms.
    let measured = || {
        let busy = |name: &str, label: &str| metric(&world.gateway, &format!("plugway_worker_event_loop_busy_seconds_{name}"), &[label]);
        (busy("count", ""), busy("bucket", "le=\"0.01\""))
    };
    let before = measured();
    let mut spinning = world.send("spin 100000");
    spinning.patience(Duration::from_secs(100)).unwrap();
    let neighbours = std::thread::scope(|scope| {
        let ended = scope.spawn(|| spinning.response().unwrap());
        let mut neighbours = 0;
        // Ended by its budget; its neighbours are served meanwhile.
        while !ended.is_finished() {
            assert_eq!(get(world.gateway.address("web").unwrap(), "/free", &[]).status, 200);
            neighbours += 1;
        }
        assert_problem(&ended.join().unwrap(), 503, "plugin-cpu-exceeded");
        neighbours
    });
    let after = measured();
    assert!(neighbours > 5, "only {neighbours} in the time of one call");
    let stall = status(&world.gateway)["workers"][0]["longest_stall"].clone();
    assert!(Duration::from_micros(stall["busy_us"].as_u64().unwrap()) < LONGEST, "{stall}");
    // A tick is 4 ms, and the worker's own work comes between: most of what is due waits for one and not for several.
    let (all, short) = (after.0 - before.0, after.1 - before.1);
    assert!(all >= 5.0 && short * 2.0 > all, "{short} of {all} times it was at most 10 ms");

    let looping = get(world.gateway.address("web").unwrap(), "/", &[("x-ask", "loop")]);
    assert_problem(&looping, 503, "plugin-cpu-exceeded");
    assert_eq!(world.hits("cpu"), 2.0);
    assert_eq!(world.ask("spin 1"), "spun");
}

#[test]
fn time_that_is_waited_is_no_cpu_time() {
    let world = World::new(LOOPBACK, "budget = { cpu = \"20ms\" }");
    assert!(world.ask(&format!("twice {}", world.url("/slow/200"))).starts_with("200 Server "));
    assert_eq!(world.hits("cpu"), 0.0);
}

#[test]
fn a_drain_waits_for_calls_that_wait() {
    let world = World::new(LOOPBACK, "");
    let mut waiting = world.send(&format!("GET {} timeout=3000", world.url("/slow/500")));
    until("it is on its way", || metric(&world.gateway, "plugway_http_client_in_flight", &[]) == 1.0);
    world.gateway.signal(Signal::TERM).unwrap();
    assert!(waiting.response().unwrap().text().starts_with("200 Server "));
}
