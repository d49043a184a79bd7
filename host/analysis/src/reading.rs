//! What a span of time comes down to: shares of errors, and quantiles of latency.

use crate::minute::Traffic;
use crate::sketch::Sketch;
use crate::statistics::Share;

/// What one hour was like, for comparison: minutes of incidents are not in it.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Hour {
    /// Hours since 1970.
    pub hour: u64,
    /// Requests.
    pub requests: u64,
    /// Errors that were not the clients'.
    pub server_errors: u64,
    /// Errors of clients.
    pub client_errors: u64,
    /// Natural logarithm of the median latency in seconds; NaN where there was none.
    pub median: f64,
    /// Natural logarithm of the 95th percentile of latency in seconds.
    pub p95: f64,
    /// The worst five minutes of it, those of incidents too.
    pub worst: Worst,
}

/// The worst five minutes of an hour, each measure by itself.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Worst {
    /// Share of errors that were not the clients'.
    pub server_errors: f64,
    /// Share of errors of clients.
    pub client_errors: f64,
    /// Natural logarithm of the median latency in seconds.
    pub median: f64,
    /// Natural logarithm of the 95th percentile of latency in seconds.
    pub p95: f64,
}

/// What this hour is like in other weeks.
#[derive(Debug, Default, Clone)]
pub(crate) struct Season {
    /// The same hour of the week, one earlier and one later.
    pub(crate) near: Vec<Reading>,
    /// What this very hour was like at least twice, on other days or in other weeks: what a nightly job does every night is no
    /// incident.
    pub(crate) repeated: Option<Repeated>,
    /// The same of the hour before, which a window may reach into.
    pub(crate) repeated_before: Option<Repeated>,
}

/// The worst that happened again, each measure by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeated {
    /// How bad it was.
    pub(crate) level: Worst,
    /// How far that was above the hour before it: a night that is busier than others makes the same of a job, and more on the whole.
    pub(crate) rise: Option<Worst>,
}

/// What a test looks at: some minutes of one key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) server: Share,
    pub(crate) client: Share,
    /// Logarithms of seconds; NaN where there was no latency.
    pub(crate) median: f64,
    pub(crate) p95: f64,
}

impl Reading {
    pub(crate) const NOTHING: Self =
        Self { server: Share { bad: 0, all: 0 }, client: Share { bad: 0, all: 0 }, median: f64::NAN, p95: f64::NAN };

    pub(crate) fn of<S: Sketch>(traffic: &Traffic<S>) -> Self {
        let share = |bad: u64| Share { bad: bad.min(traffic.requests), all: traffic.requests };
        let logarithm = |share| traffic.latency.log_quantile(share);
        Self { server: share(traffic.errors.server()), client: share(traffic.errors.client), median: logarithm(0.5), p95: logarithm(0.95) }
    }
}

impl From<&Hour> for Reading {
    fn from(hour: &Hour) -> Self {
        let share = |bad| Share { bad, all: hour.requests };
        Self { server: share(hour.server_errors), client: share(hour.client_errors), median: hour.median, p95: hour.p95 }
    }
}

impl Hour {
    /// An hour as it was kept elsewhere, of which single minutes are not known.
    pub fn of<S: Sketch>(hour: u64, traffic: &Traffic<S>) -> Self {
        let reading = Reading::of(traffic);
        let Reading { server, client, median, p95 } = reading;
        let (requests, server_errors, client_errors) = (server.all, server.bad, client.bad);
        Self { hour, requests, server_errors, client_errors, median, p95, worst: Worst::from(&reading) }
    }

    /// The same hour, with something of an incident in it: it was as bad as it was, and nothing of it is usual.
    #[must_use]
    pub fn without_usual(self) -> Self {
        Self { requests: 0, server_errors: 0, client_errors: 0, median: f64::NAN, p95: f64::NAN, ..self }
    }
}

impl Worst {
    fn each(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            server_errors: of(self.server_errors, other.server_errors),
            client_errors: of(self.client_errors, other.client_errors),
            median: of(self.median, other.median),
            p95: of(self.p95, other.p95),
        }
    }

    pub(crate) fn max(self, other: Self) -> Self {
        self.each(other, f64::max)
    }

    /// How far it is above another.
    pub(crate) fn above(self, other: Self) -> Self {
        self.each(other, |own, other| own - other)
    }

    /// The second greatest of each; `None` of fewer than two.
    pub(crate) fn second(all: impl Iterator<Item = Self>) -> Option<Self> {
        let (mut first, mut second) = (None::<Self>, None::<Self>);
        for worst in all {
            second = match (first, second) {
                (Some(first), Some(second)) => Some(second.max(first.each(worst, f64::min))),
                (Some(first), None) => Some(first.each(worst, f64::min)),
                (None, _) => None,
            };
            first = Some(first.map_or(worst, |first| first.max(worst)));
        }
        second
    }
}

impl Repeated {
    pub(crate) fn max(self, other: Self) -> Self {
        Self { level: self.level.max(other.level), rise: self.rise.into_iter().chain(other.rise).reduce(Worst::max) }
    }
}

impl From<&Reading> for Worst {
    fn from(reading: &Reading) -> Self {
        Self { server_errors: reading.server.value(), client_errors: reading.client.value(), median: reading.median, p95: reading.p95 }
    }
}
