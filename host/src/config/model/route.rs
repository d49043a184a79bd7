//! Routes: which requests, through which plugins, to which upstream.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::{Map, Value};

use super::{FailurePolicy, RetryOn};

/// `[[routes]]`
#[derive(Debug, Clone)]
pub struct Route {
    /// Unique.
    pub name: String,
    /// The API it belongs to.
    pub api: Option<String>,
    /// The API's version.
    pub version: Option<String>,
    /// Which requests it takes.
    pub matches: Match,
    /// Whether it may be reached without an authorizer.
    pub public: bool,
    /// `[defaults] plugins`, then its own, in order.
    pub chain: Vec<PluginUse>,
    /// Picks the endpoint; native weighted round robin without.
    pub router: Option<PluginUse>,
    /// Writes the plan; the upstream's own settings without.
    pub forwarder: Option<PluginUse>,
    /// Where it goes: an index into `Config::upstreams`, out of bounds only where that upstream is wrong.
    pub upstream: usize,
    /// Attempts in all, at most the upstream's; default the upstream's.
    pub max_attempts: Option<u32>,
    /// What another attempt follows, where the upstream has it too; default the upstream's.
    pub retry_on: Option<RetryOn>,
    /// Largest request body, bytes; default `Limits::max_body_bytes`.
    pub max_body_bytes: Option<u64>,
    /// What is promised of it.
    pub slo: Option<Slo>,
    /// Its table, such as `routes[2]`, for messages.
    pub key: String,
}

impl Route {
    /// Every plugin it names, where it names it.
    pub fn uses(&self) -> impl Iterator<Item = &PluginUse> {
        self.chain.iter().chain(&self.router).chain(&self.forwarder)
    }
}

/// `[routes.slo]`: at least one of the two is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slo {
    /// Share of requests that gateway, plugins and upstream must not fail, such as 0.999; below 1.
    pub availability: Option<f64>,
    /// How fast requests must be.
    pub latency: Option<LatencyObjective>,
    /// Over so many days, 1 to 90; default 30.
    pub days: u32,
}

/// `[routes.slo.latency]`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyObjective {
    /// What a request may take.
    pub under: Duration,
    /// Share of requests that must not take longer, such as 0.99; below 1.
    pub share: f64,
}

/// A plugin in one place.
#[derive(Debug, Clone)]
pub struct PluginUse {
    /// An index into `Config::plugins`.
    pub plugin: usize,
    /// The plugin's own table with the place's merged over it: what `configure` gets.
    pub config: Map<String, Value>,
    /// The plugin's own policy unless the place names another.
    pub on_failure: FailurePolicy,
    /// Where it is named, such as `routes[2].router`, for messages.
    pub key: String,
}

/// Which requests a route takes. Empty lists match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// Any of these hosts.
    pub hosts: Vec<HostPattern>,
    /// Any of these paths; empty means every path.
    pub paths: Vec<PathPattern>,
    /// Any of these methods.
    pub methods: Vec<Method>,
    /// All of these headers.
    pub headers: Vec<HeaderMatch>,
}

/// A host without port, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// `api.example.com`
    Exact(String),
    /// `*.example.com`: one or more labels in front; holds `example.com`.
    Wildcard(String),
}

/// A path in normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathPattern {
    /// `/orders`, `/orders/{id}/items`: every segment.
    Exact(Vec<Segment>),
    /// `/orders/*`: these segments and whatever follows, `/orders` itself included.
    Prefix(Vec<Segment>),
}

/// One segment of a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// `{name}`: any one non-empty segment.
    Parameter(String),
}

/// A header a request must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Its name.
    pub name: HeaderName,
    /// Its exact value; `None` asks only that it is there.
    pub value: Option<String>,
}
