//! What is held for plugins, by capabilities and by their instances: read where it is kept when somebody asks for metrics, and counted nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Buckets of rate limits that are kept now.
    RateLimitKeys,
    /// Takes from a bucket that keys shared for want of room.
    RateLimitShared,
    /// Entries of key-value stores that are kept now.
    KvEntries,
    /// Bytes of them.
    KvBytes,
    /// Entries that had to go for others.
    KvEvicted,
    /// Signatures that are remembered now.
    Signatures,
    /// Bytes of them.
    SignatureBytes,
    /// Those that had to go for others.
    SignaturesEvicted,
    /// Checks that were answered from what is remembered.
    SignaturesFound,
    /// Bytes of instances: linear memory and tables.
    InstanceMemory,
}

/// What can be asked how much it holds.
pub trait Holder: fmt::Debug + Send + Sync {
    /// Every measure it has.
    fn held(&self) -> Vec<(Held, u64)>;
}

/// Everyone who holds something, and whose it is.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// By name, and by the version of the plugin where that makes a difference.
    known: Vec<((String, String), Weak<dyn Holder>)>,
}

impl Holders {
    pub(super) fn add(&mut self, name: &str, version: &str, holder: &Arc<dyn Holder>) {
        self.known.retain(|(_, holder)| holder.strong_count() > 0);
        self.known.push(((name.to_owned(), version.to_owned()), Arc::downgrade(holder)));
    }

    /// The sum of one measure for each name and version: while a generation drains, two may go by the same one.
    pub(super) fn each(&self, measure: Held, mut each: impl FnMut(&str, &str, u64)) {
        let mut sums: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for ((name, version), holder) in &self.known {
            let held = holder.upgrade().map(|holder| holder.held()).unwrap_or_default();
            for (_, amount) in held.iter().filter(|(known, _)| *known == measure) {
                *sums.entry((name, version)).or_default() += amount;
            }
        }
        sums.into_iter().for_each(|((name, version), sum)| each(name, version, sum));
    }
}
