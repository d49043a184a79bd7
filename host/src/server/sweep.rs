//! One look at every connection a few times a second closes those that are idle, slow or old: a timer for each request
//! would cost more than all of this.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::config::model::{Limits, Timeouts};
use crate::proxy::{Connection, Doing};

/// How often. Timeouts are kept to within this.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// How long a connection may be idle until it is asked to rest. Those of a busy client never come to it.
const REST: Duration = Duration::from_secs(1);

/// How many are asked to rest at one look: giving up its buffers takes each a few microseconds, and requests wait meanwhile.
const MOST_TO_REST: usize = 64;

/// How long a client that was asked to leave for being idle may take: HTTP/2 ends when both sides agree.
const PARTING: Duration = Duration::from_secs(5);

/// Every connection of one worker.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    connections: RefCell<Vec<Weak<Entry>>>,
    /// Where the next look begins to ask for rest.
    rest_from: Cell<usize>,
    draining: Cell<bool>,
}

/// Who is asked to rest at one look: [`MOST_TO_REST`], in turn. Some never can, such as those that wait for a slow reader to take
/// their answer, and would be asked again at every look while the others wait behind them.
#[derive(Debug)]
struct Turn {
    from: usize,
    left: usize,
    last: usize,
}

#[derive(Debug)]
struct Entry {
    connection: Rc<Connection>,
    opened: Instant,
    asked: Cell<Option<Ask>>,
    /// Whether `asked` has changed since the connection's task looked.
    news: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

/// What a connection is asked to do; what comes later is asked more firmly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// To give up its buffers until the next request, if it still has none.
    Rest,
    /// To end when the requests it answers are done.
    EndWhenIdle,
    /// To end at once: a head that takes too long has no request to finish.
    EndNow,
}

/// One connection's place in the sweep.
#[derive(Debug, Clone)]
pub(super) struct Watched(Rc<Entry>);

impl Sweep {
    /// Looks after a connection until it is dropped.
    pub(super) fn watch(&self, connection: Rc<Connection>) -> Watched {
        let entry =
            Rc::new(Entry { connection, opened: Instant::now(), asked: Cell::new(None), news: Cell::new(false), task: RefCell::new(None) });
        self.connections.borrow_mut().push(Rc::downgrade(&entry));
        let watched = Watched(entry);
        if self.draining.get() {
            watched.ask(Ask::EndWhenIdle);
        }
        watched
    }

    /// Asks every connection to end that has been idle, sending a head, or open for too long, and those to rest that are idle.
    pub(super) fn sweep(&self, now: Instant, timeouts: &Timeouts, limits: &Limits) {
        let mut turn = Turn::from(self.rest_from.get());
        let mut place = 0;
        self.connections.borrow_mut().retain(|entry| {
            place += 1;
            let Some(entry) = entry.upgrade() else { return false };
            let old = limits.max_connection_age.is_some_and(|age| now.saturating_duration_since(entry.opened) >= age);
            let how = match entry.connection.doing(now) {
                Doing::Head(since) if now.saturating_duration_since(since) >= timeouts.head => Some(Ask::EndNow),
                Doing::Idle(since) if now.saturating_duration_since(since) >= timeouts.idle.saturating_add(PARTING) => Some(Ask::EndNow),
                Doing::Idle(since) if now.saturating_duration_since(since) >= timeouts.idle => Some(Ask::EndWhenIdle),
                Doing::Unread(since) if now.saturating_duration_since(since) >= timeouts.stream => Some(Ask::EndNow),
                _ if old => Some(Ask::EndWhenIdle),
                Doing::Idle(since) if turn.has(place) && now.saturating_duration_since(since) >= REST => Some(Ask::Rest),
                _ => None,
            };
            if let Some(how) = how
                && Watched(entry).ask(how)
                && how == Ask::Rest
            {
                turn.take(place);
            }
            true
        });
        self.rest_from.set(turn.next());
    }

    /// Asks every connection to end when it is idle, those that come later too.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        for entry in self.connections.borrow().iter().filter_map(Weak::upgrade) {
            Watched(entry).ask(Ask::EndWhenIdle);
        }
    }

    /// Connections open.
    pub(super) fn open(&self) -> usize {
        self.connections.borrow().iter().filter(|entry| entry.strong_count() > 0).count()
    }
}

impl Watched {
    /// Asks the connection for something; whether that was news to it.
    pub(super) fn ask(&self, what: Ask) -> bool {
        let news = self.0.asked.get() < Some(what);
        if news {
            self.0.asked.set(Some(what));
            self.0.news.set(true);
            if let Some(task) = self.0.task.take() {
                task.wake();
            }
        }
        news
    }

    /// It does not rest, or no longer: it may be asked to again.
    pub(super) fn awake(&self) {
        if self.0.asked.get() == Some(Ask::Rest) {
            self.0.asked.set(None);
        }
    }

    /// Ready each time it is asked more firmly. Looked at with every poll of the connection, so it costs next to nothing.
    pub(super) fn poll_asked(&self, context: &mut Context<'_>) -> Poll<Ask> {
        if self.0.news.take()
            && let Some(asked) = self.0.asked.get()
        {
            return Poll::Ready(asked);
        }
        let mut task = self.0.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            *task = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

// === impl Turn ===

impl Turn {
    fn from(from: usize) -> Self {
        Self { from, left: MOST_TO_REST, last: 0 }
    }

    /// Whether the connection in that place may be asked.
    fn has(&self, place: usize) -> bool {
        self.left > 0 && place > self.from
    }

    fn take(&mut self, place: usize) {
        self.left -= 1;
        self.last = place;
    }

    /// Where the next look begins: behind the last one that was asked, or at the front again when there were fewer than could be.
    fn next(&self) -> usize {
        if self.left == 0 { self.last } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_never_rest_do_not_keep_others_from_it() {
        // The first hundred are asked at every look that comes to them, the others rest once they are.
        let (never, all) = (100, 1_000);
        let mut resting = vec![false; all];
        let mut from = 0;
        let looks = all.div_ceil(MOST_TO_REST) + 1;
        for _ in 0..looks {
            let mut turn = Turn::from(from);
            for place in 1..=all {
                if turn.has(place) && !resting[place - 1] {
                    turn.take(place);
                    resting[place - 1] = place > never;
                }
            }
            from = turn.next();
        }
        assert!(resting.iter().skip(never).all(|rests| *rests), "{:?}", resting.iter().filter(|rests| **rests).count());
    }
}
