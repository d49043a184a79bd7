//! The moment that what is old is deleted by. A clock that is ahead for one commit, as one is that was not set yet after the machine
//! began, would take all history with it; so a clock that leaps is not believed before it has told the same for some hours.

use std::time::{Duration, Instant};

use super::whole_seconds;

/// A clock may go ahead of what earlier runs and the time since tell, seconds: more than it is set by while it runs, and less than minutes
/// are kept for.
const LEAP: i64 = 3_600;
/// How long it has to go on telling so until it is believed: whoever was stopped for days deletes so much later.
const HELD: Duration = Duration::from_secs(6 * 3_600);

/// What the clock told when it was last believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    told: Told,
    /// What it tells that is not believed yet, since it first did.
    leapt: Option<Told>,
}

/// Seconds since 1970, and when they were told.
#[derive(Debug, Clone, Copy)]
struct Told {
    seconds: i64,
    at: Instant,
}

impl Clock {
    /// That of a run which began at `at`, where an earlier one saw `known` last.
    pub(super) fn new(known: i64, at: Instant) -> Self {
        Self { told: Told { seconds: known, at }, leapt: None }
    }

    /// What to delete by, where the clock tells `now`.
    pub(super) fn settled(&mut self, now: i64, at: Instant) -> i64 {
        let expected = self.told.after(at);
        if now <= expected.saturating_add(LEAP) {
            self.leapt = None;
            return now;
        }
        let leapt = self.leapt.filter(|leapt| now.abs_diff(leapt.after(at)) <= LEAP.unsigned_abs());
        let leapt = *self.leapt.insert(leapt.unwrap_or(Told { seconds: now, at }));
        if at.saturating_duration_since(leapt.at) < HELD {
            return expected;
        }
        *self = Self::new(now, at);
        now
    }
}

impl Told {
    /// What it would tell by now.
    fn after(self, at: Instant) -> i64 {
        self.seconds.saturating_add(whole_seconds(at.saturating_duration_since(self.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_665_600;
    const DAY: i64 = 86_400;

    #[test]
    fn a_clock_that_leaps_is_not_believed_at_once() {
        let began = Instant::now();
        let mut clock = Clock::new(NOW, began);
        let mut tells = |minutes: i64, now: i64| clock.settled(now, began + Duration::from_secs(60 * minutes.unsigned_abs())) - NOW;
        assert_eq!(tells(1, NOW + 60), 60);
        // For one commit, then set right, and a little ahead or behind.
        assert_eq!(tells(2, NOW + 365 * DAY), 120);
        assert_eq!(tells(3, NOW + 180), 180);
        assert_eq!(tells(4, NOW + 3_000), 3_000);
        assert_eq!(tells(5, NOW - DAY), -DAY);
        // For some hours, in which it leaps once more.
        assert_eq!(tells(10, NOW + 30 * DAY), 600);
        assert_eq!(tells(300, NOW + 30 * DAY + 290 * 60), 300 * 60);
        assert_eq!(tells(301, NOW + 60 * DAY), 301 * 60);
        assert_eq!(tells(660, NOW + 60 * DAY + 359 * 60), 660 * 60);
        assert_eq!(tells(661, NOW + 60 * DAY + 360 * 60), 60 * DAY + 360 * 60);
        assert_eq!(tells(662, NOW + 60 * DAY + 361 * 60), 60 * DAY + 361 * 60);
    }
}
