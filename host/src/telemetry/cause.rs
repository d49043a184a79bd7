//! Why an answer is an error, or broke off: what the labels `fault` and `blame` of a request say.

use crate::fault::{Blame, Fault};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCause {
    /// A fault that the gateway found.
    Fault(Fault),
    /// The upstream answered with an error's status.
    Upstream,
    /// A plugin did.
    Plugin,
}

impl ErrorCause {
    /// How many there are.
    pub(super) const COUNT: usize = Fault::ALL.len() + 2;

    /// Its place among them.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Fault(fault) => fault as usize,
            Self::Upstream => Fault::ALL.len(),
            Self::Plugin => Fault::ALL.len() + 1,
        }
    }

    /// Every one, in the order of their places.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Fault::ALL.iter().copied().map(Self::Fault).chain([Self::Upstream, Self::Plugin])
    }

    /// Its stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.code(),
            Self::Upstream => "upstream-status",
            Self::Plugin => "plugin-status",
        }
    }

    /// Whose fault it was. Who answers 4xx says that it was the client's.
    pub fn blame(self, status: usize) -> Blame {
        match self {
            Self::Fault(fault) => fault.blame(),
            Self::Upstream | Self::Plugin if status < 500 => Blame::Client,
            Self::Upstream => Blame::Upstream,
            Self::Plugin => Blame::Plugin,
        }
    }
}
