//! The life of one request, top to bottom.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::ALLOW;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use super::arrival::{self, Arrival};
use super::connection::Connection;
use super::ending::Ending;
use super::forward::Forward;
use super::outbound::Outbound;
use super::reply::Reply;
use super::response_body::ResponseBody;
use super::snapshot::{Generation, RoutePlan, Worker};
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::route;

static NO_HOST: HeaderValue = HeaderValue::from_static("");

/// Takes a request from a client's connection and gives the response that goes back on it.
///
/// Everything between, hooks included, happens on the thread this is called on. A hook that waits lets others have it meanwhile.
pub async fn handle(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let started = Instant::now();
    let generation = worker.generation();

    let Arrival { mut exchange, body, trailers, known, has_host, trace, caller, version, fault } =
        arrival::receive(&generation, &connection, request, started);
    worker.time_hooks(&mut exchange);
    generation.tracing.begin(&mut exchange, trace, caller);
    let admitted = worker.admit(&generation);
    let fault = fault.or(admitted.is_none().then_some(Fault::Overloaded));
    // Before its end is prepared: nothing is counted yet, so that it is counted for its route alone.
    let found = fault.map_or_else(|| find(&generation, &mut exchange), |fault| Err((fault, None)));
    let routed = found.as_ref().ok().and_then(|(number, route)| Some((*route, generation.cells.get(*number)?)));
    let mut ending = Ending::begin(&worker, &connection, &generation, &exchange, version, admitted, routed);

    let (number, route) = match found {
        Ok(found) => found,
        Err((fault, allow)) => {
            let mut reply = Reply::fault(fault, &exchange.id);
            if let Some(allow) = allow {
                reply = reply.with_header(ALLOW, allow);
            }
            let rest = reply.begin(&mut exchange, false);
            return Ok(rest.finish(exchange, ending, trailers.accepted, version));
        }
    };

    let (exchange, verdict) = match too_large(route, &body) {
        Some(fault) => (exchange, crate::pipeline::Verdict::Fault(fault)),
        None => route.chain.admit(&generation, exchange).await,
    };
    let own = verdict.into_response(&exchange.id);
    // Large, and passes through many hands: each of them puts it here.
    let mut answer = None;
    let (mut exchange, reply) = match own {
        Some(own) => (exchange, Reply::own(own)),
        None => {
            // A request that names no authority has been answered above.
            let client_host = known.as_ref().map_or(&NO_HOST, |known| &known.host);
            let outbound = Outbound { host: &route.upstream.host, client_host, has_host, trailers: &trailers };
            let forward = Forward { worker: &worker, generation: &generation, route, number, outbound };
            let (exchange, sent) = forward.send(exchange, body, &mut answer, &mut ending).await;
            let reply = Reply::of(sent, answer, &exchange.id, route.upstream.stream_timeout);
            (exchange, reply)
        }
    };

    let is_filtered = !route.chain.outgoing.is_empty();
    let mut rest = reply.begin(&mut exchange, is_filtered);
    if is_filtered {
        let (back, finished) = route.chain.finish(&generation, exchange).await;
        exchange = back;
        rest.replace(finished);
    }
    Ok(rest.finish(exchange, ending, trailers.accepted, version))
}

/// Matches the request, once.
fn find<'a>(generation: &'a Generation, exchange: &mut Exchange) -> Result<(usize, &'a Arc<RoutePlan>), (Fault, Option<HeaderValue>)> {
    let request = &exchange.request;
    match generation.snapshot.table.find(request.host(), request.path(), &request.method, &request.headers) {
        route::Outcome::Found(found) => {
            let number = found.route;
            let route = generation.routes.get(number).ok_or((Fault::Internal, None))?;
            let parameters = found.parameters(request.path()).map(|(name, segment)| (Arc::clone(name), segment.to_owned())).collect();
            exchange.route = Arc::clone(&route.facts);
            exchange.parameters = parameters;
            let route = route.for_client(exchange);
            exchange.keep_from_client(&route.kept_from_clients);
            Ok((number, route))
        }
        route::Outcome::NotFound => Err((Fault::NoRoute, None)),
        route::Outcome::MethodNotAllowed { allow } => Err((Fault::MethodNotAllowed, Some(allow.clone()))),
    }
}

/// A body that says it is too large is refused before any of it is read.
fn too_large(route: &RoutePlan, body: &Incoming) -> Option<Fault> {
    let limit = route.max_body_bytes?;
    // hyper has read its `Content-Length`.
    (body.size_hint().lower() > limit).then_some(Fault::BodyTooLarge)
}
