//! Waiting until nothing else runs.

use std::time::{Duration, Instant};

use plugway_harness::Result;

use crate::bench::sample::{core_time, share};
use crate::interrupt;

/// How long both cores must be idle.
const LOOK: Duration = Duration::from_millis(300);
/// What still counts as idle.
const IDLE: f64 = 0.05;
/// Longest wait; after it the round goes on and is marked.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until both cores are idle; says whether they became so. Every step of a run begins with this, so here it also ends when
/// it was asked to.
pub(super) fn until_quiet() -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        interrupt::check()?;
        let before = [core_time(0)?, core_time(1)?];
        std::thread::sleep(LOOK);
        let after = [core_time(0)?, core_time(1)?];
        if before.into_iter().zip(after).all(|(before, after)| share(before, after) <= IDLE) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
    }
}
