//! Answers a plugin makes itself.

use serde_json::{Map, Value as Json};

use crate::header::{self, HeaderLine, HeaderName};
use crate::status::Status;

/// An answer made by a plugin instead of an upstream.
///
/// The gateway sets framing itself: `content-length`, `transfer-encoding` and hop-by-hop headers given here are a counted plugin
/// failure, and so are a status outside 200 to 599, a body with 204, 205 or 304, and what is past the plugin's `max_headers`,
/// `max_header_bytes` or `max_local_body_bytes`. `x-request-id` is the gateway's, whatever is said here.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalResponse {
    pub(crate) status: Status,
    pub(crate) headers: Vec<HeaderLine>,
    pub(crate) body: Vec<u8>,
}

impl LocalResponse {
    /// An answer without headers or body.
    pub fn new(status: impl Into<Status>) -> Self {
        Self { status: status.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A `text/plain` answer.
    pub fn text(status: impl Into<Status>, text: impl Into<String>) -> Self {
        Self::new(status).with_header(header::CONTENT_TYPE, "text/plain; charset=utf-8").with_body(text.into())
    }

    /// An `application/json` answer.
    pub fn json(status: impl Into<Status>, value: &Json) -> Self {
        Self::new(status).with_header(header::CONTENT_TYPE, "application/json").with_body(value.to_string())
    }

    /// An `application/problem+json` answer (RFC 9457). `title` is one sentence that is the same each time.
    pub fn problem(status: impl Into<Status>, title: &str) -> Problem {
        Problem::new(status, title)
    }

    /// A redirect: 302, 303, 307 or 308 with a `location`.
    pub fn redirect(status: impl Into<Status>, location: &str) -> Self {
        Self::new(status).with_header(header::LOCATION, location)
    }

    /// Adds a header; a name may repeat.
    #[must_use]
    pub fn with_header<'n>(mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(HeaderLine { name: name.into().as_str().to_owned(), value: value.as_ref().to_vec() });
        self
    }

    /// Sets the whole body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Every header in order.
    pub fn headers(&self) -> &[HeaderLine] {
        &self.headers
    }

    /// The first value of a header.
    pub fn header<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<&[u8]> {
        let name = name.into().as_str();
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_slice())
    }

    /// The first value of a header as text; one that is not UTF-8 counts as absent.
    pub fn header_str<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// An `application/problem+json` answer in the making (RFC 9457, section 3).
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: Status,
    headers: Vec<HeaderLine>,
    members: Map<String, Json>,
}

impl Problem {
    fn new(status: impl Into<Status>, title: &str) -> Self {
        let status = status.into();
        let mut members = Map::new();
        members.insert("type".to_owned(), "about:blank".into());
        members.insert("title".to_owned(), title.into());
        members.insert("status".to_owned(), status.0.into());
        Self { status, headers: Vec::new(), members }
    }

    /// The problem's `type`, a URI reference; without it `about:blank`.
    #[must_use]
    pub fn with_type(self, uri: &str) -> Self {
        self.with_member("type", uri)
    }

    /// What was wrong this time, for the client. Name no internals.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        self.with_member("detail", detail.into())
    }

    /// An extension member (RFC 9457, section 3.2).
    #[must_use]
    pub fn with_member(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header, e.g. `www-authenticate` or `retry-after`.
    #[must_use]
    pub fn with_header<'n>(mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(HeaderLine { name: name.into().as_str().to_owned(), value: value.as_ref().to_vec() });
        self
    }
}

impl From<Problem> for LocalResponse {
    fn from(problem: Problem) -> Self {
        let mut answer = Self::new(problem.status)
            .with_header(header::CONTENT_TYPE, "application/problem+json")
            .with_body(Json::Object(problem.members).to_string());
        answer.headers.extend(problem.headers);
        answer
    }
}
