//! One live instance of a plugin: a store, its hooks, and the two ways to call one: on the request's path with an
//! exchange, and off it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wasmtime::Store;

use super::budget::{self, CpuMeter, InstanceMemory, MemoryLimiter};
use super::component::LoadedComponent;
use super::computing::{Computing, Place, State};
use super::failure::Failure;
use super::guest::Guest;
use super::hooks::{Hooks, now};
use super::kept_from_clients::KeptFromClients;
use super::left_out::LeftOut;
use super::lines::Lines;
use super::names::Names;
use super::nursery::Nursery;
use super::prefetch::Prefetch;
use super::recipe::runs_in_turns;
use super::reserve::Reserve;
use super::ticker::{self, Watched};
use super::wasi::Wasi;
use crate::capability::granted::Granted;
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::capability::rate_limit::RateLimits;
use crate::config::model::Budget;
use crate::exchange::{ChangeLimits, Exchange, Phase};
use crate::http_client::HttpClient;
use crate::telemetry::{BudgetHits, BudgetKey};
use crate::upstream::Directory;

/// One live instance. It belongs to one thread at a time and can be sent to another.
#[repr(C)]
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

/// Bytes that a guest hands over by one call, or by what a hook answers; one more is a trap. The gateway reads all of it before it can refuse any, and
/// nobody looks at the guest's CPU time meanwhile. The largest that a capability takes is 1 MiB; an answer's body may be as large as its budget says.
const HANDED_OVER: usize = 2 << 20;

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
            cpu_of_hook: budget.cpu,
            exchange: None,
            rescue,
            configuring: None,
            left_out: LeftOut::default(),
            kept_from_clients: KeptFromClients::default(),
            plan: None,
            batch: None,
            cpu: CpuMeter::new(),
            place: Place::new(&surroundings.computing),
            memory: MemoryLimiter::new(budget.memory, Arc::clone(&surroundings.memory)),
            wasi: Wasi::new(&surroundings.log),
            log: surroundings.log.clone(),
            metrics: surroundings.metrics.clone(),
            hits: Arc::clone(&surroundings.hits),
            signatures: surroundings.granted.signatures.clone(),
            store: surroundings.granted.store.clone(),
            rate_limits: surroundings.granted.limiter.clone().map(RateLimits::new),
            secrets: Arc::clone(&surroundings.granted.secrets),
            keys: Arc::clone(&surroundings.granted.keys),
            http_client: surroundings.http_client.clone(),
            reserve: Arc::clone(&surroundings.reserve),
            names: Names::default(),
            prefetch: Prefetch::default(),
            lines: Lines::default(),
            answers: 0,
            messages: 0,
            pass_bytes: 0,
            endpoints: Arc::clone(&surroundings.endpoints),
            budget: Arc::clone(budget),
        };
        let mut store = Store::new(linked.pre.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(HANDED_OVER.max(budget.max_local_body_bytes.saturating_add(HANDED_OVER / 2)));
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

    /// It is called on that thread from now on, and counts there.
    pub(super) fn on_thread(&mut self, thread: usize) {
        self.store.data_mut().metrics.on_thread(thread);
    }

    /// Hooks that have nothing to do with a configuration, by their own words.
    pub(super) fn left_out(&self) -> &LeftOut {
        &self.store.data().left_out
    }

    /// Headers that no client may say, by their own words.
    pub(super) fn kept_from_clients(&self) -> &KeptFromClients {
        &self.store.data().kept_from_clients
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
        let limit = self.store.data().cpu_of_hook;
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
                    exchange.roll_back(self.store.data().lines.all());
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
