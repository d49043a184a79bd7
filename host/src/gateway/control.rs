//! The control thread: everything that is not a request. It assembles, starts the workers, runs observers and timers, answers the
//! admin listener, and ends the workers.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::catalogue::Catalogue;
use super::exports::{self, Exports};
use super::fingerprint::Fingerprint;
use super::outcome::Cause;
use super::prepare::{Prepared, Ready, look_further};
use super::reload::{self, Install, Reloader};
use super::shown::Shown;
use super::status::Status;
use super::stock::{Scope, Stock};
use super::versions::Versions;
use super::{Addresses, Order, StartError};
use crate::assembly::{Assembled, Observing, Version, read_all};
use crate::config::model::Config;
use crate::config::{Problems, Rejected};
use crate::incidents::{Watch, Watched};
use crate::otlp::Exporter;
use crate::plugin::{Compiler, LoadedComponent};
use crate::proxy::{Batch, Shared};
use crate::server::tls::ServerTls;
use crate::server::{Command, Next, Sockets, Start, WorkerHandle, WorkerListener, admin, start};
use crate::store::{self, StoreThread};
use crate::telemetry::{AccessWriter, Telemetry};

type Started = std::sync::mpsc::Sender<Result<Addresses, StartError>>;

/// Batches on their way from workers; a worker that finds it full drops and counts.
const BATCHES: usize = 64;

/// How often it is looked whether earlier generations have ended.
const TIDY: Duration = Duration::from_millis(200);

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
    config: Arc<Config>,
    workers: Vec<WorkerHandle>,
    /// `None` where nothing is stored.
    store: Option<StoreThread>,
    observers: Observing,
    batches: mpsc::Receiver<Batch>,
    status: Rc<Status>,
    telemetry: Arc<Telemetry>,
    /// Send and write what is left when all else has ended.
    _exporter: Option<Exporter>,
    _writer: AccessWriter,
    /// Where analysis is told what is configured.
    watched: std::sync::mpsc::Sender<Arc<Watched>>,
    /// What is ready to take the place of what serves.
    installs: mpsc::Receiver<Install>,
}

impl Running {
    async fn start(config: Config, compiler: Compiler) -> Result<(Self, Addresses), StartError> {
        let telemetry = Telemetry::new().map_err(StartError::System)?;
        let fingerprint = Fingerprint::of(&config);
        let mut catalogue = Catalogue::new(versions(&config)?);
        let (prepared, stock) = prepare(&config, &mut catalogue, &telemetry, compiler)?;
        let Prepared { workshop, terminated, ready, .. } = prepared;
        let Ready { assembled, observers, generations, tls } = ready;
        let exports = Exports::start(&config, &telemetry)?;
        let (writer, access) = AccessWriter::start(&config.access_log, &telemetry).map_err(|error| no_access_log(&config, &error))?;
        let (mut sockets, mut addresses) = open(&config, tls)?;
        let admin = open_admin(config.admin, &mut addresses).await?;
        for warning in &assembled.warnings {
            tracing::warn!(key = warning.key, line = warning.position.line, "{}", warning.message);
        }
        let shared = Arc::new(Shared::default());
        let (records, batches) = mpsc::channel(BATCHES);
        telemetry.promise(&config.slos());
        // Nothing can fail any more but the machine itself: from here on it serves.
        let (watched, news) = std::sync::mpsc::channel();
        let shown = Arc::new(Shown::default());
        telemetry.watch_upstreams(Arc::downgrade(&shown) as _);
        let watch = Watch::new(Watched::of(&config), news, shown.incidents.clone(), Arc::clone(&telemetry));
        let (tallies, store) = match config.store.enabled {
            true => store::start(config.store.clone(), Arc::clone(&telemetry), Some(Box::new(watch)))
                .map(|(tallies, store)| (Some(tallies), Some(store)))
                .map_err(|error| StartError::System(error.to_string()))?,
            false => (None, None),
        };
        let mut workers = Vec::with_capacity(config.workers);
        for (index, generation) in generations.into_iter().enumerate() {
            let worker = Start {
                index,
                generation,
                listeners: sockets.iter_mut().filter_map(OpenListener::next).collect(),
                cells: telemetry.worker(index),
                shared: Arc::clone(&shared),
                records: records.clone(),
                access: access.clone(),
                stories: exports.stories.clone(),
                tallies: tallies.clone(),
            };
            workers.push(start(worker).map_err(|error| StartError::System(error.to_string()))?);
        }
        shown.serves(Arc::clone(&assembled.snapshot));
        let (install, installs) = mpsc::channel(1);
        let config = Arc::new(config);
        let served: Vec<_> = assembled.components(Version::Serving).collect();
        let tried: Vec<_> = assembled.components(Version::Canary).collect();
        catalogue.serve(&config, &served);
        for change in catalogue.try_out(&config, &tried, &telemetry) {
            tracing::info!("{change}");
        }
        catalogue.keep(&config, &stock);
        let (telemetry_there, shown_there, config_there) = (Arc::clone(&telemetry), Arc::clone(&shown), Arc::clone(&config));
        let last_reload = serde_json::Value::Null;
        let reloader = Reloader {
            workshop,
            terminated,
            telemetry: telemetry_there,
            shown: shown_there,
            install,
            config: config_there,
            fingerprint,
            catalogue,
            // Should it have changed since it was read, the first look finds that.
            config_digest: LoadedComponent::digest(&std::fs::read(&config.file).unwrap_or_default()),
            last_reload,
        };
        reloader.show(&stock);
        let reloads = reload::start(reloader).map_err(|error| StartError::System(error.to_string()))?;
        let commands = workers.iter().map(|worker| worker.commands.clone()).collect();
        let status = Rc::new(Status::new(&config, &addresses, assembled, Arc::clone(&telemetry), shown, reloads, commands));
        if let Some(listener) = admin {
            tokio::task::spawn_local(admin::serve(listener, Rc::clone(&status)));
        }
        Ok((
            Self {
                config,
                workers,
                store,
                observers: observers.begin(),
                batches,
                status,
                telemetry,
                _exporter: exports.exporter,
                _writer: writer,
                watched,
                installs,
            },
            addresses,
        ))
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        // Of its own: batches and ticks that come faster must not put it off.
        let mut tidying = tokio::time::interval(TIDY);
        tidying.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(batch) = self.batches.recv() => self.observe(batch),
                Some(install) = self.installs.recv() => self.install(install).await,
                _ = tidying.tick(), if self.observers.has_earlier() => self.tidy(),
                () = until(self.observers.next_tick()) => self.observers.tick(),
                order = orders.recv() => match order {
                    Some(Order::Drain(done)) => {
                        self.drain().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(Order::Reload) => {
                        let status = Rc::clone(&self.status);
                        // Its outcome is logged where it happens.
                        tokio::task::spawn_local(async move { drop(status.reload(Cause::Signal).await) });
                    }
                    None => {
                        self.status.end_reloads();
                        self.stop().await;
                        return;
                    }
                },
            }
        }
    }

    /// Hands what is ready to the workers. Nothing can fail any more: each of them only moves a pointer.
    async fn install(&mut self, install: Install) {
        let Install { config, ready, installed } = install;
        let Ready { assembled, observers, generations, tls } = ready;
        let mut serving = Vec::with_capacity(self.workers.len());
        for (worker, generation) in self.workers.iter().zip(generations) {
            let (done, serves) = oneshot::channel();
            let next = Box::new(Next { generation, tls: tls.clone() });
            // A worker that has ended serves nothing.
            if worker.commands.send(Command::Serve(next, done)).await.is_ok() {
                serving.push(serves);
            }
        }
        for serves in serving {
            drop(serves.await);
        }
        self.observers.replace(observers);
        self.status.serves(assembled);
        self.telemetry.promise(&config.slos());
        // Nobody hears it where nothing is stored.
        drop(self.watched.send(Arc::new(Watched::of(&config))));
        self.config = config;
        // The thread that made it waits for this.
        let _ = installed.send(());
    }

    /// Ends what is left of earlier generations.
    fn tidy(&mut self) {
        self.status.end_earlier();
        self.observers.end_earlier(Instant::now());
    }

    fn observe(&mut self, batch: Batch) {
        if let Err(lost) = self.observers.complete(batch) {
            self.telemetry.records_lost(lost);
        }
    }

    async fn drain(&mut self) {
        self.status.draining.set(true);
        self.status.end_reloads();
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
        // Workers were the only ones that told it anything.
        if let Some(store) = self.store.take() {
            store.join();
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

fn no_access_log(config: &Config, error: &std::io::Error) -> StartError {
    let mut problems = Problems::new(&config.file);
    let message = format!("this file cannot be written to: {error}");
    problems.push(config.problem("access_log.file", message).with_suggestion("make its folder, and let the gateway write there"));
    StartError::Problems(problems)
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

/// The socket of the admin listener, before anybody is served: who cannot have it does not start.
async fn open_admin(address: Option<std::net::SocketAddr>, addresses: &mut Addresses) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let failed = |error| StartError::Listen { key: "admin".to_owned(), address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    addresses.admin = Some(listener.local_addr().map_err(failed)?);
    Ok(Some(listener))
}

/// The versions that are kept. What they say was decided by an operator, so a folder that others can write is a reason not to start.
fn versions(config: &Config) -> Result<Versions, StartError> {
    Versions::open(&config.state_directory).map_err(|error| {
        let mut problems = Problems::new(&config.file);
        let message = format!("versions of plugins cannot be kept in {}: {error}", config.state_directory.display());
        let help = "make it a folder of this user's that nobody else can write, or name another one";
        problems.push(config.problem("state_directory", message).with_suggestion(help));
        StartError::Problems(problems)
    })
}

/// Everything for a start. Where the version that served before cannot go on serving, as when the configuration became another while
/// nothing ran, what the plugins' files hold serves at once.
fn prepare(
    config: &Config,
    catalogue: &mut Catalogue,
    telemetry: &Arc<Telemetry>,
    compiler: Compiler,
) -> Result<(Prepared, Stock), StartError> {
    let supplies = |stock: &Stock| stock.supplies(config, Scope::All, &BTreeSet::new());
    let stock = catalogue.read(config);
    let at_once = stock.has_canaries().then(|| stock.without_canaries());
    let prepared = Prepared::new(config, supplies(&stock), at_once.as_ref().map(supplies), telemetry, compiler, config.workers)?;
    if let Some(problems) = &prepared.instead_of {
        tracing::warn!(error = %problems, "No canary runs: it could not be tried beside what served before");
    }
    let stock = at_once.filter(|_| prepared.instead_of.is_some()).unwrap_or(stock);
    Ok((prepared, stock))
}

/// Assembles a configuration and makes one instance of everything, as `check` does: binds nothing, serves nothing.
///
/// # Errors
/// Every problem that was found.
pub fn check(config: &Config, compiler: Compiler) -> Result<Assembled, StartError> {
    let telemetry = Telemetry::new().map_err(StartError::System)?;
    exports::settings(config).map_err(StartError::Problems)?;
    Prepared::new(config, read_all(config), None, &telemetry, compiler, 1).map(|prepared| prepared.ready.assembled)
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
