//! Attempts at an upstream: pick, plan, send, and again where that is safe.

use std::rc::Rc;
use std::sync::Arc;

use http::Method;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::attempted::Attempted;
use super::ending::Ending;
use super::outbound::{Headers, Outbound};
use super::request_body::RequestBody;
use super::request_trailers::Barred;
use super::retries::Retries;
use super::sampling::attempt_parent;
use super::snapshot::{Generation, RoutePlan, Worker};
use crate::exchange::{Exchange, Outcome};
use crate::fault::Fault;
use crate::plugin::PlanEdits;
use crate::trace::{At, StepResult, TRACEPARENT};
use crate::upstream::{Answer, Endpoint, Plan};

/// What stays the same over the attempts of one request.
pub(super) struct Forward<'a> {
    pub(super) worker: &'a Worker,
    pub(super) generation: &'a Generation,
    pub(super) route: &'a RoutePlan,
    /// The route's number in its generation.
    pub(super) number: usize,
    pub(super) outbound: Outbound<'a>,
}

/// What an attempt came to.
#[allow(clippy::large_enum_variant, reason = "the large one is the rare one, and a box would be made for each")]
enum Attempt {
    /// That endpoint answered.
    Answered(u64),
    /// An endpoint answered what another attempt follows.
    AnsweredInVain(Arc<Endpoint>),
    /// It failed.
    Failed {
        fault: Fault,
        /// Where, if it came that far.
        endpoint: Option<Arc<Endpoint>>,
        /// The body, if it can be sent again.
        body: Option<RequestBody>,
    },
}

impl Forward<'_> {
    /// Sends a request upstream and says which endpoint answered what is in `answer` then, or why none did.
    pub(super) async fn send(
        &self,
        mut exchange: Box<Exchange>,
        body: Incoming,
        answer: &mut Answer<RequestBody>,
        ending: &mut Ending,
    ) -> (Box<Exchange>, Result<u64, Fault>) {
        let snapshot = &self.generation.snapshot;
        let barred = Barred::new(std::mem::take(&mut exchange.claimed), snapshot.keep_underscores);
        let mut body = RequestBody::new(body, self.route.max_body_bytes, snapshot.timeouts.stream, barred);
        ending.reads(&body);
        let mut retries = self.route.retries;
        loop {
            exchange.attempts.number += 1;
            let (back, attempt) = self.attempt(exchange, body, answer, ending, &mut retries).await;
            exchange = back;
            let (fault, endpoint, returned) = match attempt {
                Attempt::Answered(endpoint) => return (exchange, Ok(endpoint)),
                Attempt::AnsweredInVain(endpoint) => {
                    exchange.attempts.tried.push(endpoint.id);
                    body = RequestBody::empty();
                    continue;
                }
                Attempt::Failed { fault, endpoint, body } => (fault, endpoint, body),
            };
            // A body that broke off on the client's side is the client's fault, whatever that did to the upstream.
            let fault = ending.body_fault().unwrap_or(fault);
            if let Some(endpoint) = endpoint {
                exchange.attempts.tried.push(endpoint.id);
                exchange.attempts.last = Some(Outcome { endpoint: endpoint.id, status: None, fault: Some(fault) });
            }
            match returned {
                Some(again) if retries.after_fault(exchange.attempts.number, fault) => body = again,
                _ => return (exchange, Err(fault)),
            }
        }
    }

    async fn attempt(
        &self,
        exchange: Box<Exchange>,
        body: RequestBody,
        answer: &mut Answer<RequestBody>,
        ending: &mut Ending,
        retries: &mut Retries,
    ) -> (Box<Exchange>, Attempt) {
        let chain = &self.route.chain;
        let plugins = &self.generation.plugins;
        let upstream = &self.route.upstream;
        let native = self.generation.native.of(self.number);

        let (exchange, selected) = chain.select(plugins, exchange, upstream, native);
        let endpoint = match selected {
            Ok(selected) => {
                if selected.stale {
                    self.worker.cells.stale_endpoint();
                }
                selected.endpoint
            }
            Err(fault) => return (exchange, Attempt::Failed { fault, endpoint: None, body: None }),
        };

        let host = self.outbound.host_for(&endpoint);
        let (mut exchange, edits) = chain.plan(plugins, exchange, upstream, &endpoint, host);
        let edits = match edits {
            Ok(edits) => edits,
            Err(fault) => return (exchange, Attempt::Failed { fault, endpoint: Some(endpoint), body: Some(body) }),
        };
        let plan = match self.plan(&endpoint, edits.as_deref()) {
            Ok(plan) => plan,
            Err(fault) => return (exchange, Attempt::Failed { fault, endpoint: Some(endpoint), body: Some(body) }),
        };
        if let Some(edits) = &edits {
            *retries = retries.narrowed(edits.max_attempts, edits.retry_on);
        }

        // A request that was used up can be made again only if it has no body, only where doing it twice is the same as once
        // (RFC 9110, section 9.2.2), and only if there is somewhere else to try.
        let replayable = body.is_empty() && is_idempotent(&exchange.request.method) && upstream.endpoints.len() > 1;
        let is_read_later = !chain.outgoing.is_empty();
        // What comes back with an unused request has the connection's headers in it: no plugin may see those.
        let is_read_again = chain.router.is_some() || chain.forwarder.is_some();
        let is_spoilt = is_read_again && !self.outbound.only_adds(&exchange, &endpoint, edits.as_deref());
        let headers = if replayable || is_read_later || is_spoilt { Headers::Copied } else { Headers::Lent };
        let mut request = match self.outbound.request(&mut exchange, headers, &endpoint, edits.as_deref(), plan.protocol, body) {
            Ok(request) => Some(request),
            Err((fault, body)) => return (exchange, Attempt::Failed { fault, endpoint: Some(endpoint), body: Some(body) }),
        };
        let now = Instant::now();
        let after = now.into_std().saturating_duration_since(exchange.started);
        let span = exchange.steps.begin(At::attempt(endpoint.id, after));
        if let (Some(request), Some(parent)) = (&mut request, span.and_then(|span| attempt_parent(&exchange, span))) {
            request.headers_mut().insert(TRACEPARENT, parent);
        }
        let streamed = request.as_ref().and_then(|request| request.body().streamed()).map(Rc::clone);
        let waiting = ending.waiting(&exchange);
        let attempted = Attempted::begin(self.worker, self.generation, chain.router.as_ref(), endpoint.id, now);
        let sent = self.worker.pool.send_in_turns(&plan, &mut request, answer, now, &streamed).await;
        waiting.over();
        match (sent, answer.as_ref()) {
            (Ok(()), None) => (exchange, Attempt::Failed { fault: Fault::Internal, endpoint: Some(endpoint), body: None }),
            (Ok(()), Some(response)) => {
                exchange.attempts.upstream_time = Some(response.body().took());
                let status = response.status().as_u16();
                exchange.steps.end_attempt(StepResult::Replied(status), response.body().took_in_all());
                self.count(None);
                let outcome = Outcome { endpoint: endpoint.id, status: Some(status), fault: None };
                exchange.attempts.last = Some(outcome);
                if let Some(attempted) = attempted {
                    attempted.ended(outcome);
                }
                // Its answer is dropped, with the connection unless all of it is there.
                if replayable && retries.after_status(exchange.attempts.number, status) {
                    *answer = None;
                    ending.failed_at(&endpoint);
                    return (exchange, Attempt::AnsweredInVain(endpoint));
                }
                let id = endpoint.id;
                ending.answered_by(endpoint);
                (exchange, Attempt::Answered(id))
            }
            (Err(error), _) => {
                exchange.steps.end_attempt(StepResult::Failed(error.fault), now.elapsed());
                self.count(Some(error.fault));
                ending.failed_at(&endpoint);
                if let Some(attempted) = attempted {
                    let fault = ending.body_fault().unwrap_or(error.fault);
                    attempted.ended(Outcome { endpoint: endpoint.id, status: None, fault: Some(fault) });
                }
                tracing::debug!(upstream = %upstream.name, endpoint = %endpoint.url, fault = error.fault.code(), cause = error.source.as_ref().map(tracing::field::display), "An attempt failed");
                let body = match request {
                    Some(unused) => {
                        let (parts, body) = unused.into_parts();
                        if headers == Headers::Lent {
                            Outbound::take_back(&mut exchange, parts.headers, edits.as_deref());
                        }
                        Some(body)
                    }
                    None => replayable.then(RequestBody::empty),
                };
                (exchange, Attempt::Failed { fault: error.fault, endpoint: Some(endpoint), body })
            }
        }
    }

    fn count(&self, fault: Option<Fault>) {
        if let Some(cells) = self.generation.upstreams.get(self.number) {
            cells.attempt(fault);
        }
    }

    /// The upstream's own settings with what the forwarder wants different.
    fn plan<'p>(&'p self, endpoint: &'p Arc<Endpoint>, edits: Option<&PlanEdits>) -> Result<Plan<'p>, Fault> {
        let mut plan = Plan::default_for(&self.route.upstream, endpoint);
        let Some(edits) = edits else { return Ok(plan) };
        plan.force_tls = edits.force_tls;
        plan.tls = edits.tls_profile;
        if let Some(name) = &edits.server_name {
            // Only names the upstream lists get this far, and those were parsed when it was assembled.
            plan.server_name = Some(self.route.upstream.server_name(name).cloned().ok_or(Fault::Internal)?);
        }
        plan.protocol = edits.protocol.unwrap_or(plan.protocol);
        plan.connect_timeout = edits.connect_timeout.unwrap_or(plan.connect_timeout);
        plan.response_timeout = edits.response_timeout.unwrap_or(plan.response_timeout);
        Ok(plan)
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}
