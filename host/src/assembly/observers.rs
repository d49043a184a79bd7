//! What runs on the control side: observers, which are told of finished exchanges in batches, and timers.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::generation::CONTROL;
use super::timers::{Due, Timers};
use crate::plugin::{Holder, Slot, on_tick};
use crate::proxy::{Batch, Snapshot};

/// The observers and timers of one snapshot, ready. A plugin that is both has one instance for it, unless its calls may
/// overlap: then each tick is lent one of a pool.
#[derive(Debug)]
pub struct Observers {
    pub(super) number: u64,
    pub(super) snapshot: Weak<Snapshot>,
    pub(super) slots: Vec<Slot>,
    pub(super) timers: Timers,
}

/// Those that are at work on the control thread: of what serves, and the observers of what served before as long as requests are in
/// flight on it.
#[derive(Debug)]
pub struct Observing {
    serving: Set,
    earlier: Vec<Set>,
}

/// Those of one snapshot.
#[derive(Debug)]
struct Set {
    number: u64,
    snapshot: Weak<Snapshot>,
    slots: Rc<[RefCell<Slot>]>,
    timers: Timers,
    /// Timers whose tick waits for something.
    ticking: Rc<RefCell<BTreeSet<(usize, u32)>>>,
    /// Since when no worker serves by it.
    over: Option<Instant>,
}

/// A slot, for a tick that waits.
#[derive(Debug, Clone)]
struct Held {
    slots: Rc<[RefCell<Slot>]>,
    slot: usize,
}

/// How long the last records of a snapshot may be on their way: workers hand over what they have several times within it.
const ON_THE_WAY: Duration = Duration::from_secs(1);

impl Holder for Held {
    fn with<R>(&self, take: impl FnOnce(&mut Slot) -> R) -> R {
        match self.slots.get(self.slot) {
            Some(slot) => take(&mut slot.borrow_mut()),
            None => unreachable!("a slot was there when the tick began, and none is ever taken away"),
        }
    }
}

impl Observers {
    /// Puts them to work on this thread.
    pub fn begin(self) -> Observing {
        Observing { serving: self.here(), earlier: Vec::new() }
    }

    fn here(self) -> Set {
        let Self { number, snapshot, slots, timers } = self;
        Set { number, snapshot, slots: slots.into_iter().map(RefCell::new).collect(), timers, ticking: Rc::default(), over: None }
    }
}

impl Observing {
    /// When the next timer of what serves is due; `None` without any.
    pub fn next_tick(&self) -> Option<Instant> {
        self.serving.timers.next()
    }

    /// Ticks the timers that are due, for a few milliseconds at most, save the last of them. What fails is counted and logged where it
    /// is called.
    pub fn tick(&mut self) {
        let Set { slots, timers, ticking, .. } = &mut self.serving;
        timers.run(Instant::now, |due| tick(slots, ticking, due));
    }

    /// Puts those of another snapshot in the place of those that serve. What is still in flight is told to these.
    pub fn replace(&mut self, next: Observers) {
        self.earlier.push(std::mem::replace(&mut self.serving, next.here()));
    }

    /// Whether there are observers of what served before.
    pub fn has_earlier(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// Ends those that no record can be for any more.
    pub fn end_earlier(&mut self, now: Instant) {
        self.earlier.retain_mut(|set| {
            let is_over = set.snapshot.strong_count() == 0;
            let over = is_over.then(|| *set.over.get_or_insert(now));
            let stays = over.is_none_or(|since| now.saturating_duration_since(since) < ON_THE_WAY);
            if !stays {
                // A tick that still waits has its slot for itself only while it is called.
                set.slots.iter().filter_map(|slot| slot.try_borrow_mut().ok()).for_each(|mut slot| slot.retire(CONTROL));
            }
            stays
        });
    }

    /// Hands a batch to the observers it is for.
    ///
    /// A stream can end long after the version it began with. Its record then goes to what observes its route by the same name
    /// today: an open stream must not keep a version alive that has nothing else to do.
    ///
    /// # Errors
    /// How many records were lost.
    pub fn complete(&mut self, mut batch: Batch) -> Result<(), u64> {
        let all = batch.len();
        let mut sets = std::iter::once(&self.serving).chain(&self.earlier);
        let told = match sets.find(|set| set.number == batch.snapshot) {
            Some(set) => set.complete(batch),
            None => {
                self.serving.redirect(&mut batch);
                self.serving.complete(batch)
            }
        };
        if told == all { Ok(()) } else { Err((all - told) as u64) }
    }
}

impl Set {
    /// How many of the batch were told.
    fn complete(&self, mut batch: Batch) -> usize {
        let told = self.slots.iter().enumerate().map(|(observer, slot)| {
            let records = batch.of(observer);
            if !records.is_empty() && slot.borrow_mut().on_complete(&records).is_ok() { records.len() } else { 0 }
        });
        let told: usize = told.sum();
        let rows = batch.take_rows().into_iter().map(|((observer, config), ended)| {
            let (count, slot) = (ended.rows.len(), self.slots.get(observer));
            let told = slot.is_some_and(|slot| slot.borrow_mut().on_batch(config, ended).is_ok());
            if told { count } else { 0 }
        });
        told + rows.sum::<usize>()
    }

    /// Addresses a batch to the plugins of the same names on the routes of the same names.
    fn redirect(&self, batch: &mut Batch) {
        let snapshot = self.snapshot.upgrade();
        batch.redirect(|rows, route, plugin| {
            let route = snapshot.as_ref()?.routes.iter().find(|known| *known.facts.name == *route)?;
            let all = if rows { &route.chain.batch_observers } else { &route.chain.observers };
            let place = all.iter().find(|place| *place.name == *plugin)?;
            Some((place.slot, place.config))
        });
    }
}

/// Ticks a timer, here and now or in turns. One that is still at its last tick has no other meanwhile.
fn tick(slots: &Rc<[RefCell<Slot>]>, ticking: &Rc<RefCell<BTreeSet<(usize, u32)>>>, due: Due) {
    let Some(slot) = slots.get(due.slot) else { return };
    if !slot.borrow().runs_in_turns() {
        // What fails is counted and logged where it is called.
        let _ = slot.borrow_mut().on_tick(due.config);
        return;
    }
    let timer = (due.slot, due.config);
    if ticking.borrow_mut().insert(timer) {
        let (held, ticking) = (Held { slots: Rc::clone(slots), slot: due.slot }, Rc::clone(ticking));
        tokio::task::spawn_local(async move {
            let _ = on_tick(held, timer.1).await;
            ticking.borrow_mut().remove(&timer);
        });
    }
}
