//! An observer that holds up the control thread with the first record of a place that says so, until a request with `x-release` comes; and counts
//! what it is told.

use plugway_sdk::metrics::Counter;
use plugway_sdk::{Error, ExchangeRecord, Flow, Observer, Plugin, Request, RequestFilter, kv, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    holds: bool,
    /// Places of one plugin that are configured alike are one place.
    #[serde(default, rename = "number")]
    _number: u32,
}

struct Holding {
    holds: bool,
    told: Counter<0>,
}

impl Plugin for Holding {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(Self { holds: config.holds, told: Counter::declare("told_total", "Records.", "{record}", [])? })
    }
}

impl RequestFilter for Holding {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        if request.header("x-release").is_some() {
            kv::set("released", "yes", None)?;
        }
        Ok(Flow::Next)
    }
}

impl Observer for Holding {
    fn on_complete(&self, records: &[ExchangeRecord]) -> Result<(), Error> {
        self.told.add(records.len() as f64, []);
        if self.holds {
            log::info!("it holds");
            while kv::get("released")?.is_none() {}
        }
        Ok(())
    }
}

plugway_sdk::export!(Holding: RequestFilter, Observer);
