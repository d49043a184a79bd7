//! Servers of the double: a test says what they answer, and reads what they were asked. Each test's thread has its own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use super::rules::{Phase, phase};
use super::{granted, hosts};
use crate::bindings::imports::plugway::gateway::http_client::HttpError as RawError;
use crate::error::HttpError;
use crate::header::{HeaderLine, HeaderName};
use crate::http_client::AnswerSource;
use crate::status::Status;

/// A request the plugin made.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRequest {
    /// Its method.
    pub method: String,
    /// Its URL, as the plugin wrote it.
    pub url: String,
    /// Its headers in order.
    pub headers: Vec<HeaderLine>,
    /// Its body.
    pub body: Vec<u8>,
    /// Its time, where the plugin set one.
    pub timeout: Option<Duration>,
    /// Bytes of the answer's body, where the plugin set them.
    pub max_body_bytes: Option<u64>,
    /// Redirects to follow, where the plugin set them.
    pub max_redirects: Option<u32>,
    /// Whether it may be made once for several calls.
    pub shared: bool,
    /// What stands for headers and body where it is told apart from others, where the plugin said so.
    pub shared_as: Option<Vec<u8>>,
    /// How old an answer from the cache may be, where the plugin said so.
    pub max_age: Option<Duration>,
    /// How long an answer is fresh that does not say so.
    pub default_freshness: Duration,
    /// For how long past its freshness an answer is given where the server is away.
    pub stale_if_error: Duration,
}

impl SentRequest {
    /// The first value of a header as text; one that is not UTF-8 counts as absent.
    pub fn header_str<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<&str> {
        let name = name.into().as_str();
        let line = self.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&line.value).ok()
    }
}

/// What a server of the double answers.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpAnswer {
    status: Status,
    headers: Vec<HeaderLine>,
    body: Vec<u8>,
    url: Option<String>,
    source: AnswerSource,
    age: Duration,
    fresh_for: Duration,
}

impl HttpAnswer {
    /// From the server, without headers and body.
    pub fn new(status: impl Into<Status>) -> Self {
        Self {
            status: status.into(),
            headers: Vec::new(),
            body: Vec::new(),
            url: None,
            source: AnswerSource::Server,
            age: Duration::ZERO,
            fresh_for: Duration::ZERO,
        }
    }

    /// `application/json`.
    pub fn json(status: impl Into<Status>, value: &serde_json::Value) -> Self {
        Self::new(status).with_header(crate::header::CONTENT_TYPE, "application/json").with_body(value.to_string())
    }

    /// Adds a header; a name may repeat.
    #[must_use]
    pub fn with_header<'n>(mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(HeaderLine { name: name.into().as_str().to_ascii_lowercase(), value: value.as_ref().to_vec() });
        self
    }

    /// Sets the whole body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// As if it had been redirected there.
    #[must_use]
    pub fn from_url(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// As if it were from the gateway's cache, and so old.
    #[must_use]
    pub fn from_cache(mut self, source: AnswerSource, age: Duration) -> Self {
        (self.source, self.age) = (source, age);
        self
    }

    /// As if it were kept, and fresh for so long.
    #[must_use]
    pub fn fresh_for(mut self, time: Duration) -> Self {
        self.fresh_for = time;
        self
    }
}

type Server = Box<dyn Fn(&SentRequest) -> Result<HttpAnswer, HttpError>>;

#[derive(Default)]
struct Servers {
    next: VecDeque<Result<HttpAnswer, HttpError>>,
    server: Option<Server>,
    sent: Vec<SentRequest>,
}

thread_local! {
    static SERVERS: RefCell<Servers> = RefCell::default();
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The answer to the next request that has none yet, or the error in place of one.
pub fn answer_http(answer: impl Into<Result<HttpAnswer, HttpError>>) {
    SERVERS.with_borrow_mut(|servers| servers.next.push_back(answer.into()));
}

/// Answers every request that [`answer_http`] has nothing for; without either there is no connection. The double keeps no cache,
/// so a server is asked each time.
pub fn serve_http(server: impl Fn(&SentRequest) -> Result<HttpAnswer, HttpError> + 'static) {
    SERVERS.with_borrow_mut(|servers| servers.server = Some(Box::new(server)));
}

/// Requests made so far, oldest first, and forgets them.
pub fn take_http_requests() -> Vec<SentRequest> {
    SERVERS.with_borrow_mut(|servers| std::mem::take(&mut servers.sent))
}

impl From<HttpAnswer> for Result<HttpAnswer, HttpError> {
    fn from(answer: HttpAnswer) -> Self {
        Ok(answer)
    }
}

impl From<HttpError> for Result<HttpAnswer, HttpError> {
    fn from(error: HttpError) -> Self {
        Err(error)
    }
}

/// Requests and answers that an instance holds at a time: the gateway's limit. Here it is the test's thread that holds them.
const MOST_MESSAGES: usize = 16;

/// One that is held.
struct Message;

impl Message {
    /// Stands where the gateway would trap.
    #[track_caller]
    fn one_more() -> Self {
        let held = HELD.get();
        assert!(held < MOST_MESSAGES, "holds more than {MOST_MESSAGES} requests and answers of `http-client`");
        HELD.set(held + 1);
        Self
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        HELD.set(HELD.get().saturating_sub(1));
    }
}

/// In the shape of the generated one.
pub(crate) struct OutgoingRequest(RefCell<SentRequest>, Message);

impl OutgoingRequest {
    pub(crate) fn new(method: &str, url: &str) -> Self {
        let request = SentRequest {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            max_body_bytes: None,
            max_redirects: None,
            shared: matches!(method, "GET" | "HEAD"),
            shared_as: None,
            max_age: None,
            default_freshness: Duration::ZERO,
            stale_if_error: Duration::ZERO,
        };
        Self(RefCell::new(request), Message::one_more())
    }

    pub(crate) fn append_header(&self, name: HeaderName<'_>, value: &[u8]) {
        let line = HeaderLine { name: name.as_str().to_ascii_lowercase(), value: value.to_vec() };
        self.0.borrow_mut().headers.push(line);
    }

    pub(crate) fn set_body(&self, body: &[u8]) {
        self.0.borrow_mut().body = body.to_vec();
    }

    pub(crate) fn set_timeout_ms(&self, milliseconds: u32) {
        self.0.borrow_mut().timeout = Some(Duration::from_millis(milliseconds.into()));
    }

    pub(crate) fn set_max_body_bytes(&self, bytes: u64) {
        self.0.borrow_mut().max_body_bytes = Some(bytes);
    }

    pub(crate) fn set_max_redirects(&self, redirects: u32) {
        self.0.borrow_mut().max_redirects = Some(redirects);
    }

    pub(crate) fn set_shared(&self, shared: bool) {
        self.0.borrow_mut().shared = shared;
    }

    pub(crate) fn set_shared_as(&self, name: &[u8]) {
        self.0.borrow_mut().shared_as = Some(name.to_vec());
    }

    pub(crate) fn set_max_age_s(&self, seconds: u32) {
        self.0.borrow_mut().max_age = Some(Duration::from_secs(seconds.into()));
    }

    pub(crate) fn set_default_freshness_s(&self, seconds: u32) {
        self.0.borrow_mut().default_freshness = Duration::from_secs(seconds.into());
    }

    pub(crate) fn set_stale_if_error_s(&self, seconds: u32) {
        self.0.borrow_mut().stale_if_error = Duration::from_secs(seconds.into());
    }
}

/// In the shape of the generated one.
pub(crate) struct IncomingResponse {
    answer: HttpAnswer,
    url: String,
    _held: Message,
}

impl IncomingResponse {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status.0
    }

    pub(crate) fn header(&self, name: HeaderName<'_>) -> Option<Vec<u8>> {
        let line = self.answer.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name.as_str()));
        line.map(|line| line.value.clone())
    }

    pub(crate) fn headers(&self) -> Vec<HeaderLine> {
        self.answer.headers.clone()
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.answer.body.clone()
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn source(&self) -> AnswerSource {
        self.answer.source
    }

    pub(crate) fn age_s(&self) -> u32 {
        u32::try_from(self.answer.age.as_secs()).unwrap_or(u32::MAX)
    }

    pub(crate) fn fresh_for_s(&self) -> u32 {
        u32::try_from(self.answer.fresh_for.as_secs()).unwrap_or(u32::MAX)
    }
}

/// The gateway's limit on the body of a request, bytes.
const MAX_BODY: usize = 1 << 20;
/// Headers that are the gateway's.
const RESERVED: [&str; 9] =
    ["host", "content-length", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

pub(crate) fn may_ask(url: &str) -> Result<(), RawError> {
    granted::used("http-client");
    hosts::judge(url)
}

pub(crate) fn send(request: OutgoingRequest) -> Result<IncomingResponse, RawError> {
    granted::used("http-client");
    if matches!(phase(), Phase::Setup | Phase::Other) {
        return Err(RawError::NotHere);
    }
    let OutgoingRequest(request, held) = request;
    let request = request.into_inner();
    // It makes room for its answer.
    drop(held);
    if let Some(line) = request.headers.iter().find(|line| RESERVED.contains(&line.name.as_str())) {
        return Err(RawError::Invalid(format!("`{}` is the gateway's", line.name)));
    }
    hosts::judge(&request.url)?;
    if request.body.len() > MAX_BODY {
        return Err(RawError::TooLarge);
    }
    let (queued, server) = SERVERS.with_borrow_mut(|servers| {
        servers.sent.push(request.clone());
        (servers.next.pop_front(), servers.server.take())
    });
    // It may make a test's other calls, so nothing is borrowed while it runs.
    let answer = queued.or_else(|| server.as_ref().map(|server| server(&request)));
    if server.is_some() {
        SERVERS.with_borrow_mut(|servers| servers.server = servers.server.take().or(server));
    }
    let answer = answer.unwrap_or_else(|| Err(HttpError::NotConnected("the test has no server".to_owned())))?;
    if request.max_body_bytes.is_some_and(|most| answer.body.len() as u64 > most) {
        return Err(RawError::TooLarge);
    }
    Ok(IncomingResponse { url: answer.url.clone().unwrap_or(request.url), answer, _held: Message::one_more() })
}

impl From<HttpError> for RawError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::NotHere => Self::NotHere,
            HttpError::NotAllowed(why) => Self::NotAllowed(why),
            HttpError::Invalid(why) => Self::Invalid(why),
            HttpError::Unresolved(why) => Self::Unresolved(why),
            HttpError::NotConnected(why) => Self::NotConnected(why),
            HttpError::Tls(why) => Self::Tls(why),
            HttpError::Timeout => Self::Timeout,
            HttpError::TooLarge => Self::TooLarge,
            HttpError::TooManyRedirects => Self::TooManyRedirects,
            HttpError::TooManyCalls => Self::TooManyCalls,
            HttpError::Protocol(why) => Self::Protocol(why),
        }
    }
}
