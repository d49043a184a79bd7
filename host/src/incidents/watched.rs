//! What analysis has to know of a configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use plugway_analysis::{Certificate, LatencyObjective, RouteFacts, Slo, Topology};

use super::certificates;
use crate::config::model::{Config, Route};

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

    /// The API of a route; empty without.
    pub(super) fn api(&self, route: &str) -> &str {
        self.apis.get(route).map_or("", String::as_str)
    }

    /// The one API whose routes all those are that a plugin or an upstream serves; empty where there is no such.
    pub(super) fn api_of(&self, serves: impl Fn(&RouteFacts) -> bool) -> &str {
        let mut apis = self.topology.routes.iter().filter(|(_, facts)| serves(facts)).map(|(route, _)| self.api(route));
        let first = apis.next().unwrap_or_default();
        if apis.all(|api| api == first) { first } else { "" }
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
