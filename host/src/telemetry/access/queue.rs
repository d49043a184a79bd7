//! One worker's end of the access log: lines are gathered and handed over together, so that a line costs no system call.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::clock::Clock;
use super::{AccessLine, AccessPlan};
use crate::telemetry::WorkerCells;

/// Lines on their way to the writer.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
}

/// One worker's lines.
#[derive(Debug)]
pub struct AccessQueue {
    sender: SyncSender<Lines>,
    gathered: RefCell<Gathered>,
    cells: Arc<WorkerCells>,
}

#[derive(Debug)]
struct Gathered {
    lines: Lines,
    clock: Clock,
}

/// Bytes that are handed over without waiting for the next flush.
const BATCH: usize = 32 << 10;
/// Room beyond that for the line that fills a batch; a longer one makes room for itself.
const LINE: usize = 4 << 10;

impl AccessQueue {
    pub(super) fn new(sender: SyncSender<Lines>, cells: Arc<WorkerCells>) -> Self {
        let lines = Lines { bytes: Vec::new(), count: 0 };
        Self { sender, gathered: RefCell::new(Gathered { lines, clock: Clock::default() }), cells }
    }

    /// Takes one line.
    pub fn push(&self, plan: &AccessPlan, line: &AccessLine<'_>) {
        let mut gathered = self.gathered.borrow_mut();
        let Gathered { lines, clock } = &mut *gathered;
        if lines.bytes.capacity() == 0 {
            lines.bytes.reserve(BATCH + LINE);
        }
        plan.write(line, clock, &mut lines.bytes);
        lines.count += 1;
        let full = lines.bytes.len() >= BATCH;
        drop(gathered);
        if full {
            self.flush();
        }
    }

    /// Hands over what was gathered. Called a few times a second.
    pub fn flush(&self) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.lines.count == 0 {
            return;
        }
        let lines = Lines { bytes: std::mem::take(&mut gathered.lines.bytes), count: std::mem::take(&mut gathered.lines.count) };
        let count = lines.count;
        if self.sender.try_send(lines).is_err() {
            self.cells.access_lines_lost(count);
        }
    }
}
