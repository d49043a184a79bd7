//! All detectors over all keys, one minute at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::burn::{Budget, Burn, Slo};
use crate::cause::{self, Known};
use crate::certificate;
use crate::compare::Limits;
use crate::consumer::Consumer;
use crate::history::History;
use crate::incident::{Cause, Change, Ended, Incident, Kind, Severity, Subject};
use crate::ledger::{Finding, Ledger, Verdict};
use crate::minute::{Minute, MinuteData, Traffic};
use crate::reading::Hour;
use crate::sibling::{self, Endpoint};
use crate::sketch::Sketch;
use crate::statistics::upper_quantile;
use crate::step::{Measure, Step};
use crate::swaps::Swaps;

/// False alarms of one detector that chance alone may bring about in a day, over all keys.
const FALSE_ALARMS: f64 = 0.01;
/// Hours kept of routes and plugins: four weeks, and the hours beside.
const HOURS: usize = 4 * 168 + 2;
/// Keys of one sort. What comes after that many is not watched.
const MOST: usize = 10_000;
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
    upstreams: HashMap<Arc<str>, Vec<Endpoint<S>>>,
    consumers: HashMap<Arc<str>, (Consumer, Minute)>,
    burns: BTreeMap<Arc<str>, Vec<Burn>>,
    certificates: BTreeMap<Arc<str>, Minute>,
    swaps: Swaps,
    ledger: Ledger,
}

/// One route or plugin.
#[derive(Debug)]
struct Watched<S> {
    history: History<S>,
    steps: [(Step, Option<(Kind, Subject)>); 3],
}

impl<S: Sketch> Watched<S> {
    fn new() -> Self {
        let steps = [Measure::ServerErrors, Measure::ClientErrors, Measure::Latency].map(|measure| (Step::new(measure), None));
        Self { history: History::new(HOURS), steps }
    }
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
        analyst.configure(topology);
        analyst
    }

    /// This is configured from now on. What is known of a promise that stays is kept.
    pub fn configure(&mut self, topology: Topology) {
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
        self.topology = topology;
    }

    /// Incidents are numbered from here on: after those of an earlier run.
    pub fn number_from(&mut self, next: u64) {
        self.ledger.number_from(next);
    }

    /// Takes in an hour of a route from an earlier run, oldest first: what is usual at that hour of the week.
    pub fn learn_route(&mut self, route: &Arc<str>, hour: Hour) {
        if let Some(watched) = known(&mut self.routes, route, Watched::new) {
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
            if let Some((_, latest)) = known(&mut self.consumers, name, || (Consumer::default(), data.at)) {
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
        for (upstream, endpoint, _) in &data.endpoints {
            let Some(members) = known(&mut self.upstreams, upstream, Vec::new) else { continue };
            if members.len() < MOST && !members.iter().any(|member| member.name == *endpoint) {
                members.push(Endpoint::new(Arc::clone(endpoint)));
            }
        }
        let threshold = threshold(self.upstreams.values().map(Vec::len).sum::<usize>() * 2);
        let measured: HashMap<_, _> = data.endpoints.iter().map(|(upstream, endpoint, traffic)| ((upstream, endpoint), traffic)).collect();
        let nothing = Traffic::default();
        for (upstream, members) in &mut self.upstreams {
            for member in members.iter_mut() {
                member.history.push(data.at, measured.get(&(upstream, &member.name)).copied().unwrap_or(&nothing));
            }
            let found = sibling::look(members, threshold);
            for (member, found) in members.iter_mut().zip(found) {
                let subject = Subject::Endpoint { upstream: Arc::clone(upstream), endpoint: Arc::clone(&member.name) };
                let change = match found {
                    Some(sibling::Found { finding: Some(finding), .. }) => {
                        member.history.mark(finding.start);
                        self.ledger.raise(data.at, Kind::Endpoint, &subject, finding)
                    }
                    Some(found) => self.ledger.settle(data.at, Kind::Endpoint, &subject, found.verdict),
                    None => self.ledger.settle(data.at, Kind::Endpoint, &subject, Verdict::Unknown),
                };
                if let Some(Change::Closed(incident)) = &change {
                    member.release();
                    release(&mut member.history, incident);
                }
                changes.extend(change);
            }
        }
    }

    fn plugins(&mut self, data: &MinuteData<S>, changes: &mut Vec<Change>) {
        for (plugin, ..) in &data.plugins {
            known(&mut self.plugins, plugin, Watched::new);
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
            known(&mut self.routes, route, Watched::new);
        }
        let limits = Limits { threshold: threshold(self.routes.len() * 3), seconds: ROUTE_SECONDS };
        let measured: HashMap<_, _> = data.routes.iter().map(|(route, traffic)| (route, traffic)).collect();
        let (nothing, no_facts) = (Traffic::default(), RouteFacts::default());
        let (swaps, upstreams) = (&self.swaps, &self.upstreams);
        for (route, watched) in &mut self.routes {
            watched.history.push(data.at, measured.get(route).copied().unwrap_or(&nothing));
            let facts = self.topology.routes.get(route).unwrap_or(&no_facts);
            let members = facts.upstream.as_ref().and_then(|upstream| upstreams.get(upstream));
            let cause = |start, errors, ledger: &Ledger| {
                let endpoints = members.into_iter().flatten().filter_map(|member| {
                    let window = member.history.window(5)?;
                    Some((Arc::clone(&member.name), window.errors.server(), window.requests))
                });
                let known =
                    Known { start, plugins: &facts.plugins, upstream: facts.upstream.as_ref(), endpoints: endpoints.collect(), errors };
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

/// Looks at every measure of one key, and opens, keeps and closes what there is to say.
fn judge<S: Sketch>(
    watched: &mut Watched<S>,
    subject: &Subject,
    limits: Limits,
    at: Minute,
    ledger: &mut Ledger,
    cause: impl Fn((Minute, u64), Option<crate::minute::Errors>, &Ledger) -> Option<Cause>,
    changes: &mut Vec<Change>,
) {
    let Watched { history, steps } = watched;
    let mut ended = None;
    for (index, (step, opened)) in steps.iter_mut().enumerate() {
        let found = step.look(history, limits, opened.is_some());
        if let Some(found) = found.as_ref().filter(|found| found.verdict == Verdict::Raised) {
            let is_latency = index == 2;
            let errors = history.window(5).map(|window| window.errors).filter(|_| !is_latency);
            let cause = cause((found.start, found.within), errors, ledger);
            let key = opened.clone().unwrap_or_else(|| match &cause {
                Some(Cause::PluginVersion { plugin, .. }) => (Kind::PluginVersion, Subject::Plugin(Arc::clone(plugin))),
                _ => (if is_latency { Kind::Latency } else { Kind::ErrorRate }, subject.clone()),
            });
            let finding = Finding {
                start: found.start,
                severity: if is_latency { Severity::Ticket } else { Severity::Page },
                weight: found.weight,
                evidence: found.evidence.clone(),
                cause,
            };
            changes.extend(ledger.raise(at, key.0, &key.1, finding));
            if opened.is_none() {
                history.mark(found.start);
            }
            *opened = Some(key);
        } else if let (Some((kind, subject)), Some(found)) = (&opened, found) {
            let change = ledger.settle(at, *kind, subject, found.verdict);
            if let Some(Change::Closed(incident)) = &change {
                ended = Some(incident.clone());
            }
            changes.extend(change);
        }
    }
    // One that several measures share ends for all of them.
    for (step, opened) in steps.iter_mut() {
        if opened.as_ref().is_some_and(|(kind, subject)| !ledger.is_open(*kind, subject)) {
            step.release();
            *opened = None;
        }
    }
    if steps.iter().all(|(_, opened)| opened.is_none()) {
        match &ended {
            Some(incident) => release(history, incident),
            None => history.unmark(),
        }
    }
}

/// After an incident a key's times are usual again, or have a new usual.
fn release<S: Sketch>(history: &mut History<S>, incident: &Incident) {
    match incident.end {
        Some((_, Ended::NewLevel)) => history.accept(),
        _ => history.unmark(),
    }
}

/// The entry of a key, made where there is room.
fn known<'a, V>(entries: &'a mut HashMap<Arc<str>, V>, key: &Arc<str>, make: impl FnOnce() -> V) -> Option<&'a mut V> {
    if !entries.contains_key(key) && entries.len() < MOST {
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
