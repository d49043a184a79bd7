//! A deadline that is another one for each request, and hardly ever reached.
//!
//! Setting a timer costs more than looking at the one there is. So one that is set for an earlier deadline is left as it is: it wakes the task too
//! early, at most once in the time that a request is given, and is set anew then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// What wakes a task when it has waited long enough.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    /// Made by the first one that is waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Whether it is that time; if not, the task is woken when it is, and maybe before.
    pub(super) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            // It never comes before what it is set for; that may be long gone.
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_hours(1);

    fn look(deadline: &mut Deadline, at: Instant) -> Poll<()> {
        deadline.poll(at, &mut Context::from_waker(Waker::noop()))
    }

    /// When it was found reached.
    async fn reached(deadline: &mut Deadline, at: Instant) -> Instant {
        std::future::poll_fn(|cx| deadline.poll(at, cx)).await;
        Instant::now()
    }

    fn set_for(deadline: &Deadline) -> Option<Instant> {
        deadline.timer.as_ref().map(|timer| timer.deadline())
    }

    #[tokio::test]
    async fn one_that_moves_later_leaves_the_timer_alone_until_it_comes_and_is_not_reached_before() {
        let (mut deadline, now) = (Deadline::default(), Instant::now());
        let (first, last) = (now + MS * 50, now + MS * 120);
        for at in [first, now + MS * 80, last] {
            assert!(look(&mut deadline, at).is_pending());
            assert_eq!(set_for(&deadline), Some(first));
        }
        assert!(reached(&mut deadline, last).await >= last);
        assert_eq!(set_for(&deadline), Some(last));
        assert!(look(&mut deadline, last).is_ready(), "it stays reached");
    }

    #[tokio::test]
    async fn one_that_moves_earlier_is_not_waited_for_longer() {
        let (mut deadline, now) = (Deadline::default(), Instant::now());
        assert!(look(&mut deadline, now + HOUR).is_pending());
        let at = now + MS * 20;
        let reached = tokio::time::timeout(HOUR / 60, reached(&mut deadline, at)).await;
        assert!(reached.is_ok_and(|reached| reached >= at));
    }

    #[tokio::test]
    async fn a_timer_that_came_while_nobody_waited_ends_no_later_wait() {
        let mut deadline = Deadline::default();
        assert!(look(&mut deadline, Instant::now() + MS).is_pending());
        tokio::time::sleep(MS * 20).await;
        let at = Instant::now() + HOUR;
        assert!(look(&mut deadline, at).is_pending());
        assert_eq!(set_for(&deadline), Some(at));
        let at = Instant::now() + MS * 20;
        assert!(reached(&mut deadline, at).await >= at);
    }

    #[tokio::test]
    async fn one_that_has_passed_already_is_reached() {
        let now = Instant::now();
        let mut deadline = Deadline::default();
        reached(&mut deadline, now).await;
        assert!(look(&mut deadline, Instant::now() + HOUR).is_pending());
        reached(&mut deadline, now).await;
    }
}
