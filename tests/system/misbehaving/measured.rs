//! What one request takes its worker, told apart from what the machine takes.

use std::time::Duration;

use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;

use super::{BUDGET, OVER, STALL, TICK};
use crate::guest::{assert_problem, report, send};
use crate::thread_time::{Stopwatch, Thread};

/// What one request took, or may take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    /// CPU time of the worker, everything it did for this request.
    pub(super) cpu: Duration,
    /// How long the worker was at work or waiting inside a guest, the machine's own delays taken off.
    pub(super) stall: Duration,
}

/// Sends one request while nothing else runs on the worker, and reads from the kernel what it cost.
///
/// A good request before it keeps the breaker closed.
pub(super) fn measure(raw: &mut Raw, worker: &Thread, mode: &str) -> (Measured, RawResponse) {
    report(&send(raw, "/", &[]));
    cost(raw, worker, None, ("/", &[("x-misbehave", mode)]))
}

/// The same without the good one; the upstream's part in it is taken off where there may be one.
pub(super) fn cost(
    raw: &mut Raw,
    worker: &Thread,
    upstream: Option<&Upstream>,
    (path, headers): (&str, &[(&str, &str)]),
) -> (Measured, RawResponse) {
    let (this, upstream) = (Thread::current(), upstream.map(|upstream| Thread::of(upstream.task())));
    let before = worker.settled();
    let threads: Vec<_> = [worker, &this].into_iter().chain(&upstream).collect();
    let watch = Stopwatch::start(&threads);
    let response = send(raw, path, headers);
    let stall = watch.stop();
    (Measured { cpu: worker.settled().ran - before.ran, stall }, response)
}

/// The most that a guest which loops may take its worker, with what a failed request costs beside its guest: being sent, read, logged and answered,
/// and a new instance.
///
/// A guest is ended a tick and a half past its budget at most, so half a tick of [`STALL`] is room for the rest already, and a tick is added: what a rest
/// takes beyond that is the machine's, and hides nobody's stall.
pub(super) fn most_of_a_loop(raw: &mut Raw, worker: &Thread, strays: &mut Strays) -> Measured {
    let (mut rest, mut rounds) = (Measured::default(), 0);
    while rounds < 20 {
        let (trap, response) = measure(raw, worker, "trap");
        assert_problem(&response, 500, "plugin-failed");
        if strays.within("a trap alone", trap, Measured { cpu: BUDGET, stall: 2 * BUDGET }) {
            rest = Measured { cpu: rest.cpu.max(trap.cpu), stall: rest.stall.max(trap.stall) };
            rounds += 1;
        }
    }
    Measured { cpu: BUDGET + OVER + rest.cpu, stall: STALL + rest.stall.min(TICK) }
}

/// Measurements that are put down to the machine, and made again.
///
/// What the gateway takes it takes each time, or each few; what a hypervisor takes, which no counter of the kernel tells in full, comes now and then.
pub(super) struct Strays(u32);

impl Strays {
    /// As many of them, in all.
    pub(super) const fn at_most(strays: u32) -> Self {
        Self(strays)
    }

    /// Whether this one counts; a test fails at one beyond its bounds when there were as many before.
    pub(super) fn within(&mut self, what: &str, measured: Measured, most: Measured) -> bool {
        if measured.cpu <= most.cpu && measured.stall <= most.stall {
            return true;
        }
        assert!(self.0 > 0, "{what}: {measured:?}, {most:?} at most, and more often than a machine would do it");
        self.0 -= 1;
        eprintln!("{what}: {measured:?}, {most:?} at most; once more");
        false
    }
}
