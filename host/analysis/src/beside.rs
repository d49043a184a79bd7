//! One endpoint's past beside its siblings: minutes of a quarter of an hour, four hours in blocks of five minutes, a day by the hour.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::contrast::Contrast;
use crate::minute::{BLOCK, Minute};
use crate::statistics::{Robust, median};

/// Minutes kept one by one.
const MINUTES: u64 = 15;
/// Blocks kept.
const BLOCKS: usize = 48;
/// Hours kept to know how siblings usually differ.
const HOURS: usize = 24;
/// Usual spans that a window is compared with.
const SPANS: usize = 12;
/// Hours that it takes to know.
const ENOUGH_HOURS: usize = 4;
/// Requests below which a block does not say how siblings differ.
const ENOUGH: u64 = 20;

/// How an endpoint stood to its siblings in some minutes; `None` where there was nothing to compare.
#[derive(Debug, Clone, Copy)]
struct Stood {
    start: Minute,
    contrast: Option<Contrast>,
    /// Part of an incident: nothing to compare with.
    marked: bool,
}

/// One endpoint's past.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    minutes: VecDeque<Stood>,
    blocks: VecDeque<Stood>,
    /// By how much its median was above theirs, hour by hour, as a logarithm.
    hours: VecDeque<f64>,
    usual: Option<Robust>,
    marking: bool,
    latest: Minute,
}

/// Every endpoint's contrast in a span.
pub(crate) type Contrasts = BTreeMap<Arc<str>, Contrast>;

impl Beside {
    /// Takes in a minute, and at the end of a block all of that.
    pub(crate) fn push(&mut self, at: Minute, minute: Option<Contrast>, block: Option<Contrast>) {
        if self.latest.hour() != at.hour() {
            self.end_hour();
        }
        self.latest = at;
        let marked = self.marking;
        self.minutes.push_back(Stood { start: at, contrast: minute, marked });
        while self.minutes.front().is_some_and(|stood| stood.start.0 + MINUTES <= at.0) {
            self.minutes.pop_front();
        }
        let start = at.block();
        match self.blocks.back_mut().filter(|stood| stood.start == start) {
            Some(stood) => (stood.contrast, stood.marked) = (block, stood.marked || marked),
            None => self.blocks.push_back(Stood { start, contrast: block, marked }),
        }
        if self.blocks.len() > BLOCKS {
            self.blocks.pop_front();
        }
    }

    fn end_hour(&mut self) {
        let hour = self.latest.hour();
        let blocks = self.blocks.iter().filter(|stood| stood.start.hour() == hour && !stood.marked);
        let contrasts = blocks.filter_map(|stood| stood.contrast).filter(|contrast| contrast.own.all >= ENOUGH);
        let mut differences: Vec<_> = contrasts.map(|Contrast { median: [own, theirs], .. }| own - theirs).collect();
        differences.retain(|difference| difference.is_finite());
        if let Some(difference) = median(&mut differences) {
            self.hours.push_back(difference);
            if self.hours.len() > HOURS {
                self.hours.pop_front();
            }
            self.usual = Robust::of(self.hours.iter().copied()).filter(|_| self.hours.len() >= ENOUGH_HOURS);
        }
    }

    /// How its median usually differs from its siblings'.
    pub(crate) fn usual(&self) -> Option<Robust> {
        self.usual
    }

    /// From `onset` on this is no usual time, until [`Beside::unmark`].
    pub(crate) fn mark(&mut self, onset: Minute) {
        self.marking = true;
        for block in self.blocks.iter_mut().filter(|block| block.start.0 + BLOCK > onset.0) {
            block.marked = true;
        }
    }

    /// Usual times again.
    pub(crate) fn unmark(&mut self) {
        self.marking = false;
    }

    /// Forgets all but what has been since: what is usual is another thing now.
    pub(crate) fn accept(&mut self) {
        self.marking = false;
        self.hours.clear();
        self.usual = None;
        self.blocks.iter_mut().for_each(|block| block.marked = false);
    }

    /// The last minutes with something to compare, oldest first; blocks where minutes are no longer kept.
    pub(crate) fn recent(&self) -> impl DoubleEndedIterator<Item = (Minute, Contrast)> + '_ {
        let first = self.minutes.front().map_or(self.latest, |stood| stood.start);
        let blocks = self.blocks.iter().filter(move |block| block.start.0 + BLOCK <= first.0);
        blocks.chain(&self.minutes).filter_map(|stood| Some((stood.start, stood.contrast?)))
    }

    /// The last blocks with something to compare, oldest first.
    pub(crate) fn blocks(&self) -> impl DoubleEndedIterator<Item = (Minute, Contrast)> + '_ {
        self.blocks.iter().filter_map(|stood| Some((stood.start, stood.contrast?)))
    }

    /// Some usual spans of 5 or 15 minutes before the window of the same length, newest first.
    pub(crate) fn before(&self, minutes: u64) -> Vec<Contrast> {
        let end = (self.latest.0 + 1).saturating_sub(minutes);
        let usual = self.blocks.iter().rev().filter(|block| block.start.0 + BLOCK <= end && !block.marked);
        let group = usize::try_from(minutes / BLOCK).unwrap_or(1).max(1);
        let usual: Vec<_> = usual.filter_map(|block| block.contrast).take(SPANS * group).collect();
        usual.chunks_exact(group).filter_map(|blocks| blocks.iter().copied().reduce(Contrast::plus)).collect()
    }

    pub(crate) fn latest(&self) -> Minute {
        self.latest
    }
}
