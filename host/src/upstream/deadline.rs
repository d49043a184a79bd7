//! A deadline that is another one for each request, and hardly ever reached.
//!
//! Setting a timer costs more than looking at the one there is. So one that is set for an earlier deadline is left as it is: it wakes the task too
//! early, at most once in the time that a request is given, and is set anew then.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

use super::wakeups::Wakeups;

/// What wakes whoever uses a connection when it has waited long enough.
///
/// The timer wakes the connection, and not a task: a runtime's timer that is told of another task takes two locks, and each request is one.
#[derive(Debug)]
pub(super) struct Deadline {
    /// Made by the first one that is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// What the timer is set for: it says so too, from memory that is looked at for nothing else.
    set_for: Option<Instant>,
    alarm: Arc<Alarm>,
    /// The same, as the timer has it.
    waker: Waker,
}

#[derive(Debug)]
struct Alarm {
    /// Whether the timer is to be looked at.
    rang: AtomicBool,
    wakeups: Arc<Wakeups>,
}

// === impl Deadline ===

impl Deadline {
    /// Of a connection, with nothing to wait for yet.
    pub(super) fn new(wakeups: &Arc<Wakeups>) -> Self {
        let alarm = Arc::new(Alarm { rang: AtomicBool::new(false), wakeups: Arc::clone(wakeups) });
        Self { timer: None, set_for: None, waker: Waker::from(Arc::clone(&alarm)), alarm }
    }

    /// Whether it is that time; if not, whom the connection wakes is woken when it is, and maybe before.
    pub(super) fn poll(&mut self, at: Instant) -> Poll<()> {
        if self.set_for.is_some_and(|set_for| set_for <= at) && !self.alarm.rang.load(Relaxed) {
            return Poll::Pending;
        }
        self.alarm.rang.store(false, Relaxed);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            // It never comes before what it is set for; that may be long gone.
            if timer.deadline() >= at {
                self.alarm.rang.store(true, Relaxed);
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
        self.set_for = Some(timer.deadline());
        Poll::Pending
    }
}

// === impl Alarm ===

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Relaxed);
        self.wakeups.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::coop::{consume_budget, has_budget_remaining};

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_hours(1);

    /// One of a connection that wakes nobody.
    fn deadline() -> Deadline {
        Deadline::new(&Arc::default())
    }

    /// When it was found reached.
    async fn reached(deadline: &mut Deadline, at: Instant) -> Instant {
        std::future::poll_fn(|cx| {
            deadline.alarm.wakeups.wakes(cx.waker());
            deadline.poll(at)
        })
        .await;
        Instant::now()
    }

    fn set_for(deadline: &Deadline) -> Option<Instant> {
        deadline.timer.as_ref().map(|timer| timer.deadline())
    }

    #[tokio::test]
    async fn one_that_moves_later_leaves_the_timer_alone_until_it_comes_and_is_not_reached_before() {
        let (mut deadline, now) = (deadline(), Instant::now());
        let (first, last) = (now + MS * 50, now + MS * 120);
        for at in [first, now + MS * 80, last] {
            assert!(deadline.poll(at).is_pending());
            assert_eq!(set_for(&deadline), Some(first));
        }
        assert!(reached(&mut deadline, last).await >= last);
        assert_eq!(set_for(&deadline), Some(last));
        assert!(deadline.poll(last).is_ready(), "it stays reached");
    }

    #[tokio::test]
    async fn one_that_moves_earlier_is_not_waited_for_longer() {
        let (mut deadline, now) = (deadline(), Instant::now());
        assert!(deadline.poll(now + HOUR).is_pending());
        let at = now + MS * 20;
        let reached = tokio::time::timeout(HOUR / 60, reached(&mut deadline, at)).await;
        assert!(reached.is_ok_and(|reached| reached >= at));
    }

    #[tokio::test]
    async fn a_timer_that_came_while_nobody_waited_ends_no_later_wait() {
        let mut deadline = deadline();
        assert!(deadline.poll(Instant::now() + MS).is_pending());
        tokio::time::sleep(MS * 20).await;
        let at = Instant::now() + HOUR;
        assert!(deadline.poll(at).is_pending());
        assert_eq!(set_for(&deadline), Some(at));
        let at = Instant::now() + MS * 20;
        assert!(reached(&mut deadline, at).await >= at);
    }

    #[tokio::test]
    async fn a_task_that_has_had_its_turn_is_woken_all_the_same() {
        let (mut deadline, at) = (deadline(), Instant::now() + MS * 20);
        while has_budget_remaining() {
            consume_budget().await;
        }
        let reached = tokio::time::timeout(HOUR / 60, reached(&mut deadline, at)).await;
        assert!(reached.is_ok_and(|reached| reached >= at));
    }

    #[tokio::test]
    async fn one_that_has_passed_already_is_reached() {
        let now = Instant::now();
        let mut deadline = deadline();
        reached(&mut deadline, now).await;
        assert!(deadline.poll(Instant::now() + HOUR).is_pending());
        reached(&mut deadline, now).await;
    }
}
