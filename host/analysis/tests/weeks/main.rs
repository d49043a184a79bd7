//! Analysis over weeks of a simulated gateway: every kind of seeded trouble is found, and quiet weeks are silent.
//!
//! Seeds below [`TUNED`] were used to choose thresholds; those that judge are others.

#![cfg(test)]

mod random;
mod score;
mod seeded;
mod upstream;
mod world;

use plugway_analysis::{Analyst, Change, Incident, Kind, Minute};

use score::Score;
use world::{MONDAY, WEEK, World};

/// Seeds that thresholds were chosen with are below this one.
const TUNED: u64 = 18_000;

/// One world: a week to learn from, then quiet and seeded weeks in turn.
fn judge(mut world: World, seed: u64, pairs: u64) -> Score {
    let mut faults = fastrand::Rng::with_seed(seed ^ 0x5eed);
    for pair in 0..pairs {
        seeded::seed(&mut world, Minute(MONDAY + (2 + 2 * pair) * WEEK), &mut faults);
    }
    let mut analyst = Analyst::new(world.topology());
    let mut incidents: Vec<Incident> = Vec::new();
    for at in MONDAY..MONDAY + (1 + 2 * pairs) * WEEK {
        for change in analyst.minute(&world.minute(Minute(at))) {
            match change {
                Change::Opened(incident) => incidents.push(incident),
                Change::Updated(later) | Change::Closed(later) => {
                    let known = incidents.iter_mut().find(|incident| incident.number == later.number);
                    *known.expect("what changes was opened") = later;
                }
            }
        }
    }
    // Nobody judges what is said while it learns.
    incidents.retain(|incident| incident.found.0 >= MONDAY + WEEK);
    let mut score = Score { weeks: 2 * pairs, quiet_weeks: pairs, ..Score::default() };
    score.judge(seed, &world.faults, &incidents, |at| ((at.0 - MONDAY) / WEEK) % 2 == 1);
    score
}

fn run(make: fn(u64) -> World, seeds: std::ops::Range<u64>, pairs: u64) -> Score {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut total = Score::default();
    std::thread::scope(|scope| {
        let worker = || {
            let mut score = Score::default();
            loop {
                let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if seed >= seeds.end {
                    return score;
                }
                score.add(judge(make(seed), seed, pairs));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().for_each(|worker| total.add(worker.join().expect("a world is judged")));
    });
    println!("{total}");
    total
}

fn told(score: Score) -> Score {
    score.remarks.iter().for_each(|remark| println!("{remark}"));
    score
}

/// A few worlds, in seconds; `cargo xtask conformance analysis` has many.
#[test]
fn seeded_trouble_is_found_and_quiet_weeks_are_silent() {
    for (make, seeds) in [(World::apart as fn(u64) -> World, 3), (World::shared, 2)] {
        let score = told(run(make, TUNED..TUNED + seeds, 1));
        assert_eq!(score.in_quiet_weeks, 0, "{:#?}", score.remarks);
        let found: f64 = Kind::ALL.iter().map(|kind| score.recall(*kind)).sum();
        assert!(found / Kind::ALL.len() as f64 >= 0.85, "{:#?}", score.remarks);
    }
}

fn holds(score: &Score) {
    for kind in Kind::ALL {
        assert!(score.recall(kind) >= 0.9 && score.precision(kind) >= 0.9, "{}", kind.as_str());
    }
    assert_eq!(score.in_quiet_weeks, 0, "quiet weeks are not silent");
    let [named, mistaken, invented] = score.causes.shares();
    assert!(named >= 0.9 && mistaken <= 0.05 && invented <= 0.05, "{}", score.causes);
}

/// What `cargo xtask conformance analysis` runs: 100 quiet and 100 seeded weeks.
#[test]
#[ignore = "minutes of simulation: cargo xtask conformance analysis"]
fn a_hundred_quiet_and_a_hundred_seeded_weeks() {
    holds(&told(run(World::apart, TUNED + 1_000..TUNED + 1_050, 2)));
}

/// The same of upstreams that routes of different speed and error rate share.
#[test]
#[ignore = "minutes of simulation: cargo xtask conformance analysis"]
fn fifty_quiet_and_fifty_seeded_weeks_of_routes_that_share_an_upstream() {
    holds(&told(run(World::shared, TUNED + 2_000..TUNED + 2_025, 2)));
}
