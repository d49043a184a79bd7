//! What observers are told of an exchange that has ended.

use std::time::{Duration, UNIX_EPOCH};

use super::{Ending, Took};
use crate::exchange::Exchange;
use crate::plugin::{ExchangeRecord, RecordValue};
use crate::proxy::records::{KeptRecord, Texts};

impl Ending {
    /// For the observer of that configuration.
    pub(super) fn record(&self, texts: &mut Texts, exchange: &Exchange, config_id: u32, took: Took) -> KeptRecord {
        let since = took.received.duration_since(UNIX_EPOCH).unwrap_or_default();
        ExchangeRecord {
            config_id,
            id: texts.keep(&String::from_utf8_lossy(self.id.as_bytes())),
            trace_id: texts.keep(exchange.trace_id().unwrap_or_default()),
            received_at: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            duration_us: micros(took.duration),
            method: texts.keep(self.method.as_str()),
            host: texts.keep(exchange.request.host()),
            route: texts.keep(&exchange.route.name),
            api: exchange.route.api.as_deref().map(|api| texts.keep(api)),
            api_version: exchange.route.version.as_deref().map(|version| texts.keep(version)),
            status: self.status,
            fault: self.fault.map(|fault| texts.keep(fault.code())),
            blame: self.fault.map(|fault| texts.keep(fault.blame().as_str())),
            consumer: exchange.identity.as_ref().map(|identity| texts.keep(&identity.subject)),
            client_address: texts.show(exchange.client),
            endpoint: self.endpoint.as_ref().map(|endpoint| texts.keep(&endpoint.url)),
            attempts: exchange.attempts.number,
            upstream_us: exchange.attempts.upstream_time.map(micros),
            request_bytes: self.request_bytes(),
            response_bytes: self.sent,
            protocol: texts.keep(self.protocol().alpn()),
            attributes: exchange
                .attributes
                .iter()
                .map(|(plugin, name, value)| (format!("{plugin}.{name}"), RecordValue::from(value)))
                .collect(),
            extra: Vec::new(),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
