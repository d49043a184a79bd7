//! A gateway that may open no more files: who is connected is served on, who comes waits, and the gateway waits too instead of asking all the time.

use std::time::{Duration, Instant};

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, one_route, two_workers, until, until_logged, web, wire};

const FILES: usize = 100;
const PAUSED: &str = "Accepting connections is paused";

fn get(client: &mut Raw, target: &str) -> u16 {
    client.send(wire(&format!("GET {target} HTTP/1.1\nhost: a\n\n"))).unwrap();
    client.response().unwrap().status
}

fn said(gateway: &Gateway, text: &str) -> usize {
    gateway.log().lines().iter().filter(|line| line.text.contains(text)).count()
}

/// How often accepting was paused, by a connection to the admin listener that is there already.
fn pauses(admin: &mut Raw) -> f64 {
    admin.send(wire("GET /metrics HTTP/1.1\nhost: admin\n\n")).unwrap();
    let text = admin.response().unwrap().text();
    let series = text.lines().filter(|line| line.starts_with("plugway_accept_pauses_total{"));
    series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn accepting_pauses_while_files_are_used_up_and_goes_on_when_there_are_some() {
    let upstream = Upstream::plain("up").unwrap();
    // Memory of plugins is no matter here; a shell that has become the gateway has left it its limit, soft and hard.
    let under = ["sh", "-c", &format!("ulimit -n {FILES} && exec \"$0\" \"$@\"")];
    let gateway = Launch::new(BINARY).unwrap().wrapper(under).start(&two_workers(&one_route(&upstream, ""))).unwrap();
    let mut admin = Raw::connect(gateway.admin().unwrap()).unwrap();
    assert_eq!(pauses(&mut admin), 0.0);
    let mut kept = web(&gateway);
    assert_eq!(get(&mut kept, "/"), 200);

    // The kernel takes them all; the gateway has files for the fewest of them.
    let mut crowd: Vec<Raw> = (0..2 * FILES).map(|_| web(&gateway)).collect();
    until_logged(&gateway, PAUSED);
    // More than one: a file that a worker has just given back, of a connection to the upstream that it does not use, is for whoever comes first.
    let _nobody: Vec<Raw> = (0..10).map(|_| Raw::connect(gateway.admin().unwrap()).unwrap()).collect();
    until_logged(&gateway, "The admin listener could not accept");

    // A second in which nobody but the kept connection asks for anything. Asking the kernel again and again would take a core of it.
    let (before, began, spent) = (pauses(&mut admin), Instant::now(), gateway.cpu_time().unwrap());
    assert_eq!(get(&mut kept, "/slow/1000"), 200);
    let (spent, wall) = (gateway.cpu_time().unwrap() - spent, began.elapsed());
    assert!(spent < wall / 4, "{spent:?} of CPU time in {wall:?}");
    let paused = pauses(&mut admin) - before;
    assert!(paused > 5.0, "it was still out of files, and tried: {paused}");
    assert!(paused < 2.0 * 60.0 * wall.as_secs_f64(), "two workers, each of which tries fifty times a second: {paused}");
    // One line for each of two workers, and none for each of those times.
    assert!((1..=2).contains(&said(&gateway, PAUSED)), "{}", gateway.log().text());
    assert_eq!(said(&gateway, "The admin listener could not accept"), 1, "{}", gateway.log().text());
    let line = gateway.log().wait(Duration::ZERO, |line| line.message() == PAUSED).unwrap();
    assert_eq!(line.field("listener"), Some("web"));
    assert!(line.field("error").unwrap().contains("os error 24"), "{}", line.text);

    // Whoever was last in the queue is served once the others are gone.
    let mut last = crowd.pop().unwrap();
    drop(crowd);
    assert_eq!(get(&mut last, "/"), 200);
    assert_eq!(get(&mut web(&gateway), "/"), 200);
    assert_eq!(get(&mut kept, "/"), 200);
    until("the admin listener accepts again", || crate::common::metric(&gateway, "plugway_connections_open", &[]) == 2.0);
    // What had left while it was in the queue is still accepted, to be found gone.
    until("nothing pauses any more", || {
        let before = pauses(&mut admin);
        (0..20).for_each(|_| assert_eq!(get(&mut web(&gateway), "/"), 200));
        pauses(&mut admin) == before
    });
}
