//! What the gateway prints, read while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the gateway printed, line by line as it comes.
#[derive(Debug, Default)]
pub struct Log {
    state: Mutex<LogState>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    lines: Vec<Line>,
    /// Streams that are still open.
    open: usize,
}

/// One printed line.
#[derive(Debug, Clone)]
pub struct Line {
    /// As printed.
    pub text: String,
    /// Parsed, when it is a JSON object.
    pub json: Option<Value>,
}

impl Line {
    fn parse(text: String) -> Self {
        let json = serde_json::from_str(&text).ok().filter(Value::is_object);
        Self { text, json }
    }

    /// The log message; empty when the line is not a log line.
    pub fn message(&self) -> &str {
        self.field("message").unwrap_or_default()
    }

    /// A field that is text, in `fields` or at the top.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Value::as_str)
    }

    /// A field, in `fields` or at the top.
    pub fn value(&self, name: &str) -> Option<&Value> {
        let json = self.json.as_ref()?;
        json.get("fields").and_then(|fields| fields.get(name)).or_else(|| json.get(name))
    }
}

impl Log {
    pub(crate) fn follow(self: &Arc<Self>, stream: Option<impl Read + Send + 'static>) {
        let Some(stream) = stream else { return };
        self.lock().open += 1;
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                log.lock().lines.push(Line::parse(line));
                log.more.notify_all();
            }
            log.lock().open -= 1;
            log.more.notify_all();
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every line so far; standard output and error are mixed in order of arrival.
    pub fn lines(&self) -> Vec<Line> {
        self.lock().lines.clone()
    }

    /// Every line so far as one text.
    pub fn text(&self) -> String {
        self.lock().lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The first line that `wanted` accepts, now or within `bound`.
    pub fn wait(&self, bound: Duration, wanted: impl Fn(&Line) -> bool) -> Option<Line> {
        let deadline = Instant::now() + bound;
        let mut state = self.lock();
        let mut seen = 0;
        loop {
            if let Some(line) = state.lines.iter().skip(seen).find(|line| wanted(line)) {
                return Some(line.clone());
            }
            seen = state.lines.len();
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a process that has ended has no more lines on their way.
    pub(super) fn settle(&self) {
        let open = self.more.wait_timeout_while(self.lock(), Duration::from_secs(5), |state| state.open > 0);
        drop(open);
    }
}
