//! The words of `demo --once`: a table, one line per plugin, and a verdict for every claim. Colours on a terminal only.

use std::io::IsTerminal;

use plugway_harness::upstream::Upstream;

use super::traffic::{KEYS, Outcome, ROUNDS};

/// Width of a full bar.
const BAR: usize = 40;

/// Collects verdicts while it prints.
pub(super) struct Report {
    colours: bool,
    good: bool,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { colours: std::io::stdout().is_terminal(), good: true }
    }

    /// Whether every claim so far held.
    pub(super) fn is_good(&self) -> bool {
        self.good
    }

    fn coloured(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// One claim and whether it held.
    pub(super) fn claim(&mut self, holds: bool, what: &str) {
        self.good &= holds;
        let mark = if holds { self.coloured("32", "ok  ") } else { self.coloured("31", "FAIL") };
        println!("  {mark}  {what}");
    }

    /// Endpoint, requests, share, bar.
    pub(super) fn table<'u>(&self, outcome: &Outcome, upstreams: impl Iterator<Item = &'u Upstream>) {
        let total = KEYS * ROUNDS;
        println!("\n  {:<12} {:<26} {:>5} {:>9} {:>7}", "upstream", "endpoint", "keys", "requests", "share");
        for upstream in upstreams {
            let requests = outcome.by_upstream.get(upstream.name()).copied().unwrap_or_default();
            let keys = outcome.keys.get(upstream.name()).copied().unwrap_or_default();
            let bar = self.coloured("36", &"#".repeat(requests * BAR / total));
            let permille = requests * 1000 / total;
            let share = format!("{}.{} %", permille / 10, permille % 10);
            println!("  {:<12} {:<26} {keys:>5} {requests:>9} {share:>7}  {bar}", upstream.name(), upstream.url());
        }
        println!();
    }

    /// A heading.
    pub(super) fn heading(&self, text: &str) {
        println!("{}", self.coloured("1", text));
    }
}
