//! What one thread counts of one plugin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::{Count, SharedCount};
use super::latency::HookTimes;
use super::plugin_tally::PluginTally;

/// One call of so many has its time taken; a power of two. Taking it costs a tenth of what the shortest hook does.
const TIMED: u64 = 64;
/// No thread's number: where the counts of versions go that have ended.
const NO_THREAD: usize = usize::MAX - 1;

/// Hooks that are counted.
pub const MOST_HOOKS: usize = 16;

/// A plugin's counters on one thread. Those that every call adds to are at the beginning.
#[derive(Debug)]
#[repr(C)]
pub struct PluginCells {
    calls: [Count; MOST_HOOKS],
    name: Arc<str>,
    /// Of the component.
    digest: Arc<str>,
    /// Which version of the plugin, while there are two of them.
    version: Option<PluginVersion>,
    thread: usize,
    hooks: &'static [&'static str],
    failures: &'static [&'static str],
    /// By hook, then kind.
    failed: Box<[Count]>,
    // Instances are made and ended off the thread they work for.
    started: SharedCount,
    ended: SharedCount,
    outcomes_lost: SharedCount,
    /// Calls whose time was taken, by hook.
    timed: Box<[Timed]>,
    outlived: SharedCount,
    /// CPU time of calls that failed, nanoseconds.
    failed_cpu: SharedCount,
    /// By hook.
    breakers: Box<[BreakerCounts]>,
    /// Of a version that runs in the shadow of another.
    compared: Comparisons,
}

/// Calls whose time was taken, and that time in nanoseconds: in all, and how it was distributed.
#[derive(Debug, Default)]
struct Timed {
    calls: Count,
    ns: Count,
    times: HookTimes,
}

/// What came of calling a version beside another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same decision, and the same changes.
    Agree,
    /// The same decision, and other changes.
    Changes,
    /// Another decision.
    Differ,
    /// It failed.
    Failed,
}

/// By hook, then result.
type Comparisons = std::sync::OnceLock<Box<[[Count; Comparison::NAMES.len()]]>>;

impl Comparison {
    /// Every result's name, in order: `result as usize` finds a result's.
    pub const NAMES: [&'static str; 4] = ["agree", "changes", "differ", "failed"];
}

/// One of two versions of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    /// As much of its digest as tells versions apart.
    pub digest: Arc<str>,
    /// Whether it is only called beside the other one, for nobody to see.
    pub is_shadow: bool,
}

/// Breakers of one hook.
#[derive(Debug, Default)]
struct BreakerCounts {
    open: SharedCount,
    opened: SharedCount,
    by_failed_cpu: SharedCount,
}

/// How often a hook's breakers opened, and how many are open.
#[derive(Debug, Default, Clone, Copy)]
pub struct BreakerReading {
    /// Open now.
    pub open: u64,
    /// Times one opened.
    pub opened: u64,
    /// Times that was for the CPU time of failed calls.
    pub by_failed_cpu: u64,
}

impl PluginCells {
    pub(super) fn new(
        name: Arc<str>,
        digest: Arc<str>,
        version: Option<PluginVersion>,
        thread: usize,
        hooks: &'static [&'static str],
        failures: &'static [&'static str],
    ) -> Self {
        let counts = |length: usize| (0..length).map(|_| Count::default()).collect();
        let failed = counts(hooks.len() * failures.len());
        let breakers = hooks.iter().map(|_| BreakerCounts::default()).collect();
        let [started, ended, outcomes_lost, outlived, failed_cpu] = std::array::from_fn(|_| SharedCount::default());
        let timed = hooks.iter().map(|_| Default::default()).collect();
        Self {
            name,
            digest,
            version,
            thread,
            hooks,
            failures,
            calls: Default::default(),
            failed,
            started,
            ended,
            outcomes_lost,
            timed,
            outlived,
            failed_cpu,
            breakers,
            compared: Comparisons::default(),
        }
    }

    pub(super) fn is(&self, name: &str, digest: &str, version: Option<&PluginVersion>, thread: usize) -> bool {
        &*self.name == name && &*self.digest == digest && self.version.as_ref() == version && self.thread == thread
    }

    /// Whether these are the sum of versions that have ended.
    pub(super) fn is_sum(&self) -> bool {
        self.thread == NO_THREAD
    }

    /// What each hook did, by its number.
    pub(super) fn tallies(&self) -> impl Iterator<Item = (usize, PluginTally)> + '_ {
        self.hooks.iter().enumerate().filter_map(|(number, hook)| {
            let kinds = self.failed.iter().skip(number * self.failures.len()).map(Count::get);
            let failures: Vec<_> = self.failures.iter().copied().zip(kinds).collect();
            let calls = self.calls.get(number)?.get();
            let Timed { calls: timed, ns, times } = self.timed.get(number)?;
            let (timed, timed_ns, times) = (timed.get(), ns.get(), times.read());
            let (plugin, version) = (Arc::clone(&self.name), Arc::clone(&self.digest));
            let any = calls > 0 || failures.iter().any(|(_, count)| *count > 0);
            any.then_some((number, PluginTally { plugin, version, hook, calls, failures, timed, timed_ns, times }))
        })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// As much of its component's digest as people are shown.
    pub(super) fn short_digest(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }

    /// Hook, calls whose time was taken, nanoseconds.
    pub(super) fn timed(&self) -> impl Iterator<Item = (&'static str, u64, u64)> + '_ {
        let timed = self.hooks.iter().zip(&self.timed).map(|(hook, timed)| (*hook, timed.calls.get(), timed.ns.get()));
        timed.filter(|(_, calls, _)| *calls > 0)
    }

    pub(super) fn version(&self) -> Option<&PluginVersion> {
        self.version.as_ref()
    }

    /// Whether they are of a version that serves somebody.
    pub(super) fn serves(&self) -> bool {
        self.version.as_ref().is_none_or(|version| !version.is_shadow)
    }

    /// Cells that begin with what these counted, for all versions of the plugin.
    pub(super) fn sum(&self) -> Self {
        let sum = Self::new(Arc::clone(&self.name), "".into(), None, NO_THREAD, self.hooks, self.failures);
        sum.absorb(self);
        sum
    }

    /// Adds what others counted that nobody counts in any more. Only whoever has the list of all cells does, in cells that are no
    /// thread's.
    pub(super) fn absorb(&self, others: &Self) {
        let pairs = [(&self.calls[..], &others.calls[..]), (&self.failed, &others.failed)];
        pairs.into_iter().flat_map(|(own, theirs)| own.iter().zip(theirs)).for_each(|(own, theirs)| own.add(theirs.get()));
        for (own, theirs) in self.timed.iter().zip(&others.timed) {
            own.calls.add(theirs.calls.get());
            own.ns.add(theirs.ns.get());
        }
        self.started.add(others.started.get());
        self.ended.add(others.ended.get());
        self.outcomes_lost.add(others.outcomes_lost.get());
        self.outlived.add(others.outlived.get());
        self.failed_cpu.add(others.failed_cpu.get());
        for (own, theirs) in self.breakers.iter().zip(&others.breakers) {
            own.open.add(theirs.open.get());
            own.opened.add(theirs.opened.get());
            own.by_failed_cpu.add(theirs.by_failed_cpu.get());
        }
    }

    /// A hook is called.
    pub fn called(&self, hook: usize) {
        if let Some(count) = self.calls.get(hook) {
            count.add(1);
        }
    }

    /// A call that was counted begins. The moment, if it is one whose time is taken: then [`PluginCells::took`] is told of its end.
    pub fn begins(&self, hook: usize) -> Option<Instant> {
        let calls = self.calls.get(hook)?.get();
        (calls % TIMED == 1).then(Instant::now)
    }

    /// A call whose time was taken has ended.
    pub fn took(&self, hook: usize, time: Duration) {
        if let Some(timed) = self.timed.get(hook) {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            timed.calls.add(1);
            timed.ns.add(ns);
            timed.times.add(ns);
        }
    }

    /// A call failed, or was not made.
    pub fn failed(&self, hook: usize, kind: usize) {
        if let Some(count) = self.failed.get(hook * self.failures.len() + kind) {
            count.add(1);
        }
    }

    /// A hook was called beside the serving version's.
    pub fn compared(&self, hook: usize, comparison: Comparison) {
        // Nearly no plugin ever needs these.
        let counts = self.compared.get_or_init(|| self.hooks.iter().map(|_| std::array::from_fn(|_| Count::default())).collect());
        if let Some(count) = counts.get(hook).and_then(|counts| counts.get(comparison as usize)) {
            count.add(1);
        }
    }

    /// What came of calls beside the serving version's: hook, result, count.
    pub(super) fn comparisons(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let counted = self.compared.get().into_iter().flat_map(|counts| self.hooks.iter().zip(counts.iter()));
        counted
            .flat_map(|(hook, counts)| Comparison::NAMES.into_iter().zip(counts).map(|(result, count)| (*hook, result, count.get())))
            .filter(|(_, _, count)| *count > 0)
    }

    /// An instance is ready.
    pub fn instance_started(&self) {
        self.started.add(1);
    }

    /// An instance has ended.
    pub fn instance_ended(&self) {
        self.ended.add(1);
    }

    /// Outcomes of attempts that a router will never know of.
    pub fn outcomes_lost(&self, outcomes: u64) {
        self.outcomes_lost.add(outcomes);
    }

    /// A call went on to its end though its client had left.
    pub fn outlived(&self) {
        self.outlived.add(1);
    }

    /// A call failed and came to nothing, which took so much CPU time.
    pub fn wasted(&self, cpu: Duration) {
        self.failed_cpu.add(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A breaker of a hook opened; `again` when a try found that it still has to be open.
    pub fn breaker_opened(&self, hook: usize, again: bool, by_failed_cpu: bool) {
        if let Some(counts) = self.breakers.get(hook) {
            counts.opened.add(1);
            counts.open.add(u64::from(!again));
            counts.by_failed_cpu.add(u64::from(by_failed_cpu));
        }
    }

    /// A breaker of a hook closed.
    pub fn breaker_closed(&self, hook: usize) {
        if let Some(counts) = self.breakers.get(hook) {
            counts.open.sub(1);
        }
    }

    /// Instances alive now.
    pub(super) fn instances(&self) -> u64 {
        self.started.get().saturating_sub(self.ended.get())
    }

    /// Instances ever made.
    pub(super) fn started(&self) -> u64 {
        self.started.get()
    }

    /// Outcomes that were lost to it.
    pub(super) fn lost(&self) -> u64 {
        self.outcomes_lost.get()
    }

    /// CPU time of calls that failed.
    pub(super) fn failed_cpu(&self) -> Duration {
        Duration::from_nanos(self.failed_cpu.get())
    }

    /// Calls that outlived their client.
    pub(super) fn outlived_calls(&self) -> u64 {
        self.outlived.get()
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.hooks.iter().copied().zip(self.calls.iter().map(Count::get)).filter(|(_, count)| *count > 0)
    }

    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let kinds = self.hooks.iter().flat_map(|hook| self.failures.iter().map(move |kind| (*hook, *kind)));
        kinds.zip(self.failed.iter().map(Count::get)).filter(|(_, count)| *count > 0).map(|((hook, kind), count)| (hook, kind, count))
    }

    /// Of every hook whose breakers ever opened.
    pub(super) fn breakers(&self) -> impl Iterator<Item = (&'static str, BreakerReading)> + '_ {
        let readings = self.breakers.iter().map(|counts| BreakerReading {
            open: counts.open.get(),
            opened: counts.opened.get(),
            by_failed_cpu: counts.by_failed_cpu.get(),
        });
        self.hooks.iter().copied().zip(readings).filter(|(_, reading)| reading.opened > 0)
    }
}
