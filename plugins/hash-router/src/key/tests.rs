//! Keys read from requests of the test double.

use plugway_sdk::testing::{Request as Fake, json};
use plugway_sdk::{Identity, Request};
use proptest::prelude::*;

use super::*;
use crate::config::Sources;

fn key(sources: serde_json::Value) -> Key {
    Key::new(serde_json::from_value::<Sources>(sources).unwrap().0).unwrap()
}

fn read(sources: serde_json::Value, request: &Request<'_>) -> Option<String> {
    key(sources).read(request).map(|key| key.to_str().unwrap().to_owned())
}

fn request() -> Request<'static> {
    let mut identity = Identity::new("alice");
    identity.set_issuer("https://issuer.example");
    identity.set_claim("tenant", "acme").unwrap();
    identity.set_claim("level", 7_i64).unwrap();
    identity.set_claim("share", 0.5).unwrap();
    identity.set_claim("admin", true).unwrap();
    identity.set_claim("digest", &[0_u8, 255][..]).unwrap();
    Fake::get("/orders/42?q=red+shoes&empty=&k=1&k=2")
        .path_parameter("id", "a%2Fb")
        .header("x-user", "bob")
        .header("X-User", "carol")
        .header("user-agent", "curl")
        .header("cookie", "a=1; sid=\"s-9\"")
        .client_address("2001:db8::1")
        .identity(identity)
        .build()
}

#[test]
fn the_host_is_what_was_asked_for_also_where_no_header_says_it() {
    for name in ["host", "Host"] {
        let by_http2 = Fake::get("/").authority("shop.example:8443").build();
        let by_absolute_target = Fake::get("/").authority("shop.example:8443").header("host", "other.example").build();
        for request in [by_http2, by_absolute_target] {
            assert_eq!(read(json!({"header": name}), &request).as_deref(), Some("shop.example:8443"));
        }
    }
}

#[test]
fn every_source_gives_its_value() {
    let request = request();
    for (source, value) in [
        (json!("path"), "/orders/42"),
        (json!("client-address"), "2001:db8::1"),
        (json!({"parameter": "id"}), "a/b"),
        (json!({"query": "q"}), "red shoes"),
        (json!({"query": "k"}), "1"),
        (json!({"header": "x-user"}), "bob"),
        (json!({"header": "X-User"}), "bob"),
        (json!({"header": "User-Agent"}), "curl"),
        (json!({"cookie": "sid"}), "s-9"),
        (json!({"claim": "sub"}), "alice"),
        (json!({"claim": "iss"}), "https://issuer.example"),
        (json!({"claim": "tenant"}), "acme"),
        (json!({"claim": "level"}), "7"),
        (json!({"claim": "share"}), "0.5"),
        (json!({"claim": "admin"}), "true"),
        (json!({"claim": "digest"}), "00ff"),
    ] {
        assert_eq!(read(source.clone(), &request).as_deref(), Some(value), "{source}");
    }
}

#[test]
fn headers_and_the_path_can_come_with_the_call() {
    for source in [Source::Header("User-Agent".to_owned()), Source::Header("x-user".to_owned()), Source::Path] {
        assert!(matches!(Part::new(source), Ok(Part::Prefetched(_))));
    }
}

#[test]
fn absent_and_empty_values_are_no_key() {
    let request = request();
    for source in [
        json!({"parameter": "no"}),
        json!({"query": "no"}),
        json!({"query": "empty"}),
        json!({"header": "x-no"}),
        json!({"cookie": "no"}),
        json!({"claim": "no"}),
        json!([{"header": "x-no"}, {"query": "empty"}]),
    ] {
        assert_eq!(read(source.clone(), &request), None, "{source}");
    }
    assert_eq!(read(json!({"claim": "sub"}), &Fake::get("/").build()), None, "nobody is known");
}

#[test]
fn several_sources_are_joined_and_one_of_them_is_enough() {
    let request = request();
    let joined = key(json!([{"header": "x-user"}, {"query": "k"}, "path"])).read(&request).unwrap();
    assert_eq!(&*joined, b"bob\x00\xff1\x00\xff/orders/42");
    assert_eq!(key(json!([{"header": "x-no"}, {"query": "k"}])).read(&request).as_deref(), Some(&b"\x00\xff1"[..]));
    assert_eq!(key(json!([{"query": "k"}, {"header": "x-no"}])).read(&request).as_deref(), Some(&b"1\x00\xff"[..]));
}

/// Percent-encodes every byte.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Text with the characters that could be mistaken for a separator: U+0000, and U+00FF, whose code is 0xFF.
fn text() -> impl Strategy<Value = String> {
    "[\u{0}\u{ff}ab]{0,4}"
}

/// Header bytes, 0xFF among them; 0x00 is no legal one (RFC 9110, section 5.5).
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0xff_u8, b'a', b'b']), 0..4)
}

proptest! {
    #[test]
    fn different_parts_make_different_keys(one in (text(), bytes(), text()), other in (text(), bytes(), text())) {
        let joined = key(json!([{"query": "a"}, {"header": "x-b"}, {"query": "c"}]));
        let of = |(a, b, c): &(String, Vec<u8>, String)| {
            let target = format!("/?a={}&c={}", encoded(a), encoded(c));
            joined.read(&Fake::get(&target).header("x-b", b).build())
        };
        prop_assert_eq!(of(&one) == of(&other), one == other);
    }
}
