//! What observers are told of an exchange that has ended.

use std::time::{Duration, UNIX_EPOCH};

use super::{Ending, Took};
use crate::exchange::Exchange;
use crate::fault::ErrorCause;
use crate::plugin::{EndedRow, ExchangeRecord, RecordValue, Texts};
use crate::proxy::records::KeptRecord;

impl Ending {
    /// For the observer of that configuration.
    pub(super) fn record(&self, texts: &mut Texts, exchange: &Exchange, config_id: u32, took: Took) -> KeptRecord {
        ExchangeRecord {
            config_id,
            id: texts.keep(self.id.as_str()),
            trace_id: texts.keep(exchange.trace_id().unwrap_or_default()),
            received_at: took.received_at(),
            duration_us: micros(took.duration),
            method: texts.keep(self.method.as_str()),
            host: texts.keep(exchange.request.host()),
            route: texts.keep(&exchange.route.name),
            api: exchange.route.api.as_deref().map(|api| texts.keep(api)),
            api_version: exchange.route.version.as_deref().map(|version| texts.keep(version)),
            status: self.status,
            fault: self.cause().map(|cause| texts.keep(cause.code())),
            blame: self.cause().map(|cause| texts.keep(cause.blame(self.status).as_str())),
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

    /// For observers of batches. Text that the row before has is not kept again.
    pub(super) fn row(&self, texts: &mut Texts, before: &EndedRow, exchange: &Exchange, took: Took) -> EndedRow {
        let route = &exchange.route;
        EndedRow {
            route: texts.keep_unless(before.route, &route.name),
            api: texts.keep_unless(before.api, route.api.as_deref().unwrap_or_default()),
            api_version: texts.keep_unless(before.api_version, route.version.as_deref().unwrap_or_default()),
            host: texts.keep_unless(before.host, exchange.request.host()),
            method: texts.keep_unless(before.method, self.method.as_str()),
            protocol: texts.keep_unless(before.protocol, self.protocol().alpn()),
            status: self.status,
            fault: texts.keep_unless(before.fault, self.cause().map_or("", ErrorCause::code)),
            blame: texts.keep_unless(before.blame, self.cause().map_or("", |cause| cause.blame(self.status).as_str())),
            consumer: texts.keep_unless(before.consumer, exchange.identity.as_ref().map_or("", |identity| &identity.subject)),
            endpoint: texts.keep_unless(before.endpoint, self.endpoint.as_ref().map_or("", |endpoint| &endpoint.url)),
            attempts: exchange.attempts.number,
            received_at: took.received_at(),
            duration_us: micros(took.duration),
            upstream_us: exchange.attempts.upstream_time.map(micros),
            request_bytes: self.request_bytes(),
            response_bytes: self.sent,
        }
    }
}

impl Took {
    /// Nanoseconds since the Unix epoch.
    fn received_at(self) -> u64 {
        u64::try_from(self.received.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
