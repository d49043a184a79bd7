//! How often plugins met their budgets. Rare, from whichever thread an instance is on, so these are shared.

use std::sync::Arc;

use super::cell::SharedCount;

/// A key of `[plugins.NAME.budget]`, save `max_series`: `instruments` counts for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetKey {
    /// `cpu`
    Cpu,
    /// `failed_cpu`
    FailedCpu,
    /// `setup_cpu`
    SetupCpu,
    /// `memory`
    Memory,
    /// `instances`
    Instances,
    /// `deadline`
    Deadline,
    /// `max_headers`
    MaxHeaders,
    /// `max_header_bytes`
    MaxHeaderBytes,
    /// `max_local_body_bytes`
    MaxLocalBodyBytes,
    /// `max_attribute_bytes`
    MaxAttributeBytes,
    /// `log_lines_per_second`
    LogLinesPerSecond,
}

/// What one plugin met, over all threads.
#[derive(Debug)]
pub struct BudgetHits {
    plugin: Arc<str>,
    counts: [SharedCount; BudgetKey::NAMES.len()],
}

impl BudgetKey {
    /// Every key, in order: `key as usize` finds a key's.
    pub const NAMES: [&'static str; 11] = [
        "cpu",
        "failed_cpu",
        "setup_cpu",
        "memory",
        "instances",
        "deadline",
        "max_headers",
        "max_header_bytes",
        "max_local_body_bytes",
        "max_attribute_bytes",
        "log_lines_per_second",
    ];
}

impl BudgetHits {
    /// None yet.
    pub fn new(plugin: Arc<str>) -> Self {
        Self { plugin, counts: std::array::from_fn(|_| SharedCount::default()) }
    }

    /// Something was refused, or ended, for that budget.
    pub fn count(&self, key: BudgetKey, times: u64) {
        if let Some(count) = self.counts.get(key as usize) {
            count.add(times);
        }
    }

    pub(super) fn plugin(&self) -> &Arc<str> {
        &self.plugin
    }

    pub(super) fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        BudgetKey::NAMES.into_iter().zip(self.counts.iter().map(SharedCount::get)).filter(|(_, count)| *count > 0)
    }
}
