//! What endpoints of one upstream did in the last quarter of an hour, route by route: endpoints are compared within routes, since one that
//! gets more of a slow route is slower and no worse.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::contrast::{Contrast, Part, Standard, Whole};
use crate::minute::{BLOCK, Minute, Traffic};
use crate::sketch::Sketch;

/// Minutes kept, in blocks; the last five of them one by one.
const KEPT: u64 = 15;

/// Routes of one upstream.
#[derive(Debug)]
pub(crate) struct Strata<S> {
    routes: BTreeMap<Arc<str>, Route<S>>,
    /// The logarithm of the latency that routes' medians are moved to.
    usual: Option<f64>,
    latest: Minute,
}

#[derive(Debug)]
struct Route<S> {
    endpoints: BTreeMap<Arc<str>, Recent<S>>,
    /// Its latency in this hour, of all endpoints, as it was.
    hour: S,
    /// The logarithm of its median in the hour before; of its first minute while there was none.
    median: Option<f64>,
    /// Buckets that its latencies are moved by.
    steps: i32,
}

/// One endpoint of one route.
#[derive(Debug)]
struct Recent<S> {
    minutes: VecDeque<(Minute, Part<S>)>,
    blocks: VecDeque<(Minute, Part<S>)>,
}

/// Which minutes are looked at: all of them end with the latest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    Minute,
    FiveMinutes,
    /// At the end of a block only.
    Quarter,
}

impl<S: Sketch> Default for Strata<S> {
    fn default() -> Self {
        Self { routes: BTreeMap::new(), usual: None, latest: Minute(0) }
    }
}

impl<S: Sketch> Strata<S> {
    /// Takes in a minute: what endpoints did of routes. `room` says for how many more pairs there is; what is beyond is compared together,
    /// as one route.
    pub(crate) fn push<'a>(
        &mut self,
        at: Minute,
        rows: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>, &'a Traffic<S>)>,
        room: &mut usize,
    ) where
        S: 'a,
    {
        if self.latest.hour() != at.hour() {
            self.end_hour();
        }
        self.latest = at;
        for (route, endpoint, traffic) in rows.filter(|(.., traffic)| traffic.requests > 0) {
            let is_known = self.routes.get(route).is_some_and(|route| route.endpoints.contains_key(endpoint));
            let name = if is_known || *room > 0 { Arc::clone(route) } else { Arc::from("") };
            if !is_known {
                *room = room.saturating_sub(1);
            }
            let route = self.routes.entry(name).or_default();
            route.hour.merge(&traffic.latency);
            let mut latency = traffic.latency.clone();
            latency.shift(route.steps);
            let bad = traffic.errors.server().min(traffic.requests);
            route.endpoints.entry(Arc::clone(endpoint)).or_default().push(at, &Part { requests: traffic.requests, bad, latency });
        }
        for route in self.routes.values_mut() {
            route.endpoints.retain(|_, recent| recent.forget(at));
        }
        if self.routes.values_mut().fold(false, |any, route| any | route.first_median()) {
            self.align(false);
        }
    }

    /// Medians are those of the hour that ended, and what is kept is moved to where it belongs by them.
    fn end_hour(&mut self) {
        self.routes.retain(|_, route| !route.endpoints.is_empty());
        for route in self.routes.values_mut() {
            let median = route.hour.log_quantile(0.5);
            if median.is_finite() {
                route.median = Some(median);
            }
        }
        self.align(true);
        self.routes.values_mut().for_each(|route| route.hour = S::default());
    }

    fn align(&mut self, anew: bool) {
        let medians = self.routes.values().filter_map(|route| Some((route.median?, route.hour.count() as f64)));
        let (sum, weight) = medians.fold((0.0, 0.0), |(sum, all), (median, weight)| (sum + median * weight, all + weight));
        if weight > 0.0 && (anew || self.usual.is_none()) {
            self.usual = Some(sum / weight);
        }
        let Some(usual) = self.usual else { return };
        self.routes.values_mut().for_each(|route| route.align(usual));
    }

    /// What endpoints of one route did in the last five minutes: errors and requests.
    pub(crate) fn of_route(&self, route: &str) -> impl Iterator<Item = (&Arc<str>, u64, u64)> + '_ {
        let endpoints = self.routes.get(route).into_iter().flat_map(|route| &route.endpoints);
        endpoints.map(|(endpoint, recent)| {
            let part = recent.sum(self.latest, Span::FiveMinutes);
            (endpoint, part.bad, part.requests)
        })
    }

    /// Pairs of a route and an endpoint that are kept.
    pub(crate) fn pairs(&self) -> usize {
        self.routes.values().map(|route| route.endpoints.len()).sum()
    }

    /// Every endpoint beside its siblings; those are left out that nothing can be compared of.
    pub(crate) fn contrasts(&self, span: Span) -> BTreeMap<Arc<str>, Contrast> {
        let mut standards = BTreeMap::<&Arc<str>, Standard<S>>::new();
        for route in self.routes.values().filter(|route| route.endpoints.len() > 1) {
            let parts = route.endpoints.iter().map(|(endpoint, recent)| (endpoint, recent.sum(self.latest, span)));
            let parts: Vec<_> = parts.filter(|(_, part)| part.requests > 0).collect();
            let all = Whole::of(parts.iter().map(|(_, part)| part));
            for (endpoint, part) in &parts {
                standards.entry(endpoint).or_default().add(part, &all);
            }
        }
        standards.into_iter().filter_map(|(endpoint, standard)| Some((Arc::clone(endpoint), standard.contrast()?))).collect()
    }
}

// === impl Route ===

impl<S: Sketch> Default for Route<S> {
    fn default() -> Self {
        Self { endpoints: BTreeMap::new(), hour: S::default(), median: None, steps: 0 }
    }
}

impl<S: Sketch> Route<S> {
    /// Whether it is known now, and was not.
    fn first_median(&mut self) -> bool {
        if self.median.is_none() && self.hour.count() > 0 {
            self.median = Some(self.hour.log_quantile(0.5));
            return true;
        }
        false
    }

    fn align(&mut self, usual: f64) {
        let steps = self.median.map_or(0, |median| S::steps_of(usual - median));
        let more = steps - self.steps;
        if more != 0 {
            self.steps = steps;
            let kept = self.endpoints.values_mut().flat_map(|recent| recent.minutes.iter_mut().chain(&mut recent.blocks));
            kept.for_each(|(_, part)| part.latency.shift(more));
        }
    }
}

// === impl Recent ===

impl<S: Sketch> Default for Recent<S> {
    fn default() -> Self {
        Self { minutes: VecDeque::new(), blocks: VecDeque::new() }
    }
}

impl<S: Sketch> Recent<S> {
    fn push(&mut self, at: Minute, part: &Part<S>) {
        merge(&mut self.minutes, at, part);
        merge(&mut self.blocks, at.block(), part);
    }

    /// Whether anything is left.
    fn forget(&mut self, at: Minute) -> bool {
        while self.minutes.front().is_some_and(|(start, _)| start.0 + BLOCK <= at.0) {
            self.minutes.pop_front();
        }
        while self.blocks.front().is_some_and(|(start, _)| start.0 + KEPT <= at.0) {
            self.blocks.pop_front();
        }
        !self.blocks.is_empty()
    }

    fn sum(&self, at: Minute, span: Span) -> Part<S> {
        let (parts, from) = match span {
            Span::Minute => (&self.minutes, at),
            Span::FiveMinutes => (&self.minutes, Minute((at.0 + 1).saturating_sub(BLOCK))),
            Span::Quarter => (&self.blocks, Minute((at.0 + 1).saturating_sub(KEPT))),
        };
        let parts = parts.iter().filter(|(start, _)| *start >= from).map(|(_, part)| part);
        let latency = S::sum(parts.clone().map(|part| &part.latency));
        parts.fold(Part { latency, ..Part::default() }, |sum, part| Part {
            requests: sum.requests + part.requests,
            bad: sum.bad + part.bad,
            ..sum
        })
    }
}

fn merge<S: Sketch>(parts: &mut VecDeque<(Minute, Part<S>)>, start: Minute, more: &Part<S>) {
    match parts.back_mut() {
        Some((latest, part)) if *latest == start => {
            part.requests += more.requests;
            part.bad += more.bad;
            part.latency.merge(&more.latency);
        }
        _ => parts.push_back((start, more.clone())),
    }
}
