//! Keys that are not in the set: new ones, and made up ones.

use super::*;

#[test]
fn an_instance_for_each_request_asks_twice_where_nothing_is_kept() {
    let server = Server::fresh_for(&["old"], Duration::ZERO);
    for number in 0..20 {
        // What one knew goes with it.
        let plugin = configured();
        assert_eq!((decide(&plugin, &token_named("new", &number.to_string())), server.asked()), (Ok(401), 2));
        drop(plugin);
        testing::advance(Duration::from_millis(10));
    }
    server.publish(&["new"]);
    assert_eq!((decide(&configured(), &token("new")), server.asked()), (Ok(200), 1));
}

#[test]
fn a_flood_of_unknown_keys_keeps_no_new_key_away() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    for number in 0..20_000 {
        testing::advance(Duration::from_millis(1));
        assert_eq!(decide(&plugin, &token_named("new", &number.to_string())), Ok(401));
    }
    // What the flood has used up is there again when the set is a second old, however many come meanwhile.
    server.publish(&["new", "old"]);
    let known = (0..1_200).find(|number| {
        testing::advance(Duration::from_millis(1));
        decide(&plugin, &token_named("new", &format!("more-{number}"))) == Ok(401) && decide(&plugin, &token("new")) == Ok(200)
    });
    assert!(known.is_some_and(|after| after <= 1_000), "{known:?}");
}

#[test]
fn what_another_instance_fetched_in_a_flood_is_seen_a_moment_later() {
    // An instance that has asked out of turn asks no more, for as long as the set is young.
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    assert_eq!(decide(&plugin, &token_named("new", "out-of-turn")), Ok(401));
    testing::advance(Duration::from_millis(100));
    assert_eq!(decide(&plugin, &token_named("new", "made-up")), Ok(401));
    server.publish(&["new", "old"]);
    assert_eq!(decide(&plugin, &token("new")), Ok(401));
    server.ask().unwrap();
    testing::advance(Duration::from_millis(100));
    server.asked();
    assert_eq!((decide(&plugin, &token("new")), server.asked()), (Ok(200), 0));
}

#[test]
fn a_key_that_comes_right_after_a_fetch_is_known_at_once() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!((decide(&plugin, &token("old")), server.asked()), (Ok(200), 1));
    server.publish(&["new", "old"]);
    assert_eq!((decide(&plugin, &token("new")), server.asked()), (Ok(200), 1), "the same moment");
    // Twice, and then once in thirty seconds: what is made up is refused meanwhile, and nobody is asked.
    for number in 0..59 {
        assert_eq!((decide(&plugin, &token_named("new", &number.to_string())), server.asked()), (Ok(401), usize::from(number == 0)));
        testing::advance(Duration::from_millis(10));
    }
}

#[test]
fn a_set_that_may_not_be_kept_is_asked_for_seldom() {
    let server = Server::fresh_for(&["old"], Duration::ZERO);
    let plugin = configured();
    assert_eq!((decide(&plugin, &token("old")), server.asked()), (Ok(200), 1));
    for number in 0..100 {
        testing::advance(Duration::from_millis(500));
        assert_eq!(decide(&plugin, &token_named("new", &number.to_string())), Ok(401));
    }
    // Five in a row, one in ten seconds, three out of turn; and what any token asks, once it is a minute old, not yet.
    let asked = server.asked();
    assert!((5..=13).contains(&asked), "{asked}");
}

#[test]
fn another_instance_may_have_fetched_the_new_set_already() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!((decide(&plugin, &token("old")), fetched()), (Ok(200), 1));
    testing::advance(Duration::from_secs(20));
    server.publish(&["new", "old"]);
    server.ask().unwrap();
    testing::advance(Duration::from_secs(5));
    server.asked();
    assert_eq!((decide(&plugin, &token("new")), server.asked()), (Ok(200), 0));
    let sent = testing::take_http_requests();
    assert_eq!(
        sent.iter().filter(|request| request.url.ends_with("/keys")).map(|request| request.max_age).collect::<Vec<_>>(),
        [Some(Duration::from_secs(3600))]
    );
}

#[test]
fn an_instance_that_learns_late_of_a_set_refuses_a_new_key_no_longer_than_others() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    assert_eq!(decide(&plugin, &token_named("new", "out-of-turn")), Ok(401));
    testing::advance(Duration::from_secs(20));
    server.ask().unwrap();
    testing::advance(Duration::from_millis(900));
    server.publish(&["new", "old"]);
    // The set is not a second old yet, and told to be of no age.
    assert_eq!(decide(&plugin, &token("new")), Ok(401));
    testing::advance(Duration::from_millis(150));
    server.asked();
    assert_eq!((decide(&plugin, &token("new")), server.asked()), (Ok(200), 1), "it is a second old now");
}

#[test]
fn a_flood_of_unknown_keys_is_no_flood_at_the_server() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!((decide(&plugin, &token("old")), server.asked()), (Ok(200), 1));
    fetched();
    for number in 0..10_000 {
        testing::advance(Duration::from_millis(1));
        assert_eq!(decide(&plugin, &token_named("new", &format!("../../{number}"))), Ok(401));
    }
    // Ten seconds: one in each, and two out of turn; the others are questions of the cache, some of which find it young enough.
    let asked = server.asked();
    assert!((1..=13).contains(&asked), "{asked}");
    let sent = testing::take_http_requests();
    assert!(sent.len() <= 126, "nor at the gateway's cache: {}", sent.len());
    let past_the_cache = sent.iter().filter(|request| request.max_age.is_some_and(|age| age < Duration::from_secs(1)));
    assert!(past_the_cache.count() <= 2);
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
}

#[test]
fn a_set_that_lay_in_other_caches_is_asked_for_seldom() {
    let server = Server::start(&["old"]);
    server.lies_elsewhere_for(Duration::from_secs(30));
    let plugin = configured();
    assert_eq!((decide(&plugin, &token("old")), server.asked()), (Ok(200), 1));
    for number in 0..100 {
        testing::advance(Duration::from_millis(100));
        assert_eq!(decide(&plugin, &token_named("new", &number.to_string())), Ok(401));
    }
    // The cache lets every question through: what it has is never a second old, and what comes is not either.
    let asked = server.asked();
    assert!((5..=7).contains(&asked), "{asked}");
}
