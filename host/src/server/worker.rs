//! One worker thread: its runtime, its listeners, and what the control side tells it.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};

use super::accept::accept;
use super::connection::Context;
use super::pace::{self, Stretch};
use super::sweep::{self, Sweep};
use super::tls::ServerTls;
use crate::proxy::{Batch, Generation, RecordSink, Shared, Sinks, Worker};
use crate::telemetry::{AccessSender, During, Late, Tallies, Tally, WorkerCells};
use crate::trace::Story;
use crate::upstream::Pool;

/// What a worker is started with. Everything in it was made on the control side.
#[derive(Debug)]
pub struct Start {
    /// From 0.
    pub index: usize,
    /// What it serves first.
    pub generation: Generation,
    /// Its sockets.
    pub listeners: Vec<WorkerListener>,
    /// Its counters.
    pub cells: Arc<WorkerCells>,
    /// Limits of the whole gateway.
    pub shared: Arc<Shared>,
    /// Where its records go.
    pub records: mpsc::Sender<Batch>,
    /// Where lines of the access log go.
    pub access: AccessSender,
    /// Where stories of sampled requests go, if anywhere.
    pub stories: Option<mpsc::Sender<Arc<Story>>>,
    /// Where its tallies go; `None` where nothing is stored.
    pub tallies: Option<SyncSender<Tally>>,
}

/// One listening socket of a worker.
#[derive(Debug)]
pub struct WorkerListener {
    /// Its configured name.
    pub name: Arc<str>,
    /// The socket.
    pub socket: TcpListener,
    /// TLS termination.
    pub tls: Option<Arc<ServerTls>>,
}

/// What the control side tells a worker.
#[derive(Debug)]
pub enum Command {
    /// Serve new requests by this, and say when that is so.
    Serve(Box<Next>, oneshot::Sender<()>),
    /// Say what is remembered of requests with that id or of that trace, or of all.
    Recall(Option<String>, oneshot::Sender<Vec<Arc<Story>>>),
    /// Stop accepting, finish what is in flight.
    Drain,
    /// Stop now.
    Stop,
}

/// What a worker serves from now on.
#[derive(Debug)]
pub struct Next {
    /// For new requests; those in flight end on theirs.
    pub generation: Generation,
    /// For new connections: TLS termination of its listeners, in the order of [`Start::listeners`].
    pub tls: Vec<Option<Arc<ServerTls>>>,
}

/// The control side's end of a running worker.
#[derive(Debug)]
pub struct WorkerHandle {
    /// Tells it.
    pub commands: mpsc::Sender<Command>,
    /// Its thread.
    pub thread: JoinHandle<()>,
}

/// How often records are handed over, and routers told what has not made a batch by then.
const FLUSH: Duration = Duration::from_millis(100);

/// Flushes until tallies are handed over: 0.3 s. The store commits twice a second, so a process that is killed loses 0.8 s, and has the rest
/// of the second it promises for being late.
const TALLIES: u32 = 3;

/// Starts a worker thread.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub fn start(start: Start) -> std::io::Result<WorkerHandle> {
    let (commands, receiver) = mpsc::channel(16);
    let name = format!("plugway-{}", start.index);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let mut builder = Builder::new_current_thread();
        // I/O is polled for often enough that one busy task does not starve the sockets.
        builder.enable_all().event_interval(31).on_thread_unpark(pace::begin);
        match builder.build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(run(start, receiver)),
            Err(error) => tracing::error!(%error, "A worker's runtime could not be made"),
        }
    })?;
    Ok(WorkerHandle { commands, thread })
}

async fn run(start: Start, mut commands: mpsc::Receiver<Command>) {
    let records = RecordSink::new(start.records, Arc::clone(&start.cells));
    let access = start.access.queue(Arc::clone(&start.cells));
    let worker = Worker::new(
        start.index,
        start.generation,
        Pool::new(),
        start.cells,
        start.shared,
        Sinks { records, access, stories: start.stories, tallies: Tallies::new(start.tallies) },
    );
    let sweep = Rc::new(Sweep::default());
    let (stop, stopped) = watch::channel(false);
    let mut contexts = Vec::with_capacity(start.listeners.len());
    for listener in start.listeners {
        let socket = match tokio::net::TcpListener::from_std(listener.socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(listener = %listener.name, %error, "A socket could not be listened on");
                contexts.push(None);
                continue;
            }
        };
        let cells = worker.cells.listener(&listener.name);
        let tls = RefCell::new(listener.tls);
        let context = Rc::new(Context { worker: Rc::clone(&worker), listener: listener.name, cells, tls, sweep: Rc::clone(&sweep) });
        contexts.push(Some(Rc::clone(&context)));
        tokio::task::spawn_local(accept(socket, context, stopped.clone()));
    }
    let swapped = Rc::new(Cell::new(None));
    tokio::task::spawn_local(housekeeping(Rc::clone(&worker), Rc::clone(&sweep), Rc::clone(&swapped)));
    tokio::task::spawn_local(outcomes(Rc::clone(&worker)));

    while let Some(command) = commands.recv().await {
        match command {
            Command::Serve(next, done) => {
                let stretch = Stretch::begin();
                let Next { generation, tls } = *next;
                let replaced = worker.replace(generation);
                for (context, tls) in contexts.iter().zip(tls).filter_map(|(context, tls)| Some((context.as_ref()?, tls))) {
                    context.tls.replace(tls);
                }
                swapped.set(Some(Instant::now()));
                worker.cells.event_loop_lag(stretch.end(During::Swap));
                worker.tell_last_outcomes(&replaced).await;
                let stretch = Stretch::begin();
                drop(replaced);
                worker.cells.event_loop_lag(stretch.end(During::Swap));
                // The control side may have stopped waiting.
                let _ = done.send(());
            }
            Command::Recall(id, told) => {
                // Who asked may have gone.
                let _ = told.send(worker.recall(id.as_deref()));
            }
            Command::Drain => {
                let _ = stop.send(true);
                sweep.drain();
                break;
            }
            Command::Stop => {
                worker.cuts_off.set(true);
                return;
            }
        }
    }
    // Draining: until every connection has ended, or the control side has had enough.
    let drained = async {
        while sweep.accepted() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = drained => {}
        _ = async { while !matches!(commands.recv().await, None | Some(Command::Stop)) {} } => {
            // Their requests are dropped with the runtime, and told of by then.
            worker.cuts_off.set(true);
            tracing::warn!(worker = worker.index, connections = sweep.accepted(), "Connections were cut off");
        }
    }
    worker.records.flush();
    worker.access.flush();
}

/// What is done a few times a second, off every request's path.
async fn housekeeping(worker: Rc<Worker>, sweep: Rc<Sweep>, swapped: Rc<Cell<Option<Instant>>>) {
    let period = sweep::INTERVAL.min(FLUSH);
    for tick in (0..TALLIES).cycle() {
        let due = Instant::now() + period;
        pace::next(due);
        tokio::time::sleep_until(due.into()).await;
        // How long a task that was due had to wait is how long every connection had to.
        let now = Instant::now();
        let by = now.saturating_duration_since(due);
        let during = if swapped.get().is_some_and(|swapped| swapped >= due) { During::Swap } else { During::Requests };
        let waited = Late { by, busy: pace::busy(by), during };
        let stretch = Stretch::begin();
        let generation = worker.generation();
        sweep.sweep(now, &generation.snapshot.timeouts, &generation.snapshot.limits);
        generation.plugins.tidy(now);
        drop(generation);
        worker.pool.reap(tokio::time::Instant::from_std(now));
        worker.records.flush();
        worker.access.flush();
        if tick == 0 {
            worker.tallies.hand_over();
        }
        worker.cells.open_connections(sweep.open());
        // Connections waited for this as well, and no timer saw it.
        let kept_waiting = stretch.end(During::Housekeeping);
        worker.cells.event_loop_lag(if kept_waiting.busy > waited.busy { kept_waiting } else { waited });
        worker.tell_outcomes().await;
    }
}

/// Tells routers how their attempts ended as soon as there is a batch. Never runs where no router learns.
async fn outcomes(worker: Rc<Worker>) {
    loop {
        worker.outcomes_wait().await;
        worker.tell_outcomes().await;
    }
}
