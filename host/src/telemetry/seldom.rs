//! What is so many times a second is said now and then.

use std::time::{Duration, Instant};

/// How often.
const AGAIN: Duration = Duration::from_secs(10);

/// When something was last said.
#[derive(Debug, Default)]
pub struct Seldom {
    said: Option<Instant>,
}

impl Seldom {
    /// Whether it is to be said now: the first time, and then every ten seconds at most.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.said.is_none_or(|said| said.elapsed() >= AGAIN);
        if is_due {
            self.said = Some(Instant::now());
        }
        is_due
    }
}
