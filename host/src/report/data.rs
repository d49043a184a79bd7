//! What a report says, before it is arranged. As JSON this is the report for programs; names and units are stable.

use serde::Serialize;

use super::format;
use crate::store::{Gap, GapKind, Incident, Slo};

/// What requests are counted under that matched no route.
const NO_ROUTE: &str = "none";

/// One report. Moments are seconds since 1970, latencies microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Which gateway, API or route it is of.
    pub title: String,
    /// `gateway`, `api` or `route`.
    pub scope: &'static str,
    /// The API's or the route's name.
    pub name: Option<String>,
    /// When it was made.
    pub generated_at: i64,
    /// What it is about begins here.
    pub from: i64,
    /// And ends before this.
    pub until: i64,
    /// Since when there are counts of it: since it begins, or since the store did where that was within the first step. Rates are of the time
    /// from then on.
    pub counted_since: i64,
    /// Seconds of one point of the timeline.
    pub step: i64,
    /// What a latency may be off by, of its own value.
    pub latency_accuracy: f64,
    /// Everything added up.
    pub totals: Totals,
    /// The same of the time before it; `None` where the store does not reach back so far.
    pub before: Option<Before>,
    /// Steps in order; those without requests too.
    pub timeline: Vec<Point>,
    /// Requests by what clients got.
    pub statuses: Vec<Status>,
    /// Requests by what went wrong.
    pub faults: Vec<Fault>,
    /// Routes, those with most requests first.
    pub routes: Vec<Route>,
    /// Endpoints of each route, in its order.
    pub endpoints: Vec<Endpoint>,
    /// Consumers, those with most requests first.
    pub consumers: Vec<Consumer>,
    /// How many consumers there were in all.
    pub consumers_in_all: u64,
    /// Plugins of the whole gateway and their versions, the dearest first.
    pub plugins: Vec<Plugin>,
    /// The slowest requests that were kept in detail.
    pub slowest: Vec<Sample>,
    /// The latest failed ones.
    pub failed: Vec<Sample>,
    /// What analysis found that these routes felt.
    pub incidents: Vec<Incident>,
    /// Error budgets.
    pub slos: Vec<Slo>,
    /// Times of which the store does not know everything.
    pub gaps: Vec<Gap>,
    /// Stored distributions of latencies that could not be read: percentiles are without them, counts are not.
    pub distributions_left_out: u64,
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Totals {
    /// All of them.
    pub requests: u64,
    /// Answered with 4xx, and clients that left.
    pub client_errors: u64,
    /// Answered with 5xx.
    pub server_errors: u64,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Body bytes sent.
    pub response_bytes: u64,
    /// How long they took.
    #[serde(flatten)]
    pub latency: Latency,
}

/// The time before the one that a report is about, to compare with. A report's own time begins with a step and ends now, within one; this
/// one is of whole steps, as many as cover that long a time. It may be longer by a part of a step, so what is compared are rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Before {
    /// When it begins; it ends where the other begins.
    pub from: i64,
    /// What happened in it.
    #[serde(flatten)]
    pub totals: Totals,
}

/// How long requests took, microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// The arithmetic mean.
    pub mean_us: Option<f64>,
    /// Half took less.
    pub p50_us: Option<f64>,
    /// 95 of 100 took less.
    pub p95_us: Option<f64>,
    /// 99 of 100 took less.
    pub p99_us: Option<f64>,
    /// The longest.
    pub longest_us: Option<u64>,
}

/// One step of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// When it begins.
    pub at: i64,
    /// What happened in it.
    #[serde(flatten)]
    pub totals: Totals,
}

/// One status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The code; 499 is a client that left.
    pub status: u16,
    /// How often.
    pub requests: u64,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its code.
    pub fault: String,
    /// Whose fault it is.
    pub blame: String,
    /// How often.
    pub requests: u64,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// Its name; `none` for requests that matched nothing.
    pub route: String,
    /// Its API, or empty.
    pub api: String,
    /// The API's version, or empty.
    pub version: String,
    /// What happened on it.
    #[serde(flatten)]
    pub totals: Totals,
}

/// One endpoint of one route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Endpoint {
    /// The route.
    pub route: String,
    /// Its API, or empty.
    pub api: String,
    /// The API's version, or empty.
    pub version: String,
    /// The endpoint's URL.
    pub endpoint: String,
    /// Requests it answered.
    pub requests: u64,
    /// With 4xx.
    pub client_errors: u64,
    /// With 5xx.
    pub server_errors: u64,
    /// How long they took.
    #[serde(flatten)]
    pub latency: Latency,
}

/// One consumer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Consumer {
    /// Its name.
    pub consumer: String,
    /// Routes it used.
    pub routes: u64,
    /// Its requests.
    pub requests: u64,
    /// Answered with 4xx.
    pub client_errors: u64,
    /// Answered with 5xx.
    pub server_errors: u64,
    /// How long they took.
    #[serde(flatten)]
    pub latency: Latency,
}

/// One version of one plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plugin {
    /// Its name.
    pub plugin: String,
    /// Digest of its component.
    pub digest: String,
    /// Calls of its hooks.
    pub calls: u64,
    /// Calls that failed or were not made.
    pub failures: u64,
    /// The same by kind.
    pub kinds: Vec<(String, u64)>,
    /// The mean time of one call, of those whose time was taken, nanoseconds.
    pub mean_ns: Option<f64>,
    /// What 99 of 100 of these took less than, nanoseconds.
    pub p99_ns: Option<f64>,
    /// That mean for all calls: the time of workers it used, seconds.
    pub seconds: Option<f64>,
}

/// One request in detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When it ended, microseconds since 1970.
    pub at_us: i64,
    /// `x-request-id`
    pub request_id: String,
    /// Its route.
    pub route: String,
    /// The endpoint that answered, or empty.
    pub endpoint: String,
    /// Who asked, or empty.
    pub consumer: String,
    /// Its method.
    pub method: String,
    /// Its path without the query.
    pub path: String,
    /// What the client got.
    pub status: u16,
    /// What went wrong, or empty.
    pub fault: String,
    /// From head to last byte, microseconds.
    pub duration_us: u64,
    /// What of it the endpoint took.
    pub upstream_us: Option<u64>,
    /// Attempts made.
    pub attempts: u32,
}

impl Report {
    /// All of it in a few sentences.
    pub(super) fn in_short(&self) -> String {
        let totals = &self.totals;
        let length = format::span(self.until - self.counted_since);
        if totals.requests == 0 {
            return format!("No request was counted in {length}.");
        }
        // A store may come from anywhere.
        let good = format::share(totals.requests.saturating_sub(totals.server_errors), totals.requests);
        let mut text = format!("{} requests in {length}, {good} answered without a server error.", format::whole(totals.requests));
        if let (Some(p50), Some(p99)) = (totals.latency.p50_us, totals.latency.p99_us) {
            text.push_str(&format!(" Half took less than {}, 99 of 100 less than {}.", format::latency(p50), format::latency(p99)));
        }
        let (unrouted, routes): (Vec<_>, Vec<_>) = self.routes.iter().partition(|route| route.route == NO_ROUTE);
        if let [busiest, _, ..] = routes.as_slice() {
            let share = format::share(busiest.totals.requests, totals.requests);
            text.push_str(&format!(" The busiest of {} routes is {} with {share} of the requests.", routes.len(), busiest.route));
        }
        let unrouted: u64 = unrouted.iter().map(|route| route.totals.requests).sum();
        if unrouted > 0 && self.scope == "gateway" {
            text.push_str(&format!(" {} matched no route.", format::share(unrouted, totals.requests)));
        }
        match self.slos.iter().filter(|slo| slo.budget_left().is_some_and(|left| left < 0.0)).count() {
            0 => {}
            overspent => text.push_str(&format!(" Of {} objectives {overspent} have overspent their budget.", self.slos.len())),
        }
        let pages = self.incidents.iter().filter(|incident| incident.severity == "page").count();
        match (self.incidents.len(), pages) {
            (0, _) => {}
            (1, _) => text.push_str(" One incident was found."),
            (many, 0) => text.push_str(&format!(" {many} incidents were found.")),
            (many, pages) => text.push_str(&format!(" {many} incidents were found, {pages} of them to page for.")),
        }
        text
    }

    /// What is said of distributions that could not be read; nothing where all could be.
    pub(super) fn left_out(&self) -> Option<String> {
        let many = format::whole(self.distributions_left_out);
        (self.distributions_left_out > 0).then(|| {
            format!("Stored distributions of latencies that could not be read: {many}. Percentiles are without them, counts are not.")
        })
    }

    /// Until when an incident lasts that has not ended, and that in words: no longer than there is a gateway to see it.
    pub(super) fn lasts(&self, incident: &Incident) -> (i64, &'static str) {
        let over = |gap: &&Gap| gap.kind != GapKind::Unwritable && gap.until >= self.until;
        let over = self.gaps.iter().rfind(over).filter(|gap| gap.since >= incident.started);
        over.map_or((self.until, "lasts"), |gap| (gap.since, "lasted when the gateway ended"))
    }
}

impl Totals {
    /// The share of requests that were answered with 5xx.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.server_errors as f64 / self.requests as f64)
    }
}
