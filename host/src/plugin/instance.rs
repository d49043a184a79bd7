//! One live instance of a plugin: a store, its hooks, and the two ways to call one: on the request's path with an
//! exchange, and off it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;

use super::budget::{self, CpuExceeded, CpuMeter, MemoryLimiter};
use super::component::LoadedComponent;
use super::guest::Guest;
use super::hooks::Hooks;
use super::names::Names;
use super::nursery::Nursery;
use super::wasi::Wasi;
use crate::capability::granted::Granted;
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::capability::rate_limit::RateLimits;
use crate::config::model::Budget;
use crate::exchange::{ChangeLimits, Exchange, Phase};
use crate::fault::Fault;
use crate::telemetry::{BudgetHits, BudgetKey};
use crate::upstream::Directory;

/// One live instance. It belongs to one thread at a time and can be sent to another.
pub(super) struct Instance {
    store: Store<Guest>,
    hooks: Hooks,
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
    /// What it may ask about endpoints.
    pub endpoints: Arc<Directory>,
    /// Where others like it are made.
    pub nursery: Nursery,
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
    /// It was not called: its next instance is still being made.
    NoInstance,
}

// === impl Instance ===

impl Instance {
    /// Makes an instance; runs the component's start functions for `limit` of CPU time at most.
    pub(super) fn new(component: &LoadedComponent, surroundings: &Surroundings, limit: Duration) -> Result<Self, Failure> {
        let budget = &surroundings.budget;
        let guest = Guest {
            name: Arc::clone(&surroundings.name),
            limits: ChangeLimits {
                headers: budget.max_headers,
                header_bytes: budget.max_header_bytes,
                attribute_bytes: budget.max_attribute_bytes,
            },
            phase: Phase::Setup,
            exchange: None,
            plan: None,
            cpu: CpuMeter::new(),
            memory: MemoryLimiter::new(budget.memory),
            wasi: Wasi::new(&surroundings.log),
            log: surroundings.log.clone(),
            metrics: surroundings.metrics.clone(),
            hits: Arc::clone(&surroundings.hits),
            store: surroundings.granted.store.clone(),
            rate_limits: surroundings.granted.limiter.clone().map(RateLimits::new),
            secrets: Arc::clone(&surroundings.granted.secrets),
            keys: Arc::clone(&surroundings.granted.keys),
            may_fetch: surroundings.granted.may_fetch,
            names: Names::default(),
            answers: 0,
            messages: 0,
            endpoints: Arc::clone(&surroundings.endpoints),
            budget: Arc::clone(budget),
        };
        let mut store = Store::new(component.pre.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.epoch_deadline_callback(budget::on_tick);
        begin(&mut store, Phase::Setup, limit);
        let made = component.pre.instantiate(&mut store).and_then(|instance| component.indices.load(&mut store, &instance));
        match made {
            Ok(hooks) => Ok(Self { store, hooks }),
            Err(error) => Err(Failure::of(&error, store.data())),
        }
    }

    /// Calls a hook without an exchange, for `limit` of CPU time at most.
    pub(super) fn call<R>(
        &mut self,
        phase: Phase,
        limit: Duration,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        begin(&mut self.store, phase, limit);
        let called = call(&self.hooks, &mut self.store);
        self.count_survived(called.is_ok());
        called.map_err(|error| Failure::of(&error, self.store.data()))
    }

    /// An error the plugin answered with.
    pub(super) fn refused(&self, why: &str) -> Failure {
        Failure::refused(self.store.data().secrets.mask(why))
    }

    /// Calls a hook with an exchange. Its changes stay only if `call` succeeds.
    pub(super) fn call_with<R>(
        &mut self,
        phase: Phase,
        exchange: Box<Exchange>,
        call: impl FnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> (Option<Box<Exchange>>, Result<R, Failure>) {
        let limit = self.store.data().budget.cpu;
        begin(&mut self.store, phase, limit);
        self.store.data_mut().exchange = Some(exchange);
        let called = call(&self.hooks, &mut self.store);
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

fn begin(store: &mut Store<Guest>, phase: Phase, cpu: Duration) {
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
            return Self { kind: *kind, message: guest.secrets.mask(message).into_owned(), budget: *budget };
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
    pub const NAMES: [&'static str; 7] = ["trap", "cpu", "memory", "output", "refused", "breaker", "no-instance"];
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
