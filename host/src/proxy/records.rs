//! Records of finished exchanges on their way to observers: gathered per worker, handed to the control side in batches.
//! When the control side cannot keep up, batches are dropped and counted; a worker never waits.
//!
//! All text of a batch is one string that its records point into: a record allocates nothing, and letting go of a batch on another
//! thread is two calls, not a dozen for each record.

use std::cell::RefCell;
use std::fmt::{Display, Write};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::plugin::{ExchangeRecord, Named, ToldRecord};
use crate::telemetry::WorkerCells;

/// A piece of a batch's text.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    begin: u32,
    end: u32,
}

/// The text of one batch.
#[derive(Debug, Default)]
pub struct Texts(String);

/// A record as it is kept.
pub type KeptRecord = ExchangeRecord<Text, Named>;

/// One record and the observer it is for.
#[derive(Debug)]
pub struct Addressed {
    /// Which observer, as `Place::slot` of `Chain::observers`.
    pub observer: usize,
    /// Its configured name: by that it is found when its snapshot is gone.
    plugin: Text,
    record: KeptRecord,
}

/// A batch of records, with the snapshot its observers are numbered by.
#[derive(Debug)]
pub struct Batch {
    /// `Snapshot::number`
    pub snapshot: u64,
    /// Records, oldest first.
    pub records: Vec<Addressed>,
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
/// Text that most records have less of, bytes.
const TEXT: usize = 256;

// === impl Texts ===

impl Texts {
    /// Keeps some text.
    pub fn keep(&mut self, text: &str) -> Text {
        self.written(|kept| kept.push_str(text))
    }

    /// Keeps what a value looks like.
    pub fn show(&mut self, value: impl Display) -> Text {
        self.written(|kept| {
            // Writing to memory does not fail.
            let _ = write!(kept, "{value}");
        })
    }

    /// No batch comes near 4 GiB: what is past it would be empty.
    fn written(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let begin = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        write(&mut self.0);
        Text { begin, end: u32::try_from(self.0.len()).unwrap_or(u32::MAX) }
    }

    fn get(&self, Text { begin, end }: Text) -> &str {
        self.0.get(begin as usize..end as usize).unwrap_or_default()
    }
}

// === impl Batch ===

impl Batch {
    fn new(snapshot: u64) -> Self {
        Self { snapshot, records: Vec::new(), texts: Texts::default() }
    }

    /// Every record for an observer, as it is told.
    pub fn of(&self, observer: usize) -> Vec<ToldRecord<'_>> {
        let of_it = self.records.iter().filter(|addressed| addressed.observer == observer);
        of_it.map(|addressed| addressed.record.told(|text| self.texts.get(text))).collect()
    }

    /// Gives each record to the observer, and its configuration there, that `find` names; forgets what it has none for.
    pub fn redirect(&mut self, find: impl Fn(&str, &str) -> Option<(usize, u32)>) {
        let Self { records, texts, .. } = self;
        records.retain_mut(|Addressed { observer, plugin, record }| {
            let Some((slot, config)) = find(texts.get(record.route), texts.get(*plugin)) else { return false };
            (*observer, record.config_id) = (slot, config);
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
        let mut gathered = self.gathered.borrow_mut();
        if gathered.snapshot != snapshot && !gathered.records.is_empty() {
            drop(gathered);
            self.flush();
            gathered = self.gathered.borrow_mut();
        }
        let Batch { snapshot: of, records, texts } = &mut *gathered;
        if records.capacity() == 0 {
            records.reserve(BATCH);
            texts.0.reserve(BATCH * TEXT);
        }
        *of = snapshot;
        let record = record(texts);
        records.push(Addressed { observer, plugin: texts.keep(plugin), record });
        if records.len() >= BATCH {
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
        let next = Batch::new(gathered.snapshot);
        let batch = std::mem::replace(&mut *gathered, next);
        let count = batch.records.len();
        if self.sender.try_send(batch).is_err() {
            self.cells.records_lost(count as u64);
        }
    }
}
