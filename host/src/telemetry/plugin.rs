//! What one thread counts of one plugin.

use std::sync::Arc;

use super::cell::{Count, SharedCount};

/// A plugin's counters on one thread.
#[derive(Debug)]
pub struct PluginCells {
    name: Arc<str>,
    thread: usize,
    hooks: &'static [&'static str],
    failures: &'static [&'static str],
    calls: Box<[Count]>,
    /// By hook, then kind.
    failed: Box<[Count]>,
    // Instances are made and ended off the thread they work for.
    started: SharedCount,
    ended: SharedCount,
    outcomes_lost: SharedCount,
    /// By hook.
    breakers: Box<[BreakerCounts]>,
}

/// Breakers of one hook.
#[derive(Debug, Default)]
struct BreakerCounts {
    open: SharedCount,
    opened: SharedCount,
}

/// How often a hook's breakers opened, and how many are open.
#[derive(Debug, Default, Clone, Copy)]
pub struct BreakerReading {
    /// Open now.
    pub open: u64,
    /// Times one opened.
    pub opened: u64,
}

impl PluginCells {
    pub(super) fn new(name: Arc<str>, thread: usize, hooks: &'static [&'static str], failures: &'static [&'static str]) -> Self {
        let counts = |length: usize| (0..length).map(|_| Count::default()).collect();
        let (calls, failed) = (counts(hooks.len()), counts(hooks.len() * failures.len()));
        let breakers = hooks.iter().map(|_| BreakerCounts::default()).collect();
        let [started, ended, outcomes_lost] = std::array::from_fn(|_| SharedCount::default());
        Self { name, thread, hooks, failures, calls, failed, started, ended, outcomes_lost, breakers }
    }

    pub(super) fn is(&self, name: &str, thread: usize) -> bool {
        &*self.name == name && self.thread == thread
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A hook is called.
    pub fn called(&self, hook: usize) {
        if let Some(count) = self.calls.get(hook) {
            count.add(1);
        }
    }

    /// A call failed, or was not made.
    pub fn failed(&self, hook: usize, kind: usize) {
        if let Some(count) = self.failed.get(hook * self.failures.len() + kind) {
            count.add(1);
        }
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

    /// A breaker of a hook opened; `again` when a try found that it still has to be open.
    pub fn breaker_opened(&self, hook: usize, again: bool) {
        if let Some(counts) = self.breakers.get(hook) {
            counts.opened.add(1);
            counts.open.add(u64::from(!again));
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

    pub(super) fn calls(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.hooks.iter().copied().zip(self.calls.iter().map(Count::get)).filter(|(_, count)| *count > 0)
    }

    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let kinds = self.hooks.iter().flat_map(|hook| self.failures.iter().map(move |kind| (*hook, *kind)));
        kinds.zip(self.failed.iter().map(Count::get)).filter(|(_, count)| *count > 0).map(|((hook, kind), count)| (hook, kind, count))
    }

    /// Of every hook whose breakers ever opened.
    pub(super) fn breakers(&self) -> impl Iterator<Item = (&'static str, BreakerReading)> + '_ {
        let readings = self.breakers.iter().map(|counts| BreakerReading { open: counts.open.get(), opened: counts.opened.get() });
        self.hooks.iter().copied().zip(readings).filter(|(_, reading)| reading.opened > 0)
    }
}
