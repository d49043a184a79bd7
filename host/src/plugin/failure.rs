//! Why a call did not end normally, or was not made.

use std::fmt;
use std::time::Duration;

use wasmtime::PoolConcurrencyLimitError;

use super::budget::CpuExceeded;
use super::guest::Guest;
use crate::exchange::Phase;
use crate::fault::Fault;
use crate::telemetry::BudgetKey;

/// Why a call did not end normally, or was not made.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// For the log; never for a client.
    pub message: String,
    /// The budget it met.
    pub budget: Option<BudgetKey>,
}

/// Kinds of failure, as metrics and status count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It trapped: a panic, `unreachable`, a host call it must not make.
    Trap,
    /// It used up its CPU time.
    Cpu,
    /// It wanted more memory than it may have.
    Memory,
    /// It answered what it must not: too large, illegal, an endpoint that is no member.
    Output,
    /// It answered with an error of its own.
    Refused,
    /// It was not called: a breaker is open.
    Breaker,
    /// It was not called: no instance was free, or its next one is still being made.
    NoInstance,
    /// It did not answer within its deadline.
    Deadline,
}

// === impl Failure ===

impl Failure {
    pub(super) fn of(error: &wasmtime::Error, guest: &Guest) -> Self {
        if let Some(Self { kind, message, budget }) = error.downcast_ref::<Self>() {
            return Self { kind: *kind, message: guest.log.shown(message).into_owned(), budget: *budget };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::no_room();
        }
        let kind = if guest.cpu.exceeded {
            FailureKind::Cpu
        } else if guest.memory.exceeded {
            FailureKind::Memory
        } else {
            FailureKind::Trap
        };
        let message = match kind {
            FailureKind::Memory => format!("wanted more than its {} bytes of memory: {error:#}", guest.budget.memory),
            _ => format!("{error:#}"),
        };
        // Names of functions are the file's.
        let message = guest.log.shown(&message).into_owned();
        // The contract has a longer time for what is off the request's path.
        let aside =
            matches!(guest.phase, Phase::Setup) || (matches!(guest.phase, Phase::Aside) && guest.cpu.limit() == guest.budget.setup_cpu);
        let budget = match kind {
            FailureKind::Cpu if aside => Some(BudgetKey::SetupCpu),
            FailureKind::Cpu => Some(BudgetKey::Cpu),
            FailureKind::Memory => Some(BudgetKey::Memory),
            _ => None,
        };
        Self { kind, message, budget }
    }

    /// An answer the contract does not allow.
    pub(super) fn output(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Output, message: message.into(), budget: None }
    }

    /// An answer past a budget.
    pub(super) fn over(budget: BudgetKey, message: impl Into<String>) -> Self {
        Self { budget: Some(budget), ..Self::output(message) }
    }

    /// An error the plugin answered with.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Refused, message: message.into(), budget: None }
    }

    /// It took more CPU time to become ready than there was.
    pub(super) fn late(limit: Duration) -> Self {
        Self { kind: FailureKind::Cpu, message: CpuExceeded(limit).to_string(), budget: Some(BudgetKey::SetupCpu) }
    }

    /// As many instances of all plugins are alive as there may be.
    fn no_room() -> Self {
        let message = "there is no room for another instance: as many are alive as `max_plugin_instances` in [limits]".to_owned();
        Self { kind: FailureKind::NoInstance, message, budget: None }
    }

    /// It computed on when its plugin was left alone.
    pub(super) fn left_alone() -> Self {
        let message = "was still computing when its breaker opened".to_owned();
        Self { kind: FailureKind::Breaker, message, budget: None }
    }

    /// It did not answer in time, and went with the call.
    pub(super) fn deadline(deadline: Duration) -> Self {
        let message = format!("did not answer within its deadline of {deadline:?}");
        Self { kind: FailureKind::Deadline, message, budget: Some(BudgetKey::Deadline) }
    }

    /// No call was made.
    pub(super) fn not_called(kind: FailureKind) -> Self {
        Self { kind, message: "no call was made".to_owned(), budget: None }
    }

    /// What the client is told.
    pub fn fault(&self) -> Fault {
        match self.kind {
            FailureKind::Cpu => Fault::PluginCpuExceeded,
            FailureKind::Memory => Fault::PluginMemoryExceeded,
            FailureKind::Trap | FailureKind::Output | FailureKind::Refused => Fault::PluginFailed,
            FailureKind::Deadline => Fault::PluginDeadlineExceeded,
            FailureKind::Breaker | FailureKind::NoInstance => Fault::PluginUnavailable,
        }
    }
}

impl FailureKind {
    /// As it stands in metrics and logs.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.get(self as usize).copied().unwrap_or_default()
    }

    /// Every kind's name, in order: `kind as usize` finds a kind's.
    pub const NAMES: [&'static str; 8] = ["trap", "cpu", "memory", "output", "refused", "breaker", "no-instance", "deadline"];
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
