//! The thread that makes the requests of all plugins, for all workers: one cache and one look at what is in flight for each plugin, and no
//! lock. Workers send it messages and wait for the answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use super::cache::Cache;
use super::fetch::Fetch;
use super::hosts::{Hosts, Resolver};
use super::message::{HttpError, IncomingResponse, OUTCOMES, OutgoingRequest};
use super::{Granted, HttpClient};
use crate::config::model::HttpClientGrant;
use crate::telemetry::{HttpClientCells, Telemetry};
use crate::upstream::{Pool, Upstream};

/// Requests on their way from workers; more are told that there are too many.
const WAITING: usize = 4096;
/// How often unused connections, and plugins that are gone, are looked for.
const TIDY: Duration = Duration::from_secs(1);
/// How long an answer is also given to those who ask late: they looked for what the first to ask was about to write down.
const LATE: Duration = Duration::from_millis(100);
/// Answers kept for them by one plugin, and bytes of the body of each.
const LATE_ANSWERS: usize = 64;
const LATE_BYTES: usize = 64 << 10;

/// Where requests are made. Clones are the same; the thread ends with the last of them.
#[derive(Debug, Clone)]
pub struct HttpService {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
pub(super) enum Order {
    /// A plugin may make requests.
    Register(Weak<Granted>),
    /// Make one.
    Send(Arc<Granted>, Box<OutgoingRequest>, oneshot::Sender<Answered>),
}

pub(super) type Answered = Result<IncomingResponse, HttpError>;

impl HttpService {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start() -> io::Result<Self> {
        Self::start_with(|| Resolver::System)
    }

    fn start_with(resolver: impl FnOnce() -> Resolver + Send + 'static) -> io::Result<Self> {
        let (orders, received) = mpsc::channel(WAITING);
        let runtime = |received| -> io::Result<()> {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(serve(received, resolver()));
            Ok(())
        };
        std::thread::Builder::new().name("plugway-http".into()).spawn(move || {
            if let Err(error) = runtime(received) {
                tracing::error!(%error, "Plugins cannot make requests: their thread has no runtime");
            }
        })?;
        Ok(Self { orders })
    }

    /// What makes the requests of one plugin.
    pub fn client(&self, plugin: &str, grant: &HttpClientGrant, upstreams: Vec<Arc<Upstream>>, telemetry: &Telemetry) -> Arc<HttpClient> {
        let cells = telemetry.http_client(plugin, OUTCOMES);
        let granted = Arc::new(Granted { plugin: plugin.into(), grant: grant.clone(), upstreams, cells });
        // It is only known later where the thread is busy: by its first request.
        drop(self.orders.try_send(Order::Register(Arc::downgrade(&granted))));
        Arc::new(HttpClient { granted, orders: self.orders.clone() })
    }
}

/// What the thread has.
struct Service {
    hosts: Hosts,
    pool: Pool<Full<Bytes>>,
    plugins: RefCell<HashMap<Box<str>, Rc<Plugin>>>,
}

/// What it keeps of one plugin: over reloads and swaps, as long as the plugin is configured.
struct Plugin {
    clients: RefCell<Vec<Weak<Granted>>>,
    cache: RefCell<Cache>,
    in_flight: Cell<usize>,
    /// Requests that are made once, by who makes them and what makes requests identical.
    shared: RefCell<HashMap<Key, Shared>>,
    late_answers: Cell<usize>,
}

type Key = (usize, Vec<u8>);

/// How far a request is that several may ask for.
enum Shared {
    /// Those who wait for its answer.
    InFlight(Vec<Caller>),
    Answered(Box<IncomingResponse>),
}

/// Who waits for an answer.
struct Caller {
    answer: oneshot::Sender<Answered>,
    began: Instant,
}

async fn serve(mut orders: mpsc::Receiver<Order>, resolver: Resolver) {
    let service = Rc::new(Service { hosts: Hosts::new(resolver), pool: Pool::new(), plugins: RefCell::default() });
    let mut tidying = tokio::time::interval(TIDY);
    tidying.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Register(client)) => {
                    if let Some(granted) = client.upgrade() {
                        service.plugin(&granted).knows(&granted);
                    }
                }
                Some(Order::Send(granted, request, answer)) => {
                    let plugin = service.plugin(&granted);
                    plugin.knows(&granted);
                    take(Rc::clone(&service), plugin, granted, *request, answer);
                }
                None => return,
            },
            _ = tidying.tick() => service.tidy(),
        }
    }
}

impl Service {
    fn plugin(&self, granted: &Granted) -> Rc<Plugin> {
        let mut plugins = self.plugins.borrow_mut();
        let made = || {
            Rc::new(Plugin {
                clients: RefCell::default(),
                cache: RefCell::new(Cache::new(granted.grant.max_cache_bytes)),
                in_flight: Cell::new(0),
                shared: RefCell::default(),
                late_answers: Cell::new(0),
            })
        };
        Rc::clone(plugins.entry(granted.plugin.clone()).or_insert_with(made))
    }

    fn tidy(&self) {
        let now = Instant::now();
        self.pool.reap(now);
        self.hosts.reap(now);
        self.plugins.borrow_mut().retain(|_, plugin| {
            let mut clients = plugin.clients.borrow_mut();
            clients.retain(|client| client.strong_count() > 0);
            if let Some(latest) = clients.last().and_then(Weak::upgrade) {
                plugin.cache.borrow_mut().resize(latest.grant.max_cache_bytes);
            }
            !clients.is_empty() || plugin.in_flight.get() > 0
        });
    }
}

/// Takes a request: makes it, or lets it have the answer of one that is the same and in flight, or was a moment ago.
fn take(service: Rc<Service>, plugin: Rc<Plugin>, granted: Arc<Granted>, request: OutgoingRequest, answer: oneshot::Sender<Answered>) {
    let caller = Caller { answer, began: Instant::now() };
    if let Err(error) = request.check() {
        return caller.tell(Err(error), &granted.cells);
    }
    let key = request.is_shared().then(|| (client(&granted), request.identity()));
    if let Some(key) = &key
        && let Some(shared) = plugin.shared.borrow_mut().get_mut(key)
    {
        match shared {
            Shared::Answered(answer) => return caller.tell(Ok((**answer).clone()), &granted.cells),
            Shared::InFlight(waiting) if request.may_wait => return waiting.push(caller),
            // An older answer may do.
            Shared::InFlight(_) => {}
        }
    }
    let may_wait = request.may_wait && plugin.in_flight.get() < granted.grant.max_in_flight;
    let began = caller.began;
    let flight = Flight::begin(Rc::clone(&plugin), Arc::clone(&granted.cells), caller, key.clone().filter(|_| may_wait));
    tokio::task::spawn_local(async move {
        let for_late = may_wait && request.is_shared_late();
        let time = request.timeout.map_or(granted.grant.timeout, |timeout| timeout.min(granted.grant.timeout));
        let fetch = Fetch {
            grant: &granted.grant,
            upstreams: &granted.upstreams,
            cache: &plugin.cache,
            hosts: &service.hosts,
            pool: &service.pool,
            deadline: began + time,
            may_wait,
        };
        let answered = fetch.run(request).await;
        let late = key.filter(|_| for_late).and_then(|key| Some((key, answered.as_ref().ok()?.clone())));
        flight.end(answered);
        if let Some((key, answer)) = late {
            plugin.keep_for_late(key, answer).await;
        }
    });
}

/// A request that is being made. However that ends, it counts no more, whoever asks next asks anew, and those who wait are told.
struct Flight {
    plugin: Rc<Plugin>,
    cells: Arc<HttpClientCells>,
    /// Who asked first.
    caller: Option<Caller>,
    /// Where others wait with them.
    key: Option<Key>,
    answered: Answered,
}

impl Flight {
    fn begin(plugin: Rc<Plugin>, cells: Arc<HttpClientCells>, caller: Caller, key: Option<Key>) -> Self {
        if let Some(key) = key.clone() {
            plugin.shared.borrow_mut().insert(key, Shared::InFlight(Vec::new()));
        }
        plugin.flies(1, &cells);
        Self { plugin, cells, caller: Some(caller), key, answered: given_up() }
    }

    fn end(mut self, answered: Answered) {
        self.answered = answered;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.plugin.flies(-1, &self.cells);
        let shared = self.key.take().and_then(|key| self.plugin.shared.borrow_mut().remove(&key));
        let others = if let Some(Shared::InFlight(waiting)) = shared { waiting } else { Vec::new() };
        for other in others {
            other.tell(self.answered.clone(), &self.cells);
        }
        if let Some(caller) = self.caller.take() {
            caller.tell(std::mem::replace(&mut self.answered, given_up()), &self.cells);
        }
    }
}

fn given_up() -> Answered {
    Err(HttpError::Protocol("the gateway gave up on it".to_owned()))
}

/// Tells clients apart while they live: what one may reach, the one of another configuration may not.
fn client(granted: &Arc<Granted>) -> usize {
    Arc::as_ptr(granted).addr()
}

impl Plugin {
    /// Notes a client: while there is one, all of this is kept. Where the thread was too busy to be told of it, its first request tells.
    fn knows(&self, granted: &Arc<Granted>) {
        let mut clients = self.clients.borrow_mut();
        if !clients.iter().any(|client| std::ptr::eq(client.as_ptr(), Arc::as_ptr(granted))) {
            clients.push(Arc::downgrade(granted));
        }
    }

    /// Has an answer for a moment, where there is room.
    async fn keep_for_late(&self, key: Key, answer: IncomingResponse) {
        if self.late_answers.get() >= LATE_ANSWERS || answer.body.len() > LATE_BYTES {
            return;
        }
        self.late_answers.set(self.late_answers.get() + 1);
        self.shared.borrow_mut().insert(key.clone(), Shared::Answered(Box::new(answer)));
        tokio::time::sleep(LATE).await;
        self.shared.borrow_mut().remove(&key);
        self.late_answers.set(self.late_answers.get() - 1);
    }

    fn flies(&self, more: isize, cells: &HttpClientCells) {
        self.in_flight.set(self.in_flight.get().saturating_add_signed(more));
        cells.in_flight(self.in_flight.get());
    }
}

impl Caller {
    fn tell(self, answered: Answered, cells: &HttpClientCells) {
        let outcome = match &answered {
            Ok(answer) => answer.source.as_str(),
            Err(error) => error.as_str(),
        };
        cells.answered(outcome, self.began.elapsed());
        // Whoever asked may be gone.
        drop(self.answer.send(answered));
    }
}

#[cfg(test)]
mod tests;
