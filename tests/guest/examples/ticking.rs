//! A timer that does what its configuration says, and a filter that answers what it left in `kv`: `x-do: get ticks`. What an instance
//! knows by itself is `own`: only the one that is ticked counts there.

use std::time::Duration;

use plugway_sdk::http_client::OutgoingRequest;
use plugway_sdk::{Error, Flow, LocalResponse, Plugin, Request, RequestFilter, Timer, granted, kv};
use serde::Deserialize;

struct Ticking {
    config: Config,
    own: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// No ticks without it.
    period_ms: Option<u64>,
    #[serde(default)]
    each: Each,
    /// What `ask` asks.
    url: Option<String>,
}

/// What a tick does after it has counted itself.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum Each {
    #[default]
    Count,
    Fail,
    Trap,
    Loop,
    /// Waits for a server's answer. `done` counts those that came, `together` the ticks that met another one.
    Ask,
}

impl Plugin for Ticking {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(Self { config, own: 0 })
    }
}

impl Timer for Ticking {
    fn period(&self) -> Option<Duration> {
        self.config.period_ms.map(Duration::from_millis)
    }

    fn on_tick(&mut self) -> Result<(), Error> {
        self.own += 1;
        kv::increment("ticks", 1, None)?;
        match self.config.each {
            Each::Count => {}
            Each::Fail => return Err("failed as told".into()),
            Each::Trap => trap(),
            Each::Loop => while std::hint::black_box(true) {},
            Each::Ask => self.ask()?,
        }
        Ok(())
    }
}

impl Ticking {
    fn ask(&self) -> Result<(), Error> {
        let Some(url) = self.config.url.as_deref().filter(|_| granted::http_client()) else { return Err("nobody to ask".into()) };
        if kv::increment("now", 1, None)? > 1 {
            kv::increment("together", 1, None)?;
        }
        let answered = OutgoingRequest::get(url).send();
        kv::increment("now", -1, None)?;
        answered.map_err(|error| format!("{error:?}"))?;
        kv::increment("done", 1, None)?;
        Ok(())
    }
}

impl RequestFilter for Ticking {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let answer = match request.header_str("x-do").as_deref() {
            Some("own") => self.own.to_string(),
            Some(key) => kv::get(key)?.map_or_else(|| "0".to_owned(), |value| String::from_utf8_lossy(&value).into_owned()),
            None => return Ok(Flow::Next),
        };
        Ok(Flow::respond(LocalResponse::text(200, answer)))
    }
}

fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort()
}

plugway_sdk::export!(Ticking: RequestFilter, Timer);
