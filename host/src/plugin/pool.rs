//! Instances of a plugin whose calls overlap: one for each call that is being made, up to `budget.instances`, made as they are needed.
//! Those who find none free queue up, first come, first served, for as long as their deadline lets them.

mod making;

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

    /// Whether enough are on their way for so many who queue. Those that are always made elsewhere are made one after the other there, and a
    /// spare beside them: the next is ordered when one has come, so that none is made for those who have left meanwhile.
    fn is_awaiting(&self, queued: usize, is_dear: bool) -> bool {
        self.coming >= if is_dear && !self.is_making { queued.min(1) } else { queued }
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
        let is_dear = self.is_dear();
        let Some(pool) = &mut self.pool else { return Lent::No(self.no_instance(hook)) };
        if let Some(instance) = pool.take_idle() {
            self.cells().called(hook as usize);
            return Lent::Now(Box::new(instance));
        }
        let live = pool.live;
        let is_cared_for = pool.is_making || pool.is_awaiting(pool.queue.len() + 1, is_dear);
        if live < self.recipe().budget.instances {
            if is_cared_for {
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
                // The next one is for whoever is first now.
                self.hand_on(instance).or_else(|| self.serve())
            }
            Some(Err(error)) => {
                self.ended_one();
                // For want of room alone: who gives one back gives it to those who queue, and to order again would be to ask without end.
                // Otherwise they would get what comes now: they need not wait for their deadline to be told.
                if self.not_made(&error.failure) { None } else { self.serve() }
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
