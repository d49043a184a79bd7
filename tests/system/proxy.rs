//! Messages through the gateway, both ways.

use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{one_route, start};

#[test]
fn a_request_goes_through_and_both_sides_see_what_they_should() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut client = Raw::connect(gateway.address("web").unwrap()).unwrap();
    client.send(b"GET /a/../b?q=1 HTTP/1.1\r\nhost: example.com\r\nconnection: x-drop\r\nx-drop: 1\r\nx-keep: 2\r\n\r\n").unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.status, 200);
    let report: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(report["target"], "/b?q=1", "{report:#}");
}
