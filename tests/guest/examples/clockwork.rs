//! A plugin that has nothing but a timer.

use std::time::Duration;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{Error, Plugin, Timer, log};

struct Clockwork {
    ticks: Counter<0>,
}

impl Plugin for Clockwork {
    type Config = plugway_sdk::NoConfig;

    fn configure(_: Self::Config) -> Result<Self, Error> {
        Ok(Self { ticks: Counter::declare("clockwork_ticks_total", "Ticks.", "1", [])? })
    }
}

impl Timer for Clockwork {
    fn period(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn on_tick(&mut self) -> Result<(), Error> {
        self.ticks.add(1.0, []);
        log::info!("tick");
        Ok(())
    }
}

plugway_sdk::export!(Clockwork: Timer);
