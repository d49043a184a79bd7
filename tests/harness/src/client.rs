//! An HTTP client on one connection: the caller says where to connect, which name to send and verify, and which protocol
//! to speak, so that a test can let each of them differ.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::body::{self, Body};
use crate::ca::{Authority, Issued, fingerprint};
use crate::error::{Context, Error, Result};
use crate::tls;

/// Longest wait for a connection, for a response's head, and for each frame of its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to reach a server. Connections are made inside a tokio runtime with a current thread.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    address: SocketAddr,
    host: String,
    server_name: Option<String>,
    authority: Option<&'a Authority>,
    identity: Option<&'a Issued>,
    http2: bool,
}

impl<'a> Client<'a> {
    /// In the clear; `host` goes into `Host`, the connection to `address`.
    pub fn http(address: SocketAddr, host: impl Into<String>) -> Self {
        Self { address, host: host.into(), server_name: None, authority: None, identity: None, http2: false }
    }

    /// Over TLS, trusting `authority` alone; `host` (its port aside) is also the name sent and verified.
    pub fn https(address: SocketAddr, host: impl Into<String>, authority: &'a Authority) -> Self {
        Self { authority: Some(authority), ..Self::http(address, host) }
    }

    /// Another name to send (SNI) and verify than the host.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// A certificate to show when asked.
    #[must_use]
    pub fn identity(mut self, identity: &'a Issued) -> Self {
        self.identity = Some(identity);
        self
    }

    /// HTTP/2, the only protocol offered by ALPN; without TLS by prior knowledge.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// When nothing listens, the certificate does not verify, or the protocol is refused.
    pub async fn connect(&self) -> Result<Connection> {
        within("connect", self.dial()).await?
    }

    async fn dial(&self) -> Result<Connection> {
        let socket = TcpStream::connect(self.address).await.context(self.address)?;
        socket.set_nodelay(true).context("socket")?;
        let Some(authority) = self.authority else {
            return self.speak(socket, None).await;
        };
        let config = tls::client(authority, if self.http2 { &[tls::H2] } else { &[tls::HTTP_1_1] }, self.identity)?;
        let name = self.server_name.as_deref().unwrap_or_else(|| without_port(&self.host)).to_owned();
        let server = ServerName::try_from(name.clone()).context(name)?;
        let stream = TlsConnector::from(config).connect(server, socket).await.context("TLS")?;
        let session = stream.get_ref().1;
        if self.http2 && session.alpn_protocol() != Some(tls::H2) {
            return Err(Error::new("the server does not speak HTTP/2"));
        }
        let certificate = session.peer_certificates().and_then(|chain| chain.first()).map(fingerprint);
        self.speak(stream, certificate).await
    }

    async fn speak<S>(&self, stream: S, certificate: Option<String>) -> Result<Connection>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        let sender = if self.http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.context("HTTP/2")?;
            // What ends the connection is seen by the request that needed it.
            tokio::spawn(async { drop(connection.await) });
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.context("HTTP/1.1")?;
            tokio::spawn(async { drop(connection.await) });
            Sender::Http1(sender)
        };
        Ok(Connection { sender, host: self.host.clone(), tls: self.authority.is_some(), certificate })
    }

    /// One GET on a connection of its own.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Connection::request`].
    pub async fn get(&self, target: &str) -> Result<Answer> {
        self.connect().await?.get(target).await
    }
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// An open connection.
pub struct Connection {
    sender: Sender,
    host: String,
    tls: bool,
    certificate: Option<String>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("host", &self.host).field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Connection {
    /// SHA-256 of the certificate the server showed (and that verified), lower-case hexadecimal.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Whether another request could be sent.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    /// Sends a request whose target is origin-form and returns when the response's head is there. `Host` is filled in
    /// unless the request has one; HTTP/2 gets it as `:authority`.
    ///
    /// # Errors
    /// When the connection ends or no head comes.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>> {
        let request = self.address(request)?;
        let sent = async {
            match &mut self.sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        within("response head", sent).await?.context("request")
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection ends or something does not come.
    pub async fn request(&mut self, request: Request<Body>) -> Result<Answer> {
        Answer::read(self.send(request).await?).await
    }

    /// One GET.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub async fn get(&mut self, target: &str) -> Result<Answer> {
        self.request(get(target)?).await
    }

    fn address(&self, mut request: Request<Body>) -> Result<Request<Body>> {
        let host = request.headers().get(header::HOST).cloned();
        let host = host.map_or_else(|| HeaderValue::from_str(&self.host), Ok).context("host")?;
        match self.sender {
            Sender::Http1(_) => {
                request.headers_mut().insert(header::HOST, host);
            }
            Sender::Http2(_) => {
                request.headers_mut().remove(header::HOST);
                let mut parts = request.uri().clone().into_parts();
                parts.scheme = Some(if self.tls { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
                parts.authority = Some(http::uri::Authority::try_from(host.as_bytes()).context("host")?);
                *request.uri_mut() = Uri::from_parts(parts).context("target")?;
                *request.version_mut() = Version::HTTP_2;
            }
        }
        Ok(request)
    }
}

/// A GET without a body.
///
/// # Errors
/// When the target is no URI.
pub fn get(target: &str) -> Result<Request<Body>> {
    request(Method::GET, target, body::empty())
}

/// A request.
///
/// # Errors
/// When the target is no URI.
pub fn request(method: Method, target: &str, body: Body) -> Result<Request<Body>> {
    Request::builder().method(method).uri(target).body(body).context(target)
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The protocol it came by.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers.
    pub trailers: HeaderMap,
}

impl Answer {
    /// Reads the body and trailers of a response.
    ///
    /// # Errors
    /// When the body is cut short or pauses too long.
    pub async fn read(response: Response<Incoming>) -> Result<Self> {
        let (parts, mut incoming) = response.into_parts();
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        while let Some(frame) = within("response body", incoming.frame()).await? {
            match frame.context("response body")?.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        Ok(Self { status: parts.status, version: parts.version, headers: parts.headers, body: body.into(), trailers })
    }

    /// The first value of a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; an upstream's report is.
    ///
    /// # Errors
    /// When it is not, with the body's beginning.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context(format!("{} with {:.200}", self.status, self.text()))
    }
}

/// A header's values in an upstream's report.
pub fn reported<'r>(report: &'r Value, name: &str) -> Vec<&'r str> {
    let lines = report.get("headers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    lines.iter().filter(|line| line.get(0).and_then(Value::as_str) == Some(name)).filter_map(|line| line.get(1)?.as_str()).collect()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

async fn within<F: Future>(what: &str, future: F) -> Result<F::Output> {
    tokio::time::timeout(PATIENCE, future).await.context(format!("{what} within {PATIENCE:?}"))
}
