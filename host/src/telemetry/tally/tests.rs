use std::sync::mpsc::{Receiver, sync_channel};

use super::*;
use crate::telemetry::WorkerCells;

fn detail() -> Detail<'static> {
    Detail { request_id: "r", method: "GET", path: "/", upstream: None, attempts: 1 }
}

fn finished<'a>(route: &'a Arc<RouteCells>, endpoint: &'a str, consumer: &'a str) -> Finished<'a> {
    let duration = Some(Duration::from_millis(2));
    Finished { route, endpoint, consumer, status: 200, fault: None, duration, request_bytes: 1, response_bytes: 10 }
}

fn requests(reader: &Receiver<Tally>) -> u64 {
    reader.try_iter().flat_map(|tally| tally.cells).flat_map(|cell| cell.outcomes).map(|(_, _, count)| count).sum()
}

#[test]
fn what_was_counted_is_handed_over_once() {
    let (sender, reader) = sync_channel(4);
    let route = WorkerCells::default().route("orders", Some("shop"), Some("v1"));
    let tallies = Tallies::new(Some(sender));
    for _ in 0..3 {
        tallies.add(&finished(&route, "http://a", "mia"), detail);
    }
    tallies.add(&Finished { status: 502, fault: Some(Fault::UpstreamReset.into()), ..finished(&route, "http://a", "mia") }, detail);
    tallies.hand_over();
    tallies.hand_over();
    let tally = reader.try_recv().unwrap();
    let [cell] = tally.cells.as_slice() else { panic!("{tally:?}") };
    assert_eq!((&*cell.route, &*cell.endpoint, &*cell.consumer), ("orders", "http://a", "mia"));
    assert_eq!(cell.outcomes, [(200, None, 3), (502, Some(Fault::UpstreamReset.into()), 1)]);
    assert_eq!((cell.duration, cell.longest), (Duration::from_millis(8), Duration::from_millis(2)));
    assert_eq!((cell.request_bytes, cell.response_bytes), (4, 40));
    let [(middle, 4)] = cell.bins.iter().collect::<Vec<_>>()[..] else { panic!("{cell:?}") };
    assert!((middle - 2000.0).abs() <= 2000.0 * super::super::latency::ACCURACY, "{middle}");
    assert_eq!(tally.samples.len(), 4, "three of the slowest and one that failed");
    assert!(reader.try_recv().is_err());
    tallies.add(&finished(&route, "http://a", "mia"), detail);
    drop(tallies);
    assert_eq!(requests(&reader), 1, "what was left when the worker ended");
}

#[test]
fn nothing_is_lost_for_want_of_a_reader() {
    let (sender, reader) = sync_channel(1);
    let route = WorkerCells::default().route("orders", None, None);
    let tallies = Tallies::new(Some(sender));
    for _ in 0..10 {
        tallies.add(&finished(&route, "", ""), detail);
        tallies.hand_over();
    }
    let mut all = requests(&reader);
    tallies.hand_over();
    all += requests(&reader);
    tallies.hand_over();
    all += requests(&reader);
    assert_eq!(all, 10);
}

#[test]
fn consumers_past_the_limit_are_counted_together() {
    let (sender, reader) = sync_channel(4);
    let route = WorkerCells::default().route("orders", None, None);
    let tallies = Tallies::new(Some(sender));
    let names: Vec<_> = (0..3 * MAX_KEYS).map(|number| number.to_string()).collect();
    for name in &names {
        tallies.add(&finished(&route, "http://a", name), detail);
    }
    tallies.hand_over();
    let tally = reader.try_recv().unwrap();
    assert_eq!(tally.cells.len(), MAX_KEYS + 1);
    assert_eq!(tally.folded as usize, 2 * MAX_KEYS);
    let other = tally.cells.iter().find(|cell| &*cell.consumer == OTHER).unwrap();
    assert_eq!(other.outcomes, [(200, None, 2 * MAX_KEYS as u64)]);
    tallies.add(&finished(&route, "http://b", ""), detail);
    let tally = tallies.state.borrow_mut().take().unwrap();
    assert_eq!((&*tally.cells[0].endpoint, &*tally.cells[0].consumer, tally.folded), ("http://b", "", 0), "nobody is no other consumer");
    // A key that nothing comes for makes room.
    for _ in 0..2 * FORGOTTEN {
        tallies.state.borrow_mut().take();
    }
    assert_eq!(tallies.state.borrow().cells.len(), 0);
}

#[test]
fn the_key_counted_last_is_compared_whole() {
    let (sender, reader) = sync_channel(4);
    let cells = WorkerCells::default();
    let (orders, users) = (cells.route("orders", None, None), cells.route("users", None, None));
    let tallies = Tallies::new(Some(sender));
    // Each differs from the one before it in one part.
    let keys = [(&orders, "http://a", "mia"), (&orders, "http://a", "ann"), (&orders, "http://b", "ann"), (&users, "http://b", "ann")];
    for (route, endpoint, consumer) in keys {
        tallies.add(&finished(route, endpoint, consumer), detail);
        tallies.add(&finished(route, endpoint, consumer), detail);
    }
    tallies.add(&finished(&orders, "http://a", "mia"), detail);
    tallies.hand_over();
    let tally = reader.try_recv().unwrap();
    let counted: Vec<_> = tally.cells.iter().map(|cell| (&*cell.route, &*cell.endpoint, &*cell.consumer, cell.outcomes[0].2)).collect();
    let expected = [
        ("orders", "http://a", "mia", 3),
        ("orders", "http://a", "ann", 2),
        ("orders", "http://b", "ann", 2),
        ("users", "http://b", "ann", 2),
    ];
    assert_eq!(counted, expected);
}

#[test]
fn what_is_counted_after_keys_were_forgotten_is_their_own() {
    let (sender, _reader) = sync_channel(4);
    let route = WorkerCells::default().route("orders", None, None);
    let tallies = Tallies::new(Some(sender));
    let count = |consumer: &str| tallies.add(&finished(&route, "", consumer), detail);
    let take = || tallies.state.borrow_mut().take();
    count("gone");
    // The others come just before it is forgotten, and stand after that where it and the first of them stood.
    (0..2 * FORGOTTEN - 2).for_each(|_| drop(take()));
    for consumer in ["ann", "mia", "ann"] {
        count(consumer);
    }
    take();
    assert_eq!(tallies.state.borrow().cells.len(), 3);
    take();
    assert_eq!(tallies.state.borrow().cells.len(), 2);
    for consumer in ["ann", "mia", "gone"] {
        count(consumer);
        let tally = take().unwrap();
        let [cell] = tally.cells.as_slice() else { panic!("{tally:?}") };
        assert_eq!((&*cell.consumer, &*cell.outcomes), (consumer, &[(200, None, 1)][..]));
    }
    assert_eq!(tallies.state.borrow().cells.len(), 3);
}
