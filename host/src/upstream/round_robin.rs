//! The native default: smooth weighted round robin, at a cost that does not grow with the upstream as long as most of it is available.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::binary_heap::{BinaryHeap, PeekMut};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::{Endpoint, EndpointId, Upstream};

/// Smooth weighted round robin over one upstream, for one worker.
///
/// The turns of an endpoint of weight `w` are at the moments 1/2w, 3/2w, 5/2w and so on, and whoever's is next is picked; of several at one moment, the one
/// that stands first (Webster's method of apportionment, as a sequence). Weights 5, 1, 1 give `a a a b c a a`: the shares are exact, and the heavy one is spread
/// over all of it. One that is unavailable has no turns meanwhile, and none to make up for afterwards. A request that is made again takes nobody's turn: of two
/// endpoints, one of which fails, every request would meet that one first.
#[derive(Debug)]
pub struct RoundRobin {
    upstream: Arc<Upstream>,
    turns: RefCell<Turns>,
}

/// Those of one worker: one for each upstream, whichever routes lead to it.
#[derive(Debug, Default)]
pub struct RoundRobins {
    all: Vec<RoundRobin>,
    /// By route.
    numbers: Vec<usize>,
}

#[derive(Debug)]
enum Turns {
    /// All weights are the same: one after the other, and this one is next.
    Equal(usize),
    Weighted(Weighted),
}

#[derive(Debug)]
struct Weighted {
    /// The earliest first.
    turns: BinaryHeap<Reverse<Turn>>,
    /// When the last one was.
    now: u128,
    /// Those that had a turn and were unavailable.
    away: VecDeque<usize>,
    /// Which of them is looked at next.
    look: usize,
}

/// Ordered by its time, then by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: u128,
    endpoint: usize,
}

/// From one turn to the next of an endpoint of weight 1. Every weight up to 16 divides it, so that turns at one moment are; of others what the division loses
/// does not show.
const LAP: u128 = 720_720 << 64;

/// Of those that are away so many are looked at with each pick: when thousands have failed, no request looks at all of them.
const LOOKS: usize = 8;

/// Which endpoints are considered, best first. That no endpoint is available means more likely a network or a probe gone
/// wrong than every endpoint gone at once, so then all count as available.
#[derive(Debug, Clone, Copy)]
enum Candidates {
    UntriedAvailable,
    Available,
    Untried,
    All,
}

// === impl RoundRobins ===

impl RoundRobins {
    /// For routes that lead to these upstreams.
    pub fn new<'u>(upstreams: impl IntoIterator<Item = &'u Arc<Upstream>>) -> Self {
        let mut made = Self::default();
        let mut known = HashMap::new();
        for upstream in upstreams {
            let number = *known.entry(Arc::as_ptr(upstream)).or_insert_with(|| {
                made.all.push(RoundRobin::new(Arc::clone(upstream)));
                made.all.len() - 1
            });
            made.numbers.push(number);
        }
        made
    }

    /// The upstreams, each once.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.all.iter().map(|one| &*one.upstream)
    }

    /// That of the upstream of a route.
    pub fn of(&self, route: usize) -> Option<&RoundRobin> {
        self.all.get(*self.numbers.get(route)?)
    }
}

// === impl RoundRobin ===

impl RoundRobin {
    /// Begins with the first endpoint.
    pub fn new(upstream: Arc<Upstream>) -> Self {
        let turns = RefCell::new(Turns::of(&upstream.endpoints));
        Self { upstream, turns }
    }

    /// The endpoint for the next try, or `None` if the upstream has none. Available endpoints that are not in `tried` come
    /// first, then available ones, then (when none is available) untried ones, then any.
    pub fn pick(&self, tried: &[EndpointId], now: Instant) -> Option<&Arc<Endpoint>> {
        let endpoints = self.upstream.endpoints.as_slice();
        if let [only] = endpoints {
            return Some(only);
        }
        let picked = match &mut *self.turns.borrow_mut() {
            Turns::Equal(next) => in_a_row(next, endpoints, tried, now),
            Turns::Weighted(weighted) => weighted.pick(endpoints, tried, now),
        };
        endpoints.get(picked?)
    }
}

impl Candidates {
    const BEST_FIRST: [Self; 4] = [Self::UntriedAvailable, Self::Available, Self::Untried, Self::All];

    fn hold(self, endpoint: &Endpoint, tried: &[EndpointId], now: Instant) -> bool {
        match self {
            Self::UntriedAvailable => !tried.contains(&endpoint.id) && endpoint.is_available(now),
            Self::Available => endpoint.is_available(now),
            Self::Untried => !tried.contains(&endpoint.id),
            Self::All => true,
        }
    }
}

impl Turns {
    fn of(endpoints: &[Arc<Endpoint>]) -> Self {
        match endpoints {
            [first, rest @ ..] if rest.iter().any(|endpoint| endpoint.weight != first.weight) => Self::Weighted(Weighted::of(endpoints)),
            _ => Self::Equal(0),
        }
    }
}

/// The next that may be used, going round once at most for each kind of candidates.
fn in_a_row(next: &mut usize, endpoints: &[Arc<Endpoint>], tried: &[EndpointId], now: Instant) -> Option<usize> {
    let round = (*next..endpoints.len()).chain(0..*next);
    let picked = Candidates::BEST_FIRST.into_iter().find_map(|candidates| {
        round.clone().find(|index| endpoints.get(*index).is_some_and(|endpoint| candidates.hold(endpoint, tried, now)))
    })?;
    if tried.is_empty() {
        *next = (picked + 1) % endpoints.len();
    }
    Some(picked)
}

// === impl Weighted ===

impl Weighted {
    fn of(endpoints: &[Arc<Endpoint>]) -> Self {
        let turns = endpoints.iter().enumerate().map(|(index, endpoint)| Reverse(Turn { at: lap(endpoint) / 2, endpoint: index }));
        Self { turns: turns.collect(), now: 0, away: VecDeque::new(), look: 0 }
    }

    fn pick(&mut self, endpoints: &[Arc<Endpoint>], tried: &[EndpointId], now: Instant) -> Option<usize> {
        self.bring_back(endpoints, now);
        // Whoever was tried keeps its turn, and whoever is unavailable loses it.
        let mut kept: Vec<Turn> = Vec::new();
        let mut picked = None;
        while let Some(mut next) = self.turns.peek_mut() {
            let Turn { at, endpoint: index } = next.0;
            let endpoint = endpoints.get(index)?;
            if !endpoint.is_available(now) {
                PeekMut::pop(next);
                self.away.push_back(index);
            } else if tried.contains(&endpoint.id) {
                kept.push(PeekMut::pop(next).0);
            } else {
                if tried.is_empty() {
                    self.now = at;
                    next.0.at += lap(endpoint);
                }
                picked = Some(index);
                break;
            }
        }
        let first_kept = kept.first().map(|turn| turn.endpoint);
        self.turns.extend(kept.into_iter().map(Reverse));
        picked.or(first_kept).or_else(|| self.any_away(endpoints, tried))
    }

    /// Those that are available again have their turns from now on.
    fn bring_back(&mut self, endpoints: &[Arc<Endpoint>], now: Instant) {
        for _ in 0..self.away.len().min(LOOKS) {
            self.look %= self.away.len().max(1);
            let Some(endpoint) = self.away.get(self.look).and_then(|index| endpoints.get(*index)) else { return };
            if !endpoint.is_available(now) {
                self.look += 1;
            } else if let Some(index) = self.away.remove(self.look) {
                self.turns.push(Reverse(Turn { at: self.now + lap(endpoint) / 2, endpoint: index }));
            }
        }
    }

    /// Where all are away, one after the other.
    fn any_away(&mut self, endpoints: &[Arc<Endpoint>], tried: &[EndpointId]) -> Option<usize> {
        let is_untried = |index: &usize| endpoints.get(*index).is_some_and(|endpoint| !tried.contains(&endpoint.id));
        let place = self.away.iter().position(is_untried).unwrap_or_default();
        let picked = self.away.remove(place)?;
        self.away.push_back(picked);
        Some(picked)
    }
}

fn lap(endpoint: &Endpoint) -> u128 {
    LAP / u128::from(endpoint.weight.max(1))
}

#[cfg(test)]
mod tests;
