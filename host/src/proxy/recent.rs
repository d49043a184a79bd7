//! What a worker remembers of requests that failed, were slow or were sampled, for who asks why. Nothing of it leaves the worker
//! before somebody asks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::fault::{Blame, ErrorCause};
use crate::trace::Story;

/// Requests a worker remembers that failed by their client's fault. Of their own, so that somebody who asks for what is not there a
/// thousand times a second does not drive out what went wrong inside.
const REFUSED: usize = 128;
/// Other requests it remembers.
const OTHERS: usize = 384;

/// One worker's memory.
#[derive(Debug, Default)]
pub(super) struct Recent {
    refused: RefCell<VecDeque<Arc<Story>>>,
    others: RefCell<VecDeque<Arc<Story>>>,
}

impl Recent {
    /// Remembers a request, and forgets the oldest of its kind where there are too many.
    pub(super) fn keep(&self, story: Arc<Story>) {
        let by_client = matches!(story.fault, Some(ErrorCause::Fault(fault)) if fault.blame() == Blame::Client) && story.trace.is_none();
        let (kept, most) = if by_client { (&self.refused, REFUSED) } else { (&self.others, OTHERS) };
        let mut kept = kept.borrow_mut();
        if kept.len() >= most {
            kept.pop_front();
        }
        kept.push_back(story);
    }

    /// Those with that id, or of that trace; all of them where none is named.
    pub(super) fn recall(&self, id: Option<&str>) -> Vec<Arc<Story>> {
        let is_it = |story: &&Arc<Story>| id.is_none_or(|id| story.id.as_bytes() == id.as_bytes() || story.trace_id == id);
        let of = |kept: &RefCell<VecDeque<Arc<Story>>>| kept.borrow().iter().filter(is_it).map(Arc::clone).collect::<Vec<_>>();
        [of(&self.refused), of(&self.others)].concat()
    }
}
