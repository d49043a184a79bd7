//! What was usual before: hours that the store rolled up, without those of incidents.

use std::collections::HashMap;
use std::sync::Arc;

use plugway_analysis::{Analyst, Ended, Hour, Kind, LogHistogram};
use rusqlite::{Connection, Result};

use super::minute::{Counted, routes};
use super::watched::Watched;
use crate::store::{Incident, Tier};

/// When routes were not as usual, seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// By route.
    unusual: HashMap<Arc<str>, Vec<(i64, i64)>>,
    /// What was before says nothing any more: since then something else is usual.
    forget: HashMap<Arc<str>, i64>,
}

impl Past {
    /// Reads incidents of that time.
    pub(super) fn read(store: &Connection, watched: &Watched, from: i64, until: i64) -> Result<Self> {
        let mut past = Self::default();
        for (_, incident) in Incident::between(store, from, until)? {
            let is = |kind: Kind| incident.kind == kind.as_str();
            for (route, facts) in &watched.topology.routes {
                let own = **route == *incident.route && (is(Kind::ErrorRate) || is(Kind::Latency));
                let through_plugin = is(Kind::PluginVersion) && facts.plugins.iter().any(|plugin| **plugin == *incident.subject);
                if !own && !through_plugin {
                    continue;
                }
                let ended = incident.ended.unwrap_or(until);
                past.unusual.entry(Arc::clone(route)).or_default().push((incident.started, ended));
                if incident.outcome == Ended::NewLevel.as_str() {
                    let forget = past.forget.entry(Arc::clone(route)).or_default();
                    *forget = ended.max(*forget);
                }
            }
        }
        Ok(past)
    }

    /// Tells analysis of hours, oldest first.
    pub(super) fn learn(
        &self,
        store: &Connection,
        watched: &Watched,
        analyst: &mut Analyst<LogHistogram>,
        from: i64,
        until: i64,
    ) -> Result<()> {
        for ((at, route), counted) in routes(store, Tier::Hour, from, until)? {
            let Some(facts) = watched.topology.routes.get(&route) else { continue };
            let hour = u64::try_from(at / Tier::Hour.seconds()).unwrap_or_default();
            if self.forget.get(&route).is_none_or(|forget| *forget <= at) {
                analyst.learn_route(&route, self.hour(&route, at, hour, &counted));
            }
            if facts.slo.as_ref().is_some_and(|slo| slo.availability.is_some()) {
                analyst.learn_budget(&route, "availability", hour, counted.requests, counted.errors.server());
            }
            if let Some(limit) = analyst.latency_limit(&route) {
                analyst.learn_budget(&route, "latency", hour, counted.requests, counted.slower_than(limit));
            }
        }
        Ok(())
    }

    /// Of an hour that has something of an incident only its worst counts: it is nothing to compare with.
    fn hour(&self, route: &Arc<str>, at: i64, hour: u64, counted: &Counted) -> Hour {
        let of_it = Hour::of(hour, counted);
        let until = at + Tier::Hour.seconds();
        let unusual = self.unusual.get(route).into_iter().flatten().any(|(since, ended)| *since < until && *ended >= at);
        if unusual { of_it.without_usual() } else { of_it }
    }
}
