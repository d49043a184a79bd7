//! The capabilities every plugin has: `log`, `clock`, `random`, `metrics`, `endpoints`.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Instant, UNIX_EPOCH};

use ring::rand::SecureRandom;
use wasmtime::Result;

use crate::capability::log::{About, Level};
use crate::capability::metrics::{DeclareError, Kind, MAX_LABELS, MAX_VALUE as MAX_LABEL};
use crate::exchange::{Exchange, Phase};
use crate::plugin::bindings::plugway::gateway::{clock, endpoints, log, metrics, random};
use crate::plugin::guest::Guest;

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
            log::Level::Error => Self::Error,
        }
    }
}

/// What a line that is written now is about.
fn about(exchange: Option<&Exchange>) -> About<'_> {
    let Some(exchange) = exchange else { return About::default() };
    About { request_id: exchange.id.to_str().ok(), trace_id: exchange.trace_id() }
}

impl log::Host for Guest {
    fn enabled(&mut self, level: log::Level) -> Result<bool> {
        Ok(self.log.enabled(level.into()))
    }

    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        self.log.write(level.into(), &message, about(self.exchange.as_deref()));
        Ok(())
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl clock::Host for Guest {
    fn now(&mut self) -> Result<u64> {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    fn monotonic(&mut self) -> Result<u64> {
        Ok(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The most one call gives: its work grows with what the guest asks for.
const MAX_RANDOM: u32 = 4096;

fn fill(bytes: &mut [u8]) -> Result<()> {
    ring::rand::SystemRandom::new().fill(bytes).map_err(|_| wasmtime::Error::msg("the operating system gave no random bytes"))
}

impl random::Host for Guest {
    fn bytes(&mut self, length: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length.min(MAX_RANDOM) as usize];
        fill(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        fill(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl From<DeclareError> for metrics::MetricError {
    fn from(error: DeclareError) -> Self {
        match error {
            DeclareError::InvalidName(name) => Self::InvalidName(name),
            DeclareError::Conflict => Self::Conflict,
            DeclareError::TooMany => Self::TooMany,
        }
    }
}

/// Bytes of a description, and of a unit: an instrument is there for as long as the gateway.
const MOST_DESCRIBED: usize = 1_024;

/// Prometheus has no field for units; `1` is UCUM's for none.
fn described(description: &str, unit: &str) -> String {
    let cut = |text: &str| text.get(..text.floor_char_boundary(MOST_DESCRIBED)).unwrap_or_default().to_owned();
    let (description, unit) = (cut(description), cut(unit));
    if unit.is_empty() || unit == "1" { description } else { format!("{description} ({unit})") }
}

impl metrics::Host for Guest {
    fn declare(
        &mut self,
        kind: metrics::Kind,
        name: String,
        description: String,
        unit: String,
        labels: Vec<String>,
        bounds: Vec<f64>,
    ) -> Result<std::result::Result<u32, metrics::MetricError>> {
        if self.phase != Phase::Setup {
            return Ok(Err(metrics::MetricError::TooLate));
        }
        let kind = match kind {
            metrics::Kind::Counter => Kind::Counter,
            metrics::Kind::Histogram => Kind::Histogram,
            metrics::Kind::Gauge => Kind::Gauge,
        };
        Ok(self.metrics.declare(kind, &name, &described(&description, &unit), &labels, &bounds).map_err(Into::into))
    }

    fn record(&mut self, instrument: u32, amount: f64, labels: Vec<String>) -> Result<()> {
        self.recorded(instrument, &[amount], labels)
    }

    fn record_all(&mut self, instrument: u32, amounts: Vec<f64>, labels: Vec<String>) -> Result<()> {
        self.recorded(instrument, &amounts, labels)
    }
}

impl Guest {
    fn recorded(&mut self, instrument: u32, amounts: &[f64], mut labels: Vec<String>) -> Result<()> {
        // Where there are more of them nothing is recorded.
        for label in labels.iter_mut().take(MAX_LABELS) {
            if let Cow::Owned(masked) = self.secrets.shown(label, MAX_LABEL) {
                *label = masked;
            }
        }
        self.metrics.record(instrument, amounts, &labels);
        Ok(())
    }
}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl endpoints::Host for Guest {
    fn available(&mut self, endpoint: u64) -> Result<bool> {
        Ok(self.endpoints.endpoint(endpoint).is_some_and(|endpoint| endpoint.is_available(Instant::now())))
    }

    fn in_flight(&mut self, endpoint: u64) -> Result<u32> {
        Ok(self.endpoints.endpoint(endpoint).map_or(0, |endpoint| clamp(endpoint.state.in_flight() as u64)))
    }

    fn latency_us(&mut self, endpoint: u64) -> Result<u32> {
        Ok(self.endpoints.endpoint(endpoint).map_or(0, |endpoint| clamp(endpoint.state.latency_us())))
    }

    fn upstream_in_flight(&mut self, endpoint: u64) -> Result<u32> {
        Ok(self.endpoints.upstream_of(endpoint).map_or(0, |upstream| clamp(upstream.state.in_flight() as u64)))
    }
}
