//! What a hook came to, as a step of its request.

use super::Place;
use crate::config::model::FailurePolicy;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::plugin::{Decision, Flow, Forwarded, Hook, Routed};
use crate::trace::{At, StepResult};

impl Place {
    /// A hook of it begins.
    pub(super) fn begin(&self, hook: Hook, exchange: &mut Exchange) {
        exchange.steps.begin(At::hook(self.slot, hook as u8));
    }

    /// It has ended.
    pub(super) fn tell<R>(&self, hook: Hook, exchange: &mut Exchange, called: &Result<R, Fault>)
    where
        for<'r> StepResult: From<&'r R>,
    {
        let result = match (called, self.on_failure) {
            (Ok(answer), _) => StepResult::from(answer),
            // A failing authorizer always rejects.
            (Err(fault), FailurePolicy::Skip) if hook != Hook::Authorizer => StepResult::Skipped(*fault),
            (Err(fault), _) => StepResult::Failed(*fault),
        };
        exchange.steps.end(result);
    }
}

impl From<&Decision> for StepResult {
    fn from(decision: &Decision) -> Self {
        match decision {
            Decision::Allow => Self::Allowed,
            Decision::Abstain => Self::Abstained,
            Decision::Respond(response) => Self::Answered(response.status.as_u16()),
            Decision::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl From<&Flow> for StepResult {
    fn from(flow: &Flow) -> Self {
        match flow {
            Flow::Next => Self::Next,
            Flow::Respond(response) => Self::Answered(response.status.as_u16()),
        }
    }
}

impl From<&Routed> for StepResult {
    fn from(routed: &Routed) -> Self {
        match routed {
            Routed::To(_) => Self::Chosen,
            Routed::NoEndpoint => Self::NoEndpoint,
        }
    }
}

impl From<&Forwarded> for StepResult {
    fn from(forwarded: &Forwarded) -> Self {
        match forwarded {
            Forwarded::Planned(_) | Forwarded::Kept(_) => Self::Planned,
            Forwarded::Refused => Self::Refused,
            Forwarded::UriTooLong => Self::Failed(Fault::UriTooLong),
        }
    }
}
