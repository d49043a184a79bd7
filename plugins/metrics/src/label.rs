//! Labels, and the value a record has for each. None is a client's free text: a client that makes up methods or paths makes
//! no series.

use plugway_sdk::{Batch, Texts};
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

    /// Its value for each exchange; empty where there is none, which to Prometheus is the same as no label.
    pub(crate) fn column(self, batch: &Batch<'_>) -> Texts {
        match self {
            Self::Route => batch.routes(),
            Self::Api => batch.apis(),
            Self::Version => batch.api_versions(),
            Self::Method => folded(batch.methods()),
            Self::Status => classes(&batch.statuses()),
            Self::Fault => batch.faults(),
            Self::Blame => batch.blames(),
            Self::Protocol => batch.protocols(),
            Self::Endpoint => batch.endpoints(),
            Self::Consumer => batch.consumers(),
        }
    }
}

/// Methods, as far as they make series of their own.
fn folded(methods: Texts) -> Texts {
    let mut values = Vec::<String>::new();
    let mut place = |value: &String| {
        let value = method(value);
        let known = values.iter().position(|known| known == value);
        let place = known.unwrap_or_else(|| {
            values.push(value.to_owned());
            values.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    };
    let folded: Vec<_> = methods.values.iter().map(&mut place).collect();
    let places = methods.places.iter().map(|place| usize::try_from(*place).ok().and_then(|place| folded.get(place)).copied().unwrap_or(0));
    Texts { places: places.collect(), values }
}

/// `2xx` and so on (RFC 9110, section 15), by the first digit; the first is for a number that is no status.
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

fn classes(statuses: &[u16]) -> Texts {
    let place = |status: &u16| match status / 100 {
        class @ 1..=5 => u32::from(class),
        _ => 0,
    };
    Texts { values: CLASSES.map(str::to_owned).into(), places: statuses.iter().map(place).collect() }
}

/// The methods of RFC 9110 and RFC 5789; any other token a client can think of is `other`.
fn method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" | "CONNECT" => method,
        _ => "other",
    }
}
