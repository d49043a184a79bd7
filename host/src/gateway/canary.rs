//! A version that is tried: how it does, and what is done about it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::unix;
use super::versions::Rollback;
use crate::config::model::{Canary, Trial};
use crate::plugin::{FailureKind, LoadedComponent};
use crate::telemetry::{CanaryEnd, PluginVersion, Running, Telemetry};

/// A canary that runs.
#[derive(Debug, Clone)]
pub(super) struct OnTrial {
    pub(super) component: Arc<LoadedComponent>,
    /// Beside which version.
    beside: Arc<LoadedComponent>,
    trial: Trial,
    began: SystemTime,
    /// What both had done by then: the same version may have been tried before.
    before: (Counted, Counted),
}

/// What a version has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Those that were not made included.
    pub(super) calls: u64,
    pub(super) failures: u64,
}

/// What is to be done about a canary.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    GoOn,
    /// It serves everybody.
    Promote,
    /// What served before does again: why.
    Return(String),
}

/// How a canary ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) digest: String,
    pub(super) how: CanaryEnd,
    pub(super) reason: Option<String>,
    pub(super) at: SystemTime,
}

// === impl OnTrial ===

impl OnTrial {
    /// It begins.
    pub(super) fn begin(
        name: &str,
        component: &Arc<LoadedComponent>,
        beside: &Arc<LoadedComponent>,
        trial: Trial,
        telemetry: &Telemetry,
    ) -> Self {
        let (component, beside) = (Arc::clone(component), Arc::clone(beside));
        let mut begun = Self { component, beside, trial, began: SystemTime::now(), before: Default::default() };
        begun.before = begun.counted(name, telemetry);
        begun
    }

    /// Whether this is what is tried.
    pub(super) fn is_of(&self, component: &LoadedComponent, beside: &LoadedComponent, trial: Trial) -> bool {
        let mode = std::mem::discriminant(&trial) == std::mem::discriminant(&self.trial);
        self.component.digest == component.digest && self.beside.digest == beside.digest && mode
    }

    /// The same with another share.
    pub(super) fn with(self, trial: Trial) -> Self {
        Self { trial, ..self }
    }

    /// What it and the version that serves have done since it began.
    pub(super) fn counted(&self, name: &str, telemetry: &Telemetry) -> (Counted, Counted) {
        let of = |component: &LoadedComponent, is_shadow| {
            Counted::of(telemetry, name, &PluginVersion { digest: Arc::from(component.short_digest()), is_shadow })
        };
        let (own, serving) = (of(&self.component, self.trial == Trial::Shadow), of(&self.beside, false));
        (own.since(self.before.0), serving.since(self.before.1))
    }

    /// What is to be done about it.
    pub(super) fn verdict(&self, name: &str, settings: &Canary, telemetry: &Telemetry) -> Verdict {
        let (own, serving) = self.counted(name, telemetry);
        judge(settings, own, serving, self.began.elapsed().unwrap_or_default())
    }

    /// As metrics have it.
    pub(super) fn running(&self, name: &str) -> Running {
        let share = match self.trial {
            Trial::Share(share) => share.value(),
            Trial::Shadow => 0.0,
        };
        Running { plugin: name.to_owned(), version: self.component.short_digest().to_owned(), share }
    }

    /// As status shows it.
    pub(super) fn shown(&self, name: &str, settings: &Canary, telemetry: &Telemetry) -> Value {
        let (own, serving) = self.counted(name, telemetry);
        json!({
            "share": settings.trial.to_string(),
            "since": unix(self.began),
            "calls": own.calls,
            "failures": own.failures,
            "serving_calls": serving.calls,
            "serving_failures": serving.failures,
        })
    }
}

// === impl Counted ===

impl Counted {
    fn of(telemetry: &Telemetry, name: &str, version: &PluginVersion) -> Self {
        let tally = telemetry.version_tally(name, version);
        let is_not_made = |kind: &str| [FailureKind::Breaker, FailureKind::NoInstance].iter().any(|not_made| not_made.as_str() == kind);
        let not_made: u64 = tally.failures.iter().filter(|(_, kind, _)| is_not_made(kind)).map(|(.., count)| count).sum();
        Self { calls: tally.calls + not_made, failures: tally.failures.iter().map(|(.., count)| count).sum() }
    }

    fn since(self, before: Self) -> Self {
        Self { calls: self.calls.saturating_sub(before.calls), failures: self.failures.saturating_sub(before.failures) }
    }

    fn rate(self) -> f64 {
        // An instance that does not start is a failure without a call.
        self.failures as f64 / self.calls.max(self.failures).max(1) as f64
    }
}

// === impl Ended ===

impl Ended {
    /// What can be told from what was gone back to.
    pub(super) fn of(rollback: Rollback) -> Option<Self> {
        let Rollback { instead_of, reason, .. } = rollback;
        reason.is_some().then_some(Self { digest: instead_of, how: CanaryEnd::Returned, reason, at: SystemTime::UNIX_EPOCH })
    }

    /// As status shows it.
    pub(super) fn shown(&self) -> Value {
        let at = Some(unix(self.at)).filter(|at| *at > 0);
        json!({ "digest": format!("sha256:{}", self.digest), "end": self.how.as_str(), "reason": self.reason, "at": at })
    }
}

/// What is to be done about a canary that has done so much, beside what the version that serves has done in the same time. What goes
/// wrong for both, such as a key server that is down, is not the new version's fault.
fn judge(settings: &Canary, own: Counted, serving: Counted, age: Duration) -> Verdict {
    if own.failures >= settings.min_failures && own.rate() - serving.rate() > settings.max_failures.value() {
        return Verdict::Return(format!(
            "{} of its {} calls failed ({:.2}%), and {:.2}% of the serving version's; at most {} more may",
            own.failures,
            own.calls.max(own.failures),
            own.rate() * 100.0,
            serving.rate() * 100.0,
            settings.max_failures,
        ));
    }
    // One that nobody has met has proved nothing.
    let is_over = settings.promote_after.is_some_and(|after| age >= after) && own.calls > 0;
    if is_over { Verdict::Promote } else { Verdict::GoOn }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Share;

    const SETTINGS: Canary = Canary {
        trial: Trial::Share(Share(50_000)),
        max_failures: Share(10_000),
        min_failures: 5,
        promote_after: Some(Duration::from_secs(60)),
    };

    fn judged(own: (u64, u64), serving: (u64, u64), seconds: u64) -> Verdict {
        let counted = |(calls, failures)| Counted { calls, failures };
        judge(&SETTINGS, counted(own), counted(serving), Duration::from_secs(seconds))
    }

    #[test]
    fn too_many_failures_take_it_back_and_too_few_say_nothing() {
        assert_eq!(judged((4, 4), (100, 0), 1), Verdict::GoOn);
        let Verdict::Return(why) = judged((5, 5), (100, 0), 1) else { panic!("it is taken back") };
        assert_eq!(why, "5 of its 5 calls failed (100.00%), and 0.00% of the serving version's; at most 1% more may");
        assert_eq!(judged((500, 5), (100, 0), 1), Verdict::GoOn, "that is 1%");
        assert!(matches!(judged((499, 5), (100, 0), 1), Verdict::Return(_)));
        // Instances that do not start are never called.
        assert!(matches!(judged((0, 5), (0, 0), 1), Verdict::Return(_)));
    }

    #[test]
    fn what_fails_for_both_is_not_its_fault() {
        assert_eq!(judged((100, 50), (1_900, 950), 1), Verdict::GoOn);
        assert!(matches!(judged((100, 52), (1_900, 950), 1), Verdict::Return(_)));
    }

    #[test]
    fn its_time_promotes_it_once_it_was_called() {
        assert_eq!(judged((0, 0), (100, 0), 61), Verdict::GoOn);
        assert_eq!(judged((1, 0), (100, 0), 59), Verdict::GoOn);
        assert_eq!(judged((1, 0), (100, 0), 61), Verdict::Promote);
        assert!(matches!(judged((5, 5), (100, 0), 61), Verdict::Return(_)));
    }
}
