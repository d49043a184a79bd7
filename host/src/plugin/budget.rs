//! What one call and one instance may use: CPU as thread CPU time, memory as bytes of linear memory.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};

use super::guest::Guest;
use super::ticker::{self, TICK};
use crate::telemetry::{Held, Holder};

/// CPU time used by the call that is running.
///
/// Reading the thread's clock is a system call, so no call pays for it up front: the first tick inside a call starts the
/// count and every later one compares. A call is therefore ended after its budget plus at most a tick and a half, and one that
/// ends within a tick, which is nearly every one, costs nothing.
///
/// Under a hypervisor a thread's clock can go on while the machine stands still, and then a call that did next to nothing
/// seems to have used all of its budget at once. So a clock that leaps is asked again until it went on a little: a call that
/// really runs is seen there, and one that did next to nothing returns as soon as it has a core.
#[derive(Debug)]
pub(super) struct CpuMeter {
    limit: Duration,
    /// The thread's clock at the first tick, and at the last.
    since: Option<Duration>,
    last: Duration,
    /// What it had used, so it seems, when it was past the limit first and that was not sure.
    suspected: Option<Duration>,
    /// Whether the call runs in turns, with other work of the thread between them.
    in_turns: bool,
    pub(super) exceeded: bool,
}

/// A call that is made in turns. The thread's CPU time counts while it has its turn.
///
/// The first turn reads no clock before its first tick, as no call does that does not wait: one whose answer is at hand costs what
/// any call costs. What comes back after waiting has been dear already, and is measured from the first instruction.
#[derive(Debug)]
pub(super) struct InTurns<F> {
    call: F,
    used: Duration,
    /// Whether its next turn is measured from the first instruction.
    resumed: bool,
}

/// The turn that is taken on this thread.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// CPU time of the call's earlier turns.
    before: Duration,
    since: Option<Duration>,
}

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn { before: Duration::ZERO, since: None }) };
}

/// A thread's clock that went on by more than this between two looks at one call leapt.
const LEAP: Duration = TICK;

/// CPU time by which a call shows that it runs on after its clock leapt: half of what there is between two looks at one that holds its
/// worker up.
const WENT_ON: Duration = Duration::from_micros(500);

/// What a call can use beyond its limit, and some: a tick, half of one to be noticed in, and what a clock shows that leapt.
pub(super) const OVERRUN: Duration = TICK.saturating_mul(2);

/// Bytes of an entry of a guest's table: a pointer.
const TABLE_ENTRY: usize = size_of::<usize>();

/// Counts linear memory and tables, over all modules of a component, and refuses what is past the limit.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    limit: usize,
    /// Of all instances like it.
    shared: Arc<InstanceMemory>,
    /// Bytes in use now.
    pub(super) used: usize,
    pub(super) exceeded: bool,
}

/// Bytes that all instances of one version of a plugin use together.
#[derive(Debug, Default)]
pub struct InstanceMemory(AtomicU64);

impl Holder for InstanceMemory {
    fn held(&self) -> Vec<(Held, u64)> {
        vec![(Held::InstanceMemory, self.0.load(Relaxed))]
    }
}

/// Why a guest was ended from outside.
#[derive(Debug)]
pub(super) struct CpuExceeded(pub(super) Duration);

// === impl CpuMeter ===

impl CpuMeter {
    pub(super) fn new() -> Self {
        Self { limit: Duration::ZERO, since: None, last: Duration::ZERO, suspected: None, in_turns: false, exceeded: false }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// A call begins.
    pub(super) fn begin(&mut self, limit: Duration) {
        self.limit = limit;
        self.since = None;
        self.suspected = None;
        self.in_turns = false;
    }

    /// What was seen of the last call, from its first tick to its last; of one that runs in turns [`InTurns`] knows.
    pub(super) fn seen(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| self.last.saturating_sub(since))
    }

    /// A call begins that is polled by [`InTurns`].
    pub(super) fn begin_in_turns(&mut self, limit: Duration) {
        self.begin(limit);
        self.in_turns = true;
    }

    /// Whether the running call is one of those that may wait.
    pub(super) fn is_in_turns(&self) -> bool {
        self.in_turns
    }

    fn tick(&mut self, now: Duration) -> Result<(), CpuExceeded> {
        let (used, sure) = if self.in_turns {
            let turn = TURN.get();
            TURN.set(Turn { since: turn.since.or(Some(now)), ..turn });
            // Others have their turns between two ticks, so it may always be asked again.
            (turn.since.map(|since| turn.before + now.saturating_sub(since)), false)
        } else {
            let used = self.since.map(|since| now.saturating_sub(since));
            let sure = now.saturating_sub(self.last) <= LEAP;
            self.since = self.since.or(Some(now));
            (used, sure)
        };
        self.last = now;
        let past = used.is_some_and(|used| used >= self.limit);
        // Beside busy threads ticks come while it has no core: what did not run since is not asked twice.
        let sure = match (used, self.suspected) {
            (Some(used), Some(then)) => used.saturating_sub(then) >= WENT_ON,
            _ => sure,
        };
        self.exceeded |= past && sure;
        self.suspected = self.suspected.or(used).filter(|_| past);
        if self.exceeded { Err(CpuExceeded(self.limit)) } else { Ok(()) }
    }
}

/// The epoch callback of every store.
pub(super) fn on_tick(mut store: StoreContextMut<'_, Guest>) -> wasmtime::Result<UpdateDeadline> {
    let guest = store.data_mut();
    guest.cpu.tick(thread_cpu_time())?;
    if guest.cpu.in_turns {
        return Ok(UpdateDeadline::YieldCustom(1, Box::pin(guest.place.step_back())));
    }
    Ok(UpdateDeadline::Continue(1))
}

// === impl InTurns ===

impl<F> InTurns<F> {
    /// A call that begins with its first poll; `measured` from there on.
    pub(super) fn new(call: F, measured: bool) -> Self {
        Self { call, used: Duration::ZERO, resumed: measured }
    }

    /// CPU time of its turns that did not end it.
    pub(super) fn used(&self) -> Duration {
        self.used
    }

    /// CPU time of all its turns. To be asked right after the last one, on the same thread.
    pub(super) fn spent(&self) -> Duration {
        let Turn { before, since } = TURN.get();
        before + since.map_or(Duration::ZERO, |since| thread_cpu_time().saturating_sub(since))
    }
}

impl<F: Future + Unpin> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _watched = ticker::watch();
        TURN.set(Turn { before: self.used, since: self.resumed.then(thread_cpu_time) });
        let polled = Pin::new(&mut self.call).poll(context);
        if polled.is_pending() {
            if let Turn { since: Some(since), .. } = TURN.get() {
                self.used += thread_cpu_time().saturating_sub(since);
            }
            self.resumed = true;
        }
        polled
    }
}

/// CPU time this thread has used so far.
pub fn thread_cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl std::fmt::Display for CpuExceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "used more than its budget of {:?} CPU time", self.0)
    }
}

impl std::error::Error for CpuExceeded {}

// === impl MemoryLimiter ===

impl MemoryLimiter {
    pub(super) fn new(limit: usize, shared: Arc<InstanceMemory>) -> Self {
        Self { limit, shared, used: 0, exceeded: false }
    }

    /// Whether one of them may grow from so many bytes to so many.
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let used = (self.used - current.min(self.used)).saturating_add(desired);
        self.exceeded |= used > self.limit;
        if used <= self.limit {
            // Wraps where it is less, which a table's or memory's growing never is.
            self.shared.0.fetch_add((used as u64).wrapping_sub(self.used as u64), Relaxed);
            self.used = used;
        }
        used <= self.limit
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.shared.0.fetch_sub(self.used as u64, Relaxed);
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow(current, desired))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = |entries: usize| entries.saturating_mul(TABLE_ENTRY);
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow(bytes(current), bytes(desired)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_may_use_its_budget_and_no_tick_more() {
        let mut meter = CpuMeter::new();
        meter.begin(Duration::from_millis(10));
        for now in [100, 102, 104, 106, 108, 109] {
            assert!(meter.tick(Duration::from_millis(now)).is_ok());
        }
        assert!(meter.tick(Duration::from_millis(110)).is_err());
        assert!(meter.exceeded);
    }

    #[test]
    fn a_clock_that_leaps_is_asked_again() {
        let mut meter = CpuMeter::new();
        // A machine that stood still for a second in each of several calls.
        for second in 0..5 {
            meter.begin(Duration::from_millis(10));
            assert!(meter.tick(Duration::from_secs(second)).is_ok());
            assert!(meter.tick(Duration::from_secs(second + 1)).is_ok());
        }
        assert!(!meter.exceeded);
        // What goes on running is ended at the next tick, punctual or not.
        assert!(meter.tick(Duration::from_millis(5_001)).is_err());
        let mut meter = CpuMeter::new();
        meter.begin(Duration::from_millis(10));
        assert!(meter.tick(Duration::from_secs(6)).is_ok());
        assert!(meter.tick(Duration::from_secs(7)).is_ok());
        assert!(meter.tick(Duration::from_secs(8)).is_err());
    }

    #[test]
    fn a_clock_that_leapt_and_a_call_that_has_no_core_since_is_no_loop() {
        let mut meter = CpuMeter::new();
        meter.begin(Duration::from_millis(10));
        assert!(meter.tick(Duration::from_millis(100)).is_ok());
        // The machine stood still, and then others had the core for many ticks.
        for _ in 0..50 {
            assert!(meter.tick(Duration::from_millis(120)).is_ok());
        }
        assert!(meter.tick(Duration::from_micros(120_400)).is_ok());
        assert!(!meter.exceeded);
        assert!(meter.tick(Duration::from_micros(120_500)).is_err());
    }

    #[test]
    fn wall_time_without_cpu_time_is_free() {
        let mut meter = CpuMeter::new();
        meter.begin(Duration::from_millis(1));
        for _ in 0..1000 {
            assert!(meter.tick(Duration::from_millis(5)).is_ok());
        }
    }

    #[test]
    fn memory_may_grow_to_the_limit_and_not_past_it() {
        let mut limiter = MemoryLimiter::new(128 << 10, Arc::default());
        assert!(limiter.memory_growing(0, 64 << 10, None).unwrap());
        assert!(limiter.memory_growing(64 << 10, 128 << 10, None).unwrap());
        assert!(!limiter.exceeded);
        assert!(!limiter.memory_growing(128 << 10, 192 << 10, None).unwrap());
        assert!(limiter.exceeded);
        assert_eq!(limiter.used, 128 << 10);
    }

    #[test]
    fn what_all_instances_use_is_known_until_they_end() {
        let shared = Arc::<InstanceMemory>::default();
        let bytes = || shared.held()[0].1;
        let mut limiters = [64, 128].map(|limit| MemoryLimiter::new(limit << 10, Arc::clone(&shared)));
        for limiter in &mut limiters {
            assert!(limiter.memory_growing(0, 64 << 10, None).unwrap());
        }
        assert!(limiters[1].memory_growing(64 << 10, 128 << 10, None).unwrap());
        assert!(!limiters[0].memory_growing(64 << 10, 128 << 10, None).unwrap());
        assert_eq!(bytes(), 192 << 10);
        let [small, large] = limiters;
        drop(large);
        assert_eq!(bytes(), 64 << 10);
        drop(small);
        assert_eq!(bytes(), 0);
    }

    #[test]
    fn tables_are_memory_too() {
        let mut limiter = MemoryLimiter::new(128 << 10, Arc::default());
        assert!(limiter.memory_growing(0, 64 << 10, None).unwrap());
        assert!(limiter.table_growing(0, 8 << 10, None).unwrap());
        assert_eq!(limiter.used, 128 << 10);
        assert!(!limiter.table_growing(8 << 10, (8 << 10) + 1, None).unwrap());
        assert!(limiter.exceeded);
        // A guest's own maximum is no budget.
        let mut limiter = MemoryLimiter::new(128 << 10, Arc::default());
        assert!(!limiter.table_growing(0, 10, Some(9)).unwrap());
        assert!(!limiter.exceeded);
    }
}
