//! `log`: a plugin's lines, under its name and version and with the request they are about, cut and rate-limited, so that a chatty plugin costs neither disk nor time.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::secrets::Secrets;
use crate::telemetry::{BudgetHits, BudgetKey};

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Only while developing.
    Debug,
    /// Worth keeping.
    Info,
    /// Something is not as it should be, and goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Where the lines of one instance go. Clones share the rate.
#[derive(Debug, Clone)]
pub struct PluginLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plugin: Arc<str>,
    /// The beginning of its digest, as lists of plugins show it.
    version: String,
    secrets: Arc<Secrets>,
    started: Instant,
    lines_per_second: u64,
    /// The second being counted in the upper half, its lines in the lower. One thread writes at a time.
    window: AtomicU64,
    hits: Arc<BudgetHits>,
}

/// What a line is about; nothing where no request is being served.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The request.
    pub request_id: Option<&'a str>,
    /// The trace it belongs to.
    pub trace_id: Option<&'a str>,
}

/// Hexadecimal digits of a digest that tell versions apart, as everywhere people read them.
const VERSION: usize = 12;

/// The short form of a component's digest.
pub fn version(digest: &str) -> &str {
    digest.get(..VERSION).unwrap_or(digest)
}

/// Longest line, bytes.
const MAX_LINE: usize = 4096;

impl PluginLog {
    /// A log for one plugin on one worker, in which its secrets are masked. `digest` is that of its component.
    pub fn new(plugin: Arc<str>, digest: &str, secrets: Arc<Secrets>, lines_per_second: u32, hits: Arc<BudgetHits>) -> Self {
        let shared = Shared {
            plugin,
            version: version(digest).to_owned(),
            secrets,
            started: Instant::now(),
            lines_per_second: lines_per_second.into(),
            window: AtomicU64::new(0),
            hits,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether a line of this level would be written.
    pub fn enabled(&self, level: Level) -> bool {
        match level {
            Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
        }
    }

    /// Writes one line, unless the plugin has written enough this second.
    pub fn write(&self, level: Level, message: &str, about: About<'_>) {
        if !self.enabled(level) {
            return;
        }
        let Admitted::Yes { dropped_before } = self.shared.admit(self.shared.started.elapsed().as_secs()) else { return };
        let (plugin, version) = (&*self.shared.plugin, &*self.shared.version);
        let About { request_id, trace_id } = about;
        if dropped_before > 0 {
            tracing::warn!(target: "plugin", plugin, version, lines = dropped_before, "Log lines were dropped: more than log_lines_per_second");
        }
        let message = self.shown(message);
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, version, request_id, trace_id, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, version, request_id, trace_id, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, version, request_id, trace_id, "{message}"),
            Level::Error => tracing::error!(target: "plugin", plugin, version, request_id, trace_id, "{message}"),
        }
    }

    /// As much of a text as one line holds, 4,096 bytes at most, with the plugin's secrets masked.
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.shared.secrets.shown(text, MAX_LINE)
    }

    /// Bytes of a line that have to be kept together: what is longer is cut, and a secret in it is masked before that.
    pub fn room(&self) -> usize {
        MAX_LINE + self.shared.secrets.longest()
    }
}

enum Admitted {
    Yes {
        /// Lines dropped in the window that has just ended.
        dropped_before: u64,
    },
    No,
}

impl Shared {
    fn admit(&self, second: u64) -> Admitted {
        let window = self.window.load(Ordering::Relaxed);
        let (current, lines) = (window >> 32, window & 0xffff_ffff);
        if second != current {
            self.window.store(second << 32 | 1, Ordering::Relaxed);
            return Admitted::Yes { dropped_before: lines.saturating_sub(self.lines_per_second) };
        }
        self.window.store(second << 32 | (lines + 1).min(0xffff_ffff), Ordering::Relaxed);
        if lines < self.lines_per_second {
            Admitted::Yes { dropped_before: 0 }
        } else {
            self.hits.count(BudgetKey::LogLinesPerSecond, 1);
            Admitted::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_lines_and_says_how_many_it_dropped() {
        let log = PluginLog::new("p".into(), "0123456789abcdef", Arc::default(), 2, Arc::new(BudgetHits::new("p".into())));
        let admitted = |second| matches!(log.shared.admit(second), Admitted::Yes { .. });
        assert!(admitted(1) && admitted(1) && !admitted(1) && !admitted(1));
        assert!(matches!(log.shared.admit(2), Admitted::Yes { dropped_before: 2 }));
    }
}
