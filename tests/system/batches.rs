//! Observers of batches: what they are told by columns, and what is lost when they fail.

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{metric, until};
use crate::guest::{get, report, with_guest};

/// Exchanges the guest was told of with those labels, by its own counter.
fn told(gateway: &Gateway, labels: &[&str]) -> f64 {
    metric(gateway, "plugway_plugin_batched_total", labels)
}

#[test]
fn every_column_has_what_each_exchange_was() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"by-header\", hook = \"request-filter\"", "");
    let address = gateway.address("web").unwrap();
    for _ in 0..30 {
        report(&get(address, "/", &[]));
    }
    for _ in 0..2 {
        assert_eq!(get(address, "/", &[("x-misbehave", "trap")]).status, 500);
    }
    assert_eq!(get(address, "/status/503", &[]).status, 503);
    until("all exchanges to be told", || told(&gateway, &[]) == 33.0);
    let upstreams_own = ["method=\"GET\"", "status=\"503\"", "fault=\"upstream-status\"", "answered=\"endpoint\"", "taken=\"timed\""];
    assert_eq!(told(&gateway, &upstreams_own), 1.0);
    let good = ["method=\"GET\"", "status=\"200\"", "answered=\"endpoint\"", "taken=\"timed\""];
    assert_eq!(told(&gateway, &good), 30.0);
    let failed = ["method=\"GET\"", "status=\"500\"", "fault=\"plugin-failed\"", "answered=\"nobody\"", "taken=\"timed\""];
    assert_eq!(told(&gateway, &failed), 2.0);
    assert_eq!(metric(&gateway, "plugway_plugin_observed_total", &[]), 33.0, "whole records of the same exchanges");
    assert_eq!(metric(&gateway, "plugway_records_lost_total", &[]), 0.0);
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"batch-observer\""]), 0.0);
}

#[test]
fn one_that_fails_loses_its_batches_and_they_are_counted() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"trap\", hook = \"batch-observer\"", "");
    let address = gateway.address("web").unwrap();
    for _ in 0..5 {
        report(&get(address, "/", &[]));
    }
    until("five lost exchanges", || metric(&gateway, "plugway_records_lost_total", &[]) == 5.0);
    assert!(metric(&gateway, "plugway_hook_failures_total", &["hook=\"batch-observer\"", "kind=\"trap\""]) >= 1.0);
    // Records of the same exchanges were told all the same.
    assert_eq!(metric(&gateway, "plugway_plugin_observed_total", &[]), 5.0);
    assert_eq!(metric(&gateway, "plugway_requests_total", &["status=\"200\""]), 5.0);
}
