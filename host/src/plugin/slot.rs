//! A worker's place for one plugin: the instance that serves, and how a failed one is replaced.
//!
//! A plugin that cannot wait has exactly one instance per worker, so a call needs no pool and no lock. Instances arrive
//! ready from the control side. One that trapped is replaced at once, because the next request may need it: made here
//! where that takes next to nothing, as for nearly every plugin, and otherwise taken from the nursery, where a spare waits.

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use wasmtime::Store;

use super::budget::thread_cpu_time;
use super::guest::Guest;
use super::hooks::Hooks;
use super::instance::{Failure, FailureKind, Instance, Surroundings};
use super::nursery::Coming;
use super::recipe::{Recipe, SetupError, SetupTime};
use super::rights::Hook;
use crate::exchange::{Exchange, Phase};
use crate::fault::Fault;
use crate::telemetry::PluginCells;

/// One plugin on one worker.
#[derive(Debug)]
pub struct Slot {
    recipe: Arc<Recipe>,
    surroundings: Surroundings,
    cells: Arc<PluginCells>,
    state: State,
    /// Of a plugin that is too dear to be made on a worker.
    spare: Option<Coming>,
}

#[derive(Debug)]
enum State {
    Ready(Instance),
    /// Could not be replaced; tried again after a while, so that a plugin that always fails to start costs little.
    Broken {
        failure: Failure,
        retry_at: Instant,
    },
}

/// Pause between attempts to replace an instance that does not start.
const RETRY: Duration = Duration::from_secs(1);

/// What became of a call: the exchange always comes back.
pub type Called<R> = (Box<Exchange>, Result<R, Fault>);

impl Slot {
    /// A slot with a ready instance. Runs guest code under its setup budget: call it off the workers.
    ///
    /// # Errors
    /// When the instance cannot be made ready; see [`SetupError`].
    pub fn new(recipe: Arc<Recipe>, surroundings: Surroundings, cells: Arc<PluginCells>) -> Result<Self, SetupError> {
        let began = thread_cpu_time();
        let instance = recipe.instantiate(&surroundings, SetupTime::PerCall)?;
        let is_dear = thread_cpu_time().saturating_sub(began) > here(&recipe);
        let spare = is_dear.then(|| surroundings.nursery.order(&recipe, &surroundings));
        cells.instance_started();
        Ok(Self { recipe, surroundings, cells, state: State::Ready(instance), spare })
    }

    /// The plugin's configured name.
    pub fn name(&self) -> &Arc<str> {
        &self.recipe.name
    }

    /// What it is made from.
    pub fn recipe(&self) -> &Arc<Recipe> {
        &self.recipe
    }

    /// Calls a hook with an exchange and checks what it answered. Whatever happens the exchange comes back, with the
    /// hook's changes or as it was before.
    pub(super) fn call<A, R>(
        &mut self,
        hook: Hook,
        phase: Phase,
        exchange: Box<Exchange>,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<A>,
        check: impl FnOnce(A, &mut Store<Guest>) -> Result<R, Failure>,
    ) -> Called<R> {
        self.cells.called(hook as usize);
        let instance = match self.ready() {
            Ok(instance) => instance,
            Err(failure) => {
                let fault = failure.fault();
                return (exchange, Err(fault));
            }
        };
        let (exchange, called) = instance.call_with(phase, exchange, |hooks, store| {
            let answer = call(hooks, store)?;
            check(answer, store).map_err(wasmtime::Error::from)
        });
        let Some(exchange) = exchange else {
            // Nothing takes the exchange out of a store but the call that put it there.
            unreachable!("an exchange is only moved out of a store by `call_with`")
        };
        match called {
            Ok(answer) => (exchange, Ok(answer)),
            Err(failure) => {
                self.failed(hook, &failure, &exchange);
                (exchange, Err(failure.fault()))
            }
        }
    }

    /// Calls a hook off the request's path.
    pub(super) fn call_aside<R>(
        &mut self,
        hook: Hook,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        self.cells.called(hook as usize);
        let limit = self.recipe.budget.setup_cpu;
        let called = self.ready()?.call(limit, call);
        if let Err(failure) = &called {
            tracing::warn!(plugin = %self.recipe.name, hook = hook.as_str(), kind = failure.kind.as_str(), error = %failure, "A plugin failed");
            self.cells.failed(hook as usize, failure.kind as usize);
            self.replace(failure);
        }
        called
    }

    fn ready(&mut self) -> Result<&mut Instance, Failure> {
        if let State::Broken { failure, retry_at } = &self.state {
            if Instant::now() < *retry_at {
                return Err(failure.clone());
            }
            let failure = failure.clone();
            self.replace(&failure);
        }
        match &mut self.state {
            State::Ready(instance) => Ok(instance),
            State::Broken { failure, .. } => Err(failure.clone()),
        }
    }

    #[cold]
    fn failed(&mut self, hook: Hook, failure: &Failure, exchange: &Exchange) {
        tracing::warn!(
            plugin = %self.recipe.name,
            hook = hook.as_str(),
            kind = failure.kind.as_str(),
            route = %exchange.route.name,
            request_id = exchange.id.to_str().unwrap_or_default(),
            error = %failure,
            "A plugin failed"
        );
        self.cells.failed(hook as usize, failure.kind as usize);
        if !failure.leaves_instance_whole() {
            self.replace(failure);
        }
    }

    #[cold]
    fn replace(&mut self, why: &Failure) {
        if why.leaves_instance_whole() && matches!(self.state, State::Ready(_)) {
            return;
        }
        if matches!(self.state, State::Ready(_)) {
            self.cells.instance_ended();
        }
        // The old one goes first: its slot in the pool may be the last.
        self.state = State::Broken { failure: why.clone(), retry_at: Instant::now() + RETRY };
        match self.another() {
            Some(Ok(instance)) => {
                self.cells.instance_started();
                self.state = State::Ready(instance);
            }
            Some(Err(SetupError { failure, .. })) => {
                tracing::error!(plugin = %self.recipe.name, error = %failure, "A plugin's instance could not be replaced");
                self.state = State::Broken { failure, retry_at: Instant::now() + RETRY };
            }
            // It comes as soon as it is made; every request asks.
            None => self.state = State::Broken { failure: why.clone(), retry_at: Instant::now() },
        }
    }

    /// Another instance; `None` while one is being made.
    fn another(&mut self) -> Option<Result<Instance, SetupError>> {
        if self.spare.is_none() {
            match self.recipe.instantiate(&self.surroundings, SetupTime::InAll(here(&self.recipe))) {
                // Dearer than it was at first: it is made elsewhere.
                Err(SetupError { failure, .. }) if failure.kind == FailureKind::Cpu => self.order(),
                made => return Some(made),
            }
        }
        match self.spare.as_ref()?.try_recv() {
            Ok(made) => {
                // On a busy machine a cheap one can look dear for once.
                self.spare = None;
                if made.took > here(&self.recipe) {
                    self.order();
                }
                Some(made.instance)
            }
            Err(TryRecvError::Empty) => None,
            // The nursery is gone, as at the end of a process.
            Err(TryRecvError::Disconnected) => Some(self.recipe.instantiate(&self.surroundings, SetupTime::InAll(here(&self.recipe)))),
        }
    }

    fn order(&mut self) {
        self.spare = Some(self.surroundings.nursery.order(&self.recipe, &self.surroundings));
    }
}

/// CPU time a worker may spend on making an instance: as much as the operator lets a call take.
fn here(recipe: &Recipe) -> Duration {
    recipe.budget.cpu
}

impl Drop for Slot {
    fn drop(&mut self) {
        if matches!(self.state, State::Ready(_)) {
            self.cells.instance_ended();
        }
    }
}

impl From<FailureKind> for &'static str {
    fn from(kind: FailureKind) -> Self {
        kind.as_str()
    }
}
