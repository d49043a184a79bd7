//! What one worker counts for the monitoring store: every request, exactly, by route, endpoint and consumer. Counting finds its
//! key without an allocation; what was counted is moved out three times a second and handed over by message. When nobody takes it, it
//! goes on adding up here, so nothing is lost for want of a reader.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::latency::Bins;
use super::route::RouteCells;
use super::sample::{Detail, Sample, Samples};
use crate::fault::{ErrorCause, Fault};

/// Keys one worker tells apart; past it consumers of a route are counted together, then its endpoints too.
const MAX_KEYS: usize = 4096;
/// Stands for every consumer and endpoint that there was no room for.
pub const OTHER: &str = "(other)";
/// Hand-overs without a request after which a key is forgotten: six minutes or so.
const FORGOTTEN: u32 = 1_200;

/// What a request came to.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// Its route's cells; those of `none` without a route.
    pub route: &'a Arc<RouteCells>,
    /// URL of the endpoint that answered, or failed to as the last one tried; empty where none was.
    pub endpoint: &'a str,
    /// Who asked; empty where nobody knows.
    pub consumer: &'a str,
    /// What the client got.
    pub status: u16,
    /// What went wrong; every 4xx and 5xx has something.
    pub fault: Option<ErrorCause>,
    /// From head to last byte; `None` for what never became a request.
    pub duration: Option<Duration>,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Body bytes sent.
    pub response_bytes: u64,
}

/// What was counted of one key since it was last handed over.
#[derive(Debug, Clone)]
pub struct TallyCell {
    /// The API its route belongs to.
    pub api: Option<Arc<str>>,
    /// That API's version.
    pub version: Option<Arc<str>>,
    /// The route.
    pub route: Arc<str>,
    /// The endpoint; empty without.
    pub endpoint: Arc<str>,
    /// The consumer; empty without.
    pub consumer: Arc<str>,
    /// Requests by status and fault.
    pub outcomes: Vec<(u16, Option<ErrorCause>, u64)>,
    /// Distribution of durations.
    pub bins: Bins,
    /// Sum of durations.
    pub duration: Duration,
    /// The longest.
    pub longest: Duration,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Body bytes sent.
    pub response_bytes: u64,
}

/// What one worker hands over.
#[derive(Debug, Default)]
pub struct Tally {
    /// Every key something was counted of.
    pub cells: Vec<TallyCell>,
    /// Requests worth keeping.
    pub samples: Vec<Sample>,
    /// Requests that were counted under [`OTHER`].
    pub folded: u64,
}

/// One worker's tallies, and where they go.
#[derive(Debug)]
pub struct Tallies {
    reader: Option<SyncSender<Tally>>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Seeded, since consumers may choose their names.
    hasher: RandomState,
    /// By the hash of a key; positions in `cells`.
    keys: HashTable<u32>,
    cells: Vec<Cell>,
    /// The one that was counted last; of another key, or none, once keys were forgotten.
    last: u32,
    /// Cells with something to hand over.
    touched: Vec<u32>,
    samples: Samples,
    folded: u64,
    /// Handed over so many times.
    round: u32,
    /// What the reader had no room for.
    waiting: Option<Tally>,
}

#[derive(Debug)]
struct Cell {
    hash: u64,
    counts: TallyCell,
    cells: Arc<RouteCells>,
    /// When it was last handed over.
    round: u32,
}

impl Tallies {
    /// Tallies for a reader; without one nothing is counted.
    pub fn new(reader: Option<SyncSender<Tally>>) -> Self {
        Self { reader, state: RefCell::default() }
    }

    /// A request has ended. `detail` is only asked of one that is worth keeping.
    pub fn add<'d>(&self, finished: &Finished<'_>, detail: impl FnOnce() -> Detail<'d>) {
        if self.reader.is_some() {
            let mut state = self.state.borrow_mut();
            state.count(finished);
            state.samples.offer(finished, detail);
        }
    }

    /// Something was answered that never became a request.
    pub fn refused(&self, route: &Arc<RouteCells>, fault: Fault) {
        if self.reader.is_some() {
            let status = fault.status().as_u16();
            let finished = Finished {
                route,
                endpoint: "",
                consumer: "",
                status,
                fault: Some(fault.into()),
                duration: None,
                request_bytes: 0,
                response_bytes: 0,
            };
            self.state.borrow_mut().count(&finished);
        }
    }

    /// Hands over what was counted, three times a second. What the reader has no room for stays here.
    pub fn hand_over(&self) {
        let Some(reader) = &self.reader else { return };
        let mut state = self.state.borrow_mut();
        if let Some(waiting) = state.waiting.take()
            && let Err(TrySendError::Full(waiting)) = reader.try_send(waiting)
        {
            state.waiting = Some(waiting);
            return;
        }
        if let Some(tally) = state.take()
            && let Err(TrySendError::Full(tally)) = reader.try_send(tally)
        {
            state.waiting = Some(tally);
        }
    }
}

impl Drop for Tallies {
    /// The worker has ended, and with it every request it had: what is left goes too. The reader is there until all workers
    /// have ended, so this waits for it no longer than it takes to make room.
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            let mut state = self.state.borrow_mut();
            let last = [state.waiting.take(), state.take()];
            // Only a reader that is gone takes nothing.
            last.into_iter().flatten().for_each(|tally| drop(reader.send(tally)));
        }
    }
}

impl State {
    fn count(&mut self, finished: &Finished<'_>) {
        let index = match self.find(finished) {
            Some(known) => known,
            None => self.learn(finished),
        };
        self.last = index;
        let Some(cell) = self.cells.get_mut(index as usize) else { return };
        let counts = &mut cell.counts;
        if counts.outcomes.is_empty() {
            self.touched.push(index);
        }
        match counts.outcomes.iter_mut().find(|(status, fault, _)| (*status, *fault) == (finished.status, finished.fault)) {
            Some((_, _, count)) => *count += 1,
            None => counts.outcomes.push((finished.status, finished.fault, 1)),
        }
        if let Some(duration) = finished.duration {
            counts.bins.add(duration);
            counts.duration += duration;
            counts.longest = counts.longest.max(duration);
        }
        counts.request_bytes += finished.request_bytes;
        counts.response_bytes += finished.response_bytes;
    }

    fn find(&self, finished: &Finished<'_>) -> Option<u32> {
        let is = |index: &u32| self.cells.get(*index as usize).is_some_and(|cell| cell.is(finished));
        // Requests of one key often come one after the other, and to compare is cheaper than to hash.
        if is(&self.last) {
            return Some(self.last);
        }
        self.keys.find(self.hash(finished), is).copied()
    }

    fn hash(&self, finished: &Finished<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        Arc::as_ptr(finished.route).hash(&mut hasher);
        finished.endpoint.hash(&mut hasher);
        finished.consumer.hash(&mut hasher);
        hasher.finish()
    }

    /// A key that comes for the first time.
    #[cold]
    fn learn(&mut self, finished: &Finished<'_>) -> u32 {
        if self.cells.len() < MAX_KEYS {
            return self.insert(finished);
        }
        // Whom nobody knows is no other consumer.
        let among_others = Finished { consumer: if finished.consumer.is_empty() { "" } else { OTHER }, ..*finished };
        // Endpoints are as many as the configuration names; a limit that is twice as far bounds those of a hundred reloads.
        let has_room = self.cells.len() < 2 * MAX_KEYS || finished.endpoint.is_empty() || self.find(&among_others).is_some();
        let endpoint = if has_room { finished.endpoint } else { OTHER };
        let among_others = Finished { endpoint, ..among_others };
        self.folded += u64::from((among_others.endpoint, among_others.consumer) != (finished.endpoint, finished.consumer));
        self.find(&among_others).unwrap_or_else(|| self.insert(&among_others))
    }

    fn insert(&mut self, finished: &Finished<'_>) -> u32 {
        let index = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let hash = self.hash(finished);
        self.cells.push(Cell::new(hash, finished, self.round));
        self.touched.reserve(1);
        let Self { keys, cells, .. } = self;
        keys.insert_unique(hash, index, |index| cells.get(*index as usize).map_or(0, |cell| cell.hash));
        index
    }

    /// What there is to hand over.
    fn take(&mut self) -> Option<Tally> {
        self.round = self.round.wrapping_add(1);
        let mut tally = Tally { samples: self.samples.take(), folded: std::mem::take(&mut self.folded), ..Tally::default() };
        for index in self.touched.drain(..) {
            if let Some(cell) = self.cells.get_mut(index as usize) {
                cell.round = self.round;
                tally.cells.push(cell.take());
            }
        }
        if self.round.is_multiple_of(FORGOTTEN) {
            self.forget();
        }
        (!tally.cells.is_empty()).then_some(tally)
    }

    /// Forgets keys that nothing was counted of for a while.
    fn forget(&mut self) {
        let round = self.round;
        self.cells.retain(|cell| round.wrapping_sub(cell.round) < FORGOTTEN);
        let Self { keys, cells, .. } = self;
        keys.clear();
        for (index, cell) in (0..).zip(cells.iter()) {
            keys.insert_unique(cell.hash, index, |index| cells.get(*index as usize).map_or(0, |cell| cell.hash));
        }
    }
}

impl Cell {
    fn new(hash: u64, finished: &Finished<'_>, round: u32) -> Self {
        let route = finished.route;
        let counts = TallyCell {
            api: route.api.clone(),
            version: route.version.clone(),
            route: Arc::clone(&route.name),
            endpoint: finished.endpoint.into(),
            consumer: finished.consumer.into(),
            outcomes: Vec::with_capacity(4),
            bins: Bins::with_room(),
            duration: Duration::ZERO,
            longest: Duration::ZERO,
            request_bytes: 0,
            response_bytes: 0,
        };
        Self { hash, counts, cells: Arc::clone(route), round }
    }

    fn is(&self, finished: &Finished<'_>) -> bool {
        Arc::ptr_eq(&self.cells, finished.route)
            && *self.counts.endpoint == *finished.endpoint
            && *self.counts.consumer == *finished.consumer
    }

    /// A copy of what was counted; it begins anew and keeps its room.
    fn take(&mut self) -> TallyCell {
        let counts = &mut self.counts;
        let taken = counts.clone();
        counts.outcomes.clear();
        counts.bins.clear();
        (counts.duration, counts.longest, counts.request_bytes, counts.response_bytes) = (Duration::ZERO, Duration::ZERO, 0, 0);
        taken
    }
}

#[cfg(test)]
mod tests;
