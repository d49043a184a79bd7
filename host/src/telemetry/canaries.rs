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
    const ALL: [Self; 4] = [Self::Promoted, Self::RolledBack, Self::Returned, Self::Replaced];

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

    /// Canaries of that plugin are configured. Their ends are counted from nothing: of a counter that begins with one nobody could tell that
    /// it grew, and the first canary that is taken back would alert nobody.
    pub fn may_end(&self, plugin: &str) {
        let mut ended = lock(&self.ended);
        for end in CanaryEnd::ALL {
            ended.entry((Arc::from(plugin), end)).or_default();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_counted_from_nothing_and_no_reload_forgets_them() {
        let canaries = Canaries::default();
        canaries.may_end("auth");
        let counts = || canaries.ends().into_iter().map(|(_, end, count)| (end.as_str(), count)).collect::<Vec<_>>();
        assert_eq!(counts(), [("promoted", 0), ("rolled-back", 0), ("returned", 0), ("replaced", 0)]);
        canaries.ended("auth", CanaryEnd::Returned);
        canaries.may_end("auth");
        assert_eq!(counts(), [("promoted", 0), ("rolled-back", 0), ("returned", 1), ("replaced", 0)]);
    }
}
