//! What a worker remembers of requests that failed, were slow or were sampled, for who asks why. Nothing of it leaves the worker
//! before somebody asks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::{Blame, ErrorCause};
use crate::trace::Story;

/// Requests a worker remembers that failed by their client's fault. Of their own, so that somebody who asks for what is not there a
/// thousand times a second does not drive out what went wrong inside.
const REFUSED: usize = 128;
/// Other requests it remembers.
const OTHERS: usize = 384;

/// How long hooks are timed after a request that failed or was slow. A clock costs a twentieth of a short hook: who has no trouble does not
/// pay for it, and where there is some the next request that fails tells where its time went.
const TIMED: Duration = Duration::from_secs(600);

/// One worker's memory.
#[derive(Debug, Default)]
pub(super) struct Recent {
    refused: RefCell<VecDeque<Arc<Story>>>,
    others: RefCell<VecDeque<Arc<Story>>>,
    /// When the last one ended that failed or was slow.
    trouble: Cell<Option<Instant>>,
}

impl Recent {
    /// Remembers a request, and forgets the oldest of its kind where there are too many.
    pub(super) fn keep(&self, story: Arc<Story>) {
        let refused = story.fault == Some(ErrorCause::Plugin) && story.status < 500;
        // Tokens that are over are no trouble: somebody always has one.
        if !refused && (story.fault.is_some() || story.trace.is_none()) {
            self.trouble.set(Some(Instant::now()));
        }
        let is_clients = refused || matches!(story.fault, Some(ErrorCause::Fault(fault)) if fault.blame() == Blame::Client);
        let by_client = is_clients && story.trace.is_none();
        let (kept, most) = if by_client { (&self.refused, REFUSED) } else { (&self.others, OTHERS) };
        let mut kept = kept.borrow_mut();
        if kept.len() >= most {
            kept.pop_front();
        }
        kept.push_back(story);
    }

    /// Whether the hooks of a request that begins now are timed, sampled or not.
    pub(super) fn times_hooks(&self, now: Instant) -> bool {
        self.trouble.get().is_some_and(|last| now.saturating_duration_since(last) < TIMED)
    }

    /// Those with that id, or of that trace; all of them where none is named.
    pub(super) fn recall(&self, id: Option<&str>) -> Vec<Arc<Story>> {
        let is_it = |story: &&Arc<Story>| id.is_none_or(|id| story.id.as_bytes() == id.as_bytes() || story.trace_id == id);
        let of = |kept: &RefCell<VecDeque<Arc<Story>>>| kept.borrow().iter().filter(is_it).map(Arc::clone).collect::<Vec<_>>();
        [of(&self.refused), of(&self.others)].concat()
    }
}
