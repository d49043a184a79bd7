//! Upstream servers: real hyper servers on loopback, each in a thread of its own, that answer with what reached them.
//!
//! What a request gets is chosen by its path or, when a route fixes the path, by the header `x-behave` holding one:
//!
//! | path | answer |
//! |---|---|
//! | any other | 200 with a JSON report of the request, see [`behaviour`] |
//! | `/status/NNN` | that status, empty; the body is read first |
//! | `/bytes/N`, `/chunked/N` | N bytes with or without `Content-Length` |
//! | `/slow/MS` | the report after a pause |
//! | `/drip/N/MS` | N single bytes with a pause before each |
//! | `/trailers` | a body with the trailers `x-sum` (bytes received) and `x-echo-NAME` for every request trailer |
//! | `/echo` | the request's body as it arrives, trailers included |
//! | `/early-413` | 413 before any of the body was read, then the connection closes |
//! | `/redirect/NNN/PATH`, `/redirect/NNN?to=URL` | a redirect to there |
//! | `/fresh/S` | the report, fresh for so many seconds |
//! | `/close` | no answer, the connection closes |
//! | `/cut` | a head that announces 1,000 bytes, ten of them, then the connection closes |
//! | `/held` | the report, once [`Upstream::release`] has been called |
//! | `/hang` | nothing, ever |

pub mod behaviour;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::ca::{Authority, Issued, fingerprint};
use crate::error::{Context, Result};
use crate::tls;
use behaviour::Peer;
use wire::{Recorded, Transport};

/// Longest wait for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What an upstream is.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Sent back in `x-upstream` and in reports.
    pub name: &'a str,
    /// Where it listens; default `127.0.0.1:0`.
    pub address: SocketAddr,
    /// Its certificate; plain TCP without.
    pub identity: Option<&'a Issued>,
    /// Demands client certificates of this authority.
    pub clients: Option<&'a Authority>,
    /// Speaks HTTP/2: by ALPN beside HTTP/1.1 over TLS, alone (prior knowledge) without TLS.
    pub http2: bool,
}

impl<'a> Settings<'a> {
    /// A plain HTTP/1.1 server on a free port of 127.0.0.1.
    pub fn new(name: &'a str) -> Self {
        Self { name, address: SocketAddr::from(([127, 0, 0, 1], 0)), identity: None, clients: None, http2: false }
    }
}

/// A running upstream; it and its connections end on drop.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    address: SocketAddr,
    tls: bool,
    counts: Arc<Counts>,
    gate: Arc<Gate>,
    task: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What `/held` waits at; open when it is closed.
#[derive(Debug)]
struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

/// What reached an upstream so far.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    handshakes_failed: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
    wire: Mutex<Vec<u8>>,
}

impl Upstream {
    /// Starts a plain HTTP/1.1 upstream.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn plain(name: &str) -> Result<Self> {
        Self::start(&Settings::new(name))
    }

    /// Starts an HTTP/1.1 upstream over TLS.
    ///
    /// # Errors
    /// When no port or thread is to be had, or the certificate is not usable.
    pub fn tls(name: &str, identity: &Issued) -> Result<Self> {
        Self::start(&Settings { identity: Some(identity), ..Settings::new(name) })
    }

    /// Starts an upstream.
    ///
    /// # Errors
    /// When the address is not to be had or a certificate is not usable.
    pub fn start(settings: &Settings<'_>) -> Result<Self> {
        let alpn: &[&[u8]] = if settings.http2 { &[tls::H2, tls::HTTP_1_1] } else { &[tls::HTTP_1_1] };
        let config = settings.identity.map(|identity| tls::server(identity, alpn, settings.clients)).transpose()?;
        let listener = std::net::TcpListener::bind(settings.address).context(settings.address)?;
        listener.set_nonblocking(true).context("listener")?;
        let address = listener.local_addr().context("listener")?;
        let (counts, gate) = (Arc::new(Counts::default()), Arc::new(Gate::default()));
        let (stop, stopped) = oneshot::channel();
        let server = Server {
            name: Arc::from(settings.name),
            tls: config,
            http2: settings.http2,
            counts: Arc::clone(&counts),
            gate: Arc::clone(&gate),
        };
        let tls = server.tls.is_some();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            drop(tell.send(std::fs::read_link("/proc/thread-self")));
            runtime.block_on(async move {
                tokio::select! {
                    () = server.accept(listener) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name(format!("upstream {}", settings.name)).spawn(run).context("thread")?;
        let task = Path::new("/proc").join(told.recv().context("thread")?.context("/proc/thread-self")?);
        Ok(Self { name: settings.name.to_owned(), address, tls, counts, gate, task, stop: Some(stop), thread: Some(thread) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `scheme://ADDRESS:PORT`, for a configuration's `endpoints`.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Its thread in `/proc`, where the kernel says how long it ran and waited.
    pub fn task(&self) -> &Path {
        &self.task
    }

    /// Answers whatever waits at `/held`, and whatever comes there from now on.
    pub fn release(&self) {
        self.gate.0.close();
    }

    /// Requests whose head arrived whole.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// TLS handshakes that failed.
    pub fn handshakes_failed(&self) -> u64 {
        self.counts.handshakes_failed.load(Ordering::SeqCst)
    }

    /// Bytes received inside TLS, or on the socket without it. Zero proves that nothing reached this upstream.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::SeqCst)
    }

    /// The bytes themselves, all connections in order of arrival; only the first MiB is kept.
    pub fn wire(&self) -> Vec<u8> {
        self.counts.wire.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // The server waits for either a message or this.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Server {
    name: Arc<str>,
    tls: Option<Arc<ServerConfig>>,
    http2: bool,
    counts: Arc<Counts>,
    gate: Arc<Gate>,
}

impl Server {
    async fn accept(self, listener: std::net::TcpListener) {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        let server = Arc::new(self);
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    server.counts.connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(Arc::clone(&server).connection(socket));
                }
                // Out of descriptors: the next one may fit.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, socket: TcpStream) {
        drop(socket.set_nodelay(true));
        let mut peer = Peer { upstream: Arc::clone(&self.name), gate: Arc::clone(&self.gate), ..Peer::default() };
        let transport = match &self.tls {
            None => Transport::Plain(socket),
            Some(config) => {
                let handshake = TlsAcceptor::from(Arc::clone(config)).accept(socket);
                let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await else {
                    self.counts.handshakes_failed.fetch_add(1, Ordering::SeqCst);
                    return;
                };
                let connection = stream.get_ref().1;
                peer.tls = true;
                peer.server_name = connection.server_name().map(str::to_owned);
                peer.http2 = connection.alpn_protocol() == Some(tls::H2);
                peer.client_certificate = connection.peer_certificates().and_then(|chain| chain.first()).map(fingerprint);
                Transport::Tls(Box::new(stream))
            }
        };
        let http2 = if peer.tls { peer.http2 } else { self.http2 };
        let peer = Arc::new(peer);
        let counts = Arc::clone(&self.counts);
        let service = service_fn(move |request| {
            counts.requests.fetch_add(1, Ordering::SeqCst);
            behaviour::answer(Arc::clone(&peer), request)
        });
        let io = TokioIo::new(Recorded { inner: transport, counts: Arc::clone(&self.counts) });
        // How a connection ends is the client's to judge.
        if http2 {
            drop(hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await);
        } else {
            let mut builder = hyper::server::conn::http1::Builder::new();
            drop(builder.timer(TokioTimer::new()).serve_connection(io, service).await);
        }
    }
}
