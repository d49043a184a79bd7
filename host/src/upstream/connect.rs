//! A new connection: name to addresses, TCP, TLS, all within one deadline.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use super::{Endpoint, Plan, Profile};
use crate::config::model::Protocol;
use crate::fault::Fault;

/// First keep-alive probe on a silent connection, and the pause between probes after it: a peer that vanished is noticed
/// within two minutes, before the idle timeouts of common firewalls.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct ConnectError {
    pub(super) fault: Fault,
    pub(super) source: Option<Box<dyn Error + Send + Sync>>,
}

/// A connection that is being made, for as long as somebody waits for it.
struct Making<'p> {
    plan: &'p Plan<'p>,
    began: Instant,
    is_over: bool,
}

impl ConnectError {
    /// Whether it is this side that had no room for a connection.
    pub(super) fn is_ours(&self) -> bool {
        self.fault == Fault::Overloaded
    }

    /// Whether it is how the endpoint was spoken to.
    fn is_of_tls(&self) -> bool {
        matches!(self.fault, Fault::UpstreamTlsFailed | Fault::Internal)
    }

    fn connecting(error: io::Error) -> Self {
        let fault = if is_for_want_of_room(&error) { Fault::Overloaded } else { Fault::UpstreamConnectFailed };
        Self { fault, source: Some(Box::new(error)) }
    }
}

/// Whether something failed because the process or the machine has no open files or memory left for it. Ports are another matter: closing other
/// connections gives none back for a minute, and whoever has no IPv6 is told of want of an address.
pub fn is_for_want_of_room(error: &io::Error) -> bool {
    const ROOM: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| ROOM.contains(&error))
}

/// The same of what a resolver says, which names no such error: whether there is no file to be had now.
fn is_without_files() -> bool {
    std::fs::File::open("/dev/null").is_err_and(|error| is_for_want_of_room(&error))
}

/// Connects as the plan says and tells the endpoint's availability how it went.
pub(super) async fn connect(plan: &Plan<'_>) -> Result<Stream, ConnectError> {
    let availability = &plan.endpoint.state.availability;
    let is_try = availability.begin(Instant::now().into_std());
    let making = Making { plan, began: Instant::now(), is_over: false };
    let deadline = making.began + plan.connect_timeout;
    let result = match timeout_at(deadline, open(plan, deadline)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError { fault: Fault::UpstreamConnectTimeout, source: None }),
    };
    making.over();
    match &result {
        Ok(_) => availability.succeeded(),
        // Says nothing of the endpoint.
        Err(error) if error.is_ours() || (plan.is_edited() && error.is_of_tls()) => {
            if is_try {
                availability.not_tried(Instant::now().into_std());
            }
        }
        Err(_) => availability.failed(Instant::now().into_std()),
    }
    result
}

impl Making<'_> {
    fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        // How far an edited one had come nobody knows.
        if !self.is_over && !self.plan.is_edited() {
            self.plan.endpoint.state.availability.given_up(self.began.elapsed(), Instant::now().into_std());
        }
    }
}

async fn open(plan: &Plan<'_>, deadline: Instant) -> Result<Stream, ConnectError> {
    let tcp = open_tcp(plan.endpoint, deadline).await?;
    match plan.profile() {
        None if plan.uses_tls() => Err(fail(Fault::Internal, "an endpoint with TLS but no TLS profile")),
        None => Ok(Stream::Plain(tcp)),
        Some(profile) => open_tls(plan, profile, tcp).await,
    }
}

/// Tries every address in the resolver's order (RFC 6724), each with its share of the time that is left.
async fn open_tcp(endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let addresses = resolve(endpoint).await?;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last = None;
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left -= 1;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A failure of these two costs speed, not correctness.
                let _ = stream.set_nodelay(true);
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(ConnectError::connecting(error)),
            Err(_) => last = Some(ConnectError { fault: Fault::UpstreamConnectTimeout, source: None }),
        }
    }
    Err(last.unwrap_or_else(|| fail(Fault::UpstreamUnresolved, "the name has no address")))
}

async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, endpoint.port)]);
    }
    match tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => {
            let fault = if is_without_files() { Fault::Overloaded } else { Fault::UpstreamUnresolved };
            Err(ConnectError { fault, source: Some(Box::new(error)) })
        }
    }
}

async fn open_tls(plan: &Plan<'_>, profile: &Profile, tcp: TcpStream) -> Result<Stream, ConnectError> {
    let name = server_name(plan, profile).ok_or_else(|| fail(Fault::Internal, "an endpoint with TLS but no server name"))?;
    let connector = TlsConnector::from(std::sync::Arc::clone(profile.client_config(plan.protocol)));
    let stream = connector
        .connect(name.clone(), tcp)
        .await
        .map_err(|error| ConnectError { fault: Fault::UpstreamTlsFailed, source: Some(Box::new(error)) })?;
    if plan.protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(fail(Fault::UpstreamTlsFailed, "the upstream does not offer HTTP/2 (ALPN h2)"));
    }
    Ok(Stream::Tls(Box::new(stream)))
}

fn server_name<'p>(plan: &'p Plan<'_>, profile: &'p Profile) -> Option<&'p ServerName<'static>> {
    plan.server_name.as_deref().or(profile.server_name.as_ref()).or(plan.endpoint.server_name.as_ref())
}

fn fail(fault: Fault, why: &'static str) -> ConnectError {
    ConnectError { fault, source: Some(Box::new(io::Error::other(why))) }
}
