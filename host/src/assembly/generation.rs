//! Instances, made ready on the control side: each worker's share of a snapshot, and the observers.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::timers::Timers;
use super::{Assembled, AssembledPlugin, Workshop};
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::config::model::Config;
use crate::config::{Problem, Problems};
use crate::pipeline::Plugins;
use crate::plugin::{FailureKind, Hook, SetupError, Slot, Surroundings};
use crate::proxy::{Addressed, Batch, Generation, Snapshot, Tracing};
use crate::telemetry::{AccessPlan, BudgetHits};
use crate::trace::Sampler;
use crate::upstream::RoundRobin;

/// What runs on the control side, observers and timers: those of what serves, and the observers of what served before as long as
/// requests are in flight on it. A plugin that is both has one instance for it.
#[derive(Debug)]
pub struct Observers {
    serving: Set,
    earlier: Vec<Set>,
}

/// The observers and timers of one snapshot.
#[derive(Debug)]
struct Set {
    number: u64,
    snapshot: Weak<Snapshot>,
    slots: Vec<Slot>,
    timers: Timers,
    /// Since when no worker serves by it.
    over: Option<Instant>,
}

/// How long the last records of a snapshot may be on their way: workers hand over what they have several times within it.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// The control side's place among the threads that have instances.
const CONTROL: usize = usize::MAX;

impl Workshop {
    /// One worker's share of a snapshot.
    ///
    /// # Errors
    /// Every plugin that could not be made ready.
    pub fn generation(&self, config: &Config, assembled: &Assembled, worker: usize) -> Result<Generation, Problems> {
        let plugins = Plugins::new(self.slots(config, assembled, &assembled.on_workers, worker)?);
        let cells = self.telemetry.worker(worker);
        // Without a receiver nobody would ever see the spans that others hang theirs on.
        let sampler = config
            .otlp
            .as_ref()
            .filter(|otlp| otlp.traces)
            .map(|_| Sampler::new(config.tracing.sample.0, config.tracing.follows_callers, Arc::clone(&assembled.rate)));
        let snapshot = Arc::clone(&assembled.snapshot);
        let facts = |facts: &crate::exchange::RouteFacts| cells.route(&facts.name, facts.api.as_deref(), facts.version.as_deref());
        Ok(Generation {
            plugins,
            tracing: Arc::new(Tracing::new(config, sampler)),
            access_log: config.access_log.enabled.then(|| Arc::new(AccessPlan::new(&config.access_log))),
            cells: snapshot.routes.iter().map(|route| facts(&route.facts)).collect(),
            unrouted: facts(&snapshot.unrouted),
            upstreams: snapshot.routes.iter().map(|route| cells.upstream(&route.upstream.name)).collect(),
            native: snapshot.routes.iter().map(|_| RoundRobin::default()).collect(),
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
        let serving = Set { number: assembled.snapshot.number, snapshot, slots, timers, over: None };
        Ok(Observers { serving, earlier: Vec::new() })
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
            for error in plugin.recipe.refusals(&self.surroundings(plugin, CONTROL)) {
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
        Surroundings {
            name: Arc::clone(&recipe.name),
            budget: Arc::clone(&recipe.budget),
            log: PluginLog::new(
                called,
                &recipe.component.digest,
                Arc::clone(&recipe.granted.secrets),
                recipe.budget.log_lines_per_second,
                Arc::clone(&hits),
            ),
            metrics: PluginMetrics::new(instruments, &recipe.name, thread, recipe.budget.max_series),
            hits,
            granted: recipe.granted.clone(),
            endpoints: Arc::clone(&recipe.endpoints),
            nursery: self.nursery.clone(),
        }
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

impl Observers {
    /// When the next timer of what serves is due; `None` without any.
    pub fn next_tick(&self) -> Option<Instant> {
        self.serving.timers.next()
    }

    /// Ticks the timers that are due, for a few milliseconds at most, save the last of them. What fails is counted and logged where it
    /// is called.
    pub fn tick(&mut self) {
        let Set { slots, timers, .. } = &mut self.serving;
        timers.run(Instant::now, |due| {
            if let Some(slot) = slots.get_mut(due.slot) {
                let _ = slot.on_tick(due.config);
            }
        });
    }

    /// Puts those of another snapshot in the place of those that serve. What is still in flight is told to these.
    pub fn replace(&mut self, next: Self) {
        self.earlier.push(std::mem::replace(&mut self.serving, next.serving));
    }

    /// Whether there are observers of what served before.
    pub fn has_earlier(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// Ends those that no record can be for any more.
    pub fn end_earlier(&mut self, now: Instant) {
        self.earlier.retain_mut(|set| {
            let is_over = set.snapshot.strong_count() == 0;
            let over = is_over.then(|| *set.over.get_or_insert(now));
            over.is_none_or(|since| now.saturating_duration_since(since) < ON_THE_WAY)
        });
    }

    /// Hands a batch to the observers it is for.
    ///
    /// A stream can end long after the version it began with. Its record then goes to what observes its route by the same name
    /// today: an open stream must not keep a version alive that has nothing else to do.
    ///
    /// # Errors
    /// How many records were lost.
    pub fn complete(&mut self, batch: Batch) -> Result<(), u64> {
        let mut sets = std::iter::once(&mut self.serving).chain(&mut self.earlier);
        match sets.find(|set| set.number == batch.snapshot) {
            Some(set) => set.complete(batch.records),
            None => {
                let all = batch.records.len();
                let redirected: Vec<_> = batch.records.into_iter().filter_map(|addressed| self.serving.redirect(addressed)).collect();
                let lost = (all - redirected.len()) as u64;
                let lost = lost + self.serving.complete(redirected).err().unwrap_or_default();
                if lost == 0 { Ok(()) } else { Err(lost) }
            }
        }
    }
}

impl Set {
    fn complete(&mut self, records: Vec<Addressed>) -> Result<(), u64> {
        let mut lost = 0;
        let mut by_observer: Vec<Vec<_>> = self.slots.iter().map(|_| Vec::new()).collect();
        for addressed in records {
            match by_observer.get_mut(addressed.observer) {
                Some(records) => records.push(addressed.record),
                None => lost += 1,
            }
        }
        for (slot, records) in self.slots.iter_mut().zip(by_observer) {
            if !records.is_empty() && slot.on_complete(&records).is_err() {
                lost += records.len() as u64;
            }
        }
        if lost == 0 { Ok(()) } else { Err(lost) }
    }

    /// The same record for the plugin of that name on the route of that name.
    fn redirect(&self, mut addressed: Addressed) -> Option<Addressed> {
        let snapshot = self.snapshot.upgrade()?;
        let route = snapshot.routes.iter().find(|route| *route.facts.name == *addressed.record.route)?;
        let place = route.chain.observers.iter().find(|place| place.name == addressed.plugin)?;
        addressed.observer = place.slot;
        addressed.record.config_id = place.config;
        Some(addressed)
    }
}
