//! What an observer is told of one finished exchange, lowered into its memory from borrowed text: a record is told once, so
//! nothing is made for it that the observer would only copy.

use wasmtime::component::{ComponentType, Lower};

use super::RecordValue;

/// `observer.exchange-record`; `wit/observer.wit` says what each field is. `Text` is what its text is kept as, `Values` what named values are.
#[derive(Debug, Clone, ComponentType, Lower)]
#[component(record)]
pub struct ExchangeRecord<Text, Values> {
    /// The place the observer stands in the route's chain.
    #[component(name = "config-id")]
    pub config_id: u32,
    /// `x-request-id`
    pub id: Text,
    /// Trace id.
    #[component(name = "trace-id")]
    pub trace_id: Text,
    /// When the head was complete, nanoseconds since the Unix epoch.
    #[component(name = "received-at")]
    pub received_at: u64,
    /// From then to the end of the response body, microseconds.
    #[component(name = "duration-us")]
    pub duration_us: u64,
    /// The method.
    pub method: Text,
    /// Host asked for, without port.
    pub host: Text,
    /// Name of the matched route.
    pub route: Text,
    /// The route's `api`.
    pub api: Option<Text>,
    /// The route's `version`.
    #[component(name = "api-version")]
    pub api_version: Option<Text>,
    /// Final status.
    pub status: u16,
    /// Fault code.
    pub fault: Option<Text>,
    /// Whose fault it was.
    pub blame: Option<Text>,
    /// Subject of the caller's identity.
    pub consumer: Option<Text>,
    /// Client address after the trust rules.
    #[component(name = "client-address")]
    pub client_address: Text,
    /// The endpoint that answered.
    pub endpoint: Option<Text>,
    /// Upstream attempts made.
    pub attempts: u32,
    /// What the last attempt took to the head of its response, microseconds.
    #[component(name = "upstream-us")]
    pub upstream_us: Option<u64>,
    /// Body bytes received from the client.
    #[component(name = "request-bytes")]
    pub request_bytes: u64,
    /// Body bytes sent to the client.
    #[component(name = "response-bytes")]
    pub response_bytes: u64,
    /// What the client spoke.
    pub protocol: Text,
    /// Attributes left by plugins, named `plugin.name`.
    pub attributes: Values,
    /// What later versions add, by name.
    pub extra: Values,
}

/// Values by name.
pub type Named = Vec<(String, RecordValue)>;

/// A record as it is told.
pub type ToldRecord<'a> = ExchangeRecord<&'a str, &'a [(String, RecordValue)]>;

impl<T: Copy> ExchangeRecord<T, Named> {
    /// The record with its text, wherever that is kept.
    pub fn told<'a>(&'a self, text: impl Fn(T) -> &'a str) -> ToldRecord<'a> {
        let maybe = |kept: Option<T>| kept.map(&text);
        ExchangeRecord {
            config_id: self.config_id,
            id: text(self.id),
            trace_id: text(self.trace_id),
            received_at: self.received_at,
            duration_us: self.duration_us,
            method: text(self.method),
            host: text(self.host),
            route: text(self.route),
            api: maybe(self.api),
            api_version: maybe(self.api_version),
            status: self.status,
            fault: maybe(self.fault),
            blame: maybe(self.blame),
            consumer: maybe(self.consumer),
            client_address: text(self.client_address),
            endpoint: maybe(self.endpoint),
            attempts: self.attempts,
            upstream_us: self.upstream_us,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            protocol: text(self.protocol),
            attributes: &self.attributes,
            extra: &self.extra,
        }
    }
}
