//! The plugin against the double's instruments.

use plugway_sdk::testing::{self, json};
use plugway_sdk::{ExchangeRecord, metrics::Kind};
use serde_json::Value as Json;

use crate::Metrics;

fn configured(config: Json) -> testing::Configured<Metrics> {
    testing::configure(config).unwrap()
}

fn refused(config: Json) -> String {
    testing::configure::<Metrics>(config).err().unwrap()
}

fn instrument(name: &str) -> testing::Instrument {
    testing::instrument(name).unwrap()
}

#[test]
fn declares_what_the_documentation_says() {
    configured(json!({}));
    let labels = ["route", "api", "version", "method", "status", "fault"];
    for (name, kind, unit) in [
        ("requests_total", Kind::Counter, "1"),
        ("request_bytes_total", Kind::Counter, "By"),
        ("response_bytes_total", Kind::Counter, "By"),
        ("upstream_attempts_total", Kind::Counter, "1"),
        ("request_duration_seconds", Kind::Histogram, "s"),
    ] {
        let declared = instrument(name);
        assert_eq!((declared.kind, declared.unit.as_str()), (kind, unit), "{name}");
        assert_eq!(declared.labels, labels, "{name}");
        assert!(declared.bounds.is_empty(), "{name}: the gateway's own bounds");
    }
    assert_eq!(testing::instrument("upstream_duration_seconds"), None);
}

#[test]
fn counts_and_measures_a_batch() {
    let plugin = configured(json!({ "labels": ["route", "method", "status"], "bounds": [0.1, 1.0], "upstream_duration": true }));
    plugin
        .on_batch(&[
            ExchangeRecord { route: "a".into(), request_bytes: 10, response_bytes: 5, attempts: 2, ..testing::record() },
            ExchangeRecord { route: "b".into(), status: 503, upstream_us: None, attempts: 0, response_bytes: 0, ..testing::record() },
            ExchangeRecord { route: "a".into(), request_bytes: 1, response_bytes: 2, duration_us: 1_500_000, ..testing::record() },
        ])
        .unwrap();
    let (a, b) = (["a", "GET", "2xx"], ["b", "GET", "5xx"]);
    assert_eq!((instrument("requests_total").sum(&a), instrument("requests_total").sum(&b)), (2.0, 1.0));
    assert_eq!(instrument("request_bytes_total").sum(&a), 11.0);
    assert_eq!(instrument("response_bytes_total").sum(&a), 7.0);
    assert_eq!(instrument("upstream_attempts_total").sum(&a), 3.0);
    assert_eq!(instrument("request_duration_seconds").amounts(&a), [0.012, 1.5]);
    assert_eq!(instrument("request_duration_seconds").bounds, [0.1, 1.0]);
    assert_eq!(instrument("upstream_duration_seconds").amounts(&a), [0.01, 0.01]);
    assert!(instrument("upstream_duration_seconds").amounts(&b).is_empty(), "no upstream answered");
}

#[test]
fn tells_each_series_once_in_a_batch() {
    let plugin = configured(json!({}));
    plugin.on_batch(&vec![testing::record(); 500]).unwrap();
    assert_eq!(instrument("requests_total").recorded.len(), 1);
    assert_eq!(instrument("requests_total").sum(&["route", "", "", "GET", "2xx", ""]), 500.0);
    assert!(instrument("request_bytes_total").recorded.is_empty(), "nothing to add is no call");
    plugin.on_batch(&[]).unwrap();
    assert_eq!(instrument("requests_total").recorded.len(), 1);
}

#[test]
fn every_label_has_its_value() {
    let labels = ["api", "version", "method", "status", "fault", "blame", "endpoint"];
    let plugin = configured(json!({ "labels": labels, "consumer": true }));
    let record = ExchangeRecord {
        api: Some("orders".into()),
        api_version: Some("2".into()),
        status: 504,
        fault: Some("upstream-timeout".into()),
        blame: Some("upstream".into()),
        consumer: Some("ann".into()),
        ..testing::record()
    };
    plugin.on_batch(&[record]).unwrap();
    let recorded = instrument("requests_total").recorded;
    assert_eq!(recorded[0].1, ["orders", "2", "GET", "5xx", "upstream-timeout", "upstream", "https://127.0.0.1:9441", "ann"]);
}

#[test]
fn a_client_makes_no_series_of_its_own() {
    let plugin = configured(json!({ "labels": ["method", "status", "protocol"] }));
    let methods = ["BREW", "get", "", "\u{1f600}"];
    let records: Vec<_> = methods.map(|method| ExchangeRecord { method: method.into(), status: 999, ..testing::record() }).into();
    plugin.on_batch(&records).unwrap();
    assert_eq!(instrument("requests_total").recorded, [(4.0, vec!["other".into(), "other".into(), "http/1.1".into()])]);
}

#[test]
fn sums_do_not_overflow() {
    let plugin = configured(json!({ "labels": [] }));
    plugin.on_batch(&vec![ExchangeRecord { response_bytes: u64::MAX, ..testing::record() }; 2]).unwrap();
    assert_eq!(instrument("response_bytes_total").sum(&[]), 2f64.powi(64));
}

#[test]
fn a_second_place_shares_the_instruments() {
    configured(json!({ "labels": ["route"] })).on_batch(&[testing::record()]).unwrap();
    configured(json!({ "labels": ["route"] })).on_batch(&[testing::record()]).unwrap();
    assert_eq!(instrument("requests_total").sum(&["route"]), 2.0);
    let error = refused(json!({ "labels": ["method"] }));
    assert!(error.starts_with("`requests_total` is there already with other labels or bounds"), "{error}");
    configured(json!({ "labels": ["method"], "prefix": "by_method" })).on_batch(&[testing::record()]).unwrap();
    assert_eq!(instrument("by_method_requests_total").sum(&["GET"]), 1.0);
}

#[test]
fn refuses_a_configuration_that_cannot_work() {
    for (config, expected) in [
        (json!({ "typo": 1 }), "unknown field `typo`"),
        (json!({ "labels": ["path"] }), "unknown variant `path`"),
        (json!({ "labels": ["consumer"] }), "write `consumer = true`"),
        (json!({ "labels": ["route", "method", "route"] }), "`route` is there twice"),
        (
            json!({ "labels": ["route", "api", "version", "method", "status", "fault", "blame", "protocol"], "consumer": true }),
            "9 labels, `consumer` included",
        ),
        (json!({ "bounds": [0.1, 0.1] }), "`bounds`: 0.1 after 0.1"),
        (json!({ "bounds": [0.0, 0.1] }), "`bounds`: 0 after 0"),
        (json!({ "bounds": [-1.0] }), "`bounds`: -1 after 0"),
        (json!({ "bounds": (1..=51).collect::<Vec<_>>() }), "`bounds`: 51 bounds; at most 50"),
        (json!({ "consumer": "yes" }), "`consumer`"),
        (json!({ "prefix": "By" }), "`prefix` = \"By\""),
        (json!({ "prefix": "a".repeat(33) }), "at most 32"),
        (json!({ "prefix": "_a" }), "`prefix` = \"_a\""),
        (json!({ "prefix": "a-b" }), "`prefix` = \"a-b\""),
    ] {
        let error = refused(config.clone());
        assert!(error.contains(expected), "{config}: {error}");
    }
}
