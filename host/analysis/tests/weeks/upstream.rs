//! Endpoints, and what each of them gets of a route: the same of every route, or what tenants that come and go make of it.

use std::sync::Arc;

use fastrand::Rng;
use plugway_analysis::Minute;

use crate::random::{Wander, between, normal};
use crate::world::WEEK;

/// Visits of tenants in the week of an upstream that has any.
const VISITS: f64 = 14.0;

pub(crate) struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) endpoints: Vec<Endpoint>,
    has_tenants: bool,
    visit: Option<Visit>,
}

pub(crate) struct Endpoint {
    pub(crate) name: Arc<str>,
    usual: f64,
    wander: Wander,
    now: (Minute, f64),
}

/// A tenant that is there for some time: it calls one route, and one endpoint is all it is sent to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    route: usize,
    endpoint: usize,
    /// Its requests, as a share of what the route has without it.
    share: f64,
    until: Minute,
}

/// What each endpoint gets of a route.
pub(crate) struct Mix {
    parts: Vec<(f64, Option<Wander>)>,
}

impl Upstream {
    /// One of a single route, of which each endpoint gets about the same.
    pub(crate) fn even(rng: &mut Rng, name: &Arc<str>) -> (Self, Mix) {
        let members = 3 + rng.usize(0..2);
        let endpoints = (0..members).map(|member| {
            let share = (0.1 * normal(rng)).exp() / members as f64;
            (Endpoint::new(rng, name, member), (share, None))
        });
        let (endpoints, parts) = endpoints.unzip();
        (Self { name: Arc::clone(name), endpoints, has_tenants: false, visit: None }, Mix { parts })
    }

    /// One of several routes.
    pub(crate) fn with_tenants(rng: &mut Rng, name: Arc<str>) -> Self {
        let members = 3 + rng.usize(0..2);
        let endpoints = (0..members).map(|member| Endpoint::new(rng, &name, member)).collect();
        Self { endpoints, name, has_tenants: true, visit: None }
    }

    /// Tenants come and go.
    pub(crate) fn visits(&mut self, rng: &mut Rng, at: Minute, routes: usize) {
        self.visit = self.visit.filter(|visit| at < visit.until);
        if self.has_tenants && self.visit.is_none() && rng.f64() < VISITS / WEEK as f64 {
            let lasting = between(rng, 20.0, 600.0) as u64;
            let (route, endpoint) = (rng.usize(0..routes), rng.usize(0..self.endpoints.len()));
            self.visit = Some(Visit { route, endpoint, share: between(rng, 0.5, 5.0), until: Minute(at.0 + lasting) });
        }
    }

    /// The tenant that calls this route.
    pub(crate) fn visit(&self, route: usize) -> Option<Visit> {
        self.visit.filter(|visit| visit.route == route)
    }
}

impl Endpoint {
    fn new(rng: &mut Rng, upstream: &str, number: usize) -> Self {
        let name = format!("{upstream}-{number}").into();
        Self { name, usual: (0.06 * normal(rng)).exp(), wander: Wander::new(0.03, 20.0), now: (Minute(0), 1.0) }
    }

    /// How many times as long as others it takes in this minute, whatever the route.
    pub(crate) fn factor(&mut self, rng: &mut Rng, at: Minute) -> f64 {
        if self.now.0 != at {
            self.now = (at, self.usual * self.wander.step(rng).exp());
        }
        self.now.1
    }
}

impl Mix {
    /// Far more for some than for others, nothing for a few, and it changes within hours.
    pub(crate) fn uneven(rng: &mut Rng, members: usize) -> Self {
        let mut part = || {
            let weight = if rng.f64() < 0.2 { 0.0 } else { (1.2 * normal(rng)).exp() };
            (weight, Some(Wander::new(0.5, between(rng, 60.0, 600.0))))
        };
        let mut parts: Vec<_> = (0..members).map(|_| part()).collect();
        if parts.iter().all(|(weight, _)| *weight == 0.0) {
            parts[0].0 = 1.0;
        }
        Self { parts }
    }

    /// Of what a route has in a minute, what each endpoint gets: one in all, and a tenant's on top of it.
    pub(crate) fn minute(&mut self, rng: &mut Rng, visit: Option<Visit>) -> Vec<f64> {
        let Some((_, Some(_))) = self.parts.first() else { return self.parts.iter().map(|(share, _)| *share).collect() };
        let weights = self.parts.iter_mut().map(|(weight, wander)| *weight * wander.as_mut().map_or(1.0, |wander| wander.step(rng).exp()));
        let mut shares: Vec<f64> = weights.collect();
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        if let Some(visit) = visit {
            shares[visit.endpoint] += visit.share;
        }
        shares
    }

    /// What an endpoint gets of it, tenants and wandering apart.
    pub(crate) fn usual(&self, endpoint: usize) -> f64 {
        self.parts[endpoint].0 / self.parts.iter().map(|(weight, _)| weight).sum::<f64>()
    }
}
