//! CPU time that calls which failed have used, over the last ten seconds. Pure; time is injected.

use std::time::{Duration, Instant};

/// How long it is remembered, at least.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// What is forgotten at once.
const CELL: Duration = Duration::from_secs(1);
/// One more than the window has, since it begins somewhere in the oldest.
const CELLS: usize = (WINDOW.as_millis() / CELL.as_millis()) as usize + 1;

/// What was wasted when: a ring of seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wasted {
    began: Instant,
    /// The number of the second that was added to last, counted from the beginning.
    last: u64,
    cells: [Duration; CELLS],
}

impl Wasted {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, last: 0, cells: [Duration::ZERO; CELLS] }
    }

    pub(super) fn add(&mut self, spent: Duration, now: Instant) {
        let second = self.second(now);
        for forgotten in (self.last + 1..=second).take(CELLS) {
            self.change(forgotten, |_| Duration::ZERO);
        }
        self.last = self.last.max(second);
        self.change(self.last, |before| before.saturating_add(spent));
    }

    /// The first moment, not before `now`, when less than that is remembered, if nothing more comes; `None` where that is so now.
    pub(super) fn until_below(&self, limit: Duration, now: Instant) -> Option<Instant> {
        let oldest = self.second(now).saturating_sub(CELLS as u64 - 1);
        let mut sum: Duration = (oldest..=self.last).map(|second| self.of(second)).sum();
        let mut until = None;
        for second in oldest..=self.last {
            if sum < limit {
                break;
            }
            sum = sum.saturating_sub(self.of(second));
            until = Some(self.began + CELL * u32::try_from(second + CELLS as u64).unwrap_or(u32::MAX));
        }
        until
    }

    /// Whether nothing is remembered.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.second(now) >= self.last + CELLS as u64
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }

    fn of(&self, second: u64) -> Duration {
        self.cells.get(index(second)).copied().unwrap_or_default()
    }

    fn change(&mut self, second: u64, change: impl FnOnce(Duration) -> Duration) {
        if let Some(cell) = self.cells.get_mut(index(second)) {
            *cell = change(*cell);
        }
    }
}

fn index(second: u64) -> usize {
    usize::try_from(second % CELLS as u64).unwrap_or(0)
}
