//! Requests of the plugin's own to other servers, made by the gateway. The plugin needs
//! `grants = { http-client = { hosts = ["id.example.com"] } }`.
//!
//! ```
//! use plugway_sdk::http_client::OutgoingRequest;
//! use plugway_sdk::{HttpError, header};
//! use std::time::Duration;
//!
//! /// The keys of an issuer: from the gateway's cache while they are fresh, and for an hour more if the issuer is away.
//! fn keys() -> Result<Vec<u8>, HttpError> {
//!     let answer = OutgoingRequest::get("https://id.example.com/keys")
//!         .with_header(header::ACCEPT, "application/json")
//!         .with_default_freshness(Duration::from_secs(300))
//!         .with_stale_if_error(Duration::from_secs(3600))
//!         .send()?;
//!     Ok(answer.body())
//! }
//! # use plugway_sdk::testing::{HttpAnswer, answer_http};
//! # answer_http(HttpAnswer::new(200).with_body("{}"));
//! # assert_eq!(keys().unwrap(), b"{}");
//! ```
//!
//! While a request is on its way the plugin waits, in the middle of its hook, and the worker serves others; the gateway has more
//! instances for other calls meanwhile. Only [`Authorizer`](crate::Authorizer), [`RequestFilter`](crate::RequestFilter),
//! [`ResponseFilter`](crate::ResponseFilter) and [`Timer::on_tick`](crate::Timer::on_tick) can wait; elsewhere it is
//! [`HttpError::NotHere`]. A call as a whole has the plugin's `deadline`.
//!
//! An instance holds at most 16 requests and answers at a time, and making one more traps: drop an answer once it is read.
//!
//! Where the configuration says what is to be asked, [`may_ask`] tells in `configure` whether the grant has it: then `plugway check` tells
//! the operator, and nobody who comes later has to.

use std::fmt;
use std::time::Duration;

pub use crate::bindings::imports::plugway::gateway::http_client::AnswerSource;
use crate::error::HttpError;
use crate::header::{HeaderLine, HeaderName};
use crate::status::Status;
use crate::sys;

/// Whether the grant lets a request to this URL go, as far as that is known without looking up a name: a request may still be
/// [`HttpError::NotAllowed`] for the addresses of its name, or for where it is redirected. Asks nobody, waits for nothing, and may be called
/// anywhere, `configure` included; where [`granted::http_client`](crate::granted::http_client) is false it traps. A plugin that calls this
/// and sends nothing is called as one that cannot wait.
///
/// # Errors
/// [`HttpError::NotAllowed`] where the grant has not the host, the scheme, the port, or the special address that is written in place of a
/// name; [`HttpError::Invalid`] where the URL is none that can be asked. No other.
///
/// ```
/// use plugway_sdk::{Error, http_client, testing};
///
/// fn check(url: &str) -> Result<(), Error> {
///     http_client::may_ask(url).map_err(|error| format!("`url` = {url:?}: {error}; name its host in the grant `http-client`").into())
/// }
/// # testing::grant_hosts(&["id.example.com"]);
/// # assert!(check("https://id.example.com/introspect").is_ok());
/// # assert!(check("https://other.example.com/").is_err() && check("/introspect").is_err());
/// ```
pub fn may_ask(url: &str) -> Result<(), HttpError> {
    Ok(sys::http_client::may_ask(url)?)
}

/// A request in the making. What is wrong with any of it is told by [`send`](Self::send). Limits can be made narrower than the
/// grant's, never wider.
#[must_use = "nothing is sent before `send`"]
pub struct OutgoingRequest {
    raw: sys::http_client::OutgoingRequest,
}

impl OutgoingRequest {
    /// A request without headers and body. `url` is absolute, `https` or `http`, without user and password; `CONNECT` is no
    /// method of it.
    pub fn new(method: &str, url: &str) -> Self {
        Self { raw: sys::http_client::OutgoingRequest::new(method, url) }
    }

    /// A `GET`.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` without a body yet.
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header; a name may repeat. `host`, `content-length` and hop-by-hop headers are the gateway's.
    pub fn with_header<'n>(self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.raw.append_header(name.into(), value.as_ref());
        self
    }

    /// Sets the whole body, at most 1 MiB.
    pub fn with_body(self, body: impl AsRef<[u8]>) -> Self {
        self.raw.set_body(body.as_ref());
        self
    }

    /// Time for all of it, redirects included. Default and most: the grant's `timeout`.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.raw.set_timeout_ms(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Bytes of the answer's body. Default and most: the grant's `max_body_bytes`.
    pub fn with_max_body_bytes(self, bytes: u64) -> Self {
        self.raw.set_max_body_bytes(bytes);
        self
    }

    /// Redirects to follow; with 0 a redirect is the answer. Default and most: the grant's `max_redirects`.
    pub fn with_max_redirects(self, redirects: u32) -> Self {
        self.raw.set_max_redirects(redirects);
        self
    }

    /// Whether identical requests, made while the first of them is in flight, get the same answer, whichever worker they are on.
    /// Default: yes for `GET` and `HEAD` without a body, no for others.
    pub fn with_shared(self, shared: bool) -> Self {
        self.raw.set_shared(shared);
        self
    }

    /// What stands for headers and body where requests are told apart to be made once: for those that ask the same and differ in a
    /// proof that is good once. At most 64 KiB. Default: headers and body.
    pub fn with_shared_as(self, name: impl AsRef<[u8]>) -> Self {
        self.raw.set_shared_as(name.as_ref());
        self
    }

    /// How old an answer from the cache may be, however long it is fresh; with nothing it is one that came since
    /// this request was constructed, and else the server is asked, for an answer that is fresh at most ten times in a row and
    /// then ten times a second. In whole seconds. Default: as long as it is fresh.
    pub fn with_max_age(self, age: Duration) -> Self {
        self.raw.set_max_age_s(seconds(age));
        self
    }

    /// How long an answer is fresh that does not say so. In whole seconds, at most a day. Default: not at all.
    pub fn with_default_freshness(self, freshness: Duration) -> Self {
        self.raw.set_default_freshness_s(seconds(freshness));
        self
    }

    /// For how long past its freshness an answer from the cache is given where the server is away or answers with a 5xx. In whole
    /// seconds. Default: not at all.
    pub fn with_stale_if_error(self, time: Duration) -> Self {
        self.raw.set_stale_if_error_s(seconds(time));
        self
    }

    /// Makes the request and waits for the whole answer. A status such as 404 or 500 is an answer, no error.
    ///
    /// # Errors
    /// Where there is no answer; see [`HttpError`].
    pub fn send(self) -> Result<IncomingResponse, HttpError> {
        Ok(IncomingResponse { raw: sys::http_client::send(self.raw)? })
    }
}

/// An answer, whole.
pub struct IncomingResponse {
    raw: sys::http_client::IncomingResponse,
}

impl IncomingResponse {
    /// The status.
    pub fn status(&self) -> Status {
        Status(self.raw.status())
    }

    /// The first value of a header.
    pub fn header<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<Vec<u8>> {
        self.raw.header(name.into())
    }

    /// The first value of a header as text; one that is not UTF-8 counts as absent.
    pub fn header_str<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<String> {
        self.header(name).and_then(|value| String::from_utf8(value).ok())
    }

    /// Every header in order.
    pub fn headers(&self) -> Vec<HeaderLine> {
        self.raw.headers()
    }

    /// The body, copied into the plugin each time.
    pub fn body(&self) -> Vec<u8> {
        self.raw.body()
    }

    /// The URL that answered, after redirects.
    pub fn url(&self) -> String {
        self.raw.url()
    }

    /// Where it is from: the server, or the gateway's cache.
    pub fn source(&self) -> AnswerSource {
        self.raw.source()
    }

    /// Since the server made it, or said that it has not changed; in whole seconds.
    pub fn age(&self) -> Duration {
        Duration::from_secs(self.raw.age_s().into())
    }

    /// How long it is still fresh, in whole seconds; nothing where it is not, or was not kept.
    pub fn fresh_for(&self) -> Duration {
        Duration::from_secs(self.raw.fresh_for_s().into())
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

impl fmt::Debug for OutgoingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for IncomingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingResponse").field("status", &self.status()).finish_non_exhaustive()
    }
}
