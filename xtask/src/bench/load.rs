//! Load, in two ways: as much as a proxy can take, which says how fast it is, and at a rate, which says what a request costs.

use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use super::stage::Stage;
use super::subject::Subject;
use super::{h2load, wrk};

/// What a load generator saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answered {
    pub(super) requests: f64,
    pub(super) seconds: f64,
    /// Latency in microseconds, of half, of 99 % and of 99.9 % of the requests.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
}

impl Answered {
    pub(super) fn per_second(&self) -> f64 {
        self.requests / self.seconds
    }
}

/// Asks for as much as the proxy answers.
pub(super) fn flood(stage: &Stage, subject: &Subject, duration: Duration) -> Result<Answered> {
    // wrk speaks HTTP/1.1 alone, and asks for one path.
    let scenario = stage.scenario();
    if scenario.http2 || scenario.by_route || scenario.endpoints > 1 {
        h2load::flood(stage, subject, duration)
    } else {
        wrk::run(stage, subject, duration, None)
    }
}

/// Asks at a rate; says how many requests were answered.
pub(super) fn paced(stage: &Stage, subject: &Subject, duration: Duration, per_second: f64) -> Result<f64> {
    // Of HTTP/1.1, h2load neither connects again when a connection was closed, nor sends bodies reliably: it stops part of the way.
    // wrk does both; it waits in whole milliseconds, so that single requests come less evenly.
    if stage.scenario().close || stage.scenario().body > 0 {
        return Ok(wrk::run(stage, subject, duration, Some(per_second))?.requests);
    }
    h2load::paced(stage, subject, duration, per_second)
}

/// Every answer was whole: a body that is cut short is no failure to a load generator.
pub(super) fn complete(stage: &Stage, answers: f64, bytes: f64) -> Result<()> {
    let wanted = answers * stage.scenario().answer() as f64;
    if bytes >= wanted { Ok(()) } else { Err(Error::new(format!("{answers} answers had {bytes} bytes, not {wanted}"))) }
}

/// Whole seconds, which is what load generators take.
pub(super) fn seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

/// A quantile of sorted values.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Result<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().context("no latency was recorded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!([0.5, 0.99, 0.999].map(|share| quantile(&values, share).unwrap()), [500.0, 990.0, 999.0]);
        assert_eq!(quantile(&[7.0], 0.999).unwrap(), 7.0);
        assert!(quantile(&[], 0.5).is_err());
    }
}
