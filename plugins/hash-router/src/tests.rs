//! The router as the gateway calls it, on the SDK's test double.

use plugway_sdk::testing::{self, Attempt, Configured, EndpointState, Request as Fake, endpoint, json, set_endpoint};

use super::*;

const PLACEMENTS: [&str; 5] = ["maglev", "ketama", "ketama-nginx", "rendezvous", "modulo"];

fn state(id: EndpointId, available: bool, in_flight: u32, upstream_in_flight: u32) {
    set_endpoint(id, EndpointState { available, in_flight, upstream_in_flight, ..EndpointState::default() });
}

/// A router over endpoints with ids from 100 on, all of them available and idle.
fn router(config: serde_json::Value, count: u64) -> Configured<HashRouter> {
    let mut router = testing::configure::<HashRouter>(config).unwrap();
    let endpoints: Vec<_> = (0..count).map(|number| endpoint(100 + number, &format!("http://10.0.0.{number}:80"))).collect();
    endpoints.iter().for_each(|endpoint| state(endpoint.id, true, 0, 0));
    router.on_endpoints(1, endpoints).unwrap();
    router
}

fn route(router: &Configured<HashRouter>, path: &str) -> Result<EndpointId, RouteError> {
    router.route(&Fake::get(path).build(), &Attempt::first())
}

fn paths() -> impl Iterator<Item = String> {
    (0..500).map(|number| format!("/users/{number}"))
}

#[test]
fn the_same_key_goes_to_the_same_endpoint() {
    for placement in PLACEMENTS {
        let router = router(json!({"key": "path", "placement": placement}), 5);
        let chosen: std::collections::BTreeSet<_> = paths()
            .map(|path| {
                let chosen = route(&router, &path).unwrap();
                assert_eq!(route(&router, &path), Ok(chosen), "{placement}");
                chosen
            })
            .collect();
        assert_eq!(chosen.len(), 5, "{placement}: every endpoint has keys");
    }
}

#[test]
fn an_unavailable_endpoint_is_skipped_without_moving_other_keys() {
    for placement in PLACEMENTS {
        let router = router(json!({"key": "path", "placement": placement}), 5);
        let before: Vec<_> = paths().map(|path| route(&router, &path).unwrap()).collect();
        state(102, false, 0, 0);
        let during: Vec<_> = paths().map(|path| route(&router, &path).unwrap()).collect();
        for (before, during) in before.iter().zip(&during) {
            assert!(*during != 102 && (*before == 102 || before == during), "{placement}: {before} became {during}");
        }
        state(102, true, 0, 0);
        let after: Vec<_> = paths().map(|path| route(&router, &path).unwrap()).collect();
        assert_eq!(before, after, "{placement}");
    }
}

#[test]
fn another_attempt_takes_the_key_s_next_endpoint() {
    for placement in PLACEMENTS {
        let router = router(json!({"key": "path", "placement": placement}), 3);
        let request = Fake::get("/users/1").build();
        let first = router.route(&request, &Attempt::first()).unwrap();
        let attempt = || Attempt::default().after(first, "upstream-connect-failed");
        let second = router.route(&request, &attempt().build()).unwrap();
        let third = router.route(&request, &attempt().after(second, "upstream-connect-failed").build()).unwrap();
        assert_eq!(std::collections::BTreeSet::from([first, second, third]).len(), 3, "{placement}");
        // What the second attempt takes is what the first would have taken without the first endpoint.
        state(first, false, 0, 0);
        assert_eq!(router.route(&request, &Attempt::first()), Ok(second), "{placement}");
    }
}

#[test]
fn when_every_endpoint_was_tried_the_first_is_tried_again() {
    let router = router(json!({"key": "path"}), 1);
    let request = Fake::get("/").build();
    assert_eq!(router.route(&request, &Attempt::default().after(100, "upstream-connect-failed").build()), Ok(100));
}

#[test]
fn without_an_available_endpoint_keys_stay_where_they_are() {
    for (placement, bound) in PLACEMENTS.into_iter().flat_map(|placement| [(placement, None), (placement, Some(1.25))]) {
        let router = router(json!({"key": "path", "placement": placement, "bounded_load": bound}), 5);
        let before: Vec<_> = paths().map(|path| route(&router, &path).unwrap()).collect();
        (100..105).for_each(|id| state(id, false, 0, 0));
        let during: Vec<_> = paths().map(|path| route(&router, &path).unwrap()).collect();
        assert_eq!(before, during, "{placement}, {bound:?}");
        let attempt = Attempt::default().after(during[0], "upstream-connect-failed").build();
        let next = router.route(&Fake::get("/users/0").build(), &attempt).unwrap();
        assert_ne!(next, during[0], "{placement}, {bound:?}: another attempt goes elsewhere");
    }
}

#[test]
fn an_upstream_without_members_has_no_endpoint_until_it_gets_one() {
    let mut router = router(json!({"key": "path"}), 0);
    assert_eq!(route(&router, "/"), Err(RouteError::NoEndpoint));
    router.on_endpoints(2, vec![endpoint(100, "http://10.0.0.1:80")]).unwrap();
    state(100, true, 0, 0);
    assert_eq!(route(&router, "/"), Ok(100));
}

#[test]
fn a_full_endpoint_gives_way_and_gets_its_key_back() {
    let router = router(json!({"key": "path", "bounded_load": 1.25}), 4);
    let home = route(&router, "/hot").unwrap();
    let load = |id, in_flight| state(id, true, in_flight, 20);
    (100..104).for_each(|id| load(id, 2));
    // ceil(1.25 * 21 / 4) = 7: the seventh request may come, the eighth may not.
    load(home, 6);
    assert_eq!(route(&router, "/hot"), Ok(home));
    load(home, 7);
    let other = route(&router, "/hot").unwrap();
    assert_ne!(other, home);
    assert_eq!(route(&router, "/hot"), Ok(other), "the same key gives way to the same endpoint");
    load(home, 3);
    assert_eq!(route(&router, "/hot"), Ok(home));
}

#[test]
fn requests_without_the_key_spread_over_all_endpoints() {
    let router = router(json!({"key": {"header": "x-user"}}), 4);
    let chosen: std::collections::BTreeSet<_> = (0..100).map(|_| route(&router, "/").unwrap()).collect();
    assert_eq!(chosen.len(), 4);
}

#[test]
fn requests_without_the_key_can_be_rejected() {
    let router = router(json!({"key": {"header": "x-user"}, "missing_key": "reject"}), 4);
    assert_eq!(route(&router, "/"), Err(RouteError::NoEndpoint));
    assert!(router.route(&Fake::get("/").header("x-user", "bob").build(), &Attempt::first()).is_ok());
}

#[test]
fn ids_and_schemes_and_positions_do_not_place() {
    for placement in PLACEMENTS {
        let one = router(json!({"key": "path", "placement": placement}), 4);
        let mut other = testing::configure::<HashRouter>(json!({"key": "path", "placement": placement})).unwrap();
        let endpoints: Vec<_> = (0..4).rev().map(|number| endpoint(200 + number, &format!("https://10.0.0.{number}:80"))).collect();
        endpoints.iter().for_each(|endpoint| state(endpoint.id, true, 0, 0));
        other.on_endpoints(9, endpoints).unwrap();
        for path in paths() {
            assert_eq!(route(&one, &path).unwrap() + 100, route(&other, &path).unwrap(), "{placement} {path}");
        }
    }
}

#[test]
fn a_membership_that_does_not_fit_is_refused_and_the_old_one_serves_on() {
    let mut router = router(json!({"key": "path", "placement": "ketama-nginx"}), 2);
    let before = route(&router, "/").unwrap();
    let mut heavy = endpoint(100, "http://10.0.0.0:80");
    heavy.weight = u16::MAX;
    assert!(router.on_endpoints(2, vec![heavy]).unwrap_err().to_string().contains("smaller weights"));
    assert_eq!(route(&router, "/"), Ok(before));
}
