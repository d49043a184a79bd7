//! Every lane of one worker, by endpoint, and the looks at connections that nobody uses.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::lane::Lane;
use super::{EndpointId, IdMap, Plan};

/// The lanes of one worker.
pub(super) struct Lanes<B: Body + 'static> {
    by_endpoint: RefCell<IdMap<Vec<Rc<Lane<B>>>>>,
    looks: RefCell<Looks>,
    /// Whether it listens to what its worker is asked.
    listens: Cell<bool>,
}

/// Whose connections are looked at next.
#[derive(Default)]
struct Looks {
    /// Every endpoint with a lane.
    turns: VecDeque<EndpointId>,
    /// Calls since the last one was looked at, times endpoints.
    due: usize,
}

/// Calls of [`Lanes::reap`] until each endpoint's connections were looked at.
const CALLS: usize = 10;

/// Unused connections that are given up at once where files run out: some more than one, so that not every new connection has to meet the error.
const GIVEN_UP: usize = 16;

impl<B: Body + 'static> Lanes<B> {
    /// Endpoints with lanes.
    pub(super) fn endpoints(&self) -> usize {
        self.by_endpoint.borrow().len()
    }
}

impl<B> Lanes<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// No lanes yet.
    pub(super) fn new() -> Self {
        Self { by_endpoint: RefCell::default(), looks: RefCell::default(), listens: Cell::new(false) }
    }

    /// The one whose connections a plan wants.
    pub(super) fn of(self: &Rc<Self>, plan: &Plan<'_>) -> Rc<Lane<B>> {
        let found = |lanes: &Vec<Rc<Lane<B>>>| lanes.iter().find(|lane| lane.fits(plan)).map(Rc::clone);
        if let Some(lane) = self.by_endpoint.borrow().get(&plan.endpoint.id).and_then(found) {
            return lane;
        }
        // Who is no worker gives up what is asked for when it looks.
        if plan.endpoint.share().is_a_workers() && !self.listens.replace(true) {
            spawn_local(listen(Rc::downgrade(self), Arc::clone(&plan.endpoint.share().asked)));
        }
        let mut by_endpoint = self.by_endpoint.borrow_mut();
        let lanes = by_endpoint.entry(plan.endpoint.id).or_default();
        if lanes.is_empty() {
            self.looks.borrow_mut().turns.push_back(plan.endpoint.id);
        }
        let lane = Rc::new(Lane::new(plan));
        lanes.push(Rc::clone(&lane));
        lane
    }

    /// Closes connections that were unused for too long or that the other side has closed. Each call looks at a tenth of the endpoints, in turn.
    pub(super) fn reap(&self, now: Instant) {
        let mut by_endpoint = self.by_endpoint.borrow_mut();
        let Looks { turns, due } = &mut *self.looks.borrow_mut();
        *due += turns.len();
        while *due >= CALLS {
            *due -= CALLS;
            let Some(endpoint) = turns.pop_front() else { return };
            let Some(lanes) = by_endpoint.get_mut(&endpoint) else { continue };
            lanes.retain(|lane| {
                lane.reap(now);
                Rc::strong_count(lane) > 1 || !lane.is_empty()
            });
            if lanes.is_empty() {
                by_endpoint.remove(&endpoint);
            } else {
                turns.push_back(endpoint);
            }
        }
    }

    /// Closes some unused connections, of endpoints in turn; says whether there were any.
    pub(super) fn give_up_unused(&self) -> bool {
        let by_endpoint = self.by_endpoint.borrow();
        let turns = &mut self.looks.borrow_mut().turns;
        let mut left = GIVEN_UP;
        for _ in 0..turns.len() {
            let Some(endpoint) = turns.pop_front() else { break };
            turns.push_back(endpoint);
            for lane in by_endpoint.get(&endpoint).into_iter().flatten() {
                left -= lane.give_up(left);
            }
            if left == 0 {
                break;
            }
        }
        left < GIVEN_UP
    }

    /// Connections that rest.
    #[cfg(test)]
    pub(super) fn resting(&self) -> usize {
        self.by_endpoint.borrow().values().flatten().map(|lane| lane.resting()).sum()
    }

    /// Closes unused connections for which requests of other workers wait.
    pub(super) fn give_up_what_is_asked_for(&self) {
        self.by_endpoint.borrow().values().flatten().for_each(|lane| lane.give_up_what_is_asked_for());
    }

    /// Closes an unused connection to that endpoint; says whether there was one.
    pub(super) fn give_up_one(&self, endpoint: EndpointId) -> bool {
        self.by_endpoint.borrow().get(&endpoint).is_some_and(|lanes| lanes.iter().any(|lane| lane.give_up(1) > 0))
    }
}

/// Gives up connections whenever this worker is asked to.
async fn listen<B>(lanes: Weak<Lanes<B>>, asked: Arc<Notify>)
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        asked.notified().await;
        let Some(lanes) = lanes.upgrade() else { return };
        lanes.give_up_what_is_asked_for();
    }
}
