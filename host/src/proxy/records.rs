//! Records of finished exchanges on their way to observers: gathered per worker, handed to the control side in batches.
//! When the control side cannot keep up, batches are dropped and counted; a worker never waits.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::plugin::{EndedBatch, EndedRow, ExchangeRecord, Named, Text, Texts, ToldRecord};
use crate::telemetry::WorkerCells;

/// A record as it is kept.
pub type KeptRecord = ExchangeRecord<Text, Named>;

/// One record and the observer it is for.
#[derive(Debug)]
struct Addressed {
    /// Which observer, as `Place::slot` of `Chain::observers`.
    observer: usize,
    /// Its configured name: by that it is found when its snapshot is gone.
    plugin: Text,
    record: KeptRecord,
}

/// One row and the observer of batches it is for.
#[derive(Debug)]
struct AddressedRow {
    observer: usize,
    config: u32,
    plugin: Text,
    row: EndedRow,
}

/// A batch of records and rows, with the snapshot its observers are numbered by.
#[derive(Debug)]
pub struct Batch {
    /// `Snapshot::number`
    pub snapshot: u64,
    /// Records, oldest first.
    records: Vec<Addressed>,
    /// For observers of batches.
    rows: Vec<AddressedRow>,
    texts: Texts,
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
/// The same of rows, which are small: what is the same for a batch (waking the control thread, calling the observer) is paid less often.
const ROWS: usize = 1_024;
/// Text that most records have less of, bytes.
const TEXT: usize = 256;

// === impl Batch ===

impl Batch {
    fn new(snapshot: u64) -> Self {
        Self { snapshot, records: Vec::new(), rows: Vec::new(), texts: Texts::default() }
    }

    /// How many records and rows it has.
    pub fn len(&self) -> usize {
        self.records.len() + self.rows.len()
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every record for an observer, as it is told.
    pub fn of(&self, observer: usize) -> Vec<ToldRecord<'_>> {
        let of_it = self.records.iter().filter(|addressed| addressed.observer == observer);
        of_it.map(|addressed| addressed.record.told(|text| self.texts.get(text))).collect()
    }

    /// Takes the rows out, by the observer and the configuration of it that they are for. No text is kept after that.
    pub fn take_rows(&mut self) -> BTreeMap<(usize, u32), EndedBatch> {
        let texts = Arc::new(std::mem::take(&mut self.texts));
        let mut batches = BTreeMap::new();
        for AddressedRow { observer, config, row, .. } in self.rows.drain(..) {
            let batch = || EndedBatch { rows: Vec::with_capacity(ROWS), texts: Arc::clone(&texts) };
            batches.entry((observer, config)).or_insert_with(batch).rows.push(row);
        }
        batches
    }

    /// Gives each record and row to the observer, and its configuration there, that `find` names for a row or a record of that route
    /// and plugin; forgets what it has none for.
    pub fn redirect(&mut self, find: impl Fn(bool, &str, &str) -> Option<(usize, u32)>) {
        let Self { records, rows, texts, .. } = self;
        records.retain_mut(|Addressed { observer, plugin, record }| {
            let Some((slot, config)) = find(false, texts.get(record.route), texts.get(*plugin)) else { return false };
            (*observer, record.config_id) = (slot, config);
            true
        });
        rows.retain_mut(|AddressedRow { observer, config, plugin, row }| {
            let Some(found) = find(true, texts.get(row.route), texts.get(*plugin)) else { return false };
            (*observer, *config) = found;
            true
        });
    }
}

// === impl RecordSink ===

impl RecordSink {
    /// A sink that hands batches to `sender`.
    pub fn new(sender: mpsc::Sender<Batch>, cells: Arc<WorkerCells>) -> Self {
        Self { sender, gathered: RefCell::new(Batch::new(0)), cells }
    }

    /// Takes one record for an observer of a snapshot, which is named by its slot and its plugin.
    pub fn push(&self, snapshot: u64, (observer, plugin): (usize, &str), record: impl FnOnce(&mut Texts) -> KeptRecord) {
        self.gather(snapshot, |Batch { records, texts, .. }| {
            if records.capacity() == 0 {
                records.reserve(BATCH);
                texts.reserve(BATCH * TEXT);
            }
            let record = record(texts);
            records.push(Addressed { observer, plugin: texts.keep(plugin), record });
        });
    }

    /// Takes one row for an observer of batches and a configuration of it. `row` is shown the row before, whose text it may point to.
    pub fn push_row(
        &self,
        snapshot: u64,
        (observer, config, plugin): (usize, u32, &str),
        row: impl FnOnce(&mut Texts, &EndedRow) -> EndedRow,
    ) {
        self.gather(snapshot, |Batch { rows, texts, .. }| {
            if rows.capacity() == 0 {
                rows.reserve(ROWS);
            }
            let (before, named) = rows.last().map(|last| (last.row, last.plugin)).unwrap_or_default();
            let plugin = texts.keep_unless(named, plugin);
            rows.push(AddressedRow { observer, config, plugin, row: row(texts, &before) });
        });
    }

    /// Adds to what is gathered for a snapshot. What there is for another one is handed over first, as is a batch that is full.
    fn gather(&self, snapshot: u64, add: impl FnOnce(&mut Batch)) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.snapshot != snapshot && !gathered.is_empty() {
            drop(gathered);
            self.flush();
            gathered = self.gathered.borrow_mut();
        }
        gathered.snapshot = snapshot;
        add(&mut gathered);
        if gathered.records.len() >= BATCH || gathered.rows.len() >= ROWS {
            drop(gathered);
            self.flush();
        }
    }

    /// Hands over what was gathered. Called a few times a second.
    pub fn flush(&self) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.is_empty() {
            return;
        }
        let next = Batch::new(gathered.snapshot);
        let batch = std::mem::replace(&mut *gathered, next);
        let count = batch.len();
        if self.sender.try_send(batch).is_err() {
            self.cells.records_lost(count as u64);
        }
    }
}

impl Drop for RecordSink {
    /// The worker has ended, and with it every request it had: observers hear of those that were cut off, too.
    fn drop(&mut self) {
        self.flush();
    }
}
