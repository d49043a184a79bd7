//! When the timers of a snapshot are ticked. Pure; time is injected.
//!
//! The control thread has other work, and a tick may take long. So timers have a share of it at most: one timer a tenth, all
//! together a half.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Ticks are run one after another for so long, and then others have their turn.
const SLICE: Duration = Duration::from_millis(5);
/// A timer waits for so many times what its tick took: that makes it a tenth.
const REST: u32 = 9;

/// The timers of one snapshot.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BinaryHeap<Reverse<Due>>,
    /// Until then others have their turn.
    rest_until: Option<Instant>,
}

/// One timer, and when it is ticked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    at: Instant,
    pub(super) slot: usize,
    pub(super) config: u32,
    period: Duration,
}

impl Timers {
    /// One more, due at once.
    pub(super) fn add(&mut self, slot: usize, config: u32, period: Duration, now: Instant) {
        self.due.push(Reverse(Due { at: now, slot, config, period }));
    }

    /// When to come again; `None` without timers.
    pub(super) fn next(&self) -> Option<Instant> {
        let Reverse(first) = self.due.peek()?;
        Some(self.rest_until.map_or(first.at, |rest| rest.max(first.at)))
    }

    /// Runs what is due by a clock, for one slice of time.
    pub(super) fn run(&mut self, clock: impl Fn() -> Instant, mut tick: impl FnMut(Due)) {
        let began = clock();
        let mut now = began;
        while let Some(Reverse(due)) = self.due.peek().copied().filter(|Reverse(due)| due.at <= now && now - began < SLICE) {
            self.due.pop();
            tick(due);
            let ended = clock();
            self.due.push(Reverse(Due { at: due.after(now, ended), ..due }));
            now = ended;
        }
        self.rest_until = Some(now + (now - began));
    }
}

impl Due {
    /// The next beat after a tick that began and ended then, and after its rest.
    fn after(&self, began: Instant, ended: Instant) -> Instant {
        let earliest = ended + (ended - began) * REST;
        let late = earliest.saturating_duration_since(self.at).as_nanos();
        let beats = late.div_ceil(self.period.as_nanos().max(1)).max(1);
        self.at + self.period * u32::try_from(beats).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What was ticked until then, and when, milliseconds from the start, where each tick of a config takes so many.
    fn ticks(timers: &[(u32, u32)], takes: impl Fn(u32) -> u32, until: u32) -> Vec<(u32, u32)> {
        let start = Instant::now();
        let now = Cell::new(start);
        let mut all = Timers::default();
        for (config, period) in timers {
            all.add(0, *config, MS * *period, start);
        }
        let mut ticked = Vec::new();
        while let Some(next) = all.next().filter(|next| *next < start + MS * until) {
            now.set(now.get().max(next));
            all.run(
                || now.get(),
                |due| {
                    ticked.push((u32::try_from((now.get() - start).as_millis()).unwrap(), due.config));
                    now.set(now.get() + MS * takes(due.config));
                },
            );
        }
        ticked
    }

    #[test]
    fn each_is_ticked_at_once_and_then_on_its_beat() {
        let ticked = ticks(&[(0, 100), (1, 250)], |_| 0, 600);
        assert_eq!(ticked, [(0, 0), (0, 1), (100, 0), (200, 0), (250, 1), (300, 0), (400, 0), (500, 0), (500, 1)]);
    }

    #[test]
    fn one_that_takes_long_is_ticked_less_often_and_keeps_its_beat() {
        // 30 ms of work in 100 would be a third: every third beat is a tenth.
        let at = |ticked: Vec<(u32, u32)>| ticked.into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(at(ticks(&[(0, 100)], |_| 30, 1_000)), [0, 300, 600, 900]);
        assert_eq!(at(ticks(&[(0, 100)], |_| 10, 400)), [0, 100, 200, 300]);
    }

    #[test]
    fn all_together_leave_half_of_the_thread_to_others() {
        let timers: Vec<(u32, u32)> = (0..100).map(|config| (config, 100)).collect();
        let ticked = ticks(&timers, |_| 4, 10_000);
        assert!((1_200..=1_300).contains(&ticked.len()), "{} of 4 ms in 10 s", ticked.len());
        // And nobody is forgotten.
        for config in 0..100 {
            let own = ticked.iter().filter(|(_, ticked)| *ticked == config).count();
            assert!((12..=13).contains(&own), "{config}: {own}");
        }
    }

    #[test]
    fn without_timers_there_is_nothing_to_come_for() {
        assert_eq!(Timers::default().next(), None);
    }
}
