//! The steps of a request, in order: which hook of which plugin said what, and how attempts ended.

use std::num::NonZero;
use std::time::{Duration, Instant};

use super::Recording;
use crate::fault::Fault;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub at: At,
    /// What came of it.
    pub result: StepResult,
    /// How long it took, microseconds. Hooks are too short to read a clock for each where nothing has failed of late.
    took: Option<NonZero<u32>>,
}

/// Where a step is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// In a hook.
    Hook {
        /// Which plugin, as the chain of the request's route numbers it.
        slot: u16,
        /// Which hook, as plugins number them.
        hook: u8,
        /// From the request's head to its beginning, microseconds, where hooks are timed.
        after_us: Option<u32>,
    },
    /// At an endpoint.
    Attempt {
        /// Its id.
        endpoint: u64,
        /// From the request's head to its beginning, microseconds.
        after_us: u32,
    },
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// A filter let it go on.
    Next,
    /// An authorizer let it pass.
    Allowed,
    /// An authorizer left it to others.
    Abstained,
    /// An authorizer could not say.
    Unavailable,
    /// A plugin answered it, with this status.
    Answered(u16),
    /// A router named an endpoint.
    Chosen,
    /// A router named one that is no member any more.
    Stale,
    /// A router had none.
    NoEndpoint,
    /// A forwarder wrote its plan.
    Planned,
    /// A forwarder was not asked: what it wrote for another request holds for this one.
    Kept,
    /// A forwarder did not want that endpoint.
    Refused,
    /// An endpoint replied, with this status.
    Replied(u16),
    /// It failed, and that ended the step.
    Failed(Fault),
    /// It failed, and the request went on as if the plugin were not there.
    Skipped(Fault),
}

impl At {
    /// A hook that begins now.
    pub fn hook(slot: usize, hook: u8) -> Self {
        Self::Hook { slot: u16::try_from(slot).unwrap_or(u16::MAX), hook, after_us: None }
    }

    /// An attempt that begins so long after the request's head.
    pub fn attempt(endpoint: u64, after: Duration) -> Self {
        Self::Attempt { endpoint, after_us: micros(after) }
    }

    /// When it began, where that is known.
    pub fn after(self) -> Option<Duration> {
        match self {
            Self::Attempt { after_us, .. } => Some(Duration::from_micros(after_us.into())),
            Self::Hook { after_us, .. } => after_us.map(|us| Duration::from_micros(us.into())),
        }
    }
}

impl Step {
    /// How long it took, where that is known.
    pub fn took(&self) -> Option<Duration> {
        self.took.map(|micros| Duration::from_micros(micros.get().into()))
    }
}

/// An hour at most, and that is no request's attempt.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// The steps of one request. The first few need no memory of their own.
#[derive(Debug, Default)]
pub struct Steps {
    few: [Option<Step>; FEW],
    count: usize,
    more: Vec<Step>,
    under_way: Option<At>,
    /// Where hooks are timed.
    clock: Option<Clock>,
    /// Where it is sampled.
    recording: Option<Box<Recording>>,
}

/// Reads the time once for each step: what lies between two is the next one's.
#[derive(Debug, Clone, Copy)]
struct Clock {
    started: Instant,
    /// From then to the end of the last step, microseconds.
    last_us: u32,
}

/// Steps that every request has room for: a chain of five plugins, both ways.
const FEW: usize = 10;
/// The most that are kept of one request: it may be tried a hundred times, by plugins each time.
const MOST: usize = 512;

impl StepResult {
    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Allowed => "allowed",
            Self::Abstained => "abstained",
            Self::Unavailable => "unavailable",
            Self::Answered(_) => "answered",
            Self::Chosen => "chosen",
            Self::Stale => "stale-endpoint",
            Self::NoEndpoint => "no-endpoint",
            Self::Planned => "planned",
            Self::Kept => "kept-plan",
            Self::Refused => "refused",
            Self::Replied(_) => "replied",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The status it has.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Answered(status) | Self::Replied(status) => Some(status),
            _ => None,
        }
    }

    /// The fault it met.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Self::Failed(fault) | Self::Skipped(fault) => Some(fault),
            _ => None,
        }
    }
}

impl Clock {
    /// A step has ended: how long it took.
    fn step(&mut self) -> Option<NonZero<u32>> {
        let now = micros(self.started.elapsed());
        let took = now.saturating_sub(std::mem::replace(&mut self.last_us, now));
        NonZero::new(took.max(1))
    }
}

impl Steps {
    /// Records times and notes from now on.
    pub fn record(&mut self, recording: Box<Recording>) {
        self.recording = Some(recording);
    }

    /// Times hooks from now on, as those of a request that began then.
    pub fn time_hooks(&mut self, started: Instant) {
        self.clock = Some(Clock { started, last_us: micros(started.elapsed()) });
    }

    /// What is recorded, where the request is sampled.
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_deref()
    }

    /// The same, to note something in the step under way.
    pub fn recording_mut(&mut self) -> Option<&mut Recording> {
        self.recording.as_deref_mut()
    }

    /// A step begins. The span it has, where it is recorded.
    pub fn begin(&mut self, at: At) -> Option<u64> {
        self.under_way = Some(match (at, self.clock) {
            (At::Hook { slot, hook, .. }, Some(clock)) => At::Hook { slot, hook, after_us: Some(clock.last_us) },
            (at, _) => at,
        });
        self.recording.as_mut().map(|recording| recording.begin())
    }

    /// The step under way has ended.
    pub fn end(&mut self, result: StepResult) {
        let took = self.clock.as_mut().and_then(Clock::step);
        self.ended(result, took);
    }

    /// The attempt under way has ended.
    pub fn end_attempt(&mut self, result: StepResult, took: Duration) {
        self.clock.as_mut().and_then(Clock::step);
        self.ended(result, NonZero::new(micros(took).max(1)));
    }

    fn ended(&mut self, result: StepResult, took: Option<NonZero<u32>>) {
        let Some(at) = self.under_way.take() else { return };
        let step = Step { at, result, took };
        if let Some(free) = self.few.get_mut(self.count) {
            *free = Some(step);
        } else if self.count < MOST {
            self.more.push(step);
        } else {
            return;
        }
        self.count += 1;
        if let Some(recording) = &mut self.recording {
            recording.end();
        }
    }

    /// The step that has begun and not ended.
    pub fn under_way(&self) -> Option<At> {
        self.under_way
    }

    /// Every step that ended, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.few.iter().flatten().chain(&self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_kept_in_order_and_bounded() {
        let mut steps = Steps::default();
        for slot in 0..600 {
            assert_eq!(steps.begin(At::hook(slot, 1)), None);
            steps.end(StepResult::Next);
        }
        assert_eq!(steps.under_way(), None);
        let slots: Vec<_> = steps.iter().map(|step| step.at).collect();
        let expected: Vec<_> = (0..512).map(|slot| At::hook(slot, 1)).collect();
        assert_eq!(slots, expected);
    }

    #[test]
    fn an_attempt_has_its_time_also_where_nothing_is_recorded() {
        let mut steps = Steps::default();
        steps.begin(At::attempt(7, Duration::from_micros(120)));
        assert_eq!(steps.under_way().and_then(At::after), Some(Duration::from_micros(120)));
        steps.end_attempt(StepResult::Replied(200), Duration::from_nanos(1));
        steps.begin(At::hook(0, 1));
        steps.end(StepResult::Next);
        let times: Vec<_> = steps.iter().map(|step| (step.at.after(), step.took())).collect();
        assert_eq!(times, [(Some(Duration::from_micros(120)), Some(Duration::from_micros(1))), (None, None)]);
        let mut timed = Steps::default();
        timed.time_hooks(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        for slot in [0, 1] {
            timed.begin(At::hook(slot, 1));
            timed.end(StepResult::Next);
        }
        let times: Vec<_> = timed.iter().map(|step| (step.at.after().unwrap(), step.took().unwrap())).collect();
        assert!(times[0].0 >= Duration::from_secs(1) && times[0].0 + times[0].1 <= times[1].0 + Duration::from_micros(1), "{times:?}");
        assert!(size_of::<Step>() <= 24, "every request has room for ten");
    }
}
