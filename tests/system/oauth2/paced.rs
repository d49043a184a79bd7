//! Requests at a pace: each is due at its time and sent by whichever connection is free, so that a gateway that slows down gets no fewer.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use plugway_harness::raw::{Raw, RawResponse};

use crate::guest::send;

/// What is sent: a path and header lines.
pub(super) type Asked = (String, Vec<(&'static str, String)>);

/// Requests of one kind.
pub(super) struct Paced<'a> {
    pub(super) address: SocketAddr,
    /// Due in a second.
    pub(super) rate: usize,
    /// At once, at most.
    pub(super) connections: usize,
    /// The request with that number.
    pub(super) ask: &'a (dyn Fn(usize) -> Asked + Sync),
    /// Told of every answer, with the number of its request.
    pub(super) judge: &'a (dyn Fn(usize, &RawResponse) + Sync),
}

/// What came of them.
#[derive(Debug)]
pub(super) struct Took {
    pub(super) each: Vec<Answered>,
    pub(super) seconds: f64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Answered {
    number: usize,
    sent: Instant,
    took: Duration,
}

impl Paced<'_> {
    /// Sends until told to stop. Panics where `judge` does.
    pub(super) fn until(&self, stop: &AtomicBool) -> Took {
        let (began, next, each) = (Instant::now(), AtomicUsize::new(0), Mutex::new(Vec::new()));
        let sending = || {
            let mut raw = Raw::connect(self.address).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = began + Duration::from_secs_f64(number as f64 / self.rate as f64);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let (path, lines) = (self.ask)(number);
                let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let sent = Instant::now();
                let answer = send(&mut raw, &path, &lines);
                each.lock().unwrap_or_else(PoisonError::into_inner).push(Answered { number, sent, took: sent.elapsed() });
                (self.judge)(number, &answer);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.connections).map(|_| scope.spawn(sending)).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Took { each: each.into_inner().unwrap(), seconds: began.elapsed().as_secs_f64() }
    }
}

impl Took {
    /// Answers in a second.
    pub(super) fn rate(&self) -> f64 {
        self.each.len() as f64 / self.seconds
    }

    /// Of those with such numbers that were sent in this span, what this share of them took at most.
    pub(super) fn quantile(&self, share: f64, is_one: impl Fn(usize) -> bool, span: Range<Instant>) -> Duration {
        let of_them = self.each.iter().filter(|answered| is_one(answered.number) && span.contains(&answered.sent));
        let mut times: Vec<Duration> = of_them.map(|answered| answered.took).collect();
        times.sort_unstable();
        assert!(times.len() >= 10, "only {} requests", times.len());
        times[((times.len() - 1) as f64 * share) as usize]
    }
}
