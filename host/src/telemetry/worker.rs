//! What one worker counts beside its requests.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cell::Count;
use super::histogram::Reading;
use super::lateness::{Late, Lateness};
use super::listed::Listed;
use super::route::RouteCells;
use crate::fault::Fault;

/// One worker's counters.
#[derive(Debug)]
pub struct WorkerCells {
    pub(super) index: usize,
    pub(super) routes: Listed<RouteCells>,
    listeners: Listed<ListenerCells>,
    pub(super) upstreams: Listed<UpstreamCells>,
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
            routes: Listed::default(),
            listeners: Listed::default(),
            upstreams: Listed::default(),
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

    /// The cells of a route, the same ones each time: counting goes on across reloads, for as long as one of them names it. Takes a lock; call it
    /// when a configuration is assembled.
    pub fn route(&self, name: &str, api: Option<&str>, version: Option<&str>) -> Arc<RouteCells> {
        self.routes.find_or(|cells| cells.is(name, api, version), || RouteCells::new(name, api, version))
    }

    /// The cells of an upstream; as for [`WorkerCells::route`].
    pub fn upstream(&self, name: &str) -> Arc<UpstreamCells> {
        self.upstreams.find_or(|cells| &*cells.upstream == name, || UpstreamCells::new(name))
    }

    /// The cells of a listener; as for [`WorkerCells::route`].
    pub fn listener(&self, name: &str) -> Arc<ListenerCells> {
        self.listeners.find_or(|cells| &*cells.name == name, || ListenerCells { name: name.into(), ..ListenerCells::default() })
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
        let (mut in_flight, mut connections) = (0, 0);
        self.each_route(|route| in_flight += route.in_flight());
        self.each_listener(|listener| connections += listener.connections.get());
        json!({
            "index": self.index,
            "open_connections": self.open_connections.get(),
            "connections": connections,
            "requests": self.answered(),
            "requests_in_flight": in_flight,
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

    /// Requests answered, of routes that were forgotten too.
    pub(super) fn answered(&self) -> u64 {
        self.routes.sum(RouteCells::answered)
    }

    pub(super) fn each_route(&self, each: impl FnMut(&RouteCells)) {
        self.routes.each(each);
    }

    pub(super) fn each_listener(&self, each: impl FnMut(&ListenerCells)) {
        self.listeners.each(each);
    }

    pub(super) fn each_upstream(&self, each: impl FnMut(&UpstreamCells)) {
        self.upstreams.each(each);
    }
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
