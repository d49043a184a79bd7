//! Cells of what a configuration names. Those of what none names any more are listed for a while, so that their last counts are read, and
//! forgotten then: a generator that names routes anew at each reload must not let memory and `/metrics` grow without an end.

#![allow(clippy::disallowed_types, reason = "the lists of cells are locked when a configuration is assembled and when metrics are read")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::cell::lock;

/// How long cells are listed that nobody counts in any more: who reads once a minute has read their last counts ten times.
pub(super) const LISTED: Duration = Duration::from_secs(600);

/// What one thread counts of several things of a kind.
#[derive(Debug)]
pub(super) struct Listed<T>(Mutex<List<T>>);

#[derive(Debug)]
struct List<T> {
    entries: Vec<Entry<T>>,
    /// Of those that were forgotten, what is added up over all: that sum never falls.
    forgotten: u64,
}

#[derive(Debug)]
struct Entry<T> {
    cells: Arc<T>,
    /// Since when nobody else has them, as far as anybody looked.
    unused: Option<Instant>,
}

impl<T> Listed<T> {
    /// The cells that are meant, the same ones each time for as long as they are listed.
    pub(super) fn find_or(&self, is: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
        let mut list = lock(&self.0);
        if let Some(known) = list.entries.iter().find(|entry| is(&entry.cells)) {
            return Arc::clone(&known.cells);
        }
        let cells = Arc::new(make());
        list.entries.push(Entry { cells: Arc::clone(&cells), unused: None });
        cells
    }

    /// Shows all that are listed.
    pub(super) fn each(&self, mut each: impl FnMut(&T)) {
        lock(&self.0).entries.iter().for_each(|entry| each(&entry.cells));
    }

    /// Adds up what all have counted, those that were forgotten too: `counted` is what [`forget`] was given.
    pub(super) fn sum(&self, counted: impl Fn(&T) -> u64) -> u64 {
        let list = lock(&self.0);
        list.forgotten + list.entries.iter().map(|entry| counted(&entry.cells)).sum::<u64>()
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(Mutex::new(List { entries: Vec::new(), forgotten: 0 }))
    }
}

impl<T> Entry<T> {
    /// Whether somebody counts in them, or has until lately.
    fn is_used(&mut self, now: Instant) -> bool {
        if Arc::get_mut(&mut self.cells).is_none() {
            self.unused = None;
            return true;
        }
        now.saturating_duration_since(*self.unused.get_or_insert(now)) < LISTED
    }
}

/// Forgets what nobody has counted in for a while, once that is so of the cells of that name in all lists: until then they are added up over threads,
/// and a counter must not fall.
pub(super) fn forget<'l, T: 'l, N: Ord>(
    lists: impl Iterator<Item = &'l Listed<T>>,
    now: Instant,
    name: impl Fn(&T) -> N,
    counted: impl Fn(&T) -> u64,
) {
    // All of them are locked, so that nobody takes one thread's cells up again while another's are forgotten.
    let mut lists: Vec<MutexGuard<'l, List<T>>> = lists.map(|list| lock(&list.0)).collect();
    let mut all_used = true;
    for entry in lists.iter_mut().flat_map(|list| list.entries.iter_mut()) {
        all_used &= entry.is_used(now);
    }
    // Nearly always.
    if all_used {
        return;
    }
    let mut used = BTreeSet::new();
    for entry in lists.iter_mut().flat_map(|list| list.entries.iter_mut()) {
        if entry.is_used(now) {
            used.insert(name(&entry.cells));
        }
    }
    for list in &mut lists {
        let List { entries, forgotten } = &mut **list;
        entries.retain(|entry| {
            let stays = used.contains(&name(&entry.cells));
            if !stays {
                *forgotten += counted(&entry.cells);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, and what was counted.
    type Cells = (u32, u64);

    fn of(list: &Listed<Cells>, name: u32) -> Arc<Cells> {
        list.find_or(|cells| cells.0 == name, || (name, 5))
    }

    fn names(list: &Listed<Cells>) -> Vec<u32> {
        let mut names = Vec::new();
        list.each(|cells| names.push(cells.0));
        names
    }

    #[test]
    fn what_nobody_counts_in_is_forgotten_after_a_while_by_all_threads_at_once_and_no_sum_falls() {
        let lists = [Listed::default(), Listed::default()];
        let began = Instant::now();
        let look = |lists: &[Listed<Cells>; 2], after: u32| forget(lists.iter(), began + LISTED * after, |cells| cells.0, |cells| cells.1);
        let held = of(&lists[1], 1);
        for name in [1, 2] {
            drop(of(&lists[0], name));
        }
        look(&lists, 0);
        assert_eq!(names(&lists[0]), [1, 2], "their last counts are read");
        look(&lists, 1);
        // The other thread counts in its part of the first one.
        assert_eq!((names(&lists[0]), names(&lists[1])), (vec![1], vec![1]));
        assert_eq!(lists[0].sum(|cells| cells.1), 10);
        drop(held);
        look(&lists, 1);
        let again = of(&lists[0], 1);
        look(&lists, 2);
        assert_eq!((names(&lists[0]), names(&lists[1])), (vec![1], vec![1]), "it was taken up again");
        drop(again);
        look(&lists, 2);
        look(&lists, 3);
        assert!(names(&lists[0]).is_empty() && names(&lists[1]).is_empty());
        assert_eq!((lists[0].sum(|cells| cells.1), lists[1].sum(|cells| cells.1)), (10, 5));
    }
}
