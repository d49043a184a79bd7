//! Documents of an authorization server, fetched through the gateway's cache: what a server says of itself, and its keys.

use std::time::Duration;

use plugway_sdk::http_client::{AnswerSource, IncomingResponse, OutgoingRequest};
use plugway_sdk::{HttpError, Status, header};

use crate::patience;

/// Time for one. Where the grant allows less, that counts, and so does what is left of the call's.
const TIMEOUT: Duration = Duration::from_millis(1_500);
/// Bytes of one: a key set of a hundred keys has a third of it.
const MOST_BYTES: u64 = 256 << 10;
/// For how long the last good one counts while its server is away.
pub(crate) const MOST_STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// One that came.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) body: Vec<u8>,
    /// Since the server made it, or said that it has not changed.
    pub(crate) age: Duration,
    pub(crate) fresh_for: Duration,
    /// Whether the server was asked for it just now.
    pub(crate) is_of_now: bool,
    /// Whether it is past its time, and its server away.
    pub(crate) is_stale: bool,
}

/// Why an authorization server was of no use. Its text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No answer.
    Away(String),
    /// It was not asked: too many calls of this plugin wait already. That says nothing of the server.
    Busy,
    /// An answer that says no, or that something broke.
    Status(Status),
    /// An answer that cannot be used.
    Rubbish(String),
}

impl Document {
    /// Fetches one, at most so old; from the gateway's cache as long as that is fresh. `freshness` is for a server that says nothing of it.
    pub(crate) fn fetch(url: &str, most_age: Duration, freshness: Duration) -> Result<Self, Trouble> {
        Self::receive(Self::request(url, most_age, freshness))
    }

    /// What asks for one. Where it may have no age at all, that is one which came since this was made.
    pub(crate) fn request(url: &str, most_age: Duration, freshness: Duration) -> OutgoingRequest {
        OutgoingRequest::get(url)
            .with_header(header::ACCEPT, "application/json")
            .with_max_body_bytes(MOST_BYTES)
            .with_default_freshness(freshness)
            .with_stale_if_error(MOST_STALE)
            .with_max_age(most_age)
    }

    /// Sends it.
    pub(crate) fn receive(request: OutgoingRequest) -> Result<Self, Trouble> {
        let answer = request.with_timeout(patience::left(TIMEOUT)).send()?;
        match answer.status() {
            Status::OK => Ok(Self::from(&answer)),
            status => Err(Trouble::Status(status)),
        }
    }
}

impl From<&IncomingResponse> for Document {
    fn from(answer: &IncomingResponse) -> Self {
        let source = answer.source();
        Self {
            body: answer.body(),
            age: answer.age(),
            fresh_for: answer.fresh_for(),
            is_of_now: matches!(source, AnswerSource::Server | AnswerSource::Validated),
            is_stale: source == AnswerSource::Stale,
        }
    }
}

impl From<HttpError> for Trouble {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::TooManyCalls => Self::Busy,
            error => Self::Away(error.to_string()),
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::Busy => {
                f.write_str("it is not asked, since too many calls wait already (`instances` of the budget, `max_in_flight` of the grant)")
            }
            Self::Status(status) => write!(f, "it answers with {}", status.0),
            Self::Rubbish(why) => write!(f, "what it answers cannot be used: {why}"),
        }
    }
}
