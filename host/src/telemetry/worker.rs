//! What one worker counts beside its requests.

#![allow(clippy::disallowed_types, reason = "the lists of cells are locked when a configuration is assembled and when metrics are read")]

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::cell::{Count, lock};
use super::histogram::Reading;
use super::lateness::{Late, Lateness};
use super::route::RouteCells;
use crate::fault::Fault;

/// One worker's counters.
#[derive(Debug)]
pub struct WorkerCells {
    pub(super) index: usize,
    routes: Mutex<Vec<Arc<RouteCells>>>,
    listeners: Mutex<Vec<Arc<ListenerCells>>>,
    upstreams: Mutex<Vec<Arc<UpstreamCells>>>,
    faults: [Count; Fault::ALL.len()],
    lateness: Lateness,
    pub(super) open_connections: Count,
    pub(super) accept_pauses: Count,
    pub(super) records_lost: Count,
    pub(super) access_lines_lost: Count,
    pub(super) spans_lost: Count,
    pub(super) stale_endpoints: Count,
}

/// Connections of one listener.
#[derive(Debug, Default)]
pub struct ListenerCells {
    pub(super) name: Arc<str>,
    pub(super) connections: Count,
    pub(super) open: Count,
    pub(super) handshakes: Count,
    pub(super) failed_handshakes: Count,
}

/// Attempts towards one upstream.
#[derive(Debug)]
pub struct UpstreamCells {
    pub(super) upstream: Arc<str>,
    pub(super) answered: Count,
    failed: [Count; Fault::ALL.len()],
}

/// A client connection, for as long as it is open.
#[derive(Debug)]
pub struct OpenConnection(Arc<ListenerCells>);

impl Default for WorkerCells {
    fn default() -> Self {
        Self::new(0)
    }
}

impl WorkerCells {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            routes: Mutex::default(),
            listeners: Mutex::default(),
            upstreams: Mutex::default(),
            faults: std::array::from_fn(|_| Count::default()),
            lateness: Lateness::new(),
            open_connections: Count::default(),
            accept_pauses: Count::default(),
            records_lost: Count::default(),
            access_lines_lost: Count::default(),
            spans_lost: Count::default(),
            stale_endpoints: Count::default(),
        }
    }

    /// The cells of a route, the same ones each time: counting goes on across reloads. Takes a lock; call it when a
    /// configuration is assembled.
    pub fn route(&self, name: &str, api: Option<&str>, version: Option<&str>) -> Arc<RouteCells> {
        find_or(&self.routes, |cells| cells.is(name, api, version), || RouteCells::new(name, api, version))
    }

    /// The cells of an upstream; as for [`WorkerCells::route`].
    pub fn upstream(&self, name: &str) -> Arc<UpstreamCells> {
        find_or(&self.upstreams, |cells| &*cells.upstream == name, || UpstreamCells::new(name))
    }

    /// The cells of a listener; as for [`WorkerCells::route`].
    pub fn listener(&self, name: &str) -> Arc<ListenerCells> {
        find_or(&self.listeners, |cells| &*cells.name == name, || ListenerCells { name: name.into(), ..ListenerCells::default() })
    }

    /// Accepting waits: the gateway is full, or out of file descriptors.
    pub fn accept_paused(&self) {
        self.accept_pauses.add(1);
    }

    /// A request, or what would have been one, met a fault.
    pub fn fault(&self, fault: Fault) {
        if let Some(count) = self.faults.get(fault as usize) {
            count.add(1);
        }
    }

    /// Records that no observer will get.
    pub fn records_lost(&self, records: u64) {
        self.records_lost.add(records);
    }

    /// Lines of the access log that nobody will write.
    pub fn access_lines_lost(&self, lines: u64) {
        self.access_lines_lost.add(lines);
    }

    /// Spans that nobody will get.
    pub fn spans_lost(&self, spans: u64) {
        self.spans_lost.add(spans);
    }

    /// A router named an endpoint that is no member any more.
    pub fn stale_endpoint(&self) {
        self.stale_endpoints.add(1);
    }

    /// How late something ran that was due.
    pub fn event_loop_lag(&self, late: Late) {
        self.lateness.record(late);
    }

    /// Client connections open now.
    pub fn open_connections(&self, connections: usize) {
        self.open_connections.set(connections as u64);
    }

    /// This worker's part of `/status`.
    pub fn status(&self) -> Value {
        let routes = lock(&self.routes);
        let requests: u64 = routes.iter().map(|route| route.answered()).sum();
        json!({
            "index": self.index,
            "open_connections": self.open_connections.get(),
            "connections": lock(&self.listeners).iter().map(|listener| listener.connections.get()).sum::<u64>(),
            "requests": requests,
            "requests_in_flight": routes.iter().map(|route| route.in_flight()).sum::<u64>(),
            "event_loop_lag_max_us": self.lateness.highest_lag_us(),
            "event_loop_busy_max_us": self.lateness.highest_busy_us(),
            "longest_stall": self.lateness.longest(),
        })
    }

    pub(super) fn lag(&self) -> Reading {
        self.lateness.lag()
    }

    pub(super) fn busy(&self) -> Reading {
        self.lateness.busy()
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        counted(&self.faults)
    }

    pub(super) fn each_route(&self, mut each: impl FnMut(&RouteCells)) {
        lock(&self.routes).iter().for_each(|cells| each(cells));
    }

    pub(super) fn each_listener(&self, mut each: impl FnMut(&ListenerCells)) {
        lock(&self.listeners).iter().for_each(|cells| each(cells));
    }

    pub(super) fn each_upstream(&self, mut each: impl FnMut(&UpstreamCells)) {
        lock(&self.upstreams).iter().for_each(|cells| each(cells));
    }
}

fn find_or<T>(list: &Mutex<Vec<Arc<T>>>, is: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
    let mut list = lock(list);
    if let Some(known) = list.iter().find(|cells| is(cells)) {
        return Arc::clone(known);
    }
    let made = Arc::new(make());
    list.push(Arc::clone(&made));
    made
}

fn counted(counts: &[Count]) -> impl Iterator<Item = (Fault, u64)> + '_ {
    Fault::ALL.iter().copied().zip(counts.iter().map(Count::get)).filter(|(_, count)| *count > 0)
}

impl ListenerCells {
    /// A connection was accepted; it counts as open until the guard is dropped.
    pub fn opened(self: &Arc<Self>) -> OpenConnection {
        self.connections.add(1);
        self.open.add(1);
        OpenConnection(Arc::clone(self))
    }

    /// A TLS handshake ended.
    pub fn handshake(&self, succeeded: bool) {
        if succeeded { self.handshakes.add(1) } else { self.failed_handshakes.add(1) }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.sub(1);
    }
}

impl UpstreamCells {
    fn new(upstream: &str) -> Self {
        Self { upstream: upstream.into(), answered: Count::default(), failed: std::array::from_fn(|_| Count::default()) }
    }

    /// An attempt ended: answered, or failed.
    pub fn attempt(&self, fault: Option<Fault>) {
        match fault {
            None => self.answered.add(1),
            Some(fault) => {
                if let Some(count) = self.failed.get(fault as usize) {
                    count.add(1);
                }
            }
        }
    }

    pub(super) fn failed(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        counted(&self.failed)
    }
}
