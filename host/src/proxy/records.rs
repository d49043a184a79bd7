//! Records of finished exchanges on their way to observers: gathered per worker, handed to the control side in batches.
//! When the control side cannot keep up, batches are dropped and counted; a worker never waits.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::plugin::ExchangeRecord;
use crate::telemetry::WorkerCells;

/// One record and the observer it is for.
#[derive(Debug)]
pub struct Addressed {
    /// Which observer, as `Place::slot` of `Chain::observers`.
    pub observer: usize,
    /// Its configured name: by that it is found when its snapshot is gone.
    pub plugin: Arc<str>,
    /// What happened.
    pub record: ExchangeRecord,
}

/// A batch of records, with the snapshot its observers are numbered by.
#[derive(Debug)]
pub struct Batch {
    /// `Snapshot::number`
    pub snapshot: u64,
    /// Records, oldest first.
    pub records: Vec<Addressed>,
}

/// One worker's end of the way to the observers.
#[derive(Debug)]
pub struct RecordSink {
    sender: mpsc::Sender<Batch>,
    gathered: RefCell<Batch>,
    cells: Arc<WorkerCells>,
}

/// Records that are handed over without waiting for the next flush.
const BATCH: usize = 256;

impl RecordSink {
    /// A sink that hands batches to `sender`.
    pub fn new(sender: mpsc::Sender<Batch>, cells: Arc<WorkerCells>) -> Self {
        Self { sender, gathered: RefCell::new(Batch { snapshot: 0, records: Vec::new() }), cells }
    }

    /// Takes one record.
    pub fn push(&self, snapshot: u64, record: Addressed) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.snapshot != snapshot && !gathered.records.is_empty() {
            drop(gathered);
            self.flush();
            gathered = self.gathered.borrow_mut();
        }
        gathered.snapshot = snapshot;
        gathered.records.push(record);
        if gathered.records.len() >= BATCH {
            drop(gathered);
            self.flush();
        }
    }

    /// Hands over what was gathered. Called a few times a second.
    pub fn flush(&self) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.records.is_empty() {
            return;
        }
        let batch = Batch { snapshot: gathered.snapshot, records: std::mem::take(&mut gathered.records) };
        let count = batch.records.len();
        if self.sender.try_send(batch).is_err() {
            self.cells.records_lost(count as u64);
        }
    }
}
