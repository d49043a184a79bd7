//! One request and its answer, as every hook sees them: facts, identity, attributes, and the changes of the hook that is
//! running right now.
//!
//! An exchange is one owned box: it moves into a plugin's store for a call and back out, so nothing on its path needs a
//! lock or a count.

mod attribute;
mod change;
mod claims;
mod identity;
mod journal;
mod line;
mod pass;
mod request;
mod response;
mod target;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderName, HeaderValue};

pub use attribute::{Attributes, Value};
pub use change::{ChangeError, ChangeLimits, Phase, final_status, has_no_body, is_reserved};
pub use claims::Claims;
pub use identity::{Identity, MOST_PARTS};
pub use journal::Refused;
pub use line::Line;
pub use pass::Pass;
pub use request::{ConnectionFacts, RequestHead, RouteFacts, TlsFacts, host_of};
pub use response::{LocalResponse, Origin, ResponseHead};
pub use target::Target;

use crate::fault::Fault;
use crate::trace::Steps;
use journal::Journal;

/// One request on its way through the chain.
#[derive(Debug)]
pub struct Exchange {
    /// The request, as changed so far.
    pub request: RequestHead,
    /// The connection it came on.
    pub connection: Arc<ConnectionFacts>,
    /// The client after the trust rules.
    pub client: IpAddr,
    /// `x-request-id`.
    pub id: HeaderValue,
    /// `traceparent` sent upstream.
    pub trace_parent: HeaderValue,
    /// The same moment on the clock that never jumps.
    pub started: Instant,
    /// The matched route.
    pub route: Arc<RouteFacts>,
    /// `{name}` segments of the matched path, percent-encoded as matched.
    pub parameters: Vec<(Arc<str>, String)>,
    /// Who is calling, once an authorizer said so.
    pub identity: Option<Arc<Identity>>,
    /// What plugins left for later.
    pub attributes: Attributes,
    /// Request headers that hooks set or removed, whether or not the hook then failed.
    pub claimed: Claims,
    /// Headers left for the final response: for each that is put in the place of another, too.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// Seconds until a plugin that could not be called is tried again, or an authorizer has its service back; for the answer, if that
    /// is what ends the request.
    pub retry_after: Option<u64>,
    /// Tries at an upstream so far.
    pub attempts: Attempts,
    /// What happened to it so far.
    pub steps: Steps,
    /// The final response, while response filters run.
    pub response: Option<ResponseHead>,
    journal: Journal,
}

/// Tries at an upstream.
#[derive(Debug, Default, Clone)]
pub struct Attempts {
    /// 1 for the first try, 0 before it.
    pub number: u32,
    /// Endpoints tried before this one, oldest first.
    pub tried: Vec<u64>,
    /// How the one before this ended.
    pub last: Option<Outcome>,
    /// Time from sending to the response head, of the last one that was answered.
    pub upstream_time: Option<Duration>,
}

/// How a try at an endpoint ended.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Where.
    pub endpoint: u64,
    /// Status, if answered.
    pub status: Option<u16>,
    /// Fault, if not.
    pub fault: Option<Fault>,
}

// === impl Exchange ===

impl Exchange {
    /// A new exchange for a matched request.
    #[expect(clippy::too_many_arguments, reason = "called once; every argument is a fact of its own")]
    pub fn new(
        request: RequestHead,
        connection: Arc<ConnectionFacts>,
        client: IpAddr,
        id: HeaderValue,
        trace_parent: HeaderValue,
        started: Instant,
        route: Arc<RouteFacts>,
        parameters: Vec<(Arc<str>, String)>,
    ) -> Box<Self> {
        // Memory first: what is made before it is made on the stack, and copied.
        let place = Box::new_uninit();
        Box::write(
            place,
            Self {
                request,
                connection,
                client,
                id,
                trace_parent,
                started,
                route,
                parameters,
                identity: None,
                attributes: Attributes::default(),
                claimed: Claims::default(),
                response_headers: Vec::new(),
                retry_after: None,
                attempts: Attempts::default(),
                steps: Steps::default(),
                response: None,
                journal: Journal::default(),
            },
        )
    }

    /// A GET of `/` with these headers, of nobody in particular.
    #[cfg(test)]
    pub fn sample(headers: http::HeaderMap) -> Box<Self> {
        let (method, authority, target) = (http::Method::GET, "a.example".into(), Target::default());
        let head = RequestHead { method, tls: false, authority, target, headers };
        let connection = ConnectionFacts { peer: "192.0.2.7:4711".parse().unwrap(), listener: "web".into(), tls: None };
        let route = RouteFacts { name: "orders".into(), api: None, version: None };
        let (client, id) = (connection.peer.ip(), HeaderValue::from_static("id-1"));
        let parent = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        Self::new(head, Arc::new(connection), client, id, parent, Instant::now(), Arc::new(route), Vec::new())
    }

    /// Answers it, with every header that was left for whoever answers.
    pub fn answer(&mut self, mut head: ResponseHead) {
        for (name, value) in &self.response_headers {
            head.headers.append(name, value.clone());
        }
        self.response = Some(head);
    }

    /// The trace it belongs to.
    pub fn trace_id(&self) -> Option<&str> {
        // Of our own making. What `to_str` does byte by byte is done by words here.
        std::str::from_utf8(self.trace_parent.as_bytes()).ok()?.get(3..35)
    }

    /// The same once more, for somebody whose changes count for nothing.
    pub fn copy(&self) -> Box<Self> {
        Box::new(Self {
            request: self.request.clone(),
            connection: Arc::clone(&self.connection),
            client: self.client,
            id: self.id.clone(),
            trace_parent: self.trace_parent.clone(),
            started: self.started,
            route: Arc::clone(&self.route),
            parameters: self.parameters.clone(),
            identity: self.identity.clone(),
            attributes: self.attributes.clone(),
            claimed: Claims::default(),
            response_headers: self.response_headers.clone(),
            retry_after: self.retry_after,
            attempts: self.attempts.clone(),
            response: self.response.clone(),
            journal: Journal::default(),
            steps: Steps::default(),
        })
    }

    /// Whether everything that hooks can change is alike.
    pub fn is_like(&self, other: &Self) -> bool {
        self.request == other.request
            && self.identity == other.identity
            && self.attributes == other.attributes
            && self.response_headers == other.response_headers
            && self.response == other.response
    }

    /// When its head was complete, by the wall clock. Worked out when asked for: most requests are never asked.
    pub fn received_at(&self) -> SystemTime {
        SystemTime::now().checked_sub(self.started.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
