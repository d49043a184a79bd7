//! How a new version of a plugin begins: for a share of the clients, or beside the one that serves.

use std::fmt;
use std::time::Duration;

use http::HeaderName;

use super::Share;

/// `[plugins.NAME] canary`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// Whom it serves.
    pub trial: Trial,
    /// How much more of its calls may fail than of the serving version's before it is taken back; default 1 %.
    pub max_failures: Share,
    /// Failures before which nothing is decided; default 5.
    pub min_failures: u64,
    /// After how long it serves everybody; default never by itself.
    pub promote_after: Option<Duration>,
}

/// Whom a new version serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// This share of the clients.
    Share(Share),
    /// Nobody: it is called beside the one that serves, and compared.
    Shadow,
}

/// What tells clients apart: the first of these that a request has; else the client's address, after the trust rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CanaryBy {
    /// The value of a header.
    pub header: Option<HeaderName>,
    /// The value of a cookie.
    pub cookie: Option<String>,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Shadow => f.write_str("shadow"),
        }
    }
}
