//! `[routes.slo]`: what is promised of a route.

use std::time::Duration;

use super::Compiler;
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{LatencyObjective, Route, Slo, Store};
use crate::config::{schema, units};

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// The longest window, days.
const MOST_DAYS: u64 = 90;

impl Compiler<'_> {
    /// `None` where nothing of it can be used.
    pub(super) fn slo(&mut self, at: &At, raw: schema::Slo) -> Option<Slo> {
        if !self.places.has(&at.key("availability")) && !self.places.has(&at.key("latency")) {
            self.error(at, "nothing is promised here", "write `availability`, `latency`, or both");
            return None;
        }
        let availability = raw.availability.and_then(|text| self.objective(&at.key("availability"), &text));
        let latency = raw.latency.and_then(|raw| self.latency_objective(&at.key("latency"), raw));
        let days = self.days(&at.key("window"), raw.window);
        (availability.is_some() || latency.is_some()).then_some(Slo { availability, latency, days })
    }

    /// What is left of a promise is what the store knows of its window.
    pub(super) fn warn_of_short_memory(&mut self, store: &Store, routes: &[Route]) {
        let longest = routes.iter().filter_map(|route| Some((route.slo?.days, &route.name))).max_by_key(|(days, _)| *days);
        let Some((days, route)) = longest.filter(|_| store.enabled) else { return };
        if store.keep.days < Duration::from_secs(u64::from(days) * DAY) {
            let message = format!("what is promised of route `{route}` is over {days} days, and the store forgets the first of them");
            self.warn(&At::default().key("store").key("keep").key("days"), message, format!("write at least \"{days}d\""));
        }
    }

    fn latency_objective(&mut self, at: &At, raw: schema::LatencyObjective) -> Option<LatencyObjective> {
        let under = raw.under.map(|span| self.span(&at.key("under"), Some(span), Duration::MAX));
        let share = raw.share.and_then(|text| self.objective(&at.key("share"), &text));
        Some(LatencyObjective { under: under?, share: share? })
    }

    /// A share below all: one that is everything has no budget, and is broken by the first request.
    fn objective(&mut self, at: &At, text: &str) -> Option<f64> {
        let found = match units::share(text) {
            Ok(0) => Err(format!("`{text}` promises nothing")),
            Ok(1_000_000) => Err(format!("`{text}` leaves no error budget: one request that fails breaks it")),
            Ok(parts) => return Some(f64::from(parts) / 1e6),
            Err(message) => Err(message),
        };
        found.map_err(|message| self.error(at, message, "write a share below 100% with at most four decimals, such as \"99.9%\"")).ok()
    }

    fn days(&mut self, at: &At, raw: Option<schema::Span>) -> u32 {
        let default = Duration::from_secs(u64::from(defaults::SLO_DAYS) * DAY);
        let window = self.span(at, raw, default);
        let days = window.as_secs() / DAY;
        // Not of seconds: half a second is no whole number of days.
        if window != Duration::from_secs(days * DAY) || days > MOST_DAYS {
            self.error(at, "this is no window that is watched", format!("write whole days, at most {MOST_DAYS}, such as \"30d\""));
            return defaults::SLO_DAYS;
        }
        u32::try_from(days).unwrap_or(defaults::SLO_DAYS)
    }
}
