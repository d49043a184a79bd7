//! Labels, and the value a record has for each. None is a client's free text: a client that makes up methods or paths makes
//! no series.

use plugway_sdk::ExchangeRecord;
use serde::Deserialize;

/// What a series can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Label {
    Route,
    Api,
    Version,
    Method,
    Status,
    Fault,
    Blame,
    Protocol,
    Endpoint,
    Consumer,
}

impl Label {
    /// Its name, in the configuration and as exported.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Api => "api",
            Self::Version => "version",
            Self::Method => "method",
            Self::Status => "status",
            Self::Fault => "fault",
            Self::Blame => "blame",
            Self::Protocol => "protocol",
            Self::Endpoint => "endpoint",
            Self::Consumer => "consumer",
        }
    }

    /// Its value for one exchange; empty where there is none, which to Prometheus is the same as no label.
    pub(crate) fn value(self, record: &ExchangeRecord) -> &str {
        match self {
            Self::Route => &record.route,
            Self::Api => record.api.as_deref().unwrap_or_default(),
            Self::Version => record.api_version.as_deref().unwrap_or_default(),
            Self::Method => method(&record.method),
            Self::Status => status_class(record.status),
            Self::Fault => record.fault.as_deref().unwrap_or_default(),
            Self::Blame => record.blame.as_deref().unwrap_or_default(),
            Self::Protocol => &record.protocol,
            Self::Endpoint => record.endpoint.as_deref().unwrap_or_default(),
            Self::Consumer => record.consumer.as_deref().unwrap_or_default(),
        }
    }
}

/// The methods of RFC 9110 and RFC 5789; any other token a client can think of is `other`.
fn method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" | "CONNECT" => method,
        _ => "other",
    }
}

/// `2xx` and so on (RFC 9110, section 15); `other` for a number that is no status.
fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}
