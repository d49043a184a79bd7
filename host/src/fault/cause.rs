//! Why an answer is an error, or broke off: what `fault` and `blame` of a request say, wherever they stand.

use super::{Blame, Fault};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    pub const COUNT: usize = Fault::ALL.len() + 2;

    /// Its place among them.
    pub fn index(self) -> usize {
        match self {
            Self::Fault(fault) => fault as usize,
            Self::Upstream => Fault::ALL.len(),
            Self::Plugin => Fault::ALL.len() + 1,
        }
    }

    /// Every one, in the order of their places.
    pub fn all() -> impl Iterator<Item = Self> {
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
    pub fn blame(self, status: u16) -> Blame {
        match self {
            Self::Fault(fault) => fault.blame(),
            Self::Upstream | Self::Plugin if status < 500 => Blame::Client,
            Self::Upstream => Blame::Upstream,
            Self::Plugin => Blame::Plugin,
        }
    }
}

impl From<Fault> for ErrorCause {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
