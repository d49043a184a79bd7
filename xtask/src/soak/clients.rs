//! Clients beside the load that look at every answer. One keeps a connection, one makes one for each request, and one sends its
//! body so slowly that a swap comes in between.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use plugway_harness::Result;
use plugway_harness::error::Context;
use plugway_harness::raw::{Raw, RawResponse};

use super::answers;
use super::world::World;

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(4);
/// Between the halves of a slow body: longer than from one change to the next.
const SLOW: Duration = Duration::from_millis(700);
/// What is wrong is told so many times.
const TOLD: usize = 20;
/// Who they are.
const CLIENTS: [Kind; 6] = [Kind::Kept, Kind::Kept, Kind::New, Kind::New, Kind::Slow, Kind::Slow];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kept,
    New,
    Slow,
}

/// Versions that may answer now.
#[derive(Debug, Default)]
pub(super) struct Floor {
    /// Serves everywhere.
    oldest: AtomicU32,
    /// Of the files that were put in place.
    newest: AtomicU32,
}

impl Floor {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Before a file is put in place.
    pub(super) fn comes(&self, version: u32) {
        self.newest.store(version, Ordering::SeqCst);
    }

    /// When the gateway says that it serves.
    pub(super) fn serves(&self, version: u32) {
        self.oldest.store(version, Ordering::SeqCst);
    }
}

/// What they saw.
#[derive(Debug, Default, Clone)]
pub(super) struct Checked {
    pub(super) answers: u64,
    /// How many were wrong or did not come.
    pub(super) failures: u64,
    /// What was wrong, the first few.
    pub(super) wrong: Vec<String>,
    /// Requests that ended on an older version than served everywhere by then: swaps that came while they were in flight.
    pub(super) outlived: u64,
}

/// Running clients. Dropping them leaves them to the end of the process; [`Clients::stop`] ends them.
pub(super) struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Checked>>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    floor: Arc<Floor>,
    done: AtomicBool,
    answers: AtomicU64,
    failures: AtomicU64,
}

impl Clients {
    pub(super) fn start(world: &World, floor: &Arc<Floor>) -> Result<Self> {
        let shared = Arc::new(Shared {
            address: world.gateway.address("web")?,
            floor: Arc::clone(floor),
            done: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let start = |kind| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("client-{kind:?}")).spawn(move || Client { kind, shared, kept: None, last: 0 }.run())
        };
        let threads = CLIENTS.into_iter().map(start).collect::<std::io::Result<_>>().context("thread")?;
        Ok(Self { shared, threads })
    }

    /// Answers and failures so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.shared.answers.load(Ordering::Relaxed), self.shared.failures.load(Ordering::Relaxed))
    }

    /// Ends them and adds up.
    pub(super) fn stop(self) -> Checked {
        self.shared.done.store(true, Ordering::SeqCst);
        let mut sum = Checked::default();
        for thread in self.threads {
            match thread.join() {
                Ok(mut checked) => {
                    sum.answers += checked.answers;
                    sum.failures += checked.failures;
                    sum.outlived += checked.outlived;
                    sum.wrong.append(&mut checked.wrong);
                }
                Err(_) => {
                    sum.failures += 1;
                    sum.wrong.push("a checking client panicked".to_owned());
                }
            }
        }
        sum.wrong.truncate(TOLD);
        sum
    }
}

struct Client {
    kind: Kind,
    shared: Arc<Shared>,
    kept: Option<Raw>,
    /// The version that answered last on the kept connection.
    last: u32,
}

impl Client {
    fn run(mut self) -> Checked {
        let mut checked = Checked::default();
        while !self.shared.done.load(Ordering::SeqCst) {
            match self.ask() {
                Ok(outlived) => {
                    checked.answers += 1;
                    checked.outlived += u64::from(outlived);
                    self.shared.answers.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    checked.failures += 1;
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                    if checked.wrong.len() < TOLD {
                        checked.wrong.push(format!("{:?} client: {error}", self.kind));
                    }
                    self.kept = None;
                }
            }
            std::thread::sleep(PAUSE);
        }
        checked
    }

    /// One request; whether its version was over when the answer came.
    fn ask(&mut self) -> Result<bool> {
        let oldest = self.shared.floor.oldest.load(Ordering::SeqCst);
        let mut raw = match self.kept.take() {
            Some(raw) => raw,
            None => {
                self.last = 0;
                Raw::connect(self.shared.address)?
            }
        };
        let response = self.exchange(&mut raw)?;
        let version = answers::version(&response)?;
        // A connection is one worker's, and a worker does not go back.
        answers::judge(version, oldest.max(self.last), self.shared.floor.newest.load(Ordering::SeqCst))?;
        if self.kind == Kind::Kept {
            self.last = version;
            self.kept = Some(raw);
        }
        Ok(version < self.shared.floor.oldest.load(Ordering::SeqCst))
    }

    fn exchange(&self, raw: &mut Raw) -> Result<RawResponse> {
        if self.kind == Kind::Slow {
            raw.send("POST / HTTP/1.1\r\nhost: example.com\r\ncontent-length: 4\r\n\r\nbo")?;
            std::thread::sleep(SLOW);
            raw.send("dy")?;
        } else {
            raw.send("GET / HTTP/1.1\r\nhost: example.com\r\n\r\n")?;
        }
        raw.response()
    }
}
