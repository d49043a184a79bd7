//! A filter that counts its requests by itself, and hands the count on when its configuration is left behind: `x-handed-on` of each
//! answer says how much its kin had handed on by then. `fails` makes it trap as it does.

use std::cell::Cell;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{Error, Flow, Plugin, Request, RequestFilter, kv};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    name: String,
    #[serde(default)]
    fails: bool,
}

struct Heir {
    config: Config,
    seen: Cell<i64>,
    handed_on: Counter<1>,
}

impl Plugin for Heir {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        let handed_on = Counter::declare("handed_on_total", "Requests.", "{request}", ["name"])?;
        Ok(Self { config, seen: Cell::new(0), handed_on })
    }
}

impl RequestFilter for Heir {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        self.seen.set(self.seen.get() + 1);
        let sum = kv::increment(&self.config.name, 0, None)?;
        request.set_header("x-handed-on", sum.to_string())?;
        Ok(Flow::Next)
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        assert!(!self.config.fails, "as it was told");
        let seen = self.seen.get();
        let _ = kv::increment(&self.config.name, seen, None);
        self.handed_on.add(seen as f64, [self.config.name.as_str()]);
    }
}

plugway_sdk::export!(Heir: RequestFilter);
