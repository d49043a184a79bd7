//! How late a worker ran what was due, and what is known of its longest stall.

#![allow(clippy::disallowed_types, reason = "tried by the worker for a stall longer than all before it, locked when status is read")]

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::cell::{Count, lock};
use super::histogram::{Histogram, Reading};

/// Upper bounds of the event-loop lag, seconds: from a tick to what a client would call an outage.
const LAG: [f64; 10] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];

/// How late a worker ran something that was due, or would have run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// Time on the clock.
    pub by: Duration,
    /// How much of it the worker was itself at work. For the rest it had no core, or slept.
    pub busy: Duration,
    /// What it did meanwhile.
    pub during: During,
}

/// What a worker was at when something due had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum During {
    /// Connections, requests and their plugins.
    Requests,
    /// The same, and a generation that was taken on.
    Swap,
    /// What is done a few times a second.
    Housekeeping,
}

/// Every lateness of one worker, and the worst of it.
#[derive(Debug)]
pub(super) struct Lateness {
    lag: Histogram,
    busy: Histogram,
    highest_lag_us: Count,
    longest: Mutex<Option<(Late, SystemTime)>>,
}

impl Lateness {
    pub(super) fn new() -> Self {
        Self { lag: Histogram::new(&LAG), busy: Histogram::new(&LAG), highest_lag_us: Count::default(), longest: Mutex::default() }
    }

    /// Only the owning thread may.
    pub(super) fn record(&self, late: Late) {
        self.lag.record(late.by.as_secs_f64());
        self.busy.record(late.busy.as_secs_f64());
        self.highest_lag_us.set(self.highest_lag_us.get().max(us(late.by)));
        // Never waited for: who reads it at this moment is shown the one before, and the next longer one is kept.
        if let Ok(mut longest) = self.longest.try_lock()
            && longest.is_none_or(|(longest, _)| late.busy > longest.busy)
        {
            *longest = Some((late, SystemTime::now()));
        }
    }

    pub(super) fn lag(&self) -> Reading {
        self.lag.read()
    }

    pub(super) fn busy(&self) -> Reading {
        self.busy.read()
    }

    pub(super) fn highest_lag_us(&self) -> u64 {
        self.highest_lag_us.get()
    }

    pub(super) fn highest_busy_us(&self) -> u64 {
        lock(&self.longest).map_or(0, |(longest, _)| us(longest.busy))
    }

    /// The longest stall there was, by the work in it.
    pub(super) fn longest(&self) -> Value {
        let longest = *lock(&self.longest);
        longest.map_or(Value::Null, |(late, at)| {
            json!({
                "at": at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as f64 / 1e3,
                "lag_us": us(late.by),
                "busy_us": us(late.busy),
                "during": late.during.as_str(),
            })
        })
    }
}

impl During {
    fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Swap => "swap",
            Self::Housekeeping => "housekeeping",
        }
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stall_is_the_one_with_most_work_in_it() {
        let lateness = Lateness::new();
        assert_eq!((lateness.highest_busy_us(), lateness.longest()), (0, Value::Null));
        let ms = Duration::from_millis;
        for (by, busy, during) in [(9, 2, During::Requests), (4, 3, During::Swap), (90, 1, During::Requests), (3, 3, During::Housekeeping)]
        {
            lateness.record(Late { by: ms(by), busy: ms(busy), during });
        }
        let longest = lateness.longest();
        assert_eq!((&longest["lag_us"], &longest["busy_us"], &longest["during"]), (&json!(4000), &json!(3000), &json!("swap")));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 60.0..=now).contains(&longest["at"].as_f64().unwrap()), "{longest}");
        assert_eq!((lateness.highest_lag_us(), lateness.highest_busy_us()), (90_000, 3_000));
        assert_eq!((lateness.lag().count, lateness.busy().count), (4, 4));
    }
}
