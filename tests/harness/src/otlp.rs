//! A receiver of OTLP: it decodes what it is sent by OpenTelemetry's own definitions, over HTTP/1.1 and gRPC alike, and keeps it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::body::{self, Body};
use crate::ca::{Authority, Issued};
use crate::error::{Context, Result};
use crate::tls;

/// A running receiver; it ends on drop.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    tls: bool,
    kept: Arc<Kept>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was received.
#[derive(Debug, Default)]
struct Kept {
    /// What it answers; 0 is 200.
    status: AtomicU16,
    requests: AtomicU64,
    headers: Mutex<Vec<HeaderMap>>,
    traces: Mutex<Vec<ExportTraceServiceRequest>>,
    metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
}

impl Receiver {
    /// Starts one on a free port of 127.0.0.1. It takes HTTP/1.1 and HTTP/2 by prior knowledge, as the first bytes say.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn start() -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts one at an address.
    ///
    /// # Errors
    /// When the address is not to be had.
    pub fn start_at(address: SocketAddr) -> Result<Self> {
        Self::begin(address, None)
    }

    /// Starts one that speaks TLS, offers both protocols in ALPN and, given `clients`, demands certificates of that authority.
    ///
    /// # Errors
    /// When no port or thread is to be had, or the certificate is not usable.
    pub fn start_tls(identity: &Issued, clients: Option<&Authority>) -> Result<Self> {
        let config = tls::server(identity, &[tls::H2, tls::HTTP_1_1], clients)?;
        Self::begin(SocketAddr::from(([127, 0, 0, 1], 0)), Some(config))
    }

    fn begin(address: SocketAddr, config: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = std::net::TcpListener::bind(address).context(address)?;
        listener.set_nonblocking(true).context("listener")?;
        let address = listener.local_addr().context("listener")?;
        let kept = Arc::new(Kept::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
        let keeping = Arc::clone(&kept);
        let tls = config.is_some();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(listener, config.map(TlsAcceptor::from), keeping) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, tls, kept, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For `endpoint`.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers with that status from now on, and keeps nothing unless it is 200.
    pub fn answer(&self, status: u16) {
        self.kept.status.store(status, Ordering::Relaxed);
    }

    /// Requests so far, whatever was answered.
    pub fn requests(&self) -> u64 {
        self.kept.requests.load(Ordering::Relaxed)
    }

    /// Heads of the requests so far.
    pub fn headers(&self) -> Vec<HeaderMap> {
        lock(&self.kept.headers).clone()
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        let traces = lock(&self.kept.traces);
        let scopes = traces.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Requests that have a server span so far.
    pub fn traced(&self) -> usize {
        let traces = lock(&self.kept.traces);
        let scopes = traces.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).filter(|span| span.kind == i32::from(SpanKind::Server)).count()
    }

    /// The resource of the first spans.
    pub fn resource(&self) -> Option<Resource> {
        lock(&self.kept.traces).first()?.resource_spans.first()?.resource.clone()
    }

    /// Every metric of the last push.
    pub fn metrics(&self) -> Vec<Metric> {
        let metrics = lock(&self.kept.metrics);
        let scopes = metrics.last().into_iter().flat_map(|request| &request.resource_metrics).flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics.clone()).collect()
    }
}

/// An attribute that is text.
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match value(attributes, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// An attribute that is a whole number.
pub fn integer(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match value(attributes, key)? {
        Value::IntValue(integer) => Some(*integer),
        _ => None,
    }
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, kept: Arc<Kept>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (kept, acceptor) = (Arc::clone(&kept), acceptor.clone());
        tokio::spawn(async move {
            let Some(acceptor) = acceptor else {
                let mut first = [0; 3];
                let is_http2 = matches!(stream.peek(&mut first).await, Ok(3)) && &first == b"PRI";
                return speak(TokioIo::new(stream), is_http2, kept).await;
            };
            if let Ok(stream) = acceptor.accept(stream).await {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::H2);
                speak(TokioIo::new(stream), is_http2, kept).await;
            }
        });
    }
}

/// Answers on one connection until it ends.
async fn speak<S: Read + Write + Unpin + 'static>(stream: S, is_http2: bool, kept: Arc<Kept>) {
    let service = service_fn(move |request| {
        let kept = Arc::clone(&kept);
        async move { Ok::<_, std::convert::Infallible>(answer(&kept, request).await) }
    });
    if is_http2 {
        drop(hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await);
    } else {
        drop(hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await);
    }
}

async fn answer(kept: &Kept, request: Request<Incoming>) -> Response<Body> {
    kept.requests.fetch_add(1, Ordering::Relaxed);
    let grpc = request.version() == Version::HTTP_2;
    let (parts, body) = request.into_parts();
    lock(&kept.headers).push(parts.headers);
    let status = kept.status.load(Ordering::Relaxed);
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if status != 0 && status != 200 {
        return if grpc { grpc_answer(14, Bytes::new()) } else { http_answer(status, Bytes::new()) };
    }
    // A message of gRPC says whether it is compressed and how long it is.
    let message = if grpc { body.slice(body.len().min(5)..) } else { body };
    let taken = match parts.uri.path() {
        "/v1/traces" | "/base/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            ExportTraceServiceRequest::decode(message).map(|request| {
                lock(&kept.traces).push(request);
                ExportTraceServiceResponse::default().encode_to_vec()
            })
        }
        "/v1/metrics" | "/base/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            ExportMetricsServiceRequest::decode(message).map(|request| {
                lock(&kept.metrics).push(request);
                ExportMetricsServiceResponse::default().encode_to_vec()
            })
        }
        _ => return if grpc { grpc_answer(12, Bytes::new()) } else { http_answer(404, Bytes::new()) },
    };
    match (taken, grpc) {
        (Ok(answer), true) => grpc_answer(0, answer.into()),
        (Ok(answer), false) => http_answer(200, answer.into()),
        (Err(_), true) => grpc_answer(3, Bytes::new()),
        (Err(_), false) => http_answer(400, Bytes::new()),
    }
}

fn http_answer(status: u16, body: Bytes) -> Response<Body> {
    let mut response = Response::new(body::full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// The status of gRPC stands behind the message.
fn grpc_answer(status: u16, message: Bytes) -> Response<Body> {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(status));
    let mut response = Response::new(body::with_trailers(framed.freeze(), trailers));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
