//! How attempts ended, on the way to the routers that learn from it: gathered for each of them on the worker that made the
//! attempts, and told in batches between requests. What finds no room is lost and counted; nothing waits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use super::{Place, Plugins};
use crate::exchange::Outcome;
use crate::plugin::{EndpointOutcome, Hook, Slot};
use crate::telemetry::PluginCells;

/// Outcomes that are told without waiting any longer, and the most that are told by one call.
const BATCH: usize = 64;
/// Outcomes that wait at most: what a worker that is busy with other things may gather before it comes to tell them.
const ROOM: usize = 1024;

/// One attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// After how long.
    pub latency_us: u32,
}

/// What one router is still to be told.
#[derive(Debug)]
pub(super) struct Outcomes {
    /// By configuration. The room for all of it is there from the start.
    waiting: RefCell<VecDeque<(u32, Ended)>>,
    cells: Arc<PluginCells>,
}

// === impl Plugins ===

impl Plugins {
    /// Whether a router learns how its attempts ended.
    pub fn learns(&self, router: &Place) -> bool {
        self.outcomes(router).is_some()
    }

    /// Keeps the outcome of an attempt for its router. Whether enough wait for a batch.
    pub fn learn(&self, router: &Place, ended: Ended) -> bool {
        self.outcomes(router).is_some_and(|outcomes| outcomes.push(router.config, ended))
    }

    /// Tells every router one batch of what waits for it. Whether more waits.
    pub fn tell_outcomes(&self) -> bool {
        let mut more = false;
        for (slot, outcomes) in self.slots.iter().zip(&self.outcomes) {
            let Some(outcomes) = outcomes else { continue };
            let batch = outcomes.take();
            if batch.is_empty() {
                continue;
            }
            // Free whenever a task begins its turn: hooks run to their end in one.
            let told = slot.try_borrow_mut().is_ok_and(|mut slot| slot.on_outcomes(&batch).is_ok());
            if !told {
                outcomes.cells.outcomes_lost(batch.len() as u64);
            }
            more |= !outcomes.waiting.borrow().is_empty();
        }
        more
    }

    fn outcomes(&self, router: &Place) -> Option<&Outcomes> {
        self.outcomes.get(router.slot)?.as_ref()
    }
}

// === impl Outcomes ===

impl Outcomes {
    /// For a router that learns; `None` for any other plugin.
    pub(super) fn of(slot: &Slot) -> Option<Self> {
        slot.recipe().has(Hook::OutcomeObserver).then(|| Self::new(Arc::clone(slot.cells())))
    }

    fn new(cells: Arc<PluginCells>) -> Self {
        Self { waiting: RefCell::new(VecDeque::with_capacity(ROOM)), cells }
    }

    fn push(&self, config: u32, ended: Ended) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < ROOM {
            waiting.push_back((config, ended));
        } else {
            self.cells.outcomes_lost(1);
        }
        waiting.len() >= BATCH
    }

    fn take(&self) -> Vec<EndpointOutcome> {
        let mut waiting = self.waiting.borrow_mut();
        let batch = waiting.len().min(BATCH);
        let told = |(config_id, Ended { outcome, latency_us })| EndpointOutcome { config_id, outcome: outcome.into(), latency_us };
        waiting.drain(..batch).map(told).collect()
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        // An exchange can outlive the generation it began with, and its router with it.
        self.cells.outcomes_lost(self.waiting.borrow().len() as u64);
    }
}

#[cfg(test)]
mod tests;
