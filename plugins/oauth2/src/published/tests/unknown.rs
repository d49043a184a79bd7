//! Keys that are not in the set: new ones, and made up ones.

use super::*;

#[test]
fn a_flood_of_unknown_keys_keeps_no_new_key_away() {
    let server = Server::start(&["old"]);
    let plugin = configured();
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    for number in 0..20 {
        testing::advance(Duration::from_secs(1));
        assert_eq!(decide(&plugin, &token_named("new", &number.to_string())), Ok(401));
    }
    // One that comes a moment later is looked for, however many come meanwhile. This instance may not ask the server any more. Another one has, so the
    // gateway's cache has the set of now.
    server.publish(&["new", "old"]);
    assert_eq!(decide(&plugin, &token("new")), Ok(401));
    server.ask().unwrap();
    testing::advance(Duration::from_millis(100));
    server.asked();
    assert_eq!((decide(&plugin, &token("new")), server.asked()), (Ok(200), 0));
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
fn an_instance_that_began_late_refuses_a_new_key_no_longer_than_others() {
    let server = Server::start(&["old"]);
    server.ask().unwrap();
    testing::advance(Duration::from_millis(900));
    let plugin = configured();
    // The set is not a second old yet, and told to be of no age.
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
    server.publish(&["new", "old"]);
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
    // Ten seconds: five in a row at most, and one in ten seconds; the others are questions of the cache.
    let asked = server.asked();
    assert!((1..=6).contains(&asked), "{asked}");
    let sent = testing::take_http_requests();
    assert!(sent.len() <= 106, "nor at the gateway's cache: {}", sent.len());
    assert!(sent.iter().all(|request| request.max_age.is_none_or(|age| age >= Duration::from_secs(1))), "never past the cache");
    assert_eq!(decide(&plugin, &token("old")), Ok(200));
}
