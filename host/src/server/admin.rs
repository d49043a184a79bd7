//! The admin listener: health, readiness, metrics and status, on the control thread. Loopback by default, since none of it
//! asks who is there.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// What the admin listener shows.
pub trait Administered {
    /// Whether new requests are served.
    fn ready(&self) -> bool;
    /// Prometheus text.
    fn metrics(&self) -> Vec<u8>;
    /// The whole status.
    fn status(&self) -> serde_json::Value;
}

/// A scraper that sends half a request must not stay for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until the task is dropped.
pub async fn serve<A: Administered + 'static>(listener: TcpListener, administered: Rc<A>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "The admin listener could not accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let administered = Rc::clone(&administered);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let response = answer(&*administered, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "An admin connection ended early");
            }
        });
    }
}

fn answer<A: Administered>(administered: &A, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        // Alive is whatever can answer; ready is whatever should get requests.
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if administered.ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/metrics" => typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", administered.metrics()),
        "/status" => match serde_json::to_vec_pretty(&administered.status()) {
            Ok(mut json) => {
                json.push(b'\n');
                typed(StatusCode::OK, "application/json", json)
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, "try /healthz, /readyz, /metrics or /status\n"),
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

fn typed(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
