//! `metrics`: counters and histograms from finished exchanges, for operators who want them by labels of their choice. The
//! gateway's own instruments are exact without it; records that are lost under overload are missing here, and counted there.

mod config;
mod instruments;
mod label;

use plugway_sdk::{Batch, BatchObserver, Error, Plugin};

use config::Config;
use instruments::Instruments;

/// The instruments of one place.
struct Metrics {
    instruments: Box<dyn Instruments>,
}

impl Plugin for Metrics {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(Self { instruments: instruments::declare(&config.check()?)? })
    }
}

impl BatchObserver for Metrics {
    fn on_batch(&self, batch: &Batch<'_>) -> Result<(), Error> {
        self.instruments.take(batch);
        Ok(())
    }
}

plugway_sdk::export!(Metrics: BatchObserver);

#[cfg(test)]
mod tests;
