//! What is counted of canaries. Only the thread that reloads happen on says it.

#![allow(clippy::disallowed_types, reason = "taken when a reload has ended, and when metrics are read")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::cell::lock;

/// How a canary ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CanaryEnd {
    /// It serves everybody: by command, by its time, or because the configuration asks for no canary any more.
    Promoted,
    /// An operator went back.
    RolledBack,
    /// It failed too often.
    Returned,
    /// The plugin's file holds something else, or no route uses the plugin any more.
    Replaced,
}

/// A canary that runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its plugin.
    pub plugin: String,
    /// As much of its digest as tells versions apart.
    pub version: String,
    /// Of the clients, 0 to 1; 0 in shadow.
    pub share: f64,
}

/// Canaries that run, and how others ended.
#[derive(Debug, Default)]
pub struct Canaries {
    running: Mutex<Vec<Running>>,
    ended: Mutex<BTreeMap<(Arc<str>, CanaryEnd), u64>>,
}

impl CanaryEnd {
    /// As it stands in metrics, status and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled-back",
            Self::Returned => "returned",
            Self::Replaced => "replaced",
        }
    }
}

impl Canaries {
    /// These run now.
    pub fn run(&self, running: Vec<Running>) {
        *lock(&self.running) = running;
    }

    /// One has ended.
    pub fn ended(&self, plugin: &str, end: CanaryEnd) {
        *lock(&self.ended).entry((Arc::from(plugin), end)).or_default() += 1;
    }

    pub(super) fn running(&self) -> Vec<Running> {
        lock(&self.running).clone()
    }

    pub(super) fn ends(&self) -> Vec<(Arc<str>, CanaryEnd, u64)> {
        lock(&self.ended).iter().map(|((plugin, end), count)| (Arc::clone(plugin), *end, *count)).collect()
    }
}
