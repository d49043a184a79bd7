//! Calls that wait: how many may, for how long, and what they do to the others.

use std::time::Duration;

use plugway_harness::raw::Raw;
use rustix::process::Signal;

use super::{LOOPBACK, PATIENT, World};
use crate::common::{assert_problem, assert_seldom_stalled, metric, status, two_workers, until};
use crate::guest::{get, send};
use crate::thread_time::{Stopwatch, Thread};

#[test]
fn calls_that_wait_leave_instances_to_those_that_need_not() {
    let world = World::with(two_workers, PATIENT, "budget = { instances = 4, deadline = \"60s\" }");
    let fresh = world.url("/fresh/600");
    assert!(world.ask(&format!("GET {fresh}")).starts_with("200 Server "));
    // Until three of four wait on each worker, whichever a connection meets.
    let (mut waiting, mut number) = (Vec::new(), 0);
    while waiting.len() < 6 {
        number += 1;
        let mut one = world.send(&format!("GET {} timeout=60000 x-number={number}", world.url("/held")));
        one.patience(Duration::from_millis(50)).unwrap();
        loop {
            if let Ok(refused) = one.response() {
                assert_eq!(refused.text(), "TooManyCalls");
                break;
            }
            if world.in_flight() > waiting.len() as f64 {
                waiting.push(one);
                break;
            }
        }
    }
    for _ in 0..8 {
        assert_eq!(world.ask(&format!("GET {}", world.url("/other"))), "TooManyCalls");
        assert!(world.ask(&format!("GET {fresh}")).starts_with("200 Cache "));
        assert_eq!(world.ask("spin 1"), "spun");
    }
    assert!(world.hits("instances") > 0.0);
    assert_eq!(world.in_flight(), 6.0);
}

#[test]
fn who_waits_keeps_nobody_waiting() {
    let world = World::new(PATIENT, "budget = { instances = 300, deadline = \"60s\" }");
    let told = |number: usize| format!("GET {} timeout=60000 x-number={number}", world.url("/held"));
    let waiting: Vec<_> = (0..200).map(|number| world.send(&told(number))).collect();
    until("they are on their way", || world.in_flight() == 200.0);
    for _ in 0..50 {
        assert_eq!(get(world.gateway.address("web").unwrap(), "/free", &[]).status, 200);
    }
    assert_eq!(world.in_flight(), 200.0, "who was served had not waited for any of them");
    world.server.release();
    for mut raw in waiting {
        assert!(raw.response().unwrap().text().starts_with("200 Server "));
    }
    assert_eq!(world.hits("instances"), 0.0);
}

#[test]
fn a_burst_of_calls_that_wait_keeps_nobody_waiting_for_their_instances() {
    const CALLS: usize = 100;
    // What the worker had worked when somebody was answered who came with the last of them, of what it worked until all were on their way.
    let share = || {
        let world = World::new(PATIENT, "isolation = \"request\"\nbudget = { instances = 300, deadline = \"60s\" }");
        let worker = Thread::named(world.gateway.pid(), "plugway-0");
        let address = world.gateway.address("web").unwrap();
        let connected = || {
            let mut raw = Raw::connect(address).unwrap();
            assert_eq!(send(&mut raw, "/free", &[]).status, 200);
            raw
        };
        let (mut calls, mut other) = (Vec::from_iter((0..CALLS).map(|_| connected())), connected());
        let before = worker.settled().ran;
        world.gateway.signal(Signal::STOP).unwrap();
        for (number, raw) in calls.iter_mut().enumerate() {
            let told = format!("GET {} timeout=60000 x-number={number}", world.url("/held"));
            raw.send(format!("GET / HTTP/1.1\r\nhost: example.com\r\nx-ask: {told}\r\n\r\n").as_bytes()).unwrap();
        }
        // Refused as soon as it is read.
        other.send(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").unwrap();
        world.gateway.signal(Signal::CONT).unwrap();
        assert_eq!(other.response().unwrap().status, 400);
        let served = worker.read().ran - before;
        until("all are on their way", || world.in_flight() == CALLS as f64);
        let all = worker.settled().ran - before;
        world.server.release();
        for raw in &mut calls {
            assert!(raw.response().unwrap().text().starts_with("200 Server "));
        }
        assert_eq!(world.hits("instances"), 0.0);
        println!("{served:?} of {all:?}");
        served.as_secs_f64() / all.as_secs_f64()
    };
    // Who looks may itself be late to look.
    assert!((0..5).any(|_| share() < 0.5), "it waits until instances for all of them are made");
}

#[test]
fn a_call_has_a_deadline_and_its_request_is_as_it_was() {
    let world = World::new(LOOPBACK, "on_failure = \"skip\"\nbudget = { deadline = \"2s\" }");
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
    let world = World::new(PATIENT, "budget = { instances = 1, deadline = \"3s\" }");
    let told = |number: usize, path: &str| format!("GET {} timeout=5000 x-number={number}", world.url(path));
    let both: Vec<_> = (0..2).map(|number| world.send(&told(number, "/held"))).collect();
    until("one of them queues", || world.hits("instances") == 1.0);
    world.server.release();
    for mut raw in both {
        assert!(raw.response().unwrap().text().starts_with("200 Server "));
    }
    assert_eq!(world.hits("instances"), 1.0);
    assert_eq!(metric(&world.gateway, "plugway_instances_started_total", &["plugin=\"asking\""]), 1.0);
    let first = world.send(&told(2, "/slow/4000"));
    until("it is with the server", || world.server.requests() == 3);
    let second = world.send(&told(3, "/slow/0")).response().unwrap();
    // The first missed its deadline before the second's came, or the second had its turn: either way nothing hangs.
    assert!(matches!(second.status, 200 | 503), "{}", second.text());
    drop(first);
    assert!(world.ask(&format!("GET {}", world.url("/after"))).starts_with("200 "));
}

#[test]
fn those_that_queue_are_not_called_once_others_have_opened_the_breaker() {
    const QUEUED: usize = 40;
    let world = World::new(PATIENT, "budget = { instances = 1, deadline = \"60s\" }");
    let mut held = world.send(&format!("GET {} timeout=60000", world.url("/held")));
    until("it is on its way", || world.in_flight() == 1.0);
    let queued: Vec<_> = (0..QUEUED).map(|_| world.send("trap")).collect();
    until("all of them queue", || world.hits("instances") == QUEUED as f64);
    world.server.release();
    assert_eq!(held.response().unwrap().status, 200);
    for mut raw in queued {
        assert!(raw.response().unwrap().status >= 500);
    }
    let failed = |kind: &str| metric(&world.gateway, "plugway_hook_failures_total", &[&format!("kind=\"{kind}\"")]);
    let (trapped, all) = (failed("trap"), metric(&world.gateway, "plugway_hook_failures_total", &[]));
    // Five in a row open it, each on an instance of its own.
    assert!((5.0..=6.0).contains(&trapped) && all == QUEUED as f64, "{trapped} of {all}");
}

#[test]
fn where_all_plugins_together_have_as_many_instances_as_may_be_calls_queue_up() {
    let limit = |config: &str| format!("{config}\n[limits]\nmax_plugin_instances = 16\n");
    let world = World::with(limit, PATIENT, "budget = { deadline = \"60s\" }");
    let instances = || metric(&world.gateway, "plugway_instances", &["plugin=\"asking\""]);
    let told = |number: usize| format!("GET {} timeout=60000 x-number={number}", world.url("/held"));
    let waiting: Vec<_> = (0..24).map(|number| world.send(&told(number))).collect();
    let there = || metric(&world.gateway, "plugway_requests_in_flight", &["route=\"all\""]);
    until("all of them are there, and some queue", || there() == 24.0 && world.hits("instances") >= 1.0);
    assert!(instances() <= 16.0);
    world.server.release();
    for mut raw in waiting {
        let answer = raw.response().unwrap();
        assert!(answer.text().starts_with("200 Server "), "{}", answer.text());
    }
    assert!(instances() <= 16.0);
    assert_eq!(metric(&world.gateway, "plugway_breakers_opened_total", &[]), 0.0);
}

#[test]
fn a_full_house_is_a_503_with_retry_after() {
    let world = World::new(LOOPBACK, "budget = { instances = 1, deadline = \"3s\" }");
    // The one instance is taken again and again by whoever is first.
    let mut answers: Vec<_> =
        (0..6).map(|number| world.send(&format!("GET {} timeout=6000 x-number={number}", world.url("/slow/1000")))).collect();
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
    let world = World::new(PATIENT, "budget = { deadline = \"60s\" }");
    let waiting = world.send(&format!("GET {} timeout=60000", world.url("/held")));
    until("it is on its way", || world.in_flight() == 1.0);
    drop(waiting);
    until("it is known to have left", || metric(&world.gateway, "plugway_requests_in_flight", &["route=\"all\""]) == 0.0);
    assert_eq!(world.in_flight(), 1.0);
    world.server.release();
    until("it is counted", || metric(&world.gateway, "plugway_hook_calls_outlived_total", &["plugin=\"asking\""]) == 1.0);
    assert_eq!(metric(&world.gateway, "plugway_hook_failures_total", &[]), 0.0);
    assert_eq!(metric(&world.gateway, "plugway_instances", &["plugin=\"asking\""]), 1.0);
    assert!(world.ask(&format!("GET {}", world.url("/after"))).starts_with("200 "));
}

#[test]
fn who_needs_more_than_a_tick_steps_back_for_its_neighbours() {
    /// The longest that the worker may have been at work while something was due, in seconds, but for one time: a hypervisor's. What is due every
    /// 100 ms would have been 900 ms late by a call that does not step back, and there are two that compute.
    const LONGEST: &str = "0.1";
    /// What most neighbours may wait for the one that computes: it is looked at every 1 to 4 ms (`plugway::plugin::TICK`), and a neighbour
    /// needs the worker twice, for its request and for the upstream's answer. One whose turn comes after 31 ticks, as tokio looks after its
    /// sockets beside tasks that are always ready, would wait for 60 ms and more.
    const WAIT: Duration = Duration::from_millis(16);
    let world = World::new(LOOPBACK, "budget = { cpu = \"1s\", failed_cpu = \"5s\", deadline = \"100s\" }");
    assert_eq!(world.ask("spin 30"), "spun");
    let (worker, upstream, this) = (Thread::named(world.gateway.pid(), "plugway-0"), Thread::of(world.up.task()), Thread::current());
    let threads = [&worker, &upstream, &this];
    let mut raw = Raw::connect(world.gateway.address("web").unwrap()).unwrap();
    let mut neighbour = || {
        let watch = Stopwatch::start(&threads);
        assert_eq!(send(&mut raw, "/free", &[]).status, 200);
        watch.stop()
    };
    let alone = median((0..50).map(|_| neighbour()).collect());
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
        let mut neighbours = Vec::new();
        // Ended by its budget; its neighbours are served meanwhile.
        while !ended.is_finished() {
            neighbours.push(neighbour());
        }
        assert_problem(&ended.join().unwrap(), 503, "plugin-cpu-exceeded");
        neighbours
    });
    let after = measured();
    assert!(neighbours.len() > 5, "only {} in the time of one call", neighbours.len());
    let (count, beside) = (neighbours.len(), median(neighbours));
    assert!(beside <= 2 * alone + WAIT, "half of {count} neighbours took {beside:?} or more, and {alone:?} where nobody computes");
    // A tick is 4 ms, and the worker's own work comes between: most of what is due waits for one and not for several.
    let (all, short) = (after.0 - before.0, after.1 - before.1);
    assert!(all >= 5.0 && short * 2.0 > all, "{short} of {all} times it was at most 10 ms");

    let looping = get(world.gateway.address("web").unwrap(), "/", &[("x-ask", "loop")]);
    assert_problem(&looping, 503, "plugin-cpu-exceeded");
    assert_eq!(world.hits("cpu"), 2.0);
    assert_eq!(world.ask("spin 1"), "spun");
    assert_seldom_stalled(&world.gateway, LONGEST, 1.0);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn time_that_is_waited_is_no_cpu_time() {
    let world = World::new(LOOPBACK, "budget = { cpu = \"20ms\" }");
    assert!(world.ask(&format!("twice {}", world.url("/slow/200"))).starts_with("200 Server "));
    assert_eq!(world.hits("cpu"), 0.0);
}

#[test]
fn a_drain_waits_for_calls_that_wait() {
    let world = World::new(PATIENT, "budget = { deadline = \"60s\" }");
    let mut waiting = world.send(&format!("GET {} timeout=60000", world.url("/held")));
    until("it is on its way", || world.in_flight() == 1.0);
    world.gateway.signal(Signal::TERM).unwrap();
    until("it drains", || status(&world.gateway)["draining"] == true);
    world.server.release();
    assert!(waiting.response().unwrap().text().starts_with("200 Server "));
}
