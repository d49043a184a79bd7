//! All detectors over all keys, one minute at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::burn::{Budget, Burn, Slo};
use crate::cause::{self, Known};
use crate::certificate;
use crate::compare::Limits;
use crate::consumer::Consumer;
use crate::incident::{Change, Ended, Incident, Kind, Subject};
use crate::ledger::{Ledger, Verdict};
use crate::minute::{Minute, MinuteData, Traffic};
use crate::reading::Hour;
use crate::sibling::{self, Room, Upstream};
use crate::sketch::Sketch;
use crate::statistics::upper_quantile;
use crate::swaps::Swaps;
use crate::watched::{Watched, judge};

/// False alarms of one detector that chance alone may bring about in a day, over all keys.
const FALSE_ALARMS: f64 = 0.01;
/// Keys of each sort; what comes after that many is not watched. Routes take the most room: their hours are kept for weeks.
const ROUTES: usize = 2_000;
const PLUGINS: usize = 500;
const ENDPOINTS: usize = 4_000;
/// Pairs of a route and an endpoint with traffic in a quarter of an hour; of what is beyond, routes are not told apart.
const PAIRS: usize = 20_000;
const CONSUMERS: usize = 4_000;
/// Minutes without traffic after which a consumer is forgotten.
const FORGOTTEN: u64 = 28 * 24 * 60;
/// Seconds that a route must have grown slower by.
const ROUTE_SECONDS: f64 = 5e-4;
/// Seconds that a plugin must have grown slower by.
const PLUGIN_SECONDS: f64 = 5e-6;

/// What is configured.
#[derive(Debug, Default, Clone)]
pub struct Topology {
    /// Routes by name.
    pub routes: BTreeMap<Arc<str>, RouteFacts>,
}

/// What analysis has to know of a route.
#[derive(Debug, Default, Clone)]
pub struct RouteFacts {
    /// Where it goes.
    pub upstream: Option<Arc<str>>,
    /// Plugins of its chain, in order.
    pub plugins: Vec<Arc<str>>,
    /// What is promised of it.
    pub slo: Option<Slo>,
}

/// Finds incidents. Minutes are given in their order; one that was not given had no traffic.
#[derive(Debug)]
pub struct Analyst<S> {
    topology: Topology,
    routes: HashMap<Arc<str>, Watched<S>>,
    plugins: HashMap<Arc<str>, Watched<S>>,
    upstreams: HashMap<Arc<str>, Upstream<S>>,
    consumers: HashMap<Arc<str>, (Consumer, Minute)>,
    burns: BTreeMap<Arc<str>, Vec<Burn>>,
    certificates: BTreeMap<Arc<str>, Minute>,
    swaps: Swaps,
    ledger: Ledger,
}

impl<S: Sketch> Analyst<S> {
    /// Knows nothing but what is configured.
    pub fn new(topology: Topology) -> Self {
        let mut analyst = Self {
            topology: Topology::default(),
            routes: HashMap::new(),
            plugins: HashMap::new(),
            upstreams: HashMap::new(),
            consumers: HashMap::new(),
            burns: BTreeMap::new(),
            certificates: BTreeMap::new(),
            swaps: Swaps::default(),
            ledger: Ledger::default(),
        };
        analyst.configure(Minute(0), topology);
        analyst
    }

    /// This is configured from now on. What is known of a promise that stays is kept; incidents of what is not configured any more end.
    pub fn configure(&mut self, at: Minute, topology: Topology) -> Vec<Change> {
        let mut burns = BTreeMap::new();
        for (route, facts) in &topology.routes {
            let Some(slo) = &facts.slo else { continue };
            let mut known = self.burns.remove(route).unwrap_or_default();
            let promised = Burn::of(slo).into_iter().map(|burn| match known.iter().position(|known| known.same(&burn)) {
                Some(index) => known.swap_remove(index),
                None => burn,
            });
            burns.insert(Arc::clone(route), promised.collect());
        }
        self.burns = burns;
        let upstreams: BTreeSet<_> = topology.routes.values().filter_map(|facts| facts.upstream.clone()).collect();
        let plugins: BTreeSet<_> = topology.routes.values().flat_map(|facts| facts.plugins.iter().cloned()).collect();
        let gone: Vec<_> = self.ledger.open().map(|incident| (incident.kind, incident.subject.clone())).collect();
        let gone = gone.into_iter().filter(|(_, subject)| match subject {
            Subject::Route(route) => !topology.routes.contains_key(route),
            Subject::Plugin(plugin) => !plugins.contains(plugin),
            Subject::Endpoint { upstream, .. } => !upstreams.contains(upstream),
            Subject::Objective { route, objective } => {
                !self.burns.get(route).is_some_and(|burns| burns.iter().any(|burn| burn.objective == *objective))
            }
            Subject::Consumer(_) | Subject::Certificate(_) => false,
        });
        let changes = gone.filter_map(|key| self.ledger.close(&key, (at, Ended::Gone))).collect();
        self.routes.retain(|route, _| topology.routes.contains_key(route));
        self.upstreams.retain(|upstream, _| upstreams.contains(upstream));
        self.plugins.retain(|plugin, _| plugins.contains(plugin));
        self.topology = topology;
        changes
    }

    /// Takes in an hour of a route from an earlier run, oldest first: what is usual at that hour of the week.
    pub fn learn_route(&mut self, route: &Arc<str>, hour: Hour) {
        if let Some(watched) = known(&mut self.routes, ROUTES, route, Watched::new) {
            watched.history.learn(hour);
        }
    }

    /// Takes in what was counted of a promise in an hour of an earlier run, oldest first.
    pub fn learn_budget(&mut self, route: &str, objective: &str, hour: u64, requests: u64, bad: u64) {
        let burns = self.burns.get_mut(route).into_iter().flatten();
        burns.filter(|burn| burn.objective == objective).for_each(|burn| burn.learn(hour, requests, bad));
    }

    /// Open incidents, the oldest first.
    pub fn open(&self) -> Vec<Incident> {
        let mut open: Vec<_> = self.ledger.open().cloned().collect();
        open.sort_by_key(|incident| incident.number);
        open
    }

    /// What is left of each promise, by route.
    pub fn budgets(&self) -> impl Iterator<Item = (&Arc<str>, Budget)> + '_ {
        self.burns.iter().flat_map(|(route, burns)| burns.iter().map(move |burn| (route, burn.budget())))
    }

    /// The seconds beyond which a request is bad, of a route that promises latency.
    pub fn latency_limit(&self, route: &str) -> Option<f64> {
        self.burns.get(route)?.iter().find_map(Burn::under)
    }

    /// Takes in a minute and says what came of it.
    pub fn minute(&mut self, data: &MinuteData<S>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (plugin, version, _) in &data.plugins {
            self.swaps.serves(data.at, plugin, version);
        }
        // Causes first, so that what they cause can name them.
        self.certificates(data, &mut changes);
        self.consumers(data, &mut changes);
        self.endpoints(data, &mut changes);
        self.plugins(data, &mut changes);
        self.routes(data, &mut changes);
        self.burns(data, &mut changes);
        changes
    }

    fn certificates(&mut self, data: &MinuteData<S>, changes: &mut Vec<Change>) {
        let gone = self.certificates.extract_if(.., |name, _| !data.certificates.iter().any(|certificate| certificate.name == *name));
        let gone: Vec<_> = gone.map(|(name, _)| (Kind::Certificate, Subject::Certificate(name))).collect();
        changes.extend(gone.iter().filter_map(|key| self.ledger.close(key, (data.at, Ended::Gone))));
        for certificate in &data.certificates {
            let subject = Subject::Certificate(Arc::clone(&certificate.name));
            let renewed = self.certificates.insert(Arc::clone(&certificate.name), certificate.not_after);
            if renewed.is_some_and(|before| before < certificate.not_after) {
                changes.extend(self.ledger.close(&(Kind::Certificate, subject.clone()), (data.at, Ended::Recovered)));
            }
            match certificate::look(data.at, certificate) {
                Some(finding) => changes.extend(self.ledger.raise(data.at, Kind::Certificate, &subject, finding)),
                None => changes.extend(self.ledger.settle(data.at, Kind::Certificate, &subject, Verdict::Calm)),
            }
        }
    }

    fn consumers(&mut self, data: &MinuteData<S>, changes: &mut Vec<Change>) {
        let sent: HashMap<&Arc<str>, u64> = data.consumers.iter().map(|(name, requests)| (name, *requests)).collect();
        for (name, _) in &data.consumers {
            if let Some((_, latest)) = known(&mut self.consumers, CONSUMERS, name, || (Consumer::default(), data.at)) {
                *latest = data.at;
            }
        }
        self.consumers.retain(|_, (_, latest)| latest.0 + FORGOTTEN > data.at.0);
        for (name, (consumer, _)) in &mut self.consumers {
            let Some((verdict, finding)) = consumer.minute(data.at, sent.get(name).copied().unwrap_or(0)) else { continue };
            let subject = Subject::Consumer(Arc::clone(name));
            let change = match finding {
                Some(finding) => self.ledger.raise(data.at, Kind::ConsumerTraffic, &subject, finding),
                None => self.ledger.settle(data.at, Kind::ConsumerTraffic, &subject, verdict),
            };
            if let Some(Change::Closed(incident)) = &change {
                consumer.release(incident.end.is_some_and(|(_, ended)| ended == Ended::NewLevel));
            }
            changes.extend(change);
        }
    }

    fn endpoints(&mut self, data: &MinuteData<S>, changes: &mut Vec<Change>) {
        let mut rows = HashMap::<&Arc<str>, Vec<_>>::new();
        for (route, endpoint, traffic) in &data.endpoints {
            let Some(upstream) = self.topology.routes.get(route).and_then(|facts| facts.upstream.as_ref()) else { continue };
            if known(&mut self.upstreams, ENDPOINTS, upstream, Upstream::new).is_some() {
                rows.entry(upstream).or_default().push((route, endpoint, traffic));
            }
        }
        let (endpoints, pairs) = self
            .upstreams
            .values()
            .fold((0, 0), |(endpoints, pairs), upstream| (endpoints + upstream.endpoints.len(), pairs + upstream.pairs()));
        let mut room = Room { endpoints: ENDPOINTS.saturating_sub(endpoints), pairs: PAIRS.saturating_sub(pairs) };
        for (name, upstream) in &mut self.upstreams {
            upstream.push(data.at, rows.get(name).map_or(&[], Vec::as_slice), &mut room);
        }
        let threshold = threshold(self.upstreams.values().map(|upstream| upstream.endpoints.len()).sum::<usize>() * 2);
        for (name, upstream) in &mut self.upstreams {
            let found = upstream.look(data.at, threshold);
            for (endpoint, found) in upstream.endpoints.iter_mut().zip(found) {
                let subject = Subject::Endpoint { upstream: Arc::clone(name), endpoint: Arc::clone(&endpoint.name) };
                let change = match found {
                    Some(sibling::Found { finding: Some(finding), .. }) => {
                        endpoint.mark(finding.start);
                        self.ledger.raise(data.at, Kind::Endpoint, &subject, finding)
                    }
                    Some(found) => self.ledger.settle(data.at, Kind::Endpoint, &subject, found.verdict),
                    None => self.ledger.settle(data.at, Kind::Endpoint, &subject, Verdict::Unknown),
                };
                if let Some(Change::Closed(incident)) = &change {
                    endpoint.release(incident);
                }
                changes.extend(change);
            }
        }
    }

    fn plugins(&mut self, data: &MinuteData<S>, changes: &mut Vec<Change>) {
        for (plugin, ..) in &data.plugins {
            known(&mut self.plugins, PLUGINS, plugin, Watched::new);
        }
        let limits = Limits { threshold: threshold(self.plugins.len() * 3), seconds: PLUGIN_SECONDS };
        let measured: HashMap<_, _> = data.plugins.iter().map(|(plugin, _, traffic)| (plugin, traffic)).collect();
        let nothing = Traffic::default();
        let swaps = &self.swaps;
        for (plugin, watched) in &mut self.plugins {
            watched.history.push(data.at, measured.get(plugin).copied().unwrap_or(&nothing));
            let cause = |start, _: Option<_>, _: &Ledger| cause::version(std::slice::from_ref(plugin), start, swaps);
            judge(watched, &Subject::Plugin(Arc::clone(plugin)), limits, data.at, &mut self.ledger, cause, changes);
        }
    }

    fn routes(&mut self, data: &MinuteData<S>, changes: &mut Vec<Change>) {
        for (route, _) in &data.routes {
            known(&mut self.routes, ROUTES, route, Watched::new);
        }
        let limits = Limits { threshold: threshold(self.routes.len() * 3), seconds: ROUTE_SECONDS };
        let measured: HashMap<_, _> = data.routes.iter().map(|(route, traffic)| (route, traffic)).collect();
        let (nothing, no_facts) = (Traffic::default(), RouteFacts::default());
        let (swaps, upstreams) = (&self.swaps, &self.upstreams);
        for (route, watched) in &mut self.routes {
            watched.history.push(data.at, measured.get(route).copied().unwrap_or(&nothing));
            let facts = self.topology.routes.get(route).unwrap_or(&no_facts);
            let upstream = facts.upstream.as_ref().and_then(|upstream| upstreams.get(upstream));
            let cause = |start, errors, ledger: &Ledger| {
                let endpoints = upstream.map(|upstream| upstream.of_route(route)).unwrap_or_default();
                let known = Known { start, plugins: &facts.plugins, upstream: facts.upstream.as_ref(), endpoints, errors };
                cause::find(&known, swaps, ledger)
            };
            judge(watched, &Subject::Route(Arc::clone(route)), limits, data.at, &mut self.ledger, cause, changes);
        }
    }

    fn burns(&mut self, data: &MinuteData<S>, changes: &mut Vec<Change>) {
        let measured: HashMap<_, _> = data.routes.iter().map(|(route, traffic)| (route, traffic)).collect();
        let nothing = Traffic::default();
        for (route, burns) in &mut self.burns {
            for burn in burns {
                burn.push(data.at, measured.get(route).copied().unwrap_or(&nothing));
                let subject = Subject::Objective { route: Arc::clone(route), objective: burn.objective };
                changes.extend(match burn.look(data.at) {
                    (_, Some(finding)) => self.ledger.raise(data.at, Kind::SloBurn, &subject, finding),
                    (verdict, None) => self.ledger.settle(data.at, Kind::SloBurn, &subject, verdict),
                });
            }
        }
    }
}

/// The entry of a key, made where there is room.
fn known<'a, V>(entries: &'a mut HashMap<Arc<str>, V>, most: usize, key: &Arc<str>, make: impl FnOnce() -> V) -> Option<&'a mut V> {
    if !entries.contains_key(key) && entries.len() < most {
        entries.insert(Arc::clone(key), make());
    }
    entries.get_mut(key)
}

/// Standard deviations that so many tests, each made every minute, go beyond by chance [`FALSE_ALARMS`] times a day.
fn threshold(tests: usize) -> f64 {
    upper_quantile(FALSE_ALARMS / (tests.max(1) as f64 * 1440.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minute::Errors;
    use crate::sketch::LogHistogram;

    fn traffic(seconds: f64, errors: u64) -> Traffic<LogHistogram> {
        let mut latency = LogHistogram::default();
        (1..=100).for_each(|number| latency.record(seconds * (0.5 + 0.01 * f64::from(number)), 2));
        Traffic { requests: 200, errors: Errors { upstream: errors, ..Errors::default() }, latency }
    }

    fn live(analyst: &mut Analyst<LogHistogram>, minutes: std::ops::Range<u64>, route: &Traffic<LogHistogram>) -> Vec<Change> {
        let minute = |at| MinuteData { routes: vec![("a".into(), route.clone())], ..MinuteData::at(Minute(at)) };
        minutes.flat_map(|at| analyst.minute(&minute(at))).collect()
    }

    #[test]
    fn what_is_configured_no_more_ends_and_what_stays_goes_on() {
        let slo = Slo { availability: Some(0.999), latency: None, days: 30 };
        let facts = |slo| RouteFacts { slo, ..RouteFacts::default() };
        let topology = |routes: &[&str], slo: &Option<Slo>| Topology {
            routes: routes.iter().map(|route| (Arc::from(*route), facts(slo.clone()))).collect(),
        };
        let mut analyst = Analyst::new(topology(&["a", "b"], &Some(slo.clone())));
        live(&mut analyst, 0..120, &traffic(0.01, 0));
        let opened = live(&mut analyst, 120..140, &traffic(0.01, 100));
        let kinds: BTreeSet<_> = opened.iter().filter(|change| matches!(change, Change::Opened(_))).map(change_kind).collect();
        assert_eq!(kinds, BTreeSet::from([Kind::ErrorRate, Kind::SloBurn]));
        assert_eq!(analyst.configure(Minute(140), topology(&["a"], &Some(slo))), [], "b had nothing");
        let gone = |changes: Vec<Change>| {
            let end = |change: &Change| matches!(change, Change::Closed(incident) if incident.end == Some((Minute(141), Ended::Gone)));
            assert!(changes.iter().all(end), "{changes:?}");
            changes.iter().map(change_kind).collect::<Vec<_>>()
        };
        assert_eq!(gone(analyst.configure(Minute(141), topology(&["a"], &None))), [Kind::SloBurn]);
        assert_eq!(gone(analyst.configure(Minute(141), topology(&[], &None))), [Kind::ErrorRate]);
        assert_eq!(analyst.open(), []);
    }

    fn change_kind(change: &Change) -> Kind {
        let (Change::Opened(incident) | Change::Updated(incident) | Change::Closed(incident)) = change;
        incident.kind
    }

    #[test]
    fn what_happens_every_night_is_said_twice() {
        let mut analyst = Analyst::new(Topology::default());
        let mut nights = Vec::new();
        for day in (0..5).map(|night| night * 1_440) {
            let mut changes = live(&mut analyst, day..day + 180, &traffic(0.01, 0));
            changes.extend(live(&mut analyst, day + 180..day + 240, &traffic(0.02, 0)));
            changes.extend(live(&mut analyst, day + 240..day + 1_440, &traffic(0.01, 0)));
            nights.push(changes.len());
        }
        assert_eq!(nights, [2, 2, 0, 0, 0]);
    }
}
