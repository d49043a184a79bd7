//! A gateway that is killed loses what it counted within one second, whenever that is, and the report shows it as a gap.

use std::time::{Duration, Instant, SystemTime};

use plugway_harness::gateway::Gateway;
use rustix::process::Signal;

use super::{Counts, Scene, ask, json_report, report, sum};

const PATIENCE: Duration = Duration::from_secs(20);
/// What `docs/monitoring.md` says a kill may lose.
const FLUSH: Duration = Duration::from_secs(1);
/// How long requests are asked for with one status, and then with the next one.
const SLICE: Duration = Duration::from_millis(40);
/// Slices before a kill: four seconds, in which what was counted is written eight times.
const SLICES: i64 = 100;
/// Of a hundred looks at the store, so many may find it later than it should be: a machine has neighbours.
const LATE: usize = 10;
/// A machine that was too busy may try again.
const ROUNDS: usize = 3;

/// Requests that were answered at one time. They have a status of their own, by which the store says which of them it has.
struct Slice {
    status: i64,
    requests: i64,
    /// When the last of them was answered, by both clocks.
    ended: (Instant, SystemTime),
}

impl Slice {
    fn ask(gateway: &Gateway, status: i64) -> Self {
        let (began, mut requests) = (Instant::now(), 0);
        while requests == 0 || began.elapsed() < SLICE {
            ask(gateway, &mut Counts::new(), ("status", &format!("/status/{status}"), status), 1);
            requests += 1;
        }
        Self { status, requests, ended: (Instant::now(), SystemTime::now()) }
    }

    fn is_in(&self, stored: &Counts) -> bool {
        let has = stored.get(&("status".to_owned(), self.status)).copied().unwrap_or_default();
        assert!(has <= self.requests, "the store has {has} of {} requests", self.requests);
        has == self.requests
    }
}

/// How much time of its counting a kill would cost at that moment. What is in the store must have been there before.
fn would_lose(slices: &[Slice], stored: &Counts, at: Instant) -> Duration {
    let missing = slices.iter().find(|slice| !slice.is_in(stored));
    missing.map_or(Duration::ZERO, |slice| at.saturating_duration_since(slice.ended.0))
}

/// Asks for one slice after another, looks at the store after each, and kills the gateway. What came of it: the looks, and whether the
/// gateway was as quick as it has to be.
fn killed(scene: &Scene) -> (Vec<Duration>, bool) {
    let (mut gateway, mut counts) = (scene.start(), Counts::new());
    ask(&gateway, &mut counts, ("orders", "/orders/17", 200), 5);
    scene.written(sum(&counts));
    let (mut slices, mut looks, mut seen) = (Vec::new(), Vec::new(), Counts::new());
    for status in 450..450 + SLICES {
        slices.push(Slice::ask(&gateway, status));
        let at = Instant::now();
        seen = scene.stored("minute");
        looks.push(would_lose(&slices, &seen, at));
    }
    let killed_at = (Instant::now(), SystemTime::now());
    gateway.signal(Signal::KILL).unwrap();
    gateway.wait(PATIENCE).unwrap();
    // The moment of the kill is one to look from, too: between it and the last look the machine may have had other things to do.
    looks.push(would_lose(&slices, &seen, killed_at.0));

    // What was there before it is there still, whole, and in every tier.
    assert_eq!(scene.connection().query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    let stored = scene.stored("day");
    assert!(seen.iter().all(|(key, count)| stored[key] >= *count), "{seen:?} was there; now {stored:?}");
    let worst = looks.iter().copied().max().unwrap_or_default().max(FLUSH);
    let lost = would_lose(&slices, &stored, killed_at.0);

    // The gap is from before the first request that was lost until the next start, and no longer than it has to be.
    let seconds = |moment: SystemTime| i64::try_from(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let run = "SELECT count(*) FROM runs WHERE ended IS NULL AND id = (SELECT max(id) FROM runs)";
    assert_eq!(scene.number(run), 1, "the store knows that it did not end in good order");
    let gateway = scene.start();
    let mut counts = Counts::new();
    ask(&gateway, &mut counts, ("orders", "/orders/17", 200), 5);
    gateway.stop().unwrap();
    assert_eq!(sum(&scene.stored("day")), sum(&stored) + 5, "what was there is there, what came is added");
    let told = json_report(&scene.file(), &[]);
    let gap = told["gaps"].as_array().unwrap().iter().rfind(|gap| gap["kind"] == "killed").expect("a gap");
    let (since, until) = (gap["since"].as_i64().unwrap(), gap["until"].as_i64().unwrap());
    let first_lost = slices.iter().find(|slice| !slice.is_in(&stored)).map_or(killed_at.1, |slice| slice.ended.1);
    let slack = i64::try_from(worst.as_secs()).unwrap() + 2;
    assert!(since <= seconds(first_lost) && since >= seconds(killed_at.1) - slack, "{gap}, killed at {}", seconds(killed_at.1));
    assert!(until >= seconds(killed_at.1) && until <= seconds(SystemTime::now()), "{gap}");
    let page = report(&scene.file(), &[]);
    assert!(page.contains("the gateway ended without warning") && page.contains("class=\"band gap\""));
    for format in ["csv", "md"] {
        assert!(report(&scene.file(), &["--format", format]).contains("the gateway ended without warning"), "{format}");
    }
    let late = looks.iter().filter(|look| **look > FLUSH).count();
    (looks, late <= LATE && lost <= FLUSH)
}

#[test]
fn a_kill_loses_at_most_one_second_whenever_it_comes_and_leaves_a_gap() {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (looks, good) = killed(&Scene::new());
        if good {
            return;
        }
        rounds.push(looks);
    }
    panic!("in each of {ROUNDS} rounds a kill would often have cost more than {FLUSH:?}: {rounds:#?}");
}
