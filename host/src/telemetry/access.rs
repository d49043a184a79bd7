//! The access log: one line for each request. A worker writes lines into a buffer of its own and hands it over many lines at a
//! time; a thread that may wait writes them out. When it cannot keep up, lines are dropped and counted: a worker never waits.

mod clock;
mod line;
mod queue;
mod redact;
mod writer;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::model::{AccessField, AccessFormat, AccessLog, Share};
use crate::exchange::{Attributes, Exchange, RouteFacts};
use crate::fault::{ErrorCause, Fault};

pub use queue::AccessQueue;
pub use redact::Redaction;
pub use writer::{AccessSender, AccessWriter};

/// What a configuration wants of the access log, worked out once.
#[derive(Debug)]
pub struct AccessPlan {
    format: AccessFormat,
    /// Of a JSON line.
    fields: Vec<PlannedField>,
    sample: Share,
    slow: Duration,
    redaction: Redaction,
    /// What has to be kept of a request and its response until the line is written.
    request_headers: Vec<HeaderName>,
    response_headers: Vec<HeaderName>,
}

#[derive(Debug)]
struct PlannedField {
    what: What,
    /// `,"name":`
    key: Vec<u8>,
}

/// A field, with headers by their place among those that are kept.
#[derive(Debug)]
enum What {
    Fact(AccessField),
    RequestHeader(usize),
    ResponseHeader(usize),
}

/// Header values that were kept; `None` where there was none, or nothing is kept at all.
pub type Kept = Option<Box<[Option<HeaderValue>]>>;

/// What one request came to.
#[derive(Debug)]
pub struct AccessLine<'a> {
    /// When its head was complete.
    pub received: SystemTime,
    /// From then to the last byte.
    pub duration: Duration,
    /// `x-request-id`
    pub request_id: &'a str,
    /// Of `traceparent`.
    pub trace_id: &'a str,
    /// The method, as received.
    pub method: &'a str,
    /// What the client got; 499 where it left before.
    pub status: u16,
    /// The route that took it.
    pub route: Option<&'a RouteFacts>,
    /// The endpoint that answered, or the last one that was tried in vain.
    pub endpoint: Option<&'a str>,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Body bytes sent.
    pub response_bytes: u64,
    /// What went wrong; every 4xx and 5xx has something.
    pub fault: Option<ErrorCause>,
    /// Everything else, unless a plugin still has it.
    pub exchange: Option<&'a Exchange>,
    /// The client's protocol.
    pub protocol: Protocol,
    /// What [`AccessPlan::keep_request`] kept.
    pub request_headers: &'a Kept,
    /// What [`AccessPlan::keep_response`] kept.
    pub response_headers: &'a Kept,
}

/// The protocol of a client, as lines write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Protocol {
    /// `http/1.0`, `http/1.1`, `h2`: by the name ALPN has for it.
    pub fn alpn(self) -> &'static str {
        match self {
            Self::Http10 => "http/1.0",
            Self::Http11 => "http/1.1",
            Self::Http2 => "h2",
        }
    }

    /// `1.0`, `1.1`, `2`: as OpenTelemetry names versions of HTTP.
    pub fn version(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }

    /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0`: as Apache and nginx end a request line.
    fn in_request_line(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

// === impl AccessPlan ===

impl AccessPlan {
    /// The plan of a configuration.
    pub fn new(log: &AccessLog) -> Self {
        let mut plan = Self {
            format: log.format,
            fields: Vec::new(),
            sample: log.sample,
            slow: log.slow,
            redaction: Redaction::new(&log.redact),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        };
        match log.format {
            AccessFormat::Json => {
                for field in &log.fields {
                    let what = match field {
                        AccessField::RequestHeader(name) => What::RequestHeader(place(&mut plan.request_headers, name)),
                        AccessField::ResponseHeader(name) => What::ResponseHeader(place(&mut plan.response_headers, name)),
                        fact => What::Fact(fact.clone()),
                    };
                    let key = serde_json::Value::from(field.name());
                    plan.fields.push(PlannedField { what, key: format!(",{key}:").into_bytes() });
                }
            }
            AccessFormat::Combined => plan.request_headers = line::COMBINED_HEADERS.to_vec(),
            AccessFormat::Common => {}
        }
        plan
    }

    /// Keeps what a line will want of a request's headers. Later they may be with an upstream.
    pub fn keep_request(&self, headers: &HeaderMap) -> Kept {
        keep(&self.request_headers, headers)
    }

    /// Keeps what a line will want of a response's headers.
    pub fn keep_response(&self, headers: &HeaderMap) -> Kept {
        keep(&self.response_headers, headers)
    }

    /// Whether a request has a line: one that failed, was slow or is traced does, of the others the configured share.
    pub fn wants(&self, status: u16, fault: Option<Fault>, duration: Duration, traced: bool) -> bool {
        self.sample == Share::ALL
            || fault.is_some()
            || status >= 500
            || duration >= self.slow
            || traced
            || fastrand::u32(..Share::ALL.0) < self.sample.0
    }
}

fn place(names: &mut Vec<HeaderName>, name: &HeaderName) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.clone());
        names.len() - 1
    })
}

fn keep(names: &[HeaderName], headers: &HeaderMap) -> Kept {
    (!names.is_empty()).then(|| names.iter().map(|name| headers.get(name).cloned()).collect())
}

// === impl AccessLine ===

impl AccessLine<'_> {
    fn peer(&self) -> Option<SocketAddr> {
        self.exchange.map(|exchange| exchange.connection.peer)
    }

    fn attributes(&self) -> Option<&Attributes> {
        self.exchange.map(|exchange| &exchange.attributes)
    }
}

#[cfg(test)]
mod tests;
