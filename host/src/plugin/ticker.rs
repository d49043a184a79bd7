//! What lets budgets be checked: the engine's epoch advances, which interrupts whatever guest is running.
//!
//! Epochs only wake the budget check; what it compares is thread CPU time (see `budget`), because an epoch alone is wall
//! time and would end healthy plugins on a busy machine.
//!
//! Each thread that runs guests has an alarm (POSIX, `timer_create`) that sends it a signal, whose handler advances the epoch. The first call
//! after an alarm sets the next one; where an alarm finds a guest running it comes again, soon, until none is. So nobody has to wake up
//! for it: a thread that calls no guest is left alone, a signal for one that has no core waits until it has, and one that works is interrupted
//! where it is (docs/adr/0024).

#![expect(unsafe_code, reason = "what a signal's handler does is for its author to vouch for")]

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, compiler_fence};
use std::time::Duration;

use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::gettid;
use signal_hook_registry::SigId;
use wasmtime::Engine;

/// How long a guest runs at most before it is looked at first. A call is ended when it has had its CPU budget and, at most,
/// one and a half of these.
pub const TICK: Duration = Duration::from_millis(4);
/// How often it is looked at after that.
const HELD_TICK: Duration = Duration::from_millis(1);

/// Go's choice for the same purpose, and for the same reasons: ignored by who does not ask for it, passed on by debuggers, and otherwise for
/// out-of-band data, which nobody has.
const SIGNAL: Signal = Signal::SIGURG;

/// Advances an engine's epoch at every alarm, until it is dropped.
#[derive(Debug)]
pub struct Ticker {
    registered: SigId,
}

/// A guest may run on this thread, and is looked at, as long as this is there.
#[derive(Debug)]
#[must_use]
pub(super) struct Watched(PhantomData<*const ()>);

/// What a thread and the handler that interrupts it share. Atomic for that: they are never at work at once.
struct Shared {
    /// Guests that may run.
    running: AtomicU32,
    /// Whether an alarm will come.
    is_set: AtomicBool,
    /// Whether one came while it was being set.
    came_early: AtomicBool,
}

thread_local! {
    static SHARED: Shared =
        const { Shared { running: AtomicU32::new(0), is_set: AtomicBool::new(false), came_early: AtomicBool::new(false) } };
    /// Deleted with the thread.
    static ALARM: RefCell<Option<Timer>> = const { RefCell::new(None) };
}

impl Ticker {
    /// # Errors
    /// When the signal cannot be handled.
    pub fn start(engine: &Engine) -> io::Result<Self> {
        let engine = engine.clone();
        let tick = move || {
            engine.increment_epoch();
            SHARED.with(Shared::alarm);
        };
        // SAFETY: what runs in the handler is atomic additions and stores to what has its place since the thread began, and `timer_settime`,
        // which signal-safety(7) has. The engine is dropped where the handler is taken back, never in it.
        let registered = unsafe { signal_hook_registry::register(SIGNAL as i32, tick) }?;
        Ok(Self { registered })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        signal_hook_registry::unregister(self.registered);
    }
}

/// Guests that this thread runs from now on are looked at.
///
/// To be called when the guest's deadline is set: an alarm that came before would be for nothing.
pub(super) fn watch() -> Watched {
    SHARED.with(Shared::begin);
    Watched(PhantomData)
}

impl Drop for Watched {
    fn drop(&mut self) {
        SHARED.with(Shared::end);
    }
}

// === impl Shared ===

impl Shared {
    fn begin(&self) {
        self.running.store(self.running.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        // Either the handler sees that a guest runs, or this sees that the handler was there.
        compiler_fence(Ordering::SeqCst);
        if !self.is_set.load(Ordering::Relaxed) {
            self.set(TICK);
        }
    }

    fn end(&self) {
        self.running.store(self.running.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    #[cold]
    fn set(&self, mut after: Duration) {
        loop {
            self.is_set.store(true, Ordering::Relaxed);
            self.came_early.store(false, Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            if let Err(error) = ALARM.with_borrow_mut(|alarm| set_alarm(alarm, after)) {
                return tick_anyway(error);
            }
            compiler_fence(Ordering::SeqCst);
            if !self.came_early.load(Ordering::Relaxed) {
                return;
            }
            after = HELD_TICK;
        }
    }

    /// The alarm came; runs in the handler.
    fn alarm(&self) {
        if self.running.load(Ordering::Relaxed) == 0 {
            self.is_set.store(false, Ordering::Relaxed);
            return;
        }
        let again = ALARM.try_with(|alarm| match alarm.try_borrow_mut().as_deref_mut() {
            Ok(Some(alarm)) => alarm.set(once(HELD_TICK), TimerSetTimeFlags::empty()).is_ok(),
            // Of a system that has none.
            Ok(None) => true,
            Err(_) => false,
        });
        if again != Ok(true) {
            self.came_early.store(true, Ordering::Relaxed);
        }
    }
}

fn set_alarm(alarm: &mut Option<Timer>, after: Duration) -> nix::Result<()> {
    if alarm.is_none() {
        let event = SigevNotify::SigevThreadId { signal: SIGNAL, thread_id: gettid().as_raw(), si_value: 0 };
        *alarm = Some(Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(event))?);
    }
    alarm.as_mut().map_or(Ok(()), |alarm| alarm.set(once(after), TimerSetTimeFlags::empty()))
}

fn once(after: Duration) -> Expiration {
    Expiration::OneShot(TimeSpec::from_duration(after))
}

/// A system that has no such timers, or no more of them, has budgets all the same, at the price of a thread that wakes up.
fn tick_anyway(error: nix::Error) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::warn!(%error, "A thread has no timer of its own for the CPU time of plugins; another thread sees to it");
        let ticking = || {
            loop {
                std::thread::sleep(HELD_TICK);
                // The process is always there, and may always signal itself.
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::URG);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("plugway-ticker".into()).spawn(ticking) {
            tracing::error!(%error, "The CPU time of plugins is not bounded: the thread that sees to it does not start");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plugin::thread_cpu_time;

    /// Counts the alarms of this thread.
    struct Alarms {
        count: Arc<AtomicU32>,
        registered: SigId,
        _ticker: Ticker,
    }

    impl Alarms {
        fn new() -> Self {
            let ticker = Ticker::start(&super::super::engine::build(16).unwrap()).unwrap();
            let (count, thread) = (Arc::new(AtomicU32::new(0)), gettid());
            let counted = Arc::clone(&count);
            let tick = move || {
                if gettid() == thread {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            };
            // SAFETY: a system call without effects and an atomic addition.
            let registered = unsafe { signal_hook_registry::register(SIGNAL as i32, tick) }.unwrap();
            Self { count, registered, _ticker: ticker }
        }

        fn so_far(&self) -> u32 {
            self.count.load(Ordering::Relaxed)
        }
    }

    impl Drop for Alarms {
        fn drop(&mut self) {
            signal_hook_registry::unregister(self.registered);
        }
    }

    fn work(duration: Duration) {
        let began = thread_cpu_time();
        while thread_cpu_time() - began < duration {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn alarms_come_while_a_guest_runs_and_one_at_most_after_it() {
        let alarms = Alarms::new();
        work(Duration::from_millis(20));
        assert_eq!(alarms.so_far(), 0, "no guest has run here");
        let watched = watch();
        work(Duration::from_millis(50));
        let running = alarms.so_far();
        assert!(running >= 10, "{running} alarms in 50 ms of a guest's CPU time");
        drop(watched);
        work(Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(20));
        assert!(alarms.so_far() <= running + 1, "{} alarms and no guest", alarms.so_far() - running);
    }

    #[test]
    fn calls_that_come_and_go_have_an_alarm_in_a_tick() {
        let alarms = Alarms::new();
        let began = std::time::Instant::now();
        while began.elapsed() < 20 * TICK {
            drop(watch());
        }
        let most = u32::try_from(began.elapsed().as_millis() / TICK.as_millis()).unwrap();
        // One that finds a guest running comes again in a millisecond, which is by chance.
        assert!((1..=4 * most).contains(&alarms.so_far()), "{} alarms in {most} ticks", alarms.so_far());
    }

    #[test]
    fn a_loop_is_interrupted_on_whatever_thread_it_runs() {
        // (module (func (export "f") (loop br 0)))
        const LOOP: &[u8] =
            b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";
        let engine = super::super::engine::build(16).unwrap();
        let _ticker = Ticker::start(&engine).unwrap();
        let module = wasmtime::Module::new(&engine, LOOP).unwrap();
        let run = || {
            let mut store = wasmtime::Store::new(&engine, ());
            let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
            let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
            store.set_epoch_deadline(2);
            let _watched = watch();
            let error = f.call(&mut store, ()).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::Interrupt));
        };
        run();
        std::thread::scope(|scope| scope.spawn(run).join()).unwrap();
    }
}
