//! What is told of an incident.

use std::fmt;
use std::sync::Arc;

use crate::minute::{Blame, Minute};

/// What kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// More requests fail than before.
    ErrorRate,
    /// Requests take longer than before.
    Latency,
    /// An endpoint is worse than its siblings.
    Endpoint,
    /// A plugin's new version made things slower or failing.
    PluginVersion,
    /// A consumer sends far more than before.
    ConsumerTraffic,
    /// A certificate is about to end.
    Certificate,
    /// An error budget is used up too fast.
    SloBurn,
}

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A route.
    Route(Arc<str>),
    /// An endpoint of an upstream.
    Endpoint {
        /// The upstream.
        upstream: Arc<str>,
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// A plugin.
    Plugin(Arc<str>),
    /// A consumer.
    Consumer(Arc<str>),
    /// A certificate, by its name in the configuration.
    Certificate(Arc<str>),
    /// An objective of a route.
    Objective {
        /// The route.
        route: Arc<str>,
        /// `availability` or `latency`.
        objective: &'static str,
    },
}

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Within days.
    Ticket,
    /// Now.
    Page,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share of 1.
    Share,
    /// Seconds.
    Seconds,
    /// So many.
    Count,
    /// So many times.
    Times,
}

/// One number that speaks for an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What was measured.
    pub what: &'static str,
    /// Its value.
    pub value: f64,
    /// In that unit.
    pub unit: Unit,
}

/// The likely cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A new version of a plugin began to serve when it began.
    PluginVersion {
        /// The plugin.
        plugin: Arc<str>,
        /// The version that serves.
        version: Arc<str>,
        /// The one before.
        previous: Arc<str>,
    },
    /// One endpoint has most of it.
    Endpoint {
        /// Its upstream.
        upstream: Arc<str>,
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// A consumer's traffic jumped when it began.
    Consumer(Arc<str>),
    /// Most of the errors are somebody's fault.
    Blame(Blame),
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is as before.
    Recovered,
    /// It has been so for a day: this is what is usual now.
    NewLevel,
    /// Nothing has been heard of its subject for an hour.
    Silent,
    /// Its subject is configured no more.
    Gone,
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Counts up; unique among those of one analyst.
    pub number: u64,
    /// What kind.
    pub kind: Kind,
    /// What it is about.
    pub subject: Subject,
    /// How soon to look.
    pub severity: Severity,
    /// When it began, which is before it was found.
    pub start: Minute,
    /// When it was found.
    pub found: Minute,
    /// When and how it ended.
    pub end: Option<(Minute, Ended)>,
    /// The numbers, at its worst.
    pub evidence: Vec<Evidence>,
    /// The minute they are of.
    pub measured: Minute,
    /// The likely cause, where there is one.
    pub cause: Option<Cause>,
}

/// What became of an incident in a minute.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It was found.
    Opened(Incident),
    /// It got worse.
    Updated(Incident),
    /// It ended.
    Closed(Incident),
}

// === impl Kind ===

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::ErrorRate, Self::Latency, Self::Endpoint, Self::PluginVersion, Self::ConsumerTraffic, Self::Certificate, Self::SloBurn];

    /// As it stands in status, store and report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorRate => "error-rate",
            Self::Latency => "latency",
            Self::Endpoint => "endpoint",
            Self::PluginVersion => "plugin-version",
            Self::ConsumerTraffic => "consumer-traffic",
            Self::Certificate => "certificate",
            Self::SloBurn => "slo-burn",
        }
    }
}

// === impl Subject ===

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => write!(f, "route {route}"),
            Self::Endpoint { upstream, endpoint } => write!(f, "endpoint {endpoint} of {upstream}"),
            Self::Plugin(plugin) => write!(f, "plugin {plugin}"),
            Self::Consumer(consumer) => write!(f, "consumer {consumer}"),
            Self::Certificate(name) => write!(f, "certificate {name}"),
            Self::Objective { route, objective } => write!(f, "{objective} of route {route}"),
        }
    }
}

// === impl Severity ===

impl Severity {
    /// As it stands in status, store and report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}

// === impl Ended ===

impl Ended {
    /// As it stands in status, store and report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::NewLevel => "new-level",
            Self::Silent => "silent",
            Self::Gone => "gone",
        }
    }
}

// === impl Evidence ===

impl Evidence {
    pub(crate) fn new(what: &'static str, value: f64, unit: Unit) -> Self {
        Self { what, value, unit }
    }

    /// Its value with its unit, as people read it.
    pub fn figure(&self) -> String {
        let value = self.value;
        match self.unit {
            // A budget that is overspent many times is no matter of hundredths.
            Unit::Share if value.abs() >= 10.0 => format!("{:.0} %", value * 100.0),
            Unit::Share => format!("{:.2} %", value * 100.0),
            Unit::Seconds if value >= 86_400.0 => whole(value / 86_400.0, "days"),
            Unit::Seconds if value >= 3_600.0 => whole(value / 3_600.0, "h"),
            Unit::Seconds if value >= 1.0 => format!("{value:.2} s"),
            Unit::Seconds if value >= 1e-3 => format!("{:.1} ms", value * 1e3),
            Unit::Seconds => format!("{:.1} µs", value * 1e6),
            Unit::Count if value < 10.0 && value.fract() != 0.0 => format!("{value:.1}"),
            Unit::Count => format!("{value:.0}"),
            Unit::Times => format!("{value:.1} times"),
        }
    }
}

/// With one digit behind the point where there is something.
fn whole(value: f64, unit: &str) -> String {
    format!("{} {unit}", format!("{value:.1}").trim_end_matches(".0"))
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.figure())
    }
}

// === impl Cause ===

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PluginVersion { plugin, version, previous } => {
                write!(f, "plugin {plugin} went from {} to {} when it began", short(previous), short(version))
            }
            Self::Endpoint { upstream, endpoint } => write!(f, "endpoint {endpoint} of {upstream} has most of it"),
            Self::Consumer(consumer) => write!(f, "consumer {consumer} sends far more since it began"),
            Self::Blame(blame) => write!(f, "most of the errors are the {}'s", blame.as_str()),
        }
    }
}

/// A digest as people compare it.
fn short(version: &str) -> &str {
    version.get(..19).unwrap_or(version)
}
