//! What an upstream does with one request.
//!
//! A report is a JSON object: `upstream`, `version`, `method`, `target` (as received), `headers` and `trailers` (lists of
//! name and value, in the parser's order: grouped by name), `body` (`length`, `sha256`), `tls`, `sni`, `alpn_h2`, and
//! `client_certificate` (SHA-256 of the leaf, or null).

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ring::digest::{Context as Digest, SHA256};
use serde_json::{Value, json};

use super::Gate;
use crate::body::{self, Body};
use crate::ca::hex;
use crate::error::{Context, Error, Result};

/// What is known of a connection's other end.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) upstream: Arc<str>,
    pub(super) gate: Arc<Gate>,
    pub(super) tls: bool,
    pub(super) http2: bool,
    pub(super) server_name: Option<String>,
    pub(super) client_certificate: Option<String>,
}

/// Answers one request; an error closes its connection.
pub(super) async fn answer(peer: Arc<Peer>, request: Request<Incoming>) -> Result<Response<Body>> {
    let chosen = request
        .headers()
        .get("x-behave")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_else(|| request.uri().path_and_query().map_or("/", |target| target.as_str()))
        .to_owned();
    let path = chosen.split('?').next().unwrap_or_default();
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut response = match words.as_slice() {
        ["status", status] => {
            receive(request).await?;
            let mut response = Response::new(body::empty());
            *response.status_mut() = StatusCode::from_str(status).context("/status")?;
            response
        }
        ["bytes", length] => Response::new(body::pattern(number(length)?, true)),
        ["chunked", length] => Response::new(body::pattern(number(length)?, false)),
        ["slow", pause] => {
            tokio::time::sleep(Duration::from_millis(number(pause)?)).await;
            report(&peer, request).await?
        }
        ["drip", count, pause] => Response::new(drip(number(count)?, Duration::from_millis(number(pause)?))),
        ["trailers"] => trailers(request).await?,
        ["echo"] => Response::new(request.into_body().map_err(|error| Error::new(error.to_string())).boxed_unsync()),
        ["early-413"] => {
            let mut response = Response::new(body::full("too large\n"));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
        ["redirect", status, to @ ..] => {
            let to = if let Some((_, to)) = chosen.split_once("?to=") { to.to_owned() } else { format!("/{}", to.join("/")) };
            let mut response = Response::new(body::empty());
            *response.status_mut() = StatusCode::from_str(status).context("/redirect")?;
            response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(to).context("/redirect")?);
            response
        }
        ["fresh", seconds] => {
            let directive = HeaderValue::try_from(format!("max-age={seconds}")).context("/fresh")?;
            let mut response = report(&peer, request).await?;
            response.headers_mut().insert(header::CACHE_CONTROL, directive);
            response
        }
        ["close"] => return Err(Error::new("closed as asked")),
        ["cut"] => cut(),
        ["held"] => {
            // It has no permits and never will have: the wait ends when it is closed.
            drop(peer.gate.0.acquire().await);
            report(&peer, request).await?
        }
        ["hang"] => std::future::pending().await,
        _ => report(&peer, request).await?,
    };
    if peer.http2 {
        response.headers_mut().remove(header::CONNECTION);
    }
    response.headers_mut().insert("x-upstream", HeaderValue::from_str(&peer.upstream).context("x-upstream")?);
    Ok(response)
}

fn number(text: &str) -> Result<u64> {
    text.parse().context(text)
}

struct Received {
    length: u64,
    sha256: String,
    trailers: HeaderMap,
}

async fn receive(request: Request<Incoming>) -> Result<Received> {
    let mut body = request.into_body();
    let (mut length, mut digest, mut trailers) = (0, Digest::new(&SHA256), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.context("the request's body")?.into_data() {
            Ok(data) => {
                length += data.len() as u64;
                digest.update(&data);
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Received { length, sha256: hex(digest.finish().as_ref()), trailers })
}

fn lines(headers: &HeaderMap) -> Vec<Value> {
    headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect()
}

async fn report(peer: &Peer, request: Request<Incoming>) -> Result<Response<Body>> {
    let mut report = json!({
        "upstream": &*peer.upstream,
        "version": format!("{:?}", request.version()),
        "method": request.method().as_str(),
        "target": request.uri().to_string(),
        "headers": lines(request.headers()),
        "tls": peer.tls,
        "sni": peer.server_name,
        "alpn_h2": peer.http2,
        "client_certificate": peer.client_certificate,
    });
    let received = receive(request).await?;
    if let Some(report) = report.as_object_mut() {
        report.insert("body".to_owned(), json!({ "length": received.length, "sha256": received.sha256 }));
        report.insert("trailers".to_owned(), Value::from(lines(&received.trailers)));
    }
    let mut response = Response::new(body::full(format!("{report}\n")));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn trailers(request: Request<Incoming>) -> Result<Response<Body>> {
    let received = receive(request).await?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from(received.length));
    for (name, value) in &received.trailers {
        let name = HeaderName::try_from(format!("x-echo-{name}")).context("a trailer's name")?;
        trailers.append(name, value.clone());
    }
    // HTTP/1.1 sends only what was announced (hyper), and only to a client that said `TE: trailers`.
    let announced = trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
    let mut response = Response::new(body::with_trailers("before the trailers\n", trailers));
    response.headers_mut().insert(header::TRAILER, HeaderValue::from_str(&announced).context("trailer")?);
    Ok(response)
}

fn drip(count: u64, pause: Duration) -> Body {
    let (mut sender, body) = body::channel(1);
    tokio::spawn(async move {
        for _ in 0..count {
            tokio::time::sleep(pause).await;
            if sender.send(Frame::data(Bytes::from_static(b"."))).await.is_err() {
                return;
            }
        }
    });
    body
}

fn cut() -> Response<Body> {
    let (mut sender, body) = body::channel(1);
    tokio::spawn(async move {
        // The receiver may have gone first.
        drop(sender.send(Frame::data(Bytes::from_static(b"0123456789"))).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        sender.abort(Error::new("cut as asked"));
    });
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("1000"));
    response
}
