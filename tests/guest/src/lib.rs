//! One component with every hook that does, on demand, what plugins must not do. The whole-system tests use it for both
//! sides of each limit.
//!
//! Configuration: `{ "mode": "trap", "hook": "request-filter" }`. `hook` names the hook that does it, every one without it;
//! the others pass. With the mode `by-header` each request says what happens to it: its `x-misbehave` header is a mode, so
//! good and bad requests can share a route. [`mode::Mode`] lists the modes.
//!
//! A refused change does not fail the hook: its outcome (`ok`, `forbidden`, `immutable`, `invalid`, `too-large`) is left in
//! the header `x-result`, where there is one to write, and in the log.

mod authorizer;
mod behaviour;
mod forwarder;
mod mode;
mod observer;
mod request_filter;
mod response_filter;
mod router;

use std::cell::RefCell;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{Endpoint, Error, Plugin, Request};
use serde::Deserialize;

use mode::Mode;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    mode: Mode,
    hook: Option<Hook>,
}

/// A hook that can be told to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Hook {
    Authorizer,
    RequestFilter,
    Router,
    Forwarder,
    ResponseFilter,
    Observer,
}

/// One place of this plugin.
struct Guest {
    mode: Mode,
    hook: Option<Hook>,
    endpoints: Vec<Endpoint>,
    observed: Counter<1>,
    /// What `memory` allocated, kept until the next time.
    hoard: RefCell<Vec<u8>>,
}

impl Plugin for Guest {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        match config.mode {
            Mode::RefuseConfigure => return Err("`mode` is refuse-configure: choose another one".into()),
            Mode::TrapInConfigure => behaviour::trap(),
            Mode::SlowConfigure(milliseconds) => behaviour::spin(milliseconds),
            _ => {}
        }
        Ok(Self {
            mode: config.mode,
            hook: config.hook,
            endpoints: Vec::new(),
            observed: Counter::declare("observed_total", "Records this guest was given.", "1", ["route"])?,
            hoard: RefCell::default(),
        })
    }
}

impl Guest {
    /// What one hook does about this request.
    fn mode(&self, hook: Hook, request: &Request) -> Mode {
        match self.configured(hook) {
            Mode::ByHeader => request.header_str("x-misbehave").and_then(|mode| mode.parse().ok()).unwrap_or_default(),
            mode => mode,
        }
    }

    /// What one hook is configured to do.
    fn configured(&self, hook: Hook) -> Mode {
        if self.hook.is_none_or(|chosen| chosen == hook) { self.mode } else { Mode::Pass }
    }
}

plugway_sdk::export!(Guest: Authorizer, RequestFilter, Router, Forwarder, ResponseFilter, Observer);
