//! The end of an exchange, however it ends: counted, logged, told to observers, exactly once. A client that leaves
//! drops whatever future or body is running, and with it this, so nothing that was begun goes uncounted.

mod record;

use std::cell::LazyCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, StatusCode, Version};

use super::connection::{Busy, Connection};
use super::ids::KeptId;
use super::request_body::{RequestBody, Streamed};
use super::sampling::Tracing;
use super::snapshot::{Admitted, Generation, RoutePlan, Worker};
use crate::exchange::{Exchange, Origin, ResponseHead};
use crate::fault::{ErrorCause, Fault};
use crate::plugin::{EndedRow, Texts};
use crate::telemetry::{AccessLine, AccessPlan, Detail, Finished, Kept, Protocol, RouteCells};
use crate::upstream::Endpoint;

/// What is needed to conclude an exchange.
#[derive(Debug)]
pub(super) struct Ending {
    worker: Rc<Worker>,
    cells: Arc<RouteCells>,
    route: Option<Arc<RoutePlan>>,
    snapshot: u64,
    access_log: Option<Arc<AccessPlan>>,
    tracing: Arc<Tracing>,
    /// Headers that its line will hold.
    request_headers: Kept,
    response_headers: Kept,
    started: Instant,
    version: Version,
    last: bool,
    method: Method,
    tls: bool,
    id: KeptId,
    /// Of the request's body, where it has one and is forwarded.
    progress: Option<Rc<Streamed>>,
    exchange: Option<Box<Exchange>>,
    endpoint: Option<Arc<Endpoint>>,
    /// The one that was tried last and did not answer.
    failed: Option<Arc<Endpoint>>,
    status: u16,
    fault: Option<Fault>,
    /// Whose answer it is where it is an error.
    cause: Option<ErrorCause>,
    sent: u64,
    state: State,
    /// Its place, if it counts among the requests in flight.
    admitted: Option<Admitted>,
    busy: Busy,
}

/// A wait that ends the exchange if it is dropped: the client left, and what it asked for is still to be told.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    ending: &'a mut Ending,
    exchange: &'a Exchange,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No response yet.
    Working,
    /// The response is being sent.
    Answering,
    /// All of it was handed to the connection.
    Complete,
    /// Nothing is left to be told.
    Told,
}

/// When a request's head was complete, and from then to its end.
#[derive(Debug, Clone, Copy)]
struct Took {
    received: SystemTime,
    duration: Duration,
}

/// nginx's status for a client that left before it was answered; it stands in metrics and logs only.
const CLIENT_LEFT: u16 = 499;

impl Ending {
    /// An exchange has begun, on a route if one takes it.
    pub(super) fn begin(
        worker: &Rc<Worker>,
        connection: &Rc<Connection>,
        generation: &Generation,
        exchange: &Exchange,
        version: Version,
        admitted: Option<Admitted>,
        routed: Option<(&Arc<RoutePlan>, &Arc<RouteCells>)>,
    ) -> Box<Self> {
        let (route, cells) = routed.unzip();
        let cells = cells.unwrap_or(&generation.unrouted);
        cells.started();
        // Memory first, as for an exchange.
        let place = Box::new_uninit();
        Box::write(
            place,
            Self {
                worker: Rc::clone(worker),
                cells: Arc::clone(cells),
                route: route.map(Arc::clone),
                snapshot: generation.snapshot.number,
                request_headers: generation.access_log.as_ref().and_then(|plan| plan.keep_request(&exchange.request.headers)),
                response_headers: None,
                access_log: generation.access_log.clone(),
                tracing: Arc::clone(&generation.tracing),
                started: exchange.started,
                version,
                last: connection.is_last(),
                method: exchange.request.method.clone(),
                tls: exchange.request.tls,
                id: KeptId::of(&exchange.id),
                progress: None,
                exchange: None,
                endpoint: None,
                failed: None,
                status: CLIENT_LEFT,
                fault: Some(Fault::ClientGone),
                cause: None,
                sent: 0,
                state: State::Working,
                admitted,
                busy: connection.begin(),
            },
        )
    }

    /// The request's body is about to be sent.
    pub(super) fn reads(&mut self, body: &RequestBody) {
        self.progress = body.streamed().map(Rc::clone);
    }

    /// Why the request's body broke off, if it did.
    pub(super) fn body_fault(&self) -> Option<Fault> {
        self.progress.as_ref().and_then(|progress| progress.fault())
    }

    /// Something is waited for, and the client may leave meanwhile.
    pub(super) fn waiting<'a>(&'a mut self, exchange: &'a Exchange) -> Waiting<'a> {
        Waiting { ending: self, exchange, over: false }
    }

    /// An endpoint answered.
    pub(super) fn answered_by(&mut self, endpoint: Arc<Endpoint>) {
        self.endpoint = Some(endpoint);
    }

    /// An endpoint was tried in vain. Should no other answer, it is the one the failure is told of.
    pub(super) fn failed_at(&mut self, endpoint: &Arc<Endpoint>) {
        self.failed = Some(Arc::clone(endpoint));
    }

    /// The endpoint that answered; where none did, the last one that was tried.
    fn tried(&self) -> Option<&Endpoint> {
        self.endpoint.as_deref().or(self.failed.as_deref())
    }

    /// The response's head is made.
    pub(super) fn answer(&mut self, head: &ResponseHead, exchange: Box<Exchange>) {
        self.status = head.status.as_u16();
        self.response_headers = self.access_log.as_ref().and_then(|plan| plan.keep_response(&head.headers));
        let is_error = self.status >= 400;
        (self.fault, self.cause) = match &head.origin {
            Origin::Gateway(fault) => (Some(*fault), None),
            Origin::Upstream(_) => (None, is_error.then_some(ErrorCause::Upstream)),
            Origin::Plugin(_) => (None, is_error.then_some(ErrorCause::Plugin)),
        };
        self.exchange = Some(exchange);
        self.state = State::Answering;
    }

    /// Whether the connection closes after this answer; HTTP/2 says so by `GOAWAY`. What is left of a body that broke off must
    /// not be read as the next request (RFC 9112, section 9.3).
    pub(super) fn closes(&self) -> bool {
        self.version < Version::HTTP_2 && (self.last || self.body_fault().is_some())
    }

    /// Whether the client asked for the head alone.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Whether an answer with this status has no body (RFC 9110, section 6.4.1).
    pub(super) fn has_no_body(&self, status: StatusCode) -> bool {
        self.is_head() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    /// Body bytes were handed to the connection.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// A part of the body waits to be taken.
    pub(super) fn handed(&self) {
        self.busy.handed();
    }

    /// The connection asks for more of the body.
    pub(super) fn asked(&self) {
        self.busy.taken();
    }

    /// The whole body was.
    pub(super) fn complete(&mut self) {
        self.state = State::Complete;
    }

    /// It broke off.
    pub(super) fn broke_off(&mut self, fault: Fault) {
        self.fault = Some(fault);
        self.state = State::Complete;
    }

    pub(super) fn route(&self) -> Option<&RoutePlan> {
        self.route.as_deref()
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn tracing(&self) -> &Tracing {
        &self.tracing
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// What went wrong, or whose answer is an error.
    pub(super) fn cause(&self) -> Option<ErrorCause> {
        self.fault.map(ErrorCause::Fault).or(self.cause)
    }

    pub(super) fn response_bytes(&self) -> u64 {
        self.sent
    }

    /// What the client spoke.
    pub(super) fn protocol(&self) -> Protocol {
        match self.version {
            Version::HTTP_2 => Protocol::Http2,
            Version::HTTP_10 => Protocol::Http10,
            _ => Protocol::Http11,
        }
    }

    pub(super) fn request_bytes(&self) -> u64 {
        self.progress.as_ref().map_or(0, |progress| progress.bytes())
    }

    fn log(&self, plan: &AccessPlan, exchange: Option<&Exchange>, took: Took) {
        let line = AccessLine {
            received: took.received,
            duration: took.duration,
            request_id: self.id.as_str(),
            trace_id: exchange.and_then(Exchange::trace_id).unwrap_or_default(),
            method: self.method.as_str(),
            status: self.status,
            route: self.route.as_ref().map(|route| &*route.facts),
            endpoint: self.tried().map(|endpoint| endpoint.url.as_str()),
            request_bytes: self.request_bytes(),
            response_bytes: self.sent,
            fault: self.cause(),
            exchange,
            protocol: self.protocol(),
            request_headers: &self.request_headers,
            response_headers: &self.response_headers,
        };
        self.worker.access.push(plan, &line);
    }
}

impl Ending {
    /// Counts it for the monitoring store.
    fn tally(&self, exchange: Option<&Exchange>, duration: Duration) {
        let identity = exchange.and_then(|exchange| exchange.identity.as_ref());
        let finished = Finished {
            route: &self.cells,
            endpoint: self.tried().map_or("", |endpoint| &endpoint.url),
            consumer: identity.map_or("", |identity| &identity.subject),
            status: self.status,
            fault: self.cause(),
            duration: Some(duration),
            request_bytes: self.request_bytes(),
            response_bytes: self.sent,
        };
        self.worker.tallies.add(&finished, || Detail {
            request_id: self.id.as_str(),
            method: self.method.as_str(),
            path: exchange.map_or("", |exchange| exchange.request.raw_path()),
            upstream: exchange.and_then(|exchange| exchange.attempts.upstream_time),
            attempts: exchange.map_or(0, |exchange| exchange.attempts.number),
        });
    }

    /// Keeps the story of a request that failed, was slow or is sampled, and hands on the one that is sampled.
    fn remember(&self, exchange: &Exchange, duration: Duration) {
        let sampled = exchange.steps.recording().is_some();
        // What a plugin refuses is told of as well: whose token it was asks why. An upstream's 4xx is an answer as any.
        let refused = self.cause == Some(ErrorCause::Plugin);
        if sampled || refused || self.fault.is_some() || self.status >= 500 || duration >= self.tracing.slow {
            self.worker.remember(self.story(exchange, duration));
        }
    }

    /// It ends before all of its answer was handed over: the client has left, unless it is the gateway that ends, or that panicked.
    fn cut_short(&mut self) {
        let fault = if self.worker.cuts_off.get() {
            Fault::GatewayStopped
        } else if std::thread::panicking() {
            Fault::Internal
        } else {
            Fault::ClientGone
        };
        if self.state == State::Working && fault != Fault::ClientGone {
            (self.status, self.fault) = (fault.status().as_u16(), Some(fault));
        }
        self.fault = self.fault.or(Some(fault));
    }

    /// Counts it, tells observers and logs it.
    fn tell(&mut self, exchange: Option<&Exchange>) {
        if self.state != State::Complete {
            self.cut_short();
        }
        self.state = State::Told;
        let duration = self.started.elapsed();
        let took = LazyCell::new(|| Took { received: self.worker.clock.at(self.started, self.started + duration), duration });
        self.cells.finished(&self.method, self.tls, self.status, self.cause(), duration);
        self.tally(exchange, duration);
        if let Some(fault) = self.fault {
            self.worker.cells.fault(fault);
        }
        if let (Some(route), Some(exchange)) = (&self.route, exchange) {
            for place in &route.chain.observers {
                let record = |texts: &mut Texts| self.record(texts, exchange, place.config, *took);
                self.worker.records.push(self.snapshot, (place.slot, &place.name), record);
            }
            for place in &route.chain.batch_observers {
                let row = |texts: &mut Texts, before: &EndedRow| self.row(texts, before, exchange, *took);
                self.worker.records.push_row(self.snapshot, (place.slot, place.config, &place.name), row);
            }
        }
        let sampled = exchange.is_some_and(|exchange| exchange.steps.recording().is_some());
        if let Some(exchange) = exchange {
            self.remember(exchange, duration);
        }
        if let Some(plan) = self.access_log.as_deref().filter(|plan| plan.wants(self.status, self.fault, duration, sampled)) {
            self.log(plan, exchange, *took);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.admitted.take());
        if self.state != State::Told {
            let exchange = self.exchange.take();
            self.tell(exchange.as_deref());
        }
    }
}

impl Waiting<'_> {
    /// What was waited for is here.
    pub(super) fn over(mut self) {
        self.over = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.ending.tell(Some(self.exchange));
        }
    }
}
