//! What a plugin asks for, and what it gets.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::cache::Use;

/// Bytes of the body of a request.
const MAX_BODY: usize = 1 << 20;
/// Header lines of a request.
const MAX_HEADERS: usize = 100;
/// Bytes of their names and values.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Bytes of a URL.
const MAX_URL: usize = 8 << 10;
/// Longest time an answer is fresh that does not say so.
const LONGEST_DEFAULT_FRESHNESS: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest name that stands for headers and body, bytes.
const MAX_SHARED_AS: usize = 64 << 10;

/// A request as a plugin puts it together. What is wrong with any of it is told when it is sent.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) timeout: Option<Duration>,
    pub(super) max_body_bytes: Option<u64>,
    pub(super) max_redirects: Option<u32>,
    shared: Option<bool>,
    /// In the place of headers and body.
    shared_as: Option<Bytes>,
    /// What it takes from the cache.
    pub(super) takes: Use,
    /// Whether it may go to a server.
    pub(super) may_wait: bool,
    /// `traceparent`, in the place of one the plugin wrote. It makes no two requests different.
    pub(super) trace_parent: Option<HeaderValue>,
    header_bytes: usize,
    wrong: Option<HttpError>,
}

/// A whole answer. Clones share its body.
#[derive(Debug, Clone)]
pub struct IncomingResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of the connection.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What answered, after redirects.
    pub url: Uri,
    /// Where it is from.
    pub source: AnswerSource,
    /// Since the server made it, or said that it has not changed.
    pub age: Duration,
    /// How long it is still fresh.
    pub fresh_for: Duration,
}

/// Where an answer is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerSource {
    /// The server.
    Server,
    /// The cache.
    Cache,
    /// The cache, and the server said that it has not changed.
    Validated,
    /// The cache, past its freshness, since the server is away.
    Stale,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The running hook cannot wait.
    NotHere,
    /// The grant has not the place.
    NotAllowed(String),
    /// Not a request that can be made.
    Invalid(String),
    /// The host has no address.
    Unresolved(String),
    /// No connection.
    NotConnected(String),
    /// The TLS handshake failed.
    Tls(String),
    /// Not done in time.
    Timeout,
    /// Body or head are larger than allowed.
    TooLarge,
    /// More redirects than allowed.
    TooManyRedirects,
    /// As many calls in flight as the grant allows.
    TooManyCalls,
    /// Not HTTP, or broken off.
    Protocol(String),
}

/// How a request can end, in one word.
pub(super) const OUTCOMES: &[&str] = &[
    "server",
    "cache",
    "validated",
    "stale",
    "not-here",
    "not-allowed",
    "invalid",
    "unresolved",
    "not-connected",
    "tls",
    "timeout",
    "too-large",
    "too-many-redirects",
    "too-many-calls",
    "protocol",
];

impl AnswerSource {
    /// In one word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Cache => "cache",
            Self::Validated => "validated",
            Self::Stale => "stale",
        }
    }
}

// === impl OutgoingRequest ===

impl OutgoingRequest {
    /// A request without headers and body.
    pub fn new(method: &str, url: &str) -> Self {
        let mut request = Self {
            method: Method::GET,
            url: Uri::default(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: None,
            max_body_bytes: None,
            max_redirects: None,
            shared: None,
            shared_as: None,
            takes: Use::made_now(),
            may_wait: true,
            trace_parent: None,
            header_bytes: 0,
            wrong: None,
        };
        match method.parse() {
            Ok(Method::CONNECT) => request.is_wrong("CONNECT makes no request"),
            Ok(method) => request.method = method,
            Err(_) => request.is_wrong(format!("{method:.40?} is no method")),
        }
        match absolute(url) {
            Ok(url) => request.url = url,
            Err(why) => request.is_wrong(why),
        }
        request
    }

    /// Adds a header; a name may repeat.
    pub fn append_header(&mut self, name: Option<HeaderName>, value: Vec<u8>) {
        let (name, value) = match (name, HeaderValue::from_maybe_shared(Bytes::from(value))) {
            (Some(name), Ok(value)) => (name, value),
            (None, _) => return self.is_wrong("a header's name is none"),
            (_, Err(_)) => return self.is_wrong("a header's value holds a control character"),
        };
        if is_of_connection(&name) {
            return self.is_wrong(format!("`{name}` is the gateway's"));
        }
        self.header_bytes = self.header_bytes.saturating_add(name.as_str().len() + value.len());
        if self.headers.len() >= MAX_HEADERS || self.header_bytes > MAX_HEADER_BYTES {
            return self.fails(HttpError::TooLarge);
        }
        self.headers.append(name, value);
    }

    /// Sets the body.
    pub fn set_body(&mut self, body: Vec<u8>) {
        if body.len() > MAX_BODY {
            return self.fails(HttpError::TooLarge);
        }
        self.body = body.into();
    }

    /// Time for all of it.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Bytes of the answer's body.
    pub fn set_max_body_bytes(&mut self, bytes: u64) {
        self.max_body_bytes = Some(bytes);
    }

    /// Redirects to follow.
    pub fn set_max_redirects(&mut self, redirects: u32) {
        self.max_redirects = Some(redirects);
    }

    /// Whether it may be made once for several calls.
    pub fn set_shared(&mut self, shared: bool) {
        self.shared = Some(shared);
    }

    /// What stands for headers and body where requests are told apart to be made once.
    pub fn set_shared_as(&mut self, name: Vec<u8>) {
        if name.len() > MAX_SHARED_AS {
            return self.fails(HttpError::TooLarge);
        }
        self.shared_as = Some(name.into());
    }

    /// How old an answer from the cache may be.
    pub fn set_max_age(&mut self, age: Duration) {
        self.takes.max_age = Some(age);
    }

    /// How long an answer is fresh that does not say so.
    pub fn set_default_freshness(&mut self, freshness: Duration) {
        self.takes.default_freshness = freshness.min(LONGEST_DEFAULT_FRESHNESS);
    }

    /// For how long past its freshness an answer is given where the server is away.
    pub fn set_stale_if_error(&mut self, time: Duration) {
        self.takes.stale_if_error = time;
    }

    /// Whether it is made once for calls that are identical.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.unwrap_or_else(|| matches!(self.method, Method::GET | Method::HEAD) && self.body.is_empty())
    }

    /// Only what is here already may answer it, now: for a call that must not wait.
    pub fn must_not_wait(&mut self) {
        self.may_wait = false;
    }

    /// The trace it is part of, and the span there that it is called in.
    pub fn set_trace_parent(&mut self, parent: HeaderValue) {
        self.trace_parent = Some(parent);
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Where it goes, without the query.
    pub fn place(&self) -> String {
        let url = &self.url;
        let (scheme, authority) = (url.scheme_str().unwrap_or_default(), url.authority().map_or("", |authority| authority.as_str()));
        format!("{scheme}://{authority}{}", url.path())
    }

    /// Whether its answer is also for calls that come a moment later: where that was asked for, and not by default.
    pub(super) fn is_shared_late(&self) -> bool {
        self.shared == Some(true)
    }

    /// What makes two requests identical: everything that goes to the server, or what stands for it, and everything that bounds the answer.
    pub(super) fn identity(&self) -> Vec<u8> {
        let Use { max_age, default_freshness, stale_if_error, .. } = self.takes;
        let limits = (self.timeout, self.max_body_bytes, self.max_redirects, max_age, default_freshness, stale_if_error);
        let mut identity = format!("{} {}\n{limits:?}\n", self.method, self.url).into_bytes();
        if let Some(name) = &self.shared_as {
            // No header has a name without a letter.
            identity.extend_from_slice(b":");
            identity.extend_from_slice(name);
            return identity;
        }
        for (name, value) in &self.headers {
            identity.extend_from_slice(name.as_str().as_bytes());
            identity.push(b':');
            identity.extend_from_slice(value.as_bytes());
            // No value has one.
            identity.push(b'\n');
        }
        identity.push(b'\n');
        identity.extend_from_slice(&self.body);
        identity
    }

    /// The first thing that is wrong with it.
    ///
    /// # Errors
    /// That thing.
    pub(super) fn check(&self) -> Result<(), HttpError> {
        self.wrong.clone().map_or(Ok(()), Err)
    }

    fn is_wrong(&mut self, why: impl Into<String>) {
        self.fails(HttpError::Invalid(why.into()));
    }

    fn fails(&mut self, error: HttpError) {
        self.wrong.get_or_insert(error);
    }
}

/// An absolute URL without user, password and fragment.
pub(super) fn absolute(text: &str) -> Result<Uri, String> {
    if text.len() > MAX_URL {
        return Err(format!("the URL has more than {MAX_URL} bytes"));
    }
    let text = text.split('#').next().unwrap_or_default();
    let url: Uri = text.parse().map_err(|error| format!("{text:.200?} is no URL: {error}"))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') && !authority.host().is_empty() => Ok(url),
        (Some("http" | "https"), Some(_)) => Err("the URL has a user in it, or no host".to_owned()),
        _ => Err(format!("{text:.200?} is no absolute URL with `https` or `http`")),
    }
}

/// Headers that say how a message travels (RFC 9110, section 7.6.1), which is the gateway's affair.
pub(super) fn is_of_connection(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

// === impl HttpError ===

impl HttpError {
    /// Whether the server is away, rather than the request wrong.
    pub(super) fn is_of_the_server(&self) -> bool {
        matches!(self, Self::Unresolved(_) | Self::NotConnected(_) | Self::Tls(_) | Self::Timeout | Self::Protocol(_))
    }

    /// In one word, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotHere => "not-here",
            Self::NotAllowed(_) => "not-allowed",
            Self::Invalid(_) => "invalid",
            Self::Unresolved(_) => "unresolved",
            Self::NotConnected(_) => "not-connected",
            Self::Tls(_) => "tls",
            Self::Timeout => "timeout",
            Self::TooLarge => "too-large",
            Self::TooManyRedirects => "too-many-redirects",
            Self::TooManyCalls => "too-many-calls",
            Self::Protocol(_) => "protocol",
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::NotAllowed(why)
            | Self::Invalid(why)
            | Self::Unresolved(why)
            | Self::NotConnected(why)
            | Self::Tls(why)
            | Self::Protocol(why) => write!(f, ": {why}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for HttpError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_headers_and_body_makes_requests_identical_and_nothing_else_does() {
        let request = |url: &str, body: &str, name: Option<&str>| {
            let mut request = OutgoingRequest::new("POST", url);
            request.set_body(body.into());
            name.into_iter().for_each(|name| request.set_shared_as(name.into()));
            request.identity()
        };
        let (url, other) = ("https://id.example.com/token", "https://id.example.org/token");
        assert_ne!(request(url, "proof=1", None), request(url, "proof=2", None));
        assert_eq!(request(url, "proof=1", Some("renew")), request(url, "proof=2", Some("renew")));
        assert_ne!(request(url, "proof=1", Some("renew")), request(url, "proof=1", Some("other")));
        assert_ne!(request(url, "proof=1", Some("renew")), request(other, "proof=1", Some("renew")));
        assert_ne!(request(url, "", Some("")), request(url, "", None));
        let mut large = OutgoingRequest::new("POST", url);
        large.set_shared_as(vec![0; MAX_SHARED_AS]);
        assert_eq!(large.check(), Ok(()));
        large.set_shared_as(vec![0; MAX_SHARED_AS + 1]);
        assert_eq!(large.check(), Err(HttpError::TooLarge));
    }
}
