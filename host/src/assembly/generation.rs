//! Instances, made ready on the control side: each worker's share of a snapshot, and the observers.

use std::sync::Arc;
use std::time::Instant;

use super::timers::Timers;
use super::{Assembled, AssembledPlugin, Workshop};
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::config::model::Config;
use crate::config::{Problem, Problems};
use crate::pipeline::Plugins;
use crate::plugin::{FailureKind, Hook, Recipe, SetupError, Slot, Surroundings};
use crate::proxy::{Batch, Generation};
use crate::upstream::RoundRobin;

/// What runs on the control side of one snapshot: observers and timers. A plugin that is both has one instance for it.
#[derive(Debug)]
pub struct Observers {
    snapshot: u64,
    slots: Vec<Slot>,
    timers: Timers,
}

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
        let snapshot = Arc::clone(&assembled.snapshot);
        let facts = |facts: &crate::exchange::RouteFacts| cells.route(&facts.name, facts.api.as_deref(), facts.version.as_deref());
        Ok(Generation {
            plugins,
            cells: snapshot.routes.iter().map(|route| facts(&route.facts)).collect(),
            unrouted: facts(&snapshot.unrouted),
            upstreams: snapshot.routes.iter().map(|route| cells.upstream(&route.upstream.name)).collect(),
            native: snapshot.routes.iter().map(|_| RoundRobin::default()).collect(),
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
        if problems.is_empty() { Ok(Observers { snapshot: assembled.snapshot.number, slots, timers }) } else { Err(problems) }
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
            for error in plugin.recipe.refusals(&self.surroundings(&plugin.recipe, CONTROL)) {
                problems.push(setup_problem(config, plugin, &error));
            }
        }
    }

    fn slot(&self, plugin: &AssembledPlugin, thread: usize) -> Result<Slot, SetupError> {
        let recipe = &plugin.recipe;
        let cells = self.telemetry.plugin(&recipe.name, thread, &Hook::NAMES, &FailureKind::NAMES);
        Slot::new(Arc::clone(recipe), self.surroundings(recipe, thread), cells)
    }

    fn surroundings(&self, recipe: &Recipe, thread: usize) -> Surroundings {
        Surroundings {
            name: Arc::clone(&recipe.name),
            budget: Arc::clone(&recipe.budget),
            log: PluginLog::new(Arc::clone(&recipe.name), Arc::clone(&recipe.granted.secrets), recipe.budget.log_lines_per_second),
            metrics: PluginMetrics::new(self.telemetry.instruments(), &recipe.name, thread, recipe.budget.max_series),
            granted: recipe.granted.clone(),
            endpoints: Arc::clone(&recipe.endpoints),
            nursery: self.nursery.clone(),
        }
    }
}

fn setup_problem(config: &Config, plugin: &AssembledPlugin, error: &SetupError) -> Problem {
    let name = &plugin.recipe.name;
    match error.configuration.and_then(|id| plugin.origins.get(id)) {
        Some(origin) => {
            // The table where it is used, or else its own.
            let tables = [format!("{origin}.config"), format!("plugins.{name}.config")];
            let table = tables.into_iter().find(|table| config.places.knows(table)).unwrap_or_else(|| origin.clone());
            config.problem(table, format!("plugin `{name}` does not take its configuration: {}", error.failure))
        }
        None => config.problem(format!("plugins.{name}"), format!("plugin `{name}` does not start: {}", error.failure)),
    }
}

impl Observers {
    /// When the next timer is due; `None` without any.
    pub fn next_tick(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Ticks the timers that are due, for a few milliseconds at most, save the last of them. What fails is counted and logged where it
    /// is called.
    pub fn tick(&mut self) {
        let Self { slots, timers, .. } = self;
        timers.run(Instant::now, |due| {
            if let Some(slot) = slots.get_mut(due.slot) {
                let _ = slot.on_tick(due.config);
            }
        });
    }

    /// Hands a batch to the observers it is for. A batch of an earlier snapshot is lost to them, and counted by the caller.
    ///
    /// # Errors
    /// How many records were lost.
    pub fn complete(&mut self, batch: Batch) -> Result<(), u64> {
        if batch.snapshot != self.snapshot {
            return Err(batch.records.len() as u64);
        }
        let mut lost = 0;
        let mut by_observer: Vec<Vec<_>> = self.slots.iter().map(|_| Vec::new()).collect();
        for addressed in batch.records {
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
}
