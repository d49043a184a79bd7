//! How long a route's requests took on one worker, told apart as OpenTelemetry's HTTP conventions do: by method, status and scheme.

use std::sync::OnceLock;
use std::time::Duration;

use super::histogram::{Histogram, Reading, SECONDS};

/// Distributions of one route that are told apart; what comes after them is one more. Most routes meet three or four.
const MOST: usize = 64;

/// What requests have in common whose durations are one distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Answer {
    /// One of those that have a series of their own, or the name of all others.
    pub(super) method: &'static str,
    /// 0 where there were too many.
    pub(super) status: u16,
    pub(super) tls: bool,
}

/// Distributions, in the order in which their first request came: a list that one thread makes longer while others read it.
#[derive(Debug, Default)]
pub(super) struct Durations(OnceLock<Box<Timed>>);

#[derive(Debug)]
struct Timed {
    answer: Answer,
    seconds: Histogram,
    next: Durations,
}

impl Durations {
    /// Records one request; only the owning thread may.
    pub(super) fn record(&self, answer: Answer, duration: Duration) {
        let (mut place, mut left) = (self, MOST);
        loop {
            let wanted = if left == 0 { Answer { status: 0, ..answer } } else { answer };
            let timed =
                place.0.get_or_init(|| Box::new(Timed { answer: wanted, seconds: Histogram::new(&SECONDS), next: Self::default() }));
            if timed.answer == wanted || left == 0 {
                return timed.seconds.record(duration.as_secs_f64());
            }
            (place, left) = (&timed.next, left - 1);
        }
    }

    /// Each of them.
    pub(super) fn each(&self) -> impl Iterator<Item = (Answer, Reading)> + '_ {
        std::iter::successors(self.0.get(), |timed| timed.next.0.get()).map(|timed| (timed.answer, timed.seconds.read()))
    }

    /// All of them together.
    pub(super) fn sum(&self) -> Reading {
        let mut sum = Reading::nothing(&SECONDS);
        self.each().for_each(|(_, reading)| sum.merge(&reading));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_a_distribution_of_its_own_until_there_are_too_many() {
        let durations = Durations::default();
        assert_eq!((durations.each().count(), durations.sum().count), (0, 0));
        let answer = |status, tls| Answer { method: "GET", status, tls };
        durations.record(answer(200, true), Duration::from_millis(1));
        durations.record(answer(200, false), Duration::from_millis(2));
        durations.record(answer(200, true), Duration::from_millis(3));
        let told: Vec<_> = durations.each().map(|(answer, reading)| (answer, reading.count)).collect();
        assert_eq!(told, [(answer(200, true), 2), (answer(200, false), 1)]);
        for status in 300..500 {
            durations.record(answer(status, true), Duration::from_millis(1));
        }
        assert_eq!((durations.each().count(), durations.sum().count), (MOST + 1, 203));
        let (last, reading) = durations.each().last().unwrap();
        assert_eq!((last.status, reading.count), (0, 203 - 3 - (MOST as u64 - 2)));
    }
}
