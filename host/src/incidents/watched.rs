//! What analysis has to know of a configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use plugway_analysis::{Certificate, LatencyObjective, RouteFacts, Slo, Topology};

use super::certificates;
use crate::config::model::{Config, Route};
use crate::store::Tier;

/// Routes with their plugins, upstreams and promises; certificates.
#[derive(Debug, Default)]
pub struct Watched {
    pub(super) topology: Topology,
    pub(super) certificates: Vec<Certificate>,
    /// The API of each route that has one.
    apis: BTreeMap<Arc<str>, String>,
}

impl Watched {
    /// Reads certificates' files.
    pub fn of(config: &Config) -> Self {
        let routes = config.routes.iter().map(|route| (Arc::from(route.name.as_str()), facts(config, route))).collect();
        let api = |route: &Route| route.api.clone().map(|api| (Arc::from(route.name.as_str()), api));
        let apis = config.routes.iter().filter_map(api).collect();
        Self { topology: Topology { routes }, certificates: certificates::of(config), apis }
    }

    /// Seconds of the longest window that something is promised over; 0 where nothing is.
    pub(super) fn longest_window(&self) -> i64 {
        let days = self.topology.routes.values().filter_map(|facts| facts.slo.as_ref()).map(|slo| slo.days).max();
        i64::from(days.unwrap_or_default()) * Tier::Day.seconds()
    }

    /// The API of a route; empty without.
    pub(super) fn api(&self, route: &str) -> &str {
        self.apis.get(route).map_or("", String::as_str)
    }

    /// The routes that a plugin or an upstream serves, and the one API all of them are of; empty where there is no such.
    pub(super) fn served(&self, serves: impl Fn(&RouteFacts) -> bool) -> (&str, Vec<String>) {
        let served = || self.topology.routes.iter().filter(|(_, facts)| serves(facts)).map(|(route, _)| route);
        let mut apis = served().map(|route| self.api(route));
        let first = apis.next().unwrap_or_default();
        let api = if apis.all(|api| api == first) { first } else { "" };
        (api, served().map(|route| route.to_string()).collect())
    }
}

fn facts(config: &Config, route: &Route) -> RouteFacts {
    let plugin = |number: usize| config.plugins.get(number).map(|plugin| Arc::from(plugin.name.as_str()));
    RouteFacts {
        upstream: config.upstreams.get(route.upstream).map(|upstream| Arc::from(upstream.name.as_str())),
        plugins: route.uses().filter_map(|used| plugin(used.plugin)).collect(),
        slo: route.slo.as_ref().map(|slo| Slo {
            availability: slo.availability,
            latency: slo.latency.map(|latency| LatencyObjective { under: latency.under.as_secs_f64(), share: latency.share }),
            days: slo.days,
        }),
    }
}
