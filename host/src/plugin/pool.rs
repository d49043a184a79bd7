//! Instances of a plugin whose calls overlap: one for each call that is being made, up to `budget.instances`, made as they are needed.
//! Those who find none free queue up, first come, first served, for as long as their deadline lets them.

use std::collections::VecDeque;
use std::mem::take;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::breaker::FIRST_PAUSE;
use super::budget::{OVERRUN, thread_cpu_time};
use super::failure::{Failure, FailureKind};
use super::instance::Instance;
use super::nursery::{Coming, Made};
use super::rights::Hook;
use super::slot::{After, ELSEWHERE, NotNow, Slot};
use super::supply::Another;
use crate::exchange::Exchange;
use crate::telemetry::BudgetKey;

/// Calls that may queue up on one worker.
const QUEUE: usize = 1024;
/// Instances that are kept whether or not they are used.
const KEPT_IDLE: usize = 4;
/// How long one is not used before it is ended.
const IDLE: Duration = Duration::from_secs(30);

/// The instances of one plugin on one thread, for calls that overlap.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// The last used one is the first to be used again.
    idle: Vec<Instance>,
    /// Idle, lent, and on their way.
    live: usize,
    queue: VecDeque<Queued>,
    /// Whether one was made in this turn of the event loop: the next ones are made in the turns that follow.
    is_making: bool,
    /// Those that are made elsewhere for the queue.
    coming: usize,
    /// Fewest that were idle at a time since then.
    least_idle: usize,
    since: Option<Instant>,
    /// Instances that ended with a failed call and have not been replaced yet.
    owed: usize,
    /// CPU time that replacing others took since a call failed last.
    replacing: Duration,
}

/// A call that waits for an instance.
#[derive(Debug)]
struct Queued {
    hook: Hook,
    config: u32,
    /// Whether it found no room for one more instance, and was counted for that.
    met_limit: bool,
    give: oneshot::Sender<Box<Instance>>,
}

/// What a call gets.
pub(super) enum Lent {
    /// It may be made.
    Now(Box<Instance>),
    /// The same, on an instance that was made for it. [`make_next`](Slot::make_next) is to be called in each turn of the event loop that
    /// follows, until it says that this is enough.
    Made(Box<Instance>),
    /// Every instance is busy, or the next is being made.
    Later(oneshot::Receiver<Box<Instance>>, Option<Coming>),
    /// It is not made.
    No(NotNow),
}

impl Pool {
    /// A pool with its first instance.
    pub(super) fn new(first: Option<Instance>) -> Self {
        let idle = Vec::from_iter(first);
        Self { live: idle.len(), idle, ..Self::default() }
    }

    /// Those that are not being used.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.idle.iter_mut()
    }

    fn take_idle(&mut self) -> Option<Instance> {
        let taken = self.idle.pop();
        self.least_idle = self.least_idle.min(self.idle.len());
        taken
    }

    /// A place in the queue; `None` where it is full. Those for whom an instance is still made take nobody's.
    fn enqueue(&mut self, (hook, config): (Hook, u32), met_limit: bool, most: usize) -> Option<oneshot::Receiver<Box<Instance>>> {
        let room = QUEUE + most.saturating_sub(self.live);
        if self.queue.len() >= room {
            // Those whose callers have left make room.
            self.queue.retain(|queued| !queued.give.is_closed());
        }
        (self.queue.len() < room).then(|| {
            let (give, given) = oneshot::channel();
            self.queue.push_back(Queued { hook, config, met_limit, give });
            given
        })
    }

    /// Who is first in the queue and has not left.
    fn first(&mut self) -> Option<(Hook, u32)> {
        while self.queue.pop_front_if(|queued| queued.give.is_closed()).is_some() {}
        self.queue.front().map(|queued| (queued.hook, queued.config))
    }

    /// How many instances end with the pool.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }
}

impl Slot {
    /// Lends an instance for one call. Whoever gets it gives it back by [`settle`](Self::settle) or [`give_back`](Self::give_back).
    pub(super) fn lend(&mut self, hook: Hook, config: u32) -> Lent {
        if let Some(not_now) = self.not_now(hook, config) {
            return Lent::No(not_now);
        }
        let Some(pool) = &mut self.pool else { return Lent::No(self.no_instance(hook)) };
        if let Some(instance) = pool.take_idle() {
            self.cells().called(hook as usize);
            return Lent::Now(Box::new(instance));
        }
        let (is_making, live) = (pool.is_making, pool.live);
        if live < self.recipe().budget.instances {
            if is_making {
                return self.queue((hook, config), false, None);
            }
            match self.one_more(Some(config)) {
                Another::Made(made) => match *made {
                    Ok(instance) => {
                        self.cells().called(hook as usize);
                        if let Some(pool) = &mut self.pool {
                            pool.is_making = true;
                        }
                        return Lent::Made(Box::new(instance));
                    }
                    Err(error) => {
                        if !self.not_made(&error.failure) {
                            return Lent::No(self.not_now(hook, config).unwrap_or_else(|| self.no_instance(hook)));
                        }
                    }
                },
                Another::Coming(coming) => return self.queue((hook, config), false, Some(coming)),
            }
        }
        self.count_hit(BudgetKey::Instances);
        self.queue((hook, config), true, None)
    }

    fn queue(&mut self, key @ (hook, _): (Hook, u32), met_limit: bool, coming: Option<Coming>) -> Lent {
        let most = self.recipe().budget.instances;
        let Some(pool) = &mut self.pool else { return Lent::No(self.no_instance(hook)) };
        match pool.enqueue(key, met_limit, most) {
            Some(given) => Lent::Later(given, coming),
            None => {
                if coming.is_some() {
                    // Nobody waits for it, so it ends as soon as it is made.
                    pool.coming = pool.coming.saturating_sub(1);
                    self.ended_one();
                }
                Lent::No(self.no_instance(hook))
            }
        }
    }

    /// A call that is not made for want of an instance.
    pub(super) fn no_instance(&self, hook: Hook) -> NotNow {
        self.cells().failed(hook as usize, FailureKind::NoInstance as usize);
        NotNow { kind: FailureKind::NoInstance, pause: FIRST_PAUSE }
    }

    /// An instance that was ordered has come. What is still to come for those who queue.
    #[must_use = "somebody has to wait for it"]
    pub(super) fn arrived(&mut self, made: Option<Made>) -> Option<Coming> {
        if let Some(pool) = &mut self.pool {
            pool.coming = pool.coming.saturating_sub(1);
        }
        if let (Some(made), Some(pool)) = (&made, &mut self.pool)
            && pool.owed > 0
        {
            pool.owed -= 1;
            pool.replacing += made.took / ELSEWHERE;
        }
        match made.map(|made| made.instance) {
            Some(Ok(instance)) => {
                self.started_one();
                self.hand_on(instance)
            }
            Some(Err(error)) => {
                self.ended_one();
                self.not_made(&error.failure);
                // Those who queue would get what comes now: they need not wait for their deadline to be told.
                self.serve()
            }
            // The nursery is gone, as at the end of a process.
            None => {
                self.ended_one();
                None
            }
        }
    }

    /// Takes back an instance that may be used again. What is still to come for those who queue.
    #[must_use = "somebody has to wait for it"]
    pub(super) fn give_back(&mut self, instance: Instance) -> Option<Coming> {
        if self.keeps() { self.hand_on(instance) } else { self.end_lent(Some(instance)) }
    }

    /// Ends an instance that was lent, or counts one that is gone already. What is still to come for those who queue.
    #[must_use = "somebody has to wait for it"]
    pub(super) fn end_lent(&mut self, instance: Option<Instance>) -> Option<Coming> {
        drop(instance);
        self.cells().instance_ended();
        self.ended_one();
        self.serve()
    }

    /// A new turn of the event loop: makes an instance for whoever is first in the queue, if one may be made. What is still to come for
    /// them; `None` when nobody needs another turn.
    ///
    /// A burst of calls that wait needs as many instances, and a worker that made them in one go would serve nobody else meanwhile.
    pub(super) fn make_next(&mut self) -> Option<Option<Coming>> {
        let most = self.recipe().budget.instances;
        let pool = self.pool.as_mut()?;
        let first = pool.first();
        let Some((hook, config)) = first.filter(|_| pool.live < most && pool.queue.len() > pool.coming) else {
            return self.made_enough();
        };
        if self.is_left_alone((hook, config)).is_none() {
            match self.one_more(Some(config)) {
                Another::Coming(coming) => return Some(Some(coming)),
                Another::Made(made) => match *made {
                    Ok(instance) => return Some(self.hand_on(instance)),
                    // For want of room alone: who gives one back gives it to them.
                    Err(error) if self.not_made(&error.failure) => return self.made_enough(),
                    Err(_) => {}
                },
            }
        }
        // Who is given none is told so, as one that came now would be.
        self.pool.as_mut()?.queue.pop_front();
        Some(None)
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

    /// Makes an instance for whoever is first in the queue, unless that is done in turns.
    fn serve(&mut self) -> Option<Coming> {
        let most = self.recipe().budget.instances;
        let config = loop {
            let pool = self.pool.as_mut().filter(|pool| pool.live < most && !pool.is_making)?;
            let first = pool.first()?;
            if self.is_left_alone(first).is_none() {
                break first.1;
            }
            // No instance is made for a call that is not made. Who is given none is told so, as one that came now would be.
            self.pool.as_mut()?.queue.pop_front();
        };
        match self.one_more(Some(config)) {
            Another::Made(made) => match *made {
                Ok(instance) => self.hand_on(instance),
                // Whoever is first finds its breaker open, or its deadline.
                Err(error) => {
                    self.not_made(&error.failure);
                    None
                }
            },
            Another::Coming(coming) => Some(coming),
        }
    }

    /// One more instance could not be made. Whether that is for want of room alone, and another will come free.
    fn not_made(&mut self, failure: &Failure) -> bool {
        let comes_free = failure.kind == FailureKind::NoInstance && self.pool.as_ref().is_some_and(|pool| pool.live > 0);
        if !comes_free {
            self.start_failed(failure);
        }
        comes_free
    }

    /// Gives an instance to whoever is first in the queue, or keeps it.
    fn hand_on(&mut self, instance: Instance) -> Option<Coming> {
        let pool = self.pool.as_mut()?;
        let mut instance = Box::new(instance);
        while let Some(next) = pool.queue.pop_front() {
            match next.give.send(instance) {
                Ok(()) => return None,
                Err(back) => instance = back,
            }
        }
        if self.keeps() {
            self.pool.as_mut()?.idle.push(*instance);
            return None;
        }
        self.end_lent(Some(*instance))
    }

    fn one_more(&mut self, only: Option<u32>) -> Another {
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

    fn ended_one(&mut self) {
        if let Some(pool) = &mut self.pool {
            pool.live = pool.live.saturating_sub(1);
        }
    }

    /// What became of a call on a lent instance, which is `None` where it did not survive; a failure with the CPU time the call
    /// used. What is still to come for those who queue.
    #[must_use = "somebody has to wait for it"]
    pub(super) fn settle(
        &mut self,
        key @ (hook, config): (Hook, u32),
        instance: Option<Instance>,
        ended: Result<(), (&Failure, Duration)>,
        exchange: Option<&Exchange>,
    ) -> Option<Coming> {
        let Err((failure, call)) = ended else {
            self.answered(hook, config);
            return match instance {
                Some(instance) => self.give_back(instance),
                None => self.end_lent(None),
            };
        };
        let began = thread_cpu_time();
        let after = self.judge(hook, config, failure, exchange);
        let owed = usize::from(after != After::Keep && self.keeps());
        let replaced = self.pool.as_mut().map_or(Duration::ZERO, |pool| {
            pool.owed += owed;
            take(&mut pool.replacing)
        });
        let coming = match (after, instance) {
            (After::Keep, Some(instance)) => self.give_back(instance),
            (_, instance) => self.end_lent(instance),
        };
        if let Some(pool) = &mut self.pool {
            // What was made just now is part of the time since then.
            pool.replacing = Duration::ZERO;
        }
        // A clock that leapt is none of its doing.
        let call = call.min(self.recipe().budget.cpu + OVERRUN);
        self.wasted(key, failure, exchange, call + replaced + self.spent_since(began));
        coming
    }

    /// Ends one of those that were not used for a while, if there are any.
    pub fn tidy(&mut self, now: Instant) {
        let Some(pool) = &mut self.pool else { return };
        let since = *pool.since.get_or_insert(now);
        if now.saturating_duration_since(since) < IDLE {
            return;
        }
        if pool.least_idle > KEPT_IDLE && pool.idle.len() > KEPT_IDLE {
            pool.least_idle -= 1;
            // The one that was used last is the one to be used next.
            drop(pool.idle.remove(0));
            pool.live = pool.live.saturating_sub(1);
            self.cells().instance_ended();
        } else {
            (pool.since, pool.least_idle) = (Some(now), pool.idle.len());
        }
    }
}

#[cfg(test)]
mod tests;
