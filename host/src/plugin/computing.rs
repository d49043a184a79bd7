//! Calls that run in turns and compute for longer than a tick: one after another, first come, first served.
//!
//! Were they all to go on at once, a thousand loops would each have had most of their budget before the first of them was found out.
//! So only one of a plugin's computes at a time on a worker and the others stand in line, which takes no longer in all. Where
//! the line is long whoever comes next stands in it from the first instruction. One that waits for a server leaves the line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// Those that may stand in line with a tick's work done already.
const CROWD: usize = 16;

/// The line of one plugin on one worker.
#[derive(Debug)]
pub struct Computing {
    turn: Semaphore,
    /// In line, the one whose turn it is included.
    count: AtomicUsize,
}

/// Where one instance's call is.
#[derive(Debug)]
pub(super) struct Place {
    line: Arc<Computing>,
    state: Arc<State>,
}

/// What the instance and whoever polls its call both know.
#[derive(Debug, Default)]
pub(super) struct State {
    is_in_line: AtomicBool,
    has_the_turn: AtomicBool,
}

impl Computing {
    /// Nobody computes.
    pub fn nobody() -> Arc<Self> {
        Arc::new(Self { turn: Semaphore::new(1), count: AtomicUsize::new(0) })
    }
}

impl Place {
    pub(super) fn new(line: &Arc<Computing>) -> Self {
        Self { line: Arc::clone(line), state: Arc::default() }
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// A call begins: what to wait for before it does anything, where there is a crowd.
    pub(super) fn begin(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        (self.line.count.load(Ordering::Relaxed) >= CROWD).then(|| self.step_back())
    }

    /// A tick came: gives the worker to others, and goes on when it is this call's turn.
    pub(super) fn step_back(&self) -> impl Future<Output = ()> + Send + use<> {
        if !self.state.is_in_line.swap(true, Ordering::Relaxed) {
            self.line.count.fetch_add(1, Ordering::Relaxed);
        }
        let (line, state) = (Arc::clone(&self.line), Arc::clone(&self.state));
        async move {
            // Not at once again, even alone: the runtime looks after its sockets first.
            tokio::task::yield_now().await;
            if !state.has_the_turn.load(Ordering::Relaxed)
                && let Ok(turn) = line.turn.acquire().await
            {
                turn.forget();
                state.has_the_turn.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The call is over, or waits for something else.
    pub(super) fn leave(&self) {
        if self.state.has_the_turn.swap(false, Ordering::Relaxed) {
            self.line.turn.add_permits(1);
        }
        if self.state.is_in_line.swap(false, Ordering::Relaxed) {
            self.line.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl State {
    /// Whether the call stands in line, or has its turn.
    pub(super) fn computes(&self) -> bool {
        self.is_in_line.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll(future: Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn one_computes_at_a_time_in_the_order_they_came() {
        let line = Computing::nobody();
        let [first, second, third] = [(); 3].map(|()| Place::new(&line));
        let (mut one, mut two, mut three) = (pin!(first.step_back()), pin!(second.step_back()), pin!(third.step_back()));
        // Each gives the worker away once, whether or not there are others.
        assert!(!poll(one.as_mut()) && !poll(two.as_mut()) && !poll(three.as_mut()));
        assert!(poll(one.as_mut()) && !poll(two.as_mut()) && !poll(three.as_mut()));
        // It keeps its turn from tick to tick.
        let mut again = pin!(first.step_back());
        assert!(!poll(again.as_mut()) && poll(again.as_mut()) && !poll(two.as_mut()));
        // Who waits for something else is out of the line, and comes behind the others.
        first.leave();
        assert!(!first.state().computes() && second.state().computes());
        let mut back = pin!(first.step_back());
        assert!(!poll(back.as_mut()) && !poll(back.as_mut()) && !poll(three.as_mut()));
        assert!(poll(two.as_mut()));
        // One that ends while it stands in line holds up nobody.
        drop(third);
        second.leave();
        drop(line);
    }

    #[test]
    fn what_ends_leaves_the_line_and_gives_its_turn_back() {
        let line = Computing::nobody();
        for _ in 0..3 {
            let place = Place::new(&line);
            let mut turn = pin!(place.step_back());
            assert!(!poll(turn.as_mut()) && poll(turn.as_mut()));
            assert_eq!((line.count.load(Ordering::Relaxed), line.turn.available_permits()), (1, 0));
            drop(place);
            assert_eq!((line.count.load(Ordering::Relaxed), line.turn.available_permits()), (0, 1));
        }
    }

    #[test]
    fn who_comes_to_a_crowd_waits_before_it_begins() {
        let line = Computing::nobody();
        let crowd: Vec<_> = (0..CROWD).map(|_| Place::new(&line)).collect();
        for place in &crowd {
            assert!(Place::new(&line).begin().is_none());
            drop(place.step_back());
        }
        let late = Place::new(&line);
        let mut turn = pin!(late.begin().unwrap());
        assert!(!poll(turn.as_mut()) && poll(turn.as_mut()), "none of them asked for its turn");
        drop(crowd);
        assert_eq!(line.count.load(Ordering::Relaxed), 1);
    }
}
