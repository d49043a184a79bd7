//! The likely cause of a route's trouble, in the order of how much it says: a plugin's new version, one endpoint, one consumer, somebody's
//! errors.

use std::sync::Arc;

use crate::incident::{Cause, Kind, Subject};
use crate::ledger::Ledger;
use crate::minute::{Errors, Minute};
use crate::swaps::Swaps;

/// Minutes between the beginning of two things that belong together.
const TOGETHER: u64 = 15;

/// What is known of a route when its trouble is found.
pub(crate) struct Known<'a> {
    /// When it began, give or take so many minutes.
    pub(crate) start: (Minute, u64),
    /// Plugins of its chain.
    pub(crate) plugins: &'a [Arc<str>],
    pub(crate) upstream: Option<&'a Arc<str>>,
    /// What each endpoint did of this route in the last minutes: errors and requests.
    pub(crate) endpoints: Vec<(Arc<str>, u64, u64)>,
    /// The route's own; `None` where it is about latency.
    pub(crate) errors: Option<Errors>,
}

pub(crate) fn find(known: &Known<'_>, swaps: &Swaps, ledger: &Ledger) -> Option<Cause> {
    version(known.plugins, known.start, swaps)
        .or_else(|| endpoint(known, ledger))
        .or_else(|| consumer(known.start.0, ledger))
        .or_else(|| known.errors.and_then(|errors| errors.mostly()).map(Cause::Blame))
}

/// A swap that coincides. Of several the last one in the chain: what each of them did cannot be told apart.
pub(crate) fn version(plugins: &[Arc<str>], (start, within): (Minute, u64), swaps: &Swaps) -> Option<Cause> {
    plugins.iter().rev().find_map(|plugin| {
        let swap = swaps.coinciding(plugin, start, within)?;
        let (version, previous) = (Arc::clone(&swap.version), Arc::clone(&swap.previous));
        Some(Cause::PluginVersion { plugin: Arc::clone(plugin), version, previous })
    })
}

fn endpoint(known: &Known<'_>, ledger: &Ledger) -> Option<Cause> {
    let upstream = known.upstream?;
    let (errors, requests) = known.endpoints.iter().fold((0, 0), |(errors, requests), (_, bad, all)| (errors + bad, requests + all));
    let most = known.endpoints.iter().find(|(_, bad, all)| *bad >= 10 && bad * 10 >= errors * 7 && all * 2 <= requests);
    let open = |(endpoint, ..): &&(Arc<str>, u64, u64)| {
        ledger.is_open(Kind::Endpoint, &Subject::Endpoint { upstream: Arc::clone(upstream), endpoint: Arc::clone(endpoint) })
    };
    let worse = most.filter(|_| known.errors.is_some()).or_else(|| known.endpoints.iter().find(open));
    worse.map(|(endpoint, ..)| Cause::Endpoint { upstream: Arc::clone(upstream), endpoint: Arc::clone(endpoint) })
}

fn consumer(start: Minute, ledger: &Ledger) -> Option<Cause> {
    ledger.open().find_map(|incident| match &incident.subject {
        Subject::Consumer(consumer) if incident.start.0.abs_diff(start.0) <= TOGETHER => Some(Cause::Consumer(Arc::clone(consumer))),
        _ => None,
    })
}
