//! How upstreams fare now: read where it is known when somebody asks for metrics. Sums of an upstream's endpoints: there may be
//! thousands of them, and `/status` has each.

use std::fmt;
use std::sync::Weak;

use super::cell::lock;
use super::{Cells, names};

/// One upstream at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolReading {
    /// Its configured name.
    pub upstream: String,
    /// Endpoints it has.
    pub endpoints: u64,
    /// Those that may be sent to.
    pub available: u64,
    /// Connections open to them, used or not.
    pub connections: u64,
    /// Those of HTTP/1.1 that no request uses.
    pub idle: u64,
    /// Requests whose response has not ended.
    pub in_flight: u64,
}

/// One gauge of all upstreams.
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// By upstream.
    pub(super) series: Vec<(String, u64)>,
}

/// Who knows.
pub trait Pools: fmt::Debug + Send + Sync {
    /// Every upstream that is configured now.
    fn read(&self) -> Vec<PoolReading>;
}

/// Gauges of upstreams, in the order of [`Pools::read`] each. Read once for all of them: ten thousand endpoints are gone through at a scrape, not
/// five times as many.
pub(super) fn gauges(cells: &Cells) -> Vec<Gauge> {
    let pools = lock(&cells.pools).as_ref().and_then(Weak::upgrade);
    let readings = pools.map(|pools| pools.read()).unwrap_or_default();
    type Of = fn(&PoolReading) -> u64;
    let all: [(&str, &str, Of); 5] = [
        (names::UPSTREAM_CONNECTIONS, "Connections open to an upstream's endpoints.", |pool| pool.connections),
        (names::UPSTREAM_IDLE, "Those of HTTP/1.1 that no request uses.", |pool| pool.idle),
        (names::UPSTREAM_IN_FLIGHT, "Requests to an upstream whose response has not ended.", |pool| pool.in_flight),
        (names::UPSTREAM_ENDPOINTS, "Endpoints of an upstream.", |pool| pool.endpoints),
        (names::UPSTREAM_AVAILABLE, "Endpoints of an upstream that may be sent to.", |pool| pool.available),
    ];
    let gauge = |(name, help, of): (_, _, Of)| {
        let series = readings.iter().map(|pool| (pool.upstream.clone(), of(pool))).collect();
        Gauge { name, help, series }
    };
    all.map(gauge).into()
}
