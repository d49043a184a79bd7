//! What a minute costs where many routes share an upstream of many endpoints: it is the store's thread that waits.

#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use plugway_analysis::{Analyst, Errors, LogHistogram, Minute, MinuteData, RouteFacts, Topology, Traffic};

/// CPU time of this thread.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells what a thread ran");
    Duration::from_nanos(stat.split(' ').next().and_then(|ran| ran.parse().ok()).expect("nanoseconds come first"))
}

/// Pages that are in memory, in MB.
fn memory() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/statm").expect("Linux tells what a process has");
    stat.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("resident pages come second") * 4096.0 / 1e6
}

/// Every route at each of its endpoints, in every minute.
struct World {
    rng: fastrand::Rng,
    routes: Vec<Arc<str>>,
    endpoints: Vec<Arc<str>>,
}

impl World {
    fn new(routes: usize, endpoints: usize) -> Self {
        let names = |what: &str, count: usize| (0..count).map(|number| Arc::from(format!("{what}-{number:05}"))).collect();
        Self { rng: fastrand::Rng::with_seed(7), routes: names("route", routes), endpoints: names("endpoint", endpoints) }
    }

    fn topology(&self, upstreams: Upstreams) -> Topology {
        let upstream = |route: &Arc<str>| match upstreams {
            Upstreams::Shared => "shared".into(),
            Upstreams::Apart => Arc::clone(route),
        };
        let facts = |route| RouteFacts { upstream: Some(upstream(route)), ..RouteFacts::default() };
        Topology { routes: self.routes.iter().map(|route| (Arc::clone(route), facts(route))).collect() }
    }

    fn minute(&mut self, at: u64) -> MinuteData<LogHistogram> {
        let mut data = MinuteData::at(Minute(at));
        for (number, route) in self.routes.iter().enumerate() {
            let mut sum = Traffic::default();
            for endpoint in &self.endpoints {
                let mut latency = LogHistogram::default();
                let median = 0.001 * (1 + number % 50) as f64;
                (0..20).for_each(|_| latency.record(median * (0.3 + 2.0 * self.rng.f64().powi(3)), 1));
                let errors = Errors { upstream: u64::from(self.rng.f64() < 0.05), ..Errors::default() };
                let traffic = Traffic { requests: 20, errors, latency };
                sum.merge(&traffic);
                data.endpoints.push((Arc::clone(route), Arc::clone(endpoint), traffic));
            }
            data.routes.push((Arc::clone(route), sum));
        }
        data
    }
}

/// Whether all routes have one upstream, or each its own.
#[derive(Debug, Clone, Copy)]
enum Upstreams {
    Shared,
    Apart,
}

/// CPU time of a minute, on average, and MB that analysis has after those minutes.
fn cost(routes: usize, endpoints: usize, upstreams: Upstreams, minutes: u64) -> (Duration, f64) {
    let mut world = World::new(routes, endpoints);
    let mut analyst = Analyst::new(world.topology(upstreams));
    let before = memory();
    let mut spent = Duration::ZERO;
    for at in 0..minutes {
        let data = world.minute(at);
        let began = cpu();
        assert_eq!(analyst.minute(&data), [], "nothing is wrong");
        spent += cpu() - began;
    }
    let (each, more) = (spent / u32::try_from(minutes).expect("few"), memory() - before);
    println!("{routes} routes x {endpoints} endpoints, {upstreams:?}: {each:.1?} of CPU a minute, {more:.0} MB");
    (each, more)
}

/// In one test, the largest last: memory is the whole process's.
#[test]
fn a_minute_of_many_routes_at_10_endpoints_takes_a_small_part_of_it() {
    for upstreams in [Upstreams::Shared, Upstreams::Apart] {
        let (each, memory) = cost(200, 10, upstreams, 130);
        assert!(each < Duration::from_millis(250) && memory < 100.0, "{each:?} {memory}");
    }
    // Beyond 20,000 pairs routes are not told apart, and there is no more to keep.
    let (each, memory) = cost(10_000, 10, Upstreams::Shared, 16);
    assert!(each < Duration::from_secs(2) && memory < 500.0, "{each:?} {memory}");
}

/// Latencies here are not as any test has them, and few: what 2,000 endpoints do in five hours by chance is no incident.
#[test]
fn two_thousand_endpoints_with_odd_latencies_are_silent_for_five_hours() {
    cost(200, 10, Upstreams::Apart, 300);
}
