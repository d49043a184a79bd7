//! What was usual before: hours that the store rolled up, without those of incidents. What is left of a promise that is over more than is
//! kept by the hour: days.

use std::collections::HashMap;
use std::sync::Arc;

use plugway_analysis::{Analyst, Ended, Hour, Kind, LogHistogram, RouteFacts};
use rusqlite::{Connection, Result};

use super::minute::{Counted, routes};
use super::watched::Watched;
use crate::store::{Incident, Tier};
use crate::telemetry::StoreCells;

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
        cells: &StoreCells,
    ) -> Result<()> {
        for ((at, route), counted) in routes(store, Tier::Hour, from, until, cells)? {
            let Some(facts) = watched.topology.routes.get(&route) else { continue };
            let hour = u64::try_from(at / Tier::Hour.seconds()).unwrap_or_default();
            if self.forget.get(&route).is_none_or(|forget| *forget <= at) {
                analyst.learn_route(&route, self.hour(&route, at, hour, &counted));
            }
            for (objective, bad) in broken(analyst, facts, &route, &counted) {
                analyst.learn_budget(&route, objective, hour, counted.requests, bad);
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

/// Tells analysis what was promised and not kept on the day that begins at `day`, up to `hours`, from where on hours say so. Within it
/// nothing is known, so it is as if each hour had the same.
pub(super) fn learn_day(
    store: &Connection,
    watched: &Watched,
    analyst: &mut Analyst<LogHistogram>,
    day: i64,
    hours: i64,
    cells: &StoreCells,
) -> Result<()> {
    let tomorrow = day + Tier::Day.seconds();
    let until = hours.min(tomorrow);
    let mut told = HashMap::<(Arc<str>, &'static str), (u64, u64)>::new();
    for ((_, route), counted) in routes(store, Tier::Hour, until, tomorrow, cells)? {
        let Some(facts) = watched.topology.routes.get(&route) else { continue };
        for (objective, bad) in broken(analyst, facts, &route, &counted) {
            let sum = told.entry((Arc::clone(&route), objective)).or_default();
            *sum = (sum.0 + counted.requests, sum.1 + bad);
        }
    }
    let hour_of = |at: i64| u64::try_from(at / Tier::Hour.seconds()).unwrap_or_default();
    let first = hour_of(day);
    let end = hour_of(until).max(first + 1);
    for ((_, route), counted) in routes(store, Tier::Day, day, tomorrow, cells)? {
        let Some(facts) = watched.topology.routes.get(&route) else { continue };
        for (objective, bad) in broken(analyst, facts, &route, &counted) {
            let of_hours = told.get(&(Arc::clone(&route), objective)).copied().unwrap_or_default();
            let (requests, bad) = (counted.requests.saturating_sub(of_hours.0), bad.saturating_sub(of_hours.1));
            let share = |of: u64, hour: u64| of * (hour + 1 - first) / (end - first) - of * (hour - first) / (end - first);
            (first..end).for_each(|hour| analyst.learn_budget(&route, objective, hour, share(requests, hour), share(bad, hour)));
        }
    }
    Ok(())
}

/// By what is promised of a route, how many of these requests broke it.
fn broken(analyst: &Analyst<LogHistogram>, facts: &RouteFacts, route: &str, counted: &Counted) -> Vec<(&'static str, u64)> {
    let promised = facts.slo.as_ref().and_then(|slo| slo.availability);
    let availability = promised.map(|_| ("availability", counted.errors.server()));
    let latency = analyst.latency_limit(route).map(|limit| ("latency", counted.slower_than(limit)));
    availability.into_iter().chain(latency).collect()
}
