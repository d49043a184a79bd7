//! What a listener does that cannot accept: it waits a little before it tries again, and says why, but not each time.

use std::time::{Duration, Instant};

/// How often it is said, for each listener of each worker.
const AGAIN: Duration = Duration::from_secs(10);

/// When one listener last said why it does not accept.
#[derive(Debug, Default)]
pub(super) struct Pause {
    said: Option<Instant>,
}

impl Pause {
    /// Waits that long. Files that have run out stay so for a while, and fifty lines a second from each worker would say no more than one.
    pub(super) async fn wait(&mut self, pause: Duration, say: impl FnOnce()) {
        if self.said.is_none_or(|said| said.elapsed() >= AGAIN) {
            self.said = Some(Instant::now());
            say();
        }
        tokio::time::sleep(pause).await;
    }
}
