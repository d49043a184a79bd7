//! HTTP/2 towards upstreams (RFC 9113): one connection per worker and lane, shared by its requests.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};
use http_body::Body;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::permit::ConnectionPermit;
use super::stream::Stream;
use crate::fault::Fault;

/// What an upstream may send ahead of its reader, for one response: what a slow client can make the gateway hold.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all of one connection: of as many responses as servers usually let be on their way at once, so that slow clients hold up nobody
/// else, whose responses come by the same connection.
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;
/// Largest response head, decoded.
const MAX_HEADER_LIST: u32 = 64 * 1024;

/// The shared connection of a lane.
pub(super) enum Shared<B> {
    /// There is none.
    Closed,
    /// One is being made; who comes meanwhile waits for it.
    Connecting(Rc<Opening>),
    /// It takes requests until it is closed or told to go away.
    Open(Rc<Http2<B>>),
}

/// A connection being made.
#[derive(Default)]
pub(super) struct Opening {
    pub(super) done: Notify,
    /// Why it failed, for those who waited.
    pub(super) fault: Cell<Option<Fault>>,
}

/// An open connection.
pub(super) struct Http2<B> {
    sender: SendRequest<B>,
    streams: Cell<usize>,
    /// When its last stream ended.
    last_used: Cell<Instant>,
    idle_timeout: Duration,
}

/// Counts a stream as used until dropped.
pub(super) struct StreamGuard<B> {
    connection: Rc<Http2<B>>,
}

/// Makes hyper spawn its tasks on this thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

/// Puts an attempt's end into the lane even when the request that makes it is dropped midway.
pub(super) struct OpeningGuard<'l, B> {
    pub(super) shared: &'l RefCell<Shared<B>>,
    pub(super) opening: Rc<Opening>,
}

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(async move {
            future.await;
        });
    }
}

// === impl Http2 ===

impl<B> Http2<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) async fn open(stream: Stream, permit: ConnectionPermit, idle_timeout: Duration) -> hyper::Result<Rc<Self>> {
        let (sender, connection) = Builder::new(LocalExecutor)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .handshake(TokioIo::new(stream))
            .await?;
        let counted = permit.of_http2();
        spawn_local(async move {
            // Errors were given to the requests they concern.
            let _ = connection.await;
            drop(counted);
        });
        Ok(Rc::new(Self { sender, streams: Cell::new(0), last_used: Cell::new(Instant::now()), idle_timeout }))
    }
}

impl<B> Http2<B> {
    pub(super) fn sender(&self) -> SendRequest<B> {
        self.sender.clone()
    }

    /// Whether it can take no further request: closed, or told to go away (`GOAWAY`).
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether it has no stream now.
    pub(super) fn is_unused(&self) -> bool {
        self.streams.get() == 0
    }

    /// Whether nobody has used it for the idle timeout.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.is_unused() && now.saturating_duration_since(self.last_used.get()) >= self.idle_timeout
    }
}

impl<B> StreamGuard<B> {
    pub(super) fn new(connection: Rc<Http2<B>>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self { connection }
    }
}

impl<B> Drop for StreamGuard<B> {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.streams.set(connection.streams.get().saturating_sub(1));
        connection.last_used.set(Instant::now());
    }
}

impl<B> Drop for OpeningGuard<'_, B> {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        if matches!(&*shared, Shared::Connecting(opening) if Rc::ptr_eq(opening, &self.opening)) {
            *shared = Shared::Closed;
        }
        drop(shared);
        self.opening.done.notify_waiters();
    }
}

/// Turns a request as HTTP/1.1 has it (path and `Host`) into one for HTTP/2 (`:scheme`, `:authority`, no `Host`;
/// RFC 9113, section 8.3.1). `None` when host and path make no URI; the request is unchanged then.
pub(super) fn to_http2<B>(request: &mut Request<B>, tls: bool, default_authority: &HeaderValue) -> Option<()> {
    let host = request.headers().get(HOST).unwrap_or(default_authority);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    parts.path_and_query = Some(match request.uri().path_and_query() {
        // A query may follow the authority at once (`http://host?x`); its path is `/` (RFC 9110, section 4.2.3), which HTTP/1.1's writer adds by itself.
        Some(target) if target.as_str().starts_with('?') => PathAndQuery::try_from(format!("/{}", target.as_str())).ok()?,
        Some(target) => target.clone(),
        None => PathAndQuery::from_static("/"),
    });
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    request.headers_mut().remove(HOST);
    *request.version_mut() = Version::HTTP_2;
    Some(())
}

/// The way back, for a request that was not used.
pub(super) fn to_http1<B>(request: &mut Request<B>) {
    if let Some(host) = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    *request.version_mut() = Version::HTTP_11;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_a_path_before_it() {
        for (target, path) in [("http://a?x=1", "/?x=1"), ("http://a", "/"), ("http://a/b?x=1", "/b?x=1")] {
            let target: Uri = target.parse().unwrap();
            let mut request = Request::new(());
            *request.uri_mut() = target.path_and_query().cloned().map(Uri::from).unwrap_or_default();
            to_http2(&mut request, true, &HeaderValue::from_static("a")).unwrap();
            assert_eq!(request.uri().path_and_query().map(PathAndQuery::as_str), Some(path));
        }
    }

    #[test]
    fn a_request_is_the_same_after_the_way_there_and_back() {
        for (path, host) in [("/a?b=c", "x.example:8443"), ("/", "[::1]:80"), ("*", "x.example")] {
            let mut request = Request::get(path).header(HOST, host).body(()).unwrap();
            to_http2(&mut request, true, &HeaderValue::from_static("other")).unwrap();
            assert_eq!(request.uri().authority().unwrap(), host);
            assert!(!request.headers().contains_key(HOST));
            to_http1(&mut request);
            assert_eq!(request.uri(), path);
            assert_eq!(request.headers()[HOST], host);
        }
    }
}
