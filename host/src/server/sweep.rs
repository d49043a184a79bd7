//! Looks at the connections, each a few times a second or once, close those that are idle, slow or old: a timer for each request would cost more
//! than all of this.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::config::model::{Limits, Timeouts};
use crate::proxy::{Connection, Doing};

/// How often some are looked at.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// Looks until every connection has been looked at, at most: a look at one that did nothing lately is a wait for memory, and of thousands of
/// connections most are such.
const MOST_LOOKS: usize = 10;

/// A connection is looked at so many times within the shortest of the timeouts, which are kept to within twice what this makes: 2 s by default, and
/// [`INTERVAL`] twice where it is shorter than two seconds, or where there are few connections.
const LOOKS_WITHIN_TIMEOUT: u32 = 10;

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
    /// Where the next look begins.
    from: Cell<usize>,
    open: Rc<Cell<usize>>,
    accepted: Rc<Cell<usize>>,
    draining: Cell<bool>,
}

/// A connection, from when it was accepted to its end: it is looked after once its handshake is done.
#[derive(Debug)]
pub(super) struct Accepted(Rc<Cell<usize>>);

#[derive(Debug)]
struct Entry {
    connection: Rc<Connection>,
    /// How many there are.
    open: Rc<Cell<usize>>,
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
        self.open.set(self.open.get() + 1);
        let entry = Rc::new(Entry {
            connection,
            open: Rc::clone(&self.open),
            opened: Instant::now(),
            asked: Cell::new(None),
            news: Cell::new(false),
            task: RefCell::new(None),
        });
        self.connections.borrow_mut().push(Rc::downgrade(&entry));
        Watched(entry)
    }

    /// Looks at the next connections, asks each to end that has been idle, sending a head, or open for too long, and those to rest that are idle.
    pub(super) fn sweep(&self, now: Instant, timeouts: &Timeouts, limits: &Limits) {
        let mut connections = self.connections.borrow_mut();
        let looks = looks(timeouts, limits);
        let begin = self.from.get();
        let (mut place, mut left, mut to_rest) = (begin, at_once(connections.len(), looks), MOST_TO_REST);
        while left > 0 {
            if place >= connections.len() {
                place = 0;
            }
            let Some(entry) = connections.get(place) else { break };
            let Some(entry) = entry.upgrade() else {
                // The last one is looked at in its place. However many have ended, they keep no look from one that has not.
                connections.swap_remove(place);
                left = left.min(connections.len());
                continue;
            };
            place += 1;
            left -= 1;
            if let Some(how) = due(&entry, now, timeouts, limits)
                && (how > Ask::Rest || to_rest > 0)
                && Watched(entry).ask(how)
                && how == Ask::Rest
            {
                to_rest -= 1;
            }
        }
        self.from.set((begin + step(connections.len(), looks)) % connections.len().max(1));
    }

    /// Whether connections are being asked to end. One that was accepted before, and comes now, is served once.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Asks every connection to end when it is idle.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        for entry in self.connections.borrow().iter().filter_map(Weak::upgrade) {
            Watched(entry).ask(Ask::EndWhenIdle);
        }
    }

    /// Connections open.
    pub(super) fn open(&self) -> usize {
        self.open.get()
    }

    /// One more was accepted.
    pub(super) fn accepts(&self) -> Accepted {
        self.accepted.set(self.accepted.get() + 1);
        Accepted(Rc::clone(&self.accepted))
    }

    /// Connections that have not ended, those in the midst of a handshake included.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.get()
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// What a connection is to be asked, if anything.
fn due(entry: &Entry, now: Instant, timeouts: &Timeouts, limits: &Limits) -> Option<Ask> {
    let for_long = |since: Instant, timeout: Duration| now.saturating_duration_since(since) >= timeout;
    match entry.connection.doing(now) {
        Doing::Head(since) if for_long(since, timeouts.head) => Some(Ask::EndNow),
        Doing::Idle(since) if for_long(since, timeouts.idle.saturating_add(PARTING)) => Some(Ask::EndNow),
        Doing::Idle(since) if for_long(since, timeouts.idle) => Some(Ask::EndWhenIdle),
        Doing::Unread(since) if for_long(since, timeouts.stream) => Some(Ask::EndNow),
        _ if limits.max_connection_age.is_some_and(|age| for_long(entry.opened, age)) => Some(Ask::EndWhenIdle),
        Doing::Idle(since) if for_long(since, REST) => Some(Ask::Rest),
        _ => None,
    }
}

/// Looks until every connection has been looked at.
fn looks(timeouts: &Timeouts, limits: &Limits) -> usize {
    let timeouts = [Some(timeouts.head), Some(timeouts.idle), Some(timeouts.stream), limits.max_connection_age];
    let shortest = timeouts.into_iter().flatten().min().unwrap_or_default();
    let looks = (shortest / LOOKS_WITHIN_TIMEOUT).as_millis() / INTERVAL.as_millis();
    usize::try_from(looks).unwrap_or(MOST_LOOKS).clamp(1, MOST_LOOKS)
}

/// By how much of so many connections each look begins behind the one before. One more than its share, so that looks begin elsewhere each time round: those that
/// never rest, such as wait for a slow reader to take their answer, do not keep the same ones behind them from it.
fn step(connections: usize, looks: usize) -> usize {
    connections / looks + 1
}

/// How many of them are looked at: some more than that, so that few connections are looked at each time.
fn at_once(connections: usize, looks: usize) -> usize {
    (step(connections, looks) + MOST_TO_REST).min(connections)
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

// === impl Entry ===

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.set(self.open.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ConnectionFacts;

    const SECOND: Duration = Duration::from_secs(1);

    fn watch(sweep: &Sweep, connections: usize) -> Vec<Watched> {
        let facts = || ConnectionFacts { peer: "127.0.0.1:1".parse().unwrap(), listener: "web".into(), tls: None };
        (0..connections).map(|_| sweep.watch(Rc::new(Connection::new(facts(), None)))).collect()
    }

    /// What one was asked since this was last called.
    fn asked(watched: &Watched) -> Option<Ask> {
        match watched.poll_asked(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ask) => Some(ask),
            Poll::Pending => None,
        }
    }

    fn timeouts(idle: Duration) -> Timeouts {
        let long = SECOND * 100;
        Timeouts { handshake: long, head: long, idle, stream: long, drain: long }
    }

    fn limits() -> Limits {
        Limits {
            max_connections: 10_000,
            max_head_bytes: 1,
            max_headers: 1,
            max_body_bytes: None,
            max_concurrent_streams: 1,
            max_requests_per_connection: None,
            max_connection_age: None,
            max_requests_in_flight: 1,
            max_plugin_instances: 1,
        }
    }

    #[test]
    fn every_connection_is_looked_at_within_a_second_and_within_a_tenth_of_the_shortest_timeout() {
        let limits = limits();
        for (idle, most) in [(SECOND * 60, 10), (SECOND * 5, 5), (SECOND, 1), (INTERVAL, 1)] {
            let sweep = Sweep::default();
            let watched = watch(&sweep, 2_000);
            let begin = Instant::now();
            let look = |number: u32| sweep.sweep(begin + INTERVAL * number, &timeouts(idle), &limits);
            // An idle connection's time begins when it is first looked at.
            (1..=most).for_each(look);
            let late = u32::try_from((idle.as_millis() / INTERVAL.as_millis()) as usize).unwrap() + most;
            (late + 1..=late + most).for_each(look);
            let ending = watched.iter().filter(|watched| asked(watched) >= Some(Ask::EndWhenIdle)).count();
            assert_eq!(ending, 2_000, "idle for {idle:?}");
        }
    }

    #[test]
    fn those_that_never_rest_do_not_keep_others_from_it() {
        // Some are asked each time they are looked at, the others rest once they are. With a short timeout each look is at all of them.
        for (all, never, head) in [(1_000, 100, SECOND * 100), (640, 100, SECOND * 100), (300, 100, SECOND)] {
            let sweep = Sweep::default();
            let watched = watch(&sweep, all);
            let (begin, limits) = (Instant::now(), limits());
            let mut resting = vec![false; all];
            for look in 0..100 {
                sweep.sweep(begin + INTERVAL * look, &Timeouts { head, ..timeouts(SECOND * 60) }, &limits);
                let asked: Vec<usize> = (0..all).filter(|index| asked(&watched[*index]) == Some(Ask::Rest)).collect();
                assert!(asked.len() <= MOST_TO_REST);
                for index in asked {
                    if index < never {
                        watched[index].awake();
                    } else {
                        resting[index] = true;
                    }
                }
            }
            assert!(resting.iter().skip(never).all(|rests| *rests), "{all}: {:?}", resting.iter().filter(|rests| **rests).count());
        }
    }

    #[test]
    fn short_connections_keep_no_look_from_those_that_stay() {
        let sweep = Sweep::default();
        let kept = watch(&sweep, 100);
        let (begin, limits) = (Instant::now(), limits());
        let mut asked_to_end = vec![false; kept.len()];
        for look in 0..100 {
            drop(watch(&sweep, 2_000));
            sweep.sweep(begin + INTERVAL * look, &timeouts(SECOND * 5), &limits);
            for (asked_to_end, watched) in asked_to_end.iter_mut().zip(&kept) {
                *asked_to_end |= asked(watched) >= Some(Ask::EndWhenIdle);
            }
        }
        assert!(asked_to_end.iter().all(|asked| *asked), "{}", asked_to_end.iter().filter(|asked| **asked).count());
        assert!(sweep.connections.borrow().len() <= 100 + 2_000 * MOST_LOOKS);
    }

    #[test]
    fn connections_that_ended_are_not_counted_and_leave_no_place_behind() {
        let sweep = Sweep::default();
        let mut watched = watch(&sweep, 1_000);
        assert_eq!(sweep.open(), 1_000);
        watched.retain({
            let mut number = 0;
            move |_| {
                number += 1;
                number % 3 == 0
            }
        });
        assert_eq!(sweep.open(), 333);
        let now = Instant::now();
        (0..20).for_each(|look| sweep.sweep(now + INTERVAL * look, &timeouts(SECOND * 60), &limits()));
        assert_eq!(sweep.connections.borrow().len(), 333);
        drop(watched);
        assert_eq!(sweep.open(), 0);
    }
}
