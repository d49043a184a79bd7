//! What is told of a request that failed, was slow or was sampled: everything that happened, owned, so that it outlives the
//! request. Spans are made of it, and the answer to why.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::{Notes, StepResult};
use crate::fault::ErrorCause;

/// One request.
#[derive(Debug)]
pub struct Story {
    /// `x-request-id`
    pub id: HeaderValue,
    /// Its trace, in hexadecimal digits.
    pub trace_id: String,
    /// When its head was complete.
    pub received: SystemTime,
    /// From then to the last byte.
    pub duration: Duration,
    /// As received.
    pub method: String,
    /// `http` or `https`
    pub scheme: &'static str,
    /// Host and port asked for.
    pub authority: Arc<str>,
    /// As received, without the query.
    pub path: String,
    /// As received, without its secrets.
    pub query: Option<String>,
    /// `1.0`, `1.1` or `2`
    pub protocol: &'static str,
    /// What the client got; 499 where it left before.
    pub status: u16,
    /// What went wrong; every 4xx and 5xx has something.
    pub fault: Option<ErrorCause>,
    /// The route that took it.
    pub route: Option<Arc<str>>,
    /// The API it belongs to.
    pub api: Option<Arc<str>>,
    /// That API's version.
    pub version: Option<Arc<str>>,
    /// The client after the trust rules.
    pub client: IpAddr,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Who asked, as the authorizer says.
    pub consumer: Option<String>,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Body bytes sent.
    pub response_bytes: u64,
    /// Where it is sampled.
    pub trace: Option<StoryTrace>,
    /// What happened, in order.
    pub steps: Vec<StoryStep>,
}

/// What a sampled request has beside what every story has.
#[derive(Debug)]
pub struct StoryTrace {
    /// The trace.
    pub trace: u128,
    /// The request's own span.
    pub span: u64,
    /// The caller's.
    pub parent: Option<u64>,
    /// `tracestate`
    pub state: String,
    /// `user-agent`
    pub user_agent: Option<String>,
    /// Members of `baggage` that are to be shown.
    pub baggage: Vec<(String, String)>,
}

/// One step.
#[derive(Debug)]
pub struct StoryStep {
    /// What was done.
    pub what: What,
    /// What came of it; `None` where the client left meanwhile.
    pub result: Option<StepResult>,
    /// When: of every step where the request is sampled, else of attempts alone.
    pub time: Option<StoryTime>,
    /// Where the request is sampled.
    pub span: Option<StorySpan>,
}

/// When a step was made.
#[derive(Debug, Clone, Copy)]
pub struct StoryTime {
    /// From the request's head to its beginning.
    pub after: Duration,
    /// How long it took.
    pub took: Duration,
}

/// What a step of a sampled request has beside that.
#[derive(Debug)]
pub struct StorySpan {
    /// Its id.
    pub id: u64,
    /// What its plugin noted.
    pub notes: Notes,
    /// From the request's head to each event.
    pub events_after: Vec<Duration>,
    /// From the request's head to each request the plugin made.
    pub requests_after: Vec<Duration>,
}

/// What a step was.
#[derive(Debug)]
pub enum What {
    /// A hook.
    Hook {
        /// Its name in the contract.
        hook: &'static str,
        /// The plugin's configured name.
        plugin: Arc<str>,
        /// Which version, by the beginning of its digest.
        version: Arc<str>,
    },
    /// A try at an upstream.
    Attempt {
        /// From 1.
        number: u32,
        /// The upstream's name.
        upstream: Arc<str>,
        /// The endpoint's URL; empty where it has left meanwhile.
        endpoint: String,
    },
}
