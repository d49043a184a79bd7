//! A worker's place for one plugin: the instance that serves, how a failed one is replaced, and when calls are not made.
//!
//! A plugin that cannot wait has exactly one instance per worker, so a call needs no pool and no lock. Instances arrive
//! ready from the control side. One that trapped is replaced at once, because the next request may need it (`supply`). With
//! `isolation = "request"` each call has an instance of its own, made for it and ended with it; calls do not overlap, so there is
//! still at most one. What keeps failing is left alone for a while (`breaker`).

mod failing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderName;
use wasmtime::Store;

use super::breaker::{Breakers, FIRST_PAUSE};
use super::failure::{Failure, FailureKind};
use super::guest::Guest;
use super::hooks::Hooks;
use super::instance::{Instance, Surroundings};
use super::kept_from_clients::KeptFromClients;
use super::kept_plans::KeptPlans;
use super::left_out::{LeftOut, Stands};
use super::pool::Pool;
use super::recipe::{Recipe, SetupError, SetupTime};
use super::rights::Hook;
use super::supply::{Another, Supply};
use crate::config::model::Isolation;
use crate::exchange::{Exchange, Phase};
use crate::fault::Fault;
use crate::telemetry::PluginCells;
use failing::spent;

pub(super) use failing::{After, ELSEWHERE};

/// One plugin on one worker. What every call touches stands together, at the beginning.
#[derive(Debug)]
#[repr(C)]
pub struct Slot {
    cells: Arc<PluginCells>,
    /// Whether an instance serves more than one call, as the recipe says, and whether there is a pool: copies, which are here already.
    keeps: bool,
    runs_in_turns: bool,
    /// `None` while it could not be replaced yet, and between calls that each have their own.
    instance: Option<Instance>,
    breakers: Breakers,
    supply: Supply,
    /// Those of a plugin whose calls overlap.
    pub(super) pool: Option<Pool>,
    /// What its forwarder need not be asked again.
    pub(super) plans: KeptPlans,
    /// Hooks that have nothing to do with a configuration.
    left_out: LeftOut,
    /// Headers that it says in place of clients.
    kept_from_clients: KeptFromClients,
}

/// What became of a call: the exchange always comes back.
pub type Called<R> = (Box<Exchange>, Result<R, Fault>);

/// Why a call is not made.
#[derive(Debug)]
pub(super) struct NotNow {
    pub(super) kind: FailureKind,
    /// Until it may be.
    pub(super) pause: Duration,
}

impl NotNow {
    /// As `retry-after` has it.
    pub(super) fn seconds(&self) -> u64 {
        self.pause.as_secs().saturating_add(u64::from(self.pause.subsec_nanos() > 0))
    }
}

/// Hooks that always run in one go: a router's instance is the one that learns, and batches are no affair of a request.
const IN_PLACE: [Hook; 5] = [Hook::Router, Hook::OutcomeObserver, Hook::Forwarder, Hook::Observer, Hook::BatchObserver];

impl Slot {
    /// A slot of a plugin that starts. Runs guest code under its setup budget: call it off the workers.
    ///
    /// # Errors
    /// When the instance cannot be made ready; see [`SetupError`].
    pub fn new(recipe: Arc<Recipe>, surroundings: Surroundings, cells: Arc<PluginCells>) -> Result<Self, SetupError> {
        let (supply, first) = Supply::open(Arc::clone(&recipe), surroundings)?;
        cells.instance_started();
        let (left_out, kept_from_clients) = (first.left_out().clone(), first.kept_from_clients().clone());
        // Hooks that run in one go have an instance of their own beside those that are lent.
        let in_place = !recipe.runs_in_turns() || IN_PLACE.into_iter().any(|hook| recipe.has(hook));
        let (own, first) = if in_place { (Some(first), None) } else { (None, Some(first)) };
        let pool = recipe.runs_in_turns().then(|| Pool::new(first));
        let (breakers, plans) = (Breakers::new(recipe.budget.failed_cpu), KeptPlans::default());
        let (keeps, runs_in_turns) = (recipe.isolation == Isolation::Worker, pool.is_some());
        let mut slot = Self { cells, keeps, runs_in_turns, instance: own, breakers, supply, pool, plans, left_out, kept_from_clients };
        slot.call_ended();
        Ok(slot)
    }

    /// The plugin's configured name.
    pub fn name(&self) -> &Arc<str> {
        &self.recipe().name
    }

    /// Whether a filter has nothing to do in a place with that configuration.
    pub fn leaves_out(&self, hook: Hook, config: u32, stands: Stands) -> bool {
        self.left_out.has(hook, config, stands)
    }

    /// Filters that some configurations leave without work wherever they stand, and how many do.
    pub fn left_out(&self) -> BTreeMap<Hook, usize> {
        self.left_out.counted()
    }

    /// Request headers that it says to the upstream of a place with that configuration, and no client may.
    pub fn kept_from_clients(&self, config: u32) -> &[HeaderName] {
        self.kept_from_clients.of(config)
    }

    /// Its counters.
    pub fn cells(&self) -> &Arc<PluginCells> {
        &self.cells
    }

    /// What it is made from.
    pub fn recipe(&self) -> &Arc<Recipe> {
        self.supply.recipe()
    }

    /// Configurations whose timer is ticked, and how often. Runs guest code under its setup budget.
    ///
    /// # Errors
    /// When the guest fails, or says what is no period of a timer.
    pub fn periods(&mut self) -> Result<Vec<(u32, Duration)>, SetupError> {
        let recipe = Arc::clone(self.recipe());
        if !recipe.has(Hook::Timer) {
            return Ok(Vec::new());
        }
        let mut own = None;
        let pool = &mut self.pool;
        let instance = match self.instance.as_mut().or_else(|| pool.as_mut()?.all().last()) {
            Some(instance) => instance,
            // One that serves calls is made for each of them.
            None => own.insert(recipe.instantiate(self.supply.surroundings(), SetupTime::PerCall, None)?),
        };
        let mut periods = Vec::new();
        for (number, id) in (0..).zip(0..recipe.configurations.len()) {
            let period = recipe.period(instance, id).map_err(|failure| SetupError { configuration: Some(id), failure })?;
            periods.extend(period.map(|period| (number, period)));
        }
        Ok(periods)
    }

    /// Tells its instances, on the thread of that number, that their configurations are left behind: nothing calls them any more.
    pub fn retire(&mut self, thread: usize) {
        let recipe = Arc::clone(self.recipe());
        // One that serves a single call knows one configuration, and ends with the call.
        if !recipe.has(Hook::Lifecycle) || !self.keeps() {
            return;
        }
        for instance in self.instance.iter_mut().chain(self.pool.iter_mut().flat_map(Pool::all)) {
            instance.on_thread(thread);
            if let Err(failure) = recipe.unconfigure(instance) {
                tracing::warn!(plugin = %recipe.name, version = recipe.component.short_digest(), %failure, "An instance failed as it was told to forget its configurations");
            }
        }
    }

    /// Calls a hook, for the place with that configuration, with an exchange and checks what it answered. Whatever happens the
    /// exchange comes back, with the hook's changes or as it was before.
    // In a frame of its own: in that of a whole request, which has kilobytes, its variables would lie far apart.
    #[inline(never)]
    pub(super) fn call<A, R>(
        &mut self,
        (hook, config): (Hook, u32),
        phase: Phase,
        mut exchange: Box<Exchange>,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<A>,
        check: impl FnOnce(A, &mut Store<Guest>) -> Result<R, Failure>,
    ) -> Called<R> {
        let clock = self.clock();
        let (instance, began) = match self.ready(hook, config) {
            Ok(ready) => ready,
            Err(not_now) => {
                exchange.retry_after = Some(not_now.seconds());
                return (exchange, Err(Fault::PluginUnavailable));
            }
        };
        let (exchange, called) = instance.call_with(phase, exchange, |hooks, store| {
            let answer = call(hooks, store)?;
            check(answer, store).map_err(wasmtime::Error::from)
        });
        let seen = instance.cpu_seen();
        self.took(hook, began);
        self.call_ended();
        let Some(exchange) = exchange else {
            // Nothing takes the exchange out of a store but the call that put it there.
            unreachable!("an exchange is only moved out of a store by `call_with`")
        };
        match called {
            Ok(answer) => {
                self.answered(hook, config);
                (exchange, Ok(answer))
            }
            Err(failure) => {
                let spent = spent(clock, seen, self.recipe().budget.cpu);
                self.failed((hook, config), &failure, Some(&exchange), spent);
                (exchange, Err(failure.fault()))
            }
        }
    }

    /// Calls a hook off the request's path, for `limit` of CPU time at most.
    pub(super) fn call_aside<R>(
        &mut self,
        (hook, config): (Hook, u32),
        limit: Duration,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        let clock = self.clock();
        let (instance, began) = self.ready(hook, config).map_err(|not_now| Failure::not_called(not_now.kind))?;
        let called = instance.call(Phase::Aside, limit, call);
        let seen = instance.cpu_seen();
        self.took(hook, began);
        self.call_ended();
        match &called {
            Ok(_) => self.answered(hook, config),
            Err(failure) => self.failed((hook, config), failure, None, spent(clock, seen, limit)),
        }
        called
    }

    /// Whether its calls of hooks that can wait go by `plugin::waiting`.
    pub fn runs_in_turns(&self) -> bool {
        self.runs_in_turns
    }

    /// Whether a call must not be made now, counted as one that was not.
    pub(super) fn not_now(&self, hook: Hook, config: u32) -> Option<NotNow> {
        self.is_left_alone((hook, config)).inspect(|not_now| self.cells.failed(hook as usize, not_now.kind as usize))
    }

    /// The instance a call may be made on, if it may be made now, and the moment if the call's time is taken.
    fn ready(&mut self, hook: Hook, config: u32) -> Result<(&mut Instance, Option<Instant>), NotNow> {
        let mut not_now = self.is_left_alone((hook, config));
        if not_now.is_none() && self.instance.is_none() {
            // Records are for every configuration.
            self.replace((hook != Hook::Observer).then_some(config));
            // It may not have started.
            not_now = self.left_alone(hook, config);
        }
        match (not_now, &mut self.instance) {
            (None, Some(instance)) => {
                self.cells.called(hook as usize);
                Ok((instance, self.cells.begins(hook as usize)))
            }
            (not_now, _) => {
                let not_now = not_now.unwrap_or(NotNow { kind: FailureKind::NoInstance, pause: FIRST_PAUSE });
                self.cells.failed(hook as usize, not_now.kind as usize);
                Err(not_now)
            }
        }
    }

    /// As [`Slot::not_now`], of a call that is being made.
    pub(super) fn is_left_alone(&self, (hook, config): (Hook, u32)) -> Option<NotNow> {
        if self.breakers.is_clear() { None } else { self.left_alone(hook, config) }
    }

    #[cold]
    fn left_alone(&self, hook: Hook, config: u32) -> Option<NotNow> {
        let until = self.breakers.open_until(hook, config)?;
        let pause = until.saturating_duration_since(Instant::now());
        (!pause.is_zero()).then_some(NotNow { kind: FailureKind::Breaker, pause })
    }

    /// How long a call took, if that is taken.
    pub(super) fn took(&self, hook: Hook, began: Option<Instant>) {
        if let Some(began) = began {
            self.cells.took(hook as usize, began.elapsed());
        }
    }

    /// Whether an instance serves more than one call.
    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    fn call_ended(&mut self) {
        if !self.keeps() {
            self.end();
        }
    }

    fn end(&mut self) {
        if self.instance.take().is_some() {
            self.cells.instance_ended();
        }
    }

    /// Puts another instance in the place of the one that ended, if there is one yet.
    #[cold]
    fn replace(&mut self, only: Option<u32>) {
        match self.supply.another(only.filter(|_| !self.keeps())) {
            Some(Ok(instance)) => {
                self.started_one();
                self.instance = Some(instance);
            }
            Some(Err(SetupError { failure, .. })) => self.start_failed(&failure),
            // It comes as soon as it is made; every request asks.
            None => {}
        }
    }

    /// One more instance for the pool.
    pub(super) fn supply_one_more(&mut self, only: Option<u32>) -> Another {
        self.supply.one_more(only)
    }

    /// See [`Supply::is_dear`].
    pub(super) fn is_dear(&self) -> bool {
        self.supply.is_dear()
    }

    /// An instance is ready.
    pub(super) fn started_one(&mut self) {
        self.cells.instance_started();
        if let Some(scope) = self.breakers.started() {
            self.closed(scope);
        }
    }

    /// An instance could not be made ready.
    #[cold]
    pub(super) fn start_failed(&mut self, failure: &Failure) {
        self.cells.failed(Hook::Lifecycle as usize, failure.kind as usize);
        self.count_budget(failure);
        if let Some(opened) = self.breakers.start_failed(Instant::now()) {
            self.opened(&opened, failure, None);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.end();
        (0..self.pool.as_ref().map_or(0, Pool::idle)).for_each(|_| self.cells.instance_ended());
        self.breakers.open().for_each(|scope| self.cells.breaker_closed(scope.hook() as usize));
    }
}

impl From<FailureKind> for &'static str {
    fn from(kind: FailureKind) -> Self {
        kind.as_str()
    }
}
