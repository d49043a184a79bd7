//! How those who queue for an instance get one: made here in a turn of the event loop each, or elsewhere, one after the other.

use crate::plugin::budget::thread_cpu_time;
use crate::plugin::failure::{Failure, FailureKind};
use crate::plugin::nursery::Coming;
use crate::plugin::slot::Slot;
use crate::plugin::supply::Another;
use crate::telemetry::BudgetKey;

/// What was done for whoever is first in the queue.
enum Next {
    /// It has an instance, or one comes for it.
    Given(Option<Coming>),
    /// It is told that it gets none.
    Told,
    /// Nothing: nobody needs one, or none may be made.
    Enough,
}

impl Slot {
    /// A new turn of the event loop: makes an instance for whoever is first in the queue, if one may be made. What is still to come for
    /// them; `None` when nobody needs another turn.
    ///
    /// A burst of calls that wait needs as many instances, and a worker that made them in one go would serve nobody else meanwhile.
    pub(in crate::plugin) fn make_next(&mut self) -> Option<Option<Coming>> {
        match self.make_one() {
            Next::Given(coming) => Some(coming),
            Next::Told => Some(None),
            Next::Enough => self.made_enough(),
        }
    }

    /// Makes an instance for whoever is first in the queue, unless that is done in turns.
    pub(super) fn serve(&mut self) -> Option<Coming> {
        if self.pool.as_ref()?.is_making {
            return None;
        }
        loop {
            match self.make_one() {
                Next::Given(coming) => return coming,
                Next::Told => {}
                Next::Enough => return None,
            }
        }
    }

    /// For whoever is first in the queue: an instance, if one may be made and enough are not on their way; or else the news that there is none.
    fn make_one(&mut self) -> Next {
        let (most, is_dear) = (self.recipe().budget.instances, self.is_dear());
        let Some(pool) = self.pool.as_mut().filter(|pool| pool.live < most) else { return Next::Enough };
        let Some(first @ (_, config)) = pool.first() else { return Next::Enough };
        let is_awaiting = pool.is_awaiting(pool.queue.len(), is_dear);
        // No instance is made for a call that is not made.
        if self.is_left_alone(first).is_none() {
            if is_awaiting {
                return Next::Enough;
            }
            match self.one_more(Some(config)) {
                Another::Coming(coming) => return Next::Given(Some(coming)),
                Another::Made(made) => match *made {
                    Ok(instance) => return Next::Given(self.hand_on(instance)),
                    // For want of room alone: who gives one back gives it to them.
                    Err(error) if self.not_made(&error.failure) => return Next::Enough,
                    Err(_) => {}
                },
            }
        }
        // Who is given none is told so, as one that came now would be.
        if let Some(pool) = &mut self.pool {
            pool.queue.pop_front();
        }
        Next::Told
    }

    /// Those who still queue found no room.
    fn made_enough<R>(&mut self) -> Option<R> {
        let pool = self.pool.as_mut()?;
        pool.is_making = false;
        let coming = pool.coming;
        let met = pool.queue.iter_mut().skip(coming).map(|queued| !std::mem::replace(&mut queued.met_limit, true));
        let met = met.filter(|met| *met).count();
        (0..met).for_each(|_| self.count_hit(BudgetKey::Instances));
        None
    }

    /// One more instance could not be made. Whether that is for want of room alone, and another will come free.
    pub(super) fn not_made(&mut self, failure: &Failure) -> bool {
        let comes_free = failure.kind == FailureKind::NoInstance && self.pool.as_ref().is_some_and(|pool| pool.live > 0);
        if !comes_free {
            self.start_failed(failure);
        }
        comes_free
    }

    pub(super) fn one_more(&mut self, only: Option<u32>) -> Another {
        let only = only.filter(|_| !self.keeps());
        let began = self.pool.as_ref().filter(|pool| pool.owed > 0).map(|_| thread_cpu_time());
        let another = self.supply_one_more(only);
        let spent = began.map(|began| self.spent_since(began));
        if let Some(pool) = &mut self.pool {
            if let (Some(spent), Another::Made(_)) = (spent, &another) {
                pool.owed -= 1;
                pool.replacing += spent;
            }
            pool.live += usize::from(!matches!(&another, Another::Made(made) if made.is_err()));
            pool.coming += usize::from(matches!(&another, Another::Coming(_)));
        }
        if matches!(&another, Another::Made(made) if made.is_ok()) {
            self.started_one();
        }
        another
    }
}
