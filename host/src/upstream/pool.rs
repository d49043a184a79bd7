//! A worker's connections to upstreams, and the way a request takes through them.

use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::body::{Kept, ResponseBody};
use super::connect::{ConnectError, connect};
use super::endpoint::InFlight;
use super::failure::SendError;
use super::http1::{Broken, Http1};
use super::http2::{Http2, Opening, OpeningGuard, Shared, StreamGuard, to_http1, to_http2};
use super::lane::Lane;
use super::lanes::Lanes;
use super::patience::{Turns, later};
use super::permit::ConnectionPermit;
use super::stream::Stream;
use super::{Plan, framing};
use crate::config::model::Protocol;
use crate::fault::Fault;
use crate::http::present::Present;

/// How long is waited for another worker to give up an unused connection: who is no worker looks once a second.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(2);

/// Where a response is put as soon as its head has come: it is large and passes through many hands, as the request does.
pub type Answer<B> = Option<Response<ResponseBody<B>>>;

/// One worker's connections. `B` is the request body. Lives on one thread, inside a local runtime.
pub struct Pool<B: Body + 'static> {
    lanes: Rc<Lanes<B>>,
}

// === impl Pool ===

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// No connections yet.
    pub fn new() -> Self {
        Self { lanes: Rc::new(Lanes::new()) }
    }

    /// Sends a request as the plan says and waits for the response head; `now` is when the sending begins.
    ///
    /// The request is large and passes through many hands, so it stays where the caller has it until it is sent. It is in
    /// origin form with a `Host` header, whatever the protocol, and its `Content-Length` or `Transfer-Encoding` fits its body.
    /// An unused connection found closed is replaced without a word. Dropping the future closes the connection it uses.
    ///
    /// # Errors
    /// No response head came; `request` is there again whenever nothing of it was used, and may be sent elsewhere as it is,
    /// whatever its method. `Internal` where there is none.
    pub async fn send(
        &self,
        plan: &Plan<'_>,
        request: &mut Option<Request<B>>,
        now: Instant,
    ) -> Result<Response<ResponseBody<B>>, Box<SendError>> {
        let mut answer = None;
        self.send_in_turns(plan, request, &mut answer, now, &()).await?;
        answer.ok_or_else(|| SendError::lost(Fault::Internal, false, None))
    }

    /// The same with a body that comes bit by bit: the time for the response head begins anew with each that the upstream takes, and does not end
    /// while it waits for one. What came is in `answer`, where it is well.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_in_turns(
        &self,
        plan: &Plan<'_>,
        request: &mut Option<Request<B>>,
        answer: &mut Answer<B>,
        now: Instant,
        turns: &dyn Turns,
    ) -> Result<(), Box<SendError>> {
        match plan.protocol {
            Protocol::Http1 => self.send_http1(plan, request, answer, now, turns).await,
            Protocol::Http2 => Box::pin(self.send_http2(plan, request, answer, now, turns)).await,
        }
    }

    /// Closes connections that were unused for too long or that the other side has closed: an unused connection is watched by
    /// nobody else. To be called ten times a second: each time it is the turn of a tenth of the endpoints, however many they are.
    pub fn reap(&self, now: Instant) {
        self.lanes.reap(now);
    }

    /// Closes some unused connections; says whether there were any. For want of open files, of which each is one.
    pub fn give_up_unused(&self) -> bool {
        self.lanes.give_up_unused()
    }

    /// Connections that rest.
    #[cfg(test)]
    pub(super) fn resting(&self) -> usize {
        self.lanes.resting()
    }

    async fn send_http1(
        &self,
        plan: &Plan<'_>,
        request: &mut Option<Request<B>>,
        answer: &mut Answer<B>,
        now: Instant,
        turns: &dyn Turns,
    ) -> Result<(), Box<SendError>> {
        let (in_flight, lane) = (InFlight::new(plan.endpoint), self.lanes.of(plan));
        let mut started = now;
        loop {
            let (mut connection, reused) = match lane.take(started) {
                Some(connection) => (connection, true),
                // Boxed, as is HTTP/2: what a request on a kept connection never runs must not make every request's future larger.
                None => match Box::pin(self.connect_http1(plan)).await {
                    Ok(connection) => {
                        started = Instant::now();
                        (connection, false)
                    }
                    Err(error) => return Err(SendError::unconnected(error)),
                },
            };
            let patience = || later(turns, plan.response_timeout, Instant::now());
            let mut head = None;
            match connection.exchange(request, &mut head, started + plan.response_timeout, patience).await {
                // An answer to nothing: what was said before it was closed for its age, to whoever would come.
                Ok(()) if reused && request.is_some() => {}
                Ok(()) => {
                    let Some(head) = head else { return Err(SendError::lost(Fault::Internal, false, None)) };
                    let answered = Instant::now();
                    in_flight.endpoint().answered_in(answered - started, answered.into_std());
                    let kept = Kept::of(head.present, now, started, answered);
                    let response = answer.insert(Response::new(ResponseBody::on_connection(connection, lane, in_flight, kept, answered)));
                    *response.status_mut() = head.status;
                    *response.headers_mut() = head.headers;
                    return Ok(());
                }
                Err(Broken::Failed { .. }) if reused && request.is_some() => {}
                Err(Broken::Failed { error, began }) => return Err(SendError::broken(error, reused && !began)),
                Err(Broken::TimedOut) => return Err(SendError::lost(Fault::UpstreamTimeout, false, None)),
                Err(Broken::NoRequest) => return Err(SendError::lost(Fault::Internal, false, None)),
            }
        }
    }

    async fn connect_http1(&self, plan: &Plan<'_>) -> Result<Box<Http1<B>>, ConnectError> {
        let permit = self.permit(plan).await?;
        let stream = self.connect(plan).await?;
        Ok(Http1::new(stream, permit))
    }

    async fn send_http2(
        &self,
        plan: &Plan<'_>,
        request: &mut Option<Request<B>>,
        answer: &mut Answer<B>,
        now: Instant,
        turns: &dyn Turns,
    ) -> Result<(), Box<SendError>> {
        let (in_flight, lane) = (InFlight::new(plan.endpoint), self.lanes.of(plan));
        loop {
            let (connection, fresh) = match self.shared(plan, &lane).await {
                Ok(found) => found,
                Err(error) => return Err(SendError::unconnected(error)),
            };
            let endpoint = in_flight.endpoint();
            let is_ready = request.as_mut().and_then(|request| to_http2(request, plan.uses_tls(), &endpoint.authority));
            let Some(sent) = is_ready.and_then(|()| request.take()) else { return Err(SendError::unused(Fault::Internal)) };
            let started = Instant::now();
            let guard = StreamGuard::new(Rc::clone(&connection));
            let mut sender = connection.sender();
            let mut response = pin!(sender.try_send_request(sent));
            let mut deadline = started + plan.response_timeout;
            let answered = loop {
                match timeout_at(deadline, response.as_mut()).await {
                    Ok(answered) => break Some(answered),
                    Err(_) => match later(turns, plan.response_timeout, Instant::now()) {
                        Some(later) => deadline = later,
                        None => break None,
                    },
                }
            };
            match answered {
                Some(Ok(response)) => {
                    let answered = Instant::now();
                    let present = check(&response, endpoint, answered - started, answered)?;
                    let kept = Kept::of(present, now, started, answered);
                    *answer = Some(response.map(|body| ResponseBody::on_stream(body, guard, in_flight, kept)));
                    return Ok(());
                }
                Some(Err(mut error)) => {
                    *request = error.take_message();
                    if let Some(unused) = request {
                        to_http1(unused);
                    }
                    if fresh || request.is_none() {
                        return Err(SendError::reset(error.into_error(), !fresh));
                    }
                }
                None => {
                    // Slow, or dead without a word: requests to come get a connection of their own.
                    lane.forget(&connection);
                    return Err(SendError::lost(Fault::UpstreamTimeout, false, None));
                }
            }
        }
    }

    /// The lane's shared connection and whether this call made it.
    async fn shared(&self, plan: &Plan<'_>, lane: &Lane<B>) -> Result<(Rc<Http2<B>>, bool), ConnectError> {
        let deadline = Instant::now() + plan.connect_timeout;
        loop {
            let waiting = match &*lane.shared.borrow() {
                Shared::Open(connection) if !connection.is_closed() => return Ok((Rc::clone(connection), false)),
                Shared::Connecting(opening) => Some(Rc::clone(opening)),
                _ => None,
            };
            let Some(opening) = waiting else { break };
            if timeout_at(deadline, opening.done.notified()).await.is_err() {
                return Err(ConnectError { fault: Fault::UpstreamConnectTimeout, source: None });
            }
            if let Some(fault) = opening.fault.get() {
                return Err(ConnectError { fault, source: None });
            }
        }
        let opening = Rc::new(Opening::default());
        *lane.shared.borrow_mut() = Shared::Connecting(Rc::clone(&opening));
        let guard = OpeningGuard { shared: &lane.shared, opening };
        match self.connect_http2(plan).await {
            Ok(connection) => {
                *lane.shared.borrow_mut() = Shared::Open(Rc::clone(&connection));
                drop(guard);
                Ok((connection, true))
            }
            Err(error) => {
                guard.opening.fault.set(Some(error.fault));
                Err(error)
            }
        }
    }

    async fn connect_http2(&self, plan: &Plan<'_>) -> Result<Rc<Http2<B>>, ConnectError> {
        let permit = self.permit(plan).await?;
        let stream = self.connect(plan).await?;
        let opened = Http2::open(stream, permit, plan.endpoint.limits.idle_timeout).await;
        opened.map_err(|error| ConnectError { fault: Fault::UpstreamConnectFailed, source: Some(Box::new(error)) })
    }

    /// Where there is no room for one more connection, unused ones make it.
    async fn connect(&self, plan: &Plan<'_>) -> Result<Stream, ConnectError> {
        match connect(plan).await {
            Err(error) if error.is_ours() && self.give_up_unused() => connect(plan).await,
            connected => connected,
        }
    }

    /// Leave for one more connection; at the limit an unused one to the same endpoint is given up for it, of this worker or of another.
    async fn permit(&self, plan: &Plan<'_>) -> Result<ConnectionPermit, ConnectError> {
        let endpoint = plan.endpoint;
        if let Some(permit) = ConnectionPermit::take(endpoint) {
            return Ok(permit);
        }
        let gave_up = self.lanes.give_up_one(endpoint.id);
        // One of HTTP/2 ends a moment after it was given up.
        if let Some(permit) = gave_up.then(|| ConnectionPermit::take(endpoint)).flatten() {
            return Ok(permit);
        }
        let saturated = ConnectError { fault: Fault::UpstreamSaturated, source: None };
        let common = &endpoint.state.common;
        // Whether one of HTTP/2 is used now its own worker alone knows.
        if !gave_up && endpoint.state.idle_connections() == 0 && common.http2.load(Relaxed) == 0 {
            return Err(saturated);
        }
        let given_up = ConnectionPermit::in_place_of_another(endpoint);
        timeout(plan.connect_timeout.min(GIVEN_UP_WITHIN), given_up).await.map_err(|_| saturated)
    }
}

/// Counts an answer over HTTP/2, says which headers it has, and refuses one whose framing cannot be trusted.
fn check(response: &Response<Incoming>, endpoint: &super::Endpoint, took: Duration, now: Instant) -> Result<Present, Box<SendError>> {
    endpoint.answered_in(took, now.into_std());
    match framing::problem(response.status(), response.headers()) {
        None => Ok(Present::of(response.headers())),
        Some(problem) => Err(SendError::lost(Fault::UpstreamMalformed, false, Some(problem.into()))),
    }
}

impl<B> Default for Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Body + 'static> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("endpoints", &self.lanes.endpoints()).finish()
    }
}

#[cfg(test)]
mod tests;
