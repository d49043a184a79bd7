//! What is measured, one minute at a time.

use std::sync::Arc;

use crate::sketch::Sketch;

/// Minutes of a block.
pub(crate) const BLOCK: u64 = 5;

/// A minute, counted from 1970-01-01T00:00Z.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub u64);

/// Whose fault an error was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Who sent the request.
    Client,
    /// The gateway or its configuration.
    Gateway,
    /// A plugin.
    Plugin,
    /// Who should have answered.
    Upstream,
}

/// Errors by whose fault they were.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Errors {
    /// 4xx, and requests that clients gave up.
    pub client: u64,
    /// The gateway's.
    pub gateway: u64,
    /// Plugins'.
    pub plugin: u64,
    /// Upstreams'.
    pub upstream: u64,
}

/// Requests, or calls, of one key.
#[derive(Debug, Default, Clone)]
pub struct Traffic<S> {
    /// How many.
    pub requests: u64,
    /// How many of them failed.
    pub errors: Errors,
    /// How long they took.
    pub latency: S,
}

/// A certificate the gateway shows or trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What the configuration calls it.
    pub name: Arc<str>,
    /// Since when it is valid.
    pub not_before: Minute,
    /// Until when.
    pub not_after: Minute,
}

/// Everything of one minute. A key without traffic may be left out.
#[derive(Debug, Clone)]
pub struct MinuteData<S> {
    /// Which.
    pub at: Minute,
    /// By route.
    pub routes: Vec<(Arc<str>, Traffic<S>)>,
    /// By route and endpoint.
    pub endpoints: Vec<(Arc<str>, Arc<str>, Traffic<S>)>,
    /// Requests by consumer.
    pub consumers: Vec<(Arc<str>, u64)>,
    /// By plugin: the version in effect at the minute's end, and its calls.
    pub plugins: Vec<(Arc<str>, Arc<str>, Traffic<S>)>,
    /// All there are: one that is missing is used no more.
    pub certificates: Vec<Certificate>,
}

// === impl Minute ===

impl Minute {
    /// Hours since 1970.
    pub fn hour(self) -> u64 {
        self.0 / 60
    }

    /// That many minutes before.
    #[must_use]
    pub fn before(self, minutes: u64) -> Self {
        Self(self.0.saturating_sub(minutes))
    }

    /// The first of the block that it is in.
    pub(crate) fn block(self) -> Self {
        Self(self.0 - self.0 % BLOCK)
    }

    /// Whether it is the last of its block.
    pub(crate) fn ends_block(self) -> bool {
        (self.0 + 1).is_multiple_of(BLOCK)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0 * 60
    }
}

// === impl Errors ===

impl Errors {
    /// Those that are not the client's.
    pub fn server(&self) -> u64 {
        self.gateway + self.plugin + self.upstream
    }

    fn add(&mut self, other: &Self) {
        self.client += other.client;
        self.gateway += other.gateway;
        self.plugin += other.plugin;
        self.upstream += other.upstream;
    }

    /// Who is to blame for most of those that are not the client's.
    pub(crate) fn mostly(&self) -> Option<Blame> {
        let server = [(self.gateway, Blame::Gateway), (self.plugin, Blame::Plugin), (self.upstream, Blame::Upstream)];
        let (most, blame) = server.into_iter().max_by_key(|(count, _)| *count)?;
        (most * 2 > self.server()).then_some(blame)
    }
}

// === impl Blame ===

impl Blame {
    /// As it stands in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Plugin => "plugin",
            Self::Upstream => "upstream",
        }
    }
}

// === impl Traffic ===

impl<S: Sketch> Traffic<S> {
    /// How many took longer than that many seconds.
    pub fn slower_than(&self, seconds: f64) -> u64 {
        self.latency.above(seconds).min(self.requests)
    }

    /// All of them together.
    pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self
    where
        S: 'a,
    {
        let mut sum = Self { latency: S::sum(all.clone().map(|each| &each.latency)), ..Self::default() };
        for each in all {
            sum.requests += each.requests;
            sum.errors.add(&each.errors);
        }
        sum
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors.add(&other.errors);
        self.latency.merge(&other.latency);
    }
}

// === impl MinuteData ===

impl<S> MinuteData<S> {
    /// A minute in which nothing was measured.
    pub fn at(at: Minute) -> Self {
        Self { at, routes: Vec::new(), endpoints: Vec::new(), consumers: Vec::new(), plugins: Vec::new(), certificates: Vec::new() }
    }
}
