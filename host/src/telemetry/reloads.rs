//! What is counted of reloads. Only the thread they happen on counts them.

#![allow(clippy::disallowed_types, reason = "taken when a reload has ended, and when metrics are read")]

use std::sync::Mutex;

use super::cell::{Count, SharedCount, lock};

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadResult {
    /// Something new serves.
    Swapped,
    /// Asked for, and there was nothing new.
    Unchanged,
    /// What served before serves on.
    Rejected,
}

/// A file that is not taken: its path, its digest, and why in one word.
pub type RejectedFile = (String, String, &'static str);

/// Counts of reloads.
#[derive(Debug, Default)]
pub struct Reloads {
    swapped: SharedCount,
    unchanged: SharedCount,
    rejected: SharedCount,
    live: Count,
    files: Mutex<Vec<RejectedFile>>,
}

impl Reloads {
    /// One has ended.
    pub fn ended(&self, result: ReloadResult) {
        match result {
            ReloadResult::Swapped => self.swapped.add(1),
            ReloadResult::Unchanged => self.unchanged.add(1),
            ReloadResult::Rejected => self.rejected.add(1),
        }
    }

    /// Files that are not taken now.
    pub fn reject(&self, files: Vec<RejectedFile>) {
        *lock(&self.files) = files;
    }

    /// Generations that are alive; said by whoever is about to read the metrics.
    pub fn live(&self, generations: usize) {
        self.live.set(generations as u64);
    }

    pub(super) fn results(&self) -> [(&'static str, u64); 3] {
        [("swapped", self.swapped.get()), ("unchanged", self.unchanged.get()), ("rejected", self.rejected.get())]
    }

    pub(super) fn generations(&self) -> u64 {
        self.live.get()
    }

    pub(super) fn files(&self) -> Vec<RejectedFile> {
        lock(&self.files).clone()
    }
}
