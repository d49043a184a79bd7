//! What the gateway counts of itself. Every thread counts in cells of its own that only it writes, so counting on a
//! request's path is one load and one store; the control thread adds them up when somebody asks for `/metrics`.

mod access;
mod budget;
mod canaries;
mod cell;
mod claims;
mod durations;
mod export;
mod families;
mod held;
mod histogram;
mod http_client;
mod incidents;
mod instruments;
pub mod latency;
mod lateness;
mod listed;
pub mod logs;
mod names;
mod plugin;
mod plugin_tally;
mod pools;
mod process;
mod reloads;
mod route;
mod sample;
mod seldom;
mod slo;
mod stored;
mod tally;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
#[allow(clippy::disallowed_types, reason = "taken where threads are set up and where metrics are read, never for a request")]
use std::sync::Mutex;
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

pub use access::{AccessLine, AccessPlan, AccessQueue, AccessSender, AccessWriter, Kept, Protocol, Redaction};
pub use budget::{BudgetHits, BudgetKey};
pub use canaries::{Canaries, CanaryEnd, Running};
pub(crate) use cell::{Count, SharedCount};
pub use held::{Held, Holder};
pub use http_client::HttpClientCells;
pub use incidents::IncidentCells;
pub use instruments::{DeclareError, Declared, InstrumentKind, Instruments, MAX_LABELS, PluginUse, Series};
pub use lateness::{During, Late};
pub use plugin::{BreakerReading, Comparison, MOST_HOOKS, PluginCells, PluginVersion};
pub use plugin_tally::{PluginTallies, PluginTally};
pub use pools::{PoolReading, Pools};
pub use reloads::{RejectedFile, ReloadResult, Reloads};
pub use route::{RouteCells, is_known_method, method_name};
pub use sample::{Detail, Sample, Why};
pub use seldom::Seldom;
pub use stored::StoreCells;
pub use tally::{Finished, OTHER, Tallies, Tally, TallyCell};
pub use worker::{ListenerCells, OpenConnection, UpstreamCells, WorkerCells};

use crate::config::model::Slo;

/// Everything the gateway counts.
pub struct Telemetry {
    cells: Arc<Cells>,
    registry: Registry,
    /// Since when is counted.
    began: SystemTime,
    /// Observable instruments live as long as their provider.
    _provider: SdkMeterProvider,
}

/// What is counted of one version of a plugin.
#[derive(Debug, Default)]
pub struct VersionTally {
    /// Calls that were made.
    pub calls: u64,
    /// Hook, kind, count.
    pub failures: Vec<(&'static str, &'static str, u64)>,
    /// Hook and result.
    pub comparisons: BTreeMap<(&'static str, &'static str), u64>,
}

/// Cells of every thread.
#[derive(Debug, Default)]
#[allow(clippy::disallowed_types, reason = "taken where threads are set up and where metrics are read, never for a request")]
struct Cells {
    workers: Mutex<Vec<Arc<WorkerCells>>>,
    plugins: Mutex<Vec<Arc<PluginCells>>>,
    budgets: Mutex<Vec<Arc<BudgetHits>>>,
    http_clients: Mutex<Vec<Arc<HttpClientCells>>>,
    instruments: Arc<Instruments>,
    /// Until everything is registered.
    folded: Mutex<export::Folded>,
    holders: Mutex<held::Holders>,
    pools: Mutex<Option<Weak<dyn Pools>>>,
    lost_on_control: cell::Count,
    /// Lines that could not be written out.
    access_lines_lost: Arc<cell::SharedCount>,
    /// Spans that were sent, and that could not be.
    spans_sent: cell::SharedCount,
    spans_lost: cell::SharedCount,
    /// Times something could not be sent by OTLP.
    otlp_failed: cell::SharedCount,
    reloads: Reloads,
    store: StoreCells,
    incidents: IncidentCells,
    canaries: Canaries,
}

impl Telemetry {
    /// Counters at zero.
    ///
    /// # Errors
    /// When the metrics libraries refuse what they are given.
    pub fn new() -> Result<Arc<Self>, String> {
        let cells = Arc::new(Cells::default());
        let registry = Registry::new();
        let provider = export::register(&registry, &cells)?;
        Ok(Arc::new(Self { cells, registry, began: SystemTime::now(), _provider: provider }))
    }

    /// The cells of one worker, the same ones each time.
    pub fn worker(&self, index: usize) -> Arc<WorkerCells> {
        let mut workers = cell::lock(&self.cells.workers);
        while workers.len() <= index {
            let next = workers.len();
            workers.push(Arc::new(WorkerCells::new(next)));
        }
        workers.get(index).map(Arc::clone).unwrap_or_default()
    }

    /// The cells of one version of a plugin on one thread, the same ones each time. `digest` is its component's; `version` is what it is counted as
    /// while there are two. `hooks` and `failures` name what
    /// [`PluginCells::called`] and [`PluginCells::failed`] are given by number.
    pub fn plugin(
        &self,
        name: &Arc<str>,
        digest: &Arc<str>,
        version: Option<&PluginVersion>,
        thread: usize,
        hooks: &'static [&'static str],
        failures: &'static [&'static str],
    ) -> Arc<PluginCells> {
        let mut plugins = cell::lock(&self.cells.plugins);
        if let Some(known) = plugins.iter().find(|cells| cells.is(name, digest, version, thread)) {
            return Arc::clone(known);
        }
        self.fold(&mut plugins);
        let cells = Arc::new(PluginCells::new(Arc::clone(name), Arc::clone(digest), version.cloned(), thread, hooks, failures));
        plugins.push(Arc::clone(&cells));
        cells
    }

    /// Folds what versions counted that have ended into what is counted of their plugins.
    pub fn end_versions(&self) {
        self.fold(&mut cell::lock(&self.cells.plugins));
    }

    fn fold(&self, plugins: &mut Vec<Arc<PluginCells>>) {
        // Where there is a store, it does so when it has been told of them.
        if !self.cells.store.is_on() {
            let ended = plugin_tally::take_ended(plugins);
            plugin_tally::fold(plugins, &ended);
        }
    }

    /// Forgets what is counted of routes and upstreams that no configuration has named for a while.
    fn forget_unnamed(&self, now: Instant) {
        let workers = cell::lock(&self.cells.workers);
        let routes = workers.iter().map(|worker| &worker.routes);
        listed::forget(routes, now, families::Labels::of, RouteCells::answered);
        let upstreams = workers.iter().map(|worker| &worker.upstreams);
        listed::forget(upstreams, now, |cells| Arc::clone(&cells.upstream), |_| 0);
    }

    /// What is counted of one version of a plugin while there are two.
    pub fn version_tally(&self, name: &str, version: &PluginVersion) -> VersionTally {
        let mut tally = VersionTally::default();
        let plugins = cell::lock(&self.cells.plugins);
        for cells in plugins.iter().filter(|cells| &**cells.name() == name && cells.version() == Some(version)) {
            cells.calls().for_each(|(_, calls)| tally.calls += calls);
            cells.failures().for_each(|(hook, kind, count)| tally.failures.push((hook, kind, count)));
            for (hook, result, count) in cells.comparisons() {
                *tally.comparisons.entry((hook, result)).or_default() += count;
            }
        }
        tally
    }

    /// What is counted of canaries.
    pub fn canaries(&self) -> &Canaries {
        &self.cells.canaries
    }

    /// How often a plugin met its budgets, the same counters each time.
    pub fn budget_hits(&self, plugin: &Arc<str>) -> Arc<BudgetHits> {
        let mut budgets = cell::lock(&self.cells.budgets);
        if let Some(known) = budgets.iter().find(|hits| hits.plugin() == plugin) {
            return Arc::clone(known);
        }
        let hits = Arc::new(BudgetHits::new(Arc::clone(plugin)));
        budgets.push(Arc::clone(&hits));
        hits
    }

    /// The cells of one plugin's own requests, the same ones each time. `outcomes` names how they end.
    pub fn http_client(&self, plugin: &str, outcomes: &'static [&'static str]) -> Arc<HttpClientCells> {
        let mut clients = cell::lock(&self.cells.http_clients);
        if let Some(known) = clients.iter().find(|cells| **cells.plugin() == *plugin) {
            return Arc::clone(known);
        }
        let cells = Arc::new(HttpClientCells::new(plugin.into(), outcomes));
        clients.push(Arc::clone(&cells));
        cells
    }

    /// These promises hold from now on, by route, and no others: of a route that is no more nothing is promised.
    pub fn promise(&self, slos: &BTreeMap<&str, Slo>) {
        // Configurations come and go where nobody reads metrics, too.
        self.forget_unnamed(Instant::now());
        export::each_worker(&self.cells, |worker, _| worker.each_route(|route| route.promise(slos.get(&*route.name).copied())));
    }

    /// What plugins declared.
    pub fn instruments(&self) -> &Arc<Instruments> {
        &self.cells.instruments
    }

    /// Measures what is held under that name, of a version of it where it has any, for as long as somebody has it.
    pub fn measure(&self, name: &str, version: &str, holder: &Arc<dyn Holder>) {
        cell::lock(&self.cells.holders).add(name, version, holder);
    }

    /// Who knows of upstreams from now on.
    pub fn watch_upstreams(&self, pools: Weak<dyn Pools>) {
        *cell::lock(&self.cells.pools) = Some(pools);
    }

    /// What is counted of the monitoring store.
    pub fn store(&self) -> &StoreCells {
        &self.cells.store
    }

    /// What is known of incidents.
    pub fn incidents(&self) -> &IncidentCells {
        &self.cells.incidents
    }

    /// What is counted of reloads.
    pub fn reloads(&self) -> &Reloads {
        &self.cells.reloads
    }

    /// Instances of a plugin that are alive now.
    pub fn plugin_instances(&self, name: &str) -> u64 {
        cell::lock(&self.cells.plugins).iter().filter(|cells| &**cells.name() == name).map(|cells| cells.instances()).sum()
    }

    /// Calls of a plugin so far, and how many of them failed.
    pub fn plugin_calls(&self, name: &str) -> (u64, u64) {
        let plugins = cell::lock(&self.cells.plugins);
        let of_it = || plugins.iter().filter(|cells| &**cells.name() == name && cells.serves());
        let calls = of_it().flat_map(|cells| cells.calls()).map(|(_, calls)| calls).sum();
        (calls, of_it().flat_map(|cells| cells.failures()).map(|(_, _, failures)| failures).sum())
    }

    /// Breakers of a plugin, for every hook that ever had one open.
    pub fn plugin_breakers(&self, name: &str) -> Vec<(&'static str, BreakerReading)> {
        let all = export::breakers(&self.cells);
        all.into_iter().filter(|((plugin, _), _)| &**plugin == name).map(|((_, hook), reading)| (hook, reading)).collect()
    }

    /// Records that no observer got, counted on the control thread.
    pub fn records_lost(&self, records: u64) {
        self.cells.lost_on_control.add(records);
    }

    /// Spans that a receiver took.
    pub fn spans_sent(&self, spans: u64) {
        self.cells.spans_sent.add(spans);
    }

    /// Spans that no receiver took.
    pub fn spans_lost(&self, spans: u64) {
        self.cells.spans_lost.add(spans);
    }

    /// Something could not be sent by OTLP, and is perhaps tried again.
    pub fn otlp_failed(&self) {
        self.cells.otlp_failed.add(1);
    }

    /// Since when is counted.
    pub fn began(&self) -> SystemTime {
        self.began
    }

    /// Every series there is.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.forget_unnamed(Instant::now());
        self.registry.gather()
    }

    /// The same, with durations of requests by method, status and scheme, too.
    pub fn gather_by_answer(&self) -> Vec<MetricFamily> {
        let mut families = self.gather();
        let by_answer = families::Families::new(Arc::clone(&self.cells)).map(|own| own.durations_by_answer());
        if let (Ok(by_answer), Some(durations)) = (by_answer, families.iter_mut().find(|family| family.name() == names::REQUEST_DURATION)) {
            *durations = by_answer;
        }
        families
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> Vec<u8> {
        let families = self.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| format!("# {error}\n")).into_bytes()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("cells", &self.cells).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
