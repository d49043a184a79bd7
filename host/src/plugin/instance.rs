//! One live instance of a plugin: a store, its hooks, and the two ways to call one: on the request's path with an
//! exchange, and off it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wasmtime::{PoolConcurrencyLimitError, Store};

use super::budget::{self, CpuExceeded, CpuMeter, InstanceMemory, MemoryLimiter};
use super::component::LoadedComponent;
use super::computing::{Computing, Place, State};
use super::guest::Guest;
use super::hooks::{Hooks, now};
use super::names::Names;
use super::nursery::Nursery;
use super::recipe::runs_in_turns;
use super::reserve::Reserve;
use super::rights::Hook;
use super::ticker::{self, Watched};
use super::wasi::Wasi;
use crate::capability::granted::Granted;
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::capability::rate_limit::RateLimits;
use crate::config::model::Budget;
use crate::exchange::{ChangeLimits, Exchange, Phase};
use crate::fault::Fault;
use crate::http_client::HttpClient;
use crate::telemetry::{BudgetHits, BudgetKey};
use crate::upstream::Directory;

/// One live instance. It belongs to one thread at a time and can be sent to another.
pub(super) struct Instance {
    store: Store<Guest>,
    hooks: Hooks,
    /// Where the exchange comes out if the store goes with a call.
    rescued: Option<oneshot::Receiver<Box<Exchange>>>,
}

/// What an instance needs besides its component.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The plugin's configured name.
    pub name: Arc<str>,
    /// What it may use.
    pub budget: Arc<Budget>,
    /// Where its log lines go.
    pub log: PluginLog,
    /// Where its metrics go.
    pub metrics: PluginMetrics,
    /// Where it is counted that it met a budget.
    pub hits: Arc<BudgetHits>,
    /// What it was granted.
    pub granted: Granted,
    /// What makes its requests, where granted.
    pub http_client: Option<Arc<HttpClient>>,
    /// How many of its calls wait for them.
    pub reserve: Arc<Reserve>,
    /// Which of its calls computes.
    pub computing: Arc<Computing>,
    /// What it may ask about endpoints.
    pub endpoints: Arc<Directory>,
    /// Where others like it are made.
    pub nursery: Nursery,
    /// What all of them use together.
    pub memory: Arc<InstanceMemory>,
}

/// Why a call did not end normally, or was not made.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// For the log; never for a client.
    pub message: String,
    /// The budget it met.
    pub budget: Option<BudgetKey>,
}

/// Kinds of failure, as metrics and status count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It trapped: a panic, `unreachable`, a host call it must not make.
    Trap,
    /// It used up its CPU time.
    Cpu,
    /// It wanted more memory than it may have.
    Memory,
    /// It answered what it must not: too large, illegal, an endpoint that is no member.
    Output,
    /// It answered with an error of its own.
    Refused,
    /// It was not called: a breaker is open.
    Breaker,
    /// It was not called: no instance was free, or its next one is still being made.
    NoInstance,
    /// It did not answer within its deadline.
    Deadline,
}

// === impl Instance ===

impl Instance {
    /// Makes an instance; runs the component's start functions for `limit` of CPU time at most.
    pub(super) fn new(component: &LoadedComponent, surroundings: &Surroundings, limit: Duration) -> Result<Self, Failure> {
        let budget = &surroundings.budget;
        let linked = component.linked(surroundings.http_client.is_some());
        let in_turns = runs_in_turns(linked, budget);
        let (rescue, rescued) = in_turns.then(oneshot::channel).unzip();
        let guest = Guest {
            name: Arc::clone(&surroundings.name),
            limits: ChangeLimits {
                headers: budget.max_headers,
                header_bytes: budget.max_header_bytes,
                attribute_bytes: budget.max_attribute_bytes,
            },
            phase: Phase::Setup,
            exchange: None,
            rescue,
            configuring: None,
            left_out: BTreeSet::new(),
            plan: None,
            batch: None,
            cpu: CpuMeter::new(),
            place: Place::new(&surroundings.computing),
            memory: MemoryLimiter::new(budget.memory, Arc::clone(&surroundings.memory)),
            wasi: Wasi::new(&surroundings.log),
            log: surroundings.log.clone(),
            metrics: surroundings.metrics.clone(),
            hits: Arc::clone(&surroundings.hits),
            store: surroundings.granted.store.clone(),
            rate_limits: surroundings.granted.limiter.clone().map(RateLimits::new),
            secrets: Arc::clone(&surroundings.granted.secrets),
            keys: Arc::clone(&surroundings.granted.keys),
            http_client: surroundings.http_client.clone(),
            reserve: Arc::clone(&surroundings.reserve),
            names: Names::default(),
            answers: 0,
            messages: 0,
            endpoints: Arc::clone(&surroundings.endpoints),
            budget: Arc::clone(budget),
        };
        let mut store = Store::new(linked.pre.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.epoch_deadline_callback(budget::on_tick);
        let _watched = begin(&mut store, Phase::Setup, limit);
        // What imports something that waits can only be started, and called, as if it might.
        let instance = if linked.waits { now(linked.pre.instantiate_async(&mut store)) } else { linked.pre.instantiate(&mut store) };
        let made = instance.and_then(|instance| linked.indices.load(&mut store, &instance, in_turns));
        match made {
            Ok(hooks) => Ok(Self { store, hooks, rescued }),
            Err(error) => Err(Failure::of(&error, store.data())),
        }
    }

    /// Gives it a configuration, for `limit` of CPU time at most; what it says of it holds only if it takes it.
    pub(super) fn configure(&mut self, id: u32, json: &str, limit: Duration) -> Result<(), Failure> {
        self.store.data_mut().configuring = Some(id);
        let taken = self.call(Phase::Setup, limit, |hooks, store| hooks.configure(store, id, json));
        self.store.data_mut().configuring = None;
        taken?.map_err(|why| self.refused(&why))
    }

    /// Hooks that have nothing to do with a configuration, by their own words.
    pub(super) fn left_out(&self) -> &BTreeSet<(Hook, u32)> {
        &self.store.data().left_out
    }

    /// Calls a hook without an exchange, for `limit` of CPU time at most.
    pub(super) fn call<R>(
        &mut self,
        phase: Phase,
        limit: Duration,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        let _watched = begin(&mut self.store, phase, limit);
        let called = call(&self.hooks, &mut self.store);
        self.count_survived(called.is_ok());
        called.map_err(|error| Failure::of(&error, self.store.data()))
    }

    /// An error the plugin answered with.
    pub(super) fn refused(&self, why: &str) -> Failure {
        Failure::refused(self.store.data().log.shown(why))
    }

    /// Calls a hook with an exchange. Its changes stay only if `call` succeeds.
    pub(super) fn call_with<R>(
        &mut self,
        phase: Phase,
        exchange: Box<Exchange>,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> (Option<Box<Exchange>>, Result<R, Failure>) {
        let limit = self.store.data().budget.cpu;
        let _watched = begin(&mut self.store, phase, limit);
        self.store.data_mut().exchange = Some(exchange);
        let called = call(&self.hooks, &mut self.store);
        self.end_with(called)
    }

    /// Calls a hook in turns, with an exchange or without. Its changes stay only if `call` and `check` succeed.
    pub(super) async fn call_in_turns<A, R>(
        mut self,
        (phase, limit): (Phase, Duration),
        exchange: Option<Box<Exchange>>,
        call: impl AsyncFnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<A>,
        check: impl FnOnce(A, &mut Store<Guest>) -> Result<R, Failure>,
    ) -> (Self, Option<Box<Exchange>>, Result<R, Failure>) {
        prepare(&mut self.store, phase, limit);
        let guest = self.store.data_mut();
        guest.cpu.begin_in_turns(limit);
        guest.exchange = exchange;
        if let Some(turn) = guest.place.begin() {
            turn.await;
        }
        let called = call(&self.hooks, &mut self.store).await;
        self.store.data().place.leave();
        let called = called.and_then(|answer| check(answer, &mut self.store).map_err(wasmtime::Error::from));
        let (exchange, answered) = self.end_with(called);
        (self, exchange, answered)
    }

    /// CPU time that was seen of the call that has just ended: from its first tick to its last.
    pub(super) fn cpu_seen(&self) -> Duration {
        self.store.data().cpu.seen()
    }

    /// Where its call stands among those that compute.
    pub(super) fn place(&self) -> Arc<State> {
        self.store.data().place.state()
    }

    /// Where the exchange will come out if the store goes with a call; to be kept until the call is over.
    pub(super) fn take_rescued(&mut self) -> Option<oneshot::Receiver<Box<Exchange>>> {
        self.rescued.take()
    }

    /// The call is over.
    pub(super) fn keep_rescued(&mut self, rescued: Option<oneshot::Receiver<Box<Exchange>>>) {
        self.rescued = rescued;
    }

    fn end_with<R>(&mut self, called: wasmtime::Result<R>) -> (Option<Box<Exchange>>, Result<R, Failure>) {
        let mut exchange = self.store.data_mut().exchange.take();
        if let Some(exchange) = &exchange {
            self.store.data().count_refused(exchange.refused());
        }
        self.count_survived(called.is_ok());
        match called {
            Ok(answer) => {
                if let Some(exchange) = &mut exchange {
                    exchange.commit();
                }
                (exchange, Ok(answer))
            }
            Err(error) => {
                if let Some(exchange) = &mut exchange {
                    exchange.roll_back();
                }
                (exchange, Err(Failure::of(&error, self.store.data())))
            }
        }
    }
}

impl Instance {
    /// A guest that is refused memory may go on without; a call that fails by it is counted as a failure.
    fn count_survived(&self, survived: bool) {
        let guest = self.store.data();
        if survived && guest.memory.exceeded {
            guest.hits.count(BudgetKey::Memory, 1);
        }
    }
}

/// A call begins that is made in one go.
fn begin(store: &mut Store<Guest>, phase: Phase, cpu: Duration) -> Watched {
    prepare(store, phase, cpu);
    ticker::watch()
}

/// A call will be made.
fn prepare(store: &mut Store<Guest>, phase: Phase, cpu: Duration) {
    let guest = store.data_mut();
    guest.phase = phase;
    guest.cpu.begin(cpu);
    // A guest that was refused memory and lived on did not fail by it.
    guest.memory.exceeded = false;
    store.set_epoch_deadline(1);
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("guest", self.store.data()).finish_non_exhaustive()
    }
}

// === impl Failure ===

impl Failure {
    fn of(error: &wasmtime::Error, guest: &Guest) -> Self {
        if let Some(Self { kind, message, budget }) = error.downcast_ref::<Self>() {
            return Self { kind: *kind, message: guest.log.shown(message).into_owned(), budget: *budget };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::no_room();
        }
        let kind = if guest.cpu.exceeded {
            FailureKind::Cpu
        } else if guest.memory.exceeded {
            FailureKind::Memory
        } else {
            FailureKind::Trap
        };
        let message = match kind {
            FailureKind::Memory => format!("wanted more than its {} bytes of memory: {error:#}", guest.budget.memory),
            _ => format!("{error:#}"),
        };
        // Names of functions are the file's.
        let message = guest.log.shown(&message).into_owned();
        // The contract has a longer time for what is off the request's path.
        let aside =
            matches!(guest.phase, Phase::Setup) || (matches!(guest.phase, Phase::Aside) && guest.cpu.limit() == guest.budget.setup_cpu);
        let budget = match kind {
            FailureKind::Cpu if aside => Some(BudgetKey::SetupCpu),
            FailureKind::Cpu => Some(BudgetKey::Cpu),
            FailureKind::Memory => Some(BudgetKey::Memory),
            _ => None,
        };
        Self { kind, message, budget }
    }

    /// An answer the contract does not allow.
    pub(super) fn output(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Output, message: message.into(), budget: None }
    }

    /// An answer past a budget.
    pub(super) fn over(budget: BudgetKey, message: impl Into<String>) -> Self {
        Self { budget: Some(budget), ..Self::output(message) }
    }

    /// An error the plugin answered with.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Refused, message: message.into(), budget: None }
    }

    /// It took more CPU time to become ready than there was.
    pub(super) fn late(limit: Duration) -> Self {
        Self { kind: FailureKind::Cpu, message: CpuExceeded(limit).to_string(), budget: Some(BudgetKey::SetupCpu) }
    }

    /// As many instances of all plugins are alive as there may be.
    fn no_room() -> Self {
        let message = "there is no room for another instance: as many are alive as `max_plugin_instances` in [limits]".to_owned();
        Self { kind: FailureKind::NoInstance, message, budget: None }
    }

    /// It computed on when its plugin was left alone.
    pub(super) fn left_alone() -> Self {
        let message = "was still computing when its breaker opened".to_owned();
        Self { kind: FailureKind::Breaker, message, budget: None }
    }

    /// It did not answer in time, and went with the call.
    pub(super) fn deadline(deadline: Duration) -> Self {
        let message = format!("did not answer within its deadline of {deadline:?}");
        Self { kind: FailureKind::Deadline, message, budget: Some(BudgetKey::Deadline) }
    }

    /// No call was made.
    pub(super) fn not_called(kind: FailureKind) -> Self {
        Self { kind, message: "no call was made".to_owned(), budget: None }
    }

    /// What the client is told.
    pub fn fault(&self) -> Fault {
        match self.kind {
            FailureKind::Cpu => Fault::PluginCpuExceeded,
            FailureKind::Memory => Fault::PluginMemoryExceeded,
            FailureKind::Trap | FailureKind::Output | FailureKind::Refused => Fault::PluginFailed,
            FailureKind::Deadline => Fault::PluginDeadlineExceeded,
            FailureKind::Breaker | FailureKind::NoInstance => Fault::PluginUnavailable,
        }
    }
}

impl FailureKind {
    /// As it stands in metrics and logs.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.get(self as usize).copied().unwrap_or_default()
    }

    /// Every kind's name, in order: `kind as usize` finds a kind's.
    pub const NAMES: [&'static str; 8] = ["trap", "cpu", "memory", "output", "refused", "breaker", "no-instance", "deadline"];
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
