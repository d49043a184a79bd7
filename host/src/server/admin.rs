//! The admin listener: health, readiness, metrics, status, reports, what is remembered of requests, and what an operator may have done, on the control thread. Loopback by
//! default, since none of it asks who is there.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, ORIGIN};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::telemetry::Seldom;

/// What the admin listener shows.
pub trait Administered {
    /// Whether new requests are served.
    fn ready(&self) -> bool;
    /// Prometheus text.
    fn metrics(&self) -> Vec<u8>;
    /// The whole status.
    fn status(&self) -> serde_json::Value;
    /// What is remembered of a request, or of all that are remembered.
    fn requests(&self, id: Option<String>) -> impl Future<Output = Answer>;
    /// A report of what the monitoring store knows, as the query asks for it.
    fn report(&self, query: &str) -> impl Future<Output = Page>;
    /// Incidents that the monitoring store knows, as the query asks for them.
    fn incidents(&self, query: &str) -> impl Future<Output = Answer>;
    /// Has something done, and says what came of it.
    fn operate(&self, operation: Operation) -> impl Future<Output = Answer>;
}

/// What an operator may have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `POST /reload`: read everything again.
    Reload,
    /// `POST /plugins/NAME/rollback`, `?digest=` with the beginning of one: have an earlier version serve.
    Rollback {
        /// The plugin.
        plugin: String,
        /// The beginning of the version's digest in hexadecimal; `None` for the one that served before.
        digest: Option<String>,
    },
    /// `POST /plugins/NAME/promote`: have the version that is tried serve everybody.
    Promote {
        /// The plugin.
        plugin: String,
    },
}

/// A page that is made when it is asked for.
#[derive(Debug)]
pub struct Page {
    /// Its status.
    pub status: StatusCode,
    /// Of its body.
    pub content_type: &'static str,
    /// The page, or what is wrong.
    pub body: Vec<u8>,
}

/// What came of an operation.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// JSON; a problem (RFC 9457) where the status is an error.
    pub body: Value,
}

impl Answer {
    /// A problem; `body` has its title and what else there is to say.
    pub fn problem(status: StatusCode, mut body: Value) -> Self {
        if let Some(body) = body.as_object_mut() {
            body.insert("type".to_owned(), "about:blank".into());
            body.insert("status".to_owned(), status.as_u16().into());
        }
        Self { status, body }
    }
}

/// A scraper that sends half a request must not stay for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until the task is dropped.
pub async fn serve<A: Administered + 'static>(listener: TcpListener, administered: Rc<A>) {
    let mut told = Seldom::default();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if told.is_due() {
                    tracing::warn!(%error, "The admin listener could not accept");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let administered = Rc::clone(&administered);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let administered = Rc::clone(&administered);
                async move { Ok::<_, Infallible>(answer(&*administered, &request).await) }
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

async fn answer<A: Administered>(administered: &A, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let operation = operation(request.uri());
    let allowed = if operation.is_some() { "POST" } else { "GET, HEAD" };
    if !allowed.split(", ").any(|allowed| request.method() == allowed) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed}\n"));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        return response;
    }
    if let Some(operation) = operation {
        // Browsers say where a page comes from, and no page has any business here.
        if request.headers().contains_key(ORIGIN) {
            return text(StatusCode::FORBIDDEN, "not for web pages\n");
        }
        return answered(administered.operate(operation).await);
    }
    match request.uri().path() {
        // Alive is whatever can answer; ready is whatever should get requests.
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if administered.ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/metrics" => typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", administered.metrics()),
        "/report" => {
            let Page { status, content_type, body } = administered.report(request.uri().query().unwrap_or_default()).await;
            typed(status, content_type, body)
        }
        "/status" => json(StatusCode::OK, "application/json", &administered.status()),
        path if path == "/requests" || path.starts_with("/requests/") => {
            // Ids may have characters that a path may not.
            let id = path.strip_prefix("/requests/").map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned());
            answered(administered.requests(id).await)
        }
        "/incidents" => answered(administered.incidents(request.uri().query().unwrap_or_default()).await),
        _ => text(
            StatusCode::NOT_FOUND,
            "try /healthz, /readyz, /metrics, /status, /report, /incidents, /requests, /requests/ID, POST /reload, POST /plugins/NAME/promote or POST /plugins/NAME/rollback\n",
        ),
    }
}

fn answered(Answer { status, body }: Answer) -> Response<Full<Bytes>> {
    json(status, if status.is_success() { "application/json" } else { "application/problem+json" }, &body)
}

/// What a path stands for, where it is no page.
fn operation(uri: &Uri) -> Option<Operation> {
    if uri.path() == "/reload" {
        return Some(Operation::Reload);
    }
    let (plugin, what) = uri.path().strip_prefix("/plugins/")?.split_once('/')?;
    let plugin = plugin.to_owned();
    match what {
        "promote" => return Some(Operation::Promote { plugin }),
        "rollback" => {}
        _ => return None,
    }
    let digest = uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("digest=")));
    Some(Operation::Rollback { plugin, digest: digest.map(|digest| digest.trim_start_matches("sha256:").to_owned()) })
}

fn json(status: StatusCode, content_type: &'static str, value: &Value) -> Response<Full<Bytes>> {
    match serde_json::to_vec_pretty(value) {
        Ok(mut json) => {
            json.push(b'\n');
            typed(status, content_type, json)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
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
