//! What capabilities hold for plugins: read where it is kept when somebody asks for metrics, and counted nowhere else.

use std::fmt;
use std::sync::{Arc, Weak};

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Buckets of rate limits that are kept now.
    RateLimitKeys,
    /// Takes from a bucket that keys shared for want of room.
    RateLimitShared,
}

/// What can be asked how much it holds.
pub trait Holder: fmt::Debug + Send + Sync {
    /// Every measure it has.
    fn held(&self) -> Vec<(Held, u64)>;
}

/// Everyone who holds something, and whose it is.
#[derive(Debug, Default)]
pub(super) struct Holders {
    known: Vec<(String, Weak<dyn Holder>)>,
}

impl Holders {
    pub(super) fn add(&mut self, name: &str, holder: &Arc<dyn Holder>) {
        self.known.retain(|(_, holder)| holder.strong_count() > 0);
        self.known.push((name.to_owned(), Arc::downgrade(holder)));
    }

    /// The sum of one measure for each name.
    pub(super) fn each(&self, measure: Held, mut each: impl FnMut(&str, u64)) {
        for (name, holder) in &self.known {
            let held = holder.upgrade().map(|holder| holder.held()).unwrap_or_default();
            held.iter().filter(|(known, _)| *known == measure).for_each(|(_, amount)| each(name, *amount));
        }
    }
}
