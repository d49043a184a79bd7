//! One client connection, from the TLS handshake to the last byte.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::http1::http1;
use super::stream::{ClientStream, Seen};
use super::sweep::{Ask, Sweep, Watched};
use super::tls::ServerTls;
use crate::config::model;
use crate::exchange::{ConnectionFacts, TlsFacts};
use crate::fault::Fault;
use crate::proxy::{Connection, ResponseBody, Worker, handle};
use crate::telemetry::ListenerCells;

/// What every connection of one listener on one worker shares.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: Arc<str>,
    pub(super) cells: Arc<ListenerCells>,
    /// What new connections are met with; a reload may put another in its place.
    pub(super) tls: RefCell<Option<Arc<ServerTls>>>,
    pub(super) sweep: Rc<Sweep>,
}

/// Bytes of one HTTP/2 request body a client may send before the upstream took any.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Bytes of one HTTP/2 answer that wait for the client: what a slow one takes within `timeouts.stream` keeps it connected.
const STREAM_BUFFER: usize = 64 << 10;

/// Serves one connection to its end. What only some connections come to is boxed: an idle one, of which there may be very many, has
/// room for no more than it needs.
pub(super) async fn serve(context: Rc<Context>, stream: TcpStream, peer: SocketAddr) {
    let _open = context.cells.opened();
    let tls = context.tls.borrow().clone();
    match tls {
        None => {
            let facts = ConnectionFacts { peer, listener: context.listener.clone(), tls: None };
            http1(&context, stream, Rc::new(Connection::new(facts, None))).await;
        }
        Some(tls) => Box::pin(over_tls(&context, &tls, stream, peer)).await,
    }
}

async fn over_tls(context: &Context, tls: &Arc<ServerTls>, stream: TcpStream, peer: SocketAddr) {
    let timeout = context.worker.generation().snapshot.timeouts.handshake;
    match Box::pin(tokio::time::timeout(timeout, TlsAcceptor::from(tls.config()).accept(stream))).await {
        Ok(Ok(stream)) => {
            context.cells.handshake(true);
            encrypted(context, tls, Box::new(stream), peer).await;
        }
        Ok(Err(error)) => {
            context.cells.handshake(false);
            tracing::debug!(%peer, %error, "A TLS handshake failed");
        }
        Err(_) => {
            context.cells.handshake(false);
            tracing::debug!(%peer, "A TLS handshake took too long");
        }
    }
}

async fn encrypted(context: &Context, tls: &Arc<ServerTls>, stream: Box<TlsStream<TcpStream>>, peer: SocketAddr) {
    let (_, session) = stream.get_ref();
    let facts = TlsFacts {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        server_name: session.server_name().map(str::to_owned),
        alpn: match session.alpn_protocol() {
            Some(b"h2") => Some("h2"),
            Some(b"http/1.1") => Some("http/1.1"),
            _ => None,
        },
        client_certificate: session.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec()),
        ..TlsFacts::default()
    };
    let (sni, http2_agreed) = (facts.server_name.clone(), facts.alpn == Some("h2"));
    let covering = Arc::clone(tls);
    let covers = move |host: &str| covering.covers(sni.as_deref(), host);
    let facts = ConnectionFacts { peer, listener: context.listener.clone(), tls: Some(facts) };
    let connection = Rc::new(Connection::new(facts, Some(Box::new(covers))));
    if http2_agreed {
        Box::pin(http2(context, stream, connection)).await;
    } else {
        http1(context, stream, connection).await;
    }
}

async fn http2(context: &Context, stream: Box<TlsStream<TcpStream>>, connection: Rc<Connection>) {
    let (limits, stall) = bounds(context);
    let stream = ClientStream::new(stream, Rc::clone(&connection), None, stall);
    let seen = stream.seen();
    let watched = context.sweep.watch(Rc::clone(&connection));
    if context.sweep.is_draining() {
        watched.ask(Ask::EndWhenIdle);
    }
    let served = Served::new(context, &connection, &limits, &watched);
    let hyper = http2::Builder::new(OnThisThread)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_BUFFER)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| served.call(request)));
    let mut hyper = pin!(hyper);
    let ended = loop {
        tokio::select! {
            ended = hyper.as_mut() => break ended,
            how = poll_fn(|task| watched.poll_asked(task)) => match how {
                Ask::EndNow => return,
                Ask::EndWhenIdle => hyper.as_mut().graceful_shutdown(),
                // Its streams share what it would give up.
                Ask::Rest => {}
            },
        }
    };
    refusal(context, &seen, ended.as_ref().err());
}

/// What a connection may use, and how long it may stall: as it stood when the connection began. A copy, since a connection may
/// stay longer than whatever served its first request.
pub(super) fn bounds(context: &Context) -> (model::Limits, Duration) {
    let generation = context.worker.generation();
    (generation.snapshot.limits.clone(), generation.snapshot.timeouts.stream)
}

/// What hyper calls for every request.
#[derive(Debug, Clone)]
pub(super) struct Served {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    watched: Watched,
    max_requests: Option<u64>,
}

impl Served {
    pub(super) fn new(context: &Context, connection: &Rc<Connection>, limits: &model::Limits, watched: &Watched) -> Self {
        Self {
            worker: Rc::clone(&context.worker),
            connection: Rc::clone(connection),
            watched: watched.clone(),
            // One whose handshake took until now has its first request answered all the same.
            max_requests: if context.sweep.is_draining() { Some(1) } else { limits.max_requests_per_connection },
        }
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.connection.requests()
    }

    /// Whether none of its requests is being answered, and none begins.
    pub(super) fn is_idle(&self) -> bool {
        self.connection.is_idle()
    }

    /// Begins one. In a box: hyper would copy all of it to where it keeps it, and keep room for it where a connection has none to answer.
    pub(super) fn call(
        &self,
        request: Request<Incoming>,
    ) -> Pin<Box<impl Future<Output = Result<Response<ResponseBody>, Infallible>> + use<>>> {
        if self.max_requests.is_some_and(|limit| self.connection.requests() + 1 >= limit) {
            self.connection.set_last();
            self.watched.ask(Ask::EndWhenIdle);
        }
        // Memory first, as for an exchange.
        let place = Box::new_uninit();
        Box::into_pin(Box::write(place, handle(Rc::clone(&self.worker), Rc::clone(&self.connection), request)))
    }
}

/// Counts what never became a request.
pub(super) fn refusal(context: &Context, seen: &Seen, error: Option<&hyper::Error>) {
    let fault = match (seen.fault.get(), error) {
        (Some(fault), _) => fault.fault(),
        (None, Some(error)) => {
            tracing::debug!(%error, "A client connection ended early");
            if !error.is_parse() {
                return;
            }
            if error.is_parse_too_large() { Fault::HeadTooLarge } else { Fault::MalformedRequest }
        }
        (None, None) => return,
    };
    context.worker.cells.fault(fault);
    let generation = context.worker.generation();
    generation.unrouted.refused(fault);
    context.worker.tallies.refused(&generation.unrouted, fault);
}

/// Runs the tasks of an HTTP/2 connection where the connection is.
#[derive(Debug, Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of what a function's future holds.
    fn size<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_in_the_clear_has_no_room_for_tls() {
        let (plain, request) = (size(serve), size(handle));
        assert!(plain <= 2 << 10, "{plain}");
        assert!(request <= 4 << 10, "{request}");
    }
}
