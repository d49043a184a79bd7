//! The native default: smooth weighted round robin.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use super::{Endpoint, EndpointId, Upstream};

/// Smooth weighted round robin over one upstream, for one worker.
///
/// Every pick adds each candidate's weight to its credit, takes the candidate with the most credit and charges it the
/// candidates' total. Weights 5, 1, 1 give `a a b a c a a`: the shares are exact and the heavy one never comes in one burst.
#[derive(Debug, Default)]
pub struct RoundRobin {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    credits: Vec<i64>,
}

/// Which endpoints are considered, best first. That no endpoint is available means more likely a network or a probe gone
/// wrong than every endpoint gone at once, so then all count as available.
#[derive(Debug, Clone, Copy)]
enum Candidates {
    UntriedAvailable,
    Available,
    Untried,
    All,
}

impl RoundRobin {
    /// The endpoint for the next try, or `None` if the upstream has none. Available endpoints that are not in `tried` come
    /// first, then available ones, then (when none is available) untried ones, then any. An upstream that was assembled
    /// anew starts anew.
    pub fn pick<'u>(&self, upstream: &'u Upstream, tried: &[EndpointId], now: Instant) -> Option<&'u Arc<Endpoint>> {
        if let [only] = upstream.endpoints.as_slice() {
            return Some(only);
        }
        let mut state = self.state.borrow_mut();
        if state.generation != upstream.generation {
            *state = State { generation: upstream.generation, credits: vec![0; upstream.endpoints.len()] };
        }
        [Candidates::UntriedAvailable, Candidates::Available, Candidates::Untried, Candidates::All]
            .into_iter()
            .find_map(|candidates| state.pick(&upstream.endpoints, |endpoint| candidates.hold(endpoint, tried, now)))
    }
}

impl Candidates {
    fn hold(self, endpoint: &Endpoint, tried: &[EndpointId], now: Instant) -> bool {
        match self {
            Self::UntriedAvailable => !tried.contains(&endpoint.id) && endpoint.is_available(now),
            Self::Available => endpoint.is_available(now),
            Self::Untried => !tried.contains(&endpoint.id),
            Self::All => true,
        }
    }
}

impl State {
    fn pick<'u>(&mut self, endpoints: &'u [Arc<Endpoint>], holds: impl Fn(&Endpoint) -> bool) -> Option<&'u Arc<Endpoint>> {
        let mut total = 0;
        let mut best: Option<(&mut i64, &'u Arc<Endpoint>)> = None;
        for (credit, endpoint) in self.credits.iter_mut().zip(endpoints).filter(|(_, endpoint)| holds(endpoint)) {
            let weight = i64::from(endpoint.weight);
            *credit += weight;
            total += weight;
            if best.as_ref().is_none_or(|(most, _)| *credit > **most) {
                best = Some((credit, endpoint));
            }
        }
        let (credit, endpoint) = best?;
        *credit -= total;
        Some(endpoint)
    }
}

#[cfg(test)]
mod tests;
