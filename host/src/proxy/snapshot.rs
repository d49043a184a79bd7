//! What a worker reads while it serves: one immutable snapshot shared by all workers, and this worker's own share of it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use http::HeaderName;
use ipnet::IpNet;

use super::attempted::Bell;
use super::canaries::Canaries;
use super::recent::Recent;
use super::records::RecordSink;
use super::request_body::RequestBody;
use super::retries::Retries;
use super::sampling::Tracing;
use super::wall_clock::WallClock;
use crate::config::model::{ClientAddressHeader, Limits, Timeouts};
use crate::exchange::{Exchange, RouteFacts};
use crate::pipeline::{Chain, Holds, Plugins};
use crate::places::{Kept, Places, Quota};
use crate::route::Table;
use crate::telemetry::{AccessPlan, AccessQueue, RouteCells, Tallies, UpstreamCells, WorkerCells};
use crate::trace::Story;
use crate::upstream::{Pool, RoundRobins, Upstream};

/// Everything a configuration means for a request. Built by assembly, never changed.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with every reload.
    pub number: u64,
    /// Which route takes a request.
    pub table: Table,
    /// Every route, as the table numbers them.
    pub routes: Vec<Arc<RoutePlan>>,
    /// Stands in for the route of a request that has none.
    pub unrouted: Arc<RouteFacts>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// By which of their headers the client's address is known.
    pub client_address_header: ClientAddressHeader,
    /// Whether a client's headers with `_` in their names are passed on.
    pub keep_underscores: bool,
    /// What a client may use.
    pub limits: Limits,
    /// How long a client may take.
    pub timeouts: Timeouts,
}

/// One route, ready to serve. On cache lines of its own, since each worker counts who holds the ones it has.
#[derive(Debug)]
#[repr(align(128))]
pub struct RoutePlan {
    /// What plugins, logs and metrics call it.
    pub facts: Arc<RouteFacts>,
    /// Its hooks.
    pub chain: Chain,
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// When a request is made again.
    pub retries: Retries,
    /// Largest request body, bytes.
    pub max_body_bytes: Option<u64>,
    /// Request headers that no client says to its upstream: a plugin of this route, or of another one to the same upstream, says them.
    pub kept_from_clients: Arc<[HeaderName]>,
    /// The same route with canaries in its chain, for the clients that meet them.
    pub canaries: Option<Box<Canaries>>,
}

/// One worker's share of a snapshot: instances and counters are its own, so nothing of it is ever locked.
#[derive(Debug)]
pub struct Generation {
    /// The shared part.
    pub snapshot: Arc<Snapshot>,
    /// This worker's instances.
    pub plugins: Plugins,
    /// Every route, as the table numbers them; this worker's own, so that nobody else counts who holds it.
    pub routes: Vec<Arc<RoutePlan>>,
    /// Stands in for the route of a request that has none; this worker's own, as well.
    pub no_route: Arc<RouteFacts>,
    /// What is logged of finished exchanges, if anything; this worker's own, as well.
    pub access_log: Option<Arc<AccessPlan>>,
    /// What is recorded of requests; this worker's own, as well.
    pub tracing: Arc<Tracing>,
    /// Counters by route, as the table numbers them.
    pub cells: Vec<Arc<RouteCells>>,
    /// Counters of the upstream of each route.
    pub upstreams: Vec<Arc<UpstreamCells>>,
    /// Counters of requests without a route.
    pub unrouted: Arc<RouteCells>,
    /// Native round robin.
    pub native: RoundRobins,
    /// How many requests may be in flight.
    pub in_flight: Quota,
    /// Who ends the instances when nothing is served by them any more: giving back their memory takes a while, and a worker
    /// has requests waiting. Ended where this is dropped without one.
    pub ended_by: Option<mpsc::Sender<Plugins>>,
}

/// One worker, for as long as the gateway runs.
pub struct Worker {
    /// From 0.
    pub index: usize,
    /// The generation new requests are served by.
    generation: RefCell<Rc<Generation>>,
    /// Connections to upstreams.
    pub pool: Pool<RequestBody>,
    /// Its counters.
    pub cells: Arc<WorkerCells>,
    /// Limits shared by all workers.
    pub shared: Arc<Shared>,
    /// Of the requests that may be in flight, places that this worker keeps.
    kept: Kept,
    /// Where records for observers go.
    pub records: RecordSink,
    /// Where lines of the access log go.
    pub access: AccessQueue,
    /// Where stories of sampled requests go, if anywhere.
    pub stories: Option<tokio::sync::mpsc::Sender<Arc<Story>>>,
    /// What the monitoring store is told.
    pub tallies: Tallies,
    /// When requests came, by the wall clock.
    pub(super) clock: WallClock,
    recent: Recent,
    /// Rings when a batch of outcomes waits for a router.
    pub(super) outcomes: Bell,
    /// Whether the worker ends with requests in flight: who loses theirs then has not left.
    pub cuts_off: Cell<bool>,
}

/// The place of a request among those that may be in flight. However the request ends, it is given back.
#[derive(Debug)]
pub(super) struct Admitted(Rc<Worker>);

impl Drop for Admitted {
    fn drop(&mut self) {
        let Self(worker) = self;
        worker.shared.requests.give_back(&worker.kept, worker.generation.borrow().in_flight);
    }
}

/// Where a worker's requests leave what is told of them.
#[derive(Debug)]
pub struct Sinks {
    /// Records for observers.
    pub records: RecordSink,
    /// Lines of the access log.
    pub access: AccessQueue,
    /// Stories of sampled requests, if anybody takes them.
    pub stories: Option<tokio::sync::mpsc::Sender<Arc<Story>>>,
    /// What the monitoring store is told.
    pub tallies: Tallies,
}

/// Counts every worker adds to, because every configured limit is per gateway.
#[derive(Debug, Default)]
pub struct Shared {
    /// Requests being answered.
    requests: Places,
    /// Client connections.
    pub connections: AtomicUsize,
}

// === impl Snapshot ===

impl Snapshot {
    /// The routes as that worker has them, with these plugins: it counts who holds them and their endpoints where no other worker does.
    pub fn routes_for(&self, worker: usize, plugins: &Plugins) -> Vec<Arc<RoutePlan>> {
        let kept = self.kept_from_clients(plugins);
        let mut upstreams = HashMap::new();
        let mut own = |upstream: &Arc<Upstream>| {
            let own = upstreams.entry(Arc::clone(&upstream.name)).or_insert_with(|| {
                let kept = kept.get(&upstream.name).map(|names| Arc::from(names.as_slice()));
                (Arc::new(upstream.for_worker(worker)), kept.unwrap_or_default())
            });
            own.clone()
        };
        self.routes.iter().map(|route| Arc::new(route.own(plugins, &mut own))).collect()
    }

    /// Request headers that no client says to an upstream, by its name.
    fn kept_from_clients(&self, plugins: &Plugins) -> HashMap<Arc<str>, Vec<HeaderName>> {
        let mut kept: HashMap<Arc<str>, Vec<HeaderName>> = HashMap::new();
        // Thousands of routes may have one place.
        let mut seen = HashSet::new();
        for route in &self.routes {
            let levels = route.canaries.iter().flat_map(|canaries| &canaries.levels).map(|(_, plan)| &plan.chain);
            let places = std::iter::once(&route.chain).chain(levels).flat_map(Chain::places);
            for name in
                places.filter(|place| seen.insert((&route.upstream.name, *place))).flat_map(|place| plugins.kept_from_clients(place))
            {
                let names = kept.entry(Arc::clone(&route.upstream.name)).or_default();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        kept
    }
}

impl RoutePlan {
    /// A copy whose chain has what these plugins have to do, and which leads to upstreams of its own.
    fn own(&self, plugins: &Plugins, to: &mut impl FnMut(&Arc<Upstream>) -> (Arc<Upstream>, Arc<[HeaderName]>)) -> Self {
        let (upstream, kept_from_clients) = to(&self.upstream);
        Self {
            facts: Arc::new(RouteFacts::clone(&self.facts)),
            chain: self.chain.on(plugins),
            upstream,
            retries: self.retries,
            max_body_bytes: self.max_body_bytes,
            kept_from_clients,
            canaries: self.canaries.as_ref().map(|canaries| {
                let levels = canaries.levels.iter().map(|(bound, plan)| (*bound, Arc::new(plan.own(plugins, to))));
                Box::new(Canaries { by: Arc::clone(&canaries.by), levels: levels.collect() })
            }),
        }
    }
}

// === impl Worker ===

impl Worker {
    /// A worker that serves a first generation.
    pub fn new(
        index: usize,
        first: Generation,
        pool: Pool<RequestBody>,
        cells: Arc<WorkerCells>,
        shared: Arc<Shared>,
        sinks: Sinks,
    ) -> Rc<Self> {
        let Sinks { records, access, stories, tallies } = sinks;
        Rc::new(Self {
            index,
            generation: RefCell::new(Rc::new(first)),
            pool,
            cells,
            shared,
            kept: Kept::default(),
            records,
            access,
            stories,
            tallies,
            clock: WallClock::new(),
            recent: Recent::default(),
            outcomes: Bell::default(),
            cuts_off: Cell::new(false),
        })
    }

    /// The generation to serve a new request by.
    pub fn generation(&self) -> Rc<Generation> {
        Rc::clone(&self.generation.borrow())
    }

    /// Serves new requests by another generation. Those in flight end on theirs.
    pub fn replace(&self, next: Generation) -> Rc<Generation> {
        // What this worker keeps of limits that are smaller now is somebody else's.
        self.shared.requests.trim(&self.kept, next.in_flight);
        next.native.upstreams().flat_map(|upstream| &upstream.endpoints).for_each(|endpoint| endpoint.trim());
        self.generation.replace(Rc::new(next))
    }

    /// A place for one more request, if it may be answered.
    pub(super) fn admit(self: &Rc<Self>, generation: &Generation) -> Option<Admitted> {
        self.shared.requests.take(&self.kept, generation.in_flight).then(|| Admitted(Rc::clone(self)))
    }

    /// Remembers a request, and hands on the story of one that is sampled. What finds no room is lost and counted.
    pub(super) fn remember(&self, story: Story) {
        let story = Arc::new(story);
        if story.trace.is_some()
            && let Some(stories) = &self.stories
            && stories.try_send(Arc::clone(&story)).is_err()
        {
            self.cells.spans_lost(1 + story.steps.len() as u64);
        }
        self.recent.keep(story);
    }

    /// Has the hooks of a request that begins timed, sampled or not, while there is trouble.
    pub(super) fn time_hooks(&self, exchange: &mut Exchange) {
        if self.recent.times_hooks(exchange.started) {
            exchange.steps.time_hooks(exchange.started);
        }
    }

    /// What is remembered of requests with that id or of that trace, or of all of them.
    pub fn recall(&self, id: Option<&str>) -> Vec<Arc<Story>> {
        self.recent.recall(id)
    }

    /// Until a batch of outcomes waits for a router.
    pub async fn outcomes_wait(&self) {
        self.outcomes.rung().await;
    }

    /// Tells routers what waits for them. Requests have their turn between two batches.
    pub async fn tell_outcomes(&self) {
        while self.generation().plugins.tell_outcomes() {
            tokio::task::yield_now().await;
        }
    }

    /// Tells the routers of a generation that was replaced what they have not been told yet.
    pub async fn tell_last_outcomes(&self, replaced: &Generation) {
        while replaced.plugins.tell_outcomes() {
            tokio::task::yield_now().await;
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

// === impl Generation ===

impl Holds for Generation {
    fn plugins(&self) -> &Plugins {
        &self.plugins
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if let Some(elsewhere) = &self.ended_by {
            // Should nobody be there any more, what comes back is ended here.
            drop(elsewhere.send(std::mem::take(&mut self.plugins)));
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Counts one up if that stays within a limit.
    pub fn take(count: &AtomicUsize, limit: usize) -> bool {
        // One addition in the common case; the refused one is taken back.
        if count.fetch_add(1, Ordering::Relaxed) < limit {
            return true;
        }
        count.fetch_sub(1, Ordering::Relaxed);
        false
    }
}
