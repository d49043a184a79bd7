//! How much of its lag a worker was itself at work.
//!
//! What is due runs late because the worker was busy, or because it had no core: another thread had it, or, under a hypervisor,
//! another machine. An operator sees one number, how late it ran; who looks for the cause needs to know which of the two it was.
//!
//! The thread's CPU clock tells, without the time that a hypervisor took. It is read at the begin of a turn, the more often the
//! nearer the moment that something is due, so nearly every turn costs one look at the wall clock and no system call.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::plugin::thread_cpu_time;
use crate::telemetry::{During, Late};

/// Readings closer together are not worth their system call. So much work from before it was due may be counted as after.
const FRESH: Duration = Duration::from_millis(1);

thread_local! {
    static PACE: Cell<Pace> = const { Cell::new(Pace { wanted: None, before: None }) };
}

/// What is known of this thread's event loop.
#[derive(Debug, Clone, Copy)]
struct Pace {
    wanted: Option<Wanted>,
    /// The last reading that was not taken later than something is due.
    before: Option<Reading>,
}

/// When the next reading is to be taken. Told once for each, so that a turn has two moments to compare and nothing to divide.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    from: Instant,
    due: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    worked: Duration,
}

/// Work of this thread that nothing comes between, however much is due.
#[derive(Debug)]
pub(super) struct Stretch(Reading);

/// A turn of this thread's event loop begins.
pub(super) fn begin() {
    let now = Instant::now();
    if let Some(due) = PACE.get().wants_reading(now) {
        PACE.set(Pace::of(due, Reading { at: now, worked: thread_cpu_time() }));
    }
}

/// Something is due then; [`busy`] will be asked of it.
pub(super) fn next(due: Instant) {
    PACE.set(Pace::of(due, Reading { at: Instant::now(), worked: thread_cpu_time() }));
}

/// How much of a lag this thread was at work: at most [`FRESH`] and half of what it worked before that was due too much, never too
/// little.
pub(super) fn busy(lag: Duration) -> Duration {
    PACE.get().busy(lag, thread_cpu_time())
}

// === impl Stretch ===

impl Stretch {
    /// It begins.
    pub(super) fn begin() -> Self {
        Self(Reading { at: Instant::now(), worked: thread_cpu_time() })
    }

    /// It ends: whatever became due when it began ran so late, for that.
    pub(super) fn end(self, during: During) -> Late {
        let Self(began) = self;
        let by = began.at.elapsed();
        Late { by, busy: thread_cpu_time().saturating_sub(began.worked).min(by), during }
    }
}

// === impl Pace ===

impl Pace {
    /// Something is due then, and this was read before.
    fn of(due: Instant, before: Reading) -> Self {
        // A third of the way: as long after this reading as half of what is left then.
        let from = before.at + FRESH.max(due.saturating_duration_since(before.at) / 3);
        Self { wanted: Some(Wanted { from, due }), before: Some(before) }
    }

    /// What is due then, if a reading is to be taken before.
    fn wants_reading(&self, now: Instant) -> Option<Instant> {
        self.wanted.filter(|wanted| (wanted.from..=wanted.due).contains(&now)).map(|wanted| wanted.due)
    }

    fn busy(&self, lag: Duration, worked: Duration) -> Duration {
        self.before.map_or(lag, |before| worked.saturating_sub(before.worked).min(lag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Due in 100 ms, read now.
    fn pace(now: Instant) -> Pace {
        Pace::of(now + MS * 100, Reading { at: now, worked: MS * 7 })
    }

    #[test]
    fn a_wait_for_a_core_is_not_work() {
        let pace = pace(Instant::now());
        assert_eq!(pace.busy(MS * 20, MS * 7), Duration::ZERO);
        assert_eq!(pace.busy(MS * 20, MS * 9), MS * 2);
        assert_eq!(pace.busy(MS * 20, MS * 90), MS * 20, "never more than the lag");
        assert_eq!(Pace { before: None, ..pace }.busy(MS, MS), MS, "where nothing is known it is all of it");
    }

    #[test]
    fn the_clock_is_read_the_more_often_the_nearer_it_is_due_and_not_after() {
        let now = Instant::now();
        let (mut pace, mut readings) = (pace(now), Vec::new());
        for step in 0..1_500_u32 {
            let at = now + MS * step / 10;
            if let Some(due) = pace.wants_reading(at) {
                pace = Pace::of(due, Reading { at, worked: MS * step });
                readings.push(step);
            }
        }
        assert!(readings.len() < 15, "{readings:?}");
        // What was worked until a stall began is forgotten but for a little.
        assert!(readings.last().is_some_and(|last| (980..=1_000).contains(last)), "{readings:?}");
        assert!(readings.iter().any(|reading| (600..=900).contains(reading)), "{readings:?}");
    }

    #[test]
    fn a_reading_is_wanted_when_the_last_is_as_old_as_half_of_what_is_left_and_old_enough() {
        let now = Instant::now();
        for way in [0, 1, 2, 3, 4, 7, 99, 100, 101] {
            let due = now + MS * way;
            let pace = Pace::of(due, Reading { at: now, worked: MS });
            for at in (0..way * 10 + 20).map(|step| now + MS * step / 10) {
                let is_wanted = due.checked_duration_since(at).is_some_and(|left| at - now >= FRESH.max(left / 2));
                assert_eq!(pace.wants_reading(at), is_wanted.then_some(due), "{:?} of {way} ms", at - now);
            }
        }
        assert_eq!(Pace::of(now, Reading { at: now + MS, worked: MS }).wants_reading(now + MS * 2), None, "it is past");
    }

    #[test]
    fn this_threads_clock_is_read() {
        let hour = MS * 3_600_000;
        next(Instant::now());
        let before = thread_cpu_time();
        while thread_cpu_time() < before + MS * 20 {
            std::hint::spin_loop();
        }
        assert!((MS * 20..hour).contains(&busy(hour)));
        next(Instant::now());
        std::thread::sleep(MS * 20);
        begin();
        assert!(busy(MS * 20) < MS * 20);
    }

    #[test]
    fn a_stretch_of_work_is_as_long_as_it_took_and_sleep_is_no_work() {
        let stretch = Stretch::begin();
        let before = thread_cpu_time();
        while thread_cpu_time() < before + MS * 5 {
            std::hint::spin_loop();
        }
        std::thread::sleep(MS * 20);
        let late = stretch.end(During::Swap);
        assert!(late.by >= MS * 25 && late.busy >= MS * 5 && late.by - late.busy >= MS * 19, "{late:?}");
    }
}
