//! The bounds of the grant `http-client`, each with what it lets pass and what it does not; a plugin can ask for less, never for more. And connections
//! are used again.

use plugway_harness::upstream::Upstream;

use super::{LOOPBACK, PATIENT, World, patient};
use crate::common::{start, two_workers, until};
use crate::guest::{asking, config, get, plugin, route};

#[test]
fn the_grants_time_is_the_most_there_is() {
    let world = World::new(&format!("{LOOPBACK}\ntimeout = \"1500ms\""), "");
    assert!(world.ask(&format!("GET {}", world.url("/slow/20"))).starts_with("200 Server "));
    assert_eq!(world.ask(&format!("GET {}", world.url("/hang"))), "Timeout");
    assert_eq!(world.ask(&format!("GET {} timeout=60000", world.url("/slow/10000"))), "Timeout");
    // Redirects and the body are in it.
    let round = world.url("/redirect/302/slow/10000");
    assert_eq!(world.ask(&format!("GET {round}")), "Timeout");
    assert_eq!(world.ask(&format!("GET {}", world.url("/drip/40/100"))), "Timeout");
}

#[test]
fn the_grants_redirects_are_the_most_there_are() {
    let world = World::new(&format!("{LOOPBACK}\nmax_redirects = 2"), "");
    let two = world.url("/redirect/302/redirect/307/there");
    let three = world.url("/redirect/302/redirect/302/redirect/302/there");
    assert!(world.ask(&format!("GET {two}")).starts_with("200 Server "));
    assert_eq!(world.ask(&format!("GET {three}")), "TooManyRedirects");
    assert_eq!(world.ask(&format!("GET {three} redirects=9")), "TooManyRedirects");
    assert_eq!(world.ask(&format!("GET {two} redirects=1")), "TooManyRedirects");
    // Where none is granted the redirect is the answer, as where none is asked for.
    let none = World::new(&format!("{LOOPBACK}\nmax_redirects = 0"), "");
    assert!(none.ask(&format!("GET {}", none.url("/a"))).starts_with("200 Server "));
    assert_eq!(none.ask(&format!("GET {} redirects=3", none.url("/redirect/302/there"))), "302 Server 0");
}

#[test]
fn the_grants_size_is_the_most_there_is() {
    let world = World::new(&format!("{LOOPBACK}\nmax_body_bytes = \"1KiB\""), "");
    for shape in ["bytes", "chunked"] {
        assert_eq!(world.ask(&format!("GET {}", world.url(&format!("/{shape}/1024")))), "200 Server 1024");
        assert_eq!(world.ask(&format!("GET {} max-body=1000000", world.url(&format!("/{shape}/1025")))), "TooLarge");
    }
}

#[test]
fn as_many_as_are_granted_are_in_flight_on_all_workers_and_one_more_is_not() {
    let world = World::with(two_workers, &format!("{PATIENT}\nmax_in_flight = 4"), "budget = { deadline = \"60s\" }");
    let waiting: Vec<_> = (0..4).map(|number| world.send(&format!("GET {}", world.url(&format!("/held?{number}"))))).collect();
    until("four are in flight", || world.in_flight() == 4.0);
    // Whichever worker is asked.
    (0..8).for_each(|_| assert_eq!(world.ask(&format!("GET {}", world.url("/other"))), "TooManyCalls"));
    world.server.release();
    for mut one in waiting {
        let answer = one.response().unwrap();
        assert!(answer.text().starts_with("200 Server "), "{}", answer.text());
    }
    until("their places are free", || world.in_flight() == 0.0);
    assert!(world.ask(&format!("GET {}", world.url("/other"))).starts_with("200 Server "));
}

#[test]
fn a_connection_is_used_again_by_whichever_worker_asks() {
    let world = World::with(two_workers, LOOPBACK, "");
    // Each other than the one before, so that none is answered for another; on connections of their own, so that both workers ask.
    for number in 0..24 {
        assert!(world.ask(&format!("GET {}", world.url(&format!("/{number}")))).starts_with("200 Server "));
    }
    assert_eq!((world.server.requests(), world.server.connections()), (24, 1));
    for worker in ["worker=\"0\"", "worker=\"1\""] {
        assert!(crate::common::metric(&world.gateway, "plugway_worker_requests_total", &[worker]) > 0.0, "{worker} asked nothing");
    }
}

#[test]
fn a_connection_to_a_granted_upstream_is_used_again_too() {
    let (server, up) = (Upstream::plain("server").unwrap(), Upstream::plain("up").unwrap());
    let table = format!("{}\n[plugins.asking.grants.http-client]\nupstreams = [\"id\"]", patient(""));
    let id = format!("[upstreams.id]\nendpoints = [{:?}]\n", server.url());
    let gateway =
        start(&two_workers(&config(&up, &[&plugin("asking", asking(), "", &table), &route("public = true\nplugins = [\"asking\"]"), &id])));
    for number in 0..24 {
        let told = format!("GET {}/{number}", server.url());
        let answer = get(gateway.address("web").unwrap(), "/", &[("x-ask", &told)]);
        assert!(answer.text().starts_with("200 Server "), "{}", answer.text());
    }
    assert_eq!((server.requests(), server.connections()), (24, 1));
}
