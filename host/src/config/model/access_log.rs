//! `[access_log]`, checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

/// `[access_log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Whether lines are written; default true.
    pub enabled: bool,
    /// How a line looks; default JSON.
    pub format: AccessFormat,
    /// The file that lines are appended to; default standard output.
    pub file: Option<PathBuf>,
    /// What a JSON line holds, in order.
    pub fields: Vec<AccessField>,
    /// Share of requests that have a line whatever came of them; default all.
    pub sample: Share,
    /// What took as long always has one; default 1 s.
    pub slow: Duration,
    /// What is redacted besides what always is.
    pub redact: Redact,
}

/// How a line of the access log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessFormat {
    /// One JSON object.
    Json,
    /// Apache's Common Log Format.
    Common,
    /// The same, with referrer and user agent.
    Combined,
}

/// What is redacted, besides what holds credentials everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redact {
    /// Headers.
    pub headers: Vec<HeaderName>,
    /// Query parameters, lower case.
    pub parameters: Vec<String>,
}

/// A share, in parts of a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(1_000_000);

    /// As a number from 0 to 1.
    pub fn value(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}

/// One field of a JSON line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessField {
    /// As received.
    Method,
    /// Host and port asked for.
    Host,
    /// As received, without the query.
    Path,
    /// As received, secrets redacted.
    Query,
    /// What the client got; 499 where it left before.
    Status,
    /// From head to last byte, microseconds.
    DurationUs,
    /// From sending to the response head, of the attempt that was answered, microseconds.
    UpstreamUs,
    /// The route that took it.
    Route,
    /// Its API.
    Api,
    /// That API's version.
    Version,
    /// The endpoint that answered.
    Endpoint,
    /// Attempts made.
    Attempts,
    /// The client's address after the trust rules.
    Client,
    /// The other end of the connection, with its port.
    Peer,
    /// Which `[listen.NAME]` it came in on.
    Listener,
    /// Who asked, as the authorizer says.
    Consumer,
    /// Body bytes received.
    RequestBytes,
    /// Body bytes sent.
    ResponseBytes,
    /// What went wrong, by its stable code.
    Fault,
    /// Whose fault that was.
    Blame,
    /// `http/1.0`, `http/1.1`, `h2`.
    Protocol,
    /// `TLSv1.2` or `TLSv1.3`.
    TlsVersion,
    /// `x-request-id`.
    RequestId,
    /// The trace id of `traceparent`.
    TraceId,
    /// A header of the request, as received.
    RequestHeader(HeaderName),
    /// A header of the response, as sent.
    ResponseHeader(HeaderName),
    /// An attribute that a plugin left.
    Attribute {
        /// The plugin's configured name.
        plugin: String,
        /// The attribute's.
        name: String,
    },
}

impl AccessField {
    /// Facts by name.
    pub const FACTS: [(&'static str, Self); 24] = [
        ("method", Self::Method),
        ("host", Self::Host),
        ("path", Self::Path),
        ("query", Self::Query),
        ("status", Self::Status),
        ("duration_us", Self::DurationUs),
        ("upstream_us", Self::UpstreamUs),
        ("route", Self::Route),
        ("api", Self::Api),
        ("version", Self::Version),
        ("endpoint", Self::Endpoint),
        ("attempts", Self::Attempts),
        ("client", Self::Client),
        ("peer", Self::Peer),
        ("listener", Self::Listener),
        ("consumer", Self::Consumer),
        ("request_bytes", Self::RequestBytes),
        ("response_bytes", Self::ResponseBytes),
        ("fault", Self::Fault),
        ("blame", Self::Blame),
        ("protocol", Self::Protocol),
        ("tls_version", Self::TlsVersion),
        ("request_id", Self::RequestId),
        ("trace_id", Self::TraceId),
    ];

    /// A field by its name in the configuration.
    pub fn named(text: &str) -> Option<Self> {
        let header = |name: &str| HeaderName::from_bytes(name.as_bytes()).ok();
        match text.split_once('.') {
            Some(("request", name)) => header(name).map(Self::RequestHeader),
            Some(("response", name)) => header(name).map(Self::ResponseHeader),
            Some(("attribute", rest)) => {
                let (plugin, name) = rest.split_once('.').filter(|(plugin, name)| !plugin.is_empty() && !name.is_empty())?;
                Some(Self::Attribute { plugin: plugin.to_owned(), name: name.to_owned() })
            }
            _ => Self::FACTS.iter().find(|(name, _)| *name == text).map(|(_, field)| field.clone()),
        }
    }

    /// Its name, which is its key in a line.
    pub fn name(&self) -> String {
        match self {
            Self::RequestHeader(name) => format!("request.{name}"),
            Self::ResponseHeader(name) => format!("response.{name}"),
            Self::Attribute { plugin, name } => format!("attribute.{plugin}.{name}"),
            fact => Self::FACTS.iter().find(|(_, known)| known == fact).map(|(name, _)| (*name).to_owned()).unwrap_or_default(),
        }
    }
}
