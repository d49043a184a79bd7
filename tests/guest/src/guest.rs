//! One place of this plugin, and what it is configured to do.

use std::cell::RefCell;
use std::collections::BTreeSet;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{Endpoint, EndpointId, Error, Filter, HeaderName, Plugin, Request, clock, header};
use serde::Deserialize;

use crate::behaviour;
use crate::mode::Mode;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    mode: Mode,
    hook: Option<Hook>,
}

/// A hook that can be told to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hook {
    Authorizer,
    RequestFilter,
    Router,
    OutcomeObserver,
    Forwarder,
    ResponseFilter,
    Observer,
    BatchObserver,
}

/// One place of this plugin.
pub(crate) struct Guest {
    mode: Mode,
    hook: Option<Hook>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// What this place has learnt.
    pub(crate) failing: BTreeSet<EndpointId>,
    pub(crate) observed: Counter<1>,
    pub(crate) batched: Counter<6>,
    pub(crate) outcomes: Counter<1>,
    pub(crate) latency: Counter<1>,
    /// What `memory` allocated, kept until the next time.
    pub(crate) hoard: RefCell<Vec<u8>>,
}

impl Plugin for Guest {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        match config.mode {
            Mode::RefuseConfigure => return Err("`mode` is refuse-configure: choose another one".into()),
            Mode::TrapInConfigure => behaviour::trap(),
            Mode::ExpireAt(second) if clock::now().as_secs() >= second as u64 => behaviour::trap(),
            Mode::SlowConfigure(milliseconds) => behaviour::spin(milliseconds),
            // It is the file that is bad, whatever its configuration.
            Mode::Version => behaviour::made_ready()?,
            _ => {}
        }
        Ok(Self {
            mode: config.mode,
            hook: config.hook,
            endpoints: Vec::new(),
            failing: BTreeSet::new(),
            observed: Counter::declare("observed_total", "Records this guest was given.", "1", ["route"])?,
            batched: Counter::declare(
                "batched_total",
                "What this guest was told of by columns.",
                "1",
                ["route", "method", "status", "fault", "answered", "taken"],
            )?,
            outcomes: Counter::declare("outcomes_total", "Outcomes this guest was told, by status or fault.", "1", ["ended"])?,
            latency: Counter::declare("outcome_latency_us_total", "Their latency.", "us", ["ended"])?,
            hoard: RefCell::default(),
        })
    }

    fn leaves_out(&self) -> &'static [Filter] {
        if self.mode == Mode::LeaveOut { &[Filter::Request, Filter::Response] } else { &[] }
    }

    fn kept_from_clients(&self) -> Vec<HeaderName<'_>> {
        match self.mode {
            Mode::KeepAccept => vec![header::ACCEPT],
            Mode::KeepFromClients(many) => (0..many).filter_map(|number| HeaderName::numbered(&format!("x-kept-{number}")).ok()).collect(),
            _ => Vec::new(),
        }
    }
}

impl Guest {
    /// What one hook does about this request.
    pub(crate) fn mode(&self, hook: Hook, request: &Request) -> Mode {
        match self.configured(hook) {
            Mode::ByVersion => match behaviour::version().as_bytes().get(8) {
                Some(b'9') => Mode::Trap,
                Some(b'8') => Mode::Respond(2),
                _ => Mode::Version,
            },
            Mode::ByHeader => request.header_str("x-misbehave").and_then(|mode| mode.parse().ok()).unwrap_or_default(),
            mode => mode,
        }
    }

    /// What one hook is configured to do.
    pub(crate) fn configured(&self, hook: Hook) -> Mode {
        if self.hook.is_none_or(|chosen| chosen == hook) { self.mode } else { Mode::Pass }
    }
}
