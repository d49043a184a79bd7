//! What plugins did since somebody last asked, by version: the monitoring store compares versions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Telemetry;
use super::cell::lock;
use super::latency::Bins;
use super::plugin::PluginCells;

/// What one hook of one version of a plugin did on all threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginTally {
    /// Its configured name.
    pub plugin: Arc<str>,
    /// Digest of its component, hexadecimal.
    pub version: Arc<str>,
    /// The hook.
    pub hook: &'static str,
    /// Calls made.
    pub calls: u64,
    /// Calls that failed or were not made, by kind.
    pub failures: Vec<(&'static str, u64)>,
    /// Calls whose time was taken, one of many.
    pub timed: u64,
    /// The time they took together, nanoseconds.
    pub timed_ns: u64,
    /// How it was distributed, in bins of nanoseconds.
    pub times: Bins,
}

/// What one reader was told already.
#[derive(Debug, Default)]
pub struct PluginTallies {
    told: HashMap<Key, PluginTally>,
}

/// Plugin, version, number of the hook.
type Key = (Arc<str>, Arc<str>, usize);

impl Telemetry {
    /// What plugins did since `tallies` was last told, without what only ran in the shadow of another version. Cells of versions that
    /// have ended are folded into those of their plugin.
    pub fn plugin_tallies(&self, tallies: &mut PluginTallies) -> Vec<PluginTally> {
        let mut plugins = lock(&self.cells.plugins);
        // First, so that nobody counts between being told of and being folded.
        let ended = take_ended(&mut plugins);
        let left = sums(&plugins);
        let mut all = left.clone();
        for (key, counted) in sums(&ended) {
            match all.get_mut(&key) {
                Some(sum) => sum.add(&counted),
                None => drop(all.insert(key, counted)),
            }
        }
        fold(&mut plugins, &ended);
        drop(plugins);
        let since = |(key, sum): (&Key, &PluginTally)| {
            let mut since = sum.clone();
            if let Some(told) = tallies.told.get(key) {
                since.subtract(told);
            }
            (since.calls > 0 || since.failures.iter().any(|(_, count)| *count > 0)).then_some(since)
        };
        let mut new: Vec<_> = all.iter().filter_map(since).collect();
        new.sort_by(|a, b| (&a.plugin, &a.version, a.hook).cmp(&(&b.plugin, &b.version, b.hook)));
        // Without those that have ended: should the version come back, it begins from zero.
        tallies.told = left;
        new
    }
}

/// What versions that serve somebody did, over all threads.
fn sums(plugins: &[Arc<PluginCells>]) -> HashMap<Key, PluginTally> {
    let mut sums: HashMap<Key, PluginTally> = HashMap::new();
    for (number, counted) in plugins.iter().filter(|cells| !cells.is_sum() && cells.serves()).flat_map(|cells| cells.tallies()) {
        let key = (Arc::clone(&counted.plugin), Arc::clone(&counted.version), number);
        match sums.get_mut(&key) {
            Some(sum) => sum.add(&counted),
            None => drop(sums.insert(key, counted)),
        }
    }
    sums
}

/// Takes cells out that nobody counts in any more, once that is so of all cells of their version: until then `/metrics` adds them up, and a
/// counter must not fall.
pub(super) fn take_ended(plugins: &mut Vec<Arc<PluginCells>>) -> Vec<Arc<PluginCells>> {
    let counting = plugins.iter().filter(|cells| Arc::strong_count(cells) > 1);
    let alive: HashSet<_> = counting.map(|cells| (Arc::clone(cells.name()), Arc::clone(cells.digest()))).collect();
    let is_alive = |cells: &PluginCells| alive.contains(&(Arc::clone(cells.name()), Arc::clone(cells.digest())));
    plugins.extract_if(.., |cells| !cells.is_sum() && !is_alive(cells) && Arc::get_mut(cells).is_some()).collect()
}

/// Adds what they counted to what is counted of their plugins: versions come and go for as long as the gateway runs. What a version
/// did that answered nobody is not what the plugin did.
pub(super) fn fold(plugins: &mut Vec<Arc<PluginCells>>, ended: &[Arc<PluginCells>]) {
    for cells in ended.iter().filter(|cells| cells.serves()) {
        match plugins.iter().find(|sum| sum.is_sum() && sum.name() == cells.name()) {
            Some(sum) => sum.absorb(cells),
            None => plugins.push(Arc::new(cells.sum())),
        }
    }
}

impl PluginTally {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.timed += other.timed;
        self.timed_ns += other.timed_ns;
        self.times.merge(&other.times);
        for (mine, theirs) in self.failures.iter_mut().zip(&other.failures) {
            mine.1 += theirs.1;
        }
    }

    fn subtract(&mut self, told: &Self) {
        self.calls = self.calls.saturating_sub(told.calls);
        self.timed = self.timed.saturating_sub(told.timed);
        self.timed_ns = self.timed_ns.saturating_sub(told.timed_ns);
        self.times.subtract(&told.times);
        for (mine, theirs) in self.failures.iter_mut().zip(&told.failures) {
            mine.1 = mine.1.saturating_sub(theirs.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::PluginVersion;

    const HOOKS: [&str; 2] = ["filter", "route"];
    const KINDS: [&str; 1] = ["trap"];

    #[test]
    fn each_version_is_told_once_and_what_is_left_of_it_stays_in_metrics() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.store().opened(true);
        let name: Arc<str> = "auth".into();
        let cells = |version: &str, thread| telemetry.plugin(&name, &version.into(), None, thread, &HOOKS, &KINDS);
        let mut tallies = PluginTallies::default();
        let (old, other) = (cells("1", 0), cells("1", 1));
        old.called(0);
        other.called(0);
        other.failed(0, 0);
        let told = telemetry.plugin_tallies(&mut tallies);
        let [tally] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((&*tally.version, tally.hook, tally.calls, &*tally.failures), ("1", "filter", 2, &[("trap", 1)][..]));
        assert_eq!(telemetry.plugin_tallies(&mut tallies), []);
        old.called(0);
        drop((old, other));
        let new = cells("2", 0);
        new.called(1);
        let told = telemetry.plugin_tallies(&mut tallies);
        assert_eq!(
            told.iter().map(|tally| (&*tally.version, tally.hook, tally.calls)).collect::<Vec<_>>(),
            [("1", "filter", 1), ("2", "route", 1)]
        );
        assert_eq!(telemetry.plugin_tallies(&mut tallies), []);
        assert_eq!(telemetry.plugin_calls("auth"), (4, 1));
        // The first version is back.
        cells("1", 0).called(0);
        assert_eq!(telemetry.plugin_tallies(&mut tallies).len(), 1);
        assert_eq!(telemetry.plugin_calls("auth"), (5, 1));
    }

    #[test]
    fn workers_end_a_version_one_after_the_other_and_nothing_is_told_twice() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.store().opened(true);
        let name: Arc<str> = "auth".into();
        let cells = |thread| telemetry.plugin(&name, &"1".into(), None, thread, &HOOKS, &KINDS);
        let (first, second) = (cells(0), cells(1));
        let mut tallies = PluginTallies::default();
        let mut calls = || telemetry.plugin_tallies(&mut tallies).iter().map(|tally| tally.calls).sum::<u64>();
        (0..10).for_each(|_| first.called(0));
        second.called(0);
        assert_eq!(calls(), 11);
        first.called(0);
        drop(first);
        assert_eq!(calls(), 1);
        second.called(0);
        assert_eq!(calls(), 1);
        drop(second);
        assert_eq!(calls(), 0);
        assert_eq!(telemetry.plugin_calls("auth"), (13, 0));
    }

    #[test]
    fn what_ran_in_the_shadow_is_not_told() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.store().opened(true);
        let shadow = PluginVersion { digest: "2".into(), is_shadow: true };
        let cells = telemetry.plugin(&"auth".into(), &"2".into(), Some(&shadow), 0, &HOOKS, &KINDS);
        cells.called(0);
        assert_eq!(telemetry.plugin_tallies(&mut PluginTallies::default()), []);
        drop(cells);
        telemetry.plugin_tallies(&mut PluginTallies::default());
        assert_eq!(telemetry.plugin_calls("auth"), (0, 0));
    }
}
