//! Who sends: the resource, and values as the protocol has them.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// What the gateway's own spans and metrics come from.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "plugway".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), ..Default::default() }
}

/// This gateway, with what its configuration adds.
pub(super) fn resource(configured: &[(String, String)]) -> Resource {
    /// Different for every process, as `service.instance.id` has to be.
    static INSTANCE: OnceLock<String> = OnceLock::new();
    let instance = INSTANCE.get_or_init(|| uuid(fastrand::u128(..)));
    let own = [("service.name", "plugway"), ("service.version", env!("CARGO_PKG_VERSION")), ("service.instance.id", instance)];
    let own = own.into_iter().filter(|(key, _)| configured.iter().all(|(known, _)| known != key));
    let attributes = own.map(|(key, value)| text(key, value)).chain(configured.iter().map(|(key, value)| text(key, value))).collect();
    Resource { attributes, ..Default::default() }
}

/// A random UUID (RFC 9562, section 5.4).
fn uuid(random: u128) -> String {
    let bits = random & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(super) fn integer(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// Nanoseconds since 1970.
pub(super) fn nanos(moment: SystemTime) -> u64 {
    u64::try_from(moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// The same, some time after a moment.
pub(super) fn nanos_after(moment: SystemTime, after: Duration) -> u64 {
    nanos(moment + after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_takes_the_place_of_what_is_not() {
        let resource = resource(&[("service.name".to_owned(), "edge".to_owned()), ("a".to_owned(), "b".to_owned())]);
        let keys: Vec<_> = resource.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert_eq!(keys, ["service.version", "service.instance.id", "service.name", "a"]);
    }

    #[test]
    fn an_instance_has_a_random_uuid() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
