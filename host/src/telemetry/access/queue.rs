//! One worker's end of the access log: lines are gathered and handed over together, so that a line costs no system call.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::clock::Clock;
use super::{AccessLine, AccessPlan};
use crate::telemetry::WorkerCells;

/// Lines on their way to the writer, and the room they had on its way back.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    /// Whom to give the room back.
    pub(super) back: SyncSender<Vec<u8>>,
}

/// One worker's lines.
#[derive(Debug)]
pub struct AccessQueue {
    sender: SyncSender<Lines>,
    /// Room that the writer has no more use for.
    emptied: Receiver<Vec<u8>>,
    empty: SyncSender<Vec<u8>>,
    gathered: RefCell<Gathered>,
    cells: Arc<WorkerCells>,
}

#[derive(Debug)]
struct Gathered {
    bytes: Vec<u8>,
    count: u64,
    clock: Clock,
}

/// Bytes that are handed over without waiting for the next flush: waking the writer and its system call cost what hundreds of lines do.
const BATCH: usize = 128 << 10;
/// Room beyond that for the line that fills a batch; a longer one makes room for itself.
const LINE: usize = 4 << 10;
/// Rooms that wait to be filled again.
const ROOMS: usize = 2;

impl AccessQueue {
    pub(super) fn new(sender: SyncSender<Lines>, cells: Arc<WorkerCells>) -> Self {
        let (empty, emptied) = sync_channel(ROOMS);
        let gathered = RefCell::new(Gathered { bytes: Vec::new(), count: 0, clock: Clock::default() });
        Self { sender, emptied, empty, gathered, cells }
    }

    /// Takes one line.
    pub fn push(&self, plan: &AccessPlan, line: &AccessLine<'_>) {
        let mut gathered = self.gathered.borrow_mut();
        let Gathered { bytes, count, clock } = &mut *gathered;
        if bytes.capacity() == 0 {
            *bytes = self.emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH + LINE));
        }
        plan.write(line, clock, bytes);
        *count += 1;
        let full = bytes.len() >= BATCH;
        drop(gathered);
        if full {
            self.flush();
        }
    }

    /// Hands over what was gathered. Called a few times a second.
    pub fn flush(&self) {
        let mut gathered = self.gathered.borrow_mut();
        let count = std::mem::take(&mut gathered.count);
        if count == 0 {
            return;
        }
        let lines = Lines { bytes: std::mem::take(&mut gathered.bytes), count, back: self.empty.clone() };
        if self.sender.try_send(lines).is_err() {
            self.cells.access_lines_lost(count);
        }
    }
}

impl Drop for AccessQueue {
    /// The worker has ended, and with it every request it had: those that were cut off have had their lines since the last flush.
    fn drop(&mut self) {
        self.flush();
    }
}
