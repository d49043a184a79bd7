//! What becomes of a plugin when a call of it failed: it is counted and logged, its instance is replaced, and what keeps failing, or
//! takes too much of the worker by failing, is left alone for a while (`breaker`).

use std::time::{Duration, Instant};

use super::Slot;
use crate::exchange::Exchange;
use crate::plugin::breaker::{Opened, Scope};
use crate::plugin::budget::{OVERRUN, thread_cpu_time};
use crate::plugin::failure::{Failure, FailureKind};
use crate::plugin::kept_plans::KeptPlans;
use crate::plugin::rights::Hook;
use crate::telemetry::BudgetKey;

/// What becomes of an instance whose call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugin) enum After {
    /// It is whole.
    Keep,
    /// It is whole, but may have learnt something wrong.
    Refresh,
    /// It has ended.
    End,
}

/// Of CPU time that replacing instances takes off the worker such a part counts.
pub(in crate::plugin) const ELSEWHERE: u32 = 4;

impl Slot {
    pub(in crate::plugin) fn answered(&mut self, hook: Hook, config: u32) {
        if !self.breakers.is_clear() {
            for scope in self.breakers.answered(hook, config, Instant::now()) {
                self.closed(scope);
            }
        }
    }

    /// A call failed that used so much CPU time.
    #[cold]
    pub(super) fn failed(&mut self, (hook, config): (Hook, u32), failure: &Failure, exchange: Option<&Exchange>, spent: Duration) {
        let began = thread_cpu_time();
        match self.judge(hook, config, failure, exchange) {
            After::Keep => {}
            After::Refresh => self.refresh(),
            After::End => {
                // What it said while it was whole is not worth more than what else it knew.
                self.plans = KeptPlans::default();
                // The old one goes first: its slot in the pool may be the last.
                self.end();
                if self.keeps() {
                    self.replace(None);
                }
            }
        }
        // The nursery is no worker, but its core may be one's: a part of what it spends counts, and not so much that one trap is enough.
        let elsewhere = if self.keeps() { self.supply.take_elsewhere() / ELSEWHERE } else { Duration::ZERO };
        self.wasted((hook, config), failure, exchange, spent + self.spent_since(began) + elsewhere);
    }

    /// The thread's clock, if what calls use is to be measured: after a failure. Before it that is not worth a look at the clock for
    /// each call, and the first is known from its first tick on.
    pub(in crate::plugin) fn clock(&self) -> Option<Duration> {
        if self.breakers.is_clear() { None } else { Some(thread_cpu_time()) }
    }

    /// What it took to clean up behind a call that failed.
    pub(in crate::plugin) fn spent_since(&self, began: Duration) -> Duration {
        spent(Some(began), Duration::ZERO, self.recipe().budget.cpu)
    }

    /// Counts CPU time that came to nothing. That a plugin answered with an error is an answer.
    pub(in crate::plugin) fn wasted(
        &mut self,
        (hook, config): (Hook, u32),
        failure: &Failure,
        exchange: Option<&Exchange>,
        spent: Duration,
    ) {
        if failure.kind == FailureKind::Refused {
            return;
        }
        self.cells.wasted(spent);
        for opened in self.breakers.wasted(hook, config, spent, Instant::now()) {
            self.count_hit(BudgetKey::FailedCpu);
            self.opened(&opened, failure, exchange.map(|exchange| &*exchange.route.name));
        }
    }

    /// A plugin that says by each answer that it failed is left alone by no breaker: these are lines of its own, as many as it may write.
    fn may_say(&self, failure: &Failure) -> bool {
        let recipe = self.recipe();
        let may = failure.kind != FailureKind::Refused || recipe.log_rate.admits(&recipe.name, recipe.component.short_digest());
        if !may {
            self.count_hit(BudgetKey::LogLinesPerSecond);
        }
        may
    }

    /// Counts and logs what failed, and says what becomes of the instance.
    #[cold]
    pub(in crate::plugin) fn judge(&mut self, hook: Hook, config: u32, failure: &Failure, exchange: Option<&Exchange>) -> After {
        let route = exchange.map(|exchange| &*exchange.route.name);
        if self.may_say(failure) {
            tracing::warn!(
                plugin = %self.recipe().name,
                hook = hook.as_str(),
                kind = failure.kind.as_str(),
                route,
                request_id = exchange.map(|exchange| exchange.id.to_str().unwrap_or_default()),
                error = %failure,
                "A plugin failed"
            );
        }
        self.cells.failed(hook as usize, failure.kind as usize);
        self.count_budget(failure);
        match failure.kind {
            // An error of its own, in good order.
            FailureKind::Refused => {
                self.answered(hook, config);
                After::Keep
            }
            // That the plugin is left alone is nothing new.
            FailureKind::Breaker => After::End,
            FailureKind::Output if self.fault(hook, config, failure, route) && self.keeps() => After::Refresh,
            FailureKind::Output => After::Keep,
            _ => {
                self.fault(hook, config, failure, route);
                After::End
            }
        }
    }

    pub(super) fn count_budget(&self, failure: &Failure) {
        failure.budget.into_iter().for_each(|key| self.count_hit(key));
    }

    /// Counts that a budget was met.
    pub(in crate::plugin) fn count_hit(&self, key: BudgetKey) {
        self.supply.surroundings().hits.count(key, 1);
    }

    /// Counts a fault; whether that opened a breaker.
    fn fault(&mut self, hook: Hook, config: u32, failure: &Failure, route: Option<&str>) -> bool {
        let opened = self.breakers.fault(hook, config, Instant::now());
        opened.iter().for_each(|opened| self.opened(opened, failure, route));
        !opened.is_empty()
    }

    pub(super) fn opened(&self, opened: &Opened, failure: &Failure, route: Option<&str>) {
        self.cells.breaker_opened(opened.scope.hook() as usize, opened.again, opened.scope.is_waste());
        tracing::warn!(
            plugin = %self.recipe().name,
            hook = opened.scope.hook().as_str(),
            scope = opened.scope.as_str(),
            reason = opened.scope.reason(),
            route,
            // More digits say nothing.
            pause = ?Duration::from_millis(u64::try_from(opened.pause.as_millis()).unwrap_or(u64::MAX)),
            error = %failure,
            "A plugin is left alone for a while: its breaker is open"
        );
    }

    pub(super) fn closed(&self, scope: Scope) {
        self.cells.breaker_closed(scope.hook() as usize);
        tracing::info!(
            plugin = %self.recipe().name,
            hook = scope.hook().as_str(),
            scope = scope.as_str(),
            "A plugin answers again: its breaker is closed"
        );
    }

    /// What answered wrongly too often is whole, but may have learnt something wrong. It stays if there is no other.
    fn refresh(&mut self) {
        if let Some(Ok(instance)) = self.supply.another(None) {
            self.plans = KeptPlans::default();
            self.end();
            self.cells.instance_started();
            self.instance = Some(instance);
        }
    }
}

/// CPU time of a call: measured, or else as much as was `seen` of it. Where the thread's clock leaps, which is none of the plugin's doing,
/// no more than a call can have used.
pub(in crate::plugin) fn spent(clock: Option<Duration>, seen: Duration, limit: Duration) -> Duration {
    clock.map_or(seen, |began| thread_cpu_time().saturating_sub(began)).min(limit + OVERRUN)
}
