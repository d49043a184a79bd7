//! When a plugin that keeps failing is left alone: the breakers of one plugin on one worker. Pure; time is injected.
//!
//! A *place* is a hook with one configuration. It is left alone after [`PLACE_FAULTS`] faults in a row; a hook as a whole after
//! [`HOOK_FAULTS`] in a row at whichever places, and the whole plugin as soon as it does not start. So one route's
//! configuration that makes a plugin trap does not take it from the other routes, and a broken response filter does not
//! take its authorizer away, and still no plugin burns the same time again at every one of ten thousand places.
//!
//! A pause lasts [`FIRST_PAUSE`] at first. The first call after it is the try that decides: an answer closes the breaker and all is
//! forgotten, a fault makes the pause twice as long, up to [`LONGEST_PAUSE`]. A call runs to its end before the next one begins,
//! so "half open" is no state of its own.
//!
//! In a row means that an answer in between starts the count again: a plugin that answers is worth having, and who knows a
//! request that makes it trap must not be able to take it from everybody else who is using it.
//!
//! What such requests may take of the worker is bounded all the same. CPU time that failed calls used is remembered for
//! [`wasted::WINDOW`]: a place is left alone once its own is three quarters of the plugin's `failed_cpu`, and the plugin as a
//! whole once all of it is used up, each until enough is forgotten. So no more than `failed_cpu` and one call is ever
//! wasted within the window, however failures and answers alternate and at however many places.

mod wasted;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::rights::Hook;
use wasted::Wasted;

/// Faults in a row after which a place is left alone.
const PLACE_FAULTS: u32 = 5;
/// Faults in a row, at whichever places, after which a hook is left alone.
const HOOK_FAULTS: u32 = 10;
/// How long at first.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Every breaker of one plugin on one worker that is open or counting. None, for nearly every plugin at any time.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Breakers {
    all: BTreeMap<Scope, Breaker>,
    /// CPU time that failed calls used: at a place, and in all.
    wasted: BTreeMap<Scope, Wasted>,
    /// What they may use within [`wasted::WINDOW`].
    failed_cpu: Duration,
}

/// What one breaker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Making an instance, without which nothing can be called.
    Start,
    /// A hook, with whichever configuration.
    Hook(Hook),
    /// A hook with one configuration.
    Place(Hook, u32),
    /// CPU time that the plugin's calls waste.
    Waste,
    /// CPU time that calls of a hook with one configuration waste.
    WasteAt(Hook, u32),
}

/// Breakers that a fault opened, or opened again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) scope: Scope,
    pub(super) pause: Duration,
    /// It was open before: this was the try that decides.
    pub(super) again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaker {
    /// Faults in a row so far.
    Counting(u32),
    Open {
        until: Instant,
        pause: Duration,
    },
}

impl Scope {
    /// The hook it is shown under.
    pub(super) fn hook(self) -> Hook {
        match self {
            // Of the plugin as a whole.
            Self::Start | Self::Waste => Hook::Lifecycle,
            Self::Hook(hook) | Self::Place(hook, _) | Self::WasteAt(hook, _) => hook,
        }
    }

    /// As the log names it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Start | Self::Waste => "plugin",
            Self::Hook(_) => "hook",
            Self::Place(..) | Self::WasteAt(..) => "place",
        }
    }

    /// Why it is open, as the log has it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Start => "it does not start",
            Self::Hook(_) | Self::Place(..) => "it failed too often in a row",
            Self::Waste | Self::WasteAt(..) => "its calls that failed used too much CPU time (failed_cpu)",
        }
    }

    pub(super) fn is_waste(self) -> bool {
        matches!(self, Self::Waste | Self::WasteAt(..))
    }
}

impl Breakers {
    /// Of a plugin whose failed calls may use so much CPU time within ten seconds.
    pub(super) fn new(failed_cpu: Duration) -> Self {
        Self { all: BTreeMap::new(), failed_cpu, wasted: BTreeMap::new() }
    }

    /// Whether nothing failed since the last answer, nor within the last ten seconds. All a call of a good plugin asks.
    pub(super) fn is_clear(&self) -> bool {
        self.all.is_empty() && self.wasted.is_empty()
    }

    /// Until when a call must not be made; `None` when no breaker in its way is open. In the past when it is to be tried.
    pub(super) fn open_until(&self, hook: Hook, config: u32) -> Option<Instant> {
        let in_its_way = [Scope::Start, Scope::Hook(hook), Scope::Place(hook, config), Scope::Waste, Scope::WasteAt(hook, config)];
        in_its_way.into_iter().filter_map(|scope| self.all.get(&scope)?.until()).max()
    }

    /// A call was answered. Returns the breakers this closed.
    pub(super) fn answered(&mut self, hook: Hook, config: u32, now: Instant) -> Vec<Scope> {
        // All of it is in the plugin's, so that is over last.
        if self.wasted.get(&Scope::Waste).is_some_and(|all| all.is_over(now)) {
            self.wasted.clear();
        }
        let mut closed = vec![Scope::Hook(hook), Scope::Place(hook, config)];
        // Others that began before it opened do not make it good.
        closed.extend([Scope::Waste, Scope::WasteAt(hook, config)].into_iter().filter(|scope| !self.pauses(*scope, now)));
        closed.retain(|scope| self.close(*scope));
        closed
    }

    /// A call met a fault. Returns the breakers this opened.
    pub(super) fn fault(&mut self, hook: Hook, config: u32, now: Instant) -> Vec<Opened> {
        let (place, whole) = (Scope::Place(hook, config), Scope::Hook(hook));
        // That a place is still bad says nothing new of the hook.
        let known = self.is_open(place) && !self.is_open(whole);
        let whole = (!known).then_some((whole, HOOK_FAULTS));
        // A call that began before a breaker opened says nothing new: those that wait overlap.
        let counted: Vec<_> = [(place, PLACE_FAULTS)].into_iter().chain(whole).filter(|(scope, _)| !self.pauses(*scope, now)).collect();
        counted.into_iter().filter_map(|(scope, enough)| self.count(scope, enough, now)).collect()
    }

    /// A call that met a fault used so much CPU time, what replaced its instance included. Returns the breakers this opened.
    pub(super) fn wasted(&mut self, hook: Hook, config: u32, spent: Duration, now: Instant) -> Vec<Opened> {
        let limits = [(Scope::WasteAt(hook, config), self.failed_cpu / 4 * 3), (Scope::Waste, self.failed_cpu)];
        limits.into_iter().filter_map(|(scope, limit)| self.waste(scope, limit, spent, now)).collect()
    }

    /// An instance was made. Returns the breaker this closed.
    pub(super) fn started(&mut self) -> Option<Scope> {
        self.close(Scope::Start).then_some(Scope::Start)
    }

    /// No instance could be made, which is enough at once. Returns the breaker this opened.
    pub(super) fn start_failed(&mut self, now: Instant) -> Option<Opened> {
        self.count(Scope::Start, 1, now)
    }

    /// What is open.
    pub(super) fn open(&self) -> impl Iterator<Item = Scope> + '_ {
        self.all.iter().filter(|(_, breaker)| breaker.until().is_some()).map(|(scope, _)| *scope)
    }

    fn is_open(&self, scope: Scope) -> bool {
        self.until(scope).is_some()
    }

    fn pauses(&self, scope: Scope, now: Instant) -> bool {
        self.until(scope).is_some_and(|until| now < until)
    }

    fn until(&self, scope: Scope) -> Option<Instant> {
        self.all.get(&scope)?.until()
    }

    fn close(&mut self, scope: Scope) -> bool {
        self.all.remove(&scope).is_some_and(|breaker| breaker.until().is_some())
    }

    fn count(&mut self, scope: Scope, enough: u32, now: Instant) -> Option<Opened> {
        let breaker = self.all.entry(scope).or_insert(Breaker::Counting(0));
        let (pause, again) = match *breaker {
            Breaker::Counting(faults) if faults.saturating_add(1) < enough => {
                *breaker = Breaker::Counting(faults.saturating_add(1));
                return None;
            }
            Breaker::Counting(_) => (FIRST_PAUSE, false),
            Breaker::Open { pause, .. } => (pause.saturating_mul(2).min(LONGEST_PAUSE), true),
        };
        *breaker = Breaker::Open { until: now + pause, pause };
        Some(Opened { scope, pause, again })
    }

    fn waste(&mut self, scope: Scope, limit: Duration, spent: Duration, now: Instant) -> Option<Opened> {
        let wasted = self.wasted.entry(scope).or_insert_with(|| Wasted::new(now));
        wasted.add(spent, now);
        let until = wasted.until_below(limit, now)?;
        let (pauses, again) = (self.pauses(scope, now), self.is_open(scope));
        let pause = until.saturating_duration_since(now);
        self.all.insert(scope, Breaker::Open { until, pause });
        // Calls that began before it opened make the pause longer, and are no news.
        (!pauses).then_some(Opened { scope, pause, again })
    }
}

impl Breaker {
    fn until(self) -> Option<Instant> {
        match self {
            Self::Counting(_) => None,
            Self::Open { until, .. } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests;
