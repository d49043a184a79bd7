//! Records of the double.

use crate::record::ExchangeRecord;

/// A finished GET that was answered with 200 in 12 ms by one endpoint. Change what a test is about:
/// `ExchangeRecord { status: 502, ..testing::record() }`.
pub fn record() -> ExchangeRecord {
    ExchangeRecord {
        config_id: 0,
        id: "request-1".to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        received_at: 1_767_225_600_000_000_000,
        duration_us: 12_000,
        method: "GET".to_owned(),
        host: "gateway.example".to_owned(),
        route: "route".to_owned(),
        api: None,
        api_version: None,
        status: 200,
        fault: None,
        blame: None,
        consumer: None,
        client_address: "192.0.2.1".to_owned(),
        endpoint: Some("https://127.0.0.1:9441".to_owned()),
        attempts: 1,
        upstream_us: Some(10_000),
        request_bytes: 0,
        response_bytes: 2,
        protocol: "http/1.1".to_owned(),
        attributes: Vec::new(),
        extra: Vec::new(),
    }
}
