//! Trouble that is put into a week: one of each kind, each on a day of its own.

use std::sync::Arc;

use fastrand::Rng;
use plugway_analysis::{Kind, Minute, Subject};

use crate::random::between;
use crate::world::World;

/// What is put in, and what should be said of it.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) subject: Subject,
    pub(crate) start: Minute,
    pub(crate) end: Minute,
    pub(crate) harm: Harm,
    /// What else is true of it.
    pub(crate) consequences: Vec<(Kind, Subject)>,
}

/// What it does.
#[derive(Debug, Clone)]
pub(crate) enum Harm {
    /// A share of a route's requests fails.
    Errors { route: usize, share: f64 },
    /// A route takes so many times as long.
    Slow { route: usize, times: f64 },
    /// An endpoint fails a share, and takes so many times as long.
    Endpoint { upstream: usize, endpoint: usize, share: f64, times: f64 },
    /// A plugin's new version takes so many times as long, or fails, and its routes are so much slower.
    Version { plugin: usize, own_time: f64, failures: f64, route_times: f64 },
    /// A consumer sends so many times as much.
    Jump { consumer: usize, times: f64 },
    /// A certificate is not renewed.
    Certificate,
}

/// Puts one of each kind into the week that begins there.
pub(crate) fn seed(world: &mut World, week: Minute, rng: &mut Rng) {
    let mut kinds = Kind::ALL;
    rng.shuffle(&mut kinds);
    for (day, kind) in kinds.into_iter().enumerate() {
        let start = Minute(week.0 + day as u64 * 24 * 60 + rng.u64(60..8 * 60));
        let lasting = between(rng, 20.0, 240.0) as u64;
        // Rare traffic shows rare errors late: what is seeded lies on routes with at least a request a second.
        let busy: Vec<_> = (0..world.routes.len()).filter(|index| world.routes[*index].rate >= 60.0).collect();
        let route = *rng.choice(&busy).unwrap_or(&0);
        let name = Arc::clone(&world.routes[route].name);
        let subject_route = Subject::Route(Arc::clone(&name));
        let objective = |name: &Arc<str>, objective| (Kind::SloBurn, Subject::Objective { route: Arc::clone(name), objective });
        let burns = |name: &Arc<str>| vec![objective(name, "availability"), objective(name, "latency")];
        let (subject, end, harm, consequences) = match kind {
            Kind::ErrorRate => (subject_route, lasting, Harm::Errors { route, share: between(rng, 0.03, 0.5) }, burns(&name)),
            Kind::Latency => (subject_route, lasting, Harm::Slow { route, times: between(rng, 1.7, 5.0) }, burns(&name)),
            Kind::Endpoint => {
                let upstream = world.routes[route].upstream;
                let members = &world.upstreams[upstream];
                let users: Vec<_> = world.routes.iter().filter(|route| route.upstream == upstream).collect();
                // One that has ten requests a minute at least, by what the others serve too.
                let gets = |endpoint: usize| users.iter().map(|route| route.rate * route.mix.usual(endpoint)).sum::<f64>();
                let enough: Vec<_> = (0..members.endpoints.len()).filter(|endpoint| gets(*endpoint) >= 10.0).collect();
                let endpoint = *rng.choice(&enough).unwrap_or(&0);
                let (share, times) = if rng.bool() { (between(rng, 0.08, 0.6), 1.0) } else { (0.0, between(rng, 2.0, 5.0)) };
                let subject =
                    Subject::Endpoint { upstream: Arc::clone(&members.name), endpoint: Arc::clone(&members.endpoints[endpoint].name) };
                let of_user = |name: &Arc<str>| {
                    let subject = Subject::Route(Arc::clone(name));
                    burns(name).into_iter().chain([(Kind::ErrorRate, subject.clone()), (Kind::Latency, subject)])
                };
                let more = users.iter().flat_map(|route| of_user(&route.name)).collect();
                (subject, lasting, Harm::Endpoint { upstream, endpoint, share, times }, more)
            }
            Kind::PluginVersion => {
                let used: Vec<_> = (0..world.plugins.len())
                    .filter(|plugin| world.routes.iter().any(|route| route.rate >= 60.0 && route.plugins.contains(plugin)))
                    .collect();
                let Some(plugin) = rng.choice(&used).copied() else { continue };
                let harm = match rng.usize(0..3) {
                    0 => Harm::Version { plugin, own_time: between(rng, 2.0, 10.0), failures: 0.0, route_times: 1.0 },
                    1 => Harm::Version { plugin, own_time: 1.0, failures: between(rng, 0.02, 0.3), route_times: 1.0 },
                    _ => Harm::Version { plugin, own_time: 1.0, failures: 0.0, route_times: between(rng, 1.7, 4.0) },
                };
                let users = world.routes.iter().filter(|route| route.plugins.contains(&plugin));
                let mut more: Vec<_> = users
                    .flat_map(|route| {
                        let subject = Subject::Route(Arc::clone(&route.name));
                        burns(&route.name).into_iter().chain([(Kind::ErrorRate, subject.clone()), (Kind::Latency, subject)])
                    })
                    .collect();
                let own = Subject::Plugin(Arc::clone(&world.plugins[plugin].name));
                more.extend([(Kind::ErrorRate, own.clone()), (Kind::Latency, own.clone())]);
                (own, lasting, harm, more)
            }
            Kind::ConsumerTraffic => {
                let steady: Vec<_> = (0..world.consumers.len()).filter(|index| world.consumers[*index].is_steady()).collect();
                let consumer = *rng.choice(&steady).unwrap_or(&2);
                let times = between(rng, 6.0, 30.0);
                (Subject::Consumer(Arc::clone(&world.consumers[consumer].name)), lasting, Harm::Jump { consumer, times }, Vec::new())
            }
            Kind::Certificate => (Subject::Certificate("web".into()), 600, Harm::Certificate, Vec::new()),
            Kind::SloBurn => {
                let facts = &world.routes[route];
                let allowed = 1.0 - facts.slo.availability.unwrap_or(0.99);
                // From what uses the month up in five days to what does so in an hour.
                let rate = between(rng, 8.0, 400.0).min(0.5 / allowed);
                let lasting = (between(rng, 1.5, 3.0) * 6.0 * 60.0 * (6.0 / rate).min(1.0) + 30.0) as u64;
                let (kind, subject) = objective(&name, "availability");
                debug_assert_eq!(kind, Kind::SloBurn);
                (subject, lasting, Harm::Errors { route, share: rate * allowed }, vec![(Kind::ErrorRate, subject_route)])
            }
        };
        world.faults.push(Fault { kind, subject, start, end: Minute(start.0 + end), harm, consequences });
    }
}
