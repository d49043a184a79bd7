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

/// Where the lines of one instance go.
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
    rate: Arc<LineRate>,
    hits: Arc<BudgetHits>,
}

/// How many lines a plugin writes, over all workers.
#[derive(Debug)]
pub struct LineRate {
    started: Instant,
    lines_per_second: u64,
    /// The second being counted in the upper half, its lines in the lower.
    window: AtomicU64,
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
/// The half of a window that counts lines.
const LINES: u64 = 0xffff_ffff;

impl PluginLog {
    /// A log for one plugin on one worker, in which its secrets are masked. `digest` is that of its component.
    pub fn new(plugin: Arc<str>, digest: &str, secrets: Arc<Secrets>, rate: Arc<LineRate>, hits: Arc<BudgetHits>) -> Self {
        Self { shared: Arc::new(Shared { plugin, version: version(digest).to_owned(), secrets, rate, hits }) }
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
        let (plugin, version) = (&*self.shared.plugin, &*self.shared.version);
        if !self.shared.rate.admits(plugin, version) {
            return self.shared.hits.count(BudgetKey::LogLinesPerSecond, 1);
        }
        let About { request_id, trace_id } = about;
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

impl LineRate {
    /// Nothing written yet.
    pub fn new(lines_per_second: u32) -> Self {
        Self { started: Instant::now(), lines_per_second: lines_per_second.into(), window: AtomicU64::new(0) }
    }

    /// Whether that version of a plugin may have one more line now. Says how many were dropped before.
    pub fn admits(&self, plugin: &str, version: &str) -> bool {
        let Admitted::Yes { dropped_before } = self.admit(self.started.elapsed().as_secs()) else { return false };
        if dropped_before > 0 {
            tracing::warn!(target: "plugin", plugin, version, lines = dropped_before, "Log lines were dropped: more than log_lines_per_second");
        }
        true
    }

    fn admit(&self, second: u64) -> Admitted {
        let counted = |window: u64| {
            // A thread may be late with a second that has ended for the others: its line counts in theirs.
            let (current, lines) = (window >> 32, window & LINES);
            if second > current { second << 32 | 1 } else { current << 32 | (lines + 1).min(LINES) }
        };
        let mut window = self.window.load(Ordering::Relaxed);
        while let Err(other) = self.window.compare_exchange_weak(window, counted(window), Ordering::Relaxed, Ordering::Relaxed) {
            window = other;
        }
        let (current, lines) = (window >> 32, window & LINES);
        if second > current {
            return Admitted::Yes { dropped_before: lines.saturating_sub(self.lines_per_second) };
        }
        if lines < self.lines_per_second { Admitted::Yes { dropped_before: 0 } } else { Admitted::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_lines_and_says_how_many_it_dropped() {
        let rate = LineRate::new(2);
        let admitted = |second| matches!(rate.admit(second), Admitted::Yes { .. });
        assert!(admitted(1) && admitted(1) && !admitted(1) && !admitted(1));
        assert!(matches!(rate.admit(2), Admitted::Yes { dropped_before: 2 }));
        // A thread whose clock is behind takes nothing from the new second.
        assert!(admitted(1) && !admitted(1) && !admitted(2));
    }
}
