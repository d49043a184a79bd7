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

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::rights::Hook;

/// Faults in a row after which a place is left alone.
const PLACE_FAULTS: u32 = 5;
/// Faults in a row, at whichever places, after which a hook is left alone.
const HOOK_FAULTS: u32 = 10;
/// How long at first.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Every breaker of one plugin on one worker that is open or counting. None, for nearly every plugin at any time.
#[derive(Debug, Default)]
pub(super) struct Breakers(BTreeMap<Scope, Breaker>);

/// What one breaker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) hook: Hook,
    /// `None` for the hook as a whole.
    config: Option<u32>,
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
    /// Making an instance, without which nothing can be called.
    pub(super) const START: Self = Self { hook: Hook::Lifecycle, config: None };

    fn place(hook: Hook, config: u32) -> Self {
        Self { hook, config: Some(config) }
    }

    fn hook(hook: Hook) -> Self {
        Self { hook, config: None }
    }

    /// As the log names it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::START => "plugin",
            Self { config: None, .. } => "hook",
            Self { config: Some(_), .. } => "place",
        }
    }
}

impl Breakers {
    /// Whether nothing failed since the last answer. All a call of a good plugin asks.
    pub(super) fn is_clear(&self) -> bool {
        self.0.is_empty()
    }

    /// Until when a call must not be made; `None` when no breaker in its way is open. In the past when it is to be tried.
    pub(super) fn open_until(&self, hook: Hook, config: u32) -> Option<Instant> {
        [Scope::START, Scope::hook(hook), Scope::place(hook, config)].into_iter().filter_map(|scope| self.0.get(&scope)?.until()).max()
    }

    /// A call was answered. Returns the breakers this closed.
    pub(super) fn answered(&mut self, hook: Hook, config: u32) -> Vec<Scope> {
        [Scope::hook(hook), Scope::place(hook, config)].into_iter().filter(|scope| self.close(*scope)).collect()
    }

    /// A call met a fault. Returns the breakers this opened.
    pub(super) fn fault(&mut self, hook: Hook, config: u32, now: Instant) -> Vec<Opened> {
        let (place, whole) = (Scope::place(hook, config), Scope::hook(hook));
        // That a place is still bad says nothing new of the hook.
        let known = self.is_open(place) && !self.is_open(whole);
        let whole = (!known).then_some((whole, HOOK_FAULTS));
        // A call that began before a breaker opened says nothing new: those that wait overlap.
        let pauses = |scope: &Scope| self.0.get(scope).and_then(|breaker| breaker.until()).is_some_and(|until| now < until);
        let counted: Vec<_> = [(place, PLACE_FAULTS)].into_iter().chain(whole).filter(|(scope, _)| !pauses(scope)).collect();
        counted.into_iter().filter_map(|(scope, enough)| self.count(scope, enough, now)).collect()
    }

    /// An instance was made. Returns the breaker this closed.
    pub(super) fn started(&mut self) -> Option<Scope> {
        self.close(Scope::START).then_some(Scope::START)
    }

    /// No instance could be made, which is enough at once. Returns the breaker this opened.
    pub(super) fn start_failed(&mut self, now: Instant) -> Option<Opened> {
        self.count(Scope::START, 1, now)
    }

    /// What is open.
    pub(super) fn open(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().filter(|(_, breaker)| breaker.until().is_some()).map(|(scope, _)| *scope)
    }

    fn is_open(&self, scope: Scope) -> bool {
        self.0.get(&scope).is_some_and(|breaker| breaker.until().is_some())
    }

    fn close(&mut self, scope: Scope) -> bool {
        self.0.remove(&scope).is_some_and(|breaker| breaker.until().is_some())
    }

    fn count(&mut self, scope: Scope, enough: u32, now: Instant) -> Option<Opened> {
        let breaker = self.0.entry(scope).or_insert(Breaker::Counting(0));
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
