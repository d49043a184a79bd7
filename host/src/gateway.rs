//! A running gateway: the control thread, its workers, and the way they end.

mod canary;
mod catalogue;
mod control;
mod exports;
mod fingerprint;
mod fixed;
mod outcome;
mod prepare;
mod rejection;
mod reload;
mod shown;
mod status;
mod stock;
mod versions;

use std::fmt;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};

pub use control::{check, explain};

use crate::config::Problems;
use crate::config::model::Config;
use crate::plugin::Compiler;

/// A running gateway. Dropping it stops it at once; [`Gateway::drain`] lets requests finish.
#[derive(Debug)]
pub struct Gateway {
    addresses: Addresses,
    orders: mpsc::Sender<Order>,
    control: Option<JoinHandle<()>>,
}

/// Where a gateway listens.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// `[listen.NAME]` and its address.
    pub listeners: Vec<(String, SocketAddr)>,
    /// The admin listener.
    pub admin: Option<SocketAddr>,
}

/// Why a gateway did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration cannot be served.
    Problems(Problems),
    /// A socket could not be opened.
    Listen {
        /// `listen.NAME` or `admin`.
        key: String,
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The machine refused something: threads, memory.
    System(String),
}

/// What a gateway is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Read everything again, and serve by it if all of it can be served.
    Reload,
    /// Finish what is in flight, within the configured time, then end.
    Drain(oneshot::Sender<()>),
}

impl Gateway {
    /// Starts a gateway and waits until it serves. Plugins that are not in the cache are compiled by `compiler`.
    ///
    /// # Errors
    /// When anything of the configuration cannot be served; nothing is left running.
    pub fn start(config: Config, compiler: Compiler) -> Result<Self, StartError> {
        let (orders, receiver) = mpsc::channel(4);
        let (started, start) = std::sync::mpsc::channel();
        let control = std::thread::Builder::new()
            .name("plugway-control".into())
            .spawn(move || control::run(config, compiler, receiver, &started))
            .map_err(|error| StartError::System(error.to_string()))?;
        match start.recv() {
            Ok(Ok(addresses)) => Ok(Self { addresses, orders, control: Some(control) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::System("the control thread ended while starting".into())),
        }
    }

    /// Says in the log where it listens, and that it serves, which took so long. For who hears already what the gateway may be told to do then.
    pub fn announce(&self, took: Duration) {
        for (name, address) in &self.addresses.listeners {
            tracing::info!(listener = name, %address, "Listening");
        }
        if let Some(address) = self.addresses.admin {
            tracing::info!(%address, "Admin listening");
        }
        // 128 bits would be a text in JSON.
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(took_ms, "Serving");
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Has the configuration and everything it names read again. What comes of it stands in log and status.
    pub async fn reload(&self) {
        // An error means that it has ended.
        drop(self.orders.send(Order::Reload).await);
    }

    /// Stops accepting, lets requests in flight finish within the configured time, and ends. Resolves when it has ended.
    pub async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        if self.orders.send(Order::Drain(done)).await.is_ok() {
            // An error means that it has ended already.
            drop(drained.await);
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The control thread ends when nobody can order it any more.
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.orders, closed));
        if let Some(control) = self.control.take() {
            drop(control.join());
        }
    }
}

/// Seconds since 1970, as status shows moments.
fn unix(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => problems.fmt(f),
            Self::Listen { key, address, error } if error.kind() == std::io::ErrorKind::AddrInUse => {
                write!(f, "{key}: {address} is in use; stop what listens there or choose another address")
            }
            Self::Listen { key, address, error } => write!(f, "{key}: {address} cannot be listened on: {error}"),
            Self::System(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for StartError {}
