//! When changed files are looked at: once nothing has happened to them for a moment and nobody is writing them any more.
//!
//! Pure: events and times go in, decisions come out. What is copied together is looked at together; a writer that pauses in
//! the middle of a file is waited for, and so is a file that turned out not to be whole, but neither for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Somebody writes into it, and has it open.
    Written,
    /// Whoever wrote into it closed it.
    Closed,
    /// Its name stands for another file, or for none.
    Replaced,
    /// Something that does not say whether it is being written.
    Touched,
}

/// Gathers changes until it is time to look.
#[derive(Debug)]
pub(super) struct Settling {
    quiet: Duration,
    patience: Duration,
    pending: Option<Pending>,
}

/// Changes that nobody has looked at yet.
#[derive(Debug)]
struct Pending {
    first: Instant,
    last: Instant,
    /// Files that are open for writing.
    open: BTreeSet<PathBuf>,
    /// Whether somebody looked and found a file that is not whole.
    not_whole: bool,
}

/// A look at the files that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether what is still not whole has been waited for long enough.
    pub is_last: bool,
}

/// However busy the files are, they are looked at after so many times the patience.
const AT_MOST: u32 = 3;

impl Settling {
    /// Looks after `quiet` without a change; waits for what is not whole, or open for writing, until `patience` after the last change.
    pub(super) fn new(quiet: Duration, patience: Duration) -> Self {
        Self { quiet, patience, pending: None }
    }

    /// Something happened to a file.
    pub(super) fn changed(&mut self, now: Instant, file: &Path, change: Change) {
        let pending = self.pending(now);
        pending.last = now;
        pending.not_whole = false;
        match change {
            Change::Written => {
                pending.open.insert(file.to_owned());
            }
            Change::Closed | Change::Replaced => {
                pending.open.remove(file);
            }
            Change::Touched => {}
        }
    }

    /// Something else is worth a look, and nobody has to be waited for on its account.
    pub(super) fn noticed(&mut self, now: Instant) {
        self.pending(now);
    }

    fn pending(&mut self, now: Instant) -> &mut Pending {
        self.pending.get_or_insert_with(|| Pending { first: now, last: now, open: BTreeSet::new(), not_whole: false })
    }

    /// When to look; `None` while there is nothing to look at.
    pub(super) fn due(&self) -> Option<Instant> {
        let pending = self.pending.as_ref()?;
        let is_waited_for = pending.not_whole || !pending.open.is_empty();
        let after = if is_waited_for { self.patience } else { self.quiet };
        Some((pending.last + after).min(self.at_most(pending)))
    }

    /// The look that is due now, if one is. It is followed by [`Settling::looked`] or [`Settling::was_not_whole`].
    pub(super) fn look(&self, now: Instant) -> Option<Look> {
        let pending = self.pending.as_ref()?;
        (self.due()? <= now).then(|| Look { is_last: now >= pending.last + self.patience || now >= self.at_most(pending) })
    }

    /// What was seen is dealt with.
    pub(super) fn looked(&mut self) {
        self.pending = None;
    }

    /// A file was not whole: it is looked at again when more happens, or for the last time when patience is over.
    pub(super) fn was_not_whole(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.not_whole = true;
        }
    }

    /// It could not be dealt with yet: the same look is due again after `pause`.
    pub(super) fn again(&mut self, now: Instant, pause: Duration) {
        let quiet = self.quiet;
        let pending = self.pending(now);
        pending.first = now;
        pending.last = (now + pause).checked_sub(quiet).unwrap_or(now);
    }

    fn at_most(&self, pending: &Pending) -> Instant {
        pending.first + self.patience * AT_MOST
    }
}

#[cfg(test)]
mod tests;
