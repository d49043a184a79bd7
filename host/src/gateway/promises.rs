//! What is promised of routes, told to whoever counts how it is kept.

use std::collections::HashMap;

use crate::config::model::Config;
use crate::telemetry::{Promise, Telemetry};

/// These promises hold from now on, and no others: of a route that is no more nothing is promised.
pub(super) fn hold(config: &Config, telemetry: &Telemetry) {
    let promise = |slo: &crate::config::model::Slo| Promise {
        availability: slo.availability,
        latency: slo.latency.map(|latency| (latency.under, latency.share)),
        days: slo.days,
    };
    let promises: HashMap<_, _> =
        config.routes.iter().filter_map(|route| Some((route.name.as_str(), promise(route.slo.as_ref()?)))).collect();
    telemetry.promise(|route| promises.get(route).copied());
}
