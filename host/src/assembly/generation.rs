//! Instances, made ready on the control side: each worker's share of a snapshot, and the observers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderName;

use super::observers::Observers;
use super::timers::Timers;
use super::{Assembled, AssembledPlugin, Workshop};
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::config::model::Config;
use crate::config::{Problem, Problems};
use crate::exchange::RouteFacts;
use crate::pipeline::Plugins;
use crate::places::Quota;
use crate::plugin::{Computing, FailureKind, Hook, InstanceMemory, Reserve, SetupError, Slot, Surroundings};
use crate::proxy::{Generation, RoutePlan, Tracing};
use crate::telemetry::{AccessPlan, BudgetHits, Holder};
use crate::trace::Sampler;
use crate::upstream::RoundRobins;

/// The control side's place among the threads that have instances.
pub(super) const CONTROL: usize = usize::MAX;

impl Workshop {
    /// One worker's share of a snapshot.
    ///
    /// # Errors
    /// Every plugin that could not be made ready.
    pub fn generation(&self, config: &Config, assembled: &Assembled, worker: usize) -> Result<Generation, Problems> {
        let slots = self.slots(config, assembled, &assembled.on_workers, worker)?;
        if worker == 0 {
            slots.iter().for_each(tell_left_out);
        }
        let plugins = Plugins::new(slots);
        let cells = self.telemetry.worker(worker);
        // Without a receiver nobody would ever see the spans that others hang theirs on.
        let sampler = config
            .otlp
            .as_ref()
            .filter(|otlp| otlp.traces)
            .map(|_| Sampler::new(config.tracing.sample.0, config.tracing.follows_callers, Arc::clone(&assembled.rate)));
        let snapshot = Arc::clone(&assembled.snapshot);
        let routes = snapshot.routes_for(worker, &plugins);
        if worker == 0 {
            tell_kept_from_clients(&routes);
        }
        let facts = |facts: &RouteFacts| cells.route(&facts.name, facts.api.as_deref(), facts.version.as_deref());
        Ok(Generation {
            plugins,
            tracing: Arc::new(Tracing::new(config, sampler)),
            access_log: config.access_log.enabled.then(|| Arc::new(AccessPlan::new(&config.access_log))),
            cells: snapshot.routes.iter().map(|route| facts(&route.facts)).collect(),
            unrouted: facts(&snapshot.unrouted),
            upstreams: snapshot.routes.iter().map(|route| cells.upstream(&route.upstream.name)).collect(),
            native: RoundRobins::new(routes.iter().map(|route| &route.upstream)),
            no_route: Arc::new(RouteFacts::clone(&snapshot.unrouted)),
            routes,
            in_flight: Quota::new(config.limits.max_requests_in_flight, config.workers),
            ended_by: Some(self.retired.clone()),
            snapshot,
        })
    }

    /// The observers and timers of a snapshot.
    ///
    /// # Errors
    /// Every plugin that could not be made ready.
    pub fn observers(&self, config: &Config, assembled: &Assembled) -> Result<Observers, Problems> {
        let mut slots = self.slots(config, assembled, &assembled.on_control, CONTROL)?;
        let (mut timers, mut problems) = (Timers::default(), Problems::new(&config.file));
        let now = Instant::now();
        for ((number, slot), plugin) in slots.iter_mut().enumerate().zip(&assembled.on_control) {
            match (slot.periods(), assembled.plugins.get(*plugin)) {
                (Ok(periods), _) => periods.into_iter().for_each(|(id, period)| timers.add(number, id, period, now)),
                (Err(error), Some(plugin)) => problems.push(setup_problem(config, plugin, &error)),
                (Err(_), None) => {}
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let snapshot = Arc::downgrade(&assembled.snapshot);
        Ok(Observers { number: assembled.snapshot.number, snapshot, slots, timers })
    }

    fn slots(&self, config: &Config, assembled: &Assembled, numbers: &[usize], thread: usize) -> Result<Vec<Slot>, Problems> {
        let mut problems = Problems::new(&config.file);
        let mut slots = Vec::with_capacity(numbers.len());
        for plugin in numbers.iter().filter_map(|number| assembled.plugins.get(*number)) {
            match self.slot(plugin, thread) {
                Ok(slot) => slots.push(slot),
                Err(error) => problems.push(setup_problem(config, plugin, &error)),
            }
        }
        if problems.is_empty() { Ok(slots) } else { Err(problems) }
    }

    /// Tells every plugin every configuration it is to have, and reports each it does not take.
    pub fn try_out(&self, config: &Config, plugins: &[AssembledPlugin], problems: &mut Problems) {
        for plugin in plugins {
            let surroundings = self.surroundings(plugin, CONTROL);
            for error in plugin.recipe.refusals(&surroundings) {
                error.failure.budget.into_iter().for_each(|key| surroundings.hits.count(key, 1));
                problems.push(setup_problem(config, plugin, &error));
            }
        }
    }

    fn slot(&self, plugin: &AssembledPlugin, thread: usize) -> Result<Slot, SetupError> {
        let recipe = &plugin.recipe;
        // Versions are held against each other by what requests call.
        let counted_as = plugin.counted_as.as_ref().filter(|_| thread != CONTROL);
        let digest = Arc::from(recipe.component.digest.as_str());
        let cells = self.telemetry.plugin(&recipe.name, &digest, counted_as, thread, &Hook::NAMES, &FailureKind::NAMES);
        Slot::new(Arc::clone(recipe), self.surroundings(plugin, thread), cells)
    }

    fn surroundings(&self, plugin: &AssembledPlugin, thread: usize) -> Surroundings {
        let recipe = &plugin.recipe;
        let is_shadow = plugin.counted_as.as_ref().is_some_and(|version| version.is_shadow);
        // What a version does that answers nobody is not what the plugin did.
        let hits = if is_shadow { Arc::new(BudgetHits::new(Arc::clone(&recipe.name))) } else { self.telemetry.budget_hits(&recipe.name) };
        let nobody = Arc::default();
        let instruments = if is_shadow { &nobody } else { self.telemetry.instruments() };
        let called = if is_shadow { Arc::from(format!("{} (shadow)", recipe.name)) } else { Arc::clone(&recipe.name) };
        let memory = Arc::new(InstanceMemory::default());
        let held: Arc<dyn Holder> = Arc::clone(&memory) as _;
        self.telemetry.measure(&recipe.name, recipe.component.short_digest(), &held);
        Surroundings {
            name: Arc::clone(&recipe.name),
            budget: Arc::clone(&recipe.budget),
            log: PluginLog::new(
                called,
                &recipe.component.digest,
                Arc::clone(&recipe.granted.secrets),
                Arc::clone(&recipe.log_rate),
                Arc::clone(&hits),
            ),
            metrics: PluginMetrics::new(instruments, &recipe.name, thread, recipe.budget.max_series),
            hits,
            granted: recipe.granted.clone(),
            http_client: recipe.http_client.clone(),
            reserve: Reserve::of(recipe.budget.instances),
            computing: Computing::nobody(),
            endpoints: Arc::clone(&recipe.endpoints),
            nursery: self.nursery.clone(),
            memory,
        }
    }
}

/// What is configured and never called should be known.
fn tell_left_out(slot: &Slot) {
    for (hook, configurations) in slot.left_out() {
        tracing::info!(plugin = %slot.name(), hook = hook.as_str(), configurations, "A filter says that it has nothing to do with some of its configurations, and is not called there");
    }
}

/// Nor should anybody wonder where a header went.
fn tell_kept_from_clients(routes: &[Arc<RoutePlan>]) {
    let upstreams: BTreeMap<_, _> = routes.iter().map(|route| (&route.upstream.name, &route.kept_from_clients)).collect();
    for (upstream, names) in upstreams.into_iter().filter(|(_, names)| !names.is_empty()) {
        let headers = names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(" ");
        tracing::info!(%upstream, headers, "A plugin says these request headers to the upstream, so they are taken from all requests of clients that go there");
    }
}

fn setup_problem(config: &Config, plugin: &AssembledPlugin, error: &SetupError) -> Problem {
    let name = &plugin.recipe.name;
    let why = match error.failure.kind {
        FailureKind::Refused => "refused-configuration",
        kind => kind.as_str(),
    };
    match error.configuration.and_then(|id| plugin.origins.get(id)) {
        Some(origin) => {
            // The table where it is used, or else its own.
            let tables = [format!("{origin}.config"), format!("plugins.{name}.config")];
            let table = tables.into_iter().find(|table| config.places.knows(table)).unwrap_or_else(|| origin.clone());
            config.problem(table, format!("plugin `{name}` does not take its configuration: {}", error.failure)).of_plugin(name, why)
        }
        None => {
            let message = format!("plugin `{name}` does not start: {}", error.failure);
            config.problem(format!("plugins.{name}"), message).of_plugin(name, why)
        }
    }
}
