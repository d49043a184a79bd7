//! The control thread: everything that is not a request. It assembles, starts the workers, runs observers and timers, answers the
//! admin listener, and ends the workers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use super::prepare::{Prepared, look_further};
use super::status::Status;
use super::{Addresses, Order, StartError};
use crate::assembly::{Assembled, Observers, Workshop};
use crate::config::model::Config;
use crate::config::{Problems, Rejected};
use crate::plugin::{Compiler, Ticker};
use crate::proxy::{Batch, Shared};
use crate::server::tls::ServerTls;
use crate::server::{Command, Sockets, Start, WorkerHandle, WorkerListener, admin, start};
use crate::telemetry::Telemetry;

type Started = std::sync::mpsc::Sender<Result<Addresses, StartError>>;

/// Batches on their way from workers; a worker that finds it full drops and counts.
const BATCHES: usize = 64;

/// Runs a gateway to its end.
pub(super) fn run(config: Config, compiler: Compiler, orders: mpsc::Receiver<Order>, started: &Started) {
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            drop(started.send(Err(StartError::System(error.to_string()))));
            return;
        }
    };
    runtime.block_on(async move {
        match Running::start(config, compiler).await {
            Ok((running, addresses)) => {
                drop(started.send(Ok(addresses)));
                running.run(orders).await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}

struct Running {
    config: Config,
    workers: Vec<WorkerHandle>,
    observers: Observers,
    batches: mpsc::Receiver<Batch>,
    status: Rc<Status>,
    telemetry: Arc<Telemetry>,
    /// Ticks for as long as anything can run a plugin.
    _ticker: Option<Ticker>,
    _workshop: Workshop,
}

impl Running {
    async fn start(config: Config, compiler: Compiler) -> Result<(Self, Addresses), StartError> {
        let began = Instant::now();
        let telemetry = Telemetry::new().map_err(StartError::System)?;
        let prepared = Prepared::new(&config, &telemetry, compiler, config.workers)?;
        let Prepared { workshop, ticker, assembled, observers, generations, tls } = prepared;
        let (mut sockets, mut addresses) = open(&config, tls)?;
        let shared = Arc::new(Shared::default());
        let (records, batches) = mpsc::channel(BATCHES);
        // Nothing can fail any more but the machine itself: from here on it serves.
        let mut workers = Vec::with_capacity(config.workers);
        for (index, generation) in generations.into_iter().enumerate() {
            let worker = Start {
                index,
                generation,
                listeners: sockets.iter_mut().filter_map(OpenListener::next).collect(),
                cells: telemetry.worker(index),
                shared: Arc::clone(&shared),
                records: records.clone(),
                turns: ticker.as_ref().and_then(Ticker::turns),
            };
            workers.push(start(worker).map_err(|error| StartError::System(error.to_string()))?);
        }
        let status = Rc::new(Status::new(&config, &addresses, assembled, Arc::clone(&telemetry)));
        if let Some(address) = config.admin {
            addresses.admin = Some(serve_admin(address, Rc::clone(&status)).await?);
        }
        announce(&addresses, began.elapsed());
        Ok((Self { config, workers, observers, batches, status, telemetry, _ticker: ticker, _workshop: workshop }, addresses))
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                Some(batch) = self.batches.recv() => self.observe(batch),
                () = until(self.observers.next_tick()) => self.observers.tick(),
                order = orders.recv() => match order {
                    Some(Order::Drain(done)) => {
                        self.drain().await;
                        let _ = done.send(());
                        return;
                    }
                    None => {
                        self.stop().await;
                        return;
                    }
                },
            }
        }
    }

    fn observe(&mut self, batch: Batch) {
        if let Err(lost) = self.observers.complete(batch) {
            self.telemetry.records_lost(lost);
        }
    }

    async fn drain(&mut self) {
        self.status.draining.set(true);
        tracing::info!(within = ?self.config.timeouts.drain, "Draining");
        for worker in &self.workers {
            drop(worker.commands.send(Command::Drain).await);
        }
        let deadline = Instant::now() + self.config.timeouts.drain;
        // Observers hear of the last requests too.
        while self.workers.iter().any(|worker| !worker.thread.is_finished()) && Instant::now() < deadline {
            if let Ok(Some(batch)) = tokio::time::timeout(Duration::from_millis(10), self.batches.recv()).await {
                self.observe(batch);
            }
        }
        self.stop().await;
        while let Ok(batch) = self.batches.try_recv() {
            self.observe(batch);
        }
        tracing::info!("Stopped");
    }

    async fn stop(&mut self) {
        for worker in &self.workers {
            // Fails where the worker has ended already.
            drop(worker.commands.send(Command::Stop).await);
        }
        for worker in self.workers.drain(..) {
            if worker.thread.join().is_err() {
                tracing::error!("A worker ended by a panic");
            }
        }
    }
}

/// Waits for that moment; for ever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

struct OpenListener {
    name: Arc<str>,
    sockets: std::vec::IntoIter<std::net::TcpListener>,
    tls: Option<Arc<ServerTls>>,
}

impl OpenListener {
    /// The socket of the next worker.
    fn next(&mut self) -> Option<WorkerListener> {
        Some(WorkerListener { name: Arc::clone(&self.name), socket: self.sockets.next()?, tls: self.tls.clone() })
    }
}

fn open(config: &Config, tls: Vec<Option<Arc<ServerTls>>>) -> Result<(Vec<OpenListener>, Addresses), StartError> {
    let mut addresses = Addresses::default();
    let mut opened = Vec::with_capacity(config.listeners.len());
    for (listener, tls) in config.listeners.iter().zip(tls) {
        let failed = |error| StartError::Listen { key: format!("listen.{}", listener.name), address: listener.address, error };
        let sockets = Sockets::open(listener.address, config.workers).map_err(failed)?;
        addresses.listeners.push((listener.name.clone(), sockets.address));
        opened.push(OpenListener { name: Arc::from(listener.name.as_str()), sockets: sockets.sockets.into_iter(), tls });
    }
    Ok((opened, addresses))
}

async fn serve_admin(address: std::net::SocketAddr, status: Rc<Status>) -> Result<std::net::SocketAddr, StartError> {
    let failed = |error| StartError::Listen { key: "admin".to_owned(), address, error };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tokio::task::spawn_local(admin::serve(listener, status));
    Ok(address)
}

fn announce(addresses: &Addresses, took: Duration) {
    for (name, address) in &addresses.listeners {
        tracing::info!(listener = name, %address, "Listening");
    }
    if let Some(address) = addresses.admin {
        tracing::info!(%address, "Admin listening");
    }
    // 128 bits would be a text in JSON.
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(took_ms, "Serving");
}

/// Assembles a configuration and makes one instance of everything, as `check` does: binds nothing, serves nothing.
///
/// # Errors
/// Every problem that was found.
pub fn check(config: &Config, compiler: Compiler) -> Result<Assembled, StartError> {
    let telemetry = Telemetry::new().map_err(StartError::System)?;
    Prepared::new(config, &telemetry, compiler, 1).map(|prepared| prepared.assembled)
}

/// Adds to the problems of a rejected configuration those that can be seen in the rest of it.
///
/// # Errors
/// When the machine has not what looking takes.
pub fn explain(rejected: Rejected, compiler: Compiler) -> Result<Problems, StartError> {
    let Rejected { mut problems, rest } = rejected;
    if let Some(rest) = rest {
        look_further(&rest, compiler, &mut problems)?;
    }
    Ok(problems)
}
