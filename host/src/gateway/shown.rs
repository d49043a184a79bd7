//! What the workshop tells of its work to whoever asks: status, metrics, commands. The one place where two threads of the
//! gateway share what changes; neither of them serves requests.

#![allow(clippy::disallowed_types, reason = "taken when a reload is done, and when status or metrics are asked for")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::canary::OnTrial;
use crate::config::model::Canary;
use crate::incidents;
use crate::proxy::Snapshot;
use crate::telemetry::{PoolReading, Pools};
use crate::upstream::Upstream;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shown {
    view: Mutex<Arc<View>>,
    live: Mutex<Vec<(Live, Arc<Snapshot>)>>,
    /// Incidents that last.
    pub(super) incidents: incidents::Open,
}

/// What there is to know of files and swaps.
#[derive(Debug, Default)]
pub(super) struct View {
    /// By plugin.
    pub(super) plugins: BTreeMap<String, Value>,
    /// What is tried, and how, by plugin.
    pub(super) canaries: BTreeMap<String, (OnTrial, Canary)>,
    /// The configuration's file.
    pub(super) configuration: Value,
    /// Files of `plugin_directory` that no plugin is made from.
    pub(super) unnamed_files: Vec<String>,
    /// Plugins that no route uses, and what is wrong with their files.
    pub(super) unused_plugins: Vec<Value>,
    /// How the last reload ended.
    pub(super) last_reload: Value,
}

/// A generation that serves, or still has requests in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    /// `Snapshot::number`
    pub(super) number: u64,
    /// Since when it serves.
    pub(super) since: SystemTime,
}

impl Shown {
    /// Shows this from now on.
    pub(super) fn show(&self, view: View) {
        *lock(&self.view) = Arc::new(view);
    }

    /// What is shown.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&lock(&self.view))
    }

    /// A snapshot begins to serve.
    pub(super) fn serves(&self, snapshot: Arc<Snapshot>) {
        lock(&self.live).push((Live { number: snapshot.number, since: SystemTime::now() }, snapshot));
    }

    /// Generations that are alive, the one that serves last. A snapshot that nobody else holds any more is freed here: what it
    /// holds may be large.
    pub(super) fn live(&self) -> Vec<Live> {
        let mut live = lock(&self.live);
        let serving = live.last().map(|(live, _)| live.number);
        live.retain(|(live, snapshot)| Some(live.number) == serving || Arc::strong_count(snapshot) > 1);
        live.iter().map(|(live, _)| *live).collect()
    }
}

impl Pools for Shown {
    /// Upstreams that routes use; endpoints are shared by generations, so those that serve last have all of them.
    fn read(&self) -> Vec<PoolReading> {
        let live = lock(&self.live);
        let mut pools = BTreeMap::new();
        for route in live.last().into_iter().flat_map(|(_, snapshot)| &snapshot.routes) {
            pools.entry(&route.upstream.name).or_insert_with(|| reading(&route.upstream));
        }
        pools.into_values().collect()
    }
}

fn reading(upstream: &Upstream) -> PoolReading {
    let (now, endpoints) = (Instant::now(), &upstream.endpoints);
    let sum = |of: fn(&crate::upstream::EndpointState) -> usize| endpoints.iter().map(|endpoint| of(&endpoint.state) as u64).sum();
    PoolReading {
        upstream: upstream.name.to_string(),
        endpoints: endpoints.len() as u64,
        available: endpoints.iter().filter(|endpoint| endpoint.is_available(now)).count() as u64,
        connections: sum(crate::upstream::EndpointState::connections),
        idle: sum(crate::upstream::EndpointState::idle_connections),
        in_flight: upstream.state.in_flight() as u64,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
