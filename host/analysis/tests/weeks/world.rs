//! A gateway's life, minute by minute: traffic with days and weeks in it, noise that is wider than chance, growth, deploys, nightly jobs,
//! short bursts of errors, and what is seeded. Each route has an upstream of its own, or all of them share one.

use std::sync::Arc;

use fastrand::Rng;
use plugway_analysis::{
    Certificate, Errors, LatencyObjective, LogHistogram, Minute, MinuteData, RouteFacts, Sketch, Slo, Topology, Traffic,
};

use crate::random::{Wander, between, durations, gamma, normal, poisson};
use crate::seeded::{Fault, Harm};
use crate::upstream::{Mix, Upstream};

/// Minutes of a week.
pub(crate) const WEEK: u64 = 7 * 24 * 60;
/// A Monday, so that a week of the simulation is one of the calendar.
pub(crate) const MONDAY: u64 = 2_800 * WEEK + 4 * 24 * 60;
/// Deploys in a week that harm nothing.
const DEPLOYS: f64 = 8.0;
/// Short bursts of errors in a route's week.
const BURSTS: f64 = 3.0;

pub(crate) struct World {
    rng: Rng,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) routes: Vec<Route>,
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) faults: Vec<Fault>,
    /// When the certificate that is shown ends, and those that are renewed in time.
    certificate: Minute,
}

pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    /// Where it goes, and how much of it to each endpoint.
    pub(crate) upstream: usize,
    pub(crate) mix: Mix,
    pub(crate) plugins: Vec<usize>,
    /// Requests a minute, over the week.
    pub(crate) rate: f64,
    day: f64,
    peak: f64,
    weekend: f64,
    growth: f64,
    shape: f64,
    busy: Wander,
    median: f64,
    sigma: f64,
    by_load: f64,
    slow: Wander,
    /// An hour of the day in which it is slower, and by how much.
    job: Option<(u64, f64)>,
    pub(crate) errors: f64,
    client_errors: f64,
    client_wander: Wander,
    burst: (u64, f64),
    pub(crate) slo: Slo,
}

pub(crate) struct Plugin {
    pub(crate) name: Arc<str>,
    version: u64,
    median: f64,
    slow: Wander,
}

pub(crate) struct Consumer {
    pub(crate) name: Arc<str>,
    pub(crate) rate: f64,
    habit: Habit,
    wander: Wander,
}

enum Habit {
    /// As people do.
    People,
    /// Ten minutes of each hour.
    Hourly,
    /// An hour of the night.
    Nightly(u64),
}

impl World {
    /// Four routes with an upstream each, whose endpoints get about the same of it.
    pub(crate) fn apart(seed: u64) -> Self {
        Self::new(seed, 4, (1e-4, 2e-3), |rng, upstreams, name| {
            let (upstream, mix) = Upstream::even(rng, name);
            upstreams.push(upstream);
            (upstreams.len() - 1, mix)
        })
    }

    /// Routes of different speed and error rate in one upstream, of which a plugin sends each endpoint what it will.
    pub(crate) fn shared(seed: u64) -> Self {
        Self::new(seed, 6, (1e-4, 1.4e-2), |rng, upstreams, _| {
            if upstreams.is_empty() {
                upstreams.push(Upstream::with_tenants(rng, "shared".into()));
            }
            (0, Mix::uneven(rng, upstreams[0].endpoints.len()))
        })
    }

    fn new(seed: u64, routes: usize, errors: (f64, f64), place: impl Fn(&mut Rng, &mut Vec<Upstream>, &Arc<str>) -> (usize, Mix)) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plugins = (0..3).map(|number| Plugin::new(&mut rng, number)).collect::<Vec<_>>();
        let mut upstreams = Vec::new();
        let route = |number| {
            let name = format!("route-{number}").into();
            let (upstream, mix) = place(&mut rng, &mut upstreams, &name);
            Route::new(&mut rng, name, plugins.len(), upstream, mix, errors)
        };
        let routes = (0..routes).map(route).collect();
        let consumers = (0..6).map(|number| Consumer::new(&mut rng, number)).collect();
        Self { rng, upstreams, routes, plugins, consumers, faults: Vec::new(), certificate: Minute(MONDAY) }
    }

    pub(crate) fn topology(&self) -> Topology {
        let facts = |route: &Route| RouteFacts {
            upstream: Some(Arc::clone(&self.upstreams[route.upstream].name)),
            plugins: route.plugins.iter().map(|index| Arc::clone(&self.plugins[*index].name)).collect(),
            slo: Some(route.slo.clone()),
        };
        Topology { routes: self.routes.iter().map(|route| (Arc::clone(&route.name), facts(route))).collect() }
    }

    /// What happens in a minute.
    pub(crate) fn minute(&mut self, at: Minute) -> MinuteData<LogHistogram> {
        let Self { rng, upstreams, routes, plugins, consumers, faults, certificate } = self;
        let active: Vec<&Fault> = faults.iter().filter(|fault| fault.start <= at && at < fault.end).collect();
        for (index, plugin) in plugins.iter_mut().enumerate() {
            let swap =
                active.iter().any(|fault| fault.start == at && matches!(fault.harm, Harm::Version { plugin, .. } if plugin == index));
            let back = faults.iter().any(|fault| fault.end == at && matches!(fault.harm, Harm::Version { plugin, .. } if plugin == index));
            if swap || back {
                plugin.version += 1;
            } else if rng.f64() < DEPLOYS / 3.0 / WEEK as f64 {
                plugin.version += 1;
                plugin.median *= (0.03 * normal(rng)).exp();
            }
        }
        let mut data = MinuteData::at(at);
        let mut calls = vec![0_u64; plugins.len()];
        upstreams.iter_mut().for_each(|upstream| upstream.visits(rng, at, routes.len()));
        for (index, route) in routes.iter_mut().enumerate() {
            let sum = route.minute(rng, at, index, &mut upstreams[route.upstream], &active, &mut data);
            route.plugins.iter().for_each(|plugin| calls[*plugin] += sum.requests);
            data.routes.push((Arc::clone(&route.name), sum));
        }
        for (index, plugin) in plugins.iter_mut().enumerate() {
            let (mut times, mut failing) = (1.0, 0.0);
            for fault in &active {
                if let Harm::Version { plugin, own_time, failures, .. } = fault.harm
                    && plugin == index
                {
                    (times, failing) = (own_time, failures);
                }
            }
            let median = plugin.median * plugin.slow.step(rng).exp() * times;
            let latency = durations(rng, calls[index] as f64, median, 0.35);
            let requests = latency.count();
            let errors = Errors { plugin: poisson(rng, requests as f64 * failing).min(requests), ..Errors::default() };
            let version = format!("sha256:{:012}", plugin.version).into();
            data.plugins.push((Arc::clone(&plugin.name), version, Traffic { requests, errors, latency }));
        }
        for (index, consumer) in consumers.iter_mut().enumerate() {
            let jump = active.iter().find_map(|fault| match fault.harm {
                Harm::Jump { consumer, times } if consumer == index => Some(times),
                _ => None,
            });
            let requests = consumer.minute(rng, at, jump.unwrap_or(1.0));
            data.consumers.push((Arc::clone(&consumer.name), requests));
        }
        let ends = active.iter().find_map(|fault| matches!(fault.harm, Harm::Certificate).then_some(fault.start.0 + 21 * 24 * 60));
        // Renewed two months before it ends, unless somebody forgot.
        if certificate.0 < at.0 + 60 * 24 * 60 {
            certificate.0 = at.0 + 200 * 24 * 60;
        }
        data.certificates = vec![Certificate { name: "web".into(), not_before: Minute(0), not_after: ends.map_or(*certificate, Minute) }];
        data
    }
}

impl Route {
    fn new(rng: &mut Rng, name: Arc<str>, plugins: usize, upstream: usize, mix: Mix, errors: (f64, f64)) -> Self {
        let errors = between(rng, errors.0, errors.1);
        let median = between(rng, 0.003, 0.2);
        let sigma = 0.3 + 0.4 * rng.f64();
        // A promise that is kept with some room.
        let targets = [0.9995, 0.999, 0.995, 0.99, 0.95];
        let availability = targets.into_iter().find(|target| errors < 0.3 * (1.0 - target)).unwrap_or(0.95);
        let latency = LatencyObjective { under: median * (3.6 * sigma).exp() * 1.6, share: 0.99 };
        Self {
            name,
            upstream,
            mix,
            plugins: (0..plugins).filter(|_| rng.bool()).collect(),
            rate: between(rng, 30.0, 3_000.0),
            day: 0.3 + 0.5 * rng.f64(),
            peak: 10.0 + 6.0 * rng.f64(),
            weekend: 0.3 + 0.7 * rng.f64(),
            growth: -0.05 + 0.15 * rng.f64(),
            shape: 10.0 + 90.0 * rng.f64(),
            busy: Wander::new(0.05 + 0.1 * rng.f64(), between(rng, 10.0, 120.0)),
            median,
            sigma,
            by_load: 0.4 * rng.f64(),
            slow: Wander::new(0.02 + 0.03 * rng.f64(), between(rng, 5.0, 60.0)),
            job: (rng.f64() < 0.4).then(|| (rng.u64(0..6), 1.3 + 0.7 * rng.f64())),
            errors,
            client_errors: between(rng, 0.005, 0.08),
            client_wander: Wander::new(0.3, 60.0),
            burst: (0, 0.0),
            slo: Slo { availability: Some(availability), latency: Some(latency), days: 30 },
        }
    }

    /// 1 on average: the hour of the day, the day of the week.
    fn season(&self, at: Minute) -> f64 {
        season(at, self.day, self.peak, self.weekend)
    }

    fn minute(
        &mut self,
        rng: &mut Rng,
        at: Minute,
        index: usize,
        upstream: &mut Upstream,
        active: &[&Fault],
        data: &mut MinuteData<LogHistogram>,
    ) -> Traffic<LogHistogram> {
        let season = self.season(at);
        let growth = (1.0 + self.growth).powf((at.0 - MONDAY) as f64 / WEEK as f64);
        let busy = self.busy.step(rng).exp() * gamma(rng, self.shape);
        let expected = self.rate * season * growth * busy;
        let job = self.job.filter(|(hour, _)| at.hour() % 24 == *hour).map_or(1.0, |(_, times)| times);
        let mut median = self.median * (1.0 + self.by_load * season * busy) * job * self.slow.step(rng).exp();
        if rng.f64() < BURSTS / WEEK as f64 {
            self.burst = (1 + rng.u64(0..2), between(rng, 0.005, 0.04));
        }
        // The more fails always, the steadier it is.
        let mut errors = self.errors * gamma(rng, (self.errors / 1e-3).max(2.0));
        if self.burst.0 > 0 {
            self.burst.0 -= 1;
            errors += self.burst.1;
        }
        let client = (self.client_errors * self.client_wander.step(rng).exp() * gamma(rng, 3.0)).min(0.5);
        let mut of_plugins = 0.0;
        let mut worse = None;
        for fault in active {
            match fault.harm {
                Harm::Errors { route, share } if route == index => errors += share,
                Harm::Slow { route, times } if route == index => median *= times,
                Harm::Version { plugin, route_times, failures, .. } if self.plugins.contains(&plugin) => {
                    median *= route_times;
                    of_plugins += failures;
                }
                Harm::Endpoint { upstream, endpoint, share, times } if upstream == self.upstream => worse = Some((endpoint, share, times)),
                _ => {}
            }
        }
        let mut sum = Traffic::default();
        let shares = self.mix.minute(rng, upstream.visit(index));
        for (number, (endpoint, of_endpoint)) in upstream.endpoints.iter_mut().zip(shares).enumerate() {
            let (share, times) = worse.filter(|(worse, ..)| *worse == number).map_or((0.0, 1.0), |(_, share, times)| (share, times));
            let factor = endpoint.factor(rng, at) * times;
            let latency = durations(rng, expected * of_endpoint, median * factor, self.sigma);
            let requests = latency.count();
            let mut few = |share: f64| poisson(rng, requests as f64 * share).min(requests / 2);
            let errors = Errors { client: few(client), gateway: 0, plugin: few(of_plugins), upstream: few(errors + share) };
            let traffic = Traffic { requests, errors, latency };
            sum.merge(&traffic);
            data.endpoints.push((Arc::clone(&self.name), Arc::clone(&endpoint.name), traffic));
        }
        sum
    }
}

impl Plugin {
    fn new(rng: &mut Rng, number: usize) -> Self {
        let name = format!("plugin-{number}").into();
        Self { name, version: 1, median: between(rng, 5e-6, 1e-4), slow: Wander::new(0.03, 30.0) }
    }
}

impl Consumer {
    fn new(rng: &mut Rng, number: usize) -> Self {
        let habit = match number {
            0 => Habit::Hourly,
            1 => Habit::Nightly(rng.u64(0..6)),
            _ => Habit::People,
        };
        let wander = Wander::new(0.1 + 0.15 * rng.f64(), between(rng, 10.0, 120.0));
        Self { name: format!("consumer-{number}").into(), rate: between(rng, 20.0, 1_000.0), habit, wander }
    }

    fn minute(&mut self, rng: &mut Rng, at: Minute, times: f64) -> u64 {
        let habit = match self.habit {
            Habit::People => season(at, 0.6, 14.0, 0.5),
            Habit::Hourly => {
                if at.0 % 60 < 10 {
                    5.0
                } else {
                    0.05
                }
            }
            Habit::Nightly(hour) => {
                if at.hour() % 24 == hour {
                    15.0
                } else {
                    0.02
                }
            }
        };
        let expected = self.rate * habit * self.wander.step(rng).exp() * gamma(rng, 12.0) * times;
        poisson(rng, expected)
    }

    /// Whether a jump of it is one at any time.
    pub(crate) fn is_steady(&self) -> bool {
        matches!(self.habit, Habit::People)
    }
}

fn season(at: Minute, day: f64, peak: f64, weekend: f64) -> f64 {
    let hour = (at.0 % (24 * 60)) as f64 / 60.0;
    let curve = 1.0 + day * ((hour - peak) / 24.0 * std::f64::consts::TAU).cos();
    // The first of January 1970 was a Thursday.
    let of_week = (at.0 / (24 * 60) + 3) % 7;
    curve * if of_week >= 5 { weekend } else { 1.0 }
}
