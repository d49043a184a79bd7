//! Requests worth keeping one by one: those that failed, and the slowest of each interval. How many is bounded, so that a storm
//! of failures costs no more than a quiet day; all of them are counted anyway.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::tally::Finished;
use crate::fault::{Blame, ErrorCause};

/// Failed requests kept for each worker and interval.
const FAILED: usize = 16;
/// Slow ones.
const SLOW: usize = 4;
/// Bytes of a path that are kept.
const PATH: usize = 256;

/// One request in detail.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it ended.
    pub at: SystemTime,
    /// Why it was kept.
    pub why: Why,
    /// `x-request-id`
    pub request_id: String,
    /// Its route.
    pub route: Arc<str>,
    /// The API it belongs to.
    pub api: Option<Arc<str>>,
    /// That API's version.
    pub version: Option<Arc<str>>,
    /// The endpoint that answered; empty without.
    pub endpoint: String,
    /// Who asked; empty where nobody knows.
    pub consumer: String,
    /// As received.
    pub method: String,
    /// As received, without the query, cut off where it is long.
    pub path: String,
    /// What the client got.
    pub status: u16,
    /// What went wrong.
    pub fault: Option<ErrorCause>,
    /// From head to last byte.
    pub duration: Duration,
    /// What of it the answering endpoint took.
    pub upstream: Option<Duration>,
    /// Attempts made.
    pub attempts: u32,
}

/// Why a request was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was answered with a 5xx, or failed by another's fault than the client's.
    Failed,
    /// It was among the slowest of its interval.
    Slow,
}

impl Why {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Slow => "slow",
        }
    }
}

/// What only a request that is kept has to tell.
#[derive(Debug)]
pub struct Detail<'a> {
    /// `x-request-id`
    pub request_id: &'a str,
    /// As received.
    pub method: &'a str,
    /// As received, without the query.
    pub path: &'a str,
    /// What of its time the answering endpoint took.
    pub upstream: Option<Duration>,
    /// Attempts made.
    pub attempts: u32,
}

/// What one worker has kept since it was last handed over.
#[derive(Debug, Default)]
pub(super) struct Samples {
    failed: Vec<Sample>,
    slow: Vec<Sample>,
    /// What the fastest of the slow took: most requests are faster, and look no further.
    fastest: Option<Duration>,
}

impl Samples {
    /// Keeps a request if it is worth it.
    pub(super) fn offer<'d>(&mut self, finished: &Finished<'_>, detail: impl FnOnce() -> Detail<'d>) {
        let failed = finished.status >= 500 || finished.fault.is_some_and(|fault| fault.blame(finished.status) != Blame::Client);
        if failed {
            if self.failed.len() < FAILED {
                self.failed.push(sample(finished, Why::Failed, detail()));
            }
        } else if self.slow.len() < SLOW {
            self.slow.push(sample(finished, Why::Slow, detail()));
            self.fastest = self.fastest();
        } else if self.fastest < finished.duration {
            if let Some(fastest) = self.slow.iter_mut().min_by_key(|sample| sample.duration) {
                *fastest = sample(finished, Why::Slow, detail());
            }
            self.fastest = self.fastest();
        }
    }

    fn fastest(&self) -> Option<Duration> {
        self.slow.iter().map(|sample| sample.duration).min()
    }

    pub(super) fn take(&mut self) -> Vec<Sample> {
        let mut all = std::mem::take(&mut self.failed);
        all.append(&mut self.slow);
        self.fastest = None;
        all
    }
}

fn sample(finished: &Finished<'_>, why: Why, detail: Detail<'_>) -> Sample {
    let cut = detail.path.char_indices().map(|(at, _)| at).find(|at| *at >= PATH).unwrap_or(detail.path.len());
    Sample {
        at: SystemTime::now(),
        why,
        request_id: detail.request_id.to_owned(),
        route: Arc::clone(&finished.route.name),
        api: finished.route.api.clone(),
        version: finished.route.version.clone(),
        endpoint: finished.endpoint.to_owned(),
        consumer: finished.consumer.to_owned(),
        method: detail.method.to_owned(),
        path: detail.path.get(..cut).unwrap_or_default().to_owned(),
        status: finished.status,
        fault: finished.fault,
        duration: finished.duration.unwrap_or_default(),
        upstream: detail.upstream,
        attempts: detail.attempts,
    }
}
