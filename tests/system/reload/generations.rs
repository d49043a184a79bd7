//! What serves, what still has requests in flight, and what is over.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plugway_harness::raw::Raw;

use super::{Scene, json, post_reload, replace, status, until, version, version_of};
use crate::common::{Scripted, read_head};
use crate::guest::{config, route};

fn live(scene: &Scene) -> usize {
    status(&scene.gateway)["generations"]["live"].as_array().unwrap().len()
}

#[test]
fn a_request_in_flight_ends_on_the_version_it_began_with() {
    let scene = Scene::new("");
    // The body is not there yet: the upstream answers when it is, and the response filter runs then.
    let mut slow = Raw::connect(scene.gateway.address("web").unwrap()).unwrap();
    slow.send(b"POST / HTTP/1.1\r\nhost: example.com\r\ncontent-length: 4\r\n\r\nbo").unwrap();
    until("it is in flight", || super::metric(&scene.gateway, "plugway_requests_in_flight", &[]) >= 1.0);
    replace(&scene.file(), version(2));
    scene.serves(2);
    // It answers a moment before it is shown.
    until("both are alive", || live(&scene) == 2);
    slow.send(b"dy").unwrap();
    assert_eq!(version_of(&slow.response().unwrap()), 1);
    until("one generation is left", || live(&scene) == 1);
}

/// Events without end, fifty a second, each with its number; how many there were is told.
fn events() -> (Scripted, Arc<AtomicU32>) {
    let sent = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&sent);
    let upstream = Scripted::start(move |_, stream| {
        if read_head(stream).is_none() {
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        for number in 1.. {
            told.store(number, Ordering::SeqCst);
            if stream.write_all(format!("e\r\ndata: {number:06}\n\n\r\n").as_bytes()).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    (upstream, sent)
}

#[test]
fn a_stream_keeps_no_version_alive() {
    let (upstream, sent) = events();
    let scene = Scene::new("");
    // Of one generation: later on an earlier one may not have given back its own yet.
    let instances = scene.plugin()["instances"].clone();
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    let routed = text.replace("[[routes]]", &format!("[upstreams.events]\nendpoints = [\"{}\"]\n[[routes]]", upstream.url()));
    let events =
        "[[routes]]\nname = \"events\"\nmatch = { path = \"/events\" }\npublic = true\nplugins = [\"auth\"]\nupstream = \"events\"\n";
    let routed = format!("{routed}\n{events}");
    replace(&scene.config_file(), &routed);
    until("the route is there", || status(&scene.gateway)["routes"].as_array().unwrap().len() == 2);

    let stream = TcpStream::connect(scene.gateway.address("web").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (&stream).write_all(b"GET /events HTTP/1.1\r\nhost: example.com\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head.iter().any(|line| line == "x-version: version-000001"), "{head:?}");
    // What the upstream sends from now on comes here.
    let mut flows_on = || {
        let now = sent.load(Ordering::SeqCst);
        let event = lines.find(|line| line.strip_prefix("data: ").is_some_and(|number| number.parse::<u32>().unwrap() > now));
        assert!(event.is_some(), "the stream ended after {now} events");
    };
    flows_on();
    let nothing_else_is_left = || {
        until("one generation is left", || live(&scene) == 1);
        until("its instances alone are left", || scene.plugin()["instances"] == instances);
    };
    for number in 2..=5 {
        replace(&scene.file(), version(number));
        scene.serves(number);
        nothing_else_is_left();
        flows_on();
    }
    // Nor do its route and its upstream.
    let swapped = scene.reloads("swapped");
    replace(&scene.config_file(), &text);
    until("the route is gone", || scene.reloads("swapped") > swapped);
    nothing_else_is_left();
    flows_on();
    assert_eq!(super::metric(&scene.gateway, "plugway_requests_in_flight", &["route=\"events\""]), 1.0);
    drop(lines);
    until("it has ended", || super::metric(&scene.gateway, "plugway_requests_in_flight", &[]) == 0.0);
}

#[test]
fn no_more_generations_live_than_may() {
    let scene = Scene::new("");
    let at_most = status(&scene.gateway)["generations"]["at_most"].as_u64().unwrap() as u32;
    let mut held = Vec::new();
    for number in 2..=at_most {
        let mut slow = Raw::connect(scene.gateway.address("web").unwrap()).unwrap();
        slow.send(b"POST / HTTP/1.1\r\nhost: example.com\r\ncontent-length: 4\r\n\r\nbo").unwrap();
        let in_flight = held.len() as f64 + 1.0;
        until("it is in flight", || super::metric(&scene.gateway, "plugway_requests_in_flight", &[]) >= in_flight);
        held.push(slow);
        replace(&scene.file(), version(number));
        scene.serves(number);
    }
    // It answers a moment before it is shown.
    until("as many are alive as may be", || live(&scene) == at_most as usize);
    let refused = post_reload(&scene.gateway, "");
    assert_eq!(refused.status, 503);
    assert_eq!(json(&refused)["title"], "too many generations are alive");
    replace(&scene.file(), version(at_most + 1));
    super::meanwhile(super::LOOKED, || scene.still_serves(at_most));
    // One of them ends, and what waited is done.
    let mut first = held.remove(0);
    first.send(b"dy").unwrap();
    assert_eq!(version_of(&first.response().unwrap()), 1);
    scene.serves(at_most + 1);
    drop(held);
    until("one generation is left", || live(&scene) == 1);
}

#[test]
fn plugins_may_come_and_go() {
    let scene = Scene::new("");
    let plain = config(&scene.upstream, &[&route("public = true")]);
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.config_file(), &plain);
    until("the plugin is gone", || status(&scene.gateway)["plugins"] == serde_json::json!([]));
    assert!(scene.get().header("x-version").is_none());
    assert_eq!(scene.reloads("rejected"), 0.0);
    replace(&scene.config_file(), &text);
    until("the plugin is back", || scene.get().header("x-version").is_some());
    scene.still_serves(1);
}
