//! The ticker that lets budgets be checked: it advances the engine's epoch, which interrupts whatever guest is running.
//!
//! Epochs only wake the budget check; what it compares is thread CPU time (see `budget`), because an epoch alone is wall
//! time and would end healthy plugins on a busy machine.
//!
//! A wake-up costs 10 to 25 us of CPU time, so there are only as many as are needed. Workers show when their event loop
//! takes a turn and when it waits ([`Turns`]). Where turns come and go, one look in each [`TICK`] will do; where the same
//! turn is still going on since the last look, a guest may be holding it up, and looks come four times as often; where all of
//! them wait, there is nobody to interrupt, and the ticker sleeps until one begins a turn. A worker that has no guest at all
//! counts as one that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// How long a guest runs at most before it is looked at first. A call is ended when it has had its CPU budget and, at most,
/// one and a half of these.
pub const TICK: Duration = Duration::from_millis(4);
/// How often it is looked at after that.
const HELD_TICK: Duration = Duration::from_millis(1);

/// How often it looks while every worker waits: guests of other threads (setup, observers) have their budgets too.
const ASLEEP: Duration = Duration::from_millis(100);
/// Looks in a row that find every worker waiting before it goes to sleep: short pauses are not worth the worker's system call
/// that wakes it.
const QUIET_LOOKS: u32 = 3;

/// Advances the engine's epoch, from when it is first asked to until it is dropped.
#[derive(Debug)]
pub struct Ticker {
    shared: Arc<Shared>,
    watch: Sender<Arc<AtomicU32>>,
    thread: Option<JoinHandle<()>>,
}

/// The turns of one worker's event loop, for the ticker to see. When dropped, the ticker takes it that the worker has ended.
#[derive(Debug)]
pub struct Turns {
    /// Odd during a turn.
    turn: Arc<AtomicU32>,
    /// Whether the worker has ever had a guest.
    guests: AtomicBool,
    shared: Arc<Shared>,
    ticker: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    ticks: AtomicBool,
    stop: AtomicBool,
    asleep: AtomicBool,
}

// === impl Ticker ===

impl Ticker {
    /// A ticker that does not tick yet: where there is no plugin there is nothing to interrupt.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (watch, watched) = channel();
        let ticking = Ticking { engine: engine.weak(), shared: Arc::clone(&shared), coming: watched, watched: Vec::new() };
        let thread = std::thread::Builder::new().name("plugway-ticker".into()).spawn(move || ticking.run())?;
        Ok(Self { shared, watch, thread: Some(thread) })
    }

    /// Ticks from now on.
    pub fn tick(&self) {
        self.shared.ticks.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// What a worker is to show its turns by; it is taken to wait until it has guests. Without any worker, the ticker
    /// never sleeps.
    pub fn turns(&self) -> Option<Turns> {
        let turn = Arc::new(AtomicU32::new(0));
        self.watch.send(Arc::clone(&turn)).ok()?;
        Some(Turns {
            turn,
            guests: AtomicBool::new(false),
            shared: Arc::clone(&self.shared),
            ticker: self.thread.as_ref()?.thread().clone(),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

// === impl Turns ===

impl Turns {
    /// There are guests from now on, in this turn too. For the worker's own thread alone.
    pub fn guests(&self) {
        self.guests.store(true, Ordering::Relaxed);
        self.begin();
    }

    /// A turn begins: guests may run. For the worker's own thread alone.
    pub fn begin(&self) {
        if !self.guests.load(Ordering::Relaxed) {
            return;
        }
        let turn = self.turn.load(Ordering::Relaxed) | 1;
        // In one order with the ticker's going to sleep: either it sees this turn, or this sees that it sleeps.
        self.turn.store(turn, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.ticker.unpark();
        }
    }

    /// The turn is over: no guest runs before the next. For the worker's own thread alone.
    pub fn end(&self) {
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(turn & 1), Ordering::Relaxed);
    }
}

// === impl Ticking ===

/// The thread's side.
struct Ticking {
    engine: EngineWeak,
    shared: Arc<Shared>,
    coming: Receiver<Arc<AtomicU32>>,
    /// Each worker, and the turn that was seen last.
    watched: Vec<(Arc<AtomicU32>, u32)>,
}

/// What the workers are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// All of them wait.
    Waiting,
    /// Turns come and go.
    Turning,
    /// A turn of the last look is still going on.
    Held,
}

impl Ticking {
    fn run(mut self) {
        let mut quiet = 0;
        while !self.shared.stop.load(Ordering::Relaxed) {
            if !self.shared.ticks.load(Ordering::Relaxed) {
                std::thread::park();
                continue;
            }
            let seen = self.look();
            quiet = if seen == Seen::Waiting { quiet + 1 } else { 0 };
            match seen {
                Seen::Held => std::thread::park_timeout(HELD_TICK),
                Seen::Waiting if quiet > QUIET_LOOKS => self.sleep(),
                Seen::Waiting | Seen::Turning => std::thread::park_timeout(TICK),
            }
            match self.engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }

    fn sleep(&mut self) {
        self.shared.asleep.store(true, Ordering::SeqCst);
        // Whoever began a turn before the line above is seen here, and whoever begins one after it wakes this thread.
        if self.look() == Seen::Waiting {
            std::thread::park_timeout(ASLEEP);
        }
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    fn look(&mut self) -> Seen {
        self.watched.extend(self.coming.try_iter().map(|turn| (turn, 0)));
        // What only this thread still holds has no worker any more.
        self.watched.retain(|(turn, _)| Arc::strong_count(turn) > 1);
        let mut seen = if self.watched.is_empty() { Seen::Turning } else { Seen::Waiting };
        for (turn, last) in &mut self.watched {
            let now = turn.load(Ordering::SeqCst);
            let held = now % 2 == 1 && now == *last;
            if held {
                seen = Seen::Held;
            } else if now != *last && seen == Seen::Waiting {
                seen = Seen::Turning;
            }
            *last = now;
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(shared: &Arc<Shared>) -> Turns {
        let guests = AtomicBool::new(true);
        Turns { turn: Arc::new(AtomicU32::new(1)), guests, shared: Arc::clone(shared), ticker: std::thread::current() }
    }

    fn ticking() -> (Ticking, Turns, Sender<Arc<AtomicU32>>) {
        let shared = Arc::new(Shared::default());
        let (watch, coming) = channel();
        let turns = turns(&shared);
        let engine = super::super::engine::build(16).unwrap().weak();
        (Ticking { engine, shared, coming, watched: Vec::new() }, turns, watch)
    }

    #[test]
    fn with_nobody_to_watch_it_never_sleeps() {
        let (mut ticking, ..) = ticking();
        assert_eq!(ticking.look(), Seen::Turning);
        assert_eq!(ticking.look(), Seen::Turning);
    }

    #[test]
    fn it_tells_waiting_from_turning_from_a_turn_that_is_held_up() {
        let (mut ticking, turns, watch) = ticking();
        watch.send(Arc::clone(&turns.turn)).unwrap();
        assert_eq!(ticking.look(), Seen::Turning, "a worker is at work from the first");
        assert_eq!(ticking.look(), Seen::Held);
        turns.end();
        assert_eq!(ticking.look(), Seen::Turning, "it was at work since the last look");
        assert_eq!(ticking.look(), Seen::Waiting);
        turns.begin();
        turns.end();
        assert_eq!(ticking.look(), Seen::Turning);
        turns.begin();
        assert_eq!(ticking.look(), Seen::Turning);
        assert_eq!(ticking.look(), Seen::Held);
        turns.end();
        turns.begin();
        assert_eq!(ticking.look(), Seen::Turning, "another turn than before");
    }

    #[test]
    fn a_worker_without_guests_waits_whatever_it_does() {
        let engine = super::super::engine::build(16).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        let turns = ticker.turns().unwrap();
        ticker.tick();
        let asleep = || ticker.shared.asleep.load(Ordering::SeqCst);
        while !asleep() {
            turns.begin();
            std::thread::yield_now();
            turns.end();
        }
        turns.guests();
        while asleep() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_worker_held_up_counts_though_others_turn() {
        let (mut ticking, held, watch) = ticking();
        let turning = turns(&held.shared);
        watch.send(Arc::clone(&held.turn)).unwrap();
        watch.send(Arc::clone(&turning.turn)).unwrap();
        ticking.look();
        turning.end();
        assert_eq!(ticking.look(), Seen::Held);
        drop(held);
        assert_eq!(ticking.look(), Seen::Waiting, "a worker that has ended holds up nobody");
    }

    #[test]
    fn a_turn_wakes_it() {
        let engine = super::super::engine::build(16).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        let turns = ticker.turns().unwrap();
        turns.guests();
        ticker.tick();
        turns.end();
        let asleep = || ticker.shared.asleep.load(Ordering::SeqCst);
        for _ in 0..3 {
            while !asleep() {
                std::thread::yield_now();
            }
            turns.begin();
            while asleep() {
                std::thread::yield_now();
            }
            turns.end();
        }
    }
}
