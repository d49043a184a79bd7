//! When, where and with what something was measured.

use plugway_harness::Result;
use serde::{Deserialize, Serialize};

use crate::workspace::said;

/// Where a figure comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// UTC, to the minute (RFC 3339).
    pub(super) measured_at: String,
    /// This checkout's commit; `+` after it where files were changed.
    pub(super) commit: String,
    /// The processor's name, where the system knows it.
    pub(super) processor: Option<String>,
}

impl Origin {
    /// This moment's.
    ///
    /// # Errors
    /// When `date` or `git` cannot be run.
    pub(super) fn now() -> Result<Self> {
        let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
        let commit = said("git", &["rev-parse", "--short=10", "HEAD"])? + if changed { "+" } else { "" };
        Ok(Self { measured_at: said("date", &["-u", "+%Y-%m-%dT%H:%MZ"])?, commit, processor: processor() })
    }
}

/// The processor's name.
pub(super) fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_said_in_utc_with_a_commit() {
        let origin = Origin::now().unwrap();
        assert!(origin.measured_at.starts_with("20") && origin.measured_at.ends_with('Z') && origin.measured_at.len() == 17);
        assert!(origin.commit.trim_end_matches('+').len() >= 10 || origin.commit == "+" || origin.commit.is_empty(), "{origin:?}");
    }
}
