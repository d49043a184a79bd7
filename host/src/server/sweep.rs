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

/// How long a client that was asked to leave for being idle may take: HTTP/2 ends when both sides agree.
const PARTING: Duration = Duration::from_secs(5);

/// Every connection of one worker.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    connections: RefCell<Vec<Weak<Entry>>>,
    draining: Cell<bool>,
}

#[derive(Debug)]
struct Entry {
    connection: Rc<Connection>,
    opened: Instant,
    asked: Cell<Option<End>>,
    /// Whether `asked` has changed since the connection's task looked.
    news: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

/// How a connection is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// When the requests it answers are done.
    WhenIdle,
    /// At once: a head that takes too long has no request to finish.
    Now,
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
            watched.end(End::WhenIdle);
        }
        watched
    }

    /// Asks every connection to end that has been idle, sending a head, or open for too long.
    pub(super) fn sweep(&self, now: Instant, timeouts: &Timeouts, limits: &Limits) {
        self.connections.borrow_mut().retain(|entry| {
            let Some(entry) = entry.upgrade() else { return false };
            let old = limits.max_connection_age.is_some_and(|age| now.saturating_duration_since(entry.opened) >= age);
            let how = match entry.connection.doing(now) {
                Doing::Head(since) if now.saturating_duration_since(since) >= timeouts.head => Some(End::Now),
                Doing::Idle(since) if now.saturating_duration_since(since) >= timeouts.idle.saturating_add(PARTING) => Some(End::Now),
                Doing::Idle(since) if now.saturating_duration_since(since) >= timeouts.idle => Some(End::WhenIdle),
                Doing::Unread(since) if now.saturating_duration_since(since) >= timeouts.stream => Some(End::Now),
                _ => old.then_some(End::WhenIdle),
            };
            if let Some(how) = how {
                Watched(entry).end(how);
            }
            true
        });
    }

    /// Asks every connection to end, those that come later too.
    pub(super) fn drain(&self, how: End) {
        self.draining.set(true);
        for entry in self.connections.borrow().iter().filter_map(Weak::upgrade) {
            Watched(entry).end(how);
        }
    }

    /// Connections open.
    pub(super) fn open(&self) -> usize {
        self.connections.borrow().iter().filter(|entry| entry.strong_count() > 0).count()
    }
}

impl Watched {
    /// Asks the connection to end.
    pub(super) fn end(&self, how: End) {
        if self.0.asked.get() < Some(how) {
            self.0.asked.set(Some(how));
            self.0.news.set(true);
            if let Some(task) = self.0.task.take() {
                task.wake();
            }
        }
    }

    /// Ready each time it is asked more firmly. Looked at with every poll of the connection, so it costs next to nothing.
    pub(super) fn poll_asked_to_end(&self, context: &mut Context<'_>) -> Poll<End> {
        if self.0.news.take() {
            return Poll::Ready(self.0.asked.get().unwrap_or(End::WhenIdle));
        }
        let mut task = self.0.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            *task = Some(context.waker().clone());
        }
        Poll::Pending
    }
}
