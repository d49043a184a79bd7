//! When something was, by the wall clock. Requests are timed by the other one; the wall clock is asked a few times a second, and what
//! lies between is worked out.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How old a look at both clocks may be: one that is set back or forth is noticed that soon.
const FRESH: Duration = Duration::from_millis(100);

/// One worker's last look at both clocks.
#[derive(Debug)]
pub(super) struct WallClock(Cell<(Instant, SystemTime)>);

impl WallClock {
    /// Looks at both.
    pub(super) fn new() -> Self {
        Self(Cell::new((Instant::now(), SystemTime::now())))
    }

    /// The wall clock's time of a moment; `now` is about now.
    pub(super) fn at(&self, moment: Instant, now: Instant) -> SystemTime {
        let (mut looked, mut wall) = self.0.get();
        if now.saturating_duration_since(looked) > FRESH {
            (looked, wall) = (Instant::now(), SystemTime::now());
            self.0.set((looked, wall));
        }
        let at = if moment >= looked { wall.checked_add(moment - looked) } else { wall.checked_sub(looked - moment) };
        at.unwrap_or(UNIX_EPOCH)
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_and_after_a_look_are_worked_out_from_it() {
        let clock = WallClock::new();
        let (looked, wall) = clock.0.get();
        let ms = Duration::from_millis;
        assert_eq!(clock.at(looked + ms(30), looked + ms(40)), wall + ms(30));
        assert_eq!(clock.at(looked - ms(500), looked + ms(40)), wall - ms(500));
        // Long after, it looks again.
        clock.at(looked, looked + ms(200));
        assert!(clock.0.get().0 > looked);
    }
}
